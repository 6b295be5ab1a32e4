"""The derivative of a formula's tree: one rule for each kind of node."""

from __future__ import annotations

from collections.abc import Callable

from varprop._expression import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Binary,
    Call,
    Choice,
    Constant,
    Extreme,
    Node,
    Number,
    Power,
    Variable,
    add,
    divide,
    exact_value,
    is_number,
    multiply,
    negate,
    number,
    power,
    subtract,
    walk,
)


def _gauss(scale: Node, u: Node) -> Node:
    return multiply(scale, Call("exp", negate(power(u, 2))))


# d/du of each primitive, chosen so that no two nearly equal numbers are subtracted.
DERIVATIVES: dict[str, Callable[[Node], Node]] = {
    "exp": lambda u: Call("exp", u),
    "log": lambda u: divide(ONE, u),
    "sqrt": lambda u: divide(HALF, Call("sqrt", u)),
    "expm1": lambda u: Call("exp", u),
    "log1p": lambda u: divide(ONE, add(ONE, u)),
    "sin": lambda u: Call("cos", u),
    "cos": lambda u: negate(Call("sin", u)),
    "tan": lambda u: power(Call("cos", u), -2),
    "sinh": lambda u: Call("cosh", u),
    "cosh": lambda u: Call("sinh", u),
    "tanh": lambda u: power(Call("cosh", u), -2),
    "arctan": lambda u: divide(ONE, add(ONE, power(u, 2))),
    "arcsinh": lambda u: divide(ONE, Call("_hypot1", u)),
    "_hypot1": lambda u: divide(u, Call("_hypot1", u)),
    "erf": lambda u: _gauss(divide(TWO, Call("sqrt", Constant("pi"))), u),
    "erfc": lambda u: _gauss(negate(divide(TWO, Call("sqrt", Constant("pi")))), u),
    "Phi": lambda u: divide(
        Call("exp", divide(power(u, 2), number(-2))),
        Call("sqrt", multiply(TWO, Constant("pi"))),
    ),
    "sigmoid": lambda u: multiply(Call("sigmoid", u), Call("sigmoid", negate(u))),
    "softplus": lambda u: Call("sigmoid", u),
    "softsign": lambda u: power(add(ONE, Call("abs", u)), -2),
    "abs": lambda u: Choice(">", u, ZERO, ONE, number(-1)),
    "sign": lambda u: ZERO,
    "heaviside": lambda u: ZERO,
}


def derivative(root: Node) -> Node:
    """The derivative in x, almost everywhere; at a switch, the value of one of its sides."""
    slopes: dict[int, Node] = {}
    for node in walk(root):
        slopes[id(node)] = _rule(node, lambda below: slopes[id(below)])
    return slopes[id(root)]


def _rule(node: Node, slope: Callable[[Node], Node]) -> Node:
    if isinstance(node, Variable):
        return ONE
    if isinstance(node, Binary):
        u, v, du, dv = node.left, node.right, slope(node.left), slope(node.right)
        if node.op == "+":
            return add(du, dv)
        if node.op == "-":
            return subtract(du, dv)
        if node.op == "*":
            return add(multiply(du, v), multiply(u, dv))
        return divide(subtract(du, multiply(node, dv)), v)
    if isinstance(node, Power):
        du = slope(node.base)
        exact = exact_value(node.exponent)
        if exact == 0 or is_number(du, 0):
            return ZERO
        lower = Binary("-", node.exponent, ONE) if exact is None else Number(exact - 1)
        reduced = (
            node.base
            if is_number(lower, 1)
            else ONE
            if is_number(lower, 0)
            else Power(node.base, lower)
        )
        return multiply(multiply(node.exponent, reduced), du)
    if isinstance(node, Call):
        du = slope(node.argument)
        return ZERO if is_number(du, 0) else multiply(DERIVATIVES[node.function](node.argument), du)
    if isinstance(node, Extreme):
        du, dv = slope(node.left), slope(node.right)
        op = ">" if node.name == "max" else "<"
        return _choose(op, node.left, node.right, du, dv)
    if isinstance(node, Choice):
        return _choose(node.op, node.left, node.right, slope(node.then), slope(node.otherwise))
    return ZERO


def _choose(op: str, left: Node, right: Node, then: Node, otherwise: Node) -> Node:
    if is_number(then, 0) and is_number(otherwise, 0):
        return ZERO
    return Choice(op, left, right, then, otherwise)
