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
from .text import format_log, format_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .histogram import Counts
    from .propagation import Propagation
    from .statistic import FloatArray

_MOST_PANELS, _COLUMNS = 10, 5
_TOP = 1.12  # height of a panel, the tallest bar that counts being 1
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
    unit, power = _unit(counts, shown + 1)
    rms = first_of(propagation, quantity).log_median.filled(-np.inf) / 2
    zero = propagation.input(0).zero.mean
    for axes, row in zip(panels, shown, strict=True):
        exact = float(zero[row]) if quantity == "activation" else 0.0
        _panel(axes, counts, int(row) + 1, unit, exact, float(rms[row]))
    reach = max(float(np.abs(_edges(counts, int(row) + 1, unit)).max()) for row in shown)
    for i, axes in enumerate(panels):
        axes.set_xlim(-_used(counts, shown, unit, reach), _used(counts, shown, unit, reach))
        if ax is not None or i >= len(panels) - _COLUMNS:
            scale = f" / $2^{{{power}}}$" if power else ""
            axes.set_xlabel(f"${_LETTERS[quantity]}${scale}", fontsize=11)
            axes.tick_params(labelbottom=True)
    return figure if ax is None else ax


def _panel(
    ax: Axes, counts: Counts, layer: int, unit: int, exact: float, log_rms: float
) -> None:
    """One histogram, scaled to its own height; where zeros would dwarf the rest they are cut."""
    edges, row = _edges(counts, layer, unit), counts.counts[layer - 1].astype(np.float64)
    height = row if counts.exponents is not None else row / np.diff(counts.edges(layer))
    at_zero = int(np.searchsorted(edges, 0.0, side="right")) - 1
    others = np.delete(height, at_zero) if 0 <= at_zero < len(height) else height
    cut = exact > 0.05 and others.max(initial=0) > 0 and height.max() > 1.5 * others.max()
    tallest = others.max() if cut else height.max()
    scaled = np.minimum(height / tallest, 2.0) if tallest > 0 else height
    ax.stairs(scaled, edges, fill=True, color=BLUE, linewidth=0.8)
    ax.stairs(scaled, edges, color=BLUE, linewidth=0.9)
    ax.set_ylim(0, _TOP)
    ax.set_yticks([])
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=9, color=GREY)
    ax.set_title(f"layer {layer}", fontsize=10.5, color=BLACK, loc="left", pad=12)
    told = f"rms {format_log(log_rms, 2)}"
    if cut:
        told += f", {format_share(exact)}% at 0"
    ax.text(0, 1.02, told, transform=ax.transAxes, fontsize=8.5, color=GREY)


def _unit(counts: Counts, layers: FloatArray) -> tuple[int, int]:
    """Power of 2 that values are drawn in, and the one to name on the axis (0: none)."""
    if counts.exponents is None:
        return 0, 0
    exponents = [int(e) for e in counts.exponents[np.asarray(layers, dtype=int) - 1]]
    largest = max((e for e in exponents if e != NO_SCALE), default=0)
    # whole values, not bins: a power that is named is about that of the largest value
    largest += int(math.log2(counts.bins))
    return (0, 0) if -10 <= largest <= 17 else (largest, largest)


def _edges(counts: Counts, layer: int, unit: int) -> FloatArray:
    """The edges of a layer's bins over 2^unit; nearly one place where they are far narrower."""
    if counts.exponents is None:
        return counts.edges(layer)
    steps = np.arange(counts.bins + 1, dtype=np.float64) - counts.bins // 2
    exponent = int(counts.exponents[layer - 1])
    power = -1000 if exponent == NO_SCALE else max(exponent - unit, -1000)
    edges: FloatArray = steps * 2.0**power
    return edges


def _used(
    counts: Counts, rows: np.ndarray[tuple[int], np.dtype[np.int64]], unit: int, reach: float
) -> float:
    """Up to where any shown layer has more than a thousandth of its units."""
    furthest = 0.0
    for row in rows:
        edges = _edges(counts, int(row) + 1, unit)
        here = counts.counts[row]
        seen = np.nonzero(here > 0.001 * max(1, int(here.sum())))[0]
        if seen.size:
            furthest = max(furthest, abs(edges[seen[0]]), abs(edges[seen[-1] + 1]))
    return min(reach, 1.05 * furthest) or 1.0
