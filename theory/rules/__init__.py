"""The rules for expectations over N(0, K): small objects that succeed, or say "not mine".

A rule states its identity and maps a `Term` to its expectation or to None. It may ask for the
expectations of simpler terms. `solve` asks the rules in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy import Expr

from ..pieces import Piece
from .arcsine import OneErrorFunction, Price
from .gamma import Gamma
from .girsanov import Girsanov
from .growth import refuse_growth
from .parity import Parity
from .resolvent import Resolvent
from .split import collect
from .stein import Stein
from .term import Rule, Term

__all__ = ["RULES", "Answer", "Rule", "Term", "ask", "collect", "solve"]

RULES: tuple[Rule, ...] = (
    Parity(),
    Girsanov(),
    Stein(),
    OneErrorFunction(),
    Price(),
    Resolvent(),
    Gamma(),
)


@dataclass(frozen=True)
class Answer:
    """An expectation, and the rules that gave it in the order of their use.

    Examples
    --------
    >>> from varprop.theory.pieces import x
    >>> (coefficient, term), = collect([(-sympy.oo, sympy.oo, x**2)])
    >>> solve(term).value, [type(rule).__name__ for rule in solve(term).rules]
    (K, ['Stein', 'Girsanov'])
    """

    value: Expr
    rules: tuple[Rule, ...]


@lru_cache(maxsize=4096)
def solve(term: Term) -> Answer | None:
    """The expectation of a term over N(0, K), or None where no rule knows it.

    Raises
    ------
    Diverges
        If it is infinite, for every K or from some K on.

    Examples
    --------
    >>> from varprop.theory.pieces import x
    >>> (coefficient, term), = collect([(-sympy.oo, sympy.oo, sympy.exp(x))])
    >>> solve(term).value
    exp(K/2)
    """
    refuse_growth(term)
    for rule in RULES:
        used: list[Rule] = [rule]

        def simpler(expr: Expr, lo: Expr, hi: Expr, used: list[Rule] = used) -> Expr | None:
            return ask([(lo, hi, expr)], used)

        value = rule(term, simpler)
        if value is not None:
            return Answer(value, tuple(dict.fromkeys(used)))
    return None


def ask(parts: Iterable[Piece], used: list[Rule] | None = None) -> Expr | None:
    """The expectation of pieces, real or complex and not tidied, or None.

    The rules are added to `used`.

    Examples
    --------
    >>> from varprop.theory.pieces import x
    >>> ask([(sympy.Integer(0), sympy.oo, x**2)])
    K/2
    """
    total = sympy.Integer(0)
    for coefficient, term in collect(parts):
        answer = solve(term)
        if answer is None:
            return None
        if used is not None:
            used += answer.rules
        total += coefficient * answer.value
    return total
