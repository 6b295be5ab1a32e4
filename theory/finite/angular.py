"""Where a pre-activation points: the part of a two-slope step that its length doesn't touch.

z of n independent normals is a length times a uniform direction, the two independent. With T the
positive units' share of |z|^2, given k of them Beta(k/2, (n-k)/2), and k ~ Binomial(n, 1/2),

    X = R U,    U = left (1 - T) + right T,

where R is chi-square(n)/n for normal weights and needs no chance for square orthogonal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .two_slope import TwoSlope

__all__ = ["MAX_WIDTH", "Angular", "angular"]

Array = NDArray[np.float64]

MAX_WIDTH = 10**6  # the mixture has sqrt(n) parts that matter
_RARE = 1e-20  # parts of the mixture that are left out
_FALL = 84.0  # e^(-84/2) = 6e-19


@dataclass(frozen=True, eq=False)
class Angular:
    """The law of U > 0 as a quadrature rule: E f(U) = sum_j weight_j f(value_j).

    Attributes
    ----------
    values, weights : ndarray
        Nodes of U and their weights, which sum to 1: the law given that a unit lives.
    """

    values: Array
    weights: Array

    def power(self, s: NDArray[Any]) -> NDArray[Any]:
        """E U^s at real or complex s.

        Examples
        --------
        >>> ReLU = TwoSlope.of("relu")
        >>> angular(ReLU, 10).power(np.array([1.0])).round(12) * (1 - 2.0**-10)
        array([1.])
        """
        powers: NDArray[Any] = np.exp(np.multiply.outer(s, np.log(self.values)))
        return powers @ self.weights


def positive_units(width: int) -> tuple[Array, Array]:
    """How many of n units are positive: k and its probabilities, those below 1e-20 left out.

    Examples
    --------
    >>> k, weight = positive_units(2)
    >>> k.tolist(), weight.round(12).tolist()
    ([0.0, 1.0, 2.0], [0.25, 0.5, 0.25])
    """
    from scipy.stats import binom  # slow to import

    reach = 5 * np.sqrt(width) + 3  # ten standard deviations
    first, last = max(0, int(width / 2 - reach)), min(width, int(width / 2 + reach) + 1)
    k = np.arange(first, last + 1, dtype=float)
    weight = binom.pmf(k, width, 0.5)
    keep = weight > _RARE
    return k[keep], weight[keep]


@lru_cache(maxsize=64)
def angular(slopes: TwoSlope, width: int) -> Angular:
    """The law of U for one width, 1 to 10^6.

    ln T/(1-T) has an analytic density that falls off at both ends, so the trapezoidal rule gives
    expectations of analytic functions to rounding.

    Raises
    ------
    ValueError
        For a width beyond 10^6, where the logarithm of a step is normal to all that matters.
    """
    from scipy.stats import beta  # slow to import

    if slopes.one_slope:
        return Angular(np.array([slopes.left]), np.array([1.0]))
    if width > MAX_WIDTH:
        raise ValueError(
            f"the whole law of a step is given up to {MAX_WIDTH} units, not for {width}; "
            "its moments, and those of its logarithm, for any width"
        )
    k, weight = positive_units(width)
    inner = (k > 0) & (k < width)
    some, share = k[inner], weight[inner]
    values, weights = [np.empty(0)], [np.empty(0)]
    if some.size:
        spread = 2 * np.sqrt(3 / width)  # of ln T/(1-T), for many units
        reach = max(_FALL / float(some.min()), 13 * spread)
        step = min(0.15, spread / 5)
        u = step * np.arange(-int(reach / step), 1)  # T and 1 - T have the same law
        t, rest = np.exp(u) / (1 + np.exp(u)), 1 / (1 + np.exp(u))
        parts = beta.pdf(t, some[:, np.newaxis] / 2, (width - some[:, np.newaxis]) / 2)
        rule = (share @ parts) * t * rest
        t, rest = np.concatenate([t, rest[-2::-1]]), np.concatenate([rest, t[-2::-1]])
        rule = np.concatenate([rule, rule[-2::-1]])
        values.append(slopes.left * rest + slopes.right * t)
        weights.append(rule * (share.sum() / rule.sum()))
    for count, slope in ((0, slopes.left), (width, slopes.right)):
        at = k == count
        if slope > 0 and at.any():
            values.append(np.array([slope]))
            weights.append(weight[at])
    value, rule = np.concatenate(values), np.concatenate(weights)
    return Angular(value, rule / rule.sum())
