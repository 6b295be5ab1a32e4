"""What sphinx-gallery needs to know of the figures of varprop, which pyplot knows nothing of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

# The order of the gallery: from the question to its answers.
ORDER = (
    "headline.py",
    "schemes.py",
    "histograms.py",
    "variance_map.py",
    "correlation.py",
    "phase.py",
    "spectrum.py",
    "finite_width.py",
    "model.py",
)


def in_order(name: str) -> int:
    return ORDER.index(name)


def figures_of(_block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the figures that a block of a script has given names to, or to Axes of them."""
    paths = []
    names = variables["example_globals"]
    drawn = names.setdefault("__drawn__", [])
    for value in list(names.values()):
        figure = value.get_figure(root=True) if isinstance(value, Axes) else value
        if isinstance(figure, Figure) and not any(figure is one for one in drawn):
            drawn.append(figure)
            paths.append(next(variables["image_path_iterator"]))
            figure.savefig(Path(paths[-1]), dpi=120)
    return figure_rst(paths, settings["src_dir"]) if paths else ""
