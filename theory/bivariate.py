"""Expectations of two correlated normal variables, symbolically: E f(u) g(v).

(u, v) ~ N(0, [[a, k], [k, b]]). Price's theorem gives the arcsine of two error functions or
signs; integration by parts brings powers down to it; Girsanov takes the exponentials.
"""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Expr, oo

from .pair_rules import PAIR_RULES, PairTerm, Side, a, b, k, solve
from .pair_rules.term import Factor
from .pieces import Diverges, NotClosed, Piece, as_pieces, x
from .rules.split import split
from .rules.term import Shape
from .rules.tidy import real_part, tidy

__all__ = ["PAIR_RULES", "a", "b", "k", "pair_expectation"]

_SIGN = Factor(oo, sympy.Integer(0))


def _side(shape: Shape) -> Side:
    """A shape as a side of a pair; NotClosed for factors that no pair rule knows."""
    factors: list[Factor] = []
    for base, exponent in shape.factors:
        inside = sympy.expand(base.args[0]) if isinstance(base, sympy.erf) else x**2
        if not (inside.is_polynomial(x) and sympy.degree(inside, x) == 1):
            raise NotClosed(f"no rule for two variables knows {base**exponent}")
        factors += [Factor(inside.coeff(x, 1), inside.coeff(x, 0))] * int(exponent)
    if shape.quadratic.is_nonnegative:
        return Side(shape.power, shape.quadratic, shape.linear, tuple(factors))
    if shape.quadratic.is_negative:
        raise Diverges(f"E f(u) g(v) with f or g = {shape.expr} is infinite for large variances")
    raise NotClosed(f"the sign of {shape.quadratic} in {shape.expr} is unknown")


def _sides(parts: list[Piece]) -> dict[Side, Expr]:
    """The terms of a function whose only kink is at 0, a half line being (1 +- sign)/2."""
    found: dict[Side, Expr] = {}
    for lo, hi, expr in parts:
        if lo not in (-oo, 0) or hi not in (0, oo):
            raise NotClosed(
                f"a kink at x = {lo if lo not in (-oo, 0) else hi}, away from 0, needs the "
                "bivariate normal distribution function"
            )
        for shape, c in split(expr).items():
            side = _side(shape)
            whole = lo == -oo and hi == oo
            found[side] = found.get(side, 0) + (c if whole else c / 2)
            if not whole:
                signed = Side(side.power, side.quadratic, side.linear, (*side.factors, _SIGN))
                found[signed] = found.get(signed, 0) + (c if hi == oo else -c) / 2
    return {side: sympy.expand(c) for side, c in found.items() if sympy.expand(c) != 0}


@lru_cache(maxsize=256)
def _expectation(first: tuple[Piece, ...], second: tuple[Piece, ...]) -> Expr:
    total = sympy.Integer(0)
    for u, c in _sides(list(first)).items():
        for v, d in _sides(list(second)).items():
            value = solve(PairTerm(u, v))
            if value is None:
                raise NotClosed(_obstacle(u, v))
            total += c * d * value
    return _hyperbolic(tidy(real_part(total)))


def _obstacle(u: Side, v: Side) -> str:
    count = len(u.factors) + len(v.factors)
    if count > 2 and u.centred and v.centred:
        return f"{count} error functions or signs make an orthant probability of {count} variables"
    return (
        "exponentials on a half line, and error functions that are shifted, need the bivariate "
        "normal distribution function, which is not elementary"
    )


def _hyperbolic(expr: Expr) -> Expr:
    """exp(s + t k) and exp(s - t k) together as cosh(t k) and sinh(t k) times exp(s)."""
    waves: dict[tuple[Expr, Expr, int], Expr] = {}
    rest = []
    for term in sympy.Add.make_args(expr):
        c, bell = term.as_independent(sympy.exp)
        power = sympy.expand(bell.args[0]) if isinstance(bell, sympy.exp) else sympy.Integer(0)
        t = power.coeff(k, 1)
        if power == 0 or not power.is_polynomial(k) or t == 0:
            rest.append(term)
            continue
        sign = -1 if t.could_extract_minus_sign() else 1
        key = (power - t * k, sign * t, sign)
        waves[key] = waves.get(key, sympy.Integer(0)) + c
    for (level, t, sign), c in waves.items():
        other = waves.get((level, t, -sign))
        if other is None:
            rest.append(c * sympy.exp(level + sign * t * k))
        elif sign == 1:
            even, odd = sympy.factor(c + other), sympy.factor(c - other)
            rest.append(sympy.exp(level) * (even * sympy.cosh(t * k) + odd * sympy.sinh(t * k)))
    return sympy.Add(*rest)


def pair_expectation(f: Expr | list[Piece], g: Expr | list[Piece] | None = None) -> Expr:
    """E f(u) g(v) for normal (u, v) of mean 0, variances a and b and covariance k.

    Closed are polynomials, exponentials, waves and Gaussians, times error functions, and such
    functions glued together at 0 (ReLU and its kin) as long as at most two error functions or
    signs meet and no exponential is cut in half.

    Parameters
    ----------
    f : sympy.Expr or list of (lo, hi, sympy.Expr)
        A real expression in `varprop.theory.gaussian.x`, or its pieces; for the derivative
        kernel the pieces that `gaussian.derivative` gives.
    g : sympy.Expr or list of pieces, optional
        The second function, by default `f`.

    Returns
    -------
    sympy.Expr
        In the symbols `a`, `b` (positive) and `k` (real) of this room, valid for
        abs(k) < sqrt(a b). At abs(k) = sqrt(a b) it is the limit: arcsines reach their ends, the
        root of a b - k^2 is 0. Only a product of two jumping functions' slopes has no limit
        there, and `gaussian.derivative` refuses those.

    Raises
    ------
    NotClosed
        If no rule knows the answer; the message says what stands in the way.
    Diverges
        For functions like exp(x^2).

    Examples
    --------
    >>> from varprop.theory.gaussian import derivative
    >>> pair_expectation(sympy.erf(x))
    2*asin(2*k/(sqrt(2*a + 1)*sqrt(2*b + 1)))/pi
    >>> pair_expectation(derivative(sympy.Max(x, 0)))
    asin(k/(sqrt(a)*sqrt(b)))/(2*pi) + 1/4
    """
    first = as_pieces(f)
    return _expectation(first, first if g is None else as_pieces(g))
