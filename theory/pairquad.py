"""E h(u, v) over a correlated Gaussian pair, with a bound on its own error.

A pair is turned by 45 degrees: U = M + D, V = M - D with M and D independent. The smaller of the
two is integrated outside, the larger inside. A kink of h in u or v is then a point in the inner
variable for every outer one, and where two such points meet the outer range is cut; so both
integrals are of smooth pieces, however close the pair. Panels are bisected as in `quadrature`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from varprop._cached import cached_property

__all__ = ["Integrand", "Pairs", "integrate"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_INNER, _OUTER = 24, 24  # nodes of a panel
_EPS = float(np.finfo(float).eps)
_TOLERANCE = 1e-12  # error allowed in one panel, relative to the whole
_EDGES = (2.5, 5.5, 9.5, 14.0, 20.0, 26.0, 32.0, 38.0)
_RATIO = 6.0  # of the rungs about 0, where h varies on its own scale
_BLOCK = 2**12  # panels evaluated together
_BATCH = 2**6  # pairs worked on together
_DEPTH = 40
_MOST_PANELS = 2**22  # per call of `_inner`: a fast oscillation has many panels
_FARTHEST = 600.0  # |tilt| beyond which a pair counts as parallel


class Integrand(Protocol):
    """What is averaged: vectorised over panels (rows) and nodes (columns)."""

    def __call__(self, point: Index, u: Array, v: Array, apart: Array) -> Array:
        """Values at u and v, a new array; apart = u - v without cancellation, point = whose row."""
        ...


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs u = scale_u U, v = scale_v V of standard normals of correlation c.

    Parameters
    ----------
    scale_u, scale_v : ndarray
        Standard deviations, > 0.
    spread : ndarray
        scale_u - scale_v, with all its digits.
    tilt : ndarray
        ln((1-c)/(1+c)).
    kinks : sequence of float
        Where the integrand bends in u and in v.
    length : float
        The length over which it varies near 0; inf if it does on no scale of its own.
    reach : float
        Standard deviations beyond which nothing is left.
    symmetric : bool
        Whether exchanging u and v changes nothing.
    noise : ndarray or float
        Rounding error of the root of the integrand, for squares of small differences.
    """

    scale_u: Array
    scale_v: Array
    spread: Array
    tilt: Array
    kinks: Sequence[float]
    length: float
    reach: float
    symmetric: bool
    noise: Array | float = 0.0

    def part(self, some: slice) -> Pairs:
        """Some of the pairs."""
        arrays = (self.scale_u, self.scale_v, self.spread, self.tilt)
        u, v, spread, tilt = (each[some] for each in arrays)
        noise = np.broadcast_to(self.noise, self.tilt.shape)[some]
        return replace(self, scale_u=u, scale_v=v, spread=spread, tilt=tilt, noise=noise)

    @cached_property
    def near(self) -> NDArray[np.bool_]:
        """Where D is the smaller: c >= 0."""
        return np.asarray(self.tilt <= 0)

    @cached_property
    def side(self) -> Array:
        """V = side (inner - outer)."""
        return np.where(self.near, 1.0, -1.0)

    @cached_property
    def outer(self) -> Array:
        """Standard deviation of the smaller of M and D."""
        rest = np.exp(-np.minimum(np.abs(self.tilt), _FARTHEST))
        return np.asarray(np.sqrt(rest / (1 + rest)))

    @cached_property
    def inner(self) -> Array:
        """Standard deviation of the larger of M and D."""
        return np.asarray(np.sqrt(1 - self.outer**2))

    @cached_property
    def marks(self) -> tuple[Array, Array]:
        """The kinks in U and in V, 0 among them, (pairs, kinks)."""
        at = np.union1d(self.kinks, [0.0])
        return at / self.scale_u[:, None], at / self.scale_v[:, None]

    @cached_property
    def rungs(self) -> tuple[Array, Array]:
        """Distances from 0 in U and in V where the integrand's own scale wants a cut."""
        widest = self.reach * float(max(self.scale_u.max(), self.scale_v.max())) / self.length
        count = int(np.ceil(np.log(widest) / np.log(_RATIO))) if widest > 1 else 0
        ladder = self.length * _RATIO ** np.arange(count)
        return ladder / self.scale_u[:, None], ladder / self.scale_v[:, None]

    def outer_panels(self) -> tuple[Index, Array, Array]:
        """First panels in outer / its standard deviation: pair, low, high."""
        u, v = self.marks
        cuts = [(u[:, :, None] - self.side[:, None, None] * v[:, None, :]).reshape(len(u), -1) / 2]
        cuts += [side * rung for rung in self.rungs for side in (1, -1)]
        edges = np.concatenate(cuts, axis=1) / self.outer[:, None]
        low = np.where(self.near & self.symmetric, 0.0, -self.reach)
        return _between(edges, low, self.reach, np.ones(len(edges)))

    def inner_panels(self, point: Index, outer: Array) -> tuple[Index, Array, Array]:
        """First panels in the inner variable for each outer node: row, low, high."""
        at = outer[:, None]
        u, v = (each[point] for each in self.marks)
        cuts = [u - at, self.side[point][:, None] * v + at]
        for rung, shift in zip(self.rungs, (-at, at), strict=True):
            far = rung[point]
            middle = np.where(np.abs(at) > far / 2, shift, 0.0)  # nearer, one cut does for both
            cuts += [middle - far, middle + far]
        std = self.inner[point]
        high = np.sqrt(self.reach**2 - (outer / self.outer[point]) ** 2) * std
        low = np.where(self.near[point] | (not self.symmetric), -high, 0.0)
        return _between(np.concatenate(cuts, axis=1), low, high, std)


def _between(
    edges: Array, low: Array, high: Array | float, std: Array
) -> tuple[Index, Array, Array]:
    """Panels between the edges and those of the density, within low..high."""
    shells = np.array([side * edge for edge in (0.0, *_EDGES) for side in (1, -1)])
    every = np.concatenate([edges, shells * std[:, None]], axis=1)
    limits = np.broadcast_to(high, low.shape)[:, None]
    every = np.clip(every, low[:, None], limits)
    every = np.sort(np.concatenate([every, low[:, None], limits], axis=1), axis=1)
    row, column = np.nonzero(every[:, 1:] > every[:, :-1])
    return row, every[row, column], every[row, column + 1]


def _rule(count: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes, weights, and the rows that give the last Legendre coefficients."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    values = np.polynomial.legendre.legvander(nodes, count - 1)
    series = (weights[:, None] * values * (np.arange(count) + 0.5)).T
    return nodes, weights, series


def _inner_rule() -> tuple[Array, Array, Array]:
    """Nodes with both ends added, weights, and columns: integral, last coefficients, ends.

    The ends give what the polynomial misses there: a kink between an end and the first node is
    seen by no other node.
    """
    nodes, weights, series = _rule(_INNER)
    edge = np.array([-1.0, 1.0]) * (1 - 3e-5)  # just inside: at the edge itself there may be a jump
    gap = 1 + nodes[0]
    ends = np.zeros((_INNER + 2, 2))
    ends[1:-1] = gap * (np.polynomial.legendre.legvander(edge, _INNER - 1) @ series).T
    ends[0, 0] = ends[-1, 1] = -gap
    weights = np.pad(weights, 1)
    tail = np.pad(series[-2:].T, ((1, 1), (0, 0)))
    return np.r_[edge[0], nodes, edge[1]], weights, np.c_[weights, 2 * tail, ends]


_T, _W, _SUMS = _inner_rule()
_T_OUT, _W_OUT, _SERIES = _rule(_OUTER)
_TAIL_OUT = _SERIES[-2:].T


def _line(middle: Array, half: Array) -> Array:
    """The inner nodes of panels."""
    out: Array = half[:, None] * _T
    out += middle[:, None]
    return out


@dataclass
class _Work:
    """One call of `integrate`."""

    integrand: Integrand
    pairs: Pairs

    def __post_init__(self) -> None:
        self.size = np.zeros(len(self.pairs.tilt))  # of each pair's integral, roughly

    def _allowed(self, depth: int) -> Array:
        """The error allowed in a panel of each pair."""
        noise = self.pairs.noise
        unseen = noise * (np.sqrt(self.size) + noise)
        return np.asarray(_TOLERANCE * self.size * 0.8**depth + unseen)

    def _panels(self, point: Index, outer: Array, lo: Array, hi: Array) -> tuple[Array, ...]:
        """Integral, truncation, rounding and size of inner panels."""
        pairs = self.pairs
        half, middle = (hi - lo) / 2, (hi + lo) / 2
        su, sv = pairs.scale_u[point], pairs.scale_v[point] * pairs.side[point]
        mu, mv = su * (middle + outer), sv * (middle - outer)
        u, v = _line(mu, su * half), _line(mv, sv * half)
        std = pairs.inner[point]
        weight = _line(middle / std, half / std)
        weight *= weight
        weight *= -0.5
        np.exp(weight, out=weight)
        with np.errstate(over="ignore", invalid="ignore"):
            values = self.integrand(point, u, v, self._apart(point, outer, middle, half))
            values *= weight
            found = values @ _SUMS
            size = np.abs(values) @ _W
        if not np.isfinite(size).all():
            row = int(np.argmin(np.isfinite(size)))
            raise ValueError(
                "the expectation over a pair diverges or overflows float64: the integrand is not "
                f"finite near u = {float(mu[row]):.6g}, v = {float(mv[row]):.6g}"
            )
        width = half / (np.sqrt(2 * np.pi) * std)
        # A node is rounded to eps of its two parts: that shows where the panel is narrow.
        noise = 2 * _EPS * (1 + (np.abs(middle) + np.abs(outer)) / half) * size
        tail = np.abs(found[:, 1:3]).max(axis=1) + np.abs(found[:, 3:]).sum(axis=1)
        return width * found[:, 0], width * tail, width * noise, width * size

    def _apart(self, point: Index, outer: Array, middle: Array, half: Array) -> Array:
        """u - v at the nodes; a column where it is the same along the inner variable."""
        pairs = self.pairs
        spread, both = pairs.spread[point], pairs.scale_u[point] + pairs.scale_v[point]
        near = pairs.near[point]
        fixed, moving = np.where(near, both, spread) * outer, np.where(near, spread, both)
        if not moving.any():
            return fixed[:, None]
        return _line(fixed + moving * middle, moving * half)

    def inner(self, point: Index, outer: Array, weight: Array) -> tuple[Array, Array, Array]:
        """Inner integrals at outer nodes of these weights: value, error, size."""
        count = len(outer)
        value, error, size = np.zeros(count), np.zeros(count), np.zeros(count)
        row, lo, hi = self.pairs.inner_panels(point, outer)
        density = np.exp(-0.5 * (outer / self.pairs.outer[point]) ** 2)
        stack = [(0, row, lo, hi)]
        spent = 0
        while stack:
            depth, row, lo, hi = stack.pop()
            parts = [
                self._panels(point[row[i]], outer[row[i]], lo[i], hi[i])
                for i in np.array_split(np.arange(len(row)), -(-len(row) // _BLOCK))
            ]
            every = (np.concatenate(each) for each in zip(*parts, strict=True))
            found, truncation, noise, bulk = every
            if depth == 0:
                rough = np.bincount(point[row], weight[row] * bulk, len(self.size))
                self.size = np.maximum(self.size, rough)
            spent += len(row)
            most = self._allowed(depth)[point[row]]
            good = truncation * density[row] <= most + 4 * noise * density[row]
            good |= (depth == _DEPTH) | (spent > _MOST_PANELS)  # the bound says what this costs
            where = row[good]
            value += np.bincount(where, found[good], count)
            error += np.bincount(where, (truncation + noise)[good], count)
            size += np.bincount(where, bulk[good], count)
            bad = ~good
            if bad.any():
                row, lo, hi = row[bad], lo[bad], hi[bad]
                middle = (lo + hi) / 2
                halves = np.r_[row, row], np.r_[lo, middle], np.r_[middle, hi]
                stack.append((depth + 1, *halves))
        return value, error, size

    def run(self) -> tuple[Array, Array]:
        count = len(self.size)
        value, error, size = np.zeros(count), np.zeros(count), np.zeros(count)
        panels = self.pairs.outer_panels()
        for depth in range(_DEPTH + 1):
            point, lo, hi = panels
            half = (hi - lo) / 2
            x = ((hi + lo) / 2)[:, None] + half[:, None] * _T_OUT
            density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
            weight = half[:, None] * _W_OUT * density
            nodes = x * self.pairs.outer[point][:, None]
            rows = np.repeat(point, _OUTER)
            got = self.inner(rows, nodes.ravel(), weight.ravel())
            heights, slack, bulk = (each.reshape(x.shape) for each in got)
            found = (weight * heights).sum(axis=1)
            whole = (weight * bulk).sum(axis=1)
            unsure = (weight * slack).sum(axis=1)
            truncation = 2 * half * np.abs((heights * density) @ _TAIL_OUT).max(axis=1)
            most = self._allowed(depth)[point]
            good = truncation <= most + 4 * (unsure + _EPS * whole)
            good |= depth == _DEPTH
            where = point[good]
            value += np.bincount(where, found[good], count)
            error += np.bincount(where, (truncation + unsure)[good], count)
            size += np.bincount(where, whole[good], count)
            if good.all():
                break
            point, lo, hi = point[~good], lo[~good], hi[~good]
            middle = (lo + hi) / 2
            panels = np.r_[point, point], np.r_[lo, middle], np.r_[middle, hi]
        twice = 2.0 if self.pairs.symmetric else 1.0
        return twice * value, twice * (error + 8 * _EPS * size)


def integrate(integrand: Integrand, pairs: Pairs) -> tuple[Array, Array]:
    """E of an integrand over each pair of a batch: values and bounds on their absolute errors.

    Parameters
    ----------
    integrand : Integrand
        Its `point` counts within the batch.
    pairs : Pairs
        The batch; large ones are worked off in parts.

    Raises
    ------
    ValueError
        If the integrand is not finite somewhere.

    Examples
    --------
    >>> one = np.ones(1)
    >>> pairs = Pairs(one, one, 0 * one, 0 * one, (), 1.0, 9.5, symmetric=True)
    >>> value, bound = integrate(lambda point, u, v, apart: u * v + 1, pairs)
    >>> bool(abs(value[0] - 1) <= bound[0] < 1e-11)
    True
    """
    count = len(pairs.tilt)
    value, bound = np.empty(count), np.empty(count)
    for start in range(0, count, _BATCH):
        some = slice(start, start + _BATCH)

        def part(point: Index, u: Array, v: Array, apart: Array, start: int = start) -> Array:
            return integrand(point + start, u, v, apart)

        value[some], bound[some] = _Work(part, pairs.part(some)).run()
    return value, bound
