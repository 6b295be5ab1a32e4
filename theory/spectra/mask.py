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

from ..moments import jumps

__all__ = ["Mask", "mask"]

Array = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

_REACH, _FAR = 10.0, 37.0  # in standard deviations; the far one where phi'^2 is unbounded
_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 3.5, 4.25, 5.0, 6.0, 7.0, 8.5)
_NODES = 16
_FINE = 1e-12  # error allowed in one panel
_MOST_PANELS = 4000
_FLOOR = 1e-300  # a tail of phi'^2 below it is taken for it, not for 0
_ROUNDS = 64  # of a bisection


@dataclass(frozen=True, eq=False)
class Mask:
    """A measure on [0, oo) that stands for the law of phi'^2.

    Attributes
    ----------
    values, weights : ndarray
        The points d > 0 and their probabilities.
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
        inverse = 1 / (u[:, None] - self.values)
        mass = self.weights * self.values
        # einsum, not @: arrays of this size gain nothing from threads, and lose much by them.
        m = np.einsum("ij,j->i", inverse, mass)
        s = u * np.einsum("ij,j->i", inverse, self.weights)
        return m, s, -u * np.einsum("ij,ij,j->i", inverse, inverse, mass)

    def distance(self, u: Complex) -> Array:
        """The distance from each u to the nearest point of the measure."""
        near = np.searchsorted(self.values, u.real)
        pair = [np.clip(near - 1, 0, None), np.clip(near, None, len(self.values) - 1)]
        found: Array = np.min([np.abs(u - self.values[side]) for side in pair], axis=0)
        return found

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


def _panels(act: Activation, s: float, a: float, b: float, sup: float) -> list[tuple[float, float]]:
    """Panels of [a, b] on which resolvents of phi'(s z)^2 are smooth."""
    scale = min(1.0, 1.0 / act.max_slope) if 0 < act.max_slope < np.inf else 1.0
    rungs = scale * 2.0 ** np.arange(-2, 64) / s
    marks = np.concatenate([_EDGES, [_REACH, 14.0, 20.0, 28.0, _FAR], rungs])
    marks = np.unique(np.concatenate([[a, b], marks, -marks]))
    marks = marks[(marks >= a) & (marks <= b)]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    probes = sup * np.array([-1e-5, -0.1, -1.0, 0.2 + 0.3j, 0.7 + 0.3j, 1.0 + 0.2j])

    def parts(lo: Array, hi: Array) -> Complex:
        points = (lo + hi)[:, None] / 2 + (hi - lo)[:, None] / 2 * nodes
        d = np.square(act.derivative(s * points))
        kernel = d[..., None] / (probes - d[..., None])
        normal = np.exp(-(points**2) / 2) / math.sqrt(2 * math.pi)
        found: Complex = np.einsum("ijk,j,ij,i->ik", kernel, weights, normal, (hi - lo) / 2)
        return found

    done: list[tuple[float, float]] = []
    low, high = marks[:-1], marks[1:]
    for _ in range(40):
        middle = (low + high) / 2
        rough = parts(low, high)
        fine = parts(low, middle) + parts(middle, high)
        good = np.abs(rough - fine).max(axis=1) < _FINE
        done += zip(low[good].tolist(), high[good].tolist(), strict=True)
        low, middle, high = low[~good], middle[~good], high[~good]
        if not len(low):
            return sorted(done)
        low, high = np.r_[low, middle], np.r_[middle, high]
        if len(done) + len(low) > _MOST_PANELS:
            break
    raise ValueError(
        f"the law of phi'(x)^2 of {act} over N(0, {s * s:.6g}) is not resolved by "
        f"{_MOST_PANELS} panels; allowed are an activation with its kinks declared, and a variance "
        "at which phi' does not oscillate too often"
    )


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
    if where := jumps(act):
        raise ValueError(
            f"the derivative of {act} is singular: it jumps at x = {where[0]:g}, so its "
            "Jacobian has no spectrum; needed is an activation without jumps"
        )
    if variance == 0.0:
        left, right = (slope**2 for slope in act.at_zero[1:])
        return _collected(act, [(left, 0.5), (right, 0.5)], [], split, 1.0)
    s = math.sqrt(variance)
    bounded = math.isfinite(act.max_slope)
    far = _REACH if bounded else _FAR
    cuts = [-far, *(k / s for k in act.kinks if abs(k / s) < far), far]
    flat, rest = [], []
    for a, b in pairwise(cuts):
        inside = a + (b - a) * np.linspace(0.005, 0.995, 41)
        d = np.square(act.derivative(s * inside))
        if np.ptp(d) <= 8 * np.finfo(float).eps * d.max():
            lo, hi = (-np.inf if a == -far else a), (np.inf if b == far else b)
            flat.append((float(d[20]), _probability(lo, hi)))
        else:
            rest.append((a, b))
    return _collected(act, flat, rest, split, s)


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
    values, weights = [np.array(list(weight_of))], [np.array(list(weight_of.values()))]
    nodes, rule = np.polynomial.legendre.leggauss(_NODES)
    for a, b in rest:
        size = float(np.square(act.derivative(s * np.linspace(max(a, -3), min(b, 3), 99))).max())
        panels = np.array(_panels(act, s, a, b, min(top, size or 1.0)))
        half = (panels[:, 1] - panels[:, 0])[:, None] / (2 * split)
        middle = panels[:, :1] + half * np.arange(1, 2 * split, 2)
        at = middle[:, :, None] + half[:, :, None] * nodes
        normal = np.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
        values.append(np.maximum(np.square(act.derivative(s * at)), _FLOOR).ravel())
        weights.append((rule * normal * half[:, :, None]).ravel())
    d, w = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(d)
    keep = order[w[order] > 0]
    d, w = d[keep], w[keep]
    if not len(d) or not (d * w).sum() > 0:
        raise ValueError(f"the slope of {act} is 0 almost everywhere: its Jacobian is 0")
    if not np.isfinite(d).all():
        raise ValueError(f"phi'^2 of {act} overflows float64 within {_FAR:g} standard deviations")
    w = w * ((1 - zero) / w.sum())
    return Mask(d, w, zero, tuple(sorted(weight_of.items())), max(top, float(d.max())), bool(rest))
