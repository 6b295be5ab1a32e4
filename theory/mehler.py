"""E f(u) f(v) over correlated normals of variances a and b, by Hermite coefficients.

With f(sqrt(a) z) = sum_n f_n(a) h_n(z), h_n orthonormal under the normal density,
E f(u) f(v) = sum_n f_n(a) f_n(b) c^n (Mehler 1866). Coefficients belong to one variance, so that
many pairs, or one after another, cost a sum each. Corners make them fall slowly; the powers of c
help, and where they don't, near c = 1, the sum is not given out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HermiteSeries"]

Array = NDArray[np.float64]

_TERMS = 320
_PLACE, _SHARE = np.polynomial.legendre.leggauss(16)
_WIDEST, _FINEST = 0.5, 1 / 8  # panels, in standard deviations: halved as the scale asks for
_MARGIN = 4.5  # what the coefficients see beyond the reach of f^2
_AGREE = 2e-13  # between coefficients by panels and by their halves, and E f^2 and the one given
_GOOD = 1e-12  # a sum is given out where what it leaves away is less, relative to |f|_a |f|_b
_NOTHING = 1e-18  # terms that small in c^n are left away
_KEPT = 4096  # variances whose coefficients are kept
_POWERS = np.arange(_TERMS)


class _Nodes(NamedTuple):
    """Points, their weights under the density, and h_n at them times these (terms, points)."""

    z: Array
    weight: Array
    hermite: Array


@lru_cache(maxsize=6)  # up to 18 MB each, and three times that where phi grows fast
def _nodes(width: float, reach: float) -> _Nodes:
    panels = int(np.ceil(reach / width))
    starts = width * np.arange(-panels, panels)
    z = (starts[:, np.newaxis] + width * (_PLACE + 1) / 2).ravel()
    weight = np.tile(_SHARE * width / 2, 2 * panels) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    hermite = np.empty((_TERMS, z.size))
    before, now = np.zeros_like(z), np.ones_like(z)
    for n in range(_TERMS):
        hermite[n] = now * weight
        before, now = now, (z * now - np.sqrt(n) * before) / np.sqrt(n + 1)
    return _Nodes(z, weight, hermite)


class _Row(NamedTuple):
    """Coefficients over |f|, and what part of |f|^2 they leave; inf where they are not right."""

    terms: Array
    left: float


class HermiteSeries:
    """The series of one function, its coefficients kept for the variances asked for last.

    Parameters
    ----------
    f : callable
        A function of arrays.
    length : float
        The length over which it varies; inf if it has none of its own.
    reach : callable
        Takes a standard deviation and |f|; gives how many of them hold all of E f^2.

    Examples
    --------
    >>> series = HermiteSeries(np.cos, 1.0, lambda scale, norm: 9.5)
    >>> one, norm = np.ones(1), np.sqrt([(1 + np.exp(-2)) / 2])
    >>> value, bound = series(one, one, 0.5 * one, (norm, norm))
    >>> bool(abs(value * norm**2 - (np.exp(-0.5) + np.exp(-1.5)) / 2) < 1e-14)
    True
    """

    def __init__(
        self,
        f: Callable[[Array], Array],
        length: float,
        reach: Callable[[float, float], float],
    ) -> None:
        self._f, self._length, self._reach = f, length, reach
        self._kept: dict[float, _Row] = {}

    def __call__(
        self, a: Array, b: Array, c: Array, norms: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        """E f(u) f(v) / (|f|_a |f|_b), and bounds on its error: inf where it is not good.

        Parameters
        ----------
        a, b : ndarray, (points,)
            Variances > 0.
        c : ndarray, (points,)
            Correlations.
        norms : two ndarrays, (points,)
            |f|_a and |f|_b, the roots of E f^2, > 0.
        """
        rows = [self._rows(each, norm) for each, norm in zip((a, b), norms, strict=True)]
        size = np.minimum(np.abs(c), 1.0 - 2.0**-53)
        with np.errstate(divide="ignore"):
            counts = np.minimum(1 + np.log(_NOTHING) / np.log(size), _TERMS).astype(int)
        value, left = np.empty(c.size), np.empty(c.size)
        for i, (one, other, count) in enumerate(zip(*rows, counts.tolist(), strict=True)):
            value[i] = (one.terms[:count] * other.terms[:count]) @ c[i] ** _POWERS[:count]
            left[i] = math.sqrt(one.left * other.left)
        bound = size**_TERMS * np.minimum(left, 1.0) + 2 * _AGREE
        return value, np.where(np.isfinite(left) & (bound <= _GOOD), bound, np.inf)

    def _rows(self, variances: Array, norms: Array) -> list[_Row]:
        """Those of each variance, computed where they are not kept."""
        keys, kept = variances.tolist(), self._kept
        if not all(key in kept for key in keys):
            kept = dict(kept) if len(kept) + len(keys) <= _KEPT else {}
            for key, norm in zip(keys, norms.tolist(), strict=True):
                if key not in kept:
                    kept[key] = self._row(key, norm)
            self._kept = kept  # as a whole, for other threads may be reading
        return [kept[key] for key in keys]

    def _row(self, variance: float, norm: float) -> _Row:
        """One by one: the last bits of a product of matrices depend on how many there are."""
        scale = math.sqrt(variance)
        width = min(max(self._length / scale, _FINEST), _WIDEST)  # in reach of no near pole
        width, reach = 2.0 ** math.floor(math.log2(width)), self._reach(scale, norm) + _MARGIN
        found = []
        for each in (width, width / 2):  # f^2 may be smooth where f is not: sign(x - 1)
            nodes = _nodes(each, reach)
            with np.errstate(over="ignore", invalid="ignore"):
                f = self._f(scale * nodes.z) / norm
                found.append((nodes.hermite @ f, float((f * f) @ nodes.weight)))
        (rough, _), (terms, square) = found
        right = abs(square - 1.0) <= _AGREE and float(np.abs(terms - rough).max()) <= _AGREE
        left = max(1.0 - float(terms @ terms), 0.0) + _AGREE
        return _Row(terms, left if right else math.inf)
