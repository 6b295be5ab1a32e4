"""How fast a variance and a correlation come to rest at a critical point, where chi = 1.

Where the linear order keeps a distance d, the next one decides: d' = d - b d^(1+p) gives
d ~ (p b l)^(-1/p), and a factor 1 + s/l on top of it ((p b)^-1 (1 + p s))^(1/p) l^(-1/p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import sympy

from varprop.activation import Activation

from .edge import edge
from .gaussian import exact, pieces, x
from .quadrature import expectation

__all__ = ["Approach", "Rate", "on_the_edge", "scale_invariant", "towards_zero"]


@dataclass(frozen=True)
class Approach:
    """How a distance shrinks with the depth l.

    Attributes
    ----------
    law : str
        "exponential", "1/l", "1/l^2", "1/ln l", "l^-p", or "constant": it tends to a limit that
        is not 0 and depends on where it began.
    coefficient : float or None
        The factor of the law; of "exponential" the depth scale, of "l^-p" the power p; None where
        it is not derived.

    Examples
    --------
    >>> print(Approach("1/l", 0.5), Approach("exponential", 3.0), Approach("constant"))
    0.5/l exp(-l/3) constant
    """

    law: str
    coefficient: float | None = None

    def __str__(self) -> str:
        if self.law == "exponential" and self.coefficient is not None:
            return f"exp(-l/{self.coefficient:.6g})"
        if self.coefficient is None:
            return self.law
        if self.law == "l^-p":
            return f"l^-{self.coefficient:.6g}"
        return f"{self.coefficient:.6g}/{self.law.removeprefix('1/')}"


@dataclass(frozen=True)
class Rate:
    """How variance and correlation approach their limits at a critical point.

    Attributes
    ----------
    variance : Approach
        Of |K^l - K*|.
    correlation : Approach
        Of 1 - c^l, for two inputs of equal mean square.

    Examples
    --------
    >>> print(Rate(Approach("constant"), Approach("1/l^2", 44.4132)))
    |K - K*|: constant; 1 - c: 44.4132/l^2
    """

    variance: Approach
    correlation: Approach

    def __str__(self) -> str:
        return f"|K - K*|: {self.variance}; 1 - c: {self.correlation}"


def _power(b: float, p: float, s: float = 0.0) -> Approach:
    """Of d' = d (1 + s/l) - b d^(1+p), with p = 1 or 1/2."""
    if 1 + p * s <= 0:
        return Approach("l^-p", -s)  # faster than the last term could make it
    if p == 1:
        return Approach("1/l", (1 + s) / b)
    return Approach("1/l^2", ((2 + s) / b) ** 2)


def _corner(left: float, right: float) -> float:
    """b of 1-c at a corner of phi: (2 sqrt 2/(3 pi)) (l - r)^2/(l^2 + r^2), power 3/2."""
    return 2 * math.sqrt(2) / (3 * math.pi) * (left - right) ** 2 / (left**2 + right**2)


def scale_invariant(act: Activation) -> Rate:
    """The rate of an activation of degree 1: every variance is kept.

    Examples
    --------
    >>> print(scale_invariant(Activation.parse("relu")).correlation)
    44.4132/l^2
    """
    left, right = act.at_zero[1:]
    if left == right:
        return Rate(Approach("constant"), Approach("constant"))
    return Rate(Approach("constant"), _power(_corner(left, right), 0.5))


def towards_zero(act: Activation) -> Rate:
    """The rate at sigma_w^2 = 1/V(0), sigma_b = 0, where K goes to 0.

    There phi acts by its slopes at 0: a corner lets correlations grow like a leaky ReLU's, and
    a smooth phi becomes linear so fast that the angle stops at a value below 1.

    Examples
    --------
    >>> print(towards_zero(Activation.parse("tanh")))
    |K - K*|: 0.5/l; 1 - c: constant
    """
    left, right = act.at_zero[1:]
    angle = Approach("constant") if left == right else _power(_corner(left, right), 0.5)
    return Rate(_shrinking(act), angle)


def _shrinking(act: Activation) -> Approach:
    """K' = K (1 - b K^p) from the Taylor coefficients of phi on both sides of 0."""
    try:
        (l1, l2, l3), (r1, r2, r3) = _taylor(act)
    except ValueError:
        return Approach("1/l or slower")
    size = (l1**2 + r1**2) / 2
    half = math.sqrt(2 / math.pi) * (l1 * l2 - r1 * r2) / size
    if half > 1e-12:
        return _power(half, 0.5)
    whole = -1.5 * sum(b * b / 4 + a * c / 3 for a, b, c in ((l1, l2, l3), (r1, r2, r3))) / size
    if whole > 1e-12:
        return _power(whole, 1.0)
    bends = [abs(kink) for kink in act.kinks if kink]
    if bends and max(map(abs, (l2, l3, r2, r3))) == 0:
        return Approach("1/ln l", min(bends) ** 2 / 2)  # K' = K - (...) exp(-bend^2/2K)
    return Approach("slower than 1/l")


def _taylor(act: Activation) -> tuple[list[float], list[float]]:
    """phi', phi'', phi''' at 0 from the left and from the right."""
    parts = list(pieces(exact(act.sympy())))
    left = next(expr for low, high, expr in parts if low < 0 <= high)
    right = next(expr for low, high, expr in parts if low <= 0 < high)
    sides = []
    for expr in (left, right):
        slopes = [sympy.limit(expr.diff(x, n), x, 0) for n in (1, 2, 3)]
        sides.append([float(slope) for slope in slopes])
    return sides[0], sides[1]


def on_the_edge(act: Activation, variance: float, curvature: float | None = None) -> Rate:
    """The rate at a point K > 0 of the edge of chaos.

    A corner of phi at t, by d in its slope, gives b = (2/3) sigma_w^2 sqrt(K/pi) sum d^2 p(t), p
    the density of N(0, K); without corners b = sigma_w^2 K E phi''^2/2 (Hayou et al., arXiv
    1902.06853). At a half-stable point, where Q'' is given, chi_1 itself is 1 + s/l on the side
    from which K is attracted.

    Examples
    --------
    >>> print(on_the_edge(Activation.parse("hardtanh"), 0.5).correlation.law)
    1/l^2
    """
    curve = edge(act)
    weight = curve.sigma_w(variance) ** 2
    chi_k = curve.chi_k(variance)
    if curvature is not None:
        bend = weight * curvature / 2
        nearing = Approach("1/l", 1 / abs(bend))
        s = -weight * curve.v.slope(variance) / bend
    else:
        nearing = Approach("exponential", -1 / math.log(abs(chi_k)) if chi_k else 0.0)
        s = 0.0
    corners = _corners(act, variance)
    if corners:
        b = 2 / 3 * weight * math.sqrt(variance / math.pi) * corners
        return Rate(nearing, _power(b, 0.5, s))
    if act.formula is None:
        return Rate(nearing, Approach("1/l"))
    bending = act.formula.second_derivative_numpy
    square = expectation(lambda at: np.square(bending(at)), variance, kinks=act.kinks)
    return Rate(nearing, _power(weight * variance * float(square.value) / 2, 1.0, s))


def _corners(act: Activation, variance: float) -> float:
    """Sum over the corners of phi of (jump of the slope)^2 times the density of N(0, K)."""
    total = 0.0
    for kink in act.kinks:
        step = 1e-9 * max(1.0, abs(kink))
        before, after = act.derivative([kink - step, kink + step])
        if abs(after - before) > 1e-6:
            density = math.exp(-(kink**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
            total += float(after - before) ** 2 * density
    return total
