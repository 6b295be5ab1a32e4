"""The law of phi'(x)^2 for x ~ N(0, K): what an activation does to singular values.

It is kept as a discrete measure: one value where phi' is constant between two kinks, Gauss nodes
elsewhere. Its transform M(u) = E d/(u - d) is wanted off the law's support only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from varprop.activation import Activation

from .nodes import FAR, REACH, Nodes, nodes

__all__ = ["Mask", "mask"]

Array = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

_ROUNDS = 64  # of a bisection


@dataclass(frozen=True, eq=False)
class Mask:
    """A measure on [0, oo) that stands for the law of phi'^2.

    Attributes
    ----------
    values, weights : ndarray
        The points d > 0 and their probabilities.
    path_values, path_weights : ndarray
        Complex ones that give the same integrals, with which M(u) is good for u in the upper
        half-plane down to the real axis; see `nodes`.
    zero : float
        The probability of exactly 0.
    atoms : tuple of (float, float)
        Points d > 0 of positive probability, with it.
    top : float
        The supremum of phi'^2; may be inf.
    continuous : bool
        Whether there is more than atoms.

    Examples
    --------
    >>> relu = mask(Activation.parse("relu"), 1.0)
    >>> relu.zero, relu.atoms
    (0.5, ((1.0, 0.5),))
    """

    values: Array
    weights: Array
    path_values: Complex
    path_weights: Complex
    zero: float
    atoms: tuple[tuple[float, float], ...]
    top: float
    continuous: bool

    @property
    def log_mean(self) -> float:
        """ln mu_1 = ln E d."""
        return math.log(float(self.values @ self.weights))

    @property
    def spread(self) -> float:
        """mu_2/mu_1^2 - 1, without cancellation."""
        mean = float(self.values @ self.weights)
        return self.zero + float(self.weights @ (self.values / mean - 1) ** 2)

    def moments(self, count: int) -> list[Any]:
        """E d^k for k = 1..count, at mpmath's working precision."""
        weights = [mpmath.mpf(w) for w in self.weights]
        whole = mpmath.fsum(weights) / (1 - mpmath.mpf(self.zero))
        values = [mpmath.mpf(d) for d in self.values]
        powers, found = [w / whole for w in weights], []
        for _ in range(count):
            powers = [p * d for p, d in zip(powers, values, strict=True)]
            found.append(mpmath.fsum(powers))
        return found

    def transform(self, u: Complex) -> tuple[Complex, Complex, Complex]:
        """M(u), s(u) = E u/(u - d) over d > 0, which is 1 - zero + M(u), and their u d/du."""
        inverse = 1 / (u[:, None] - self.path_values)
        mass = self.path_weights * self.path_values
        # einsum, not @: arrays of this size gain nothing from threads, and lose much by them.
        m = np.einsum("ij,j->i", inverse, mass)
        s = u * np.einsum("ij,j->i", inverse, self.path_weights)
        return m, s, -u * np.einsum("ij,ij,j->i", inverse, inverse, mass)

    def distance(self, u: Complex) -> Array:
        """The distance from each u to the nearest atom; |u| where there is none."""
        to_zero: Array = np.abs(u)
        gaps = [np.abs(u - value) for value, _ in self.atoms]
        nearest: Array = np.min([to_zero, *gaps], axis=0)
        return nearest

    def log_below(self, s: Array, m: Array) -> Array:
        """ln(-u) of the u < 0 with s(u) = s and M(u) = -m, both > 0, to the smaller's digits."""

        def too_low(t: Array) -> NDArray[np.bool_]:
            u = np.exp(t)[:, None]
            inverse = self.weights / (u + self.values)
            by_s = (u * inverse).sum(axis=1) < s
            by_m = (inverse * self.values).sum(axis=1) > m
            return np.asarray(np.where(s < m, by_s, by_m))

        return _bisect(too_low, np.full(s.shape, -700.0), np.full(s.shape, 700.0))

    def log_above(self, m: Array) -> Array:
        """ln(u/top - 1) of the u > top with M(u) = m; as low as it goes where there is none."""
        ratio, gap = self.values / self.top, (self.top - self.values) / self.top

        def too_low(t: Array) -> NDArray[np.bool_]:
            each = self.weights * ratio / (gap + np.exp(t)[:, None])
            return np.asarray(each.sum(axis=1) > m)

        return _bisect(too_low, np.full(m.shape, -90.0), np.full(m.shape, 90.0))


def _bisect(too_low: Any, low: Array, high: Array) -> Array:
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        up = too_low(middle)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return (low + high) / 2


def _probability(a: float, b: float) -> float:
    """P(a < z < b), also far out on either side."""
    return float(ndtr(-a) - ndtr(-b)) if a > 0 else float(ndtr(b) - ndtr(a))


@lru_cache(maxsize=256)
def mask(act: Activation, variance: float, split: int = 1) -> Mask:
    """The law of phi'(x)^2, x ~ N(0, variance).

    Parameters
    ----------
    act : Activation
        The activation.
    variance : float
        K, finite and >= 0.
    split : int
        Into how many parts each panel is cut, beyond what its smoothness asks for.

    Raises
    ------
    ValueError
        If phi jumps, if phi' is 0 almost everywhere, or if the law can't be resolved.

    Examples
    --------
    >>> m = mask(Activation.parse("tanh"), 0.5)
    >>> m.top, m.zero, len(m.atoms)
    (1.0, 0.0, 0)
    """
    if where := act.jumps:
        raise ValueError(
            f"the derivative of {act} is singular: it jumps at x = {where[0]:g}, so its "
            "Jacobian has no spectrum; needed is an activation without jumps"
        )
    if variance == 0.0:
        left, right = (slope**2 for slope in act.at_zero[1:])
        return _collected(act, [(left, 0.5), (right, 0.5)], [], split, 1.0)
    s = math.sqrt(variance)
    far = REACH if math.isfinite(act.max_slope) else FAR
    cuts = [-far, *(k / s for k in act.kinks if abs(k / s) < far), far]
    flat, rest = [], []
    for a, b in pairwise(cuts):
        d = np.square(act.derivative(s * _inside(a, b, s)))
        if np.ptp(d) <= 8 * np.finfo(float).eps * d.max():
            lo, hi = (-np.inf if a == -far else a), (np.inf if b == far else b)
            flat.append((float(d[0]), _probability(lo, hi)))
        else:
            rest.append((a, b))
    return _collected(act, flat, rest, split, s)


def _inside(a: float, b: float, s: float) -> Array:
    """Points in (a, b): evenly spread, and closer and closer to both ends and to 0."""
    ladder = 2.0 ** np.arange(-8, 40) / s
    points = np.concatenate([a + ladder, b - ladder, ladder, -ladder, [(a + b) / 2]])
    return points[(points > a) & (points < b)]


def _collected(
    act: Activation,
    flat: list[tuple[float, float]],
    rest: list[tuple[float, float]],
    split: int,
    s: float,
) -> Mask:
    weight_of: dict[float, float] = {}
    for value, weight in flat:
        same = next((v for v in weight_of if math.isclose(v, value, rel_tol=1e-14)), value)
        weight_of[same] = weight_of.get(same, 0.0) + weight
    zero = weight_of.pop(0.0, 0.0)
    top = act.max_slope**2 if rest else max(weight_of, default=0.0)
    scale = min(1.0, 1.0 / act.max_slope) if 0 < act.max_slope < np.inf else 1.0
    single, share = np.array(list(weight_of)), np.array(list(weight_of.values()))
    made = [Nodes(single, share, single + 0j, share + 0j)]
    for a, b in rest:
        near = act.derivative(s * _inside(max(a, -3.0), min(b, 3.0), s))
        size = min(top, float(np.square(near).max())) or 1.0
        made.append(nodes(lambda x: np.square(act.derivative(x)), s, (a, b), scale, size, split))
    d, w = (np.concatenate([getattr(n, name) for n in made]) for name in ("values", "weights"))
    if not len(d) or not (d * w).sum() > 0:
        raise ValueError(f"the slope of {act} is 0 almost everywhere: its Jacobian is 0")
    if not np.isfinite(d).all():
        raise ValueError(f"phi'^2 of {act} overflows float64 within {FAR:g} standard deviations")
    whole = (1 - zero) / w.sum()
    return Mask(
        d,
        w * whole,
        np.concatenate([n.path_values for n in made]),
        np.concatenate([n.path_weights for n in made]) * whole,
        zero,
        tuple(sorted(weight_of.items())),
        max(top, float(d.max())),
        bool(rest),
    )
