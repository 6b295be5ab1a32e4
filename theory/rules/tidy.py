"""Results in a form that a person would print."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import sympy
from sympy import Expr, I

from .term import turn

__all__ = ["real_part", "root", "tidy"]


def root(expr: Expr) -> Expr:
    """The square root of a rational function that is positive, factor by factor.

    Examples
    --------
    >>> k = sympy.Symbol("k", positive=True)
    >>> root((k**2 + 2 * k + 1) / 2)
    sqrt(2)*(k + 1)/2
    """
    top, bottom = sympy.fraction(sympy.together(expr))
    return _polynomial_root(top) / _polynomial_root(bottom)


def _polynomial_root(expr: Expr) -> Expr:
    """Each factor with the sign it has where positive symbols are 1 and the others 0."""
    where = {s: sympy.Integer(1 if s.is_positive else 0) for s in expr.free_symbols}
    constant, factors = sympy.factor_list(expr)
    out = sympy.Integer(1)
    for factor, power in factors:
        sign = sympy.sign(factor.subs(where))
        if sign == 0:
            return sympy.sqrt(sympy.factor(expr))
        constant *= sign**power
        out *= sympy.sqrt(sign * factor) ** power
    return sympy.sqrt(constant) * out


def _is_rational(expr: Expr) -> bool:
    symbols = expr.free_symbols
    if not symbols:
        return bool(expr.is_Rational)
    return bool(expr.is_rational_function(*symbols)) and all(
        number.is_Rational for number in expr.atoms(sympy.Number, sympy.NumberSymbol, type(I))
    )


def _terms(expr: Expr) -> Iterator[Expr]:
    """The terms of a sum, products multiplied out except where they are rational."""
    if _is_rational(expr):
        yield expr
    elif expr.is_Add:
        for part in expr.args:
            yield from _terms(part)
    elif expr.is_Mul:
        for chosen in product(*(list(_terms(factor)) for factor in expr.args)):
            yield sympy.Mul(*chosen)
    elif expr.is_Pow and expr.base.is_Add and expr.exp.is_Integer and expr.exp > 0:
        yield from _terms(sympy.Mul(*([expr.base] * int(expr.exp)), evaluate=False))
    else:
        yield expr


def real_part(expr: Expr) -> Expr:
    """The real part of an expression whose symbols and functions are all real.

    Examples
    --------
    >>> real_part((1 + 2 * I) * (3 + I))
    1
    """
    turned = expr.replace(
        lambda e: isinstance(e, sympy.exp) and e.args[0].has(I), lambda e: turn(e.args[0])
    )
    kept = []
    for part in _terms(turned):
        if not part.has(I):
            kept.append(part)
        elif (part / I).has(I):
            raise ArithmeticError(f"{part} is not split into real and imaginary parts")
    return sympy.Add(*kept)


def _parted(term: Expr) -> tuple[Expr, Expr]:
    """A term as (rational function, the rest): equal roots and exponentials look equal."""
    rational, rest, exponents = sympy.Integer(1), sympy.Integer(1), []
    for factor in sympy.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if _is_rational(factor):
            rational *= factor
        elif isinstance(factor, sympy.exp):
            exponents.append(factor.args[0])
        elif exponent.is_Rational and exponent.q == 2 and base.free_symbols and _is_rational(base):
            kept = sympy.Rational(1 if base.is_Symbol else -1, 2)
            rational *= base ** (exponent - kept)
            rest *= base**kept
        else:
            rest *= factor
    exponent = sympy.Add(*exponents)
    if _is_rational(exponent) and not exponent.is_polynomial(*exponent.free_symbols):
        exponent = sympy.factor(exponent)
    return rational, rest * sympy.exp(exponent)


def _complements(sums: dict[Expr, Expr]) -> None:
    """Join c erf(u) + c erfc(u) to c, in place."""
    for rest, c in list(sums.items()):
        for tail in rest.atoms(sympy.erfc):
            other = rest.xreplace({tail: sympy.erf(tail.args[0])})
            if sums.get(other) == c:
                del sums[rest], sums[other]
                whole = rest / tail
                sums[whole] = sympy.cancel(sums.get(whole, sympy.Integer(0)) + c)


def tidy(expr: Expr) -> Expr:
    """Collect what multiplies the same root, exponential or error function.

    Examples
    --------
    >>> k = sympy.Symbol("k", positive=True)
    >>> tidy((k + 1) * sympy.exp(k) / 2 + k * sympy.exp(k) - sympy.exp(k) / 2)
    3*k*exp(k)/2
    """
    found: dict[Expr, list[Expr]] = {}
    for term in _terms(expr):
        rational, rest = _parted(term)
        found.setdefault(rest, []).append(rational)
    sums = {rest: sympy.cancel(sympy.together(sympy.Add(*some))) for rest, some in found.items()}
    _complements(sums)
    return sympy.Add(*(_printed(c, rest) for rest, c in sums.items()))


def _printed(c: Expr, rest: Expr) -> Expr:
    if rest == 1 and c.is_polynomial(*c.free_symbols):
        return c
    c = sympy.factor(c)
    return -c * -rest if c.is_Add and c.could_extract_minus_sign() else c * rest
