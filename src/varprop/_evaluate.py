"""A formula's tree, evaluated: with NumPy on arrays, with mpmath at a point, with SymPy."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from varprop._cached import cached_property
from varprop._expression import (
    CONSTANTS,
    Binary,
    Call,
    Choice,
    Constant,
    Extreme,
    Node,
    Number,
    Power,
    Variable,
    children,
    exact_value,
    walk,
)
from varprop._primitives import NUMPY, Array, mpmath_functions, sympy_functions
from varprop._tails import Tail, tails

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}

# Elements a NumPy evaluation holds at a time, one array for each node of the tree.
_BLOCK = 4096
# Decimal digits where float64 arithmetic gives inf or nan although the value may be finite.
_RESCUE_DIGITS = 40


class Evaluation:
    """A tree made ready for NumPy: its operations in order, what has no x in it done once.

    Parameters
    ----------
    root : Node
    """

    def __init__(self, root: Node) -> None:
        self._root = root
        place: dict[int, int] = {}
        self._known: list[Any] = []  # the value of a node without x; None where x is needed
        self._at: list[int] = []  # where x goes
        self._steps: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        with np.errstate(all="ignore"):
            for node in walk(root):
                place[id(node)] = number = len(self._known)
                self._known.append(self._begun(node, number, place))

    def _begun(self, node: Node, number: int, place: dict[int, int]) -> Any:
        """The value of a node without x; any other is put among the steps."""
        if isinstance(node, Variable):
            self._at.append(number)
            return None
        if isinstance(node, Number):
            return np.float64(node.exact)
        if isinstance(node, Constant):
            return np.float64(CONSTANTS[node.name])
        below = tuple(place[id(child)] for child in children(node))
        if isinstance(node, Power):  # its exponent is a constant
            function, below = _power_of(self._known[below[1]]), below[:1]
        else:
            function = _function(node)
        if all(self._known[one] is not None for one in below):
            return function(*(self._known[one] for one in below))
        self._steps.append((number, function, below))
        return None

    def on_array(self, x: Array) -> Array:
        """The tree's value at each element of `x`.

        Where an intermediate result leaves float64 (``x*exp(x)/(1+exp(x))`` at x = 800) it is the
        formula's tail, if it has one; else an element that is not finite is evaluated again with
        mpmath.
        """
        flat = x.reshape(-1)
        out = self.plainly(flat)
        for tail in self._tails:
            here = tail.covers(flat)
            out[here] = tail(flat[here])
        fine = np.isfinite(out)
        if not fine.all():
            for index in np.flatnonzero(~fine & np.isfinite(flat)):
                out[index] = rescued(self._root, float(flat[index]))
        return out.reshape(x.shape)

    @cached_property
    def _tails(self) -> list[Tail]:
        return tails(self._root, self.plainly, partial(at_point, self._root))

    def plainly(self, x: Array) -> Array:
        """The tree's value at each element of `x` in float64 arithmetic as written."""
        flat = x.reshape(-1)
        out = np.empty(flat.shape)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, _BLOCK):
                out[start : start + _BLOCK] = self._block(flat[start : start + _BLOCK])
        return out.reshape(x.shape)

    def _block(self, x: Array) -> Any:
        values = self._known.copy()
        for number in self._at:
            values[number] = x
        for number, function, below in self._steps:
            values[number] = function(*[values[one] for one in below])
        return values[-1]


def _function(node: Binary | Call | Extreme | Choice) -> Callable[..., Any]:
    """What a node does with the values of its children."""
    if isinstance(node, Binary):
        return _ARITHMETIC[node.op]
    if isinstance(node, Call):
        return NUMPY[node.function]
    if isinstance(node, Extreme):
        return np.maximum if node.name == "max" else np.minimum
    compare = COMPARE[node.op]
    return lambda left, right, then, other: np.where(compare(left, right), then, other)


def _power_of(exponent: Any) -> Callable[[Any], Any]:
    """base**exponent; for whole exponents by products, which keep f(-x) = -f(x) to the bit."""
    if exponent != np.floor(exponent):
        return lambda base: np.power(base, exponent)

    def products(base: Any) -> Any:
        # 1/base first: base**|n| would leave float64 where the result is still inside.
        square = base if exponent >= 0 else 1.0 / base
        result = np.float64(1.0)
        left = abs(int(exponent))
        while left:
            if left % 2:
                result = result * square
            left //= 2
            if left:
                square = square * square
        return result

    return products


def constant(root: Node) -> float:
    """The value of a tree without x, in float64; nan or inf if that is what it comes to."""
    exact = exact_value(root)
    if exact is not None:
        return float(exact)
    return float(Evaluation(root).plainly(np.zeros(1))[0])


def rescued(root: Node, x: float) -> float:
    """The value at one point by way of mpmath, rounded once to float64."""
    from mpmath import mp

    with mp.workdps(_RESCUE_DIGITS):
        return float(at_point(root, mp.mpf(x)))


def at_point(root: Node, x: Any) -> Any:
    """The tree's value at the mpmath number `x`, at mpmath's current precision."""
    values: dict[int, Any] = {}
    for node in walk(root):
        values[id(node)] = _tame(_mp_apply(node, x, values))
    return values[id(root)]


def _tame(value: Any) -> Any:
    """Keep exponents short: what is beyond 2**(2**1100) is infinite, and its inverse 0."""
    from mpmath import mp

    if isinstance(value, mp.mpc):
        return mp.nan
    if not mp.isfinite(value) or not value:
        return value
    magnitude = mp.mag(value)
    if magnitude > 2**1100:
        return mp.inf * mp.sign(value)
    return mp.zero if magnitude < -(2**1100) else value


def _mp_apply(node: Node, x: Any, values: dict[int, Any]) -> Any:
    from mpmath import mp

    def value(below: Node) -> Any:
        return values[id(below)]

    if isinstance(node, Variable):
        return x
    if isinstance(node, Number):
        return mp.mpf(node.exact.numerator) / node.exact.denominator
    if isinstance(node, Constant):
        return +getattr(mp, node.name)
    if isinstance(node, Binary):
        left, right = value(node.left), value(node.right)
        if node.op == "/" and right == 0:
            return mp.nan if left == 0 else mp.inf * mp.sign(left)
        return _ARITHMETIC[node.op](left, right)
    if isinstance(node, Power):
        base, exponent = value(node.base), value(node.exponent)
        if base == 0 and exponent < 0:
            return mp.inf
        if base < 0 and exponent != mp.floor(exponent):
            return mp.nan
        return base**exponent
    if isinstance(node, Call):
        argument = value(node.argument)
        return argument if mp.isnan(argument) else mpmath_functions()[node.function](argument)
    left, right = value(node.left), value(node.right)
    if isinstance(node, Extreme):
        if mp.isnan(left) or mp.isnan(right):
            return mp.nan
        return max(left, right) if node.name == "max" else min(left, right)
    return value(node.then if COMPARE[node.op](left, right) else node.otherwise)


def in_sympy(root: Node) -> Any:
    """The tree as a SymPy expression in ``Symbol("x", real=True)``, decimals as rationals."""
    import sympy as sp

    functions = sympy_functions()
    relation = {"<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge, "==": sp.Eq, "!=": sp.Ne}
    values: dict[int, Any] = {}
    for node in walk(root):
        at = [values[id(child)] for child in children(node)]
        if isinstance(node, Variable):
            result = sp.Symbol("x", real=True)
        elif isinstance(node, Number):
            result = sp.Rational(node.exact.numerator, node.exact.denominator)
        elif isinstance(node, Constant):
            result = sp.pi if node.name == "pi" else sp.E
        elif isinstance(node, Binary):
            result = _ARITHMETIC[node.op](*at)
        elif isinstance(node, Power):
            result = at[0] ** at[1]
        elif isinstance(node, Call):
            result = functions[node.function](at[0])
        elif isinstance(node, Extreme):
            result = (sp.Max if node.name == "max" else sp.Min)(*at)
        else:
            result = sp.Piecewise((at[2], relation[node.op](at[0], at[1])), (at[3], True))
        values[id(node)] = result
    return values[id(root)]
