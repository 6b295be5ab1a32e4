"""Expectations over N(0, K), symbolically: rules that succeed, or say "not closed".

A formula is split into pieces at its kinks and into additive terms on each piece; every term
goes to the rules of `rules`, and different terms may go to different rules.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import sympy
from sympy import Expr, oo

from .pieces import Diverges, NotClosed, Piece, as_pieces, derivative, exact, pieces, x
from .rules import RULES, Answer, Term, collect, solve
from .rules.obstacle import obstacle
from .rules.term import K, density
from .rules.tidy import real_part, tidy

__all__ = [
    "RULES",
    "Diverges",
    "Explanation",
    "K",
    "NotClosed",
    "Piece",
    "density",
    "derivative",
    "exact",
    "explain",
    "gaussian_expectation",
    "pieces",
    "x",
]


class Explanation(NamedTuple):
    """Some terms of a formula, the identities that were used on them, and their expectation.

    Examples
    --------
    >>> explain(x**2)[0].expectation
    K
    """

    identity: str
    part: Expr
    expectation: Expr


def _shown(parts: tuple[Piece, ...]) -> str:
    """The formula of each piece, for a message."""
    return " and ".join(dict.fromkeys(str(expr) for _, _, expr in parts))


def _solved(parts: tuple[Piece, ...]) -> list[tuple[Expr, Term, Answer]]:
    """Each term with its coefficient and its answer; of two conjugate waves one, doubled."""
    found = []
    # Products first: exp(x^2) erfc(x) must not be judged by the exp(x^2) in it.
    products = sorted(collect(parts), key=lambda pair: -len(pair[1].shape.factors))
    terms = {term: coefficient for coefficient, term in products}
    while terms:
        term = next(iter(terms))
        coefficient = terms.pop(term)
        mirror = term.conjugate()
        if mirror != term:
            if terms.pop(mirror, None) is None:
                raise ValueError(f"{_shown(parts)} is not real")
            coefficient *= 2
        answer = solve(term)
        if answer is None:
            raise NotClosed(
                f"the expectation of {_shown(parts)} over N(0, K) has no closed form here: "
                f"{obstacle(term)}; its value is computed by quadrature: call the map with K"
            )
        found.append((coefficient, term, answer))
    return found


@lru_cache(maxsize=1024)
def _expectation(parts: tuple[Piece, ...]) -> Expr:
    total = sympy.Integer(0)
    for coefficient, term, answer in _solved(parts):
        value = coefficient * answer.value
        total += value if term.conjugate() == term else real_part(value)
    return tidy(total)


def gaussian_expectation(expr: Expr | list[Piece]) -> Expr:
    """E expr(x) for x ~ N(0, K), derived by the rules of `varprop.theory.rules`.

    Closed are piecewise products of polynomials, exponentials, waves and Gaussians; these times
    up to two error functions (of arguments without a shift); and rational functions with
    imaginary poles.

    Parameters
    ----------
    expr : sympy.Expr or list of (lo, hi, sympy.Expr)
        A real expression in the symbol `x`, or its pieces as `pieces` and `derivative` give.
        Other symbols are constants; declare them real, or positive where that matters.

    Returns
    -------
    sympy.Expr
        An expression in the symbol `K`, valid for every K > 0.

    Raises
    ------
    NotClosed
        If no rule knows the answer; the message says what stands in the way.
    Diverges
        A `NotClosed` and a ValueError: if the expectation is infinite, for every K or from some
        K on.
    ValueError
        If `expr` has a symbol x that is not `gaussian.x`.

    Examples
    --------
    >>> gaussian_expectation(sympy.Max(x, 0) ** 2)
    K/2
    >>> gaussian_expectation(sympy.erf(x) ** 2)
    2*asin(2*K/(2*K + 1))/pi
    >>> gaussian_expectation(x * sympy.sin(x))
    K*exp(-K/2)
    """
    return _expectation(as_pieces(expr))


def explain(expr: Expr | list[Piece]) -> list[Explanation]:
    """Which rules give which part of an expectation.

    Parameters
    ----------
    expr : sympy.Expr or list of pieces
        As for `gaussian_expectation`.

    Returns
    -------
    list of (identity, part, expectation)
        `identity` is Markdown with LaTeX; several are joined by "; ". The parts add up to
        `expr` as far as a symmetric law can tell: a part on x < 0 is mirrored to x > 0. The
        expectations add up to `gaussian_expectation(expr)`.

    Examples
    --------
    >>> for row in explain(sympy.Max(x, 0) + sympy.cos(x)):
    ...     print(row.identity.split(":")[0], "|", row.part, "|", row.expectation)
    Completing the square (Girsanov) | cos(x) | exp(-K/2)
    Stein's identity, integration by parts | x*Heaviside(x) | sqrt(2)*sqrt(K)/(2*sqrt(pi))
    """
    rows: dict[str, tuple[Expr, Expr]] = {}
    for coefficient, term, answer in _solved(as_pieces(expr)):
        identity = "; ".join(rule.identity for rule in answer.rules)
        part, value = coefficient * term.shape.expr, coefficient * answer.value
        if term.conjugate() != term:
            part, value = real_part(part), real_part(value)
        part *= _window(term)
        before = rows.get(identity, (sympy.Integer(0), sympy.Integer(0)))
        rows[identity] = (before[0] + part, before[1] + value)
    return [Explanation(identity, part, tidy(value)) for identity, (part, value) in rows.items()]


def _window(term: Term) -> Expr:
    """1 on the term's interval, 0 elsewhere."""
    above = sympy.Integer(1) if term.lo == -oo else sympy.Heaviside(x - term.lo)
    below = sympy.Integer(0) if term.hi == oo else sympy.Heaviside(x - term.hi)
    return above - below
