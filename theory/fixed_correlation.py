"""Where the correlation of two inputs comes to rest, once their variances have.

C(c) = (sigma_b^2 + sigma_w^2 E phi(u)phi(v))/K* for two inputs of variance K* and correlation c is
a power series in c with coefficients >= 0 (Hermite), so it is convex on [0, 1], with C(1) = 1 and
C'(1) = chi_1. Hence c = 1 attracts if chi_1 <= 1; otherwise exactly one other point of [0, 1) does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from varprop.activation import Activation

from .kernel import kernel
from .maps import gradient_map, mean_map, variance_map

__all__ = ["NEAR_ONE", "FixedCorrelation", "chi1_at", "fixed_correlation"]

NEAR_ONE = 1e-9  # a chi this near to 1 counts as 1: a depth scale of 10^9 layers is not seen

_NEAR = 0.1
_SMALLEST = math.log(1e-14)
_NODES, _GAUSS = np.polynomial.legendre.leggauss(16)
_S = (_NODES + 1) / 2  # 1 - c grows like s^2: a corner of phi makes C' a series in its root
_WEIGHT = _GAUSS * _S
_DIFFERENCE = np.array([-1.0, 9.0, -45.0, 0.0, 45.0, -9.0, 1.0])


@dataclass(frozen=True)
class FixedCorrelation:
    """The correlation that attracts, or why there is none.

    Attributes
    ----------
    value : float or None
        c*.
    slope : float or None
        C'(c*), by which a small departure from c* is multiplied per layer.
    note : str
        What has to be said about it; mostly empty.

    Examples
    --------
    >>> fixed_correlation(Activation.parse("tanh"), 2.0, 0.0, 1.7).value
    0.0
    """

    value: float | None
    slope: float | None
    note: str = ""


def chi1_at(act: Activation, sigma_w: float, variance: float) -> float | None:
    """sigma_w^2 V(K); None for an activation that jumps, where it is infinite.

    Examples
    --------
    >>> chi1_at(Activation.parse("relu"), 2.0, 1.0), chi1_at(Activation.parse("sign"), 2.0, 1.0)
    (2.0, None)
    """
    return None if act.jumps else float(sigma_w**2 * gradient_map(act)(variance))


def fixed_correlation(
    act: Activation, sigma_w: float, sigma_b: float, variance: float
) -> FixedCorrelation:
    """c* at a fixed point of the variance.

    Parameters
    ----------
    act : Activation
    sigma_w, sigma_b : float
        Standard deviations.
    variance : float
        K*, from the same weights and biases.

    Examples
    --------
    >>> found = fixed_correlation(Activation.parse("relu"), 2**0.5, 0.0, 2.0)
    >>> found.value, round(found.slope, 12)
    (1.0, 1.0)
    """
    if variance == 0:
        return _at_zero(act)
    chi1 = chi1_at(act, sigma_w, variance)
    if chi1 is not None and chi1 <= 1 + NEAR_ONE:
        if chi1 >= 1 - NEAR_ONE and sigma_b == 0 and _is_identity(act, variance):
            return FixedCorrelation(None, 1.0, "every correlation is kept: phi is linear")
        return FixedCorrelation(1.0, chi1)
    if sigma_b == 0 and mean_map(act)(variance) == 0:
        c = 0.0
    else:
        gap = _gap(act, sigma_w, sigma_b, variance)
        if gap is None and chi1 is not None:
            # 1 - c' = chi_1 e - b e^(3/2) there, since no smooth phi bends that much.
            return FixedCorrelation(math.nextafter(1.0, 0.0), (3 - chi1) / 2, "1 - c* < 1e-14")
        c = 1 - (gap or 0.0)
    return FixedCorrelation(c, _slope(act, sigma_w, variance, c))


def _is_identity(act: Activation, variance: float) -> bool:
    """Whether C(0) = 0: a convex C between that and C'(1) = 1 is C(c) = c."""
    return bool(abs(mean_map(act)(variance)) <= 1e-12 * math.sqrt(variance_map(act)(variance)))


def _at_zero(act: Activation) -> FixedCorrelation:
    """The limit of K* -> 0, where phi acts by its slopes at 0."""
    left, right = act.at_zero[1:]
    if left != right:
        note = "as K goes to 0, c goes to 1 like a leaky ReLU's, as 1/l^2"
        return FixedCorrelation(1.0, 1.0, note)
    if left:
        return FixedCorrelation(
            None, None, "as K goes to 0, phi becomes linear: the angle of two inputs stops changing"
        )
    if act.degree:
        return fixed_correlation(act, variance_map(act)(1.0) ** -0.5, 0.0, 1.0)
    return FixedCorrelation(None, None, "phi has no slope at K* = 0, so no limit is derived for c")


def _gap(act: Activation, sigma_w: float, sigma_b: float, variance: float) -> float | None:
    """1 - c*, the root of the mean slope of C between c and 1, minus 1: it falls with 1 - c.

    None where it is so near to 0 that the kernel, which takes c, can't tell.
    """
    smooth = not act.jumps

    def excess(log_gap: float) -> float:
        gap = math.exp(log_gap)
        if smooth and gap < _NEAR:  # c itself has lost digits, but the slope has not
            slopes = kernel(act, derivative=True)(variance, variance, (1 - gap * _S**2) * variance)
            return float(sigma_w**2 * (_WEIGHT @ slopes)) - 1
        signal = kernel(act)(variance, variance, (1 - gap) * variance)
        return float((1 - (sigma_b**2 + sigma_w**2 * signal) / variance) / gap) - 1

    high = 0.0
    if excess(high) >= 0:  # C(0) = 0 but for rounding
        return 1.0
    low = high - 2.0
    while excess(low) <= 0:
        if low < _SMALLEST:
            return None
        low, high = low - 4.0, low
    return math.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-14))


def _slope(act: Activation, sigma_w: float, variance: float, c: float) -> float:
    """C'(c) = sigma_w^2 E phi'(u)phi'(v); where phi jumps, by differences of C."""
    if not act.jumps:
        return float(sigma_w**2 * kernel(act, derivative=True)(variance, variance, c * variance))
    step = 0.01 * (1 - c)
    near = kernel(act)(variance, variance, (c + step * np.arange(-3, 4)) * variance)
    return float(sigma_w**2 * (_DIFFERENCE @ near) / (60 * step * variance))
