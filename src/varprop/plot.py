"""Figures of a result, to be shown in a talk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from .figure import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    VERMILION,
    dress,
    legend,
    new_figure,
    save_figure,
    scale_log_or_not,
)
from .summary import HIGH, LOW
from .table import describe_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .propagation import Propagation
    from .statistic import FloatArray, LayerStatistic

__all__ = ["LayerLogs", "plot", "save_figure", "shares", "signal"]

_SYMBOLS = {
    "variance": ("K", "variance of a pre-activation"),
    "preactivation": ("q", "mean square of pre-activations"),
    "activation": ("a", "mean square of activations"),
}
# In the infinite-width limit q is its own variance K.
_THEORY = {
    "variance": "log_variance",
    "preactivation": "log_variance",
    "activation": "log_activation",
}
_MOST_TRIALS, _MOST_POINTS, _FEW_LAYERS = 24, 600, 25
# log10 of less than any depth reaches: where the band of dead networks ends.
_BELOW = -1e12


class LayerLogs(Protocol):
    """A prediction: anything with ln K of every layer, such as `varprop.theory.Prediction`."""

    @property
    def log_variance(self) -> FloatArray:
        """ln of the predicted variance, (layers,)."""


def plot(
    propagation: Propagation,
    ax: Axes | tuple[Axes, Axes] | None = None,
    *,
    prediction: LayerLogs | None = None,
    statistic: str = "preactivation",
) -> Figure:
    """Draw the signal by depth, and below it the shares of saturated and of zero units.

    Of several inputs the first; ``plot(p[1])`` draws another.

    Parameters
    ----------
    propagation : Propagation
        The result.
    ax : Axes or pair of Axes, optional
        Where to draw: one for the signal alone, or one for each panel. Default: a new figure.
    prediction : LayerLogs, optional
        Theory, drawn as a line: anything with an array ``log_variance`` of one ln K per layer.
    statistic : {"preactivation", "activation", "variance"}
        What the first panel shows.

    Returns
    -------
    Figure
        Use `save_figure`, or its own ``savefig``.

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
    2
    """
    from matplotlib.axes import Axes

    if ax is None:
        pair = new_figure(5.6).subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
        upper, lower = pair[0], pair[1]
    elif isinstance(ax, Axes):
        upper, lower = ax, None
    else:
        try:
            upper, lower = ax
        except (TypeError, ValueError):
            upper = lower = None
        if not (isinstance(upper, Axes) and isinstance(lower, Axes)):
            raise TypeError(
                f"ax must be an Axes or a pair of them, got {ax!r}; to save a figure: "
                "varprop.plot.save_figure(p.plot(), 'figure.png')"
            )
    signal(propagation, upper, prediction=prediction, statistic=statistic)
    if lower is not None:
        shares(propagation, lower)
        upper.set_xlabel("")
    return cast("Figure", upper.get_figure(root=True))


def signal(
    propagation: Propagation,
    ax: Axes | None = None,
    *,
    prediction: LayerLogs | None = None,
    statistic: str = "preactivation",
) -> Axes:
    """Draw median, 10-90% band and single networks of one quantity by depth.

    The axis is logarithmic where the values differ by a factor of 10 or more or are far from 1;
    it then reaches beyond float64 if it must. Parameters as of `plot`, with one `ax`.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import varprop
    >>> ax = signal(varprop.simulate(depth=5, width=30, trials=9), statistic="activation")
    >>> ax.get_xlabel()
    'layer'
    """
    if statistic not in _SYMBOLS:
        raise ValueError(f"statistic must be one of {', '.join(_SYMBOLS)}; got {statistic!r}")
    measured: LayerStatistic = getattr(propagation, statistic)
    propagation = propagation.input(0)
    depth = propagation.network.depth
    at = _thinned(depth)
    layers = at + 1
    several = propagation.trials > 1
    single = measured.log.filled(-np.inf)[:_MOST_TRIALS, at]
    low, median, high = measured.log_quantile((LOW, 0.5, HIGH)).filled(-np.inf)[:, at]
    theory = None if prediction is None else _predicted(prediction, statistic, depth)[at]
    shown = np.concatenate([low, median, high] + ([] if theory is None else [theory]))
    logarithmic = _wants_log(shown[shown > -np.inf])

    def scaled(log: FloatArray) -> FloatArray:
        if not logarithmic:
            # Single networks may lie far above the figure.
            return np.exp(np.minimum(log, 700.0))
        # Gaps, not minus infinity, where networks are dead.
        gaps: FloatArray = np.where(log > -np.inf, log, np.nan) / np.log(10.0)
        return gaps

    ax = new_figure().subplots() if ax is None else ax
    few = depth <= _FEW_LAYERS
    label = "10% to 90% of networks"
    if several:
        # Where more than 10% of the networks are dead, the band reaches down to the axis.
        bottom = np.nan_to_num(scaled(low), nan=_BELOW)
        bounds = bottom, np.nan_to_num(scaled(high), nan=_BELOW)
        if few:
            ax.vlines(layers, *bounds, color=BLUE, linewidth=1.3, alpha=0.8, label=label)
        else:
            ax.fill_between(layers, *bounds, color=SKY, alpha=0.35, linewidth=0, label=label)
        ax.plot(layers, scaled(single).T, color=GREY, linewidth=0.5, alpha=0.3, zorder=1.5)
        ax.plot([], [], color=GREY, linewidth=0.8, alpha=0.6, label="single networks")
    ax.plot(
        layers, scaled(median), color=BLUE, linewidth=2.2, marker="o" if few else "", markersize=5,
        label=f"median of {propagation.trials} networks" if several else "one network",
    )  # fmt: skip
    if theory is not None:
        ax.plot(
            layers, scaled(theory), color=BLACK, linewidth=1.6, linestyle=(0, (5, 2.5)),
            label="theory, infinite width", zorder=3,
        )  # fmt: skip
    symbol, meaning = _SYMBOLS[statistic]
    dress(ax, depth, f"${symbol}$, {meaning}")
    scale_log_or_not(ax, scaled(shown), logarithmic)
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
    ax = new_figure().subplots() if ax is None else ax
    propagation = propagation.input(0)
    depth = propagation.network.depth
    at = _thinned(depth)
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


def _predicted(prediction: LayerLogs, statistic: str, depth: int) -> FloatArray:
    log = np.asarray(getattr(prediction, _THEORY[statistic]), dtype=np.float64)
    if log.shape != (depth,):
        raise ValueError(f"the prediction has shape {log.shape}, the result {depth} layers")
    return log


def _thinned(depth: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of the layers to draw: all, or as many as a figure can show."""
    return np.unique(np.linspace(0, depth - 1, min(depth, _MOST_POINTS)).round().astype(np.int64))


def _wants_log(log: FloatArray) -> bool:
    if log.size == 0:
        return False
    lowest, highest = log.min(), log.max()
    return bool(highest - lowest > np.log(10) or highest > np.log(1e4) or lowest < np.log(1e-3))
