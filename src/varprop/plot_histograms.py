"""The grid of histograms, one a layer: where the units of a network lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from .figure import BLACK, BLUE, GREY, new_figure
from .histogram import NO_SCALE, QUANTITIES
from .plot_signal import first_of, thinned
from .table import describe_network
from .text import format_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .activation import Activation
    from .histogram import Counts, IntArray
    from .network import Network
    from .propagation import Propagation
    from .statistic import FloatArray

_MOST_PANELS, _COLUMNS = 10, 5
_TOP = 1.12  # height of a panel, the tallest bar that counts being 1
_TAIL = 0.001  # of the units of a layer, on either side, may lie beyond the axis
_SHARE_TOLD = 0.05  # of units exactly 0: told in words, and their bar may be cut
_NARROWEST = -1000
_LETTERS = {"activation": "h", "preactivation": "z"}


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
    tops = highest_values(propagation.network, quantity)
    unit, power, ends = drawn_range(counts, shown + 1)
    rms = first_of(propagation, quantity).log_median.filled(-np.inf) / 2
    zero = propagation.input(0).zero.mean
    for i, (axes, row) in enumerate(zip(panels, shown, strict=True)):
        exact = float(zero[row]) if quantity == "activation" else 0.0
        _panel(axes, drawn_layer(counts, int(row) + 1, unit, tops[row]), exact)
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


def drawn_range(counts: Counts, layers: IntArray) -> tuple[int, int, tuple[float, float]]:
    """On what axis to draw some layers together.

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
    >>> drawn_range(Counts(np.array([[0, 5, 9, 0]]), exponents=np.array([-1])), np.array([1]))
    (0, 0, (-0.55, 0.55))
    """
    unit = 0
    if counts.exponents is not None:
        scales = [int(counts.exponents[layer - 1]) for layer in layers]
        largest = max((e for e in scales if e != NO_SCALE), default=0) + int(math.log2(counts.bins))
        unit = 0 if -10 <= largest <= 17 else largest
    low = high = 0.0
    for layer in layers:
        edges, heights = drawn_layer(counts, int(layer), unit)
        share = heights / max(1.0, heights.sum())
        below, above = np.cumsum(share), np.cumsum(share[::-1])
        if below[-1] > 0:
            low = min(low, float(edges[int(np.argmax(below > _TAIL))]))
            high = max(high, float(edges[len(edges) - 1 - int(np.argmax(above > _TAIL))]))
    margin = 0.05 * (high - low) or 1.0
    return unit, unit, (low - margin, high + margin)


def highest_values(network: Network, quantity: str) -> list[float]:
    """For each layer the highest value, where an activation tends to it from below; else inf.

    Examples
    --------
    >>> from varprop import Network
    >>> highest_values(Network(2, act="tanh"), "activation")
    [1.0, 1.0]
    """
    if quantity != "activation":
        return [math.inf] * network.depth
    found = {act: _highest(act) for act in network.distinct_acts}
    return [found[act] for act in network.acts]


def _highest(act: Activation) -> float:
    if act.at_infinity is None or act.at_infinity[1] != 0:
        return math.inf
    values = act(np.concatenate([np.linspace(-40, 40, 801), [1e3, 1e6]]))
    return float(values[-1]) if values[-1] == values[-2] == values.max() else math.inf


def drawn_layer(
    counts: Counts, layer: int, unit: int, top: float = math.inf
) -> tuple[FloatArray, FloatArray]:
    """Edges of a layer's bins over 2^unit, and heights; narrow ones are all but one place.

    A bin holds its left edge, so what rounds to the highest value `top` lies in a bin of its own
    beyond it. It is drawn in the bin below, or the two sides of tanh would look unlike.
    """
    row = counts.counts[layer - 1].astype(np.float64)
    exponent = NO_SCALE if counts.exponents is None else int(counts.exponents[layer - 1])
    if exponent != NO_SCALE and -1000 < exponent < 1000 and math.isfinite(top):
        first = top / 2.0**exponent + counts.bins // 2
        if first == int(first) and 0 < first < counts.bins:
            row[int(first) - 1] += row[int(first)]
            row[int(first)] = 0.0
    if counts.exponents is None:
        edges = counts.edges(layer)
        return edges, row / np.diff(edges)
    steps = np.arange(counts.bins + 1, dtype=np.float64) - counts.bins // 2
    power = _NARROWEST if exponent == NO_SCALE else max(exponent - unit, _NARROWEST)
    return steps * 2.0**power, row
