"""The numeric oracle: E f(x) for x ~ N(0, K), with a bound on its own error.

Adaptive Gauss-Legendre panels in z = x / sqrt(K). A panel's error is judged by the last
coefficients of the integrand's Legendre series there, which fall fast only where the integrand is
smooth; so a kink nobody declared is found by bisection, or makes the bound grow. Digits that
cancel inside the integrand (x - tanh(x) near 0) don't come back by bisection: that noise is
measured, and belongs to the bound.
All (K, panel) pairs of a call are worked on together, as one array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Expectation", "expectation"]

Array = NDArray[np.float64]

_NODES = 24
_EPS = float(np.finfo(float).eps)
_ULPS = 8.0  # rounding of the integrand and of the weights, in units of eps
_TOLERANCE = 1e-14  # error allowed in one panel, relative to E|f|
_EDGES = (1.0, 2.0, 3.5, 5.0, 6.5, 8.0, 10.0)  # panel edges in z: the density's own scale
_SHELLS = (10.0, 14.0, 18.0, 22.0, 26.0, 30.0, 34.0, 38.0)  # only if f grows exponentially
_MOST_PANELS = 2**20  # per K: a fast oscillation has many panels
_BLOCK = 2**8  # values of K worked on together
_SLICE = 2**13  # panels bisected together
_DEPTH = 64
_LISTEN = 4  # so many bisections between two measurements of the noise
_NEAR, _FAR = 2.0**-22, 2.0**-12  # of half a panel, between neighbours whose difference is noise
_CLEAR = 1e-3  # of |f|: more than that between far neighbours may be a wave
_FEW_PANELS = 2**12  # for each K at which noise is louder than that


@dataclass(frozen=True)
class Expectation:
    """A value of E f(x) and a bound on its absolute error.

    Attributes
    ----------
    value, bound : float or ndarray
        Of the shape of the variances asked for.

    Examples
    --------
    >>> Expectation(1.0, 1e-15).relative_bound
    1e-15
    """

    value: float | Array
    bound: float | Array

    @property
    def relative_bound(self) -> float | Array:
        """bound / |value|: 0 where both are 0, inf where only the value is."""
        value, bound = np.abs(self.value), np.asarray(self.bound)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(bound == 0, 0.0, bound / value)
        return float(ratio) if ratio.ndim == 0 else ratio


def _legendre_rule() -> tuple[Array, Array, Array, Array]:
    """Nodes with both ends added (weight 0), weights, and the rows of two tests of smoothness.

    `tail` gives the last Legendre coefficients. `ends` gives what the polynomial misses at the
    two ends: a jump between an end and the first node is seen by no other node.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    inner = np.polynomial.legendre.legvander(nodes, _NODES - 1)
    to_series = (weights[:, None] * inner * (np.arange(_NODES) + 0.5)).T
    edge = np.array([-1.0, 1.0]) * (1 - 1e-7)  # just inside: at the edge itself f may jump
    at_edge = np.polynomial.legendre.legvander(edge, _NODES - 1) @ to_series
    zero = np.zeros((1, 2))
    ends = np.r_[zero, at_edge.T, zero]
    ends[0, 0] = ends[-1, 1] = -1
    tail = np.pad(to_series[-3:].T, ((1, 1), (0, 0)))
    return np.r_[edge[0], nodes, edge[1]], np.pad(weights, 1), tail, ends * (1 + nodes[0])


_T, _W, _TAIL, _ENDS = _legendre_rule()


@dataclass
class _Tally:
    """What the accepted panels of a block of variances add up to."""

    s: Array
    noise: float
    weight: Callable[[Array], Array]
    value: Array = field(init=False)
    error: Array = field(init=False)
    size: Array = field(init=False)

    def __post_init__(self) -> None:
        self.value, self.error, self.size = (np.zeros_like(self.s) for _ in range(3))


def _panels(
    f: Callable[[Array], Array], tally: _Tally, s: Array, a: Array, b: Array
) -> tuple[Array, ...]:
    """Integral, truncation error, rounding error and size of f * density on [a, b] (in z)."""
    half = (b - a) / 2
    z = ((a + b) / 2)[:, None] + half[:, None] * _T
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) * tally.weight(z)
    with np.errstate(over="ignore", invalid="ignore"):
        g = np.asarray(f(s[:, None] * z), dtype=float) * density
    if not np.isfinite(g).all():
        row = int(np.nonzero(~np.isfinite(g).all(axis=1))[0][0])
        raise ValueError(
            f"E f(x) over N(0, K) at K = {float(s[row]) ** 2:.6g} diverges or overflows float64: "
            f"f is not finite near x = {float(s[row] * z[row].mean()):.6g}; allowed are f and K "
            "for which f times the normal density stays finite"
        )
    weights = half[:, None] * _W
    size = (weights * np.abs(g)).sum(axis=1)
    # A node x = s z is itself rounded: that costs eps |x f'(x)|, seen in neighbouring differences.
    wobble = (_W[1:] / np.diff(_T) * np.abs(np.diff(g, axis=1) * z[:, 1:])).sum(axis=1)
    tail = np.abs(g @ _TAIL).max(axis=1)
    truncation = half * (2 * tail + np.abs(g @ _ENDS).sum(axis=1))
    rounding = _EPS * (_ULPS * size + wobble)
    rounding += tally.noise * (weights * np.abs(density)).sum(axis=1)
    return (weights * g).sum(axis=1), truncation, rounding, size


def _noise(f: Callable[[Array], Array], tally: _Tally, s: Array, a: Array, b: Array) -> Array:
    """What the rounding of f makes of the integral over [a, b], from differences of neighbours.

    They are of the fourth order, in which nothing smooth is left. Near neighbours miss noise that
    comes in steps, far ones mistake a fast wave for it.
    """
    half = ((b - a) / 2)[:, None]
    z = ((a + b) / 2)[:, None] + half * _T
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) * np.abs(tally.weight(z))

    def heard(step: float) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            n = [np.asarray(f(s[:, None] * (z + half * step * i)), dtype=float) for i in range(5)]
            fourth = np.abs(n[0] - 4 * n[1] + 6 * n[2] - 4 * n[3] + n[4]) / 4  # 1.7 errors
            return (
                np.nan_to_num((half * _W * fourth * density).sum(axis=1), posinf=0.0),
                (half * _W * np.abs(n[0]) * density).sum(axis=1),
            )

    near, _ = heard(_NEAR)
    far, size = heard(_FAR)
    return np.where(far < _CLEAR * size, np.maximum(near, far), near)


def _settle(
    f: Callable[[Array], Array], tally: _Tally, k: NDArray[np.intp], a: Array, b: Array
) -> None:
    """Add the panels [a, b] of variances number k to the tally, bisecting where needed.

    The panels given are evaluated together, which tells E|f| roughly; what has to be bisected is
    then worked off from a stack in slices, so a fast oscillation takes time but no memory.
    """
    count = len(tally.s)
    rough = tally.size.copy()
    spent, most = np.zeros(count), np.full(count, _MOST_PANELS)
    stack = [(0, k, a, b)]
    while stack:
        depth, k, a, b = stack.pop()
        value, truncation, rounding, size = _panels(f, tally, tally.s[k], a, b)
        if depth == 0:
            rough += np.bincount(k, size, count)
        known = np.maximum(rough, tally.size)[k]
        # A bisected panel's share of the tolerance shrinks slowly, so many panels stay honest.
        allowed = _TOLERANCE * known * 0.8**depth
        good = truncation <= allowed + 4 * rounding
        if depth % _LISTEN == _LISTEN - 1 and not good.all():
            lost = np.flatnonzero(~good)
            noise = _noise(f, tally, tally.s[k[lost]], a[lost], b[lost])
            rounding[lost] += noise
            # Beyond the noise by a factor that chance does not reach, there is something to find.
            good[lost] = truncation[lost] <= allowed[lost] + 4 * rounding[lost] + 16 * noise
            loud = np.bincount(k[lost], noise, count) > _CLEAR * np.maximum(rough, tally.size)
            most[loud] = _FEW_PANELS
        spent += np.bincount(k, minlength=count)
        good |= (depth == _DEPTH) | (spent[k] > most[k])  # the bound says what this costs
        for total, part in (
            (tally.value, value),
            (tally.error, truncation + rounding),
            (tally.size, size),
        ):
            total += np.bincount(k[good], part[good], count)
        bad = np.flatnonzero(~good)
        for start in range(0, len(bad), _SLICE):
            some = bad[start : start + _SLICE]
            middle = (a[some] + b[some]) / 2
            halves = np.r_[a[some], middle], np.r_[middle, b[some]]
            stack.append((depth + 1, np.r_[k[some], k[some]], *halves))


def _first_panels(
    s: Array, kinks: Sequence[float], scale: float
) -> tuple[NDArray[np.intp], Array, Array]:
    """Panels of one block: edges on the density's scale, on f's own scale, and at the kinks."""
    reach = max(10 * float(s.max()) / scale, 2.0)
    ladder = scale / 2 * 3.0 ** np.arange(np.ceil(np.log(2 * reach) / np.log(3.0)) + 1)
    edges = [np.broadcast_to([0.0, *_EDGES], (len(s), len(_EDGES) + 1))]
    rungs = ladder / s[:, None]
    edges.append(np.where(rungs < 1.0, rungs, 0.0))
    side = np.concatenate(edges, axis=1)
    marks = np.asarray(kinks, dtype=float) / s[:, None]
    marks = np.where(np.abs(marks) < _EDGES[-1], marks, 0.0)
    z = np.sort(np.concatenate([side, -side, marks], axis=1), axis=1)
    rows, columns = np.nonzero(z[:, 1:] > z[:, :-1])
    return rows, z[rows, columns], z[rows, columns + 1]


def _tails(f: Callable[[Array], Array], tally: _Tally) -> None:
    """Go beyond |z| = 10 for those variances where f grows too fast to stop there."""
    sides = np.array([-1.0, 1.0])
    open_ = np.arange(len(tally.s))
    for lo, hi in pairwise(_SHELLS):
        z = np.array([lo, lo + 0.5, lo + 1, lo + 2])[:, None] * sides
        with np.errstate(over="ignore", invalid="ignore"):
            probe = np.abs(np.asarray(f(tally.s[open_][:, None] * z.ravel()), dtype=float))
            density = np.exp(-0.5 * z.ravel() ** 2) * np.abs(tally.weight(z.ravel()))
            left = 2 * (probe * density).max(axis=1)
        closed = left <= 1e-4 * _TOLERANCE * tally.size[open_]
        tally.error[open_[closed]] += left[closed]
        open_ = open_[~closed]
        if not len(open_):
            return
        k = np.repeat(open_, 2)
        shell = np.array([[-hi, -lo], [lo, hi]])
        both = np.tile(shell, (len(open_), 1))
        _settle(f, tally, k, both[:, 0].copy(), both[:, 1].copy())
    raise ValueError(
        f"E f(x) over N(0, K) at K = {float(tally.s[open_[0]]) ** 2:.6g} diverges or overflows "
        "float64: f grows too fast; allowed are f and K for which f times the normal density "
        "dies away within 38 standard deviations"
    )


def expectation(
    f: Callable[[Array], Array],
    variance: ArrayLike,
    *,
    kinks: Sequence[float] = (),
    scale: float = 1.0,
    noise: float = 0.0,
    weight: Callable[[Array], Array] = np.ones_like,
) -> Expectation:
    """E f(x) w(z) for x = sqrt(K) z ~ N(0, K) at each K, with a bound on the error.

    Parameters
    ----------
    f : callable
        Vectorised: takes and returns a float64 array of any shape. Evaluated to a few ulp.
    variance : array_like
        The variances K, finite and > 0.
    kinks : sequence of float
        Where f or its derivatives jump. An undeclared one costs time, and shows in the bound.
    scale : float
        The length in x over which f varies near 0; smaller than 1 for steep functions.
    noise : float
        Absolute rounding error of f beyond a few ulp of its value, as a difference has.
    weight : callable
        The factor w(z), a polynomial. Default: 1.

    Returns
    -------
    Expectation
        ``value`` and ``bound``, floats for a scalar variance. The bound adds the truncation
        seen in the Legendre tails, the rounding of a few ulp per evaluation and of the nodes,
        and what lies beyond the last panel.

    Raises
    ------
    ValueError
        If a variance is not finite and positive, or the expectation diverges or overflows.

    Examples
    --------
    >>> e = expectation(np.square, 4.0)
    >>> bool(abs(e.value - 4.0) <= e.bound < 1e-13)
    True
    """
    k = np.asarray(variance, dtype=float)
    if not (np.isfinite(k) & (k > 0)).all():
        raise ValueError(f"variance must be finite and > 0, got {variance!r}")
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be finite and > 0, got {scale!r}")
    flat = k.ravel()
    value, bound = np.empty_like(flat), np.empty_like(flat)
    for start in range(0, len(flat), _BLOCK):
        block = slice(start, start + _BLOCK)
        tally = _Tally(np.sqrt(flat[block]), noise, weight)
        _settle(f, tally, *_first_panels(tally.s, kinks, scale))
        _tails(f, tally)
        value[block], bound[block] = tally.value, tally.error
    if k.ndim == 0:
        return Expectation(float(value[0]), float(bound[0]))
    return Expectation(value.reshape(k.shape), bound.reshape(k.shape))
