"""A formula in pieces: where it switches, what it is between, and its derivative there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import sympy
from sympy import Expr, Rational, oo
from sympy.core.relational import Relational

__all__ = ["Diverges", "NotClosed", "Piece", "as_pieces", "derivative", "exact", "pieces", "x"]

x: sympy.Symbol = sympy.Symbol("x", real=True)

Piece = tuple[Expr, Expr, Expr]

_SWITCHES = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)


class NotClosed(NotImplementedError):
    """No rule gives this expectation in closed form."""


class Diverges(NotClosed, ValueError):
    """The expectation is infinite, for every variance or for those the message names."""


def exact(expr: Expr) -> Expr:
    """Replace decimal numbers by the fractions they are written as.

    Examples
    --------
    >>> exact(sympy.Float(0.2) * x)
    x/5
    """
    return expr.xreplace({f: Rational(repr(float(f))) for f in expr.atoms(sympy.Float)})


def _difference_list(switch: Expr) -> list[Expr]:
    """The expressions whose change of sign makes `switch` change its branch."""
    if isinstance(switch, (sympy.Max, sympy.Min)):
        args = switch.args
        return [a - b for i, a in enumerate(args) for b in args[i + 1 :]]
    if isinstance(switch, sympy.Piecewise):
        conditions = (c for _, c in switch.args if c not in (sympy.true, sympy.false))
        return [r.lhs - r.rhs for c in conditions for r in c.atoms(Relational)]
    return [switch.args[0]]


def _branch(switch: Expr, at: Expr) -> Expr:
    """What `switch` is in the interval that contains the point `at`."""
    args: Any = switch.args
    if isinstance(switch, (sympy.Max, sympy.Min)):
        best = max if isinstance(switch, sympy.Max) else min
        return best(args, key=lambda a: a.subs(x, at))
    if isinstance(switch, sympy.Piecewise):
        return next(e for e, c in args if c.subs(x, at) == sympy.true)
    positive = bool(args[0].subs(x, at) > 0)
    if isinstance(switch, sympy.Abs):
        return args[0] if positive else -args[0]
    if isinstance(switch, sympy.sign):
        return sympy.Integer(1 if positive else -1)
    return sympy.Integer(1 if positive else 0)


def _inside(lo: Expr, hi: Expr) -> Expr:
    """A rational-ish point strictly between lo and hi."""
    if lo == -oo:
        return sympy.Integer(0) if hi == oo else hi - 1
    return lo + 1 if hi == oo else (lo + hi) / 2


def _innermost(expr: Expr) -> Expr | None:
    """A switch whose own condition contains no switch, or None if there is none left."""
    for node in sympy.postorder_traversal(expr):
        if isinstance(node, _SWITCHES) and node.has(x):
            return node
    return None


def pieces(expr: Expr, lo: Expr = -oo, hi: Expr = oo) -> Iterator[Piece]:
    """Split an expression where its max, min, abs, sign, heaviside or conditions switch.

    Parameters
    ----------
    expr : sympy.Expr
        An expression in `x`; other symbols may occur outside the conditions.
    lo, hi : sympy.Expr
        The interval to look at, by default the whole line.

    Yields
    ------
    (lo, hi, expr) from left to right, `expr` free of switches. Values at single points
    don't matter to an expectation and are not kept.

    Raises
    ------
    NotClosed
        If a switch's condition is not a polynomial in `x`.

    Examples
    --------
    >>> list(pieces(sympy.Max(x, 0)))
    [(-oo, 0, 0), (0, oo, x)]
    """
    switch = _innermost(expr)
    if switch is None:
        yield lo, hi, expr
        return
    cuts: set[Expr] = set()
    for difference in _difference_list(switch):
        if not difference.is_polynomial(x) or difference.free_symbols - {x}:
            raise NotClosed(
                f"{switch} switches at {difference} = 0; only polynomials in x are split"
            )
        if difference.has(x):
            cuts.update(sympy.real_roots(sympy.Poly(difference, x)))
    edges = [lo, *sorted(c for c in cuts if lo < c < hi), hi]
    for a, b in pairwise(edges):
        yield from pieces(expr.xreplace({switch: _branch(switch, _inside(a, b))}), a, b)


def derivative(expr: Expr) -> list[Piece]:
    """The derivative piece by piece.

    Raises
    ------
    ValueError
        If the expression jumps: its derivative is then singular, E phi'^2 is infinite.

    Examples
    --------
    >>> derivative(sympy.Max(x, 0))
    [(-oo, 0, 0), (0, oo, 1)]
    """
    parts = list(pieces(expr))
    for (_, at, left), (_, _, right) in pairwise(parts):
        if sympy.simplify((left - right).subs(x, at)) != 0:
            raise ValueError(f"the derivative of {expr} is singular: it jumps at x = {at}")
    return [(a, b, sympy.diff(e, x)) for a, b, e in parts]


def as_pieces(expr: Expr | list[Piece]) -> tuple[Piece, ...]:
    """An expression or its pieces, as pieces.

    Raises
    ------
    ValueError
        If there is a symbol x that is not this room's.

    Examples
    --------
    >>> as_pieces(x**2)
    ((-oo, oo, x**2),)
    """
    parts = tuple(expr) if isinstance(expr, list) else tuple(pieces(sympy.sympify(expr)))
    for _, _, part in parts:
        if any(symbol.name == x.name and symbol != x for symbol in part.free_symbols):
            raise ValueError(
                f"{part} has a symbol x of its own: use varprop.theory.gaussian.x, which is "
                'Symbol("x", real=True)'
            )
    return parts
