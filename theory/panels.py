"""A function of u = ln K on Chebyshev panels, made when first needed, checked before use.

A Gaussian expectation over N(0, K) is analytic in K for |arg K| < pi/2 whatever the kinks of the
activation, so on panels of width 2 in ln K its Chebyshev series converges like 3.4^-n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NODES", "WIDTH", "Panels"]

Array = NDArray[np.float64]
Key = tuple[int, int]

NODES = 31
WIDTH = 2.0
_FINEST = 6  # halvings of a panel before its points are evaluated one by one
_EPS = float(np.finfo(float).eps)
_ORDER = np.arange(NODES)
_COSINES = np.cos(np.pi * np.outer(_ORDER, _ORDER + 0.5) / NODES)


def _clenshaw(series: Any, t: Any) -> Any:
    """A Chebyshev series at t: the same operations for a float and for an array."""
    twice, above, before = 2 * t, 0.0, 0.0
    for c in series[:0:-1]:
        above, before = c + twice * above - before, above
    return series[0] + t * above - before


@dataclass(frozen=True)
class _Panel:
    """exp(tilt t) times a Chebyshev series in t on [-1, 1], with its error before the tilt."""

    series: list[float]
    tilt: float
    error: float


_EMPTY = _Panel([0.0] * NODES, 0.0, 0.0)


class Panels:
    """A function of u, quick at many points.

    Parameters
    ----------
    function : callable
        Array of u -> (values, bounds on their errors), both arrays of the same shape.
    good : float
        The last coefficients that a panel may have, relative to its largest value (and to 1 if
        `absolute`); a panel that is worse is halved.
    tilted : bool
        Whether a factor exp(tilt u) is taken out of each panel, so that a function that grows
        like a power of K keeps its relative accuracy at the panel's low end.
    absolute : bool
        For logarithms: errors below `good` are good enough, however small the function is.

    Examples
    --------
    >>> cube = Panels(lambda u: (np.exp(3 * u), 0 * u), 1e-14, tilted=True)
    >>> value, bound = cube(np.array([-9.0, 0.3]))
    >>> bool((abs(value / np.exp([-27.0, 0.9]) - 1) < 1e-13).all()), bool((bound < value).all())
    (True, True)
    """

    def __init__(
        self,
        function: Callable[[Array], tuple[Array, Array]],
        good: float,
        *,
        tilted: bool = False,
        absolute: bool = False,
    ) -> None:
        self._function, self._good = function, good
        self._tilted, self._absolute = tilted, absolute
        self._panels: dict[Key, _Panel | None] = {}

    def _make(self, keys: Sequence[Key]) -> None:
        """Compute the panels that are missing, all in one call."""
        missing = [key for key in keys if key not in self._panels]
        if not missing:
            return
        t = _COSINES[1]
        nodes = [(index + 0.5 + t / 2) * (WIDTH / 2**level) for level, index in missing]
        values, bounds = self._function(np.concatenate(nodes))
        rows = zip(missing, values.reshape(-1, NODES), bounds.reshape(-1, NODES), strict=True)
        for key, value, bound in rows:
            self._panels[key] = self._panel(value, bound)

    def _panel(self, value: Array, bound: Array) -> _Panel | None:
        t = _COSINES[1]
        tilt = 0.0
        if self._tilted and value[0] * value[-1] > 0:
            tilt = math.log(value[0] / value[-1]) / (t[0] - t[-1])
        level = np.exp(-tilt * t)
        value, bound = value * level, bound * level
        base = value[NODES // 2]  # taken out, so that rounding is relative to the rest
        series = _COSINES @ (value - base) * (2 / NODES)
        series[0] = series[0] / 2 + base
        size = float(np.abs(value).max())
        tail = float(np.abs(series[-4:]).max())
        allowed = self._good * (max(1.0, size) if self._absolute else size)
        # Finer panels don't mend the error that the values have themselves.
        if not tail <= allowed + float(bound.max()):
            return None
        # The Lebesgue constant of 31 Chebyshev nodes is 3.2.
        error = 3.2 * float(bound.max()) + 4 * tail + 8 * _EPS * size
        return _Panel(series.tolist(), tilt, error)

    def near(self, u: float) -> tuple[float, float]:
        """Value and error bound at one u, the quick way; the same as the array call gives."""
        for level in range(_FINEST + 1):
            width = WIDTH / 2**level
            key = (level, math.floor(u / width))
            if key not in self._panels:
                self._make([key])
            panel = self._panels[key]
            if panel is not None:
                t = 2 * (u / width - key[1]) - 1
                value = float(_clenshaw(panel.series, t))
                lift = float(np.exp(panel.tilt * t)) if panel.tilt else 1.0
                return value * lift, panel.error * lift
        values, bounds = self._function(np.array([u]))
        return float(values[0]), float(bounds[0])

    def at(self, u: float) -> float:
        """The value at one u."""
        return self.near(u)[0]

    def __call__(self, u: Array) -> tuple[Array, Array]:
        """Values and error bounds at a one-dimensional array of finite u."""
        value, bound = np.empty_like(u), np.empty_like(u)
        left = np.arange(len(u))
        for level in range(_FINEST + 1):
            if not len(left):
                return value, bound
            left = self._level(level, u, value, bound, left)
        if len(left):
            value[left], bound[left] = self._function(u[left])
        return value, bound

    def _level(
        self, level: int, u: Array, value: Array, bound: Array, left: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Evaluate the points whose panel of this size is good; return the others."""
        scaled = u[left] / (WIDTH / 2**level)
        index = np.floor(scaled)
        t = 2 * (scaled - index) - 1
        if (index == index[0]).all():  # as for the trials of one layer: nothing to sort out
            key = (level, int(index[0]))
            self._make([key])
            panel = self._panels[key]
            if panel is None:
                return left
            lift = np.exp(panel.tilt * t) if panel.tilt else 1.0
            value[left], bound[left] = _clenshaw(panel.series, t) * lift, panel.error * lift
            return left[:0]
        found, which = np.unique(index, return_inverse=True)
        keys = [(level, int(i)) for i in found]
        self._make(keys)
        panels = [self._panels[key] or _EMPTY for key in keys]
        use = np.array([self._panels[key] is not None for key in keys])[which]
        series = np.array([panel.series for panel in panels])
        height = _clenshaw(series[which].T, t)
        error = np.array([panel.error for panel in panels])[which]
        tilt = np.array([panel.tilt for panel in panels])[which]
        if tilt.any():
            lift = np.where(tilt == 0, 1.0, np.exp(tilt * t))
            height, error = height * lift, error * lift
        value[left[use]], bound[left[use]] = height[use], error[use]
        others: NDArray[np.intp] = left[~use]
        return others
