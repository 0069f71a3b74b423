"""Figures of the preference pairs: text lengths and diagnostic flags."""

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from polypref.datasets.diagnostics import FLAGS
from polypref.figures import style

FIELDS = {"prompt": "C2", "chosen": style.GOOD, "rejected": style.BAD}
WIDEST = 120
"""The most columns of heatmaps side by side."""
MARKERS = {"prompt": "s", "chosen": "o", "rejected": "D"}


def _count(pairs: pd.Series) -> str:
    low, high = int(pairs.min()), int(pairs.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _draw_lengths(axes: Axes, table: pd.DataFrame, order: list[str]) -> None:
    """Draw the 5th to 95th percentile (thin line), the quartiles (thick line) and the median of each field."""
    for number, (field, colour) in enumerate(FIELDS.items()):
        here = table[table["field"].eq(field)]
        rows = here["language"].map(order.index) + (number - 1) * 0.25
        axes.hlines(rows, here["p5"], here["p95"], color=colour, linewidth=0.9)
        axes.hlines(rows, here["p25"], here["p75"], color=colour, linewidth=3.2, alpha=0.6)
        axes.plot(here["p50"], rows, linestyle="none", marker=MARKERS[field], markersize=4, color=colour, label=field)


def plot_lengths(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Plot the distribution of text lengths, with a panel per architecture and a row per language.

    All panels share one logarithmic scale.

    Parameters
    ----------
    table : output of :func:`polypref.datasets.diagnostic_tables.tabulate_lengths`.
    names : language code to English name, in the order of the rows.
    """
    architectures = list(dict.fromkeys(table["architecture"]))
    order = [code for code in names if code in set(table["language"])]
    figure, panels = plt.subplots(
        1, len(architectures), figsize=(1.2 + 2.6 * len(architectures), 1.5 + 0.36 * len(order)), sharex=True,
        sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for axes, architecture in zip(panels[0], architectures, strict=True):
        here = table[table["architecture"].eq(architecture)]
        axes.set_xscale("log")
        axes.grid(axis="x")
        _draw_lengths(axes, here, order)
        axes.set_title(architecture, loc="left")
        axes.set_title(f"n = {_count(here['pairs'])} per language", loc="right", weight="normal", fontsize=8)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        style.bare(axes)
    panels[0, 0].set_yticks(range(len(order)), [names[code] for code in order])
    figure.supxlabel(
        "tokens of the trained model's tokenizer; mark: median, thick line: middle 50%, thin line: middle 90%",
        fontsize=8.5,
    )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handletextpad=0.3)
    return figure


def flag_frame(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of pairs with each flag, summed over all sources.

    Parameters
    ----------
    table : output of :func:`polypref.datasets.diagnostic_tables.tabulate_diagnostics`.

    Returns
    -------
    architecture, language, flag, pairs, flagged (pairs), flagged_percent.
    """
    keys = ["architecture", "language"]
    flags = [flag for flag in FLAGS if flag in table]
    sums = table.groupby(keys, sort=False)[["pairs", *flags]].sum().reset_index()
    long = sums.melt([*keys, "pairs"], var_name="flag", value_name="flagged")
    return long.assign(flagged_percent=100 * long["flagged"] / long["pairs"])


def _percent(value: float) -> str:
    return "" if value == 0 else "<1" if value < 0.5 else f"{value:.0f}"


def plot_flags(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Plot the flags that occur, with a heatmap of flags by languages per architecture.

    All heatmaps share one colour scale. They are side by side, or one below the other if there are many languages. With
    more than `MOST_LABELLED` cells, these have no numbers.

    Parameters
    ----------
    table : output of :func:`flag_frame`.
    names : language code to English name, in the order of the columns.
    """
    architectures = list(dict.fromkeys(table["architecture"]))
    languages = [code for code in names if code in set(table["language"])]
    found = table.groupby("flag")["flagged"].sum()
    flags = [flag for flag in FLAGS if found.get(flag, 0)]
    scale = mpl.colors.Normalize(0, max(table["flagged_percent"].max(), 1.0))
    colours, words = mpl.colormaps[mpl.rcParams["image.cmap"]], _percent
    rows, columns, width, height = 1, len(architectures), 0.31, 0.27
    if len(architectures) * len(languages) * len(flags) > style.MOST_LABELLED:
        words, width, height = None, style.NARROW, style.NARROW
    if columns * len(languages) > WIDEST:
        rows, columns = columns, rows
    figure, panels = plt.subplots(
        rows, columns, squeeze=False, sharex=rows > 1, sharey=rows == 1, layout="constrained",
        figsize=(1.7 + columns * (0.2 + width * len(languages)) + (words is None),
                 1.2 + rows * (0.3 + height * max(len(flags), 1))),
    )  # fmt: skip
    for axes, architecture in zip(panels.ravel(), architectures, strict=True):
        here = table[table["architecture"].eq(architecture)]
        wide = here.pivot(index="flag", columns="language", values="flagged_percent")
        values = wide.reindex(index=flags, columns=languages).to_numpy(float)
        left = style.draw_cells(axes, values, colours, scale, words)
        axes.set_xticks(np.array(left) + 0.5, [names[code] for code in languages], rotation=90)
        axes.set_title(architecture, loc="left")
        axes.set_title(f"n = {_count(here['pairs'])} per language", loc="right", weight="normal", fontsize=8)
    if rows > 1:  # only the last panel has the names of the languages
        axes.xaxis.tick_bottom()
        axes.tick_params(length=0)
    for axes in panels[:, 0]:
        axes.set_yticks(np.arange(len(flags)) + 0.5, [flag.replace("_", " ") for flag in flags])
    if words is None:
        style.add_scale(figure, panels, colours, scale)
    figure.supxlabel("pairs with the flag (%)" if flags else "no pair has a flag", fontsize=8.5)
    return figure
