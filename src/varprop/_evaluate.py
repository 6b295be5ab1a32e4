"""A formula's tree, evaluated: with NumPy on arrays, with mpmath at a point, with SymPy."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from varprop._expression import (
    CONSTANTS,
    Binary,
    Call,
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


def on_array(root: Node, x: Array) -> Array:
    """The tree's value at each element of `x`.

    Where an intermediate result leaves float64 (``x*exp(x)/(1+exp(x))`` at x = 800) and the
    result is not finite, that element is evaluated again with mpmath.
    """
    flat = x.reshape(-1)
    out = plainly(root, flat)
    for index in np.flatnonzero(~np.isfinite(out) & np.isfinite(flat)):
        out[index] = rescued(root, float(flat[index]))
    return out.reshape(x.shape)


def plainly(root: Node, x: Array) -> Array:
    """The tree's value at each element of `x` in float64 arithmetic as written."""
    flat = x.reshape(-1)
    out = np.empty(flat.shape)
    nodes = list(walk(root))
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            out[start : start + _BLOCK] = _block(nodes, flat[start : start + _BLOCK])
    return out.reshape(x.shape)


def _block(nodes: list[Node], x: Array) -> Array:
    values: dict[int, Any] = {}
    for node in nodes:
        values[id(node)] = _apply(node, x, values)
    result: Array = values[id(nodes[-1])]
    return result


def _apply(node: Node, x: Array, values: dict[int, Any]) -> Any:
    if isinstance(node, Variable):
        return x
    if isinstance(node, Number):
        return np.float64(node.exact)
    if isinstance(node, Constant):
        return np.float64(CONSTANTS[node.name])
    if isinstance(node, Binary):
        return _ARITHMETIC[node.op](values[id(node.left)], values[id(node.right)])
    if isinstance(node, Power):
        return _power(values[id(node.base)], values[id(node.exponent)])
    if isinstance(node, Call):
        return NUMPY[node.function](values[id(node.argument)])
    left, right = values[id(node.left)], values[id(node.right)]
    if isinstance(node, Extreme):
        return np.maximum(left, right) if node.name == "max" else np.minimum(left, right)
    return np.where(
        COMPARE[node.op](left, right), values[id(node.then)], values[id(node.otherwise)]
    )


def _power(base: Any, exponent: Any) -> Any:
    """base**exponent; for whole exponents by products, which keep f(-x) = -f(x) to the bit."""
    if exponent != np.floor(exponent):
        return np.power(base, exponent)
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


def constant(root: Node) -> float:
    """The value of a tree without x, in float64; nan or inf if that is what it comes to."""
    exact = exact_value(root)
    if exact is not None:
        return float(exact)
    with np.errstate(all="ignore"):
        return float(_block(list(walk(root)), np.zeros(1)))


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
