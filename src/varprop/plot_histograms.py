"""The grid of histograms, one a layer: where the units of a network lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from .figure import BLACK, BLUE, GREY, new_figure, require_result
from .histogram import NO_SCALE, QUANTITIES
from .plot_signal import first_of, thinned
from .propagation import Propagation
from .table import describe_network
from .text import format_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .activation import Activation
    from .histogram import Counts, IntArray
    from .network import Network
    from .statistic import FloatArray

_MOST_PANELS, _COLUMNS = 10, 5
_TOP = 1.12  # height of a panel, the tallest bar that counts being 1
_TAIL = 0.001  # of the units of a layer, on either side, may lie beyond the axis
_SHARE_TOLD = 0.05  # of units exactly 0: told in words, and their bar may be cut
_NARROWEST = -1000
_LETTERS = {"activation": "h", "preactivation": "z"}
UNBOUNDED = (-math.inf, math.inf)


@overload
def histograms(
    propagation: Propagation, ax: None = None, *, quantity: str = "activation"
) -> Figure: ...
@overload
def histograms(
    propagation: Propagation, ax: Sequence[Axes], *, quantity: str = "activation"
) -> Sequence[Axes]: ...
def histograms(
    propagation: Propagation,
    ax: Sequence[Axes] | None = None,
    *,
    quantity: str = "activation",
) -> Figure | Sequence[Axes]:
    """Draw histograms of the units of each layer, all on one axis of values.

    Of a deep network ten layers are shown, evenly spaced. Every panel has its own scale upwards;
    rms is the median over networks of the root mean square, and a bar that is cut off, at units
    that are exactly 0, is told in per cent.

    Parameters
    ----------
    propagation : Propagation
        Simulated with ``histogram=``.
    ax : sequence of Axes, optional
        One for each layer to show, evenly spaced. Default: a grid in a new figure.
    quantity : {"activation", "preactivation"}
        Of what.

    Returns
    -------
    Figure, or what was given as `ax`

    Raises
    ------
    ValueError
        When nothing was counted, for an unknown quantity, or more Axes than layers.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=6, width=50, act="tanh", trials=4, histogram=32)
    >>> len(histograms(p).axes)
    6
    """
    require_result(propagation, Propagation)
    if propagation.histogram is None:
        raise ValueError("no units were counted: simulate(..., histogram=64)")
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}; got {quantity!r}")
    depth = propagation.network.depth
    counts: Counts = getattr(propagation.histogram, quantity)
    if ax is None:
        shown = thinned(depth, _MOST_PANELS)
        columns = min(_COLUMNS, len(shown))
        lines = math.ceil(len(shown) / columns)
        figure = new_figure(0.9 + 1.75 * lines)
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
        panels = list(grid.ravel())
        for spare in panels[len(shown) :]:
            spare.remove()
        panels = panels[: len(shown)]
        figure.suptitle(describe_network(propagation.network), x=0.01, ha="left", fontsize=12)
    else:
        panels = list(ax)
        if not 1 <= len(panels) <= depth:
            raise ValueError(f"give 1 to {depth} Axes, one a layer at most; got {len(panels)}")
        shown = thinned(depth, len(panels))
    reach = bounds(propagation.network, quantity)
    unit, power, ends = drawn_range(counts, shown + 1, reach)
    rms = first_of(propagation, quantity).log_median.filled(-np.inf) / 2
    zero = propagation.input(0).zero.mean
    for i, (axes, row) in enumerate(zip(panels, shown, strict=True)):
        exact = float(zero[row]) if quantity == "activation" else 0.0
        _panel(axes, drawn_layer(counts, int(row) + 1, unit, reach[row]), exact)
        told = f"rms {format_log(float(rms[row]), 2)}"
        if exact > _SHARE_TOLD:
            told += f", {100 * exact:.0f}% at 0"
        axes.set_title(f"layer {row + 1}", fontsize=10.5, color=BLACK, loc="left", pad=12)
        axes.text(0, 1.02, told, transform=axes.transAxes, fontsize=8.5, color=GREY)
        axes.set_xlim(*ends)
        if ax is not None or i >= len(panels) - _COLUMNS:
            scale = f" / $2^{{{power}}}$" if power else ""
            axes.set_xlabel(f"${_LETTERS[quantity]}${scale}", fontsize=11)
            axes.tick_params(labelbottom=True)
    return figure if ax is None else ax


def _panel(ax: Axes, drawn: tuple[FloatArray, FloatArray], exact: float) -> None:
    """One histogram, scaled to its own height; where zeros would dwarf the rest they are cut."""
    edges, height = drawn
    tallest = height.max()
    at_zero = int(np.searchsorted(edges, 0.0, side="right")) - 1
    if exact > _SHARE_TOLD and 0 <= at_zero < len(height):
        others = np.delete(height, at_zero).max(initial=0.0)
        tallest = others if others > 0 else tallest
    scaled = np.minimum(height / tallest, 2.0) if tallest > 0 else height
    # The outline keeps bars visible that are narrower than a pixel.
    ax.stairs(scaled, edges, fill=True, color=BLUE)
    ax.stairs(scaled, edges, color=BLUE, linewidth=0.9)
    ax.set_ylim(0, _TOP)
    ax.set_yticks([])
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=9, color=GREY)


def drawn_range(
    counts: Counts, layers: IntArray, reach: Sequence[tuple[float, float]]
) -> tuple[int, int, tuple[float, float]]:
    """On what axis to draw some layers together; `reach` has the bounds of every layer.

    Returns
    -------
    unit : int
        Values are drawn in 2^unit.
    power : int
        The same where the axis must name it; 0 where the numbers are handy as they are.
    ends : (float, float)
        Those of the axis; no layer has more than a thousandth of its units beyond either.

    Examples
    --------
    >>> from varprop.histogram import Counts
    >>> counts = Counts(np.array([[0, 5, 9, 0]]), exponents=np.array([-1]))
    >>> drawn_range(counts, np.array([1]), [UNBOUNDED])
    (0, 0, (-0.55, 0.55))
    """
    unit = 0
    if counts.exponents is not None:
        scales = [int(counts.exponents[layer - 1]) for layer in layers]
        largest = max((e for e in scales if e != NO_SCALE), default=0) + int(math.log2(counts.bins))
        unit = 0 if -10 <= largest <= 17 else largest
    low = high = 0.0
    for layer in layers:
        edges, heights = drawn_layer(counts, int(layer), unit, reach[layer - 1])
        area = heights * np.diff(edges)
        tail = _TAIL * area.sum()
        below, above = np.cumsum(area), np.cumsum(area[::-1])
        if below[-1] > 0:
            low = min(low, float(edges[int(np.argmax(below > tail))]))
            high = max(high, float(edges[len(edges) - 1 - int(np.argmax(above > tail))]))
    margin = 0.05 * (high - low) or 1.0
    return unit, unit, (low - margin, high + margin)


def bounds(network: Network, quantity: str) -> list[tuple[float, float]]:
    """For each layer the least and the highest value, where activations tend to one; else inf.

    Examples
    --------
    >>> from varprop import Network
    >>> bounds(Network(2, act=["tanh", "relu"]), "activation")
    [(-1.0, 1.0), (0.0, inf)]
    """
    if quantity != "activation":
        return [UNBOUNDED] * network.depth
    found = {act: _bounds(act, network.keep) for act in network.distinct_acts}
    return [found[act] for act in network.acts]


def _bounds(act: Activation, keep: float) -> tuple[float, float]:
    if act.at_infinity is None:
        return UNBOUNDED
    values = act(np.concatenate([[-1e60, -1e30], np.linspace(-40, 40, 801), [1e30, 1e60]]))
    left, right = act.at_infinity
    falls = left == 0 and values[0] == values[1] == values.min()
    rises = right == 0 and values[-1] == values[-2] == values.max()
    low, high = float(values[0]) if falls else -math.inf, float(values[-1]) if rises else math.inf
    if keep < 1:  # dropout divides what it keeps, and what it drops is 0
        return min(low / keep, 0.0), max(high / keep, 0.0)
    return low, high


def drawn_layer(
    counts: Counts, layer: int, unit: int, reach: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Edges of a layer's bins over 2^unit, and heights; narrow ones are all but one place.

    The outermost bins end at the bounds of the values, `reach`: what is beyond could only be
    empty, and would be drawn as low. A bin holds its left edge, so what rounds to the upper bound
    may lie in a bin beyond it; it is drawn in the last one, or the two sides of tanh would look
    unlike.

    Examples
    --------
    >>> from varprop.histogram import Counts
    >>> counts = Counts(np.array([[0, 5, 3, 2]]), exponents=np.array([0]))
    >>> for reach in (UNBOUNDED, (-1.0, 1.0), (-0.5, 1.5)):
    ...     print(*drawn_layer(counts, 1, 0, reach))
    [-2. -1.  0.  1.  2.] [0. 5. 3. 2.]
    [-1.  0.  1.] [5. 5.]
    [-0.5  0.   1.   1.5] [10.  3.  4.]
    """
    row = counts.counts[layer - 1].astype(np.float64)
    if counts.exponents is None:
        edges = counts.edges(layer)
        return edges, row / np.diff(edges)
    exponent = int(counts.exponents[layer - 1])
    edges = np.arange(counts.bins + 1, dtype=np.float64) - counts.bins // 2
    if -1000 < exponent < 1000:
        low, high = (np.clip(bound / 2.0**exponent, edges[0], edges[-1]) for bound in reach)
        first = int(np.searchsorted(edges, low, side="right")) - 1
        last = int(np.searchsorted(edges, high, side="left"))
        row[last - 1] += row[last:].sum()
        row, edges = row[first:last], edges[first : last + 1]
        edges[0], edges[-1] = low, high
    power = _NARROWEST if exponent == NO_SCALE else max(exponent - unit, _NARROWEST)
    return edges * 2.0**power, row / np.diff(edges)
