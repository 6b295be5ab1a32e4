"""Kernels that are closed, in a form that keeps its digits.

The expressions that `bivariate` derives lose digits where two inputs come near, for k = sqrt(a b)
is then all they see. Here the same functions are written in the variances and the angle, and the
gap 1 - c of the activations as a sum that doesn't cancel. The tests hold them to the derived ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

__all__ = ["Angle", "ClosedPair", "closed_pair"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Angle:
    """What the closed forms need of an angle: 1-c, 1+c, c, sin and the angle itself."""

    tilt: Array

    @property
    def gap(self) -> Array:
        """1 - c."""
        return np.asarray(2 / (1 + np.exp(-self.tilt)))

    @property
    def rest(self) -> Array:
        """1 + c."""
        return np.asarray(2 / (1 + np.exp(self.tilt)))

    @property
    def cos(self) -> Array:
        """c."""
        return -np.tanh(self.tilt / 2)

    @property
    def sin2(self) -> Array:
        """1 - c^2."""
        return self.gap * self.rest

    @property
    def theta(self) -> Array:
        """The angle, 0..pi."""
        return 2 * np.arctan(np.exp(self.tilt / 2))


class ClosedPair(Protocol):
    """A family with closed kernels; a and b are variances > 0."""

    @property
    def largest(self) -> float:
        """The variance up to which the forms are good."""
        ...

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """E phi(u) phi(v)."""
        ...

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """E phi'(u) phi'(v)."""
        ...

    def gap(self, k: Array, angle: Angle) -> Array:
        """1 - E phi(u) phi(v) / E phi(u)^2 for two inputs of variance k."""
        ...


def _defect(x: Array) -> Array:
    """x - sin x."""
    small = np.minimum(np.abs(x), 1.0) * np.sign(x)
    square, term, total = small * small, small**3 / 6, np.zeros_like(small)
    for n in range(4, 22, 2):
        total = total + term
        term = -term * square / (n * (n + 1))
    return np.where(np.abs(x) < 1, total, x - np.sin(x))


def _arc_cosine(order: int, t: Array) -> Array:
    """J_n of Cho and Saul (2009): E u_+^n v_+^n = (ab)^(n/2) J_n(t) / (2 pi)."""
    if order == 0:
        return np.pi - t
    if order == 1:
        return np.sin(t) + (np.pi - t) * np.cos(t)
    return np.asarray(3 * np.sin(t) * np.cos(t) + (np.pi - t) * (1 + 2 * np.cos(t) ** 2))


def _arc_cosine_near(order: int, t: Array) -> tuple[Array, Array]:
    """J_n(0) - J_n(t) and J_n(pi - t), both small with t."""
    if order == 0:
        return t, t
    haversine = 2 * np.sin(t / 2) ** 2
    if order == 1:
        back = t * haversine - _defect(t)
        return np.pi * haversine - back, back
    lens, square = _defect(2 * t) / 2, np.sin(t) ** 2
    return 3 * lens + 2 * (np.pi - t) * square, 3 * lens - 2 * t * square


@dataclass(frozen=True)
class Homogeneous:
    """right x^n for x > 0, left |x|^n for x < 0, n = 0, 1, 2."""

    order: int
    left: float
    right: float
    largest: float = math.inf

    def _folded(self, order: int, left: float, right: float, t: Array) -> Array:
        same = (left**2 + right**2) * _arc_cosine(order, t)
        return np.asarray(same + 2 * left * right * _arc_cosine(order, np.pi - t)) / (2 * np.pi)

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """By the arc-cosine kernels of the two halves."""
        root = np.sqrt(a) * np.sqrt(b)
        return root**self.order * self._folded(self.order, self.left, self.right, angle.theta)

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """The derivative is homogeneous of one order less."""
        n, root = self.order, np.sqrt(a) * np.sqrt(b)
        return n**2 * root ** (n - 1) * self._folded(n - 1, -self.left, self.right, angle.theta)

    def gap(self, k: Array, angle: Angle) -> Array:
        """Independent of the variance."""
        near, back = _arc_cosine_near(self.order, angle.theta)
        mixed = 2 * self.left * self.right / (self.left**2 + self.right**2)
        whole = (1.0, 1.0, 3.0)[self.order] * np.pi
        return np.asarray((near - mixed * back) / whole)


def _minor(a: Array, b: Array, angle: Angle) -> tuple[Array, Array]:
    """k and a b - k^2."""
    return np.sqrt(a) * np.sqrt(b) * angle.cos, a * b * angle.sin2


def _arc_difference(s: Array, rest: Array, angle: Angle) -> Array:
    """asin(s) - asin(s c), given rest = 1 - s^2."""
    y, drop = s * angle.cos, s * s * angle.sin2
    far = np.sqrt(rest + drop)
    plus, minus = s * far, y * np.sqrt(rest)
    sine = np.where(y > 0, drop / (plus + np.abs(minus)), plus - minus)
    return np.arctan2(sine, np.sqrt(rest) * far + s * y)


@dataclass(frozen=True)
class Arcsine:
    """shift + scale erf(x / sqrt(2 width)): erf and the normal distribution function."""

    width: float
    scale: float
    shift: float
    largest: float = math.inf

    def _widths(self, a: Array, b: Array, angle: Angle) -> tuple[Array, Array]:
        k, minor = _minor(a, b, angle)
        return k, self.width * (self.width + a + b) + minor

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """shift^2 + (2/pi) scale^2 asin(k / sqrt((w+a)(w+b))) (Williams 1997)."""
        k, rest = self._widths(a, b, angle)
        return self.shift**2 + 2 / np.pi * self.scale**2 * np.arctan2(k, np.sqrt(rest))

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """(2/pi) scale^2 / sqrt((w+a)(w+b) - k^2)."""
        return 2 / np.pi * self.scale**2 / np.sqrt(self._widths(a, b, angle)[1])

    def gap(self, k: Array, angle: Angle) -> Array:
        """The difference of two arcsines."""
        w = self.width
        s, rest = k / (w + k), w * (w + 2 * k) / (w + k) ** 2
        factor = 2 / np.pi * self.scale**2
        whole = self.shift**2 + factor * np.arctan2(s, np.sqrt(rest))
        return factor * _arc_difference(s, rest, angle) / whole


@dataclass(frozen=True)
class Wave:
    """sin (parity -1) or cos (parity 1)."""

    parity: int
    largest: float = math.inf

    def _kernel(self, parity: int, a: Array, b: Array, angle: Angle) -> Array:
        root, apart = np.sqrt(a) * np.sqrt(b), (np.sqrt(a) - np.sqrt(b)) ** 2
        near, far = apart / 2 + root * angle.gap, apart / 2 + root * angle.rest
        if parity > 0:
            return np.asarray((np.exp(-near) + np.exp(-far)) / 2)
        sign, k = np.sign(angle.cos), root * np.abs(angle.cos)
        return np.asarray(-sign * np.exp(-np.minimum(near, far)) * np.expm1(-2 * k) / 2)

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """exp(-(a+b)/2) sinh k or cosh k."""
        return self._kernel(self.parity, a, b, angle)

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """The other wave's kernel."""
        return self._kernel(-self.parity, a, b, angle)

    def gap(self, k: Array, angle: Angle) -> Array:
        """(1 - e^(-k(1-c)))(1 -+ e^(-k(1+c))) / (1 +- e^(-2k))."""
        sign = self.parity
        other = -np.expm1(-k * angle.rest) if sign > 0 else 1 + np.exp(-k * angle.rest)
        whole = 1 + np.exp(-2 * k) if sign > 0 else -np.expm1(-2 * k)
        return np.asarray(-np.expm1(-k * angle.gap) * other / whole)


@dataclass(frozen=True)
class Gaussian:
    """exp(-x^2)."""

    largest: float = math.inf

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """[(1+2a)(1+2b) - 4k^2]^(-1/2)."""
        return 1 / np.sqrt(1 + 2 * a + 2 * b + 4 * _minor(a, b, angle)[1])

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """4k [(1+2a)(1+2b) - 4k^2]^(-3/2), by Price's theorem."""
        return 4 * _minor(a, b, angle)[0] * self.kernel(a, b, angle) ** 3

    def gap(self, k: Array, angle: Angle) -> Array:
        """1 - sqrt(x/y) with y - x = (2k sin t)^2."""
        x, rise = 1 + 4 * k, 4 * k * k * angle.sin2
        y = x + rise
        return np.asarray(rise / (np.sqrt(y) * (np.sqrt(x) + np.sqrt(y))))


@dataclass(frozen=True)
class Gelu:
    """x Phi(x), by Tsuchida et al. (arXiv 2002.08517)."""

    largest: float = 1e8  # beyond, the gap cancels; it is integrated then

    def _parts(self, a: Array, b: Array, angle: Angle) -> tuple[Array, Array, Array, Array]:
        k, minor = _minor(a, b, angle)
        return k, np.sqrt(1 + a + b + minor), (1 + a) * (1 + b), minor

    def kernel(self, a: Array, b: Array, angle: Angle) -> Array:
        """k/4 + [(k^2 + a b D^2) / ((1+a)(1+b) D) + k atan(k/D)] / (2 pi)."""
        k, d, product, _ = self._parts(a, b, angle)
        arc = (k * k + a * b * d * d) / (product * d) + k * np.arctan2(k, d)
        return k / 4 + arc / (2 * np.pi)

    def slope(self, a: Array, b: Array, angle: Angle) -> Array:
        """1/4 + [atan(k/D) + (k/D)(1/D^2 + (1-ab)/((1+a)(1+b)) + 1)] / (2 pi)."""
        k, d, product, _ = self._parts(a, b, angle)
        bracket = 1 / (d * d) + (2 + a + b) / product
        return 1 / 4 + (np.arctan2(k, d) + k / d * bracket) / (2 * np.pi)

    def gap(self, k: Array, angle: Angle) -> Array:
        """The kernel's terms, each less its value at c = 1."""
        d0, sin2 = np.sqrt(1 + 2 * k), angle.sin2
        d = np.sqrt(1 + 2 * k + k * k * sin2)
        s, rest = k / (1 + k), (1 + 2 * k) / (1 + k) ** 2
        arc = np.arctan2(s, np.sqrt(rest))
        step = k * k * sin2 / (d + d0)
        bend = step * (1 / (d * d0) + (1 - k) / (1 + k))
        turn = k * angle.gap * arc + k * angle.cos * _arc_difference(s, rest, angle)
        whole = k / 4 + (k * k * (1 + d0 * d0) / ((1 + k) ** 2 * d0) + k * arc) / (2 * np.pi)
        return np.asarray((k * angle.gap / 4 + (bend + turn) / (2 * np.pi)) / whole)


_BY_FORMULA: dict[str, ClosedPair] = {
    "erf(x)": Arcsine(0.5, 1.0, 0.0),
    "Phi(x)": Arcsine(1.0, 0.5, 0.5),
    "sin(x)": Wave(-1),
    "cos(x)": Wave(1),
    "exp(-x**2)": Gaussian(),
    "x*Phi(x)": Gelu(),
}


@lru_cache(maxsize=1024)
def closed_pair(act: Activation) -> ClosedPair | None:
    """The closed forms of an activation's kernels, or None.

    Examples
    --------
    >>> closed_pair(Activation.parse("leaky_relu(0.2)"))
    Homogeneous(order=1, left=-0.2, right=1.0, largest=inf)
    >>> closed_pair(Activation.parse("tanh")) is None
    True
    """
    if act.degree in (0, 1, 2):
        left, right = (float(value) for value in act([-1.0, 1.0]))
        return Homogeneous(act.degree, left, right)
    return _BY_FORMULA.get(act.formula.text) if act.formula is not None else None
