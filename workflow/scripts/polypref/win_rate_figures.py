"""Charts of the evaluation: win, tie and loss shares, and the paired difference to the base per language."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polypref import figures
from polypref.win_rates import ALL

SHARES = (
    ("win_percent", "Win", figures.WIN, "#ffffff"),
    ("tie_percent", "Tie", figures.TIE, "#111111"),
    ("unparsed_percent", "Unparsed", figures.UNPARSED, "#ffffff"),
    ("loss_percent", "Loss", figures.LOSS, "#111111"),
)


def _draw_shares(axes: Axes, table: pd.DataFrame) -> None:
    """Stacked bars of one opponent; numbers stand where they have room."""
    start = np.zeros(len(table))
    for column, label, colour, ink in SHARES:
        share = table[column].to_numpy()
        axes.barh(table["policy"], share, left=start, color=colour, height=0.72, label=label)
        for row, (left, width) in enumerate(zip(start, share, strict=True)):
            if width >= 6:
                axes.text(left + width / 2, row, f"{width:.1f}", ha="center", va="center", color=ink, fontsize=8)
        start += share


def plot_win_rates(table: pd.DataFrame) -> Figure:
    """Win, tie, unparsed and loss shares: a panel per opponent, a bar per policy.

    Parameters
    ----------
    table : win rates by policy and opponent (:func:`polypref.estimates.estimate_rates`).
    """
    opponents = list(dict.fromkeys(table["opponent"]))
    bars = table.groupby("opponent").size().max()
    with figures.style():
        figure, panels = plt.subplots(
            len(opponents), 1, figsize=(7.6, len(opponents) * (0.55 + 0.27 * bars) + 0.55), sharex=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axes, opponent in zip(panels[:, 0], opponents, strict=True):
            here = table[table["opponent"].eq(opponent)]
            _draw_shares(axes, here)
            low, high = here["judgements"].min(), here["judgements"].max()
            count = f"{low:,}" if low == high else f"{low:,}–{high:,}"
            axes.set_title(f"against {opponent}", loc="left")
            axes.set_title(f"n = {count} judgements per bar", loc="right", weight="normal", fontsize=8)
            axes.set_xlim(0, 100)
            axes.invert_yaxis()
            figures.bare(axes)
            axes.axvline(50, color=figures.INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        axes.set_xlabel("share of judgements (%)")
        handles, labels = axes.get_legend_handles_labels()
        if not table["unparsed_percent"].any():
            kept = [number for number, label in enumerate(labels) if label != "Unparsed"]
            handles, labels = [handles[number] for number in kept], [labels[number] for number in kept]
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), handlelength=1.1)
    return figure


def _draw_improvement(axes: Axes, table: pd.DataFrame, order: list[str], opponents: list[str]) -> None:
    """One variant: the mean over opponents with its interval, and each opponent behind it."""
    axes.axvline(0, color=figures.INK, linewidth=0.9)
    axes.grid(axis="x")
    place = {code: row for row, code in enumerate(order)}
    for number, opponent in enumerate(opponents):
        here = table[table["opponent"].eq(opponent)]
        look = (number + 1) % len(figures.SERIES)
        axes.plot(here["improvement"], here["language"].map(place), linestyle="none", marker=figures.MARKERS[look],
                  markersize=4, color=figures.SERIES[look], alpha=0.85, label=f"against {opponent}")  # fmt: skip
    pooled = table[table["opponent"].eq(ALL)]
    rows = pooled["language"].map(place)
    axes.hlines(rows, pooled["low"], pooled["high"], color=figures.WIN, linewidth=1.6)
    axes.plot(pooled["improvement"], rows, linestyle="none", marker="o", markersize=6.5, color=figures.WIN,
              label="mean over opponents, 95% interval")  # fmt: skip


def plot_improvement(table: pd.DataFrame, languages: Sequence[str], names: Mapping[str, str]) -> Figure:
    """Paired difference to the base per language: a panel per variant, the same scale in all.

    Parameters
    ----------
    table : output of :func:`polypref.improvement.tabulate_improvement`.
    languages : order of the rows; all of them together come first.
    names : language code to English name.
    """
    variants = list(dict.fromkeys(table["policy"]))
    opponents = [name for name in dict.fromkeys(table["opponent"]) if name != ALL]
    order = [ALL, *(code for code in languages if code in set(table["language"]))]
    limit = np.nanmax(table.loc[table["opponent"].eq(ALL), ["low", "high"]].abs().to_numpy(), initial=1.0)
    limit = 1.08 * max(limit, table["improvement"].abs().max())
    with figures.style():
        figure, panels = plt.subplots(
            1, len(variants), figsize=(1.2 + 2.75 * len(variants), 1.5 + 0.29 * len(order)), sharex=True, sharey=True,
            squeeze=False, layout="constrained",
        )  # fmt: skip
        for axes, variant in zip(panels[0], variants, strict=True):
            here = table[table["policy"].eq(variant)]
            _draw_improvement(axes, here, order, opponents)
            axes.axhline(0.5, color=figures.INK, linewidth=0.6)
            axes.set(xlim=(-limit, limit), ylim=(len(order) - 0.5, -0.5))
            axes.set_title(f"{variant} − base")
            figures.bare(axes)
        labels = ["All languages" if code == ALL else names.get(code, code) for code in order]
        panels[0, 0].set_yticks(range(len(order)), labels)
        prompts = table.loc[table["opponent"].eq(ALL) & table["language"].ne(ALL), "prompts"]
        count = f"{prompts.min()}" if prompts.nunique() == 1 else f"{prompts.min()} to {prompts.max()}"
        figure.supxlabel(
            "change of Win% − Loss% in percentage points (right of zero: better than the base); "
            f"n = {count} prompts per language",
            fontsize=8.5,
        )
        handles, labels = axes.get_legend_handles_labels()
        first = [*handles[-1:], *handles[:-1]], [*labels[-1:], *labels[:-1]]
        figure.legend(
            *first, loc="outside upper center", ncols=min(4, len(labels)), handletextpad=0.3, columnspacing=1.4
        )
    return figure
