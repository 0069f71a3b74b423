"""Figure of the training curves: loss, rewards of chosen and rejected answers, and accuracy with held-out pairs."""

import math
from collections.abc import Mapping, Sequence

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
ACCURACY = {"accuracy": ("accuracy", "C2", "-")}
HELD_OUT = {"loss": "held_out_loss", "accuracy": "held_out_accuracy"}
SPANS = 20
"""The window of the running mean is the number of steps divided by this number."""


def _draw_curves(axes: Axes, logs: Sequence[pd.DataFrame], curves: Mapping[str, tuple]) -> None:
    """Draw each curve as a bold line for its running mean, on faint lines: all steps, or the mean of each seed."""
    log = _mean_log(logs)
    window = max(1, round(len(log) / SPANS))
    for column, (label, colour, dashes) in curves.items():
        if len(logs) > 1:
            for each in logs:
                smooth = each[column].rolling(window, center=True, min_periods=1).mean()
                axes.plot(each["step"], smooth, color=colour, alpha=0.4, linewidth=0.8)
        elif window > 1:
            axes.plot(log["step"], log[column], color=colour, alpha=0.3, linewidth=0.8)
        smooth = log[column].rolling(window, center=True, min_periods=1).mean()
        axes.plot(log["step"], smooth, color=colour, linewidth=1.8, linestyle=dashes, label=label)
    axes.grid(axis="y")
    axes.tick_params(length=0)


def _mean_log(logs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return logs[0] if len(logs) == 1 else pd.concat(logs).groupby("step", as_index=False).mean()


def _draw_held_out(axes: Axes, log: pd.DataFrame, curve: str) -> None:
    """Draw the evaluations on held-out pairs as points joined by a line."""
    if (column := HELD_OUT[curve]) in log:
        found = log.dropna(subset=column)
        axes.plot(found["step"], found[column], color=style.INK, marker="o", markersize=3.5, linewidth=0.8,
                  label="held-out pairs")  # fmt: skip


def _level(axes: Axes, value: float, text: str) -> None:
    """Draw a dashed horizontal line with its label below it, so that the label does not overlap the panel's title."""
    axes.axhline(value, color=style.INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    if text:
        axes.annotate(
            text, (1, value), xycoords=("axes fraction", "data"), xytext=(0, -3), textcoords="offset points",
            ha="right", va="top", fontsize=8,
        )  # fmt: skip


def _count(logs: Sequence[pd.DataFrame], batch_size: int | None) -> str:
    seeds = f"{len(logs)} seeds, " if len(logs) > 1 else ""
    return f"{seeds}n = {len(logs[0]):,} steps" + (f" of {batch_size:,} pairs" if batch_size else "")


def plot_training(
    logs: Mapping[str, Sequence[pd.DataFrame]], batch_size: int | None = None, loss: str = "dpo"
) -> Figure:
    """Plot the training curves, with a column per architecture: loss, rewards and, with held-out pairs, accuracy.

    The panels of a row share one scale.

    Parameters
    ----------
    logs : mapping from architecture to the training logs of its seeds (:data:`polypref.training.log.LOG_COLUMNS`).
    batch_size : pairs per optimiser step, given in the title of each column.
    loss : ``dpo`` or ``ipo``.
    """
    held_out = any(name in log for seeds in logs.values() for log in seeds for name in HELD_OUT.values())
    figure, panels = plt.subplots(
        2 + held_out, len(logs), figsize=(max(3.6, 2.6 * len(logs) + 0.6), 4.6 + 1.9 * held_out), sharex=True,
        sharey="row", squeeze=False, layout="constrained",
    )  # fmt: skip
    for column, (name, seeds) in enumerate(logs.items()):
        above, below, *last = panels[:, column]
        _draw_curves(above, seeds, LOSS)
        _draw_curves(below, seeds, REWARDS)
        if loss == "dpo":
            _level(above, math.log(2), "ln 2: no preference" if column == len(logs) - 1 else "")
        _level(below, 0.0, "")
        for axes in last:
            _draw_held_out(above, _mean_log(seeds), "loss")
            _draw_curves(axes, seeds, ACCURACY)
            _draw_held_out(axes, _mean_log(seeds), "accuracy")
            _level(axes, 0.5, "")
        above.set_title(name, loc="left")
        above.set_title(_count(seeds, batch_size), loc="right", weight="normal", fontsize=8)
        panels[-1, column].set_xlabel("optimiser step")
        below.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0, 0].set_ylabel(f"{loss.upper()} loss" + (" (nats)" if loss == "dpo" else ""))
    panels[1, 0].set_ylabel("reward (β · log-ratio, nats)")
    if held_out:
        panels[2, 0].set_ylabel("accuracy")
    panels[0, 0].margins(x=0.01)
    handles, labels = panels[1, 0].get_legend_handles_labels()
    if held_out:
        handles, labels = handles + above.lines[-1:], [*labels, "held-out pairs"]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=2.6)
    return figure
