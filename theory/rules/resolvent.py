"""Rational functions whose poles are imaginary: x^n / (x^2 + c^2)^m."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, oo, pi, sqrt

from ..pieces import Diverges, x
from .term import Ask, Term

__all__ = ["Resolvent"]


@dataclass(frozen=True)
class Resolvent:
    """Partial fractions in x^2, then one integral and its derivatives in c."""

    identity: str = (
        r"Partial fractions and $\frac{1}{x^2 + c^2} = \int_0^\infty e^{-t (x^2 + c^2)}\,dt$: "
        r"$\operatorname{E}\frac{1}{x^2 + c^2} = \frac{1}{c} \sqrt{\frac{\pi}{2 K}}\, "
        r"e^{c^2 / 2 K} \operatorname{erfc}\frac{c}{\sqrt{2 K}}$, higher powers by "
        r"$-\frac{1}{2 m c} \frac{d}{d c}$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """The expectation of a rational function over the whole line, or None."""
        shape = term.shape
        if not shape.factors or not all(
            base.is_polynomial(x) and e.is_Integer for base, e in shape.factors
        ):
            return None
        _refuse_poles(term)
        if not term.whole or shape.linear != 0 or not shape.is_even():
            return None
        fraction = sympy.apart(
            sympy.Mul(x**shape.power, *(base**e for base, e in shape.factors)), x
        )
        total = sympy.Integer(0)
        for part in sympy.Add.make_args(fraction):
            value = _part(part, term, ask)
            if value is None:
                return None
            total += value
        return total


def _refuse_poles(term: Term) -> None:
    for base, exponent in term.shape.factors:
        if exponent.is_negative and not base.free_symbols - {x}:
            for root in sympy.real_roots(sympy.Poly(base, x)):
                if term.lo <= root <= term.hi:
                    raise Diverges(f"the expectation diverges: {base**exponent} at x = {root}")


def _part(part: Expr, term: Term, ask: Ask) -> Expr | None:
    """The expectation of one partial fraction times the term's Gaussian factor."""
    bell = sympy.exp(-term.shape.quadratic * x**2)
    if part.is_polynomial(x):
        return ask(part * bell, -oo, oo)
    top, bottom = sympy.fraction(part)
    base, power = bottom.as_independent(x, as_Add=False)[1].as_base_exp()
    leading = base.coeff(x, 2)
    square = sympy.cancel(base / leading - x**2)
    if top.has(x) or square.has(x) or not (power.is_Integer and square.is_positive):
        return None
    factor = sympy.cancel(part * (x**2 + square) ** power)
    return factor * term.weight * _power(int(power), square, term.variance)


def _power(power: int, square: Expr, variance: Expr) -> Expr:
    """E (x^2 + c^2)^-power for x ~ N(0, variance), c^2 = square."""
    c, v = sympy.symbols("c v", positive=True)
    value = sqrt(pi / (2 * v)) / c * sympy.exp(c**2 / (2 * v)) * sympy.erfc(c / sqrt(2 * v))
    for m in range(1, power):
        value = sympy.expand(-sympy.diff(value, c) / (2 * m * c))
    return value.subs({c: sqrt(square), v: variance}, simultaneous=True)
