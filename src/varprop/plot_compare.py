"""Several results side by side, each with theory's line."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from .figure import (
    BLACK,
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    draw_theory,
    dress,
    new_figure,
    require_result,
    scale_log_or_not,
)
from .plot_signal import SYMBOLS, first_of, heights, spaced, thinned, wants_log
from .plot_theory import predicted_logs, prediction_for
from .propagation import Propagation
from .summary import HIGH, LOW
from .table import network_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .statistic import FloatArray

_MOST_POINTS = 20
_LABEL = 30  # characters of a line in the legend, which stands beside the axes


def compare(
    propagations: Sequence[Propagation],
    ax: Axes | None = None,
    *,
    statistic: str = "preactivation",
) -> Axes:
    """Draw one quantity of several results by depth.

    Points are medians over networks, with bars from their 10% to their 90% quantile; lines are
    theory, in the limit of infinite width. The legend says in what the networks differ.

    Parameters
    ----------
    propagations : sequence of Propagation
        The results, 1 to 8; of several inputs the first is drawn.
    ax : Axes, optional
        Where to draw. Default: a new figure.
    statistic : {"preactivation", "activation", "variance", "gradient"}
        What to draw.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For none or more than 8 results, an unknown statistic, or gradients not measured.

    Examples
    --------
    >>> import varprop
    >>> runs = [varprop.simulate(depth=5, width=50, act="tanh", scheme=s, trials=9)
    ...         for s in ("xavier", "he")]
    >>> [text.get_text() for text in compare(runs).get_legend().get_texts()][:2]
    ['xavier', 'he']
    """
    results = list(propagations)
    if not 1 <= len(results) <= len(COLOURS):
        raise ValueError(f"compare draws 1 to {len(COLOURS)} results, got {len(results)}")
    for each in results:
        require_result(each, Propagation)
    curves = [_logs(each, statistic) for each in results]
    shown = np.concatenate([part for curve in curves for part in curve if part is not None])
    shown = shown[np.isfinite(shown)]
    logarithmic = wants_log(shown)
    ax = new_figure().subplots() if ax is None else ax
    common, labels = told_apart(results)
    for i, (result, label, curve) in enumerate(zip(results, labels, curves, strict=True)):
        _draw(ax, (i, len(results)), result.network.depth, label, curve, logarithmic)
    ax.plot(
        [], [], color=GREY, linewidth=0, marker="|", markersize=11, markeredgewidth=1.3,
        label="median, 10% to 90%",
    )  # fmt: skip
    if any(curve[3] is not None for curve in curves):
        ax.plot([], [], color=GREY, linewidth=1.6, label="theory, infinite width")
    symbol, meaning = SYMBOLS[statistic]
    dress(ax, max(result.network.depth for result in results), f"${symbol}$, {meaning}")
    scale_log_or_not(ax, heights(shown, logarithmic), logarithmic)
    ax.set_title(common, loc="left", fontsize=12, color=BLACK, wrap=True)
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=10.5, handlelength=2.6
    )
    return ax


Logs = tuple["FloatArray", "FloatArray", "FloatArray", "FloatArray | None"]


def _logs(result: Propagation, statistic: str) -> Logs:
    """ln of the low, middle and high quantile, and of theory, by layer."""
    low, median, high = first_of(result, statistic).log_quantile((LOW, 0.5, HIGH)).filled(-np.inf)
    theory = predicted_logs(prediction_for(result, None), statistic, result.network.depth)
    return low, median, high, theory


def _draw(
    ax: Axes, place: tuple[int, int], depth: int, label: str, logs: Logs, logarithmic: bool
) -> None:
    i, count = place
    low, median, high, theory = (None if log is None else heights(log, logarithmic) for log in logs)
    assert low is not None
    assert median is not None
    assert high is not None
    at = spaced(depth, _MOST_POINTS)
    # Each result is drawn at layers of its own where not all are, so that bars hide no others.
    at = at - (i * (at[1] - at[0]) // count if len(at) > 1 else 0)
    at = at[(at >= 0) & np.isfinite(median[at])]
    # A bar to a dead network ends at its median: there is no height for 0 on a log axis.
    below = np.where(np.isfinite(low[at]), median[at] - low[at], 0.0)
    ax.errorbar(
        at + 1, median[at], yerr=np.abs([below, high[at] - median[at]]), color=COLOURS[i],
        marker=MARKERS[i], markersize=5.5, elinewidth=1.3, linestyle="none", zorder=2.5,
    )  # fmt: skip
    ax.plot(
        [], [], label=fill(label, _LABEL), color=COLOURS[i], marker=MARKERS[i], markersize=5.5,
        linestyle=DASHES[i] if theory is not None else "none", linewidth=1.5,
    )  # fmt: skip
    if theory is not None:
        line = thinned(depth, 600)
        style = {"color": COLOURS[i], "linestyle": DASHES[i], "linewidth": 1.5}
        draw_theory(ax, line + 1, theory[line], **style)


def told_apart(results: Sequence[Propagation]) -> tuple[str, list[str]]:
    """What the networks have in common, and in what each differs; numbers where in nothing.

    Examples
    --------
    >>> import varprop
    >>> told_apart([varprop.simulate(depth=d, width=9, act="tanh", trials=2) for d in (2, 3)])
    ('width 9, tanh, he', ['depth 2', 'depth 3'])
    """
    features = list(zip(*(network_features(each.network) for each in results), strict=True))
    common = ", ".join(same[0] for same in features if len(set(same)) == 1 and same[0])
    differing = [each for each in features if len(set(each)) > 1]
    labels = [", ".join(filter(None, parts)) for parts in zip(*differing, strict=True)]
    if len(results) == 1:
        return common, ["simulation"]
    if len(set(labels)) < len(results):
        labels = [f"{i}: {label}" for i, label in enumerate(labels or [""] * len(results), 1)]
        labels = [label.removesuffix(": ") for label in labels]
    return common, [label or "plain" for label in labels]
