"""From an expression to its terms, and from pieces to terms on intervals."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce

import sympy
from sympy import Expr, I, oo

from ..pieces import Piece, x
from .term import Shape, Sum, Term

__all__ = ["add_to", "collect", "split"]

_ZERO, _ONE = sympy.Integer(0), sympy.Integer(1)
_UNIT = Shape(0, _ZERO, _ZERO)


def add_to(total: Sum, shape: Shape, coefficient: Expr) -> None:
    """Add a multiple of a shape to a sum in place; a coefficient that becomes 0 goes.

    Examples
    --------
    >>> total = {}
    >>> add_to(total, _UNIT, sympy.Integer(2)); add_to(total, _UNIT, sympy.Integer(-2)); total
    {}
    """
    found = sympy.expand(total.get(shape, _ZERO) + coefficient)
    if found == 0:
        total.pop(shape, None)
    else:
        total[shape] = found


def _times(left: Sum, right: Sum) -> Sum:
    total: Sum = {}
    for f, a in left.items():
        for g, b in right.items():
            for shape, c in _joined(f, g).items():
                add_to(total, shape, a * b * c)
    return total


def _joined(f: Shape, g: Shape) -> Sum:
    """The product of two shapes: more than one only if a sum of terms gets a whole power."""
    factors: dict[Expr, Expr] = dict(f.factors)
    for base, exponent in g.factors:
        factors[base] = factors.get(base, _ZERO) + exponent
    kept, sums = [], []
    for base, exponent in factors.items():
        if exponent.is_Integer and exponent > 0 and base.is_Add:
            sums.append(split(base**exponent))
        elif exponent != 0:
            kept.append((base, exponent))
    kept.sort(key=lambda pair: sympy.default_sort_key(pair[0]))
    shape = Shape(
        f.power + g.power,
        sympy.expand(f.quadratic + g.quadratic),
        sympy.expand(f.linear + g.linear),
        tuple(kept),
    )
    return reduce(_times, sums, {shape: _ONE})


def _exponential(z: Expr) -> Sum:
    """exp(z) for z a polynomial in x of degree two or less."""
    z = sympy.expand(z)
    c2, c1, c0 = (z.coeff(x, n) for n in (2, 1, 0))
    return {Shape(0, -c2, c1): sympy.exp(c0)}


def _function(expr: Expr) -> Sum | None:
    """The terms of a function that is made of simpler ones."""
    z = expr.args[0]
    if isinstance(expr, sympy.erfc):
        return split(1 - sympy.erf(expr.args[0]))
    if not z.is_polynomial(x):
        return None
    degree = sympy.degree(z, x)
    if isinstance(expr, sympy.exp) and degree <= 2:
        return _exponential(z)
    if isinstance(expr, (sympy.sinh, sympy.cosh)):
        return _half_sum(z, -1 if isinstance(expr, sympy.sinh) else 1, _ONE / 2)
    if isinstance(expr, sympy.sin) and degree == 1:
        return _half_sum(I * z, -1, -I / 2)
    if isinstance(expr, sympy.cos) and degree == 1:
        return _half_sum(I * z, 1, _ONE / 2)
    return None


def _half_sum(z: Expr, sign: int, factor: Expr) -> Sum:
    """factor (exp(z) + sign exp(-z))."""
    return split(factor * sympy.exp(z) + factor * sign * sympy.exp(-z))


@lru_cache(maxsize=2048)
def _split(expr: Expr) -> tuple[tuple[Shape, Expr], ...]:
    if not expr.has(x):
        return ((_UNIT, expr),) if expr != 0 else ()
    if expr == x:
        return ((Shape(1, _ZERO, _ZERO), _ONE),)
    total: Sum = {}
    if expr.is_Add:
        for part in expr.args:
            for shape, a in split(part).items():
                add_to(total, shape, a)
        return tuple(total.items())
    if expr.is_Mul:
        return tuple(reduce(_times, map(split, expr.args)).items())
    base, exponent = expr.as_base_exp()
    if expr.is_Pow and exponent.is_Integer and exponent > 0:
        half = split(base ** (exponent // 2))
        squared = _times(half, half)
        return tuple((_times(squared, split(base)) if exponent % 2 else squared).items())
    if expr.is_Function and (found := _function(expr)) is not None:
        return tuple(found.items())
    if not expr.is_Pow:
        base, exponent = expr, _ONE
    return ((Shape(0, _ZERO, _ZERO, ((base, exponent),)), _ONE),)


def split(expr: Expr) -> Sum:
    """The terms of an expression in `x` that has no kinks.

    Parameters
    ----------
    expr : sympy.Expr
        Any expression; functions that aren't known become factors as they are.

    Returns
    -------
    dict of Shape to sympy.Expr
        Each shape with its coefficient.

    Examples
    --------
    >>> for shape, coefficient in split((1 + sympy.erf(x)) ** 2 * x).items():
    ...     print(coefficient, "*", shape.expr)
    1 * x
    2 * x*erf(x)
    1 * x*erf(x)**2
    """
    return dict(_split(expr))


def _mirrored(shape: Shape) -> Sum:
    """The shape of f(-x)."""
    plain = Shape(shape.power, shape.quadratic, -shape.linear)
    start: Sum = {plain: _ONE if shape.power % 2 == 0 else -_ONE}
    return reduce(_times, (split(base.subs(x, -x) ** e) for base, e in shape.factors), start)


Spans = dict[Shape, dict[tuple[Expr, Expr], Expr]]


def _put(spans: Spans, shape: Shape, lo: Expr, hi: Expr, coefficient: Expr) -> None:
    at: Sum = {}
    found = spans.setdefault(shape, {})
    add_to(at, shape, found.pop((lo, hi), _ZERO) + coefficient)
    if shape in at:
        found[lo, hi] = at[shape]


def _merged(spans: Spans) -> Spans:
    """Adjacent intervals with the same coefficient made one."""
    out: Spans = {}
    for shape, intervals in spans.items():
        left = dict(intervals)
        while left:
            (lo, hi), c = left.popitem()
            while near := [s for s, other in left.items() if other == c and lo == s[1]]:
                left.pop(near[0])
                lo = near[0][0]
            while near := [s for s, other in left.items() if other == c and hi == s[0]]:
                left.pop(near[0])
                hi = near[0][1]
            _put(out, shape, lo, hi, c)
    return out


def collect(parts: Iterable[Piece]) -> list[tuple[Expr, Term]]:
    """The terms of a piecewise expression, as few as possible.

    Equal terms on neighbouring pieces are joined, those left of 0 are mirrored to its right
    (N(0, K) is symmetric), and an even term on a half line is half of itself on the line.

    Parameters
    ----------
    parts : iterable of (lo, hi, sympy.Expr)
        As `pieces` gives them.

    Returns
    -------
    list of (coefficient, Term)

    Examples
    --------
    >>> for coefficient, term in collect([(-oo, 0, -x), (0, oo, x)]):
    ...     print(coefficient, "*", term.shape.expr, term.lo, term.hi)
    2 * x 0 oo
    """
    spans: Spans = {}
    for lo, hi, expr in parts:
        for shape, c in split(expr).items():
            _put(spans, shape, sympy.sympify(lo), sympy.sympify(hi), c)
    right: Spans = {}
    for shape, intervals in _merged(spans).items():
        for (lo, hi), c in intervals.items():
            if hi.is_nonpositive:
                for other, sign in _mirrored(shape).items():
                    _put(right, other, -hi, -lo, sign * c)
            else:
                _put(right, shape, lo, hi, c)
    final: Spans = {}
    for shape, intervals in _merged(right).items():
        for (lo, hi), c in intervals.items():
            if lo == 0 and hi == oo and shape.is_even():
                _put(final, shape, -oo, oo, c / 2)
            else:
                _put(final, shape, lo, hi, c)
    return [
        (c, Term(shape, lo, hi))
        for shape, intervals in final.items()
        for (lo, hi), c in intervals.items()
    ]
