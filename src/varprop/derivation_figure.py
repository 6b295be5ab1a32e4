"""Figures of derivations: the theory's curves with simulated points over them.

The theory says in plain data what to draw and what to simulate; this room does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .figure import COLOURS, DASHES, DPI, GREY, MARKERS, legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from .propagation import Propagation
    from .statistic import FloatArray
    from .theory.figure import Curve, Figure, Overlay

__all__ = ["Points", "drawn", "paint", "simulated"]

_MOST_POINTS = 30


@dataclass(frozen=True)
class Points:
    """Means over simulated networks with their standard errors, at the x of a figure.

    Examples
    --------
    >>> Points("simulated", np.array([1.0]), np.array([0.5]), np.array([0.01])).label
    'simulated'
    """

    label: str
    x: FloatArray
    y: FloatArray
    error: FloatArray


def simulated(figure: Figure, *, seed: int = 0) -> tuple[Points, ...]:
    """Run the simulations that the overlays of a figure describe.

    Parameters
    ----------
    figure : Figure
        From a derivation.
    seed : int, default 0
        The same seed gives the same points.

    Examples
    --------
    >>> from varprop import Network
    >>> from varprop.theory.figure import Figure, Overlay
    >>> overlay = Overlay("simulated", (Network(3, width=50),), trials=9)
    >>> (points,) = simulated(Figure("q", "By depth.", "$l$", "$q$", (), (overlay,)))
    >>> points.x
    array([1., 2., 3.])
    """
    return tuple(_points(overlay, seed) for overlay in figure.overlays)


def _points(overlay: Overlay, seed: int) -> Points:
    from .simulate import simulate

    runs = [simulate(net, trials=overlay.trials, seed=seed) for net in overlay.networks]
    if not overlay.at:
        mean, error = _mean(runs[0], overlay.statistic)
        layers = np.arange(1.0, len(mean) + 1)
        keep = np.unique(np.linspace(0, len(mean) - 1, _MOST_POINTS).round().astype(int))
        return Points(overlay.label, layers[keep], mean[keep], error[keep])
    last = [tuple(part[-1] for part in _mean(run, overlay.statistic)) for run in runs]
    means, errors = np.array(last).T
    return Points(overlay.label, np.array(overlay.at), means, errors)


def _mean(run: Propagation, name: str) -> tuple[FloatArray, FloatArray]:
    """Means and standard errors by layer, 0 below what float64 holds."""
    statistic = getattr(run, name)
    mean, error = (
        np.exp(np.minimum(part.filled(-np.inf), 700.0))
        for part in (statistic.log_of_mean, statistic.log_of_stderr)
    )
    return mean, error


def drawn(figure: Figure, points: tuple[Points, ...] | None = None) -> Canvas:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        From a derivation.
    points : tuple of Points, optional
        One for each overlay. Default: simulated now.

    Examples
    --------
    >>> from varprop.theory.figure import Curve, Figure
    >>> line = Curve.of("$K/2$", [1.0, 2.0], [0.5, 1.0])
    >>> drawn(Figure("map", "ReLU.", "$K$", "$Q$", (line,))).axes[0].get_xlabel()
    '$K$'
    """
    canvas = new_figure(4.3)
    ax = canvas.subplots()
    for i, curve in enumerate(figure.curves):
        _draw_curve(ax, curve, i)
    for i, group in enumerate(simulated(figure) if points is None else points):
        _draw_points(ax, group, i, only=not figure.curves)
    ax.set_xscale(figure.x_scale)
    ax.set_yscale(figure.y_scale)
    ax.set_xlabel(figure.x_label, fontsize=12)
    ax.set_ylabel(figure.y_label, fontsize=12)
    ax.tick_params(labelsize=10.5, color=GREY)
    ax.grid(True, color="#E4E4E4", linewidth=0.7)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    legend(ax, loc="best")
    return canvas


def _draw_curve(ax: Axes, curve: Curve, i: int) -> None:
    ax.plot(
        curve.x, curve.y, label=curve.label, linewidth=1.8,
        color=COLOURS[i % 8], linestyle=DASHES[i % 8],
    )  # fmt: skip


def _draw_points(ax: Axes, group: Points, i: int, *, only: bool) -> None:
    """The points of overlay i, in the colour of curve i."""
    seen = group.y > 0 if ax.get_yscale() == "log" else np.full(len(group.y), True)
    ax.errorbar(
        group.x[seen], group.y[seen], 2 * group.error[seen], label=f"{group.label} (± 2 s.e.)",
        color=COLOURS[i % 8], linestyle="none", marker=MARKERS[i % 8], markersize=5.5,
        markerfacecolor=COLOURS[i % 8] if only else "white", capsize=2.5, linewidth=1.2, zorder=3,
    )  # fmt: skip


def paint(figure: Figure, path: Path) -> None:
    """Draw a figure, points simulated, into a file; the same versions give the same bytes.

    Parameters
    ----------
    figure : Figure
        From a derivation.
    path : Path
        Ends in .png, .svg or .pdf.

    Examples
    --------
    >>> from varprop.theory.figure import Curve, Figure
    >>> paint(Figure("map", "", "$K$", "$Q$", (Curve.of("Q", [1.0], [0.5]),)), Path("map.svg"))
    """
    import matplotlib

    stamp = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix)
    with matplotlib.rc_context({"svg.hashsalt": "varprop"}):
        drawn(figure).savefig(path, dpi=DPI, metadata={stamp: None} if stamp else None)
