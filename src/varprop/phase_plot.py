"""The figure of a phase diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .figure import BLACK, VERMILION, legend, new_figure, require_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .phase import FloatArray, PhaseDiagram

_SCALES = (3.0, 10.0, 30.0)  # layers
_HEIGHTS = (0.45, 0.7, 0.9, 0.25, 0.55, 0.4)  # of their numbers, from left to right


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

    Over all lies the edge, measured and by theory at this depth, and theory's edge of chaos, that
    of infinite depth. Over the first lie theory's curves on which g changes e-fold within 3, 10
    and 30 layers (depth scale xi_g), over the second those on which the distance of a correlation
    from where it comes to rest falls e-fold within these (xi_c); dashed in the ordered phase.

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
    >>> [axes.get_title() for axes in phase(found).axes[2:3]]
    ['variance']
    """
    from matplotlib.axes import Axes

    from .phase import PhaseDiagram
    from .phase_edge import edge_at_depth
    from .phase_theory import edge_of_chaos

    require_result(diagram, PhaseDiagram)
    if ax is None:
        figure = new_figure(4.4)
        panels = list(figure.subplots(1, 3, sharey=True))
    else:
        panels = [ax] if isinstance(ax, Axes) else list(ax)
    if not 1 <= len(panels) <= len(_PANELS):
        raise ValueError(f"ax must be an Axes, or two or three of them, got {len(panels)}")
    left = panels[0]
    for axes, draw in zip(panels, _PANELS, strict=False):
        draw(axes, diagram)
    measured, error = diagram.edge()
    at_depth = _line(edge_at_depth(diagram), diagram.sigma_b)
    edge = _line(edge_of_chaos(diagram), diagram.sigma_b)
    for axes in panels:
        axes.errorbar(
            measured, diagram.sigma_b, xerr=error, fmt="o", markersize=4, color=VERMILION,
            markeredgecolor="white", markeredgewidth=0.5, label="edge, simulated", zorder=3,
        )  # fmt: skip
        label = f"theory, depth {diagram.depth}"
        axes.plot(*at_depth, color=BLACK, linewidth=1.4, linestyle=(0, (1, 1.2)), label=label)
        axes.plot(*edge, color=BLACK, linewidth=1.6, label="theory, edge of chaos")
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
    ends = [side for side in (-diagram.growth.min(), diagram.growth.max()) if side > 0]
    most = float(min(ends))  # where one side is much the larger, the other keeps its colours
    _map(axes, diagram, diagram.growth, "growth of g per layer, ln", cmap="RdBu_r",
         vmin=-most, vmax=most)  # fmt: skip
    grid = diagram.sigma_w, diagram.sigma_b, diagram.predicted_growth
    _depth_scales(axes, *grid, title="gradients", symbol=r"\xi_g")


def _correlation(axes: Axes, diagram: PhaseDiagram) -> None:
    from .phase_theory import correlation_rates

    label = f"c of the last layer, {diagram.input_correlation:g} at first"
    least = np.floor(10 * min(0.9, float(np.nanmin(diagram.correlation, initial=1.0)))) / 10
    _map(axes, diagram, diagram.correlation, label, cmap="cividis", vmin=least, vmax=1.0)
    _depth_scales(axes, *correlation_rates(diagram), title="correlation", symbol=r"\xi_c")


def _variance(axes: Axes, diagram: PhaseDiagram) -> None:
    # A few cells where signals die would leave one colour for all the others.
    least = np.quantile(diagram.log_variance, 0.05)
    _map(axes, diagram, diagram.log_variance, "ln K of the last layer", cmap="viridis",
         vmin=least)  # fmt: skip
    axes.set_title("variance", fontsize=10)


_BEYOND = {
    (False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both",
}  # fmt: skip
_PANELS = (_gradients, _correlation, _variance)


def _depth_scales(
    axes: Axes, sigma_w: FloatArray, sigma_b: FloatArray, rates: FloatArray, *, title: str,
    symbol: str,
) -> None:  # fmt: skip
    """Contours of one over a rate, with the number of layers on each, and what they are above."""
    axes.set_title(title, fontsize=10)
    if min(rates.shape) == 1:
        return
    from matplotlib.patheffects import AbstractPathEffect, withStroke

    fading = [-1 / scale for scale in _SCALES]
    levels = fading + [-level for level in reversed(fading)]
    lines = axes.contour(
        sigma_w, sigma_b, np.ma.masked_invalid(rates), levels=levels, colors=BLACK, linewidths=0.8,
        linestyles=["dashed"] * len(fading) + ["solid"] * len(fading),
    )  # fmt: skip
    # They must be seen on dark colours too.
    halo: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground="white", alpha=0.7)]
    lines.set_path_effects(halo)
    # Near the edge they are close together: each has its number at a height of its own.
    places = []
    for path, share in zip(lines.get_paths(), _HEIGHTS, strict=True):
        points = np.asarray(path.vertices)
        if len(points):
            height = sigma_b[0] + share * (sigma_b[-1] - sigma_b[0])
            places.append(points[np.abs(points[:, 1] - height).argmin()])
    for text in axes.clabel(
        lines, fmt=lambda level: f"{abs(1 / level):.0f}", fontsize=9, manual=places
    ):
        text.set_path_effects(halo)
    axes.set_title(f"{title}; lines: ${symbol}$ in layers", fontsize=10)


def _map(axes: Axes, diagram: PhaseDiagram, values: FloatArray, label: str, **colours: Any) -> None:
    edges = _edges(diagram.sigma_w), _edges(diagram.sigma_b)
    mesh = axes.pcolormesh(*edges, values, **colours)
    figure = axes.get_figure(root=True)
    if figure is not None:
        low, high = mesh.get_clim()
        extend = _BEYOND[bool((values < low).any()), bool((values > high).any())]
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
