"""An activation near 0, on both sides: what its expectations at small K are made of.

If f(x) ~ sum r_j x^j on the right and sum l_j |x|^j on the left, then
E f(sqrt(K) z) ~ sum (r_j + l_j)/2 E|z|^j K^(j/2): exact for polynomials, convergent or asymptotic
for others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy

from varprop.activation import Activation

from ..gaussian import derivative, exact, pieces, x
from ..quantity import Quantity
from .taylor import EXACT, Ring, taylor

__all__ = ["Sides", "absolute_moment", "sides"]


@dataclass(frozen=True)
class Sides:
    """Taylor coefficients of f at 0 in |x|, and where they stop to tell all of f.

    Attributes
    ----------
    right, left : list
        Coefficients for x > 0 and x < 0.
    kinks : tuple of float
        The other kinks; f is another analytic function beyond them.
    polynomial : bool
        Whether f is a polynomial on either side of 0, up to those kinks.
    expressions : tuple of sympy.Expr
        f on the right, and on the left as a function of -x.
    """

    right: list[Any]
    left: list[Any]
    kinks: tuple[float, ...]
    polynomial: bool
    expressions: tuple[sympy.Expr, sympy.Expr]

    @property
    def nearest(self) -> float:
        """The distance to the nearest other kink, inf if there is none."""
        return min(map(abs, self.kinks), default=math.inf)


def sides(act: Activation, quantity: Quantity, length: int, ring: Ring = EXACT) -> Sides:
    """phi^power or phi'^power near 0.

    Raises
    ------
    ValueError
        If the activation has no formula, or (as NotAnalytic) no power series on a side of 0.
    NotClosed
        If the formula can't be split into pieces.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> near = sides(Activation.parse("elu"), QUANTITIES["variance"], 4)
    >>> near.right, near.left
    ([0, 0, 1, 0], [0, 0, 1, -1])
    """
    formula = exact(act.sympy())
    parts = derivative(formula) if quantity.of_derivative else list(pieces(formula))
    at_right = next(e for lo, hi, e in parts if lo <= 0 < hi)
    at_left = next(e for lo, hi, e in parts if lo < 0 <= hi).xreplace({x: -x})
    found = []
    for expr in (at_right, at_left):
        found.append(taylor(expr**quantity.power, length, ring))
    kinks = tuple(float(hi) for _, hi, _ in parts[:-1] if hi != 0)
    polynomial = at_right.is_polynomial(x) and at_left.is_polynomial(x)
    return Sides(found[0], found[1], kinks, bool(polynomial), (at_right, at_left))


@lru_cache(maxsize=256)
def absolute_moment(j: int) -> sympy.Expr:
    """E|z|^j of a standard normal z.

    Examples
    --------
    >>> absolute_moment(4), absolute_moment(1)
    (3, sqrt(2)/sqrt(pi))
    """
    return (
        sympy.Integer(2) ** sympy.Rational(j, 2)
        * sympy.gamma(sympy.Rational(j + 1, 2))
        / sympy.sqrt(sympy.pi)
    )
