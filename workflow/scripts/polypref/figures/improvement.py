"""Figures of the effect of training: paired differences from the base by language, overall and for each opponent."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polypref.evaluation.power import ALPHA
from polypref.evaluation.win_rates import ALL
from polypref.figures import style
from polypref.figures.win_rates import signed

BELOW = 0.27
"""Vertical offset of the opponents' markers, in rows, so that the marker of the mean does not hide them."""


def _draw_improvement(axes: Axes, table: pd.DataFrame, order: list[str], opponents: list[str]) -> None:
    """Draw one variant: the value for each opponent, and on top the mean over opponents with its interval."""
    axes.axvline(0, color=style.INK, linewidth=0.9)
    axes.grid(axis="x")
    place = {code: row for row, code in enumerate(order)}
    for number, opponent in enumerate(opponents):
        here = table[table["opponent"].eq(opponent)]
        series = (number + 1) % len(style.SERIES)
        rows = here["language"].map(place) + BELOW
        axes.plot(here["improvement"], rows, linestyle="none", marker=style.MARKERS[series], markersize=4,
                  color=style.SERIES[series], alpha=0.85, label=f"against {opponent}")  # fmt: skip
    pooled = table[table["opponent"].eq(ALL)]
    rows = pooled["language"].map(place)
    axes.hlines(rows, pooled["low"], pooled["high"], color=style.GOOD, linewidth=1.6)
    axes.plot(pooled["improvement"], rows, linestyle="none", marker="o", markersize=6.5, color=style.GOOD,
              label="mean over opponents, 95% interval")  # fmt: skip


def plot_improvement(table: pd.DataFrame, languages: Sequence[str], names: Mapping[str, str]) -> Figure:
    """Plot the paired difference from the base by language, with a panel per variant on a common scale.

    Parameters
    ----------
    table : output of :func:`polypref.evaluation.improvement.tabulate_improvement`.
    languages : order of the rows, which follow the row for all languages.
    names : language code to English name.
    """
    variants = list(dict.fromkeys(table["policy"]))
    opponents = [name for name in dict.fromkeys(table["opponent"]) if name != ALL]
    order = _rows(table, languages)
    limit = np.nanmax(table.loc[table["opponent"].eq(ALL), ["low", "high"]].abs().to_numpy(), initial=1.0)
    limit = 1.08 * max(limit, table["improvement"].abs().max())
    figure, panels = plt.subplots(
        1, len(variants), figsize=(1.2 + 2.75 * len(variants), 1.5 + 0.29 * len(order)), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axes, variant in zip(panels[0], variants, strict=True):
        here = table[table["policy"].eq(variant)]
        _draw_improvement(axes, here, order, opponents)
        axes.axhline(0.5, color=style.INK, linewidth=0.6)
        axes.set(xlim=(-limit, limit), ylim=(len(order) - 0.5, -0.5))
        axes.set_title(f"{variant} − base")
        style.bare(axes)
    _label_rows(panels[0, 0], order, names)
    prompts = table.loc[table["opponent"].eq(ALL) & table["language"].ne(ALL), "prompts"]
    count = f"{prompts.min()}" if prompts.nunique() == 1 else f"{prompts.min()} to {prompts.max()}"
    figure.supxlabel(
        "change of Win% − Loss% in percentage points (right of zero: better than the base); "
        f"n = {count} prompts per language",
        fontsize=8.5,
    )
    handles, labels = axes.get_legend_handles_labels()
    first = [*handles[-1:], *handles[:-1]], [*labels[-1:], *labels[:-1]]
    figure.legend(*first, loc="outside upper center", ncols=min(4, len(labels)), handletextpad=0.3, columnspacing=1.4)
    return figure


def _rows(table: pd.DataFrame, languages: Sequence[str]) -> list[str]:
    """List the rows: all languages pooled, followed by each language in the table."""
    return [ALL, *(code for code in languages if code in set(table["language"]))]


def _label_rows(axes: Axes, order: Sequence[str], names: Mapping[str, str]) -> None:
    axes.set_yticks(range(len(order)), ["All languages" if code == ALL else names.get(code, code) for code in order])


def _draw_forest(axes: Axes, table: pd.DataFrame, order: list[str]) -> None:
    """Draw estimates and intervals, and print their values; filled markers are significant after correction."""
    axes.axvline(0, color=style.INK, linewidth=0.9)
    axes.grid(axis="x")
    for row in table.itertuples():
        place = order.index(row.language)
        colour = style.GOOD if row.improvement >= 0 else style.BAD
        axes.hlines(place, row.low, row.high, color=colour, linewidth=1.6)
        axes.plot(row.improvement, place, marker="D" if row.language == ALL else "o", markersize=5.5, color=colour,
                  markerfacecolor=colour if row.p_adjusted < ALPHA else "white", clip_on=False)  # fmt: skip
        interval = "" if np.isnan(row.low) else f" [{signed(row.low)}, {signed(row.high)}]"
        axes.annotate(signed(row.improvement) + interval, (1.02, place), xycoords=("axes fraction", "data"),
                      va="center", fontsize=7.5, annotation_clip=False)  # fmt: skip


def plot_forest(table: pd.DataFrame, languages: Sequence[str], names: Mapping[str, str]) -> Figure:
    """Plot the paired differences as a forest plot, with a column per variant and a row of panels per opponent.

    All panels share one scale. With more than `MOST_LABELLED` intervals, only those over all languages are drawn.

    Parameters
    ----------
    table : output of :func:`polypref.evaluation.improvement.tabulate_improvement`, without the mean over opponents.
    languages : order of the rows, which follow the row for all languages.
    names : language code to English name.
    """
    variants, opponents = (list(dict.fromkeys(table[name])) for name in ("policy", "opponent"))
    if len(table) > style.MOST_LABELLED:
        table = table[table["language"].eq(ALL)]
    order = _rows(table, languages)
    limit = 1.05 * np.nanmax(table[["improvement", "low", "high"]].abs().to_numpy(), initial=1.0)
    figure, panels = plt.subplots(
        len(opponents), len(variants), sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(1.2 + 3.5 * len(variants), 0.9 + len(opponents) * (0.5 + 0.21 * len(order))),
    )  # fmt: skip
    for down, opponent in enumerate(opponents):
        for across, variant in enumerate(variants):
            axes = panels[down, across]
            here = table[table["opponent"].eq(opponent) & table["policy"].eq(variant)]
            _draw_forest(axes, here, order)
            axes.axhline(0.5, color=style.INK, linewidth=0.6)
            axes.set(xlim=(-limit, limit), ylim=(len(order) - 0.5, -0.5))
            axes.set_title(f"{variant} − base, against {opponent}")
            axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
            style.bare(axes)
    _label_rows(panels[0, 0], order, names)
    prompts = table.loc[table["language"].eq(ALL) if order == [ALL] else table["language"].ne(ALL), "prompts"]
    count = f"{prompts.min()}" if prompts.nunique() == 1 else f"{prompts.min()} to {prompts.max()}"
    each = "prompts; languages are only in the CSV file" if order == [ALL] else "prompts per language"
    figure.supxlabel(
        "change of Win% − Loss% in percentage points, with 95% interval (right of zero: better than the base); "
        f"filled: corrected p < {ALPHA:g}; n = {count} {each}",
        fontsize=8.5,
    )
    return figure
