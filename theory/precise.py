"""The expectations of a formula to 20 digits and more, where float64 has too few."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import sympy

from varprop.activation import Activation

from .gaussian import K, NotClosed, Piece, derivative, gaussian_expectation, pieces, x
from .quantity import Quantity

__all__ = ["closed_form", "precise", "quantity_pieces"]

_DIGITS = 40
_REACH = 14  # standard deviations


def quantity_pieces(act: Activation, quantity: Quantity) -> list[Piece]:
    """The integrand as symbolic pieces, its numbers exactly those of the float64 twin.

    Raises
    ------
    ValueError
        If the activation has no formula, or its derivative is singular.
    NotClosed
        If the formula can't be split into pieces.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> quantity_pieces(Activation.parse("relu"), QUANTITIES["variance"])
    [(-oo, 0, 0), (0, oo, x**2)]
    """
    formula = act.sympy()
    formula = formula.xreplace({f: sympy.Rational(float(f)) for f in formula.atoms(sympy.Float)})
    if quantity.of_derivative:
        derivative(formula)  # makes sure that the pieces join
    combined, sloped = quantity.combined(act), quantity.needs_slope(act)
    return [
        (lo, hi, combined(expr, sympy.diff(expr, x) if sloped else None, x))
        for lo, hi, expr in pieces(formula)
    ]


@lru_cache(maxsize=512)
def closed_form(act: Activation, quantity: Quantity) -> sympy.Expr:
    """The quantity in closed form in K, with the numbers of the float64 twin.

    Raises
    ------
    NotClosed, ValueError
        If there is none.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> closed_form(Activation.parse("cos"), QUANTITIES["mean slope"])
    -K*exp(-K/2)/2
    """
    closed = gaussian_expectation(quantity_pieces(act, quantity.plain))
    return K**quantity.order * sympy.diff(closed, K, quantity.order) if quantity.order else closed


@lru_cache(maxsize=512)
def precise(act: Activation, quantity: Quantity) -> Callable[[float], tuple[Any, Any]] | None:
    """K -> (value, error) to 20 digits or more, or None if there is no formula to work with.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> value, error = precise(Activation.parse("mish"), QUANTITIES["mean"])(1e-8)
    >>> mpmath.nstr(value, 12), bool(error < 1e-30)
    ('3.19999998624e-9', True)
    """
    try:
        closed = sympy.lambdify(K, closed_form(act, quantity), "mpmath")
    except NotClosed:
        try:
            parts = quantity_pieces(act, quantity)
        except (ValueError, NotClosed):
            return None
        weight = quantity.weight(act)
        functions = [(lo, hi, sympy.lambdify(x, expr, "mpmath")) for lo, hi, expr in parts]
        return lambda variance: _integrate(functions, weight, variance)
    except ValueError:
        return None

    def by_closed_form(variance: float) -> tuple[Any, Any]:
        with mpmath.workdps(60):
            first = mpmath.mpf(closed(mpmath.mpf(variance)))
        with mpmath.workdps(160):
            second = mpmath.mpf(closed(mpmath.mpf(variance)))
            return second, abs(first - second)

    return by_closed_form


def _integrate(
    functions: list[tuple[Any, Any, Any]], weight: Callable[[Any], Any], variance: float
) -> tuple[Any, Any]:
    with mpmath.workdps(_DIGITS):
        s = mpmath.sqrt(mpmath.mpf(variance))
        total, error, reach = mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(_REACH)
        # mpmath's accuracy is absolute, so the integrand is brought to a size of about 1 first.
        size = max(abs(f(side * s)) for side, (_, _, f) in ((-1, functions[0]), (1, functions[-1])))
        size = size or mpmath.mpf(1)
        ladder = [mpmath.mpf(2) ** j / s for j in range(-1, 64) if mpmath.mpf(2) ** j < reach * s]
        marks = {mpmath.mpf(0), reach / 2, -reach / 2, *ladder, *(-m for m in ladder)}
        for lo, hi, function in functions:
            a = -reach if lo == -sympy.oo else max(-reach, mpmath.mpf(lo) / s)
            b = reach if hi == sympy.oo else min(reach, mpmath.mpf(hi) / s)
            if a >= b:
                continue
            points = [a, *sorted(m for m in marks if a < m < b), b]
            part, slack = mpmath.quad(
                lambda z, f=function: f(s * z) / size * weight(z) * mpmath.npdf(z),
                points,
                error=True,
            )
            total, error = total + part, error + slack
        return total * size, error * size
