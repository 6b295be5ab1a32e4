"""Text to tree: an allow-list over Python's own syntax tree. Nothing is ever executed."""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import string
import warnings
from collections.abc import Mapping
from typing import NoReturn

from varprop._evaluate import constant
from varprop._expression import (
    CONSTANTS,
    ZERO,
    Binary,
    Call,
    Choice,
    Constant,
    Extreme,
    Node,
    Number,
    Power,
    X,
    children,
    depends_on_x,
    negate,
    number,
    walk,
)
from varprop._primitives import ALIASES, FUNCTIONS

MAX_LENGTH = 1000
MAX_BRACKETS = 50
MAX_NESTING = 100
MAX_EXPONENT = 64
# Powers of powers multiply; beyond this, exact constants would not fit in memory.
MAX_TOTAL_EXPONENT = 4096

_CHARACTERS = frozenset(string.ascii_letters + string.digits + " _.,+-*/()<>=!")
_HINTS = {"^": " (a power is written **)", "−": " (write the ASCII minus, -)"}
_CALLS = (*FUNCTIONS, *ALIASES, "relu", "max", "min")
_ALLOWED = (
    "allowed are x, numbers, pi, e, + - * / **, 'a if b < c else d' and the functions "
    + " ".join(sorted(_CALLS, key=str.lower))
)
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_NAMES_OF_SYNTAX: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.Tuple: "a tuple",
    ast.BoolOp: "'and' / 'or'",
    ast.UnaryOp: "'not'",
    ast.Compare: "a comparison outside 'a if b < c else d'",
    ast.Starred: "a starred argument",
}


def shown(text: str) -> str:
    """`text` for an error message: quoted, escaped, never longer than a line."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def known_parameters(parameters: Mapping[str, float]) -> dict[str, float]:
    """The parameters as floats, or an error that names the one that can't be used."""
    known = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise ValueError(f"parameter name {name!r} is not an identifier of ASCII letters")
        if name == "x" or name in CONSTANTS or name in _CALLS or keyword.iskeyword(name):
            raise ValueError(f"parameter name {name!r} already means something in a formula")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise ValueError(f"parameter {name} must be a finite number, not {value!r}")
        known[name] = float(value)
    return known


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def tree(text: str, parameters: Mapping[str, float]) -> Node:
    """The tree of a formula; ValueError for anything outside the language."""
    _check_text(text)
    text = text.strip(" ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "0if x" and the like: Python's style, not ours
            parsed = ast.parse(text, mode="eval")
    except SyntaxError as error:
        where = f" at character {error.offset}" if error.offset else ""
        raise ValueError(
            f"formula {shown(text)} can't be read{where}: {error.msg}; {_ALLOWED}"
        ) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"formula {shown(text)} can't be read: {error}; {_ALLOWED}") from None
    return _Builder(text, parameters).build(parsed.body, 1)


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a formula is a str, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"formula {shown(text)} has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        )
    if not text.strip():
        raise ValueError(f"the formula is empty; {_ALLOWED}")
    depth = 0
    for position, character in enumerate(text, start=1):
        if character not in _CHARACTERS:
            hint = _HINTS.get(character, "")
            raise ValueError(
                f"formula {shown(text)}: character {character!r} (number {position}) is not part "
                f"of the language{hint}; {_ALLOWED}"
            )
        depth += (character == "(") - (character == ")")
        if depth > MAX_BRACKETS:
            raise ValueError(
                f"formula {shown(text)} nests brackets deeper than {MAX_BRACKETS}, which is the "
                "most allowed"
            )


class _Builder:
    def __init__(self, text: str, parameters: Mapping[str, float]) -> None:
        self.text = text
        self.parameters = parameters

    def fail(self, met: str, allowed: str = _ALLOWED) -> NoReturn:
        raise ValueError(f"formula {shown(self.text)}: {met}; {allowed}")

    def source(self, node: ast.AST) -> str:
        return shown(ast.get_source_segment(self.text, node) or self.text)

    def build(self, node: ast.AST, level: int) -> Node:
        if level > MAX_NESTING:
            self.fail(f"operations nest deeper than {MAX_NESTING}", "write it in fewer steps")
        built = self.dispatch(node, level + 1)
        if not isinstance(built, Number | Constant) and not depends_on_x(built):
            self.check_constant(built, node)
        return built

    def dispatch(self, node: ast.AST, level: int) -> Node:
        if isinstance(node, ast.Constant):
            return self.literal(node)
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self.build(node.operand, level)
            return negate(operand) if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp):
            return self.binary(node, level)
        if isinstance(node, ast.Call):
            return self.call(node, level)
        if isinstance(node, ast.IfExp):
            return self.choice(node, level)
        kind = _NAMES_OF_SYNTAX.get(type(node), f"Python's {type(node).__name__}")
        return self.fail(f"{self.source(node)} is {kind}")

    def literal(self, node: ast.Constant) -> Node:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"{self.source(node)} is not a real number")
        if not _finite(value):
            self.fail(f"{self.source(node)} is too large for float64")
        return number(value)

    def name(self, name: str) -> Node:
        if name == "x":
            return X
        if name in CONSTANTS:
            return Constant(name)
        if name in self.parameters:
            return number(self.parameters[name])
        if name in _CALLS:
            self.fail(f"the function {name} needs an argument, as in {name}(x)")
        near = self.nearest(name, ["x", *CONSTANTS, *_CALLS])
        return self.fail(f"unknown name {shown(name)}{near}")

    def nearest(self, name: str, known: list[str]) -> str:
        lower = {one.lower(): one for one in [*known, *self.parameters]}
        near = difflib.get_close_matches(name.lower(), lower, n=1)
        return f" (did you mean {lower[near[0]]!r}?)" if near else ""

    def binary(self, node: ast.BinOp, level: int) -> Node:
        if isinstance(node.op, ast.Pow):
            return self.power(node, level)
        op = _OPERATORS.get(type(node.op))
        if op is None:
            self.fail(f"the operator of {self.source(node)} is not part of the language")
        return Binary(op, self.build(node.left, level), self.build(node.right, level))

    def power(self, node: ast.BinOp, level: int) -> Node:
        limit = f"an exponent is a constant between -{MAX_EXPONENT} and {MAX_EXPONENT}"
        exponent = self.build(node.right, level)
        if depends_on_x(exponent):
            self.fail(
                f"the exponent of {self.source(node)} depends on x",
                f"{limit}; write a**x as exp(x*log(a))",
            )
        if abs(constant(exponent)) > MAX_EXPONENT:
            self.fail(f"the exponent {self.source(node.right)} is {constant(exponent):g}", limit)
        built = Power(self.build(node.left, level), exponent)
        if _total_exponent(built) > MAX_TOTAL_EXPONENT:
            self.fail(
                f"the powers nested in {self.source(node)} multiply to more than "
                f"{MAX_TOTAL_EXPONENT}",
                "write it with smaller powers",
            )
        return built

    def call(self, node: ast.Call, level: int) -> Node:
        if not isinstance(node.func, ast.Name):
            self.fail(f"{self.source(node.func)} is not the name of a function")
        name = ALIASES.get(node.func.id, node.func.id)
        if name not in _CALLS:
            self.fail(f"unknown function {shown(name)}{self.nearest(name, list(_CALLS))}")
        wanted = 2 if name in ("max", "min") else 1
        if node.keywords or len(node.args) != wanted:
            given = len(node.args) + len(node.keywords)
            plural = "arguments" if wanted == 2 else "argument"
            self.fail(f"{name} takes {wanted} {plural}, not the {given} of {self.source(node)}")
        arguments = [self.build(argument, level) for argument in node.args]
        if name == "relu":
            return Extreme("max", arguments[0], ZERO)
        if wanted == 2:
            return Extreme(name, arguments[0], arguments[1])
        return Call(name, arguments[0])

    def choice(self, node: ast.IfExp, level: int) -> Node:
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            self.fail(f"the condition {self.source(test)} is not one comparison of two expressions")
        op = _COMPARISONS.get(type(test.ops[0]))
        if op is None:
            self.fail(f"the comparison {self.source(test)} is not one of < <= > >= == !=")
        left, right = self.build(test.left, level), self.build(test.comparators[0], level)
        then, otherwise = self.build(node.body, level), self.build(node.orelse, level)
        return Choice(op, left, right, then, otherwise)

    def check_constant(self, built: Node, node: ast.AST) -> None:
        try:
            value = constant(built)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            self.fail(
                f"the constant {self.source(node)} is not a finite float64",
                "constants must stay finite",
            )
        if isinstance(built, Power) and value == 0 and constant(built.base) != 0:
            self.fail(f"the constant {self.source(node)} is too small for float64")


def _total_exponent(root: Node) -> float:
    """The largest product of |exponents| on a way from the root down to a leaf."""
    totals: dict[int, float] = {}
    for node in walk(root):
        if isinstance(node, Power):
            factor = max(abs(constant(node.exponent)), 1.0)
            totals[id(node)] = factor * totals[id(node.base)]
        else:
            totals[id(node)] = max((totals[id(child)] for child in children(node)), default=1.0)
    return totals[id(root)]
