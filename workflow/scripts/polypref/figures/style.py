"""The look that all figures share, what several of them draw, and how they are saved with their data.

The look is a matplotlib style file, ``resources/figures.mplstyle`` or one that the configuration names; scripts draw
and save inside :func:`style`. Figures have a transparent ground, one colour of ink, :data:`INK`, and one of grid lines,
:data:`GRID`. The report puts them into its page as inline SVG and gives both, and :data:`WIN` and :data:`LOSS`, the
page's own colours, light or dark; nothing else in a figure may use the first two.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polypref.files.result_tables import write_csv
from polypref.files.tables import atomic_write

# As they stand in resources/figures.mplstyle.
INK, GRID, WIN, LOSS = "#22262b", "#d4d8de", "#0072b2", "#d55e00"
# Places in the style's colour cycle.
GOOD, BAD, NEUTRAL, VOID = "C0", "C5", "C7", "C8"
SERIES = tuple(f"C{place}" for place in range(7))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class FigureError(ValueError):
    """A style file that matplotlib does not take, or a figure with a sign that no font has."""


@contextmanager
def style(path: str | Path) -> Iterator[None]:
    """A style file's settings for the time of a ``with`` block.

    Raises
    ------
    FigureError
        The file sets something to a value that matplotlib does not take.
    """
    try:
        settings = matplotlib.rc_params_from_file(path, fail_on_error=True, use_default_template=False)
    except (ValueError, SyntaxError) as error:
        raise FigureError(f"{path}: {error}. See matplotlib's page on style files.") from None
    with plt.rc_context(settings):
        yield


def save(figure: Figure, data: pd.DataFrame, files: Any, name: str = "") -> None:
    """Save a figure as SVG and as PNG (white ground), and what it shows as CSV; close it.

    Neither picture holds a date, so that the same numbers give the same bytes. A file is written whole or not at all.

    Parameters
    ----------
    data : what the figure shows.
    files : paths under the keys ``{name}_svg``, ``{name}_png`` and ``{name}_csv``: a rule's outputs.

    Raises
    ------
    FigureError
        The figure has a letter that no font of the style has, and would show an empty box.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r"Glyph .* missing from font")
        try:
            for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"facecolor": "white"})):
                with atomic_write(files[f"{name}_{kind}"]) as file:
                    figure.savefig(file, format=kind, **options)
        except UserWarning as missing:
            raise FigureError(
                f"figure {name}: {missing}. Name a font that has it under font.family in the style file "
                "(resources/figures.mplstyle, or figures.style in the configuration)."
            ) from None
        finally:
            plt.close(figure)
    write_csv(data, files[f"{name}_csv"])


def bare(axes: Axes) -> None:
    """Take spines and tick marks away, keep the labels."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_on(colour: Sequence[float] | str) -> str:
    """Black or white, whichever is easier to read on a ground of that colour, by WCAG luminance."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return "#111111" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.22 else "#ffffff"


def losses_to_wins() -> Colormap:
    """From the colour of losses by white to that of wins, for values around zero."""
    # an odd number of steps: zero has one of its own
    return LinearSegmentedColormap.from_list("losses to wins", [to_rgb(BAD), "white", to_rgb(GOOD)], N=255)


def draw_cells(
    axes: Axes,
    values: np.ndarray,
    colours: Colormap,
    scale: Normalize,
    words: Callable[[float], str],
    apart: int | None = None,
) -> list[float]:
    """Draw a heatmap's cells with their numbers, the first row at the top; a dash where there is no value.

    Parameters
    ----------
    values : rows x columns, nan where there is none.
    words : what stands in a cell.
    apart : a column of averages, bold and with a gap on its inner side: the first or the last.

    Returns
    -------
    Left edges of the columns, which are one wide.
    """
    rows, columns = values.shape
    gap = 0.18
    left = [column + (gap if apart == 0 and column else gap if 0 < column == apart else 0) for column in range(columns)]
    for (row, column), value in np.ndenumerate(values):
        middle = left[column] + 0.5, row + 0.5
        if np.isnan(value):
            axes.text(*middle, "–", ha="center", va="center")
            continue
        colour = colours(scale(value))
        axes.add_patch(Rectangle((left[column] + 0.02, row + 0.03), 0.96, 0.94, facecolor=colour, linewidth=0))
        weight = "bold" if column == apart else "normal"
        axes.text(*middle, words(value), ha="center", va="center_baseline", color=text_on(colour[:3]), weight=weight)
    axes.set(xlim=(0, columns + (gap if apart is not None else 0)), ylim=(max(rows, 1), 0))
    axes.set_yticks(np.arange(rows) + 0.5)
    axes.xaxis.tick_top()
    bare(axes)
    return left
