"""The notation of derivations: expressions that state something and can be worked out.

Each is a SymPy expression. `doit` gives its meaning; `proof` and `evaluation` know how to prove
and how to compute it; it prints as one would write it on a blackboard. The expectations among
them live in `means`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import sympy
from sympy import Expr, oo

from .integration import split
from .means import Bound, Mean, NormalDensity, NormalMean, PairMean

__all__ = [
    "InfiniteSum",
    "Mean",
    "NormalDensity",
    "NormalMean",
    "PairMean",
    "Root",
    "Rounded",
    "SeriesOf",
]


class InfiniteSum(Bound):
    """The sum of f over k = start, start + 1, ...: ``InfiniteSum(f, k, start)``.

    Examples
    --------
    >>> k, t = sympy.symbols("k t")
    >>> sympy.diff(InfiniteSum(t**k, k, 0), t)
    InfiniteSum(k*t**k/t, k, 0)
    """

    def __new__(cls, expr: Expr, index: Expr, start: Any) -> InfiniteSum:
        made: InfiniteSum = Expr.__new__(cls, *map(sympy.sympify, (expr, index, start)))
        return made

    @property
    def bound_symbols(self) -> list[Expr]:
        """The index."""
        return [self.args[1]]

    def _eval_derivative(self, symbol: Expr) -> Expr:
        expr, index, start = self.args
        return InfiniteSum(sympy.diff(expr, symbol), index, start)

    def _latex(self, printer: Any) -> str:
        expr, index, start = (printer.doprint(arg) for arg in self.args)
        return rf"\sum_{{{index}={start}}}^{{\infty}} {expr}"


class SeriesOf(Bound):
    """The terms of an expansion in powers of K, those below ``K**order``.

    ``SeriesOf(f, K, order)`` for K -> 0+, or ``SeriesOf(f, K, order, oo)`` in powers of 1/K.
    A `NormalMean` is expanded under the expectation, on both sides of 0; everything else by SymPy.
    Written as f itself; a step adds the O(...).

    Examples
    --------
    >>> from varprop.theory.gaussian import K, x
    >>> SeriesOf(NormalMean(sympy.tanh(x) ** 2, x, K), K, 4).doit()
    17*K**3/3 - 2*K**2 + K
    """

    def __new__(cls, expr: Expr, symbol: Expr, order: Any, at: Any = 0) -> SeriesOf:
        made: SeriesOf = Expr.__new__(cls, *map(sympy.sympify, (expr, symbol, order, at)))
        return made

    @property
    def bound_symbols(self) -> list[Expr]:
        """None: the terms are an expression in the same symbol."""
        return []

    def doit(self, **hints: Any) -> Expr:
        """The terms."""
        expr, symbol, order, at = self.args
        expr = expr.replace(
            lambda e: isinstance(e, NormalMean) and e.args[2] == symbol and at == 0,
            lambda e: _under_the_expectation(e, order),
        ).doit(**hints)
        return sympy.expand(sympy.series(expr, symbol, at, order).removeO())

    def remainder(self) -> Expr:
        """The power that is left out: O(...) of it."""
        _, symbol, order, at = self.args
        return symbol**order if at == 0 else symbol ** (-order)

    def _latex(self, printer: Any) -> str:
        return str(printer.doprint(self.args[0]))


@lru_cache(maxsize=256)
def _under_the_expectation(mean: NormalMean, order: Expr) -> Expr:
    """Expand on both sides of 0 and take moments; what kinks further out add is beyond all powers.

    E |x|^j = 2^(j/2) Gamma((j+1)/2) K^(j/2) / sqrt(pi).
    """
    expr, at, variance = mean.args
    parts = split(expr, at, -oo, oo)
    right = next(part for lo, hi, part in parts if lo <= 0 < hi)
    left = next(part for lo, hi, part in parts if lo < 0 <= hi).subs(at, -at)
    both = zip(*(_taylor(f, at, int(2 * order)) for f in (right, left)), strict=True)
    total = sympy.Integer(0)
    for j, (r, s) in enumerate(both):
        half = sympy.Rational(j, 2)
        moment = 2**half * sympy.gamma(half + sympy.Rational(1, 2)) / sympy.sqrt(sympy.pi)
        total += (r + s) / 2 * moment * variance**half
    return total


def _taylor(f: Expr, at: Expr, count: int) -> list[Expr]:
    """Coefficients at 0: by SymPy, or to 45 digits by mpmath where SymPy would take minutes."""
    inner = [node for node in f.atoms(sympy.Function) if node.has(at)]
    if not any(node.args[0].atoms(sympy.Function) for node in inner):
        terms = sympy.expand(sympy.series(f, at, 0, count).removeO())
        return [terms.coeff(at, j) for j in range(count)]
    with mpmath.workdps(60):
        found = mpmath.taylor(sympy.lambdify(at, f, "mpmath"), 0, count - 1, direction=1)
        return [sympy.Float(mpmath.nstr(c, 45), 45) for c in found]


class Root(Bound):
    """The only zero of an expression between two points: ``Root(f, K, (lo, hi))``.

    Examples
    --------
    >>> from varprop.theory.gaussian import K
    >>> Root(K**2 - 3 * K - 2, K, (0, sympy.oo)).doit()
    3/2 + sqrt(17)/2
    """

    def __new__(cls, expr: Expr, symbol: Expr, interval: Any) -> Root:
        made: Root = Expr.__new__(
            cls, sympy.sympify(expr), sympy.sympify(symbol), sympy.Tuple(*interval)
        )
        return made

    @property
    def bound_symbols(self) -> list[Expr]:
        """The unknown."""
        return [self.args[1]]

    def doit(self, **hints: Any) -> Expr:
        """The zero in radicals, where the expression is a polynomial of degree up to 2."""
        expr, symbol, (lo, hi) = self.args
        if expr.free_symbols != {symbol} or not expr.is_polynomial(symbol):
            return self
        poly = sympy.Poly(expr, symbol)
        if poly.degree() > 2:
            return self
        (zero,) = (z for z in sympy.roots(poly) if z.is_real and lo < z < hi)
        return zero

    def _latex(self, printer: Any) -> str:
        expr, symbol, (lo, hi) = self.args
        ends = ", ".join(printer.doprint(end) for end in (lo, hi))
        unknown = printer.doprint(symbol)
        return (
            rf"\operatorname{{zero}}_{{{unknown} \in ({ends})}}"
            rf"\left[{printer.doprint(expr)}\right]"
        )


class Rounded(sympy.AtomicExpr):  # type: ignore[misc, unused-ignore]
    """A decimal number with as many digits as are written: the right side of a step with ≈.

    Examples
    --------
    >>> Rounded("4.5350").doit()
    907/200
    """

    is_number = True
    is_commutative = True
    is_real = True

    def __new__(cls, digits: Any) -> Rounded:
        sympy.Rational(str(digits))  # raises for what is no number
        made: Rounded = sympy.AtomicExpr.__new__(cls)
        made._digits = str(digits)
        return made

    _digits: str

    def __getnewargs__(self) -> tuple[str]:
        return (self._digits,)

    def _hashable_content(self) -> tuple[str]:
        return (self._digits,)

    def half_unit(self) -> Expr:
        """Half a unit of the last digit."""
        mantissa, _, exponent = self._digits.lower().partition("e")
        places = len(mantissa.partition(".")[2]) - int(exponent or 0)
        return sympy.Rational(10) ** -places / 2

    def doit(self, **hints: Any) -> Expr:
        """The number as a fraction."""
        return sympy.Rational(self._digits)

    def _eval_evalf(self, precision: int) -> Expr:
        return self.doit()._eval_evalf(precision)

    def _sympystr(self, printer: Any) -> str:
        return self._digits

    def _latex(self, printer: Any) -> str:
        mantissa, _, exponent = self._digits.lower().partition("e")
        return mantissa + (rf" \times 10^{{{int(exponent)}}}" if exponent else "")
