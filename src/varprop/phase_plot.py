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
    on which a gradient changes e-fold within 3, 10 and 30 layers, by these numbers.

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
            colors=GREY, linewidths=0.8, linestyles="solid",
        )  # fmt: skip
        left.clabel(lines, fmt=lambda level: f"{abs(1 / level):.0f}", fontsize=7)
    measured, error = diagram.edge()
    edge = predicted_edge(diagram)
    for axes in panels:
        axes.errorbar(
            measured, diagram.sigma_b, xerr=error, fmt="o", markersize=3, color=VERMILION,
            markeredgecolor="white", markeredgewidth=0.4, label="edge, simulated",
        )  # fmt: skip
        axes.plot(edge, diagram.sigma_b, color=BLACK, linewidth=1.6, label="edge, theory")
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
    _map(axes, diagram, diagram.growth, "growth of g per layer, ln", cmap="RdBu_r", vmin=-most,
         vmax=most)  # fmt: skip
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
    mesh = axes.pcolormesh(diagram.sigma_w, diagram.sigma_b, values, shading="nearest", **colours)
    figure = axes.get_figure(root=True)
    if figure is not None:
        extend = "min" if values[np.isfinite(values)].min() < mesh.norm.vmin else "neither"
        figure.colorbar(mesh, ax=axes, label=label, location="bottom", shrink=0.9, extend=extend)
    axes.set_xlabel(r"$\sigma_w$", fontsize=12)
