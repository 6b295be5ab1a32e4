"""The edge of chaos of an activation: its fixed points with chi_1 = 1, as a curve over K.

chi_1 = sigma_w^2 V(K) = 1 and K = sigma_b^2 + sigma_w^2 Q(K) leave one point for every K:
sigma_w^2 = 1/V and sigma_b^2 = K - Q/V, where that is not negative. On it chi_K = Q'/V.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import newton

from varprop._cached import cached_property
from varprop.activation import Activation

from .flow import computable
from .maps import gradient_map, variance_map
from .quadrature import expectation
from .roots import zeros

__all__ = ["Edge", "edge"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
_GRID = np.arange(-16.0, 16.0, 0.05)  # ln K, from 1e-7 to 1e7
_TOLERANCE = 2e-12  # the errors of ln Q and ln V together
_SLOPE_TOLERANCE = 1e-9  # that of ln Q'


class Edge:
    """The edge of chaos of one activation.

    Parameters
    ----------
    act : Activation
        One that doesn't jump.

    Examples
    --------
    >>> curve = edge(Activation.parse("tanh"))
    >>> [round(k, 9) for k in curve.variances(0.05**0.5)]
    [0.570047882]
    """

    def __init__(self, act: Activation) -> None:
        self.act = act
        self.q, self.v = variance_map(act), gradient_map(act)

    def log_margin(self, u: Array) -> Array:
        """ln(K V / Q): positive where the edge has a sigma_b; sigma_b^2/K = 1 - exp(-margin)."""
        margin: Array = (u - self.q.log(u)) + self.v.log(u)
        return margin

    def margin(self, variance: float) -> float:
        """K V - Q, without cancellation.

        phi's part of degree 1, h, has K E h'^2 = E h^2; it drops out, but for a product with
        phi(0) where h bends. Near 0 the slopes of h are those at 0, far out those at infinity.
        """
        slopes = self.act.at_zero[1:] if variance < 1 else self.act.at_infinity or (0.0, 0.0)
        left, right = slopes

        def line(x: Array) -> Array:
            return np.where(x < 0, left, right)

        def rest(x: Array) -> Array:
            return self.act(x) - line(x) * x

        def rest_slope(x: Array) -> Array:
            return self.act.derivative(x) - line(x)

        x = math.sqrt(variance) * np.linspace(-6, 6, 25)
        kinks = sorted({0.0, *self.act.kinks})
        noise = 2 * _EPS * float(np.abs(rest(x) * line(x) * x).max())
        square = expectation(lambda x: np.square(rest(x)), variance, kinks=kinks, noise=noise)
        noise = 2 * _EPS * float(np.abs(rest_slope(x) * line(x)).max())
        slope = expectation(lambda x: np.square(rest_slope(x)), variance, kinks=kinks, noise=noise)
        corner = math.sqrt(2 * variance / math.pi) * (right - left) * self.act.at_zero[0]
        return float(variance * slope.value - square.value - corner)

    def sigma_w(self, variance: float) -> float:
        """The standard deviation of the weights at this K."""
        return 1 / math.sqrt(self.v(variance))

    def sigma_b2(self, variance: float) -> float:
        """The variance of the biases at this K; negative where the edge has none."""
        return self.margin(variance) / float(self.v(variance))

    def chi_k(self, variance: float) -> float:
        """Q'(K)/V(K)."""
        return float(self.q.slope(variance) / self.v(variance))

    def variances(self, sigma_b: float) -> list[float]:
        """All K > 0 on the edge with this standard deviation of the biases."""
        bias = sigma_b**2

        def missing(u: Array) -> Array:
            return np.asarray(-np.expm1(-self.log_margin(u)) - bias * np.exp(-u))

        def slope(u: Array) -> Array:
            steeper = 1 - self.q.log_slope(u) + self.v.log_slope(u)
            return np.asarray(np.exp(-self.log_margin(u)) * steeper + bias * np.exp(-u))

        found = zeros(missing, slope, self._grid(sigma_b), _TOLERANCE)
        return [self._polished(z.start, bias) for z in found if z.kind != "stretch"]

    def half_stable(self) -> list[float]:
        """All K > 0 on the edge where chi_K = 1 as well."""

        def log_ratio(u: Array) -> Array:
            grown: Array = np.log(self.q.log_slope(u)) + (self.q.log(u) - u) - self.v.log(u)
            return grown

        def slope(u: Array) -> Array:
            step = 1e-4
            return (log_ratio(u + step) - log_ratio(u - step)) / (2 * step)

        u = self.grid[self.q.log_slope(self.grid) > 0.01]
        if not len(u):
            return []
        roots = zeros(log_ratio, slope, u, _SLOPE_TOLERANCE)
        found = [math.exp(z.start) for z in roots if z.kind != "stretch"]
        return [self._sharpened(k) for k in found if self.sigma_b2(k) >= 0]

    @cached_property
    def grid(self) -> Array:
        """ln K on which zeros are sought, as far as the maps can be computed."""
        return computable(_GRID, self.q, self.v)

    def _grid(self, sigma_b: float) -> Array:
        if not sigma_b:
            return self.grid
        low = 2 * math.log(sigma_b)  # K is at least sigma_b^2
        grid = np.arange(low - 1e-3, max(_GRID[-1], low + 10), 0.05)
        return computable(grid, self.q, self.v)

    def _polished(self, u: float, bias: float) -> float:
        def missing(at: float) -> float:
            k = math.exp(at)
            return (self.sigma_b2(k) - bias) / k

        return math.exp(newton(missing, u, x1=u + 1e-4, tol=1e-15, rtol=1e-15, disp=False))

    def _sharpened(self, variance: float) -> float:
        return float(newton(lambda k: self.chi_k(k) - 1, variance, x1=variance * (1 + 1e-4)))


@lru_cache(maxsize=256)
def edge(act: Activation) -> Edge:
    """The edge of chaos of an activation.

    Examples
    --------
    >>> round(edge(Activation.parse("erf")).sigma_w(0.0) ** 2, 12)
    0.785398163397
    """
    return Edge(act)
