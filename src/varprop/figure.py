"""Canvases, axes and files of figures. Matplotlib's global state is neither used nor touched.

Colours are from the palette of Okabe and Ito, told apart by all common kinds of colour vision;
lines that share a panel differ in lightness and dash as well, so greyscale print works.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .png import png_bytes
from .text import format_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .histogram import IntArray
    from .statistic import FloatArray

BLUE, SKY, VERMILION, BLACK, GREY = "#0072B2", "#56B4E9", "#D55E00", "#000000", "#555555"
# Things that are told apart by colour, dash and marker alike: the first, the second, ...
COLOURS = (BLUE, VERMILION, BLACK, "#009E73", "#CC79A7", SKY, "#E69F00", "#777777")
DASHES: tuple[Any, ...] = (
    "solid", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (9, 3)),
    (0, (6, 2, 1.5, 2, 1.5, 2)), (0, (1, 3)),
)  # fmt: skip
MARKERS = "osD^vPX*"
DASHED = (0, (5, 2.5))  # theory beside one result
DPI = 160


# What draws which result, and where the result comes from.
_DRAWN = {
    "Propagation": ("plot", "simulate"),
    "JacobianSpectrum": ("plot.spectrum", "spectrum"),
    "PhaseDiagram": ("plot.phase", "phase_diagram"),
}


def require_result(value: object, kind: type) -> None:
    """Raise TypeError unless a figure was asked for of the kind of result that it shows.

    Examples
    --------
    >>> from varprop import Propagation
    >>> require_result([1.0], Propagation)
    Traceback (most recent call last):
    TypeError: this figure is of a Propagation, as varprop.simulate gives, not of list
    """
    if isinstance(value, kind):
        return
    given = type(value).__name__
    other = f"; varprop.{_DRAWN[given][0]} draws that" if given in _DRAWN else ""
    raise TypeError(
        f"this figure is of a {kind.__name__}, as varprop.{_DRAWN[kind.__name__][1]} gives, not of "
        f"{given}{other}"
    )


def new_figure(height: float = 4.5) -> Figure:
    """Give an empty figure, 8 inches wide, that pyplot knows nothing of.

    Examples
    --------
    >>> new_figure().get_size_inches()
    array([8. , 4.5])
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A notebook shows it although pyplot doesn't know it."""

        def _repr_png_(self) -> bytes:
            from io import BytesIO

            image = BytesIO()
            self.savefig(image, format="png", dpi=100)
            return image.getvalue()

    figure = Shown(figsize=(8.0, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure | Axes, path: str | os.PathLike[str]) -> None:
    """Write a figure; the suffix says in which format (.png, .svg, .pdf).

    The file appears whole or not at all.

    Parameters
    ----------
    figure : Figure or Axes
        What to write: of Axes, the figure they are in.
    path : path-like
        Where to; a file that is there is replaced.

    Raises
    ------
    ValueError
        When Matplotlib can't write that format; the message lists what it can.
    OSError
        When the file can't be written.

    Examples
    --------
    >>> save_figure(new_figure(), "figure.docx")
    Traceback (most recent call last):
    ValueError: can't draw a figure into 'figure.docx': the name must end in .png, .svg or .pdf
    """
    from .files import atomic_path

    check_format(path)
    whole = figure.get_figure(root=True)
    assert whole is not None  # Axes that were removed from their figure
    with atomic_path(path) as temporary:
        if os.path.splitext(path)[1].lower() == ".png":
            temporary.write_bytes(png_bytes(whole, DPI))
        else:
            whole.savefig(temporary, dpi=DPI)


def check_format(path: str | os.PathLike[str]) -> None:
    """Raise ValueError unless the suffix of `path` is one of a figure: .png, .svg or .pdf.

    Examples
    --------
    >>> check_format("figure.svg")
    """
    if os.path.splitext(path)[1].lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(
            f"can't draw a figure into {os.fspath(path)!r}: the name must end in .png, .svg or .pdf"
        )


def scale_log_or_not(ax: Axes, shown: FloatArray, logarithmic: bool) -> None:
    """Limits that follow median, band and theory (not single networks), and honest labels."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    values = shown[np.isfinite(shown)]
    if values.size == 0:
        return
    lowest, highest = float(values.min()), float(values.max())
    if not logarithmic:
        # From 0, unless the values are so alike that the band would be a line.
        spread = highest - lowest
        alike = 0 < spread <= 0.1 * highest
        bottom = max(0.0, lowest - 2 * spread) if alike else 0.0
        ax.set_ylim(bottom, highest + 0.12 * (highest - bottom) if highest > bottom else None)
        return
    margin = max(0.06 * (highest - lowest), 0.1)
    bottom, top = lowest - margin, highest + margin
    ax.set_ylim(bottom, top)
    if top - bottom < 2.5:
        powers = np.arange(np.floor(bottom), np.ceil(top) + 1)
        ticks = (powers[:, np.newaxis] + np.log10([1, 2, 5])).ravel()
        ax.yaxis.set_major_locator(FixedLocator(ticks[(ticks >= bottom) & (ticks <= top)].tolist()))
    else:
        ax.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    plain = bottom > -3.1 and top < 5
    ax.yaxis.set_major_formatter(FuncFormatter(_plain_label if plain else _power_label))


def _plain_label(log10: float, _position: int | None = None) -> str:
    return format_log(log10 * np.log(10.0), 1)


def _power_label(log10: float, _position: int | None = None) -> str:
    """Name a tick at log10, which is that of 1, 2 or 5 times a power of ten."""
    power = int(np.floor(log10 + 1e-6))
    leading = round(10 ** (log10 - power))
    if leading == 1:
        return f"$10^{{{power}}}$" if power else "1"
    return rf"${leading}\times 10^{{{power}}}$"


def draw_theory(ax: Axes, layers: FloatArray | IntArray, heights: FloatArray, **style: Any) -> None:
    """Draw theory as a line, of a single layer as a dash."""
    if len(layers) == 1:
        layers, heights = layers + np.array([-0.2, 0.2]), np.repeat(heights, 2)
    drawn: dict[str, Any] = {"color": BLACK, "linewidth": 1.6, "linestyle": DASHED}
    ax.plot(layers, heights, **(drawn | style))


def dress(ax: Axes, depth: int, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("layer", fontsize=12)
    ax.set_ylabel(label, fontsize=12)
    ax.set_xlim(0.5, depth + max(0.5, 0.012 * depth))
    ax.xaxis.set_major_locator(
        MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    ax.tick_params(labelsize=10.5, color=GREY)
    ax.grid(True, axis="y", color="#DDDDDD", linewidth=0.7)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def legend(ax: Axes, **where: Any) -> None:
    """Add the legend, over the lines and not through them."""
    ax.legend(framealpha=0.9, edgecolor="none", fontsize=10.5, **where)
