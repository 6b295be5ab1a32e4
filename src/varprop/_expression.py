"""The tree of a formula: its nodes, and exact facts read off the tree.

Nodes are compared by identity, never by value: derivatives share subtrees, and a walk that
remembers what it has seen visits each shared node once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

# Exact fractions longer than this are rounded to float64 first: a power of a power of a decimal
# would otherwise fill the memory with digits nobody asked for.
_EXACT_BITS = 4096


@dataclass(frozen=True, eq=False, slots=True)
class Number:
    """A rational constant; a decimal literal is the decimal that was written."""

    exact: Fraction


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """``pi`` or ``e``."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """``x``."""


@dataclass(frozen=True, eq=False, slots=True)
class Binary:
    """``left op right`` with op one of ``+ - * /``."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, eq=False, slots=True)
class Power:
    """``base ** exponent``; the exponent does not depend on x."""

    base: Node
    exponent: Node


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """A primitive function of one argument."""

    function: str
    argument: Node


@dataclass(frozen=True, eq=False, slots=True)
class Extreme:
    """``max(left, right)`` or ``min(left, right)``."""

    name: str
    left: Node
    right: Node


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """``then if left op right else otherwise``."""

    op: str
    left: Node
    right: Node
    then: Node
    otherwise: Node


Node = Number | Constant | Variable | Binary | Power | Call | Extreme | Choice

X = Variable()
ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))
HALF = Number(Fraction(1, 2))
TWO = Number(Fraction(2))


def number(value: float | int | Fraction) -> Number:
    """A constant; a float counts as the shortest decimal that reads back as that float."""
    return Number(Fraction(repr(value)) if isinstance(value, float) else Fraction(value))


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below `node`."""
    if isinstance(node, Binary | Extreme):
        return (node.left, node.right)
    if isinstance(node, Power):
        return (node.base, node.exponent)
    if isinstance(node, Call):
        return (node.argument,)
    if isinstance(node, Choice):
        return (node.left, node.right, node.then, node.otherwise)
    return ()


def walk(root: Node) -> Iterator[Node]:
    """Every node of the tree once, children before parents."""
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in children(node))


def depends_on_x(root: Node) -> bool:
    """Whether `x` occurs in the tree."""
    return any(isinstance(node, Variable) for node in walk(root))


# Builders that drop what has no effect, so that derivatives stay readable and 0 * inf is not
# evaluated where a rule's factor is exactly 0.


def is_number(node: Node, value: int) -> bool:
    """Whether the node is that very constant."""
    return isinstance(node, Number) and node.exact == value


def add(left: Node, right: Node) -> Node:
    """left + right"""
    if is_number(left, 0):
        return right
    return left if is_number(right, 0) else Binary("+", left, right)


def subtract(left: Node, right: Node) -> Node:
    """left - right"""
    if is_number(right, 0):
        return left
    return negate(right) if is_number(left, 0) else Binary("-", left, right)


def multiply(left: Node, right: Node) -> Node:
    """left * right"""
    if is_number(left, 0) or is_number(right, 0):
        return ZERO
    if is_number(left, 1):
        return right
    return left if is_number(right, 1) else Binary("*", left, right)


def divide(left: Node, right: Node) -> Node:
    """left / right"""
    return left if is_number(left, 0) or is_number(right, 1) else Binary("/", left, right)


def negate(node: Node) -> Node:
    """-node"""
    if isinstance(node, Number):
        return Number(-node.exact)
    if isinstance(node, Binary) and node.op == "*" and is_number(node.left, -1):
        return node.right
    return Binary("*", number(-1), node)


def power(base: Node, exponent: int) -> Node:
    """base ** exponent"""
    return Power(base, number(exponent))


def _short(value: Fraction) -> Fraction:
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    return value if bits <= _EXACT_BITS else Fraction(float(value))


def exact_value(node: Node) -> Fraction | None:
    """The value of a rational constant expression, None for anything else."""
    if isinstance(node, Number):
        return node.exact
    if isinstance(node, Binary):
        u, v = exact_value(node.left), exact_value(node.right)
        if u is None or v is None or (node.op == "/" and v == 0):
            return None
        return _short(ARITHMETIC[node.op](u, v))
    if isinstance(node, Power):
        u, v = exact_value(node.base), exact_value(node.exponent)
        if u is None or v is None or v.denominator != 1 or (u == 0 and v < 0):
            return None
        size = u.numerator.bit_length() + u.denominator.bit_length()
        return u ** int(v) if size * abs(v) <= _EXACT_BITS else None
    return None


ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda u, v: u + v,
    "-": lambda u, v: u - v,
    "*": lambda u, v: u * v,
    "/": lambda u, v: u / v,
}


def degree(root: Node) -> int | None:
    """d with f(t x) = t**d f(x) for all t > 0 where the tree's structure proves it, else None."""
    found: dict[int, Fraction | None] = {}
    zeros: set[int] = set()  # the constant 0 has every degree
    for node in walk(root):
        found[id(node)] = _degree(node, found, zeros)
    value = found[id(root)]
    return int(value) if value is not None and value.denominator == 1 else None


def _degree(node: Node, found: dict[int, Fraction | None], zeros: set[int]) -> Fraction | None:
    def common(*nodes: Node) -> Fraction | None:
        degrees = {found[id(one)] for one in nodes if id(one) not in zeros}
        return degrees.pop() if len(degrees) == 1 else Fraction(0) if not degrees else None

    if isinstance(node, Variable):
        return Fraction(1)
    if not depends_on_x(node):
        if exact_value(node) == 0:
            zeros.add(id(node))
        return Fraction(0)
    if isinstance(node, Power):
        base, exponent = found[id(node.base)], exact_value(node.exponent)
        return None if base is None or exponent is None else base * exponent
    if isinstance(node, Call):
        inner = found[id(node.argument)]
        if node.function == "abs":
            return inner
        settled = inner is not None and (node.function in ("sign", "heaviside") or inner == 0)
        return Fraction(0) if settled else None
    if isinstance(node, Extreme):
        return common(node.left, node.right)
    if isinstance(node, Choice):
        comparable = common(node.left, node.right) is not None
        return common(node.then, node.otherwise) if comparable else None
    if isinstance(node, Binary):
        if node.op in "+-":
            return common(node.left, node.right)
        left, right = found[id(node.left)], found[id(node.right)]
        if left is None or right is None:
            return None
        return left + right if node.op == "*" else left - right
    return None


def oscillates(root: Node) -> bool:
    """Whether a sine, cosine or tangent of something that depends on x occurs."""
    return any(
        isinstance(node, Call)
        and node.function in ("sin", "cos", "tan")
        and depends_on_x(node.argument)
        for node in walk(root)
    )


CONSTANTS = {"pi": math.pi, "e": math.e}
