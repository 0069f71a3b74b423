"""The common style of all figures, shared drawing functions, and saving of figures with their data.

The style is a matplotlib style file: ``resources/figures.mplstyle``, or the file set in the configuration. Scripts draw
and save figures inside :func:`style`. Figures have a transparent background; text and axes have the colour :data:`INK`,
grid lines :data:`GRID`. The report embeds figures as inline SVG and replaces these two colours, :data:`WIN` and
:data:`LOSS` by those of the page's light or dark theme. No other element of a figure may use the former two.
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

# The same values as in resources/figures.mplstyle.
INK, GRID, WIN, LOSS = "#22262b", "#d4d8de", "#0072b2", "#d55e00"
# Positions in the style's colour cycle.
GOOD, BAD, NEUTRAL, VOID = "C0", "C5", "C7", "C8"
SERIES = tuple(f"C{place}" for place in range(7))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_LABELLED = 2_000
"""The most cells or intervals of a figure that are drawn with their values."""
NARROW = 0.16
"""Width and height in inches of a cell without its value."""


class FigureError(ValueError):
    """A style file that matplotlib rejects, or a figure with a character that is missing from all fonts."""


@contextmanager
def style(path: str | Path) -> Iterator[None]:
    """Apply the settings of a style file within a ``with`` block.

    Raises
    ------
    FigureError
        The file contains a setting that matplotlib rejects.
    """
    try:
        settings = matplotlib.rc_params_from_file(path, fail_on_error=True, use_default_template=False)
    except (ValueError, SyntaxError) as error:
        raise FigureError(f"{path}: {error}. See matplotlib's page on style files.") from None
    with plt.rc_context(settings):
        yield


def save(figure: Figure, data: pd.DataFrame, files: Any, name: str = "") -> None:
    """Save a figure as SVG and PNG (white background) and its data as CSV, and close the figure.

    The images contain no date, so the same data give the same bytes. Each file is written atomically.

    Parameters
    ----------
    data : the figure's data.
    files : outputs of the rule, with the keys ``{name}_svg``, ``{name}_png`` and ``{name}_csv``.

    Raises
    ------
    FigureError
        A character of the figure is missing from all fonts of the style and would be shown as an empty box.
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
    """Remove spines and tick marks, but keep the labels."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def add_scale(figure: Figure, panels: np.ndarray, colours: Colormap, scale: Normalize) -> None:
    """Add a colour bar to a figure whose cells have no values."""
    shown = matplotlib.cm.ScalarMappable(scale, colours)
    figure.colorbar(shown, ax=panels.ravel().tolist(), shrink=min(1.0, 3 / figure.get_figheight()), aspect=20)


def text_on(colour: Sequence[float] | str) -> str:
    """Return black or white, whichever contrasts more with the background colour by WCAG luminance."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return "#111111" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.22 else "#ffffff"


def losses_to_wins() -> Colormap:
    """Return a diverging colour map from the colour of losses through white to that of wins."""
    # an odd number of steps, so that the middle one is exactly white
    return LinearSegmentedColormap.from_list("losses to wins", [to_rgb(BAD), "white", to_rgb(GOOD)], N=255)


def draw_cells(
    axes: Axes,
    values: np.ndarray,
    colours: Colormap,
    scale: Normalize,
    words: Callable[[float], str] | None,
    apart: int | None = None,
) -> list[float]:
    """Draw the cells of a heatmap with their values, with the first row at the top and a dash for missing values.

    Parameters
    ----------
    values : rows x columns; missing values are nan.
    words : function that formats a value as the text of its cell; without one, cells are only coloured.
    apart : first or last column, if it contains averages: printed in bold and separated by a gap.

    Returns
    -------
    The left edges of the columns; each column has a width of 1.
    """
    rows, columns = values.shape
    gap = 0.18
    left = [column + (gap if apart == 0 and column else gap if 0 < column == apart else 0) for column in range(columns)]
    if words is None:
        for column in range(columns):
            edges = [left[column], left[column] + 1], np.arange(rows + 1)
            axes.pcolormesh(*edges, values[:, column, None], cmap=colours, norm=scale, rasterized=True)
    for (row, column), value in np.ndenumerate(values if words else values[:0]):
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
