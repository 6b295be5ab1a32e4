"""What grows too fast to have an expectation, or only has one for small variances."""

from __future__ import annotations

import sympy
from sympy import Expr, oo

from ..pieces import Diverges, NotClosed, x
from .term import Term

__all__ = ["refuse_growth"]


def refuse_growth(term: Term) -> None:
    """Refuse a term that doesn't fall off, or for which that isn't sure.

    Raises
    ------
    Diverges
        For exp(c x^2) with c > 0 (infinite from K = 1/(2c) on) and exp of higher powers.
    NotClosed
        Where exp(c x^2) comes with other factors, or the sign of c is unknown.

    Examples
    --------
    >>> from varprop.theory.rules import collect
    >>> (coefficient, term), = collect([(-oo, oo, sympy.exp(x**2 / 10))])
    >>> refuse_growth(term)
    Traceback (most recent call last):
    ...
    varprop.theory.pieces.Diverges: E exp(x**2/10) over N(0, K) is infinite for K >= 5
    """
    shape = term.shape
    for base, exponent in shape.factors:
        if isinstance(base, sympy.exp) and base.args[0].is_polynomial(x):
            _refuse_steep(base, sympy.Poly(base.args[0] * exponent, x), term)
    if shape.quadratic.is_nonnegative:
        return
    if not shape.quadratic.is_negative:
        raise NotClosed(
            f"the sign of {shape.quadratic} in exp(-({shape.quadratic})*x**2) is unknown: "
            "declare its symbols positive"
        )
    limit = -1 / (2 * shape.quadratic)
    if shape.factors or not (term.lo == -oo or term.hi == oo):
        raise NotClosed(f"{shape.expr} changes its form at K = {limit}: not closed for every K")
    raise Diverges(f"E {shape.expr} over N(0, K) is infinite for K >= {limit}")


def _refuse_steep(base: Expr, inside: sympy.Poly, term: Term) -> None:
    leading = inside.LC()
    at_right = term.hi == oo and leading.is_positive
    at_left = term.lo == -oo and (leading * (-1) ** inside.degree()).is_positive
    if (at_right or at_left) and len(term.shape.factors) == 1:
        raise Diverges(f"E {base} over N(0, K) is infinite for every K")
