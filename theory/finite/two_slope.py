"""Two-slope activations, and the mean of n squares that their exact laws are made of.

phi(x) = left x for x < 0 and right x for x > 0: linear, relu, leaky_relu, abs. Given the layer
below, the units of a layer are independent, so everything follows from

    X = (1/n) sum_i Y_i,    Y = phi(g)^2 / E phi(g)^2,    g ~ N(0, 1),    E X = 1.

Without biases a network multiplies one such X per layer, whatever came before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from varprop._cached import cached_property
from varprop.activation import Activation

__all__ = ["MAX_ORDER", "TwoSlope"]

Array = NDArray[np.float64]

MAX_ORDER = 64  # of moments
_STEP, _FIRST, _LAST = 0.2, -46.0, 92.0  # the rule in ln t, see `log_moments`
_WIDE = 400_000.0  # units from which three terms in 1/n are better than the rule


@dataclass(frozen=True)
class TwoSlope:
    """The squares of the two slopes, scaled so that their mean is 1.

    Attributes
    ----------
    left, right : float
        Squared slopes over their mean `scale`.
    scale : float
        E phi(g)^2 = (left slope^2 + right slope^2) / 2.

    Examples
    --------
    >>> TwoSlope.of("relu")
    TwoSlope(left=0.0, right=2.0, scale=0.5)
    """

    left: float
    right: float
    scale: float

    @classmethod
    def of(cls, act: str | Activation) -> TwoSlope:
        """The slopes of an activation.

        Raises
        ------
        ValueError
            If the activation is not made of two slopes, or is 0 everywhere.
        """
        phi = Activation.parse(act)
        low, high = phi.at_zero[1] ** 2, phi.at_zero[2] ** 2
        if phi.degree != 1 or not 0 < low + high < math.inf:
            raise ValueError(
                f"exact laws at finite width need an activation of two slopes (linear, relu, "
                f"leaky_relu, abs), not {phi}; predicted(network) gives the leading orders for any"
            )
        scale = (low + high) / 2
        return cls(low / scale, high / scale, scale)

    @property
    def one_slope(self) -> bool:
        """Whether |phi(x)| = |x|, up to a factor: linear and abs."""
        return self.left == self.right

    @property
    def can_die(self) -> bool:
        """Whether a unit can be 0, as one of ReLU is half of the time."""
        return min(self.left, self.right) == 0

    def moments(self, order: int) -> Array:
        """E Y^j for j = 0..order, exactly (2j-1)!! (left^j + right^j)/2.

        Examples
        --------
        >>> TwoSlope.of("relu").moments(3).tolist()
        [1.0, 1.0, 6.0, 60.0]
        """
        j = np.arange(order + 1)
        odd = np.cumprod(np.maximum(2.0 * j - 1, 1))
        return np.asarray(odd * (self.left**j + self.right**j) / 2)

    @cached_property
    def relative_variance(self) -> float:
        """Var Y = 3 (left^2 + right^2)/2 - 1: 2 for linear, 5 for ReLU."""
        return float(self.moments(2)[2]) - 1.0

    def mean_moment(self, width: ArrayLike, order: int) -> Array:
        """E X^order at each width.

        X is the mean of n independent Y, so its generating function is a power of that of Y,
        whose coefficients follow one from another.

        Examples
        --------
        >>> TwoSlope.of("relu").mean_moment([10, 100], 2).tolist()
        [1.5, 1.05]
        """
        if not 0 <= order <= MAX_ORDER:
            raise ValueError(f"order must be from 0 to {MAX_ORDER}, got {order!r}")
        n = np.asarray(width, dtype=float)
        c = self.moments(order) / special.factorial(np.arange(order + 1))
        e = [np.ones_like(n)]
        for j in range(1, order + 1):
            terms = [(i - (j - i) / n) * n ** (1.0 - i) * c[i] * e[j - i] for i in range(1, j + 1)]
            e.append(np.asarray(sum(terms) / j))
        return np.asarray(e[order] * math.factorial(order))

    def dead(self, width: ArrayLike) -> Array:
        """The probability that all units of a layer are 0: 2^-n for ReLU.

        Examples
        --------
        >>> TwoSlope.of("relu").dead([3]).tolist(), TwoSlope.of("abs").dead([3]).tolist()
        ([0.125], [0.0])
        """
        n = np.asarray(width, dtype=float)
        return np.asarray(np.exp2(-n)) if self.can_die else np.zeros(n.shape)

    def log_moments(self, width: ArrayLike) -> tuple[Array, Array]:
        """E ln X and Var ln X, given X > 0, at each width.

        An exponential clock turns the logarithm into one integral: with E ~ Exp(1) independent
        of X, the time T = E/X has P(T > t) = L(t), the Laplace transform of X, which is the n-th
        power of that of one unit. So E ln X = -gamma - E ln T, Var ln X = Var ln T - pi^2/6. In
        ln t the density of T is analytic and falls off at both ends: the trapezoidal rule
        converges like exp(-pi^2/step). From 400 000 units on, three terms in 1/n are better.

        Returns
        -------
        mean, variance : ndarray
            To 2e-15 absolutely, or 1e-9 of the value, whichever is larger.

        Examples
        --------
        >>> mean, variance = TwoSlope.of("linear").log_moments([100])
        >>> bool(abs(mean[0] + 0.01003333200025347) < 1e-14)
        True
        """
        n = np.asarray(width, dtype=float)
        found, where = np.unique(n, return_inverse=True)
        table = np.array([self._log_moments(float(size)) for size in found]).reshape(-1, 2)
        return table[where, 0].reshape(n.shape), table[where, 1].reshape(n.shape)

    def _log_moments(self, n: float) -> tuple[float, float]:
        if self.one_slope:
            return _digamma_less_log(n / 2), float(special.polygamma(1, n / 2))
        if n >= _WIDE:
            m2, m3 = self.moments(3)[2:]
            k2, k3 = m2 - 1, m3 - 3 * m2 + 2
            mean = -k2 / (2 * n) + (k3 / 3 - 0.75 * k2**2) / n**2
            return mean, k2 / n + (2.5 * k2**2 - k3) / n**2
        small = min(slope for slope in (self.left, self.right) if slope > 0)
        u = np.arange(_FIRST, _LAST + math.log(n / small), _STEP)
        s = np.exp(u) / n
        both = np.array([self.left, self.right])[:, np.newaxis]
        unit = -0.5 * np.log1p(2 * both * s)  # ln of the transforms of the two sides
        less = np.expm1(unit).mean(axis=0)
        of_y = np.where(
            less > -0.5,
            np.log1p(np.maximum(less, -0.5)),
            np.logaddexp(*unit) - math.log(2.0),
        )
        with np.errstate(divide="ignore"):
            slope = np.logaddexp(*(np.log(both) + 3 * unit)) - math.log(2.0)
        density = np.exp(u + (n - 1) * of_y + slope)
        density /= density.sum()  # of the living
        shifted = u + np.euler_gamma
        mean = float(density @ shifted)
        return -mean, float(density @ (shifted - mean) ** 2) - math.pi**2 / 6


def _digamma_less_log(x: float) -> float:
    """digamma(x) - ln(x) without cancellation."""
    if x < 1000:
        return float(special.digamma(x)) - math.log(x)
    return -1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4)
