"""The density of a free product: its transform followed from the negative axis to the positive.

On x < 0 everything is real and monotone. From there z and the masks' u are continued along
x = |x| exp(i t), t from pi down to 0, by Newton's method in logarithms: the upper half-plane has
no branch point, so that the path can't be lost. The density is -Im (1 + z)/(pi x) at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .product import FreeProduct

__all__ = ["density"]

Array = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

_SHORTEST = 1e-12  # angle at which the real axis is reached
_LONGEST = 0.3  # step of any logarithm along the path
_SPLITS = ((1, 2), (4, 8), (32, 64))  # of the masks' panels, on the path and at its end
_SAME = 1e-9
_SETTLED = 1e-9  # of a correction: the next would be about its square
_ROUNDING = 1e-15  # of one term
_MOST_ROUNDS = 12
_BLOCK = 64  # points worked on together


@dataclass
class _State:
    """v and ln u of each mask at some points of a path.

    y = total/(1 + exp(-v)) and -z = total/(1 + exp(v)), total = 1 - zero, so that both z and
    y = z + total keep their digits where they are small.
    """

    v: Complex
    log_u: list[Complex]

    def move(self, step: Array | Complex, way: _State) -> None:
        """Go a step along the way."""
        self.v = self.v + step * way.v
        self.log_u = [u + step * one for u, one in zip(self.log_u, way.log_u, strict=True)]

    def some(self, at: NDArray[np.intp]) -> _State:
        """The state of some of the points."""
        return _State(self.v[at], [u[at] for u in self.log_u])

    def put(self, at: NDArray[np.intp], other: _State) -> None:
        """Take over the state of some of the points."""
        self.v[at] = other.v
        for mine, its in zip(self.log_u, other.log_u, strict=True):
            mine[at] = its


def density(law: Callable[[int], FreeProduct], log_x: Array) -> Array:
    """x times the density of squared singular values at ln x, atoms left out.

    Parameters
    ----------
    law : callable
        The free product, its masks' panels cut into that many parts.
    log_x : ndarray, 1-d
        ln x, below the upper edge.

    Returns
    -------
    ndarray
        x rho(x), of the shape of `log_x`; to 1e-9, or of itself where it is larger than 1.

    Raises
    ------
    ValueError
        Where the masks can't be resolved finely enough, or x is too far from the bulk.

    Examples
    --------
    >>> from varprop.activation import Activation
    >>> from varprop.theory.spectra.mask import mask
    >>> linear = FreeProduct(((mask(Activation.parse("linear"), 1.0), 1),), True, 0.0)
    >>> density(lambda split: linear, np.array([0.0])).round(12)  # sqrt(3)/(2 pi)
    array([0.27566445])
    """
    out = np.empty(log_x.shape)
    if not len(log_x):
        return out
    # Steps that are too long, and taken back, may overflow.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        start = _negative_axis(law(1), float(log_x.min()), float(log_x.max()))
        for first in range(0, len(log_x), _BLOCK):
            some = slice(first, first + _BLOCK)
            out[some] = _block(law, log_x[some], start(log_x[some]))
    return out


def _block(law: Callable[[int], FreeProduct], log_x: Array, start: _State) -> Array:
    out = np.empty(log_x.shape)
    left = np.arange(len(log_x))
    for coarse, fine in _SPLITS:
        state = start.some(left)
        _follow(law(coarse), state, log_x[left])
        rough = _value(law(coarse), state)
        _newton(law(fine), state, log_x[left] + 0j)
        out[left] = _value(law(fine), state)
        wrong = ~(np.abs(out[left] - rough) <= _SAME * np.maximum(1.0, out[left]))
        left = left[wrong]
        if not len(left):
            return out
    raise ValueError(
        f"the density at x = e^{log_x[left[0]]:.6g} is not resolved to {_SAME:g}; ask for it "
        "nearer to the bulk"
    )


def _follow(law: FreeProduct, state: _State, log_x: Array) -> None:
    """Continue the state from the negative axis to the positive, each point at its own pace.

    A step is taken back and halved if Newton's first correction says that the tangent was no
    good guide.
    """
    angle, pace = np.full(log_x.shape, math.pi), np.full(log_x.shape, 0.5)
    tangent = _newton(law, state, log_x + 1j * angle)[0]
    active = np.arange(len(log_x))
    while len(active):
        now, way, left = state.some(active), tangent.some(active), angle[active]
        size = _size(law, now, way)
        step = np.minimum(np.minimum(pace[active], _LONGEST / size), left)
        now.move(-1j * step, way)
        way, first, settled = _newton(law, now, log_x[active] + 1j * (left - step))
        good = (first < 0.15 * step * size + 1e-9) & settled | (left <= _SHORTEST)
        if (step[~good] <= 0.1 * _SHORTEST).any():
            lost = float(log_x[active[~good][np.argmin(step[~good])]])
            raise ValueError(f"the density at x = e^{lost:.6g} can't be followed to the real axis")
        taken = active[good]
        chosen = np.flatnonzero(good)
        state.put(taken, now.some(chosen))
        tangent.put(taken, way.some(chosen))
        angle[taken] -= step[good]
        pace[active] = np.where(good, 3 * step, step / 3)
        active = active[angle[active] > 0]


def _size(law: FreeProduct, state: _State, way: _State) -> Array:
    """The largest slope of the logarithms: of y, -z, u, and of u's gap to the mask's law."""
    sizes = [np.abs(way.v / (1 + np.exp(sign * state.v))) for sign in (1, -1)]
    for (one, _), log_u, of_u in zip(law.masks, state.log_u, way.log_u, strict=True):
        u = np.exp(log_u)
        sizes += [np.abs(of_u), np.abs(of_u * u) / one.distance(u)]
    largest: Array = np.max(sizes, axis=0)
    return largest


def _value(law: FreeProduct, state: _State) -> Array:
    """-Im y/pi, and exactly 0 where it is no more than rounding."""
    y = (1 - law.zero) / (1 + np.exp(-state.v))
    found: Array = -y.imag / math.pi
    rounding = _linear(law, state).rounding * np.abs(y / (1 + np.exp(state.v)))
    return np.where(found > 30 * rounding, found, 0.0)


def _negative_axis(law: FreeProduct, low: float, high: float) -> Callable[[Array], _State]:
    """A function that gives the real solution at x = -|x|, to interpolation accuracy."""
    t = np.concatenate([np.arange(-690.0, -30.0, 3.0), np.arange(-30.0, 34.0, 0.25)])
    total = 1 - law.zero
    log_y = math.log(total) - np.log1p(np.exp(-t))
    log_minus_z = math.log(total) - np.log1p(np.exp(t))
    y, minus_z = np.exp(log_y), np.exp(log_minus_z)
    log_u = [one.log_below(y + (law.zero - one.zero), minus_z) for one, _ in law.masks]
    small = minus_z < 0.5
    log_plus = np.where(small, np.log1p(-np.minimum(minus_z, 0.5)), np.log(y + law.zero))
    log_x = law.log_scale + law.power * log_plus
    log_x = log_x + (law.depth - 1) * log_minus_z
    for (_, layers), u in zip(law.masks, log_u, strict=True):
        log_x = log_x + layers * u
    good = np.flatnonzero(np.all([np.abs(u) < 690.0 for u in log_u], axis=0))
    log_x, t, log_u = log_x[good], t[good], [u[good] for u in log_u]
    if not (log_x[0] <= low and high <= log_x[-1]):
        wrong = low if low < log_x[0] else high
        raise ValueError(
            f"the density is computed for x from e^{log_x[0]:.6g} to e^{log_x[-1]:.6g}, and "
            f"x = e^{wrong:.6g} was asked"
        )

    def at(points: Array) -> _State:
        log_minus_u = [np.interp(points, log_x, u) for u in log_u]
        return _State(np.interp(points, log_x, t) + 0j, [u + 1j * math.pi for u in log_minus_u])

    return at


@dataclass
class _Linear:
    """The equations at a state: ln x, what each u lacks, slopes in v, and rounding of v."""

    log_x: Complex
    missing: list[Complex]
    per_v: list[Complex]
    slope: Complex
    rounding: Array


def _linear(law: FreeProduct, state: _State) -> _Linear:
    total = complex(1 - law.zero)
    y: Complex = total / (1 + np.exp(-state.v))
    z: Complex = -total / (1 + np.exp(state.v))
    small = np.abs(z) < 0.5
    # All powers are whole, so that a turn of 2 pi in a phase means nothing.
    log_plus: Complex = np.where(small, np.log1p(z), np.log(np.where(small, 1.0, y + law.zero)))
    log_x: Complex = log_plus * law.power + (law.depth - 1) * np.log(z) + law.log_scale
    of_v: Complex = -y * z / total
    slope: Complex = of_v * (law.power / (y + law.zero) + (law.depth - 1) / z)
    missing: list[Complex] = []
    per_v: list[Complex] = []
    rounding: Array = law.depth * (1 + np.abs(y) + np.abs(np.log(z)))
    for (one, layers), log_u in zip(law.masks, state.log_u, strict=True):
        m, s, of_u = one.transform(np.exp(log_u))
        log_x = log_x + layers * log_u
        missing.append(np.where(small, z - m, y + (law.zero - one.zero) - s) / of_u)
        per_v.append(of_v / of_u)
        slope = slope + layers * per_v[-1]
        rounding = rounding + layers * (np.abs(np.where(small, m, s) / of_u) + np.abs(log_u))
    return _Linear(log_x, missing, per_v, slope, _ROUNDING * rounding / np.abs(slope))


def _newton(
    law: FreeProduct, state: _State, log_x: Complex
) -> tuple[_State, Array, NDArray[np.bool_]]:
    """Solve the equations at ln x, changing the state.

    Returns its slopes in ln x, the size of the first correction, and where it settled.
    """
    first = np.zeros(log_x.shape)
    for turn in range(_MOST_ROUNDS):
        at = _linear(law, state)
        left = log_x - at.log_x
        left = left - 2j * math.pi * np.round(left.imag / (2 * math.pi))
        for (_, layers), lack in zip(law.masks, at.missing, strict=True):
            left = left - layers * lack
        move = left / at.slope
        moves: list[Complex] = [
            lack + per * move for lack, per in zip(at.missing, at.per_v, strict=True)
        ]
        way = _State(move, moves)
        if turn == 0:
            first = _size(law, state, way)
        change = np.max([np.abs(one) for one in (move, *moves)], axis=0)
        state.move(np.minimum(1.0, 0.5 / np.maximum(change, 1e-300)), way)
        steepest = np.max([np.ones(move.shape), *(np.abs(per) for per in at.per_v)], axis=0)
        settled = change < np.maximum(_SETTLED, 10 * at.rounding * steepest)
        if settled.all():
            break
    return _State(1 / at.slope, [per / at.slope for per in at.per_v]), first, settled
