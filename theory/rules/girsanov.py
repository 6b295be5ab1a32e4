"""Exponentials, waves and Gaussians: they tilt a normal law into another one."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, oo, sqrt

from .term import Ask, Term, error_function

__all__ = ["Girsanov"]


@dataclass(frozen=True)
class Girsanov:
    """exp(-beta x^2 + lambda x) on an interval, lambda real or complex."""

    identity: str = (
        r"Completing the square (Girsanov): $e^{\lambda x - \beta x^2}$ times the density of "
        r"$\mathcal{N}(0, K)$ is $\frac{e^{\lambda^2 \kappa / 2}}{\sqrt{1 + 2 \beta K}}$ times "
        r"that of $\mathcal{N}(\lambda \kappa, \kappa)$, $\kappa = \frac{K}{1 + 2 \beta K}$, "
        r"also for complex $\lambda$, and $\operatorname{P}(x > a) = \frac12 "
        r"\operatorname{erfc}\frac{a - \lambda \kappa}{\sqrt{2 \kappa}}$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """Weight times probability, or None where other factors occur."""
        if term.shape.power or term.shape.factors:
            return None
        share = _share(term)
        return None if share is None else term.weight * share


def _share(term: Term) -> Expr | None:
    """The probability of the interval under the tilted law.

    The form is the one that keeps its digits: a tail by erfc, not by 1 - erf.
    """
    lo, hi = term.lo, term.hi
    if term.whole:
        return sympy.Integer(1)
    width = sqrt(2 * term.variance)
    at = {end: (end - term.mean) / width for end in (lo, hi) if end not in (oo, -oo)}
    if not term.shape.linear.is_real:
        above = sympy.Integer(1) if hi == oo else error_function(at[hi])
        below = sympy.Integer(-1) if lo == -oo else error_function(at[lo])
        return None if above is None or below is None else (above - below) / 2
    if hi == oo:
        return sympy.erfc(at[lo]) / 2
    if lo == -oo:
        return sympy.erfc(-at[hi]) / 2
    slope = term.shape.linear
    if slope.is_negative or (slope == 0 and lo.is_positive):
        return (sympy.erfc(at[lo]) - sympy.erfc(at[hi])) / 2
    if slope.is_positive or (slope == 0 and hi.is_negative):
        return (sympy.erfc(-at[hi]) - sympy.erfc(-at[lo])) / 2
    return (sympy.erf(at[hi]) - sympy.erf(at[lo])) / 2
