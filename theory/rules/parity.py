"""Symmetry: what is odd has mean 0."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, oo

from ..pieces import x
from .term import Ask, Term

__all__ = ["Parity"]

_BOUNDED = (sympy.tanh, sympy.atan, sympy.sin, sympy.cos, sympy.erf)


def _at_least_a_number(base: Expr) -> bool:
    """Whether an expression stays above a positive number: 1 + something not negative."""
    if isinstance(base, sympy.cosh):
        return True
    number, rest = base.as_coeff_Add()
    return bool(number.is_positive and rest.is_nonnegative)


def _bounded(base: Expr, exponent: Expr) -> bool:
    """Whether base^exponent surely grows no faster than a power of x."""
    if exponent.is_nonnegative:
        if isinstance(base, (*_BOUNDED, sympy.asinh)):
            return bool(base.args[0].is_polynomial(x))
        if isinstance(base, sympy.log):
            inside = base.args[0]
            tame = all(e.args[0].is_polynomial(x) for e in inside.atoms(sympy.exp) if e.has(x))
            return tame and _at_least_a_number(inside)
        return bool(base.is_polynomial(x))
    return bool(exponent.is_negative) and _at_least_a_number(base)


@dataclass(frozen=True)
class Parity:
    """An odd function that can be integrated has mean 0; of others the even part counts."""

    identity: str = (
        r"Symmetry: $\operatorname{E} f(x) = \frac12 \operatorname{E}[f(x) + f(-x)]$, "
        r"which is $0$ for odd $f$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """0 for an odd term; the even part's mean where it is a simpler expression."""
        shape = term.shape
        if not term.whole or not all(_bounded(*factor) for factor in shape.factors):
            return None
        even = shape.is_even()
        if even is not None:
            return None if even else sympy.Integer(0)
        if shape.linear != 0 or not any(base.has(sympy.exp) for base, _ in shape.factors):
            return None
        folded = sympy.simplify((shape.expr + shape.expr.subs(x, -x)) / 2)
        simpler = folded.count_ops() < shape.expr.count_ops()
        return ask(folded, -oo, oo) if simpler else None
