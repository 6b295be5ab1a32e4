"""What a formula is far out, where its parts leave float64 but its value doesn't.

log(cosh(x)) is x - ln 2 there, to far more digits than float64 has: a polynomial, found and
checked with many digits, in place of many digits at every point. It takes over well before parts
are inf, or so close to 0 that they have few digits (sigmoid(x) at x = -740).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from varprop._expression import (
    Call,
    Choice,
    Extreme,
    Node,
    Variable,
    is_number,
    oscillates,
    walk,
)
from varprop._primitives import Array

_LADDER = 2.0 ** np.arange(0.0, 1023.5, 0.25)
_CHECKS = 24
_HIGHEST = 3  # degree
_DIGITS = 360  # x^2 - x (x - 1) at 1e307 needs more than 307
_AGREED = 1e-25  # what corrections like exp(-2 x) are below, relative to the value
_UNSEEN = 1e-18  # what float64 doesn't see
_NOTHING = -330  # and the power of 10 that it takes for 0
_INWARD = 32  # steps on the ladder
_BENT = ("abs", "sign", "heaviside", "softsign")


class Tail:
    """A polynomial that a formula is equal to from some point outwards.

    Parameters
    ----------
    start : float
        Where it begins, above or below 0; it goes on to infinity on that side.
    coefficients : sequence of float
        Highest power first.
    """

    def __init__(self, start: float, coefficients: list[float]) -> None:
        self._start, self._coefficients = start, coefficients

    def covers(self, x: Array) -> Any:
        """Where x lies in it."""
        return x >= self._start if self._start > 0 else x <= self._start

    def __call__(self, x: Array) -> Array:
        """The polynomial; inf where it is beyond float64."""
        first, *others = self._coefficients  # np.polyval begins with 0, and 0 times inf is nan
        values = np.full_like(x, first)
        with np.errstate(over="ignore"):
            for coefficient in others:
                values = values * x + coefficient
        return values


def tails(
    root: Node, plainly: Callable[[Array], Array], exactly: Callable[[Any], Any]
) -> list[Tail]:
    """The tails of a tree, one a side at most; none on a side where float64 reaches far enough.

    Parameters
    ----------
    root : Node
    plainly : callable
        Its values in float64.
    exactly : callable
        Its value at one mpmath number, at mpmath's precision.
    """
    if not _settles(root):
        return []
    found = (_tail(side * _LADDER, plainly, exactly) for side in (-1.0, 1.0))
    return [tail for tail in found if tail is not None]


def _settles(root: Node) -> bool:
    """Whether nothing switches or oscillates but at 0."""
    for node in walk(root):
        if isinstance(node, Call) and node.function in _BENT:
            switched: tuple[Node, ...] = (node.argument,)
        elif isinstance(node, Choice | Extreme):
            switched = tuple(n for n in (node.left, node.right) if not is_number(n, 0))
        else:
            continue
        if not all(isinstance(one, Variable) for one in switched):
            return False
    return not oscillates(root)


def _tail(
    ladder: Array, plainly: Callable[[Array], Array], exactly: Callable[[Any], Any]
) -> Tail | None:
    finite = np.flatnonzero(np.isfinite(plainly(ladder)))
    lost = int(finite[-1]) + 1 if finite.size else 0
    if len(ladder) - lost < 2 * _CHECKS:
        return None
    from mpmath import mp

    with mp.workdps(_DIGITS):
        # A step further out what falls like exp(-x) is 0.
        for start in (lost, lost + 1):
            polynomial = _polynomial(float(ladder[start]), float(ladder[-1]), exactly)
            if polynomial is not None:
                break
        else:
            return None
        while start > max(0, lost - _INWARD):
            x = mp.mpf(float(ladder[start - 1]))
            if not _agrees(polynomial, x, exactly(x), _UNSEEN):
                break
            start -= 1
    return Tail(float(ladder[start]), [float(c) for c in polynomial])


def _polynomial(near: float, far: float, exactly: Callable[[Any], Any]) -> list[Any] | None:
    """The coefficients, highest power first, if the function is a polynomial between two points."""
    from mpmath import mp

    step = math.log(far / near) / _CHECKS**2  # ever wider apart, at no round numbers
    points = [mp.mpf(near) * mp.exp(step * j * j) for j in range(_CHECKS)]
    values = [exactly(point) for point in points]
    if not all(map(mp.isfinite, values)):
        return None
    for degree in range(_HIGHEST + 1):
        through = _through(points[: degree + 1], values[: degree + 1])
        if all(_agrees(through, x, y, _AGREED) for x, y in zip(points, values, strict=True)):
            return through
    return None


def _agrees(polynomial: list[Any], x: Any, y: Any, share: float) -> bool:
    from mpmath import mp

    return bool(abs(mp.polyval(polynomial, x) - y) <= max(share * abs(y), mp.mpf(10) ** _NOTHING))


def _through(points: list[Any], values: list[Any]) -> list[Any]:
    """The coefficients, highest power first, of the polynomial through as many points."""
    differences = list(values)  # Newton's
    for order in range(1, len(points)):
        for i in range(len(points) - 1, order - 1, -1):
            rise = differences[i] - differences[i - 1]
            differences[i] = rise / (points[i] - points[i - order])
    coefficients: list[Any] = []
    for point, difference in zip(points[::-1], differences[::-1], strict=True):
        lower = [-point * c for c in coefficients]
        coefficients = [a + b for a, b in zip([*coefficients, 0], [0, *lower], strict=True)]
        coefficients[-1] += difference
    return coefficients
