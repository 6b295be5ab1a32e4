"""What of an activation is left when its limits at infinity are taken away: exact moments.

If f tends to polynomials p_- and p_+ at the two ends, r = f - p is integrable, and
E r(sqrt(K) z) = (2 pi K)^(-1/2) sum_j (-1)^j M_2j / ((2K)^j j!) with M_n = int r x^n dx.
Exact are the moments of polynomials in x and a sigmoid (tanh, SiLU), and of piecewise polynomials
times exp(a x) or exp(-b x^2) (hard tanh, ELU, Gaussians).
"""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Expr, oo

from ..gaussian import Piece, x

__all__ = ["Limits", "elementary", "in_sigmoid", "sigmoid_moment"]

Limits = tuple[Expr, Expr]  # the polynomials that f tends to at -oo and at oo

S = sympy.Symbol("S", positive=True)


def _slope_of(argument: Expr) -> Expr | None:
    """b where the argument is b x, None otherwise."""
    b = sympy.expand(argument).coeff(x, 1)
    return b if b.is_number and sympy.expand(argument - b * x) == 0 and b != 0 else None


def in_sigmoid(expr: Expr) -> tuple[Expr, Expr] | None:
    """The expression as a polynomial in x and S = 1/(1 + exp(-b x)), and b > 0; or None.

    Examples
    --------
    >>> in_sigmoid(sympy.tanh(x))
    (2*S - 1, 2)
    """
    nodes = [n for n in expr.atoms(sympy.tanh, sympy.exp) if n.has(x)]
    slopes = [slope for node in nodes if (slope := _slope_of(node.args[0])) is not None]
    if not nodes or len(slopes) < len(nodes):
        return None
    rates = [
        slope * (2 if isinstance(node, sympy.tanh) else 1)
        for node, slope in zip(nodes, slopes, strict=True)
    ]
    b = min(abs(rate) for rate in rates)
    plain = {}
    for node, rate in zip(nodes, rates, strict=True):
        wave = (S / (1 - S)) ** (rate / b)
        plain[node] = (wave - 1) / (wave + 1) if isinstance(node, sympy.tanh) else wave
    found = sympy.cancel(sympy.together(expr.xreplace(plain)))
    return (sympy.expand(found), b) if found.is_polynomial(x, S) else None


@lru_cache(maxsize=1024)
def _sigmoid_step(n: int, k: int) -> Expr:
    """int x^n (S^k - [x > 0]) dx for S = 1/(1 + exp(-x)).

    S^(k+1) = S^k - (S^k)'/k reduces k; by parts, int x^n (S^k)' dx is -n times the same with n - 1.
    """
    if k > 1:
        flux = sympy.Integer(1) if n == 0 else -n * _sigmoid_step(n - 1, k - 1)
        return _sigmoid_step(n, k - 1) - flux / (k - 1)
    if n % 2 == 0:
        return sympy.Integer(0)
    # By parts again: int x^(2i) S' dx = 2 (2i)! eta(2i), eta Dirichlet's.
    m = n + 1
    eta = (1 - sympy.Integer(2) ** (1 - m)) * sympy.zeta(m)
    return -2 * sympy.factorial(m) * eta / m


def sigmoid_moment(polynomial: Expr, rate: Expr, n: int) -> Expr:
    """int x^n (P(x, S) - its limits) dx for S = 1/(1 + exp(-rate x)), n even.

    Examples
    --------
    >>> sigmoid_moment(4 * S**2 - 4 * S + 1, sympy.Integer(2), 0)  # tanh^2 - 1
    -2
    """
    total = sympy.Integer(0)
    for (i, k), c in sympy.Poly(polynomial, x, S).terms():
        if k:
            total += c * _sigmoid_step(n + i, k) / rate ** (n + i + 1)
    return sympy.expand(total)


def _half_line(term: Expr, n: int) -> Expr | None:
    """int_0^oo x^n term dx of c x^m exp(-a x) or c x^m exp(-b x^2)."""
    c, rest = term.as_independent(x)
    powers: list[Expr] = []
    waves: list[Expr] = []
    for factor in sympy.Mul.make_args(rest):
        (waves if factor.has(sympy.exp) else powers).append(factor)
    power = sympy.Mul(*powers)
    exponent = sympy.expand(sum((w.args[0] for w in waves if isinstance(w, sympy.exp)), 0))
    if not power.is_polynomial(x) or not all(isinstance(w, sympy.exp) for w in waves):
        return None
    m = sympy.degree(power, x) + n if power.has(x) else n
    a, b = -exponent.coeff(x, 1), -exponent.coeff(x, 2)
    if sympy.expand(exponent + a * x + b * x**2) != 0:
        return None
    if b == 0 and a.is_positive:
        return c * sympy.factorial(m) / a ** (m + 1)
    if a == 0 and b.is_positive:
        return c * sympy.gamma(sympy.Rational(m + 1, 2)) / (2 * b ** sympy.Rational(m + 1, 2))
    return None


def elementary(parts: list[Piece], limits: Limits, n: int) -> Expr | None:
    """int x^n r dx of a piecewise f with these limits, None where the pieces are not elementary.

    Examples
    --------
    >>> clip = [(-oo, -1, sympy.Integer(1)), (-1, 1, x**2), (1, oo, sympy.Integer(1))]
    >>> elementary(clip, (sympy.Integer(1), sympy.Integer(1)), 0)
    -4/3
    """
    total = sympy.Integer(0)
    for lo, hi, expr in parts:
        for side, limit in ((-1, limits[0]), (1, limits[1])):
            a, b = (lo, hi) if side > 0 else (-hi, -lo)
            a = sympy.Max(a, 0)
            if a >= b:
                continue
            rest = sympy.expand((expr - limit).xreplace({x: side * x}), power_exp=False)
            part = _interval(sympy.powsimp(rest), a, b, n)
            if part is None:
                return None
            total += part
    return sympy.expand(total)


def _interval(rest: Expr, a: Expr, b: Expr, n: int) -> Expr | None:
    if rest == 0:
        return sympy.Integer(0)
    if rest.is_polynomial(x):
        terms = sympy.Poly(rest, x).terms()
        return (
            None
            if b == oo
            else sympy.Add(
                *(c * (b ** (m + n + 1) - a ** (m + n + 1)) / (m + n + 1) for (m,), c in terms)
            )
        )
    if a != 0 or b != oo:
        return None
    terms = [_half_line(sympy.powsimp(term), n) for term in sympy.Add.make_args(rest)]
    return None if any(term is None for term in terms) else sympy.Add(*terms)
