"""Why a term has no closed form here."""

from __future__ import annotations

import sympy

from .arcsine import error_slopes
from .term import Term

__all__ = ["obstacle"]


def obstacle(term: Term) -> str:
    """What stands in the way of the rules, in a few words.

    Examples
    --------
    >>> from varprop.theory.pieces import x
    >>> from varprop.theory.rules import collect
    >>> (coefficient, term), = collect([(-sympy.oo, sympy.oo, sympy.tanh(x) ** 2)])
    >>> obstacle(term)
    'no rule knows tanh(x)'
    """
    shape = term.shape
    slopes = error_slopes(term)
    if slopes == []:
        return f"{shape.expr} needs the error function at complex points"
    if slopes is not None:
        shifted = shape.linear != 0 or any(c != 0 for _, c in slopes)
        if len(slopes) <= 2 and (shifted or not term.whole):
            return f"{shape.expr} needs Owen's T function"
        return f"a product of {len(slopes)} error functions is a normal orthant probability"
    bad = [base for base, _ in shape.factors if not isinstance(base, sympy.erf)]
    return "no rule knows " + ", ".join(str(base) for base in bad)
