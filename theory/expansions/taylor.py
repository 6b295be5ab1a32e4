"""Taylor coefficients at 0 of an expression in x, by recurrences on truncated power series.

The same recurrences run over SymPy numbers, where the coefficients are exact, and over mpmath
numbers at the current precision. Repeated differentiation would take minutes where they take
milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyRing

from ..gaussian import x

__all__ = ["EXACT", "NUMERIC", "NotAnalytic", "Ring", "multiply", "power", "taylor"]

Series = list[Any]


class NotAnalytic(ValueError):
    """The expression has no power series at 0."""


@dataclass(frozen=True)
class Ring:
    """The numbers of a series: made from constants, multiplied, raised to a constant power.

    Attributes
    ----------
    number, times, root : callable
        A constant expression -> a number; the product of two; a number to a rational power.
    functions : object
        exp, log, erf and the others, at a number.

    Examples
    --------
    >>> EXACT.times(sympy.sqrt(2), 1 + sympy.sqrt(2))
    sqrt(2) + 2
    """

    number: Callable[[sympy.Expr], Any]
    times: Callable[[Any, Any], Any]
    root: Callable[[Any, sympy.Expr], Any]
    functions: Any

    def zero(self, c: Any) -> bool:
        """Whether a coefficient is 0."""
        return bool(c == 0)


def _expanded(a: Any, b: Any) -> Any:
    return a * b if a.is_Rational or b.is_Rational else sympy.expand(a * b)


def _mpmath_number(c: sympy.Expr) -> Any:
    return mpmath.mpmathify(sympy.N(c, mpmath.mp.dps + 5))


EXACT = Ring(sympy.expand, _expanded, lambda c, a: sympy.expand(c**a), sympy)
NUMERIC = Ring(_mpmath_number, lambda a, b: a * b, lambda c, a: c ** _mpmath_number(a), mpmath)


class _NotPolynomialError(ArithmeticError):
    """A coefficient is no polynomial in the irrational constants of the formula."""


class _AtZero:
    """Elementary functions of polynomials in the constants: known at 0 only."""

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        def function(c: Any) -> Any:
            if c != 0:
                raise _NotPolynomialError(name)
            return c.ring(int(getattr(sympy, name)(0)))

        return function


def _polynomials(names: dict[sympy.Expr, sympy.Symbol]) -> Ring:
    """Polynomials in the irrational constants of a formula: exact, and far quicker than EXACT."""
    domain = PolyRing(tuple(names.values()) or ("unused",), sympy.QQ, lex)

    def root(c: Any, exponent: sympy.Expr) -> Any:
        if not c.is_ground:
            raise _NotPolynomialError("a root")
        value = sympy.QQ.to_sympy(c.LC) ** exponent
        if not value.is_Rational:
            raise _NotPolynomialError("an irrational root")
        return domain(sympy.QQ.from_sympy(value))

    def number(c: sympy.Expr) -> Any:
        return domain.from_expr(_named(c, names))

    return Ring(number, lambda a, b: a * b, root, _AtZero())


def _named(expr: sympy.Expr, names: dict[sympy.Expr, sympy.Symbol]) -> sympy.Expr:
    """The expression with each irrational constant replaced by its symbol."""
    if expr.is_Rational or expr == x or expr in names.values():
        return expr
    if not expr.has(x) and not isinstance(expr, sympy.Add | sympy.Mul):
        return names.setdefault(expr, sympy.Dummy(f"c{len(names)}"))
    return expr.func(*(_named(arg, names) for arg in expr.args))


def _trimmed(*many: Series) -> list[Series]:
    length = min(map(len, many))
    return [one[:length] for one in many]


def multiply(p: Series, q: Series, ring: Ring) -> Series:
    """The product of two series, as long as the shorter one.

    Examples
    --------
    >>> one, two = sympy.Integer(1), sympy.Integer(2)
    >>> multiply([one, one], [one, two], EXACT)
    [1, 3]
    """
    p, q = _trimmed(p, q)
    zero = ring.number(sympy.Integer(0))
    out = []
    for n in range(len(p)):
        terms = (ring.times(p[i], q[n - i]) for i in range(n + 1) if not ring.zero(p[i]))
        out.append(sum(terms, zero))
    return out


def _valuation(p: Series, ring: Ring) -> int:
    for n, c in enumerate(p):
        if not ring.zero(c):
            return n
    raise NotAnalytic("a series vanishes to the order computed")


def power(p: Series, exponent: Any, ring: Ring) -> Series:
    """p**exponent for a constant exponent; the valuation times the exponent must be >= 0.

    Examples
    --------
    >>> root = power([sympy.Integer(c) for c in (0, 0, 1, 2)], sympy.Rational(1, 2), EXACT)
    >>> root  # sqrt(x^2 + 2 x^3) for x > 0
    [0, 1, 1]
    """
    if sympy.sympify(exponent).is_integer and exponent > 0:
        out = p
        for _ in range(int(exponent) - 1):
            out = multiply(out, p, ring)
        return out
    start = _valuation(p, ring)
    shift = start * exponent
    if shift < 0 or shift != int(shift):
        raise NotAnalytic("a pole or a branch point at 0")
    p = p[start:]
    a = ring.number(sympy.sympify(exponent))
    out = [ring.root(p[0], sympy.sympify(exponent))]
    inverse = ring.root(p[0], sympy.Integer(-1))
    for n in range(1, len(p)):
        total = sum(
            (
                ring.times(ring.times((a + 1) * i - n, p[i]), out[n - i])
                for i in range(1, n + 1)
                if not ring.zero(p[i])
            ),
            ring.number(sympy.Integer(0)),
        )
        out.append(ring.times(total, inverse) / n)
    return [ring.number(sympy.Integer(0))] * int(shift) + out


def _slope(p: Series) -> Series:
    return [n * c for n, c in enumerate(p)][1:]


def _integral(p: Series, constant: Any) -> Series:
    return [constant, *(c / n for n, c in enumerate(p, 1))]


def _exp(u: Series, ring: Ring) -> Series:
    out = [ring.functions.exp(u[0])]
    for n in range(1, len(u)):
        terms = (ring.times(i * u[i], out[n - i]) for i in range(1, n + 1) if not ring.zero(u[i]))
        out.append(sum(terms, ring.number(sympy.Integer(0))) / n)
    return out


def _log(u: Series, ring: Ring) -> Series:
    quotient = multiply(_slope(u), power(u, -1, ring), ring)
    return _integral(quotient, ring.functions.log(u[0]))


def _sine_and_cosine(u: Series, ring: Ring, sign: int) -> tuple[Series, Series]:
    """sin and cos (sign -1), or sinh and cosh (sign 1), side by side."""
    f = ring.functions
    first = (f.sin(u[0]), f.cos(u[0])) if sign < 0 else (f.sinh(u[0]), f.cosh(u[0]))
    s, c = [first[0]], [first[1]]
    zero = ring.number(sympy.Integer(0))
    for n in range(1, len(u)):
        steps = [(i * u[i], n - i) for i in range(1, n + 1) if not ring.zero(u[i])]
        s_n = sum((ring.times(step, c[j]) for step, j in steps), zero) / n
        c.append(sign * sum((ring.times(step, s[j]) for step, j in steps), zero) / n)
        s.append(s_n)
    return s, c


def _add(p: Series, c: int) -> Series:
    return [p[0] + c, *p[1:]]


def _tanh(u: Series, ring: Ring) -> Series:
    twice = _exp([2 * c for c in u], ring)
    return multiply(_add(twice, -1), power(_add(twice, 1), -1, ring), ring)


def _primitive(u: Series, slope_of_u: Series, constant: Any, ring: Ring) -> Series:
    """A function known by its derivative: the integral of slope(u) u'."""
    return _integral(multiply(slope_of_u, _slope(u), ring), constant)


def _erf(u: Series, ring: Ring) -> Series:
    bell = _exp([-c for c in multiply(u, u, ring)], ring)
    factor = ring.number(2 / sympy.sqrt(sympy.pi))
    bell = [ring.times(factor, c) for c in bell]
    return _primitive(u, bell, ring.functions.erf(u[0]), ring)


def _function(name: str, u: Series, ring: Ring) -> Series:
    """A named function of a series."""
    plain: dict[str, Callable[[Series, Ring], Series]] = {
        "exp": _exp,
        "log": _log,
        "tanh": _tanh,
        "erf": _erf,
    }
    if name in plain:
        return plain[name](u, ring)
    if name in ("sin", "cos", "tan"):
        s, c = _sine_and_cosine(u, ring, -1)
        return {"sin": s, "cos": c}.get(name) or multiply(s, power(c, -1, ring), ring)
    if name in ("sinh", "cosh"):
        return _sine_and_cosine(u, ring, 1)[name == "cosh"]
    if name == "erfc":
        return _add([-c for c in _erf(u, ring)], 1)
    square = _add(multiply(u, u, ring), 1)
    if name == "atan":
        return _primitive(u, power(square, -1, ring), ring.functions.atan(u[0]), ring)
    if name == "asinh":
        root = power(square, sympy.Rational(-1, 2), ring)
        return _primitive(u, root, ring.functions.asinh(u[0]), ring)
    raise NotAnalytic(f"no recurrence is known for {name}")


def _product(factors: list[sympy.Expr], length: int, ring: Ring) -> Series:
    one = ring.number(sympy.Integer(1))
    out = [one] + [one - one] * (length - 1)
    for factor in factors:
        out = multiply(out, _walk(factor, length, ring), ring)
    return out


def _quotient(p: Series, q: Series, ring: Ring) -> Series:
    """p / q, also where both vanish at 0: then some of the last terms are lost."""
    start = _valuation(q, ring)
    if not all(ring.zero(c) for c in p[:start]):
        raise NotAnalytic("a pole at 0")
    return multiply(p[start:], power(q[start:], -1, ring), ring)


def _walk(expr: sympy.Expr, length: int, ring: Ring) -> Series:
    zero = ring.number(sympy.Integer(0))
    if not expr.has(x):
        return [ring.number(expr)] + [zero] * (length - 1)
    if expr == x:
        return [zero, ring.number(sympy.Integer(1)), *[zero] * (length - 2)][:length]
    if isinstance(expr, sympy.Pow) and not expr.exp.has(x):
        return power(_walk(expr.base, length, ring), expr.exp, ring)
    if isinstance(expr, sympy.Mul):
        below = [arg for arg in expr.args if arg.has(x) and arg.is_Pow and arg.exp.is_negative]
        above = _product([arg for arg in expr.args if arg not in below], length, ring)
        if not below:
            return above
        return _quotient(above, _product([1 / arg for arg in below], length, ring), ring)
    parts = [_walk(arg, length, ring) for arg in expr.args]
    if isinstance(expr, sympy.Add):
        return [sum(column, zero) for column in zip(*_trimmed(*parts), strict=True)]
    if isinstance(expr, sympy.Function):
        return _function(type(expr).__name__, parts[0], ring)
    raise NotAnalytic(f"{expr} is not built from functions with known series")


def taylor(expr: sympy.Expr, length: int, ring: Ring = EXACT) -> Series:
    """The first coefficients of the Taylor series at x = 0.

    Parameters
    ----------
    expr : sympy.Expr
        An expression in `gaussian.x` without switches; roots are taken for x > 0.
    length : int
        How many coefficients, >= 1.
    ring : Ring
        `EXACT` (default) for SymPy numbers, `NUMERIC` for mpmath's at its current precision.

    Returns
    -------
    list
        c_0, ..., c_(length-1).

    Raises
    ------
    NotAnalytic
        At a pole or branch point, or for a function without a known recurrence.

    Examples
    --------
    >>> taylor(sympy.tanh(x), 6)
    [0, 1, 0, -1/3, 0, 2/15]
    >>> taylor(x / (sympy.exp(x) - 1), 3)
    [1, -1/2, 1/12]
    """
    if ring is EXACT:
        try:
            return _by_polynomials(expr, length)
        except _NotPolynomialError:
            pass
    return _padded(expr, length, ring)


def _padded(expr: sympy.Expr, length: int, ring: Ring) -> Series:
    padded = length
    for _ in range(6):
        found = _walk(expr, padded, ring)
        if len(found) >= length:
            return found[:length]
        padded += length - len(found)  # a quotient of vanishing series lost some
    raise NotAnalytic(f"the series of {expr} at 0 loses all its terms")


def _by_polynomials(expr: sympy.Expr, length: int) -> Series:
    """The coefficients with each irrational constant of the formula as an unknown."""
    names: dict[sympy.Expr, sympy.Symbol] = {}
    if expr.has(sympy.erf, sympy.erfc):
        _named(1 / sympy.sqrt(sympy.pi), names)
    known = _named(expr, names)
    found = _padded(known, length, _polynomials(names))
    values = {name: constant for constant, name in names.items()}
    return [sympy.expand(c.as_expr().xreplace(values)) for c in found]
