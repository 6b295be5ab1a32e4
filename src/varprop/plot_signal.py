"""One quantity by depth: median, band, single networks and theory; and the shares of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    VERMILION,
    draw_theory,
    dress,
    legend,
    new_figure,
    require_result,
    scale_log_or_not,
)
from .plot_theory import Wanted, predicted_logs, prediction_for
from .propagation import Propagation
from .statistic import LayerStatistic
from .summary import HIGH, LOW
from .table import describe_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .statistic import FloatArray

SYMBOLS = {
    "variance": ("K", "variance\nof a pre-activation"),
    "preactivation": ("q", "mean square\nof pre-activations"),
    "activation": ("a", "mean square\nof activations"),
    "gradient": ("g", "mean square\nof a gradient"),
}
_MOST_TRIALS, _MOST_POINTS, _FEW_LAYERS = 12, 600, 25
# log10 of less than any depth reaches: where the band of dead networks ends.
_BELOW = -1e12


def signal(
    propagation: Propagation,
    ax: Axes | None = None,
    *,
    prediction: Wanted = None,
    statistic: str = "preactivation",
) -> Axes:
    """Draw median, 10-90% band and single networks of one quantity by depth, and theory.

    The axis is logarithmic where the values differ by a factor of 10 or more or are far from 1;
    it then reaches beyond float64 if it must. Parameters as of `plot`, with one `ax`.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import varprop
    >>> ax = signal(varprop.simulate(depth=5, width=30, trials=9), statistic="gradient")
    >>> ax.get_xlabel()
    'layer'
    """
    require_result(propagation, Propagation)
    measured = first_of(propagation, statistic)
    propagation = propagation.input(0)
    depth = propagation.network.depth
    at = thinned(depth, _MOST_POINTS)
    layers = at + 1
    several = propagation.trials > 1
    single = measured.log.filled(-np.inf)[:_MOST_TRIALS, at]
    low, median, high = measured.log_quantile((LOW, 0.5, HIGH)).filled(-np.inf)[:, at]
    theory = predicted_logs(prediction_for(propagation, prediction), statistic, depth)
    theory = None if theory is None else theory[at]
    shown = np.concatenate([low, median, high] + ([] if theory is None else [theory]))
    logarithmic = wants_log(shown[shown > -np.inf])
    ax = new_figure().subplots() if ax is None else ax
    few = depth <= _FEW_LAYERS
    label = "10% to 90% of networks"
    if several:
        # Where more than 10% of the networks are dead, the band reaches down to the axis.
        bottom, top = (np.nan_to_num(heights(log, logarithmic), nan=_BELOW) for log in (low, high))
        if few:
            ax.vlines(layers, bottom, top, color=BLUE, linewidth=1.3, alpha=0.8, label=label)
        else:
            ax.fill_between(layers, bottom, top, color=SKY, alpha=0.35, linewidth=0, label=label)
        ax.plot(
            layers, heights(single, logarithmic).T, color=GREY, linewidth=0.5, alpha=0.3,
            zorder=1.5,
        )  # fmt: skip
        ax.plot([], [], color=GREY, linewidth=0.8, alpha=0.6, label="single networks")
    ax.plot(
        layers, heights(median, logarithmic), color=BLUE, linewidth=0 if few and several else 2.2,
        marker="o" if few else "", markersize=5.5,
        label=f"median of {propagation.trials} networks" if several else "one network",
    )  # fmt: skip
    if theory is not None:
        draw_theory(
            ax, layers, heights(theory, logarithmic), label="theory, infinite width", zorder=3
        )
    symbol, meaning = SYMBOLS[statistic]
    dress(ax, depth, f"${symbol}$, {meaning}")
    scale_log_or_not(ax, heights(shown, logarithmic), logarithmic)
    title = describe_network(propagation.network)
    if propagation.dead:
        title += f"  ({propagation.dead} of {propagation.trials} networks died)"
    ax.set_title(title, loc="left", fontsize=12, color=BLACK, wrap=True)
    legend(ax, loc="best")
    return ax


def shares(propagation: Propagation, ax: Axes | None = None) -> Axes:
    """Draw the shares of saturated and of exactly zero units by depth, means over networks.

    Where networks died, their share as well.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import varprop
    >>> shares(varprop.simulate(depth=5, width=30, trials=9)).get_ylabel()
    '% of units'
    """
    require_result(propagation, Propagation)
    ax = new_figure().subplots() if ax is None else ax
    propagation = propagation.input(0)
    depth = propagation.network.depth
    at = thinned(depth, _MOST_POINTS)
    lines: list[tuple[FloatArray, str, Any, str, str]] = [
        (propagation.saturated.mean[at], VERMILION, "-", "o", "saturated"),
        (propagation.zero.mean[at], BLACK, (0, (2, 1.5)), "s", "exactly zero"),
    ]
    if propagation.dead:
        died = propagation.died[propagation.died > 0, np.newaxis]
        dead = (died <= at + 1).sum(axis=0) / propagation.trials
        lines.append((dead, BLUE, (0, (6, 1.5, 1, 1.5)), "v", "dead networks, % of networks"))
    for share, color, style, shape, label in lines:
        ax.plot(
            at + 1, 100 * share, color=color, linestyle=style, linewidth=1.8,
            marker=shape if depth <= _FEW_LAYERS else "", markersize=4, label=label, clip_on=False,
        )  # fmt: skip
    dress(ax, depth, "% of units")
    ax.set_ylim(-3, 103)
    ax.set_yticks([0, 25, 50, 75, 100])
    legend(ax, loc="lower left", bbox_to_anchor=(0, 0.98), ncols=3, borderpad=0)
    return ax


def first_of(propagation: Propagation, statistic: str) -> LayerStatistic:
    """A quantity of the first input (and cotangent), by trial and layer.

    Raises
    ------
    ValueError
        For an unknown quantity, or gradients that were not measured.
    """
    if statistic not in SYMBOLS:
        raise ValueError(f"statistic must be one of {', '.join(SYMBOLS)}; got {statistic!r}")
    measured: LayerStatistic = getattr(propagation.input(0), statistic)
    if measured.log.ndim == 2:
        return measured
    return LayerStatistic(statistic, measured.log.filled(-np.inf)[:, 0])


def thinned(depth: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of the layers to draw: all, or so many, evenly spaced.

    Examples
    --------
    >>> thinned(100, 3)
    array([ 0, 50, 99])
    """
    return np.unique(np.linspace(0, depth - 1, min(depth, most)).round().astype(np.int64))


def spaced(depth: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of at most so many layers with one distance between them, the last among them.

    Examples
    --------
    >>> spaced(10, 4)
    array([0, 3, 6, 9])
    """
    step = -(-depth // most)
    return np.arange((depth - 1) % step, depth, step, dtype=np.int64)


def heights(log: FloatArray, logarithmic: bool) -> FloatArray:
    """Where to draw numbers given by their natural logarithms; gaps for zeros on a log axis.

    Examples
    --------
    >>> heights(np.log([1.0, 100.0]), True), heights(np.log([1.0, 100.0]), False).round(9)
    (array([0., 2.]), array([  1., 100.]))
    """
    if not logarithmic:
        # Single networks may lie far above the figure.
        return np.exp(np.minimum(log, 700.0))
    gaps: FloatArray = np.where(log > -np.inf, log, np.nan) / np.log(10.0)
    return gaps


def wants_log(log: FloatArray) -> bool:
    """Whether numbers differ so much, or are so far from 1, that a logarithmic axis helps.

    Examples
    --------
    >>> wants_log(np.log([1.0, 5.0])), wants_log(np.log([1.0, 50.0]))
    (False, True)
    """
    if log.size == 0:
        return False
    lowest, highest = log.min(), log.max()
    return bool(highest - lowest > np.log(10) or highest > np.log(1e4) or lowest < np.log(1e-3))
