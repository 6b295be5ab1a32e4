"""The polynomials that an activation tends to at infinity, and numeric moments of the rest."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy

from varprop.activation import Activation

from ..gaussian import x
from ..quantity import Quantity

__all__ = ["NoLimit", "limits", "numeric_moments"]

_DIGITS = 120
_FAR = 2000  # exp(-2000) is less than the last digit
_DEGREE = 8
_LARGEST_DENOMINATOR = 10**40
_MOMENT_DIGITS = 30
_NODES = 28
_MOST_PANELS = 2000


class NoLimit(ValueError):
    """The activation does not come exponentially close to polynomials at infinity."""


def _value(act: Activation, quantity: Quantity, at: Any) -> Any:
    if act.formula is None:
        raise NoLimit("it is a Python callable, which has no formula")
    return act.formula.mpmath(at, derivative=quantity.of_derivative)


def _polynomial(act: Activation, quantity: Quantity, side: int) -> sympy.Expr:
    """The polynomial of phi (or phi') at one end, its coefficients as fractions.

    It goes through values so far out that they are the polynomial's to all digits; further ones
    have to agree.
    """
    with mpmath.workdps(_DIGITS):
        at = [side * mpmath.mpf(_FAR) * (1 + mpmath.mpf(j) / 4) for j in range(_DEGREE + 4)]
        values = [_value(act, quantity, point) for point in at]
        if not all(mpmath.isfinite(v) for v in values):
            raise NoLimit("it grows faster than any power")
        table = list(values)  # Newton's divided differences
        for level in range(1, len(at)):
            for j in range(len(at) - 1, level - 1, -1):
                table[j] = (table[j] - table[j - 1]) / (at[j] - at[j - level])
        inner = (_value(act, quantity, side * mpmath.mpf(j) / 4) for j in range(1, 13))
        size = max(map(abs, (*values, *inner))) or mpmath.mpf(1)
        total = sympy.Integer(0)
        for j in reversed(range(len(at))):
            c = table[j]
            if abs(c) * mpmath.mpf(_FAR) ** j <= size * mpmath.mpf(10) ** (-_DIGITS + 25):
                c = mpmath.mpf(0)
            if j > _DEGREE and c:
                raise NoLimit("it comes to its limit at infinity only like a power of x, or never")
            total = total * (x - _rational(at[j])) + _rational(c)
        return sympy.Poly(total, x).as_expr()


def _rational(number: Any) -> sympy.Rational:
    exact = Fraction(int(mpmath.nint(mpmath.ldexp(number, 400))), 2**400)
    near = exact.limit_denominator(_LARGEST_DENOMINATOR)
    if abs(near - exact) > Fraction(1, 10 ** (_DIGITS - 30)):
        raise NoLimit("its limit at infinity is no fraction that could be recognised")
    return sympy.Rational(near.numerator, near.denominator)


def limits(act: Activation, quantity: Quantity) -> tuple[sympy.Expr, sympy.Expr]:
    """What phi^power (or phi'^power) tends to at -oo and at oo.

    Raises
    ------
    NoLimit
        If it doesn't come exponentially close to polynomials with fractions as coefficients.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> limits(Activation.parse("gelu"), QUANTITIES["variance"])
    (0, x**2)
    """
    if act.oscillates:
        raise NoLimit("it oscillates")
    left, right = (_polynomial(act, quantity, side) ** quantity.power for side in (-1, 1))
    return sympy.expand(left), sympy.expand(right)


def numeric_moments(
    act: Activation, quantity: Quantity, ends: tuple[sympy.Expr, sympy.Expr], count: int
) -> list[sympy.Float]:
    """int r x^(2j) dx for j < count, to about 30 digits, r = f minus its limits.

    Composite Gauss-Legendre on panels that are halved until the Legendre series of r falls fast,
    split at the kinks, until r is 0 to all digits.

    Raises
    ------
    NoLimit
        If that takes too long.
    """
    with mpmath.workdps(_MOMENT_DIGITS + 46):  # far out, r must not be the rounding of f
        totals, sizes = [mpmath.mpf(0)] * count, [mpmath.mpf(0)] * count
        for side, end in ((-1, ends[0]), (1, ends[1])):
            limit = [mpmath.mpf(c.p) / c.q for c in sympy.Poly(end, x).all_coeffs()]

            def rest(at: Any, side: int = side, limit: list[Any] = limit) -> Any:
                value = _value(act, quantity, side * at) ** quantity.power
                return value - mpmath.polyval(limit, side * at)

            _half_line(rest, [abs(kink) for kink in act.kinks if kink * side > 0], totals, sizes)
        zero = mpmath.mpf(10) ** -_MOMENT_DIGITS
        kept = (m if abs(m) > zero * size else 0 for m, size in zip(totals, sizes, strict=True))
        return [sympy.Float(m, _MOMENT_DIGITS) for m in kept]


def _half_line(
    rest: Callable[[Any], Any], kinks: list[float], totals: list[Any], sizes: list[Any]
) -> None:
    """Add the moments of `rest` over x > 0 to the totals, panel by panel."""
    rule = _legendre()
    least = mpmath.mpf(10) ** (-_MOMENT_DIGITS - 6)
    at, width, quiet, panels = mpmath.mpf(0), mpmath.mpf(2), 0, 0
    while quiet < 3:
        stop = min([at + width, *(mpmath.mpf(k) for k in kinks if k > at)])
        half = (stop - at) / 2
        points = [at + half * (node + 1) for node, _, _ in rule]
        values = [rest(point) for point in points]
        parts = [half * w * v for v, (_, w, _) in zip(values, rule, strict=True)]
        last = sum(half * v * row for v, (_, _, row) in zip(values, rule, strict=True))
        panels += 1
        if at > _FAR or panels > _MOST_PANELS:
            raise NoLimit("the integrals of what its limits leave settle too slowly")
        # The rule is exact to the square of the order that its last coefficient belongs to.
        if abs(last) > mpmath.sqrt(least) * (sizes[0] + sum(map(abs, parts))):
            width = half
            continue
        added = []
        for j in range(len(totals)):
            totals[j] += sum(parts)
            added.append(sum(map(abs, parts)))
            parts = [part * point * point for part, point in zip(parts, points, strict=True)]
        sizes[:] = [size + more for size, more in zip(sizes, added, strict=True)]
        settled = all(more <= least * size for more, size in zip(added, sizes, strict=True))
        at, width = stop, min(2 * width, mpmath.mpf(2))
        quiet = quiet + 1 if settled and at > max(kinks, default=0) else 0


def _legendre() -> list[tuple[Any, Any, Any]]:
    """Nodes, weights and the rows of the last Legendre coefficient, by Newton from float64's."""
    rough, _ = np.polynomial.legendre.leggauss(_NODES)
    rule = []
    for start in rough:
        node = mpmath.mpf(float(start))
        for _ in range(4):
            before, now = mpmath.mpf(1), node
            for n in range(2, _NODES + 1):
                before, now = now, ((2 * n - 1) * node * now - (n - 1) * before) / n
            slope = _NODES * (node * now - before) / (node * node - 1)
            node -= now / slope
        weight = 2 / ((1 - node * node) * slope**2)
        rule.append((node, weight, weight * before * (2 * _NODES - 1) / 2))
    return rule
