"""Stein's identity for two variables: by parts, one power of u or v less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, oo, pi, sqrt

from ..pieces import x
from ..rules import ask as ask_in_one
from ..rules.term import K
from .term import PairTerm, Side, a, b, k

__all__ = ["Ask", "Stein"]

Ask = Callable[[PairTerm], Expr | None]


@dataclass(frozen=True)
class Stein:
    """u^n v^m times error functions and signs."""

    identity: str = (
        r"Stein's identity, integration by parts: $\operatorname{E} u\,h(u, v) = \mu "
        r"\operatorname{E} h + A \operatorname{E} \partial_u h + C \operatorname{E} \partial_v h$ "
        r"for $u$ of mean $\mu$ and variance $A$, and $C$ its covariance with $v$. The derivative "
        r"of a sign is $2 \delta$"
    )

    def __call__(self, term: PairTerm, ask: Ask) -> Expr | None:
        """The expectation by those of lower powers, or None where there is no power."""
        if term.u.power == 0:
            if term.v.power == 0:
                return None
            swapped = self(PairTerm(term.v, term.u), ask)
            return None if swapped is None else _exchanged(swapped)
        lower = replace(term, u=replace(term.u, power=term.u.power - 1))
        law = term.law()
        by_u = _slope(lower, ask, of_u=True)
        by_v = _slope(lower, ask, of_u=False)
        mean = sympy.Integer(0) if law.means[0] == 0 else ask(lower)
        if mean is None or by_u is None or by_v is None:
            return None
        return law.means[0] * mean + law.variances[0] * by_u + law.covariance * by_v


def _exchanged(expr: Expr) -> Expr:
    return expr.subs({a: b, b: a}, simultaneous=True)


def _slope(term: PairTerm, ask: Ask, of_u: bool) -> Expr | None:
    """E of the derivative in u (or v) of the term without its exponentials, or None."""
    side = term.u if of_u else term.v
    found: list[tuple[Expr, Expr | None]] = []
    if side.power:
        less = replace(side, power=side.power - 1)
        found.append((sympy.Integer(side.power), ask(_with(term, less, of_u))))
    for factor in side.factors:
        rest = side.without(factor)
        if factor.slope == oo:
            found.append((sympy.Integer(2), _at_zero(_with(term, rest, of_u), of_u)))
        else:
            height = 2 * factor.slope / sqrt(pi) * sympy.exp(-(factor.shift**2))
            found.append((height, ask(_with(term, rest.with_bell(factor), of_u))))
    if any(value is None for _, value in found):
        return None
    return sympy.Add(*(c * value for c, value in found))


def _with(term: PairTerm, side: Side, of_u: bool) -> PairTerm:
    return replace(term, u=side) if of_u else replace(term, v=side)


def _at_zero(term: PairTerm, of_u: bool) -> Expr | None:
    """E of the term times delta(u) (or delta(v)): the other variable is N(0, b - k^2/a)."""
    if not of_u:
        swapped = _at_zero(PairTerm(term.v, term.u), True)
        return None if swapped is None else _exchanged(swapped)
    if term.u.power or any(factor.shift == 0 for factor in term.u.factors):
        return sympy.Integer(0)
    here = sympy.Mul(*(sympy.erf(factor.shift) for factor in term.u.factors))
    value = ask_in_one(_line(term.v))
    if value is None:
        return None
    rest = sympy.Symbol("rest", positive=True)  # a b - k^2, known to be positive
    left = value.subs(K, rest / a).subs(rest, a * b - k**2)
    return here / sqrt(2 * pi * a) * left


def _line(side: Side) -> list[tuple[Expr, Expr, Expr]]:
    """A side as pieces in x."""
    signs = sum(factor.slope == oo for factor in side.factors)
    smooth = (f for f in side.factors if f.slope != oo)
    expr = sympy.Mul(
        x**side.power,
        sympy.exp(side.linear * x - side.quadratic * x**2),
        *(sympy.erf(f.slope * x + f.shift) for f in smooth),
    )
    zero = sympy.Integer(0)
    return [(-oo, zero, (-1) ** signs * expr), (zero, oo, expr)]
