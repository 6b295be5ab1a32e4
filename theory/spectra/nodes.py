"""Gauss nodes for the law of phi'(x)^2, x = s z, on the real line and beside it.

M(u) = E d(z)/(u - d(z)) is asked for u in the upper half-plane, down to the real axis. Wherever
d rises, its pole in z lies above the line, and where it falls, below. So the path of integration
is moved to the other side, d continued there from the real nodes: u may then come down onto the
law itself, and nothing is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR", "REACH", "Nodes", "nodes"]

Array = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

REACH, FAR = 10.0, 37.0  # in standard deviations; the far one where phi'^2 is unbounded
_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 3.5, 4.25, 5.0, 6.0, 7.0, 8.5, REACH)
_FAR_EDGES = (14.0, 20.0, 28.0, FAR)
_PROBES = np.array([-1e-5, -0.1, -1.0, 0.2 + 0.3j, 0.7 + 0.3j, 1.0 + 0.2j])
_FINE = 1e-12  # error allowed in one panel
_MOST_PANELS = 4000
_FLOOR = 1e-300  # a tail of phi'^2 below it is taken for it, not for 0
_GRADES = 5
_ASIDE = 0.4  # how far the path goes, in half-widths of a panel

_RULE, _WEIGHTS = np.polynomial.legendre.leggauss(16)
# A pole on the line is then _ASIDE from the path: more nodes than the polynomial has.
_PATH_RULE, _PATH_WEIGHTS = np.polynomial.legendre.leggauss(32)
_TO_SERIES = (
    (_WEIGHTS[:, None] * np.polynomial.legendre.legvander(_RULE, 15)) * (np.arange(16) + 0.5)
).T
_SLOPES = np.polynomial.legendre.legvander(_RULE, 14) @ np.polynomial.legendre.legder(_TO_SERIES)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Values of d with their probabilities, and the same on the path beside the line.

    Examples
    --------
    >>> n = nodes(np.square, 1.0, (-10.0, 10.0), 1.0, 9.0, 1)
    >>> round(float(n.values @ n.weights), 12), bool(abs(n.path_values @ n.path_weights - 1) < 1e-9)
    (1.0, True)
    """

    values: Array
    weights: Array
    path_values: Complex
    path_weights: Complex


def nodes(
    squared_slope: Callable[[Array], Array],
    s: float,
    ends: tuple[float, float],
    scale: float,
    size: float,
    split: int,
) -> Nodes:
    """Nodes for d(z) = squared_slope(s z), z ~ N(0, 1), between two ends without a kink between.

    Parameters
    ----------
    squared_slope : callable
        phi'^2, vectorised.
    s : float
        sqrt(K).
    ends : tuple of two floats
        In z.
    scale : float
        The length in x over which phi' varies near 0.
    size : float
        The size of d where most of it is.
    split : int
        Into how many parts each panel is cut, beyond what smoothness asks for.

    Raises
    ------
    ValueError
        If `_MOST_PANELS` don't resolve it.
    """

    def d(z: Array) -> Array:
        return np.maximum(squared_slope(s * z), _FLOOR)

    low, high = _panels(d, scale / s, ends, size)
    low, high = _monotone(d, low, high)
    parts = np.arange(split) / split
    width = (high - low)[:, None]
    low = (low[:, None] + width * parts).ravel()
    high = np.r_[low[1:], high[-1]]
    half = (high - low)[:, None] / 2
    real = (low + high)[:, None] / 2 + half * _RULE
    value = d(real)
    # The ends of each panel, moved aside where d goes the same way on both sides.
    slope = value @ _SLOPES.T
    way = np.where((slope > 0).all(axis=1), 1, np.where((slope < 0).all(axis=1), -1, 0))
    inner = np.where(way[1:] == way[:-1], way[1:], 0) * np.minimum(half[1:, 0], half[:-1, 0])
    aside = -1j * _ASIDE * np.r_[0.0, inner, 0.0]
    a, b = (low + aside[:-1])[:, None], (high + aside[1:])[:, None]
    path = (a + b) / 2 + (b - a) / 2 * _PATH_RULE
    beside = _continued(value, (path - (low + high)[:, None] / 2) / half)
    return Nodes(
        value.ravel(),
        (_normal(real) * half * _WEIGHTS).ravel(),
        beside.ravel(),
        (_normal(path) * (b - a) / 2 * _PATH_WEIGHTS).ravel(),
    )


def _normal(z: Any) -> Any:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _continued(value: Array, at: Complex) -> Complex:
    """d off the line: each row's polynomial, or exp of its logarithm's, whichever is better."""
    plain, log = value @ _TO_SERIES.T, np.log(value) @ _TO_SERIES.T
    missed = [np.abs(series[:, -2:]).max(axis=1) for series in (plain, log)]
    by_log = missed[1] < missed[0] / value.min(axis=1)
    terms = [np.ones_like(at), at]
    for n in range(1, len(_RULE) - 1):
        terms.append(((2 * n + 1) * at * terms[n] - n * terms[n - 1]) / (n + 1))
    series = np.where(by_log[:, None], log, plain)
    found: Complex = np.einsum("ijk,ik->ij", np.stack(terms, axis=-1), series)
    found[by_log] = np.exp(found[by_log])
    return found


def _panels(
    d: Callable[[Array], Array], scale: float, ends: tuple[float, float], size: float
) -> tuple[Array, Array]:
    """Panels on which resolvents of d are smooth."""
    edges = np.array([*_EDGES, *_FAR_EDGES])
    rungs = scale * 2.0 ** np.arange(-2, 64)
    apart = np.abs(rungs[:, None] - edges).min(axis=1) > 0.2 * rungs  # no sliver of a panel
    marks = np.concatenate([edges, rungs[apart]])
    marks = np.unique(np.concatenate([ends, marks, -marks]))
    marks = marks[(marks >= ends[0]) & (marks <= ends[1])]

    def integral(lo: Array, hi: Array) -> Complex:
        at = (lo + hi)[:, None] / 2 + (hi - lo)[:, None] / 2 * _RULE
        value = d(at)[..., None] / size
        kernel = value / (_PROBES - value)
        found: Complex = np.einsum("ijk,j,ij,i->ik", kernel, _WEIGHTS, _normal(at), (hi - lo) / 2)
        return found

    done = np.empty((0, 2))
    low, high = marks[:-1], marks[1:]
    for _ in range(40):
        middle = (low + high) / 2
        fine = integral(low, middle) + integral(middle, high)
        good = np.abs(integral(low, high) - fine).max(axis=1) < _FINE
        done = np.r_[done, np.c_[low[good], high[good]]]
        if good.all():
            ordered = done[np.argsort(done[:, 0])]
            return ordered[:, 0], ordered[:, 1]
        low, middle, high = low[~good], middle[~good], high[~good]
        low, high = np.r_[low, middle], np.r_[middle, high]
        if len(done) + len(low) > _MOST_PANELS:
            break
    raise ValueError(
        f"phi'^2 at the scale {1 / scale:.6g} of the variance's root is not resolved by "
        f"{_MOST_PANELS} panels: it oscillates too often, or has a kink that is not declared"
    )


def _monotone(d: Callable[[Array], Array], low: Array, high: Array) -> tuple[Array, Array]:
    """The same panels, cut where d turns, and finer towards there and towards both ends."""
    value = d((low + high)[:, None] / 2 + (high - low)[:, None] / 2 * _RULE)
    slope = value @ _SLOPES.T
    edges = np.r_[low, high[-1]]
    turns = edges[1:-1][slope[1:, 0] * slope[:-1, -1] < 0].tolist()
    for i in np.flatnonzero((slope.max(axis=1) > 0) & (slope.min(axis=1) < 0)):
        if np.ptp(value[i]) <= 1e-12 * value[i].max():
            continue  # constant, but for rounding
        series = np.polynomial.legendre.legder(_TO_SERIES @ value[i])
        roots = np.polynomial.legendre.legroots(series)
        inside = roots.real[(np.abs(roots.imag) < 1e-6) & (np.abs(roots.real) < 1 - 1e-6)]
        turns += ((low[i] + high[i]) / 2 + (high[i] - low[i]) / 2 * inside).tolist()
    edges = np.unique(np.r_[edges, turns])
    near = 2.0 ** -np.arange(1, _GRADES + 1)
    finer = [edges]
    for turn in [edges[0], edges[-1], *turns]:
        at = int(np.searchsorted(edges, turn))
        for other in edges[max(at - 1, 0) : at + 2]:
            finer.append(turn + (other - turn) * near)
    edges = np.unique(np.concatenate(finer))
    return edges[:-1], edges[1:]
