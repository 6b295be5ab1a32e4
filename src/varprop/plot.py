"""Figures of results, to be shown in a talk; every function draws on `ax` and returns it.

Where no `ax` is given, a new figure is made: functions of one panel then return its Axes, those of
several the Figure, which a notebook shows. `save_figure` writes either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from .figure import new_figure, require_result, save_figure
from .phase_plot import phase
from .plot_compare import compare
from .plot_correlation import correlation
from .plot_histograms import histograms
from .plot_map import variance_map
from .plot_signal import shares, signal
from .plot_theory import LayerLogs, Wanted, prediction_for
from .propagation import Propagation
from .spectrum_plot import spectrum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


__all__ = [
    "LayerLogs",
    "compare",
    "correlation",
    "histograms",
    "phase",
    "plot",
    "save_figure",
    "shares",
    "signal",
    "spectrum",
    "variance_map",
]


@overload
def plot(
    propagation: Propagation, ax: None = None, *, prediction: Wanted = None,
    statistic: str = "preactivation",
) -> Figure: ...  # fmt: skip
@overload
def plot(
    propagation: Propagation, ax: Axes, *, prediction: Wanted = None,
    statistic: str = "preactivation",
) -> Axes: ...  # fmt: skip
@overload
def plot(
    propagation: Propagation, ax: Sequence[Axes], *, prediction: Wanted = None,
    statistic: str = "preactivation",
) -> Sequence[Axes]: ...  # fmt: skip
def plot(
    propagation: Propagation,
    ax: Axes | Sequence[Axes] | None = None,
    *,
    prediction: Wanted = None,
    statistic: str = "preactivation",
) -> Figure | Axes | Sequence[Axes]:
    """Draw the signal by depth, its gradient, and the shares of saturated and of zero units.

    Theory is the dashed line. Of several inputs the first; ``plot(p[1])`` draws another.

    Parameters
    ----------
    propagation : Propagation
        The result.
    ax : Axes, or two or three of them, optional
        Where to draw: one for the signal alone, two for signal and shares, three for signal,
        gradient and shares. Default: a new figure with all that was measured.
    prediction : LayerLogs or False, optional
        Theory, drawn as a line: anything with an array ``log_variance`` of one ln K per layer.
        Default: `varprop.theory.predict`, if it has an answer; False: no line.
    statistic : {"preactivation", "activation", "variance"}
        What the first panel shows.

    Returns
    -------
    Figure, or what was given as `ax`
        `save_figure` writes a figure to a file.

    Raises
    ------
    ValueError
        For an unknown statistic, or a prediction of another depth.
    TypeError
        When `ax` is something else.

    Examples
    --------
    >>> import varprop
    >>> figure = plot(varprop.simulate(depth=5, width=30, act="tanh", trials=9))
    >>> len(figure.axes)
    3
    """
    from matplotlib.axes import Axes

    require_result(propagation, Propagation)
    panels: Sequence[Axes]
    if ax is None:
        if propagation.backward:
            figure, ratios = new_figure(7.6), [2.2, 2.2, 1]
        else:
            figure, ratios = new_figure(5.6), [2.4, 1]
        panels = list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios))
    else:
        panels = [ax] if isinstance(ax, Axes) else _checked(ax)
    theory = prediction_for(propagation, prediction)
    chosen: Wanted = False if theory is None else theory
    lines = [signal(propagation, panels[0], prediction=chosen, statistic=statistic)]
    if len(panels) == 3:
        lines.append(signal(propagation, panels[1], prediction=chosen, statistic="gradient"))
        lines[1].set_title("", loc="left")
    if ax is None:
        _one_legend(figure, lines)
    if len(panels) > 1:
        shares(propagation, panels[-1])
        for upper in panels[:-1]:
            upper.set_xlabel("")
    return figure if ax is None else ax


def _one_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """For all panels, and above them: in a panel it would lie over the band."""
    for each in panels:
        told = each.get_legend()
        if told is not None:
            told.remove()
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, frameon=False,
        fontsize=10, handlelength=1.5, columnspacing=1.2, handletextpad=0.6, borderaxespad=0.3,
    )  # fmt: skip


def _checked(ax: Sequence[Axes]) -> Sequence[Axes]:
    from matplotlib.axes import Axes

    try:
        panels = list(ax)
    except TypeError:
        panels = []
    if len(panels) not in (2, 3) or not all(isinstance(each, Axes) for each in panels):
        raise TypeError(
            f"ax must be an Axes, or two or three of them, got {ax!r}; to save a figure: "
            "varprop.plot.save_figure(p.plot(), 'figure.png')"
        )
    return panels
