"""The rules for E f(u) g(v): as in `varprop.theory.rules`, for two correlated normal variables.

A rule states its identity and maps a `PairTerm` to its expectation or to None, "not mine".
"""

from __future__ import annotations

from functools import lru_cache

from sympy import Expr

from .closed import Girsanov, OneErrorFunction, Parity, Price
from .stein import Stein
from .term import PairTerm, Side, a, b, k

__all__ = ["PAIR_RULES", "PairTerm", "Side", "a", "b", "k", "solve"]

_BY_PARTS = Stein()
_AT_ONCE = (Parity(), Girsanov(), OneErrorFunction(), Price())

PAIR_RULES = (*_AT_ONCE, _BY_PARTS)


@lru_cache(maxsize=4096)
def solve(term: PairTerm) -> Expr | None:
    """The expectation of a term, or None where no rule knows it.

    Examples
    --------
    >>> solve(PairTerm(Side(1), Side(3)))
    3*b*k
    """
    for rule in _AT_ONCE:
        value = rule(term)
        if value is not None:
            return value
    return _BY_PARTS(term, solve)
