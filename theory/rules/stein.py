"""Stein's identity: integration by parts lowers the power of x."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr

from ..pieces import x
from .term import Ask, Shape, Term

__all__ = ["Stein"]

_DIFFERENTIABLE = (sympy.erf, sympy.atan)


@dataclass(frozen=True)
class Stein:
    """x^n times error functions and arctangents, on any interval, by parts."""

    identity: str = (
        r"Stein's identity, integration by parts: $\operatorname{E}[x\,g(x);\,a < x < b] = "
        r"\mu \operatorname{E} g + \kappa \operatorname{E} g' + \kappa\,(p(a)\,g(a) - p(b)\,g(b))$ "
        r"for $x \sim \mathcal{N}(\mu, \kappa)$ with density $p$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """The expectation by those of lower powers, or None."""
        shape, lo, hi = term.shape, term.lo, term.hi
        if shape.power < 1 or not all(
            isinstance(base, _DIFFERENTIABLE) and exponent.is_Integer and exponent > 0
            for base, exponent in shape.factors
        ):
            return None
        lower = Shape(shape.power - 1, shape.quadratic, shape.linear, shape.factors)
        others = sympy.Mul(x ** (shape.power - 1), *(base**e for base, e in shape.factors))
        tilt = Shape(0, shape.quadratic, shape.linear).expr
        slope = ask(sympy.diff(others, x) * tilt, lo, hi)
        mean = ask(lower.expr, lo, hi) if shape.linear != 0 else sympy.Integer(0)
        if slope is None or mean is None:
            return None
        rest = Term(lower, lo, hi)
        return term.mean * mean + term.variance * (slope + rest.edge(lo) - rest.edge(hi))
