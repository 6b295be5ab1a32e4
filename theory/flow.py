"""The variance of one more layer, K -> sigma_b^2 + sigma_w^2 Q(K), and all its fixed points.

Everything is done in u = ln K, where a bend at any scale has a width of about 1. K sqrt-Q is
increasing (substitute x = sqrt(K) z: only the normal's spread depends on K), so d ln Q/d ln K is
never below -1/2: a fixed point of this map is unstable by growth alone, and there are no cycles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mpmath
import numpy as np
from numpy.typing import NDArray

from varprop._cached import cached_property
from varprop.activation import Activation

from .basemap import PositiveMap
from .maps import variance_map
from .precise import precise
from .quantity import QUANTITIES
from .roots import Zero, zeros

__all__ = ["Rest", "VarianceFlow", "computable"]

Array = NDArray[np.float64]

_STEP = 0.05  # of the grid in ln K, where the map is computed
_EDGE = 84.0  # beyond it the maps are power laws
_FAR, _FAR_STEP = 3200.0, 1.0  # and so the grid may be coarse: ln of 1e±150 squared is 691
_TOLERANCE = 2e-12  # the error of ln Q
_STEPS, _HERE = 64, 1e-9
_SHALLOW = 1e-3  # |chi_K - 1| below which float64 leaves too few digits of K*


@dataclass(frozen=True)
class Rest:
    """A fixed point of the variance map.

    Attributes
    ----------
    variance : float
        K, 0 included.
    chi_k : float
        sigma_w^2 Q'(K): by how much a small departure from K is multiplied per layer. At K = 0
        of an activation that jumps there: inf.
    stability : str
        "stable"; "unstable"; "half-stable": it attracts from one side and repels on the other;
        "neutral": every variance is kept.

    Examples
    --------
    >>> Rest(1.0, 0.5, "stable").stable
    True
    """

    variance: float
    chi_k: float
    stability: str

    @property
    def stable(self) -> bool:
        """Whether it attracts from every side."""
        return self.stability == "stable"


def computable(grid: Array, *maps: PositiveMap) -> Array:
    """The points of an ascending grid, without a gap, at which all the maps have a logarithm.

    E exp(x)^2 leaves float64 upwards, E phi'^2 of max(x, 1/2) downwards.

    Examples
    --------
    >>> computable(np.array([0.0, 1.0, 100.0]), variance_map("exp(x)")).tolist()
    [0.0, 1.0]
    """

    def known(points: Array) -> bool:
        try:
            for f in maps:
                f.log(points)
        except ValueError:
            return False
        return True

    def end(inside: int, outside: int) -> int:
        """The last known point on the way from a known one to one beyond the last."""
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            if known(grid[middle : middle + 1]):
                inside = middle
            else:
                outside = middle
        return inside

    if known(grid):
        return grid
    tried = np.unique(np.linspace(0, len(grid) - 1, 33).astype(int))
    anchor = next((int(i) for i in tried if known(grid[i : i + 1])), None)
    if anchor is None:
        return grid[:0]
    return grid[end(anchor, -1) : end(anchor, len(grid)) + 1]


@dataclass(frozen=True)
class _Place:
    """Where a fixed point lies in ln K; no rest: a stretch of slow growth up to infinity."""

    start: float
    stop: float
    rest: Rest | None


class VarianceFlow:
    """The variance map of a layer with given weights and biases.

    Parameters
    ----------
    act : Activation
    sigma_w, sigma_b : float
        Standard deviations; sigma_w > 0, sigma_b >= 0, both finite.

    Examples
    --------
    >>> flow = VarianceFlow(Activation.parse("relu"), 1.0, 1.0)
    >>> [rest.variance for rest in flow.rests]
    [2.0]
    """

    def __init__(self, act: Activation, sigma_w: float, sigma_b: float) -> None:
        self.act, self.sigma_w, self.sigma_b = act, sigma_w, sigma_b
        self.map = variance_map(act)
        self.log_weight = 2 * math.log(sigma_w)
        self.log_bias = 2 * math.log(sigma_b) if sigma_b else -math.inf
        self.dark = sigma_b == 0 and self.map(0.0) == 0  # K = 0 stays 0

    def step(self, u: Array) -> Array:
        """ln of the next layer's variance."""
        return np.asarray(np.logaddexp(self.log_bias, self.log_weight + self.map.log(u)))

    def excess(self, u: Array) -> Array:
        """ln of the factor by which the variance grows in one layer."""
        # In this order a scale-invariant activation gives exactly 0.
        grown = np.asarray(self.log_weight + (self.map.log(u) - u))
        return grown if not self.sigma_b else np.asarray(np.logaddexp(self.log_bias - u, grown))

    def excess_slope(self, u: Array) -> Array:
        """Its derivative in u."""
        signal = np.exp(self.log_weight + self.map.log(u) - self.step(u))
        slope: Array = signal * self.map.log_slope(u) - 1
        return slope

    @cached_property
    def grid(self) -> Array:
        """ln K from far below to far above, as far as the map can be computed."""
        far = np.arange(_EDGE, _FAR, _FAR_STEP)
        grid = np.concatenate([-far[::-1], np.arange(-_EDGE, _EDGE, _STEP)[1:], far])
        if self.sigma_b:
            grid = grid[grid > self.log_bias - 1]
        return computable(grid, self.map)

    @cached_property
    def zeros(self) -> list[Zero]:
        """Where the variance is kept, in ln K; a stretch that starts the grid goes on to K = 0."""
        return zeros(self.excess, self.excess_slope, self.grid, _TOLERANCE)

    @property
    def scale_invariant(self) -> bool:
        """Whether every variance is kept."""
        return any(z.start == self.grid[0] and z.stop == self.grid[-1] for z in self.zeros)

    @cached_property
    def rests(self) -> tuple[Rest, ...]:
        """All fixed points, the smallest first; empty where every variance is one."""
        return tuple(place.rest for place in self._places if place.rest is not None)

    @cached_property
    def _places(self) -> list[_Place]:
        if self.scale_invariant:
            return []
        found = []
        low, high = float(self.grid[0]), float(self.grid[-1])
        inside = [z for z in self.zeros if z.start > low and z.stop < high]
        if self.dark:
            first = next((z for z in self.zeros if z.start == low), None)
            above = first.after if first else float(self.excess(self.grid[:1])[0])
            rest = Rest(0.0, self._chi_at_zero(), "stable" if above < 0 else "unstable")
            found.append(_Place(-math.inf, first.stop if first else low, rest))
        found += [_Place(z.start, z.stop, self._rest(z)) for z in inside]
        found += [_Place(z.start, math.inf, None) for z in self.zeros if z.stop == high]
        return found

    def _rest(self, zero: Zero) -> Rest:
        u = (zero.start + zero.stop) / 2
        if not -700 < u < 700:
            raise OverflowError(f"a fixed point at K = e^{u:.6g} is beyond float64")
        if zero.before == zero.after:
            return Rest(math.exp(u), 1.0, "half-stable")
        variance = math.exp(u) if zero.kind == "stretch" else self._polished(math.exp(u))
        return Rest(variance, self.chi_k(variance), "stable" if zero.before > 0 else "unstable")

    def _polished(self, k: float) -> float:
        """K of a crossing by Newton's method on the map itself, which has more digits than ln Q."""
        for _ in range(3):
            missing = self.sigma_b**2 + self.sigma_w**2 * self.map(k) - k
            k -= missing / (self.chi_k(k) - 1)
        return float(k)

    def sharpened(self, rest: Rest) -> Rest:
        """The same fixed point to 13 digits, also near chi_K = 1, where float64 leaves too few.

        An error of 1e-15 in Q is one of 1e-15/|chi_K - 1| in K*. So there the last step of
        Newton's method is made in 40-digit arithmetic, as far as there is a formula; that can
        take half a second.
        """
        slope = rest.chi_k - 1
        sharp = rest.stability not in ("stable", "unstable") or abs(slope) >= _SHALLOW
        function = None if sharp else precise(self.act, QUANTITIES["variance"])
        if function is None or rest.variance == 0:
            return rest
        value, error = function(rest.variance)
        if not error <= 1e-20 * value:
            return rest
        with mpmath.workdps(40):
            weight, bias = mpmath.mpf(self.sigma_w) ** 2, mpmath.mpf(self.sigma_b) ** 2
            missing = float(bias + weight * value - rest.variance)
        variance = rest.variance - missing / slope
        return Rest(variance, self.chi_k(variance), rest.stability)

    def _chi_at_zero(self) -> float:
        """sigma_w^2 lim Q(K)/K; inf where phi jumps at 0 or is steep like a root."""
        bottom = self.grid[:1]
        bend = float(self.excess_slope(bottom)[0])
        if abs(bend) > 1e-6:
            return 0.0 if bend > 0 else math.inf
        left, right = self.act.at_zero[1:]
        return self.sigma_w**2 * (left**2 + right**2) / 2

    def chi_k(self, variance: float) -> float:
        """sigma_w^2 Q'(K) at a positive variance."""
        return float(self.sigma_w**2 * self.map.slope(variance))

    def reached(self, u: float) -> Rest | None:
        """The fixed point that a variance of this logarithm comes to; None if it grows for ever.

        Where every variance is kept, it is that variance, "neutral".
        """
        if self.scale_invariant:
            return Rest(math.exp(u), 1.0, "neutral")
        low, high = float(self.grid[0]), float(self.grid[-1])
        for _ in range(_STEPS):  # past any overshoot; from there it moves one way only
            if not low <= u <= high:
                break
            try:
                last, u = u, float(self.step(np.array([u]))[0])
            except ValueError:  # beyond where the map can be computed
                break
            if u == last:
                break
        for place in self._places:
            if place.start - _HERE <= u <= place.stop + _HERE:
                return place.rest
        if u > high or (u >= low and float(self.excess(np.array([u]))[0]) > 0):
            above = [place for place in self._places if place.start > u]
            return above[0].rest if above else None
        return [place for place in self._places if place.stop < u][-1].rest

    def growth(self) -> str:
        """How a variance that grows for ever does so, for people."""
        top = self.grid[-1:]
        if top[0] < _FAR - 2 * _FAR_STEP:
            return f"beyond ln K = {top[0]:.4g}, up to which E phi^2 can be computed"
        factor, bend = float(self.excess(top)[0]), float(self.excess_slope(top)[0])
        if bend > 1e-6:
            return "faster than exponentially"
        if abs(factor) <= _TOLERANCE:
            return "more slowly than exponentially"
        return f"by a factor that tends to {math.exp(factor):.6g} per layer"
