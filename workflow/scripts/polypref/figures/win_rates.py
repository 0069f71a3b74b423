"""Figures of the win rates: shares of wins, ties and losses by opponent, and Win% - Loss% by language."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from polypref.evaluation.win_rates import ALL
from polypref.figures import style

SHARES = (
    ("win_percent", "Win", style.GOOD),
    ("tie_percent", "Tie", style.NEUTRAL),
    ("unparsed_percent", "Unparsed", style.VOID),
    ("loss_percent", "Loss", style.BAD),
)


def _draw_shares(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the stacked bars of one opponent, with numbers in segments that are wide enough."""
    start = np.zeros(len(table))
    for column, label, colour in SHARES:
        share = table[column].to_numpy()
        axes.barh(table["policy"], share, left=start, color=colour, height=0.72, label=label)
        for row, (left, width) in enumerate(zip(start, share, strict=True)):
            if width >= 6:
                axes.text(left + width / 2, row, f"{width:.1f}", ha="center", va="center_baseline", fontsize=8,
                          color=style.text_on(colour))  # fmt: skip
        start += share


def plot_win_rates(table: pd.DataFrame) -> Figure:
    """Plot the shares of wins, ties, unparsed replies and losses, with a panel per opponent and a bar per policy.

    Parameters
    ----------
    table : win rates by policy and opponent (:func:`polypref.evaluation.estimates.estimate_rates`).
    """
    opponents = list(dict.fromkeys(table["opponent"]))
    bars = table.groupby("opponent").size().max()
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
        style.bare(axes)
        axes.axvline(50, color=style.INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlabel("share of judgements (%)")
    handles, labels = axes.get_legend_handles_labels()
    if not table["unparsed_percent"].any():
        kept = [number for number, label in enumerate(labels) if label != "Unparsed"]
        handles, labels = [handles[number] for number in kept], [labels[number] for number in kept]
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), handlelength=1.1)
    return figure


def language_frame(win_rates: pd.DataFrame, by_language: pd.DataFrame, languages: Sequence[str]) -> pd.DataFrame:
    """Build the data of the heatmap by language, sorted by opponent, policy and language (``all`` first).

    Parameters
    ----------
    win_rates, by_language : win rates pooled over languages, and by language (:mod:`polypref.evaluation.estimates`).
    languages : order of the columns.

    Returns
    -------
    opponent, policy, language (``all`` for the pooled rate), judgements, win_percent, loss_percent, difference,
    difference_low and difference_high (percentage points, 95% interval).
    """
    columns = ["opponent", "policy", "language", "judgements", "win_percent", "loss_percent", "difference",
               "difference_low", "difference_high"]  # fmt: skip
    table = pd.concat([win_rates.assign(language=ALL), by_language], ignore_index=True)[columns]
    orders = {
        "opponent": list(dict.fromkeys(win_rates["opponent"])),
        "policy": list(dict.fromkeys(win_rates["policy"])),
        "language": [ALL, *languages],
    }
    places = {name: table[name].map({value: place for place, value in enumerate(orders[name])}) for name in orders}
    return table.assign(**places).sort_values(list(orders)).assign(**{name: table[name] for name in orders})


def plot_language_heatmap(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Plot Win% - Loss% by policy and language, with a panel per opponent.

    All panels share one colour scale, which is symmetric around zero. With more than `MOST_LABELLED` cells, these have
    no numbers.

    Parameters
    ----------
    table : output of :func:`language_frame`.
    names : language code to English name.
    """
    opponents = list(dict.fromkeys(table["opponent"]))
    policies, languages = (list(dict.fromkeys(table[name])) for name in ("policy", "language"))
    limit = max(table["difference"].abs().max(), 1.0)
    scale, colours, words = Normalize(-limit, limit), style.losses_to_wins(), signed
    size = 0.9 + 0.74 * len(languages), len(opponents) * (0.36 + 0.32 * len(policies)) + 0.75
    if len(table) > style.MOST_LABELLED:
        words = None
        height = len(opponents) * (0.36 + style.NARROW * len(policies)) + 1.5
        size = 2.5 + style.NARROW * len(languages), height
    figure, panels = plt.subplots(len(opponents), 1, figsize=size, squeeze=False, layout="constrained")
    for axes, opponent in zip(panels[:, 0], opponents, strict=True):
        wide = table[table["opponent"].eq(opponent)].pivot(index="policy", columns="language", values="difference")
        values = wide.reindex(index=policies, columns=languages).to_numpy(float)
        left = style.draw_cells(axes, values, colours, scale, words, apart=0)
        axes.set_yticklabels(policies)
        axes.set_title(f"against {opponent}", loc="left")
        axes.set_xticks([])
    labels = ["All" if code == ALL else names.get(code, code) for code in languages]
    axes.set_xticks(np.array(left) + 0.5, labels, rotation=0 if words else 90)
    axes.xaxis.tick_bottom()
    axes.tick_params(length=0)
    if words is None:
        style.add_scale(figure, panels, colours, scale)
    counts = table.loc[table["language"].ne(ALL), "judgements"]
    count = f"{counts.min():,}" if counts.nunique() == 1 else f"{counts.min():,} to {counts.max():,}"
    figure.supxlabel(
        f"Win% − Loss% in percentage points (blue: wins more than it loses); n = {count} judgements per language",
        fontsize=8.5,
    )
    return figure


def signed(value: float) -> str:
    """Format with one decimal, a sign and a typographic minus; values that round to zero have no sign."""
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")
