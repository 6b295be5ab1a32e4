"""One term of a product f(u) g(v), and the law of (u, v) that its exponentials tilt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import sympy
from sympy import Expr

from ..rules.term import turn
from ..rules.tidy import root

__all__ = ["Factor", "Law", "PairTerm", "Side", "a", "b", "k"]

a: sympy.Symbol = sympy.Symbol("a", positive=True)
b: sympy.Symbol = sympy.Symbol("b", positive=True)
k: sympy.Symbol = sympy.Symbol("k", real=True)

_ZERO = sympy.Integer(0)


class Factor(NamedTuple):
    """erf(slope u + shift); a slope of infinity makes it the sign of u."""

    slope: Expr
    shift: Expr


@dataclass(frozen=True)
class Side:
    """u^power exp(-quadratic u^2 + linear u) times error functions and signs of u."""

    power: int
    quadratic: Expr = _ZERO
    linear: Expr = _ZERO
    factors: tuple[Factor, ...] = ()

    def without(self, factor: Factor) -> Side:
        """The side less one factor."""
        kept = list(self.factors)
        kept.remove(factor)
        return replace(self, factors=tuple(kept))

    def with_bell(self, factor: Factor) -> Side:
        """Times the Gaussian exp(-(slope u + shift)^2 + shift^2) of an erf's derivative."""
        return replace(
            self,
            quadratic=self.quadratic + factor.slope**2,
            linear=self.linear - 2 * factor.slope * factor.shift,
        )

    @property
    def centred(self) -> bool:
        """Whether neither an exponential nor an error function is shifted."""
        return bool(self.linear == 0) and all(factor.shift == 0 for factor in self.factors)


class Law(NamedTuple):
    """The tilted normal law: means, variances, covariance and the weight of the tilt."""

    means: tuple[Expr, Expr]
    variances: tuple[Expr, Expr]
    covariance: Expr
    weight: Expr


@dataclass(frozen=True)
class PairTerm:
    """u-side times v-side, over (u, v) ~ N(0, [[a, k], [k, b]]).

    Examples
    --------
    >>> PairTerm(Side(0, linear=sympy.Integer(1)), Side(0)).law().means
    (a, k)
    """

    u: Side
    v: Side

    def law(self) -> Law:
        """exp(-beta u^2 + lambda u - beta' v^2 + lambda' v) times N(0, S), as weight times a law.

        The inverse covariance grows by diag(2 beta, 2 beta'): a determinant. The means are the
        tilted covariance times (lambda, lambda').
        """
        p, q = 2 * self.u.quadratic, 2 * self.v.quadratic
        rest = a * b - k**2
        determinant = sympy.expand(1 + p * a + q * b + p * q * rest)
        first = sympy.expand(a + q * rest) / determinant
        second = sympy.expand(b + p * rest) / determinant
        both = k / determinant
        s, t = self.u.linear, self.v.linear
        means = (s * first + t * both, s * both + t * second)
        weight = turn((s * means[0] + t * means[1]) / 2) / root(determinant)
        return Law(means, (first, second), both, weight)

    def is_odd(self) -> bool:
        """Whether (u, v) -> (-u, -v) flips the sign."""
        flips = self.u.power + self.v.power + len(self.u.factors) + len(self.v.factors)
        return self.u.centred and self.v.centred and flips % 2 == 1
