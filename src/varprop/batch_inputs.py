"""Inputs as the batch engine carries them: in an order, as values or differences, with units."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ._core import kernels
from .engines import Run
from .pairs import pair
from .scaled import shifted
from .statistic import FloatArray

_NEAR = 6.9  # logarithm of the ratio of lengths up to which an input is a difference to another


def columns_of(
    run: Run,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32], FloatArray, FloatArray]:
    """The inputs as columns: their order, parents, mantissas padded with zeros, ln of units.

    An input is carried as its difference to a near one (along a minimum spanning tree, root first),
    unless dropout, with a mask for each, tears them apart anyway.
    """
    size = run.network.widths[0]
    if run.log_gap is not None:
        first, difference = pair(run.log_gap, size)
        values = np.array([first, difference])
        scales = np.array([0.0, run.log_gap / 2])
        order, parent = np.arange(2), np.array([-1, 0])
        if run.network.keep < 1.0:
            values[1], scales[1] = first + math.exp(run.log_gap / 2) * difference, 0.0
            parent[1] = -1
    else:
        values = np.ones((1, size)) if run.x is None else run.x
        scales = np.zeros(len(values))
        order, parent = _tree(values) if run.network.keep == 1.0 else _forest(len(values))
        values = values[order].copy()
        for column in range(len(values) - 1, 0, -1):
            if parent[column] >= 0:
                values[column] -= values[parent[column]]
    units, logs = shifted(values.T)
    padded = np.zeros((len(values), -(-size // 16) * 16))
    padded[:, :size] = units.T
    return order, parent.astype(np.int32), padded, logs / 2 + scales


def _forest(inputs: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.arange(inputs), np.full(inputs, -1)


def _tree(x: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Order, parents before children, and each one's parent (in that order), or -1."""
    count = len(x)
    order, parent = _forest(count)
    logs = np.array([float(kernels.log_mean_square(one)) if one.any() else -np.inf for one in x])
    with np.errstate(invalid="ignore"):
        near = np.abs(logs[:, None] - logs[None, :]) < 2 * _NEAR
    top = np.abs(x).max() or 1.0
    scaled = x / top
    # Prim's algorithm; SciPy's takes a distance of 0, as of identical inputs, for no edge
    best = np.full(count, np.inf)
    source = np.full(count, -1)
    left = np.ones(count, dtype=bool)
    place = np.empty(count, dtype=np.intp)
    for step in range(count):
        waiting = np.flatnonzero(left)
        chosen = int(waiting[0] if step == 0 else waiting[np.argmin(best[waiting])])
        order[step], place[chosen], left[chosen] = chosen, step, False
        parent[step] = -1 if source[chosen] < 0 else place[source[chosen]]
        distance = ((scaled - scaled[chosen]) ** 2).sum(axis=1)
        closer = left & near[chosen] & (distance < best)
        best[closer], source[closer] = distance[closer], chosen
    return order, parent


def unit_rows(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each row over its root mean square, and ln of that; a row of zeros stays, with ln 0."""
    units, logs = np.zeros(values.shape), np.full(len(values), -np.inf)
    for row, one in enumerate(values):
        if one.any():
            top = np.abs(one).max()  # the mean square itself may over- or underflow
            scaled = one / top
            log = 0.5 * float(kernels.log_mean_square(scaled))
            units[row], logs[row] = scaled / math.exp(log), log + math.log(top)
    return units, logs


def pairs_moved(order: npt.NDArray[np.intp]) -> list[int]:
    """Where the pairs of the inputs are among the pairs of the columns."""
    count, place = len(order), np.argsort(order)
    number: dict[tuple[int, int], int] = {}
    for a in range(count):
        for b in range(a + 1, count):
            number[a, b] = len(number)
    return [
        number[min(place[a], place[b]), max(place[a], place[b])]
        for a in range(count)
        for b in range(a + 1, count)
    ]
