"""The free product of a Jacobian's layers: moments, atoms and upper edge of its squared singular
values.

J = D_L W_L ... D_1 W_1 with diagonal masks D_l = diag(phi'), and for large square W the factors of
M = J J^T are free. With z the moment transform of M and u_l that of layer l's mask at the same z,

    x = M^-1(z) = (1 + z)^a z^(L-1) prod_l sigma_w^2 u_l,   a = 1 (Gaussian) or 1 - L (orthogonal).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from .mask import Mask

__all__ = ["FreeProduct"]

Array = NDArray[np.float64]

_GOLDEN = (math.sqrt(5) - 1) / 2
_LARGEST_LOG = math.log(np.finfo(float).max)


@dataclass(frozen=True, eq=False)
class FreeProduct:
    """Masks of layers, each with its number of layers, and the weights between them.

    Attributes
    ----------
    masks : tuple of (Mask, int)
        Each mask with the number of layers that have it.
    gaussian : bool
        Gaussian weights, or else orthogonal ones.
    log_scale : float
        The sum of ln sigma_w^2 over the layers.

    Examples
    --------
    >>> from varprop.activation import Activation
    >>> from varprop.theory.spectra.mask import mask
    >>> import math
    >>> relu = mask(Activation.parse("relu"), 1.0)
    >>> round(math.exp(FreeProduct(((relu, 4),), True, 4 * math.log(2.0)).log_moments(2)[1]), 9)
    9.0
    """

    masks: tuple[tuple[Mask, int], ...]
    gaussian: bool
    log_scale: float

    @property
    def depth(self) -> int:
        """L."""
        return sum(layers for _, layers in self.masks)

    @property
    def power(self) -> int:
        """a, the power of 1 + z in x(z)."""
        return 1 if self.gaussian else 1 - self.depth

    @property
    def zero(self) -> float:
        """The probability of the singular value 0: the largest of the masks'."""
        return max(one.zero for one, _ in self.masks)

    def log_moments(self, count: int) -> list[float]:
        """ln m_1, ..., ln m_count, by Lagrange inversion in as many digits as it needs.

        The masks' discrete measures are taken as exact, so that nothing is lost where terms
        cancel: the result is the moment of a law that differs from the true one by rounding.
        """
        with mpmath.workdps(60 + int(count * math.log10(count * self.depth + 10))):
            factors: list[tuple[list[Any], int]] = [([mpmath.mpf(1), mpmath.mpf(1)], self.power)]
            for one, layers in self.masks:
                factors.append((_over_inverse(one.moments(count)), layers))
            logs = []
            for k in range(1, count + 1):
                series = [mpmath.mpf(1)]
                for base, exponent in factors:
                    series = _product(series, _series_power(base, exponent * k, k), k)
                logs.append(float(mpmath.log(series[k - 1] / k) + k * mpmath.mpf(self.log_scale)))
        return logs

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Points of positive probability, and it, from 0 upwards.

        Gaussian weights smear all but 0. Orthogonal ones keep a product of the masks' atoms
        where the probabilities of missing them sum to less than 1 (Belinschi 2003).
        """
        found = [(0.0, self.zero)] if self.zero > 0 else []
        if self.gaussian:
            return tuple(found)
        partial = [(self.log_scale, 1.0)]
        for one, layers in self.masks:
            partial = [
                (log + layers * math.log(value), weight - layers * (1 - share))
                for log, weight in partial
                for value, share in one.atoms
            ]
            if self.depth > 1:
                partial = [(log, weight) for log, weight in partial if weight > 1e-15]
        for log, weight in sorted(partial):
            if not abs(log) < _LARGEST_LOG:
                raise OverflowError(f"the spectrum has an atom at e^{log:.6g}, beyond float64")
            found.append((math.exp(log), weight))
        return tuple(found)

    def log_edge(self) -> float:
        """ln of the supremum of the law: the first minimum of x(z) as z grows from 0."""
        if any(math.isinf(one.top) for one, _ in self.masks):
            return math.inf
        if not any(one.continuous or one.zero or len(one.atoms) > 1 for one, _ in self.masks):
            tops = sum(layers * math.log(one.top) for one, layers in self.masks)
            if not self.gaussian:
                return self.log_scale + tops
        if not self.gaussian and self.depth == 1:
            return self.log_scale + math.log(self.masks[0][0].top)
        most = min(float((one.weights * (one.values / _gap(one))).sum()) for one, _ in self.masks)
        grid = np.linspace(-40.0, min(40.0, math.log(most)), 201)
        logs = self._log_x(grid)
        rising = np.flatnonzero(np.diff(logs) > 0)
        if not len(rising):
            return float(logs[-1])
        at = int(rising[0])
        return _minimum(
            lambda t: float(self._log_x(np.array([t]))[0]),
            float(grid[max(at - 1, 0)]),
            float(grid[at + 1]),
        )

    def _log_x(self, log_z: Array) -> Array:
        z = np.exp(log_z)
        total = self.log_scale + self.power * np.log1p(z) + (self.depth - 1) * log_z
        for one, layers in self.masks:
            total = total + layers * (math.log(one.top) + np.log1p(np.exp(one.log_above(z))))
        return total


def _gap(one: Mask) -> Array:
    return np.maximum(one.top - one.values, 1e-40 * one.top)


def _minimum(f: Callable[[float], float], low: float, high: float) -> float:
    """The smallest value of a unimodal function, by golden section."""
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = f(a), f(b)
    best = min(at_a, at_b)
    for _ in range(45):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = f(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = f(b)
        best = min(best, at_a, at_b)
    return best


def _series_power(base: list[Any], exponent: int, size: int) -> list[Any]:
    """The first coefficients of a power series to any power, by Miller's recurrence."""
    out = [base[0] ** exponent]
    for n in range(1, size):
        reach = range(1, min(n, len(base) - 1) + 1)
        terms = ((exponent * j - (n - j)) * base[j] * out[n - j] for j in reach)
        out.append(mpmath.fsum(terms) / (n * base[0]))
    return out


def _product(a: list[Any], b: list[Any], size: int) -> list[Any]:
    return [
        mpmath.fsum(a[i] * b[n - i] for i in range(max(0, n - len(b) + 1), min(n, len(a) - 1) + 1))
        for n in range(size)
    ]


def _over_inverse(mu: list[Any]) -> list[Any]:
    """The series of z M^-1(z) = z/v(z), where z = mu_1 v + mu_2 v^2 + ..."""
    size = len(mu)
    inverse = [_series_power(mu, -k, k)[k - 1] / k for k in range(1, size + 1)]
    return _series_power(inverse, -1, size)
