"""One term of an integrand: x^n exp(-beta x^2 + lambda x) times other factors, on an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import sympy
from sympy import Expr, I, oo, pi

from ..pieces import x

__all__ = ["Ask", "K", "Rule", "Shape", "Sum", "Term", "density", "error_function", "turn"]

K: sympy.Symbol = sympy.Symbol("K", positive=True)


@dataclass(frozen=True)
class Shape:
    """x^power exp(-quadratic x^2 + linear x) times powers of other functions of x.

    `linear` may be complex: a cosine is the sum of two exponentials. `factors` are pairs of a
    base and its exponent in a fixed order, so that equal shapes compare equal.

    Examples
    --------
    >>> Shape(2, sympy.Integer(1), sympy.Integer(0), ((sympy.erf(x), sympy.Integer(1)),)).expr
    x**2*exp(-x**2)*erf(x)
    """

    power: int
    quadratic: Expr
    linear: Expr
    factors: tuple[tuple[Expr, Expr], ...] = ()

    @property
    def expr(self) -> Expr:
        """The shape as an expression."""
        tilt = sympy.exp(self.linear * x - self.quadratic * x**2)
        return sympy.Mul(x**self.power, tilt, *(base**e for base, e in self.factors))

    def is_even(self) -> bool | None:
        """True or False for an even or odd function of x, None for neither."""
        if self.linear != 0:
            return None
        even = self.power % 2 == 0
        for base, exponent in self.factors:
            mirrored = base.subs(x, -x)
            if mirrored == -base and exponent.is_integer:
                even ^= bool(exponent % 2)
            elif mirrored != base:
                return None
        return even


Sum = dict[Shape, Expr]


@dataclass(frozen=True)
class Term:
    """A shape on an interval, over x ~ N(0, K); the exponential tilts that law.

    exp(-beta x^2 + lambda x) times the density of N(0, K) is `weight` times the density of
    N(`mean`, `variance`).

    Examples
    --------
    >>> term = Term(Shape(0, sympy.Integer(0), sympy.Integer(1)), -oo, oo)
    >>> term.variance, term.mean, term.weight
    (K, K, exp(K/2))
    """

    shape: Shape
    lo: Expr
    hi: Expr

    def conjugate(self) -> Term:
        """The term whose wave turns the other way; itself if there is none."""
        shape = self.shape
        turned = Shape(shape.power, shape.quadratic, shape.linear.conjugate(), shape.factors)
        return Term(turned, self.lo, self.hi)

    @property
    def whole(self) -> bool:
        """Whether the interval is the whole line."""
        return bool(self.lo == -oo and self.hi == oo)

    @property
    def variance(self) -> Expr:
        """The variance of the tilted law, K / (1 + 2 beta K)."""
        return K / sympy.expand(1 + 2 * self.shape.quadratic * K)

    @property
    def mean(self) -> Expr:
        """The mean of the tilted law."""
        return self.shape.linear * self.variance

    @property
    def weight(self) -> Expr:
        """The expectation of the tilt alone, over the whole line."""
        root = sympy.sqrt(sympy.expand(1 + 2 * self.shape.quadratic * K))
        return turn(self.shape.linear**2 * self.variance / 2) / root

    def edge(self, at: Expr) -> Expr:
        """The integrand times the density of N(0, K) at an end of the interval."""
        if at in (oo, -oo):
            return sympy.Integer(0)
        shape = self.shape
        tilt = turn(shape.linear * at - shape.quadratic * at**2 - at**2 / (2 * K))
        factors = (base.subs(x, at) ** e for base, e in shape.factors)
        return sympy.Mul(at**shape.power, tilt, *factors) / sympy.sqrt(2 * pi * K)


Ask = Callable[[Expr, Expr, Expr], Expr | None]


class Rule(Protocol):
    """What a rule is: a statement, and a function from a term to its expectation or None.

    ``rule(term, ask)`` may ask for simpler expectations, ``ask(expr, lo, hi)``. None means
    "not mine", or that one of the simpler ones is not known.
    """

    @property
    def identity(self) -> str:
        """The identity the rule uses: Markdown, with LaTeX between dollars."""

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """The expectation of the term over N(0, K), an expression in K, or None."""


def density(at: Expr, variance: Expr = K) -> Expr:
    """Density of N(0, variance) at a point; 0 at infinity.

    Parameters
    ----------
    at : sympy.Expr
        The point; ``oo`` and ``-oo`` are allowed.
    variance : sympy.Expr
        A positive expression, by default the symbol ``K``.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> density(sympy.Integer(0))
    sqrt(2)/(2*sqrt(pi)*sqrt(K))
    """
    if at in (oo, -oo):
        return sympy.Integer(0)
    return sympy.exp(-(at**2) / (2 * variance)) / sympy.sqrt(2 * pi * variance)


def _parts(z: Expr) -> tuple[Expr, Expr]:
    """Real and imaginary part of an expression whose other symbols are all real."""
    z = sympy.expand(z)
    imaginary = z.coeff(I)
    return sympy.expand(z - I * imaginary), imaginary


def turn(z: Expr) -> Expr:
    """exp(z), with the imaginary part of z in a cosine and a sine.

    Examples
    --------
    >>> turn(K + sympy.I * sympy.pi)
    -exp(K)
    """
    real, imaginary = _parts(z)
    return sympy.exp(real) * (sympy.cos(imaginary) + I * sympy.sin(imaginary))


def error_function(z: Expr) -> Expr | None:
    """erf(z) for z real or imaginary, None in between.

    Examples
    --------
    >>> error_function(sympy.I * K)
    I*erfi(K)
    """
    real, imaginary = _parts(z)
    if imaginary == 0:
        return sympy.erf(z)
    return I * sympy.erfi(imaginary) if real == 0 else None
