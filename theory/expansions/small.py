"""Expansions at small K, from the Taylor series of the activation on the two sides of 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import special

from varprop.activation import Activation

from ..gaussian import NotClosed, x
from ..quadrature import expectation
from ..quantity import Quantity
from .local import Sides, absolute_moment, sides
from .record import Expansion, Monomial
from .taylor import NotAnalytic

__all__ = ["even_part", "quadratic_rate", "small"]

Array = NDArray[np.float64]

_AFTER = 3  # terms that the error bound wants beyond those asked for


def quadratic_rate(expr: sympy.Expr) -> sympy.Expr | None:
    """t where |expr| grows at most like exp(t |x|^2) in the complex plane; None if it has poles
    or branch points, or grows faster.

    Examples
    --------
    >>> quadratic_rate(x * sympy.exp(-(x**2)) * sympy.sin(x)), quadratic_rate(sympy.tanh(x))
    (1, None)
    """
    if expr.is_polynomial(x):
        return sympy.Integer(0)
    if isinstance(expr, sympy.Pow) and expr.exp.is_Integer and expr.exp > 0:
        rate = quadratic_rate(expr.base)
        return None if rate is None else expr.exp * rate
    entire = (sympy.exp, sympy.sin, sympy.cos, sympy.sinh, sympy.cosh, sympy.erf, sympy.erfc)
    if isinstance(expr, entire) and expr.args[0].is_polynomial(x):
        inner = sympy.Poly(expr.args[0], x)
        if isinstance(expr, sympy.erf | sympy.erfc):
            inner = inner**2
        return abs(inner.coeff_monomial(x**2)) if inner.degree() <= 2 else None
    if not isinstance(expr, sympy.Add | sympy.Mul):
        return None
    rates = [quadratic_rate(arg) for arg in expr.args]
    if any(rate is None for rate in rates):
        return None
    return sympy.Max(*rates) if isinstance(expr, sympy.Add) else sympy.Add(*rates)


def even_part(near: Sides, power: int) -> sympy.Expr | None:
    """(f(x) + f(-x))/2 for x > 0 where that is a polynomial, None elsewhere."""
    right, left = (e**power for e in near.expressions)
    half = (right + left) / 2
    if not (near.polynomial or half.is_polynomial(x)):
        half = sympy.simplify(half)
    return sympy.expand(half) if half.is_polynomial(x) else None


def monomials(polynomial: sympy.Expr) -> tuple[Monomial, ...]:
    """The expectation of a polynomial in |x| over N(0, K), lowest power first."""
    terms = reversed(sympy.Poly(polynomial, x).terms())
    return tuple(
        (sympy.Rational(j, 2), sympy.expand(c * absolute_moment(j))) for (j,), c in terms if c != 0
    )


def _terms(near: Sides) -> list[Monomial]:
    found = []
    for j, (right, left) in enumerate(zip(near.right, near.left, strict=True)):
        c = sympy.expand((right + left) / 2)
        if c != 0:
            found.append((sympy.Rational(j, 2), sympy.expand(c * absolute_moment(j))))
    return found


def _beyond(
    act: Activation, quantity: Quantity, near: Sides, kept: int
) -> Callable[[Array], Array] | None:
    """A bound on what f and its Taylor polynomials differ by beyond the nearest other kink."""
    if not near.kinks:
        return None
    at = near.nearest
    f = quantity.integrand(act)
    sizes = [
        (j, float(abs(r) + abs(left)) / 2 * float(absolute_moment(j)))
        for j, (r, left) in enumerate(zip(near.right, near.left, strict=True))
    ]

    def bound(k: Array) -> Array:
        outside = expectation(
            lambda at_x: np.abs(f(at_x)) * (np.abs(at_x) > at), k, kinks=(-at, at, *near.kinks)
        )
        total: Array = np.asarray(outside.value) + np.asarray(outside.bound)
        for j, size in sizes[: 2 * kept + 1]:
            total = total + size * k ** (j / 2) * special.gammaincc((j + 1) / 2, at * at / (2 * k))
        return total

    return bound


def _unbounded(k: Array) -> Array:
    return np.full_like(k, np.inf)


def _status(near: Sides, power: int, polynomial: bool) -> tuple[str, str, float | None]:
    """What the series is worth, and why."""
    kinks = (
        f"the kinks away from 0, the nearest at |x| = {near.nearest:g}, contribute "
        f"exp(-{near.nearest**2:g}/(2K)), beyond all orders"
    )
    if polynomial:
        if near.kinks:
            return "asymptotic", kinks, None
        return "exact", "what is even in x is a polynomial on either side of 0", None
    rates = [quadratic_rate(expr) for expr in near.expressions]
    if any(rate is None for rate in rates):
        return "asymptotic", "poles or branch points off the real axis", None
    if near.kinks:
        return "asymptotic", kinks, None
    rate = sympy.Max(*rates) * power
    if rate == 0:
        return "convergent", "entire on either side of 0, at most of exponential growth", np.inf
    radius = 1 / (2 * rate)
    return "convergent", f"entire on either side of 0; it converges for K < {radius}", float(radius)


def small(act: Activation, quantity: Quantity, order: int) -> Expansion:
    """The expansion of an expectation at K = 0; see `Map.series`.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> print(small(Activation.parse("hardtanh"), QUANTITIES["variance"], 4).expr)
    K
    """
    length = 2 * order + 1
    for spare in (8, 16, 32):
        try:
            near = sides(act, quantity, length + spare)
        except NotAnalytic as error:
            return Expansion("none", f"{act} has no power series on a side of 0: {error}", "0")
        except (ValueError, NotClosed) as error:
            return Expansion("none", str(error), "0")
        terms = _terms(near)
        kept = sum(bool(p <= order) for p, _ in terms)
        if near.polynomial or len(terms) >= kept + _AFTER:
            break
    polynomial = None
    if near.polynomial or len(terms) < kept + _AFTER:
        polynomial = even_part(near, quantity.power)
    status, because, radius = _status(near, quantity.power, polynomial is not None)
    beyond = _beyond(act, quantity, near, order)
    if polynomial is not None:
        leading = monomials(polynomial)
        return Expansion(status, because, "0", radius, leading, _beyond=beyond)
    if len(terms) < kept + _AFTER:
        because += "; too few of its terms are not 0 to bound its error"
        return Expansion(status, because, "0", radius, tuple(terms[:kept]), _beyond=_unbounded)
    terms = terms[: kept + _AFTER]
    return Expansion(status, because, "0", radius, (), tuple(terms), kept, beyond)
