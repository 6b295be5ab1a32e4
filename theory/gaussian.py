"""Expectations over N(0, K), symbolically: rules that succeed, or say "not closed".

A rule is a small object. It states its identity, turns an expression in ``x`` into its
expectation over x ~ N(0, K) as an expression in ``K``, or returns None: "I don't know".
`gaussian_expectation` asks the rules in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sympy
from sympy import Expr, I, Rational, oo, pi
from sympy.core.relational import Relational

__all__ = [
    "RULES",
    "K",
    "NotClosed",
    "PiecewisePolynomial",
    "Trigonometric",
    "density",
    "derivative",
    "exact",
    "gaussian_expectation",
    "pieces",
    "x",
]

x: sympy.Symbol = sympy.Symbol("x", real=True)
K: sympy.Symbol = sympy.Symbol("K", positive=True)

Piece = tuple[Expr, Expr, Expr]

_SWITCHES = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)


class NotClosed(NotImplementedError):
    """No rule gives this expectation in closed form (yet)."""


def density(at: Expr, variance: Expr = K) -> Expr:
    """Density of N(0, variance) at a point; 0 at infinity.

    Parameters
    ----------
    at : sympy.Expr
        The point; ``oo`` and ``-oo`` are allowed.
    variance : sympy.Expr
        A positive expression, by default the symbol ``K``.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> density(sympy.Integer(0))
    sqrt(2)/(2*sqrt(pi)*sqrt(K))
    """
    if at in (oo, -oo):
        return sympy.Integer(0)
    return sympy.exp(-(at**2) / (2 * variance)) / sympy.sqrt(2 * pi * variance)


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


@dataclass(frozen=True)
class PiecewisePolynomial:
    """Polynomials on intervals, by the recursion of truncated moments."""

    identity: str = (
        "M_k(a, b) = int_a^b x^k n(x) dx obeys M_0 = Phi(b/s) - Phi(a/s), "
        "M_1 = K (n(a) - n(b)), M_k = K ((k-1) M_{k-2} + a^{k-1} n(a) - b^{k-1} n(b))"
    )

    def moment(self, k: int, lo: Expr, hi: Expr) -> Expr:
        """The truncated moment M_k(lo, hi) of N(0, K)."""
        if k == 0:
            scale = sympy.sqrt(2 * K)
            return (sympy.erf(hi / scale) - sympy.erf(lo / scale)) / 2

        def edge(at: Expr) -> Expr:
            return sympy.Integer(0) if at in (oo, -oo) else at ** (k - 1) * density(at)

        lower = sympy.Integer(0) if k == 1 else (k - 1) * self.moment(k - 2, lo, hi)
        return K * (lower + edge(lo) - edge(hi))

    def __call__(self, parts: list[Piece]) -> Expr | None:
        """Sum of the pieces' expectations, or None where a piece is not a polynomial."""
        total = sympy.Integer(0)
        for lo, hi, expr in parts:
            if not expr.is_polynomial(x):
                return None
            for (k,), c in sympy.Poly(expr, x).terms():
                total += c * self.moment(k, lo, hi)
        return sympy.expand(total)


@dataclass(frozen=True)
class Trigonometric:
    """Sums of sines and cosines, by the characteristic function."""

    identity: str = "E exp(i w x) = exp(-w^2 K / 2)"

    def __call__(self, parts: list[Piece]) -> Expr | None:
        """The expectation of a trigonometric polynomial without kinks, or None."""
        if len(parts) != 1 or not parts[0][2].has(sympy.sin, sympy.cos):
            return None
        total = sympy.Integer(0)
        waves = sympy.expand(sympy.expand(parts[0][2]).rewrite(sympy.exp))
        for term in sympy.Add.make_args(waves):
            factor, wave = sympy.powsimp(term).as_independent(x)
            if wave == 1:
                total += factor
                continue
            frequency = sympy.simplify(wave.exp / (I * x)) if wave.func is sympy.exp else x
            if frequency.has(x) or not frequency.is_real:
                return None
            total += factor * sympy.exp(-(frequency**2) * K / 2)
        return sympy.expand(total)


RULES = (PiecewisePolynomial(), Trigonometric())


@lru_cache(maxsize=256)
def _ask(parts: tuple[Piece, ...]) -> Expr | None:
    for rule in RULES:
        answer = rule(list(parts))
        if answer is not None:
            return answer
    return None


def _shown(parts: list[Piece]) -> str:
    """The formula of each piece, for a message."""
    return " and ".join(dict.fromkeys(str(expr) for _, _, expr in parts))


def gaussian_expectation(expr: Expr | list[Piece]) -> Expr:
    """E expr(x) for x ~ N(0, K), derived by the rules of this room.

    Parameters
    ----------
    expr : sympy.Expr or list of (lo, hi, sympy.Expr)
        An expression in the symbol `x`, or its pieces as `pieces` and `derivative` give.

    Returns
    -------
    sympy.Expr
        An expression in the symbol `K`.

    Raises
    ------
    NotClosed
        If no rule knows the answer.

    Examples
    --------
    >>> gaussian_expectation(sympy.Max(x, 0) ** 2)
    K/2
    >>> gaussian_expectation(sympy.cos(x))
    exp(-K/2)
    """
    parts = list(pieces(expr)) if isinstance(expr, Expr) else expr
    answer = _ask(tuple(parts))
    if answer is None:
        raise NotClosed(
            f"the expectation of {_shown(parts)} over N(0, K) is not derived in closed form yet; "
            "its value is computed by quadrature: call the map with K"
        )
    return answer
