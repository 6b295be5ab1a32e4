"""Two inputs on their way through the layers: do they come together, or part?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .figure import (
    BLUE,
    GREY,
    SKY,
    draw_theory,
    dress,
    legend,
    new_figure,
    require_result,
    scale_log_or_not,
)
from .pair_prediction import predicted_log_gap
from .plot_signal import heights, spaced, thinned
from .propagation import Propagation
from .statistic import LayerStatistic
from .summary import HIGH, LOW
from .table import describe_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .statistic import FloatArray

_MOST_POINTS = 30
_NEAR = math.log(0.03)  # 1 - c below it can't be seen on an axis of c


def correlation(propagation: Propagation, ax: Axes | None = None, *, pair: int = 0) -> Axes:
    """Draw the correlation c of two inputs' pre-activations by depth.

    Points are medians over networks, with bars from their 10% to their 90% quantile; the line is
    theory, in the limit of infinite width. Where the inputs come or stay so near to each other
    that c is 1 to the eye, 1 - c is drawn, on a logarithmic axis.

    Parameters
    ----------
    propagation : Propagation
        A result with two inputs or more.
    ax : Axes, optional
        Where to draw. Default: a new figure.
    pair : int, default 0
        Which pair, by its place in ``propagation.pairs``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        When there is one input only, or no such pair.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=9, width=200, act="tanh", correlation=0.5, trials=9)
    >>> correlation(p).get_ylabel()
    '$c$, correlation of two inputs'
    """
    require_result(propagation, Propagation)
    if propagation.inputs == 1:
        raise ValueError(
            "correlations need two inputs: simulate(..., correlation=0.5), or x of several rows"
        )
    pairs = propagation.pairs
    if not 0 <= pair < len(pairs):
        raise ValueError(f"pair must be from 0 to {len(pairs) - 1}, got {pair!r}")
    depth = propagation.network.depth
    logs = propagation.rows.log_gap
    assert logs is not None  # there are several inputs
    logs = logs.reshape(propagation.trials, len(pairs), depth)[:, pair]
    # Pairs of which one input died have no angle; they count from there on in no quantile.
    gap = LayerStatistic("gap", logs, missing=logs == np.inf)
    low, median, high = gap.log_quantile((LOW, 0.5, HIGH)).filled(np.nan)
    theory = predicted_log_gap(propagation, pair)
    shown = np.concatenate([low, median, high] + ([] if theory is None else [theory]))
    shown = shown[np.isfinite(shown)]
    near = bool(shown.size and shown.min() < _NEAR)
    ax = new_figure().subplots() if ax is None else ax

    def placed(log: FloatArray) -> FloatArray:
        return heights(log, True) if near else 1 - np.exp(log)

    at = spaced(depth, _MOST_POINTS)
    at = at[np.isfinite(median[at])]
    ends = np.nan_to_num(np.abs([placed(log[at]) - placed(median[at]) for log in (low, high)]))
    ax.errorbar(
        at + 1, placed(median[at]), yerr=ends if near else ends[::-1], color=BLUE, marker="o",
        markersize=5, linestyle="none", elinewidth=1.3, ecolor=SKY, zorder=2.5,
        label="median of networks, 10% to 90%",
    )  # fmt: skip
    if theory is not None:
        line = thinned(depth, 600)
        draw_theory(ax, line + 1, placed(theory[line]), label="theory, infinite width")
    if near:
        dress(ax, depth, "$1 - c$ of two inputs")
        scale_log_or_not(ax, heights(shown, True), True)
    else:
        dress(ax, depth, "$c$, correlation of two inputs")
        least = 1 - math.exp(float(shown.max())) if shown.size else 0.0
        ax.set_ylim(min(0.0, math.floor(4 * least) / 4) - 0.03, 1.03)
        ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set_title(describe_network(propagation.network), loc="left", fontsize=12, wrap=True)
    legend(ax, loc="best")
    return ax
