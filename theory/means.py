"""Expectations as expressions: what a derivation writes for E over weights and normal variables."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, oo

from . import gaussian
from .integration import integrated

__all__ = ["Bound", "Mean", "NormalDensity", "NormalMean", "PairMean"]


class NormalDensity(sympy.Function):  # type: ignore[misc, unused-ignore]
    """The density of N(0, K) at a point: ``NormalDensity(x, K)``, written p_K(x).

    Examples
    --------
    >>> NormalDensity(0, 1).doit()
    sqrt(2)/(2*sqrt(pi))
    """

    nargs = 2

    def doit(self, **hints: Any) -> Expr:
        """The density as an expression."""
        return gaussian.density(self.args[0], self.args[1])

    def _latex(self, printer: Any) -> str:
        at, variance = (printer.doprint(arg) for arg in self.args)
        return rf"p_{{{variance}}}({at})"


class Mean(Expr):  # type: ignore[misc, unused-ignore]
    """E[expr] over independent random symbols of which only moments are known.

    Parameters
    ----------
    expr : sympy.Expr
        A polynomial in the random symbols.
    *laws : tuple
        (symbol, E symbol, E symbol^2, ...): as many moments as `expr` needs.

    Examples
    --------
    >>> w, v = sympy.symbols("w v")
    >>> Mean((1 + w) ** 2, (w, 0, v)).doit()
    v + 1
    """

    def __new__(cls, expr: Expr, *laws: tuple[Any, ...]) -> Mean:
        made: Mean = Expr.__new__(cls, sympy.sympify(expr), *(sympy.Tuple(*law) for law in laws))
        return made

    def doit(self, **hints: Any) -> Expr:
        """The expectation: linear, and a product over independent symbols."""
        symbols = [law[0] for law in self.args[1:]]
        moments = [(sympy.Integer(1), *law[1:]) for law in self.args[1:]]
        total = sympy.Integer(0)
        for powers, factor in sympy.Poly(self.args[0], *symbols).terms():
            for power, known in zip(powers, moments, strict=True):
                if power >= len(known):
                    raise ValueError(f"moment {power} is needed, {len(known) - 1} are given")
                factor *= known[power]
            total += factor
        return total

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{E}}\left[{printer.doprint(self.args[0])}\right]"


class Bound(Expr):  # type: ignore[misc, unused-ignore]
    """An expression with bound symbols; the first argument is the body."""

    is_commutative = True

    @property
    def bound_symbols(self) -> list[Expr]:
        """The symbols that mean nothing outside."""
        raise NotImplementedError

    @property
    def free_symbols(self) -> set[Expr]:
        """The symbols that may be given values."""
        body, *rest = self.args
        free: set[Expr] = body.free_symbols - set(self.bound_symbols)
        for part in rest:
            free |= part.free_symbols - set(self.bound_symbols)
        return free

    def _eval_subs(self, old: Expr, new: Expr) -> Expr | None:
        return self if old in self.bound_symbols else None


class NormalMean(Bound):
    """E f(x) over x ~ N(0, K): ``NormalMean(f, x, K)``.

    Parameters
    ----------
    expr : sympy.Expr
        A function of `x`, kinks and other symbols allowed.
    x : sympy.Symbol
        The normal variable, real.
    variance : sympy.Expr
        Its variance, positive.

    Examples
    --------
    >>> from varprop.theory.gaussian import K, x
    >>> NormalMean(x**4, x, K).doit()
    3*K**2
    """

    def __new__(cls, expr: Expr, x: Expr, variance: Expr) -> NormalMean:
        made: NormalMean = Expr.__new__(cls, *map(sympy.sympify, (expr, x, variance)))
        return made

    @property
    def bound_symbols(self) -> list[Expr]:
        """The normal variable."""
        return [self.args[1]]

    def doit(self, **hints: Any) -> Expr:
        """What SymPy's integration makes of it; itself where that would take long."""
        if not hints.get("integrals", True):
            return self
        expr, at, variance = self.args
        done = integrated(expr * gaussian.density(at, variance), at, -oo, oo)
        return self if done is None else sympy.simplify(done)

    def _eval_derivative(self, symbol: Expr) -> Expr:
        """By the derivative of the density, so that `expr` may have kinks and jumps."""
        expr, at, variance = self.args
        score = (at**2 / variance - 1) / (2 * variance)
        inner = sympy.diff(expr, symbol) if symbol in expr.free_symbols else sympy.Integer(0)
        total = NormalMean(inner, at, variance) if inner != 0 else sympy.Integer(0)
        slope = sympy.diff(variance, symbol)
        return total + (slope * NormalMean(expr * score, at, variance) if slope != 0 else 0)

    def _latex(self, printer: Any) -> str:
        expr, at, variance = (printer.doprint(arg) for arg in self.args)
        return rf"\operatorname{{E}}_{{{at} \sim N(0, {variance})}}\left[{expr}\right]"


class PairMean(Bound):
    """E f(u, v) over a normal pair of variances a, b and covariance k.

    ``PairMean(f, (u, v), (a, b, k))``; written with the subscripts a, b, k.

    Examples
    --------
    >>> u, v, a, b, k = sympy.symbols("u v a b k")
    >>> PairMean(u**2 * v**2, (u, v), (a, b, k)).doit()
    a*b + 2*k**2
    """

    def __new__(cls, expr: Expr, pair: Any, law: Any) -> PairMean:
        made: PairMean = Expr.__new__(
            cls, sympy.sympify(expr), sympy.Tuple(*pair), sympy.Tuple(*law)
        )
        return made

    @property
    def bound_symbols(self) -> list[Expr]:
        """The two normal variables."""
        return list(self.args[1])

    def doit(self, **hints: Any) -> Expr:
        """Polynomials by Isserlis' theorem: v = (k/a) u + w with w independent of u."""
        expr, (u, v), (a, b, k) = self.args
        if not expr.is_polynomial(u, v):
            return self
        w = sympy.Dummy("w", real=True)
        total = sympy.Integer(0)
        for (i, j), factor in sympy.Poly(expr.subs(v, k * u / a + w), u, w).terms():
            if i % 2 == 0 and j % 2 == 0:
                orders = sympy.factorial2(i - 1) * sympy.factorial2(j - 1)
                total += factor * orders * a ** (i // 2) * (b - k**2 / a) ** (j // 2)
        return sympy.expand(sympy.simplify(total))

    def _eval_derivative(self, symbol: Expr) -> Expr:
        """By the derivative of the density, so that `expr` may have kinks and jumps."""
        expr, pair, (a, b, k) = self.args
        at, inverse = sympy.Matrix(pair), sympy.Matrix([[b, -k], [-k, a]]) / (a * b - k**2)
        slope = sympy.Matrix([[a, k], [k, b]]).diff(symbol)
        score = ((at.T * inverse * slope * inverse * at)[0] - (inverse * slope).trace()) / 2
        return PairMean(sympy.diff(expr, symbol) + sympy.expand(expr * score), pair, self.args[2])

    def _latex(self, printer: Any) -> str:
        law = ", ".join(printer.doprint(part) for part in self.args[2])
        return rf"\operatorname{{E}}_{{{law}}}\left[{printer.doprint(self.args[0])}\right]"
