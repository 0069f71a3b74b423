"""Figure of the training curves: DPO loss, and rewards of chosen and rejected answers with their margin."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polypref.figures import style

LOSS = {"loss": ("loss", "C3", "-")}
REWARDS = {
    "margin": ("margin", "C2", "-"),
    "chosen_reward": ("chosen", style.GOOD, (0, (5, 1.5))),
    "rejected_reward": ("rejected", style.BAD, (0, (1.5, 1.2))),
}
SPANS = 20
"""The window of the running mean is the number of steps divided by this number."""


def _draw_curves(axes: Axes, log: pd.DataFrame, curves: Mapping[str, tuple]) -> None:
    """Draw each curve as a faint line through all steps and a bold line for its running mean."""
    window = max(1, round(len(log) / SPANS))
    for column, (label, colour, dashes) in curves.items():
        if window > 1:
            axes.plot(log["step"], log[column], color=colour, alpha=0.3, linewidth=0.8)
        smooth = log[column].rolling(window, center=True, min_periods=1).mean()
        axes.plot(log["step"], smooth, color=colour, linewidth=1.8, linestyle=dashes, label=label)
    axes.grid(axis="y")
    axes.tick_params(length=0)


def _level(axes: Axes, value: float, text: str) -> None:
    """Draw a dashed horizontal line with its label below it, so that the label does not overlap the panel's title."""
    axes.axhline(value, color=style.INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    if text:
        axes.annotate(
            text, (1, value), xycoords=("axes fraction", "data"), xytext=(0, -3), textcoords="offset points",
            ha="right", va="top", fontsize=8,
        )  # fmt: skip


def _count(log: pd.DataFrame, batch_size: int | None) -> str:
    return f"n = {len(log):,} steps" + (f" of {batch_size:,} pairs" if batch_size else "")


def plot_training(logs: Mapping[str, pd.DataFrame], batch_size: int | None = None) -> Figure:
    """Plot the training curves, with a column per architecture, and loss above rewards.

    The panels of a row share one scale.

    Parameters
    ----------
    logs : mapping from architecture to its training log (:data:`polypref.training.log.LOG_COLUMNS`).
    batch_size : pairs per optimiser step, given in the title of each column.
    """
    figure, panels = plt.subplots(
        2, len(logs), figsize=(max(3.6, 2.6 * len(logs) + 0.6), 4.6), sharex=True, sharey="row", squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for column, (name, log) in enumerate(logs.items()):
        above, below = panels[:, column]
        _draw_curves(above, log, LOSS)
        _draw_curves(below, log, REWARDS)
        _level(above, math.log(2), "ln 2: no preference" if column == len(logs) - 1 else "")
        _level(below, 0.0, "")
        above.set_title(name, loc="left")
        above.set_title(_count(log, batch_size), loc="right", weight="normal", fontsize=8)
        below.set_xlabel("optimiser step")
        below.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0, 0].set_ylabel("DPO loss (nats)")
    panels[1, 0].set_ylabel("reward (β · log-ratio, nats)")
    panels[0, 0].margins(x=0.01)
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=2.6)
    return figure
