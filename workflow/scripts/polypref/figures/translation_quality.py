"""Heatmaps of translation scores by translator and language."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polypref.figures import style

METRICS = {"bleu": "BLEU", "chrf": "chrF++"}


def heatmap_frame(scores: pd.DataFrame, column: str, languages: Sequence[str]) -> pd.DataFrame:
    """Arrange scores as a table of translators by languages, sorted by mean score in descending order.

    The mean is over the languages that all translators support; otherwise, a translator that does not support a hard
    language would rank too high. If no language is supported by all, each mean is over the translator's own languages.

    Parameters
    ----------
    scores : table of :func:`polypref.translation_quality.scores.score_translations`, or the paper's.
    column : column of the score, for example ``bleu_sentence_mean``.
    languages : order of the columns.

    Returns
    -------
    Scores (translators x languages, and a column ``mean``); nan if a translator does not support a language.
    """
    wide = scores.pivot(index="translator", columns="language", values=column)
    wide = wide.reindex(columns=[code for code in languages if code in wide])
    shared = wide.dropna(axis="columns")
    wide["mean"] = shared.mean(axis=1) if shared.shape[1] else wide.mean(axis=1)
    return wide.sort_values("mean", ascending=False, kind="stable")


def caption(scores: pd.DataFrame, metric: str) -> str:
    """Format the title of a heatmap: metric, statistic, range and number of segments."""
    if scores.empty:
        return "no translator was scored"
    low, high = scores["segments"].min(), scores["segments"].max()
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{METRICS[metric]}, mean of sentences (0 to 100); n = {count} segments per language"


def plot_heatmap(wide: pd.DataFrame, title: str, names: Mapping[str, str]) -> Figure:
    """Plot a heatmap with the score in each cell; the colour scale runs from 0 (light) to the highest score (dark).

    Parameters
    ----------
    wide : output of :func:`heatmap_frame`.
    title : metric and statistic.
    names : language code to English name.
    """
    rows, columns = wide.shape
    values = wide.to_numpy(float)
    scale = mpl.colors.Normalize(0, np.nanmax(values, initial=1e-9))
    figure, axes = plt.subplots(figsize=(1.6 + 0.86 * columns, 0.75 + 0.4 * rows))
    colours = mpl.colormaps[mpl.rcParams["image.cmap"]]
    left = style.draw_cells(axes, values, colours, scale, "{:.2f}".format, apart=columns - 1)
    axes.set_yticklabels(wide.index)
    served = wide.drop(columns="mean").notna().all().sum()
    mean = "Mean" if served in (0, columns - 1) else f"Mean of the\n{served} all serve"
    labels = [mean if code == "mean" else names.get(code, code) for code in wide.columns]
    axes.set_xticks(np.array(left) + 0.5, labels)
    axes.set_title(title, pad=12)
    return figure
