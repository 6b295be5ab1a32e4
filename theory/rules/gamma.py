"""Powers of x that are no whole numbers, on a half line."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, oo, pi

from ..pieces import Diverges, x
from .term import Ask, Term

__all__ = ["Gamma"]


@dataclass(frozen=True)
class Gamma:
    """x^s for x > 0 with real s > -1."""

    identity: str = (
        r"The Gamma function: $\operatorname{E}[x^s;\, x > 0] = \frac{(2 K)^{s/2}}{2 \sqrt\pi} "
        r"\Gamma\bigl(\frac{s + 1}{2}\bigr)$ for $s > -1$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """A value of the Gamma function, or None where x^s is not the only factor."""
        shape = term.shape
        if shape.linear != 0 or len(shape.factors) != 1 or (term.lo, term.hi) != (0, oo):
            return None
        ((base, exponent),) = shape.factors
        power = exponent + shape.power
        if base != x or not power.is_number:
            return None
        if power <= -1:
            raise Diverges(f"the expectation of x**({power}) on x > 0 is infinite")
        moment = (2 * term.variance) ** (power / 2) * sympy.gamma((power + 1) / 2)
        return term.weight * moment / (2 * sympy.sqrt(pi))
