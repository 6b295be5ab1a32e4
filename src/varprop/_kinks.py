"""Where a formula switches: the points at which its pieces meet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from varprop._evaluate import COMPARE, Evaluation, constant
from varprop._expression import (
    ARITHMETIC,
    Binary,
    Call,
    Choice,
    Extreme,
    Node,
    Variable,
    depends_on_x,
    exact_value,
    subtract,
    walk,
)
from varprop._primitives import Array

# More switches than this are those of a periodic formula; the ones nearest 0 matter.
_MOST = 256
# A piecewise affine expression with k pieces' choices has up to 2**k candidates for its zeros.
_MOST_CHOICES = 6

# The smallest |x| at which bisection can tell a switch from one at 0.
_FINEST = 2e-30

Affine = tuple[Fraction, Fraction]


class _NotAffineError(Exception):
    """The expression has a piece that is not affine in x."""


def kinks(root: Node) -> tuple[float, ...]:
    """Sorted zeros of every expression that a max, min, abs, sign, heaviside or if looks at.

    Exact (then rounded once) where the expression is affine or piecewise affine in x, otherwise
    by bisection of the sign changes on a grid over |x| <= 1e4; then at most 256, nearest to 0.
    """
    found: set[float] = set()
    for switch in _switches(root):
        if depends_on_x(switch):
            try:
                found.update(_affine_zeros(switch))
            except _NotAffineError:
                found.update(_bisected(switch))
    merged: list[float] = []
    for x in sorted(found):
        # One switch reached along two ways may differ in the last bits.
        if not merged or x - merged[-1] > 8 * np.spacing(max(abs(x), abs(merged[-1]))):
            merged.append(x)
    return tuple(sorted(sorted(merged, key=abs)[:_MOST]))


def _switches(root: Node) -> Iterator[Node]:
    for node in walk(root):
        if isinstance(node, Extreme | Choice):
            yield subtract(node.left, node.right)
        elif isinstance(node, Call) and node.function in ("abs", "sign", "heaviside", "softsign"):
            yield node.argument


def _is_choice(node: Node) -> bool:
    return isinstance(node, Extreme | Choice) or (isinstance(node, Call) and node.function == "abs")


def _affine_zeros(switch: Node) -> set[float]:
    """Zeros of a piecewise affine expression."""
    choices = [id(node) for node in walk(switch) if _is_choice(node) and depends_on_x(node)]
    if len(choices) > _MOST_CHOICES:
        raise _NotAffineError
    zeros = set()
    for sides in itertools.product((False, True), repeat=len(choices)):
        slope, offset = _affine(switch, dict(zip(choices, sides, strict=True)))
        if slope != 0:
            zero = -offset / slope
            if _exact_at(switch, zero) == 0:
                zeros.add(zero)
    try:
        return {float(zero) for zero in zeros}
    except OverflowError:
        return set()  # beyond float64 no input ever gets there


def _constant(node: Node) -> Fraction:
    exact = exact_value(node)
    return Fraction(constant(node)) if exact is None else exact


def _affine(node: Node, side: dict[int, bool]) -> Affine:
    """(slope, offset) of the expression with every choice taken as `side` says."""
    if isinstance(node, Variable):
        return Fraction(1), Fraction(0)
    if not depends_on_x(node):
        return Fraction(0), _constant(node)
    if isinstance(node, Binary):
        left, right = _affine(node.left, side), _affine(node.right, side)
        combine = ARITHMETIC[node.op]
        if node.op in "+-":
            return combine(left[0], right[0]), combine(left[1], right[1])
        if node.op == "*" and left[0] == 0:
            return left[1] * right[0], left[1] * right[1]
        if right[0] == 0 and (node.op == "*" or right[1] != 0):
            return combine(left[0], right[1]), combine(left[1], right[1])
    elif isinstance(node, Extreme):
        return _affine(node.left if side[id(node)] else node.right, side)
    elif isinstance(node, Choice):
        return _affine(node.then if side[id(node)] else node.otherwise, side)
    elif isinstance(node, Call) and node.function == "abs":
        inner = _affine(node.argument, side)
        return inner if side[id(node)] else (-inner[0], -inner[1])
    raise _NotAffineError


def _exact_at(node: Node, x: Fraction) -> Fraction:
    """The value at x in exact arithmetic."""
    if isinstance(node, Variable):
        return x
    if not depends_on_x(node):
        return _constant(node)
    if isinstance(node, Binary):
        left, right = _exact_at(node.left, x), _exact_at(node.right, x)
        if node.op == "/" and right == 0:
            raise _NotAffineError
        return ARITHMETIC[node.op](left, right)
    if isinstance(node, Extreme | Choice):
        left, right = _exact_at(node.left, x), _exact_at(node.right, x)
        if isinstance(node, Extreme):
            return max(left, right) if node.name == "max" else min(left, right)
        return _exact_at(node.then if COMPARE[node.op](left, right) else node.otherwise, x)
    if isinstance(node, Call) and node.function == "abs":
        return abs(_exact_at(node.argument, x))
    raise _NotAffineError


def _bisected(switch: Node) -> set[float]:
    """Points where the sign of the expression changes on the grid, each to the last bit."""
    outer = np.logspace(-30, 4, 1401)
    grid = np.unique(np.concatenate([-outer, outer, np.linspace(-100, 100, 20001)]))
    low, high = grid[:-1].copy(), grid[1:].copy()
    evaluation = Evaluation(switch)
    sign = _signs(evaluation, grid)
    changes = (sign[:-1] != sign[1:]) & ~np.isnan(sign[:-1]) & ~np.isnan(sign[1:])
    low, high, left = low[changes], high[changes], sign[:-1][changes]
    for _ in range(1100):  # from 1e4 down to the smallest float at most
        middle = low + (high - low) / 2
        if np.all((middle == low) | (middle == high)):
            break
        stays = _signs(evaluation, middle) == left
        low, high = np.where(stays, middle, low), np.where(stays, high, middle)
    # Where the expression is 0 at one end exactly, that end is the switch.
    found = np.where(_signs(evaluation, low) == 0, low, high)
    # x**3 is 0 in float64 near 0: inside the finest grid step the switch is taken to be 0.
    return {float(x) if abs(x) > _FINEST else 0.0 for x in found}


def _signs(switch: Evaluation, x: Array) -> Array:
    return np.sign(switch.plainly(x))
