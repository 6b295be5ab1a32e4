"""Error functions: one is evaluated at a point, two make an arcsine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy import Expr, oo, pi, sqrt

from ..pieces import x
from .term import Ask, Term, error_function
from .tidy import root

__all__ = ["OneErrorFunction", "Price", "arcsine"]


@dataclass(frozen=True)
class OneErrorFunction:
    """erf(b x + c) under a tilted law, over the whole line."""

    identity: str = (
        r"A smoothed error function: $\operatorname{E}\operatorname{erf}(b x + c) = "
        r"\operatorname{erf}\frac{b \mu + c}{\sqrt{1 + 2 b^2 \kappa}}$ for "
        r"$x \sim \mathcal{N}(\mu, \kappa)$"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """The expectation where there is one error function of a linear argument, or None."""
        slopes = error_slopes(term)
        if not term.whole or term.shape.power or slopes is None or len(slopes) != 1:
            return None
        ((b, c),) = slopes
        spread = root(1 + 2 * b**2 * term.variance)
        value = error_function((b * term.mean + c) / spread)
        return None if value is None else term.weight * value


def error_slopes(term: Term) -> list[tuple[Expr, Expr]] | None:
    """(b, c) for each factor erf(b x + c), repeated as often; None if there are other factors."""
    found: list[tuple[Expr, Expr]] = []
    for base, exponent in term.shape.factors:
        inside = sympy.expand(base.args[0]) if isinstance(base, sympy.erf) else None
        if inside is None or not inside.is_polynomial(x) or sympy.degree(inside, x) != 1:
            return None
        if not (exponent.is_Integer and exponent > 0):
            return None
        found += [(inside.coeff(x, 1), inside.coeff(x, 0))] * int(exponent)
    return found


def _width(slope: Expr, variance: Expr) -> tuple[Expr, Expr]:
    """(p, q): erf(b u) acts like the sign of a normal number of variance p / q^2."""
    if slope in (oo, -oo):
        return variance, sympy.sign(slope)
    return 1 + 2 * slope**2 * variance, sqrt(2) * slope


def arcsine(first: Expr, second: Expr, a: Expr, b: Expr, k: Expr) -> Expr:
    """E erf(first u) erf(second v) for variances a, b and covariance k; a slope oo is the sign.

    Examples
    --------
    >>> arcsine(oo, oo, *sympy.symbols("a b k", positive=True))
    2*asin(k/(sqrt(a)*sqrt(b)))/pi
    """
    _prove_price()
    (p, q), (r, s) = _width(first, a), _width(second, b)
    return 2 / pi * sympy.asin(q * s * sympy.factor(k) / (root(p) * root(r)))


@lru_cache(maxsize=1)
def _prove_price() -> None:
    """Price's theorem for two error functions, checked once before it is used.

    The derivative in k is E of two Gaussian bells, a determinant to the power -1/2; at k = 0 the
    two are independent and odd, so both sides vanish there.
    """
    a, b, first, second = sympy.symbols("a b first second", positive=True)
    k = sympy.Symbol("k", real=True)
    (p, q), (r, s) = _width(first, a), _width(second, b)
    claim = 2 / pi * sympy.asin(q * s * k / sqrt(p * r))
    bells = 4 * first * second / pi / sqrt(p * r - 4 * first**2 * second**2 * k**2)
    if sympy.simplify(sympy.diff(claim, k) / bells) != 1 or claim.subs(k, 0) != 0:
        raise ArithmeticError("Price's theorem fails for error functions")


@dataclass(frozen=True)
class Price:
    """Two error functions on the line, or one on a half line, at mean 0."""

    identity: str = (
        r"Price's theorem: $\frac{\partial}{\partial k} \operatorname{E} f(u)\,g(v) = "
        r"\operatorname{E} f'(u)\,g'(v)$ for the covariance $k$ of $u$ and $v$, so "
        r"$\operatorname{E}\operatorname{erf}(b u)\operatorname{erf}(d v) = \frac{2}{\pi} "
        r"\arcsin\frac{2 b d\,k}{\sqrt{(1 + 2 b^2 \operatorname{E} u^2)"
        r"(1 + 2 d^2 \operatorname{E} v^2)}}$. Here $u = v = x$, and $b = \infty$ is the sign"
    )

    def __call__(self, term: Term, ask: Ask) -> Expr | None:
        """An arcsine, or None."""
        slopes = error_slopes(term)
        if slopes is None or term.shape.power or term.shape.linear != 0:
            return None
        if any(c != 0 for _, c in slopes):
            return None
        v = term.variance
        if term.whole and len(slopes) == 2:
            return term.weight * arcsine(slopes[0][0], slopes[1][0], v, v, v)
        if len(slopes) == 1 and term.lo == 0 and term.hi == oo:
            return term.weight * arcsine(slopes[0][0], oo, v, v, v) / 2
        return None
