"""The gap between two activations, 1 - E phi(u) phi(v) / sqrt(Q(a) Q(b)), by quadrature.

It is E (phi(u)/sqrt(Q(a)) - phi(v)/sqrt(Q(b)))^2 / 2, a mean of squares: nothing cancels, and
phi(u) - phi(v) of near inputs is the integral of the slope between them. So its relative accuracy
doesn't depend on how small it is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

from .closed_pair import Angle, closed_pair
from .kernel import length_of, reach_of
from .lattice import analytic, lattice_mean
from .maps import variance_map
from .pairquad import Index, Pairs, integrate

__all__ = ["log_gap", "log_gap_apart"]

Array = NDArray[np.float64]

_CLOSE = 0.03  # of the activation's length: nearer points are joined by the slope
_FAINT = 1e-3  # the same as a part of x, far out, where a difference loses digits
_NEAR, _SEEN = -9.0, 3e-5  # tilt and gap from which the difference keeps 13 digits
_EPS = float(np.finfo(float).eps)
_T, _W = np.polynomial.legendre.leggauss(4)
_T, _W = (_T + 1) / 2, _W / 2


class _Difference:
    """(phi(u) - (1 + excess) phi(v))^2 / 2 at the nodes of panels."""

    def __init__(self, act: Activation, excess: Array) -> None:
        self.act, self.excess = act, excess
        self.length = min(1.0, length_of(act))
        self.kinks = np.asarray(act.kinks, dtype=float)
        self.at_zero = float(act.at_zero[0])

    def _from_zero(self, x: Array) -> Array:
        """phi(x) - phi(0), also for small x."""
        out = self.act(x) - self.at_zero if self.at_zero else self.act(x)
        near = np.abs(x) < _CLOSE * self.length
        if self.at_zero and near.any() and not (np.abs(self.kinks) > 0).any():
            at = x[near]
            out[near] = self.act.derivative(at[..., None] * _T) @ _W * at
        return out

    def __call__(self, point: Index, u: Array, v: Array, apart: Array) -> Array:
        """A row is one panel."""
        left, right = self._from_zero(u), self._from_zero(v)
        out = left - right
        near = np.maximum(_CLOSE * self.length, _FAINT * np.abs(v).min(axis=1))
        close = np.abs(apart).max(axis=1) < near
        if close.any():
            middle = u.shape[1] // 2
            sides = (u[:, middle, None] - self.kinks) * (v[:, middle, None] - self.kinks)
            rows = np.flatnonzero(close & ~(sides < 0).any(axis=1))
            at, step = v[rows], apart[rows]
            slopes = (w * self.act.derivative(at + t * step) for t, w in zip(_T, _W, strict=True))
            slope = sum(slopes)
            joined = slope * step
            # Where the two disagree by more than rounding, the slope has missed something.
            slack = np.abs(left[rows]) + np.abs(right[rows]) + np.abs(slope * at)
            agree = np.abs(joined - out[rows]) <= 64 * _EPS * (slack + abs(self.at_zero))
            out[rows] = np.where(agree, joined, out[rows])
        if self.excess.any():
            out -= self.excess[point][:, None] * self.act(v)
        return np.asarray(0.5 * out * out)


def log_gap(act: Activation, log_k: Array, tilt: Array) -> Array:
    """ln of the gap for two inputs of one variance, by closed form or quadrature.

    Parameters
    ----------
    act : Activation
        The activation phi.
    log_k, tilt : ndarray, one-dimensional
        ln K and the angles, see `angle`.

    Examples
    --------
    >>> relu = Activation.parse("relu")
    >>> log_gap(relu, np.zeros(1), np.zeros(1)).round(6).tolist()
    [-0.38318]
    """
    forms = closed_pair(act)
    k = np.exp(log_k)
    if forms is not None and k.max() <= forms.largest:
        return np.asarray(np.log(forms.gap(k, Angle(tilt))))
    out = np.full_like(k, np.nan)
    if analytic(act):
        for i, (each, at) in enumerate(zip(log_k.tolist(), tilt.tolist(), strict=True)):
            out[i] = _on_lattice(act, each, at)
    rest = np.isnan(out)
    if rest.any():
        none = np.zeros(int(rest.sum()))
        out[rest] = log_gap_apart(act, log_k[rest], none, none, tilt[rest])
    return out


def _on_lattice(act: Activation, log_k: float, tilt: float) -> float:
    """ln of the gap; nan where a lattice does not do, or phi(u) - phi(v) has lost digits."""
    if tilt < _NEAR:
        return math.nan
    square = math.exp(variance_map(act).log_at(log_k))
    scale = math.exp(log_k / 2)

    def half_square(u: Array, v: Array) -> Array:
        apart = act(u) - act(v)
        return np.asarray(0.5 * apart * apart)

    reach = reach_of(act, np.array([scale]), np.array([math.sqrt(square)]))
    found = lattice_mean(half_square, scale, tilt, length_of(act), reach, 0.0)
    return math.log(found / square) if found is not None and found > _SEEN * square else math.nan


def log_gap_apart(act: Activation, log_a: Array, delta: Array, ratio: Array, tilt: Array) -> Array:
    """ln of the gap for inputs of variances a and a e^-delta, by quadrature.

    Parameters
    ----------
    act : Activation
        The activation phi.
    log_a, delta, tilt : ndarray, one-dimensional
        ln a, ln a - ln b, and the angles.
    ratio : ndarray
        ln Q(a) - ln Q(b), with all its digits.

    Raises
    ------
    ValueError
        If the expectation diverges or overflows.

    Examples
    --------
    >>> one, apart = np.zeros(1), np.full(1, 0.2)
    >>> log_gap_apart(Activation.parse("relu"), one, apart, apart, one).round(6).tolist()
    [-0.38318]
    """
    norms = np.exp(np.asarray(variance_map(act).log(log_a)) / 2)
    scale = np.exp(log_a / 2)
    spread, excess = -scale * np.expm1(-delta / 2), np.expm1(ratio / 2)
    pairs = Pairs(
        scale,
        np.exp((log_a - delta) / 2),
        spread,
        tilt,
        act.kinks,
        length_of(act),
        reach_of(act, scale, norms),
        symmetric=not (spread.any() or excess.any()),
        noise=16 * _EPS * np.minimum(np.maximum(np.abs(delta), np.abs(ratio)), 1.0) * norms,
    )
    value, _ = integrate(_Difference(act, excess), pairs)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(value) - 2 * np.log(norms))
