"""ln of a positive map as a function of ln K, anywhere: panels in the middle, power laws outside.

Q(K) = E phi(sqrt(K) z)^2 is analytic in K for |arg K| < pi/2 whatever the kinks of phi, so
ln Q is smooth in u = ln K: a Chebyshev series on panels of width 2 converges like 3.4^-n.
Panels are made when first needed and checked by their last coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogTable", "PowerLaw"]

Array = NDArray[np.float64]

_DEGREE = 30
_WIDTH = 2.0
_GOOD = 3e-13  # the last coefficients of a panel that may be used
_FINEST = 6  # halvings of a panel before its points are evaluated one by one


def _clenshaw(series: Any, t: Any) -> Any:
    """A Chebyshev series at t: the same operations for a float and for an array."""
    twice, above, before = 2 * t, 0.0, 0.0
    for c in series[:0:-1]:
        above, before = c + twice * above - before, above
    return series[0] + t * above - before


class PowerLaw:
    """ln f = height + slope (u - start): what a map becomes towards K = 0 or infinity.

    Examples
    --------
    >>> PowerLaw(0.0, 0.5, 1.0)(3.0)
    3.5
    """

    def __init__(self, start: float, height: float, slope: float) -> None:
        self.start, self.height, self.slope = start, height, slope

    def __call__(self, u: Array | float) -> Array | float:
        """ln f at ln K = u."""
        return self.height + self.slope * (u - self.start)


class LogTable:
    """ln f(exp(u)) of a positive map f, for any finite u.

    Parameters
    ----------
    log_map : callable
        Array of ln K -> array of ln f, good to about 1e-15; asked within [start - 2, stop + 2].
    start, stop : float
        Where the power laws take over.
    name : str
        What the map is called in error messages.
    below : PowerLaw, optional
        The law below `start`, where it is known; by default it is measured.
    slack : float
        How far a measured slope may be from a multiple of 1/2.

    Notes
    -----
    The slopes outside are measured at the two ends and must be multiples of 1/2, as they are
    for every activation that grows like a power; otherwise asking there raises ValueError.

    Examples
    --------
    >>> table = LogTable(lambda u: np.log1p(np.exp(u)), -80.0, 80.0, "1 + K")
    >>> abs(table.at(0.0) - math.log(2.0)) < 1e-14
    True
    >>> table(np.array([-2000.0, 2000.0])).round(12).tolist()
    [0.0, 2000.0]
    """

    def __init__(
        self,
        log_map: Callable[[Array], Array],
        start: float,
        stop: float,
        name: str,
        below: PowerLaw | None = None,
        slack: float = 1e-7,
    ) -> None:
        self._slack = slack
        self._log_map, self._start, self._stop, self._name = log_map, start, stop, name
        self._panels: dict[tuple[int, int], list[float] | None] = {}
        self._laws: dict[bool, PowerLaw] = {}
        self._below = below

    def _checked_below(self, law: PowerLaw) -> PowerLaw:
        """The known law, if it holds by the time it takes over."""
        found = float(self._log_map(np.array([self._start]))[0])
        expected = float(law(self._start))
        if not abs(found - expected) < 1e-6:
            raise ValueError(
                f"{self._name} has not come to its limit at 0 by ln K = {self._start:.4g} (it is "
                f"e^{found:.6g} there, its limit e^{expected:.6g}): the activation bends at a "
                "scale below 1e-18; rescale it, or use larger K"
            )
        return law

    def _law(self, above: bool) -> PowerLaw:
        if above not in self._laws and not above and self._below is not None:
            self._laws[above] = self._checked_below(self._below)
        if above not in self._laws:
            end = self._stop if above else self._start
            inner = end - 0.5 if above else end + 0.5
            near, far = (float(v) for v in self._log_map(np.array([inner, end])))
            slope = (far - near) / (end - inner)
            nearest = round(2 * slope) / 2 if math.isfinite(slope) else math.nan
            if not abs(slope - nearest) < self._slack:
                raise ValueError(
                    f"{self._name} follows no power of K {'above' if above else 'below'} "
                    f"ln K = {end:.4g} (its slope there is {slope:.6g}, not a multiple of 1/2); "
                    f"allowed are ln K from {self._start:.4g} to {self._stop:.4g}"
                )
            self._laws[above] = PowerLaw(end, far, nearest)
        return self._laws[above]

    def _nodes(self, key: tuple[int, int]) -> Array:
        level, index = key
        width = _WIDTH / 2**level
        t = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
        nodes: Array = (index + 0.5 + t / 2) * width
        return nodes

    def _make(self, keys: Sequence[tuple[int, int]]) -> None:
        """Compute the panels that are missing, all in one call."""
        missing = [key for key in keys if key not in self._panels]
        if not missing:
            return
        heights = self._log_map(np.concatenate([self._nodes(key) for key in missing]))
        order = np.arange(_DEGREE + 1)
        angle = np.pi * np.outer(order, order + 0.5) / (_DEGREE + 1)
        columns = heights.reshape(len(missing), -1).T
        base = columns[_DEGREE // 2].copy()  # taken out, so that rounding is relative to the rest
        series = np.cos(angle) @ (columns - base) * (2 / (_DEGREE + 1))
        series[0] = series[0] / 2 + base
        tails = np.abs(series[-4:]).max(axis=0)
        for key, column, tail in zip(missing, series.T, tails, strict=True):
            scale = max(1.0, float(np.abs(column).max()))
            good = bool(tail <= _GOOD * scale)
            self._panels[key] = column.tolist() if good else None

    def at(self, u: float) -> float:
        """ln f at one ln K, the quick way; the same number as the array call gives."""
        if u > self._stop or u < self._start:
            return float(self._law(u > self._stop)(u))
        for level in range(_FINEST + 1):
            width = _WIDTH / 2**level
            key = (level, math.floor(u / width))
            if key not in self._panels:
                self._make([key])
            panel = self._panels[key]
            if panel is not None:
                return float(_clenshaw(panel, 2 * (u / width - key[1]) - 1))
        return float(self._log_map(np.array([u]))[0])

    def __call__(self, log_k: Array) -> Array:
        """ln f at an array of finite ln K."""
        u = np.ravel(log_k)
        out = np.empty_like(u)
        outside = (u < self._start) | (u > self._stop)
        for above in (False, True):
            there = outside & ((u > self._stop) == above)
            if there.any():
                out[there] = self._law(above)(u[there])
        left = np.flatnonzero(~outside)
        for level in range(_FINEST + 1):
            if not len(left):
                break
            left = self._level(level, u, out, left)
        if len(left):
            out[left] = self._log_map(u[left])
        return out.reshape(np.shape(log_k))

    def _level(self, level: int, u: Array, out: Array, left: NDArray[np.intp]) -> NDArray[np.intp]:
        """Evaluate the points whose panel of this size is good; return the others."""
        scaled = u[left] / (_WIDTH / 2**level)
        index = np.floor(scaled)
        found, which = np.unique(index, return_inverse=True)
        keys = [(level, int(i)) for i in found]
        self._make(keys)
        panels = [self._panels[key] for key in keys]
        good = np.array([panel is not None for panel in panels])
        series = np.array([panel or [0.0] * (_DEGREE + 1) for panel in panels])
        t = 2 * (scaled - index) - 1
        use = good[which]
        out[left[use]] = _clenshaw(series[which].T, t)[use]
        others: NDArray[np.intp] = left[~use]
        return others
