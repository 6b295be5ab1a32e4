"""Every zero of a smooth function of ln K on a range: crossings, touches, and flat stretches.

A function analytic in a strip around the real axis can't do much between two points of a fine
grid. So zeros are sought where the sign changes and where |f| has a local minimum; there the grid
is made finer, and an extremum itself is found first, which tells two near zeros, one double zero
and none apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

__all__ = ["Zero", "zeros"]

Array = NDArray[np.float64]
Function = Callable[[Array], Any]

_FINER = 32  # points between two of the grid's where a zero may be near
_STRETCH = 0.2  # of u: zeros as long as that are no single point blurred by the tolerance
_DIP = 4.0  # between two points a parabola falls by less than 1/4 of what it rises beside them


@dataclass(frozen=True)
class Zero:
    """A zero, or a stretch of them.

    Attributes
    ----------
    start, stop : float
        Where it lies; both the same for a single point.
    before, after : int
        Sign of the function to the left and to the right; 0 where the range ends in a stretch.

    Examples
    --------
    >>> Zero(1.0, 1.0, 1, 1).kind
    'touch'
    """

    start: float
    stop: float
    before: int
    after: int

    @property
    def kind(self) -> str:
        """ "crossing", "touch" or "stretch"."""
        if self.stop > self.start:
            return "stretch"
        return "touch" if self.before == self.after else "crossing"


def zeros(f: Function, slope: Function, grid: Array, tolerance: float) -> list[Zero]:
    """All zeros of f between the first and the last point of a grid, from left to right.

    Parameters
    ----------
    f, slope : callable
        The function and its derivative: array in, array out.
    grid : ndarray
        Increasing points, so dense that f has at most one extremum between two of them.
    tolerance : float
        |f| up to this counts as 0: the error of f.

    Examples
    --------
    >>> found = zeros(np.sin, np.cos, np.arange(1.0, 7.0, 0.1), 1e-14)
    >>> [round(zero.start, 12) for zero in found]
    [3.14159265359, 6.28318530718]
    >>> zeros(lambda u: (u - 2.03) ** 2, lambda u: 2 * (u - 2.03), np.arange(0.0, 4.0), 1e-14)
    [Zero(start=2.03, stop=2.03, before=1, after=1)]
    """
    grid, values = _refined(f, grid, tolerance)
    signs = _signs(values, tolerance)
    edges = np.flatnonzero(np.diff(signs)) + 1
    starts = [0, *edges.tolist()]
    stops = [*edges.tolist(), len(grid)]  # run i is grid[starts[i]:stops[i]]
    found: list[Zero] = []
    for run, (a, b) in enumerate(zip(starts, stops, strict=True)):
        sign = int(signs[a])
        before = int(signs[a - 1]) if run else 0
        after = int(signs[b]) if b < len(grid) else 0
        if sign:
            if before == -sign:
                found.append(_crossing(f, grid[a - 1], grid[a], before))
            found += _inside(f, slope, grid[a:b], values[a:b], sign, tolerance)
        elif grid[b - 1] - grid[a] > _STRETCH or not (before and after):
            found.append(Zero(float(grid[a]), float(grid[b - 1]), before, after))
        elif before == after:
            at = _extremum(f, slope, grid[a - 1], grid[b], before)
            found += _around(f, grid[a - 1], at, grid[b], before, tolerance)
        else:
            found.append(_crossing(f, grid[a - 1], grid[b], before))
    return found


def _signs(values: Array, tolerance: float) -> NDArray[np.int64]:
    return np.where(np.abs(values) <= tolerance, 0, np.sign(values)).astype(np.int64)


def _low(values: Array, tolerance: float) -> NDArray[np.intp]:
    """Inner points at which |f| is least, and may reach 0 on the way to the next ones."""
    size = np.abs(values)
    least = (size[1:-1] <= size[:-2]) & (size[1:-1] < size[2:])
    rise = np.maximum(size[:-2], size[2:]) - size[1:-1]
    near: NDArray[np.intp] = np.flatnonzero(least & (size[1:-1] <= _DIP * rise + tolerance)) + 1
    return near


def _refined(f: Function, grid: Array, tolerance: float) -> tuple[Array, Array]:
    """The grid, finer where zeros may be, and the values on it."""
    values = np.asarray(f(grid), dtype=float)
    changes = np.flatnonzero(np.diff(_signs(values, tolerance)))
    low = _low(values, tolerance)
    cells = np.unique(np.r_[changes - 1, changes, changes + 1, low - 1, low])
    cells = cells[(cells >= 0) & (cells < len(grid) - 1)]
    if not len(cells):
        return grid, values
    part = np.arange(1, _FINER) / _FINER
    more = (grid[cells, None] + part * (grid[cells + 1] - grid[cells])[:, None]).ravel()
    merged = np.r_[grid, more]
    order = np.argsort(merged)
    return merged[order], np.r_[values, np.asarray(f(more), dtype=float)][order]


def _crossing(f: Function, a: float, b: float, before: int) -> Zero:
    at = float(brentq(lambda u: float(f(np.array([u]))[0]), a, b, xtol=1e-15, rtol=1e-15))
    return Zero(at, at, before, -before)


def _inside(
    f: Function, slope: Function, grid: Array, values: Array, sign: int, tolerance: float
) -> list[Zero]:
    """The zeros that a run of one sign hides between its points."""
    found: list[Zero] = []
    for i in _low(values, tolerance):
        at = _extremum(f, slope, grid[i - 1], grid[i + 1], sign)
        found += _around(f, grid[i - 1], at, grid[i + 1], sign, tolerance)
    return found


def _extremum(f: Function, slope: Function, a: float, b: float, sign: int) -> float:
    def at(function: Function, u: float) -> float:
        return float(function(np.array([u]))[0])

    if at(slope, a) * at(slope, b) < 0:
        return float(brentq(lambda u: at(slope, u), a, b, xtol=1e-15, rtol=1e-15))
    return float(minimize_scalar(lambda u: sign * at(f, u), bounds=(a, b), method="bounded").x)


def _around(f: Function, a: float, at: float, b: float, sign: int, tolerance: float) -> list[Zero]:
    """What an extremum at `at`, between two points of the given sign, makes."""
    height = float(f(np.array([at]))[0]) * sign
    if height > tolerance:
        return []
    if height >= -tolerance:
        return [Zero(at, at, sign, sign)]
    return [_crossing(f, a, at, sign), _crossing(f, at, b, -sign)]
