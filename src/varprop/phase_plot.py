"""The figure of a phase diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .figure import BLACK, GREY, VERMILION, legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .phase import FloatArray, PhaseDiagram

_SCALES = (3.0, 10.0, 30.0)  # layers


@overload
def phase(diagram: PhaseDiagram, ax: None = None) -> Figure: ...
@overload
def phase(diagram: PhaseDiagram, ax: Axes) -> Axes: ...
@overload
def phase(diagram: PhaseDiagram, ax: Sequence[Axes]) -> Sequence[Axes]: ...
def phase(
    diagram: PhaseDiagram, ax: Axes | Sequence[Axes] | None = None
) -> Figure | Axes | Sequence[Axes]:
    """Draw growth of gradients, correlation and variance over (sigma_w, sigma_b).

    Over all lies the edge of chaos, measured and by theory; over the first also theory's curves
    on which a gradient changes e-fold within 3, 10 and 30 layers, by these numbers; dashed where
    it fades.

    Parameters
    ----------
    diagram : PhaseDiagram
        From `varprop.phase_diagram`.
    ax : Axes, or up to three of them, optional
        Where to draw: one for the gradients alone, a second for the correlation. Default: a new
        figure.

    Returns
    -------
    Figure, or what was given as `ax`

    Raises
    ------
    ValueError
        For more than three Axes, or none.

    Examples
    --------
    >>> from varprop.phase import phase_diagram
    >>> found = phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1, 0.2], depth=9, width=50)
    >>> [axes.get_title() for axes in phase(found).axes[:3]]
    ['gradients', 'correlation', 'variance']
    """
    from matplotlib.axes import Axes

    from .phase import predicted_edge

    if ax is None:
        figure = new_figure(4.2)
        panels = list(figure.subplots(1, 3, sharey=True))
    else:
        panels = [ax] if isinstance(ax, Axes) else list(ax)
    if not 1 <= len(panels) <= len(_PANELS):
        raise ValueError(f"ax must be an Axes, or two or three of them, got {len(panels)}")
    left = panels[0]
    for axes, draw in zip(panels, _PANELS, strict=False):
        draw(axes, diagram)
    if min(diagram.growth.shape) > 1:
        levels = [-1 / scale for scale in _SCALES] + [1 / scale for scale in reversed(_SCALES)]
        lines = left.contour(
            diagram.sigma_w, diagram.sigma_b, diagram.predicted_growth, levels=levels,
            colors=GREY, linewidths=0.8,
            linestyles=["dashed"] * len(_SCALES) + ["solid"] * len(_SCALES),
        )  # fmt: skip
        left.clabel(lines, fmt=lambda level: f"{abs(1 / level):.0f}", fontsize=7)
    measured, error = diagram.edge()
    edge = _line(predicted_edge(diagram), diagram.sigma_b)
    for axes in panels:
        axes.errorbar(
            measured, diagram.sigma_b, xerr=error, fmt="o", markersize=4, color=VERMILION,
            markeredgecolor="white", markeredgewidth=0.5, label="edge, simulated", zorder=3,
        )  # fmt: skip
        axes.plot(*edge, color=BLACK, linewidth=1.6, label="edge, theory")
    left.set_ylabel(r"$\sigma_b$", fontsize=12)
    if ax is None:
        figure.suptitle(
            f"{diagram.act}, depth {diagram.depth}, width {diagram.width}", x=0.01, ha="left",
            fontsize=11,
        )  # fmt: skip
        figure.legend(
            *left.get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False,
            fontsize=9.5,
        )  # fmt: skip
        return figure
    legend(left, loc="lower right")
    return ax


def _gradients(axes: Axes, diagram: PhaseDiagram) -> None:
    most = float(np.abs(diagram.growth).max())
    _map(axes, diagram, diagram.growth, "fades  <  growth of g per layer, ln  >  grows",
         cmap="RdBu_r", vmin=-most, vmax=most)  # fmt: skip
    axes.set_title("gradients", fontsize=10)


def _correlation(axes: Axes, diagram: PhaseDiagram) -> None:
    label = f"c of the last layer, {diagram.input_correlation:g} at first"
    least = min(0.0, float(np.nanmin(diagram.correlation, initial=0.0)))
    _map(axes, diagram, diagram.correlation, label, cmap="cividis", vmin=least, vmax=1.0)
    axes.set_title("correlation", fontsize=10)


def _variance(axes: Axes, diagram: PhaseDiagram) -> None:
    # A few cells where signals die would leave one colour for all the others.
    least = np.quantile(diagram.log_variance, 0.05)
    _map(axes, diagram, diagram.log_variance, "ln K of the last layer", cmap="viridis",
         vmin=least)  # fmt: skip
    axes.set_title("variance", fontsize=10)


_PANELS = (_gradients, _correlation, _variance)


def _map(axes: Axes, diagram: PhaseDiagram, values: FloatArray, label: str, **colours: Any) -> None:
    edges = _edges(diagram.sigma_w), _edges(diagram.sigma_b)
    mesh = axes.pcolormesh(*edges, values, **colours)
    figure = axes.get_figure(root=True)
    if figure is not None:
        extend = "min" if values[np.isfinite(values)].min() < mesh.norm.vmin else "neither"
        figure.colorbar(mesh, ax=axes, label=label, location="bottom", shrink=0.9, extend=extend)
    axes.set_xlabel(r"$\sigma_w$", fontsize=12)


def _edges(middles: FloatArray) -> FloatArray:
    """Edges of the cells around some places; a single cell reaches half of its place both ways."""
    if len(middles) == 1:
        half = float(middles[0]) / 2 or 0.5
        return np.array([middles[0] - half, middles[0] + half])
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - between[0]], between, [2 * middles[-1] - between[-1]]])


def _line(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A line through some points; of one point, through its whole cell."""
    return (x, y) if len(x) > 1 else (np.repeat(x, 2), _edges(y))
