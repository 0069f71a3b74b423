"""The look that all figures share, and how they are saved.

Figures are drawn on a transparent ground with one colour of ink, :data:`INK`, and one of grid lines, :data:`GRID`.
The report puts them into its page as inline SVG and gives both colours the page's own, light or dark; nothing else in
a figure may use these two. Text is drawn as paths, so that no font is needed to read it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polypref.tables import atomic_write

INK = "#22262b"
GRID = "#d4d8de"
# Okabe and Ito (2008), told apart by the colour-blind; losses and ties come from it too.
WIN, LOSS, TIE, UNPARSED = "#0072b2", "#d55e00", "#b8bec6", "#7a828c"
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7a00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.titlecolor": INK, "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True,
    "svg.fonttype": "path", "svg.hashsalt": "polypref", "axes.unicode_minus": True,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for a figure of this project, for the time of a ``with`` block."""
    with plt.rc_context(STYLE):
        yield


def save(figure: Figure, svg: str | Path, png: str | Path) -> None:
    """Save a figure as SVG and as PNG (white ground, 160 dpi) and close it.

    Neither file holds a date, so that the same numbers give the same bytes. A file is written whole or not at all.
    """
    with style():
        for path, options in ((svg, {"metadata": {"Date": None}}), (png, {"dpi": 160, "facecolor": "white"})):
            with atomic_write(path) as file:
                figure.savefig(file, format=Path(path).suffix[1:], bbox_inches="tight", pad_inches=0.06, **options)
    plt.close(figure)


def bare(axes: Axes) -> None:
    """Take spines and tick marks away, keep the labels."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_on(colour: Sequence[float]) -> str:
    """Black or white, whichever is easier to read on a ground of that RGB colour (0 to 1), by WCAG luminance."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return "#111111" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.22 else "#ffffff"
