"""Numbers to 30 digits and more, for whatever a derivation writes down: the witness of `proof`.

Integrals, expectations, infinite sums and zeros are computed by mpmath with digits to spare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import mpmath
import sympy
from sympy import Expr, Integral, Sum, oo

from . import gaussian
from .integration import integrated, split
from .notation import InfiniteSum, NormalDensity, NormalMean, PairMean, Root

__all__ = ["NUMERIC", "NotEvaluated", "number", "unfolded"]

_DIGITS = 44
_REACH = 20  # standard deviations: the rest is below exp(-200)
_PAIR_REACH = 13  # where both are normal: the rest is below exp(-84)
_MARKS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)
NUMERIC = (Integral, InfiniteSum, NormalMean, PairMean, Root)

Number = Any  # an mpmath number


class NotEvaluated(ValueError):
    """An expression without a number, or with one that isn't sure to 30 digits."""


def unfolded(expr: Expr) -> Expr:
    """Everything worked out but integrals, expectations, infinite sums and zeros.

    Examples
    --------
    >>> k = sympy.Symbol("k", positive=True)
    >>> unfolded(sympy.Subs(Sum(k**2, (k, 1, 3)) * k, k, 2))
    28
    """
    expr = expr.replace(NormalDensity, lambda at, variance: gaussian.density(at, variance))
    endless = {
        node: InfiniteSum(node.function, *node.limits[0][:2])
        for node in expr.atoms(Sum)
        if len(node.limits) == 1 and node.limits[0][2] == oo
    }
    return expr.xreplace(endless).doit(integrals=False)


def number(expr: Expr) -> Expr:
    """The value of an expression without free symbols, to some 45 digits.

    Parameters
    ----------
    expr : sympy.Expr
        Integrals, infinite sums, `NormalMean`, `PairMean` and `Root` are welcome.

    Raises
    ------
    NotEvaluated
        If no such number is found.

    Examples
    --------
    >>> from varprop.theory.gaussian import x
    >>> half = number(NormalMean(1 / (1 + sympy.exp(-x)), x, 3))
    >>> abs(half - sympy.Rational(1, 2)) < 1e-40
    True
    """
    value = _filled(unfolded(expr)).evalf(_DIGITS + 12)
    if not value.is_number or value.has(sympy.nan, sympy.zoo):
        raise NotEvaluated(f"{expr} has no value")
    return value


def _filled(expr: Expr) -> Expr:
    """The outermost integrals, sums, ... replaced by their values."""
    if isinstance(expr, NUMERIC):
        return _value(expr)
    if not expr.has(*NUMERIC):
        return expr
    return expr.func(*map(_filled, expr.args))


@lru_cache(maxsize=4096)
def _value(node: Expr) -> Expr:
    with mpmath.workdps(_DIGITS):
        return sympy.Float(mpmath.nstr(_VALUES[type(node)](node), _DIGITS), _DIGITS)


def _mpf(expr: Expr) -> Number:
    if expr in (oo, -oo):
        return mpmath.inf if expr == oo else -mpmath.inf
    return mpmath.mpmathify(number(expr)._to_mpmath(mpmath.mp.prec))


def _function(expr: Expr, *symbols: Expr) -> Callable[..., Number]:
    """An mpmath function of the symbols, also where the expression is itself an integral."""
    if not expr.has(*NUMERIC):
        function: Callable[..., Number] = sympy.lambdify(symbols, expr, "mpmath", cse=True)
        return function

    def slow(*at: Number) -> Number:
        values = (sympy.Float(mpmath.nstr(t, _DIGITS), _DIGITS) for t in at)
        return _mpf(expr.xreplace(dict(zip(symbols, values, strict=True))))

    return slow


def _quad(f: Callable[[Number], Number], marks: Sequence[Number]) -> Number:
    """An integral with an error estimate that is small, or NotEvaluated."""
    value, error = mpmath.quad(f, marks, error=True, maxdegree=10)
    if not (mpmath.isfinite(value) and error <= mpmath.mpf(10) ** -36 * max(1, abs(value))):
        raise NotEvaluated("an integral does not converge to 30 digits")
    return value


def _integral(node: Expr) -> Number:
    """Any definite integral, the last limit outermost, split at kinks and a few points."""
    *inner, (variable, lo, hi) = node.limits
    body = Integral(node.function, *inner) if inner else node.function
    total = mpmath.mpf(0)
    for a, b, part in split(body, variable, lo, hi) if not inner else ((lo, hi, body),):
        ends = (_mpf(a), _mpf(b))
        marks = [ends[0], *(m for m in map(mpmath.mpf, _MARKS) if ends[0] < m < ends[1]), ends[1]]
        total += _quad(_function(part, variable), marks)
    return total


def _normal_mean(node: Expr) -> Number:
    """In units of the standard deviation, piece by piece between kinks."""
    expr, variable, variance = node.args
    if not (size := _mpf(variance)) > 0:
        raise NotEvaluated(f"{node}: a variance must be above 0")
    scale, total = mpmath.sqrt(size), mpmath.mpf(0)
    for lo, hi, part in split(expr, variable, -oo, oo):
        f = _function(part, variable)
        ends = [max(-_REACH, min(_REACH, _mpf(end) / scale)) for end in (lo, hi)]
        if ends[0] < ends[1] and part != 0:
            marks = [ends[0], *([mpmath.mpf(0)] if ends[0] < 0 < ends[1] else []), ends[1]]
            weighted = _weighted(f, scale)
            value = _quad(weighted, marks)
            _check_tails([weighted(end) for end in ends if abs(end) == _REACH], value)
            total += value
    return total / mpmath.sqrt(2 * mpmath.pi)


def _check_tails(cut: list[Number], value: Number) -> None:
    """What is cut off must not matter: it does where the expectation diverges."""
    if any(
        abs(tail) > mpmath.mpf(10) ** -36 * max(abs(value), mpmath.mpf(10) ** -36) for tail in cut
    ):
        raise NotEvaluated("an expectation diverges, or has its weight too far out")


def _weighted(f: Callable[..., Number], scale: Number) -> Callable[[Number], Number]:
    return lambda z: f(scale * z) * mpmath.exp(-z * z / 2)


def _pair_mean(node: Expr) -> Number:
    """By an inner expectation that SymPy knows, else by the trapezoidal rule in two dimensions."""
    expr, (u, v), (a, b, k) = node.args
    outer, inner = expr.as_independent(v, as_Add=False)
    mean, spread, w = k * u / a, b - k**2 / a, sympy.Dummy("w", real=True)
    shifted = split(inner, v, -oo, oo)
    total = sympy.Integer(0)
    for lo, hi, part in shifted:
        density = gaussian.density(w, spread)
        done = integrated(sympy.expand(part.subs(v, mean + w)) * density, w, lo - mean, hi - mean)
        if done is None:
            return _smooth_pair_mean(node)
        total += done
    return _normal_mean(NormalMean(outer * total, u, a))


def _smooth_pair_mean(node: Expr) -> Number:
    """The trapezoidal rule: its error falls exponentially where there are no kinks."""
    expr, (u, v), (a, b, k) = node.args
    terms = [sympy.separatevars(t, [u, v], dict=True) for t in sympy.Add.make_args(expr)]
    if None in terms:
        raise NotEvaluated(f"{node} is not a sum of products f(u) g(v)")
    factors = [(_function(t["coeff"] * t[u], u), _function(t[v], v)) for t in terms]
    scale = [mpmath.sqrt(_mpf(variance)) for variance in (a, b)]
    rho = _mpf(k) / (scale[0] * scale[1])
    width = mpmath.sqrt(1 - rho**2)

    def sheet(step: Number) -> Number:
        """Density exp(-(y^2 + z^2 - 2 rho y z)/(2 (1 - rho^2))) on a grid of rows."""
        half = int(_PAIR_REACH / step)
        grid = [j * step for j in range(-half, half + 1)]
        bell = [mpmath.exp(-((y / width) ** 2) / 2) for y in grid]
        total = mpmath.mpf(0)
        for f, g in factors:
            column = [g(scale[1] * z) * p for z, p in zip(grid, bell, strict=True)]
            if max(abs(column[0]), abs(column[-1])) > mpmath.mpf(10) ** -33 * max(map(abs, column)):
                raise NotEvaluated("an expectation over a pair has its weight too far out")
            for y, p in zip(grid, bell, strict=True):
                ratio = mpmath.exp(rho * y * step / width**2)
                row = mpmath.polyval(column[::-1], ratio) * ratio**-half
                total += f(scale[0] * y) * p * row
        return total * step**2 / (2 * mpmath.pi * width)

    steps = [width / 2 ** (j + 2) for j in range(5)]
    last = sheet(steps[0])
    for step in steps[1:]:
        value = sheet(step)
        if abs(value - last) <= mpmath.mpf(10) ** -17 * abs(value):
            return value  # halving the step about squares the error
        last = value
    raise NotEvaluated(f"{node} does not converge to 30 digits")


def _infinite_sum(node: Expr) -> Number:
    expr, index, start = node.args
    return mpmath.nsum(_function(expr, index), [_mpf(start), mpmath.inf])


def _root(node: Expr) -> Number:
    """The one change of sign between the ends, then the secant method."""
    expr, unknown, (lo, hi) = node.args
    f = _function(expr, unknown)
    ends = [_mpf(lo), _mpf(hi)]
    if mpmath.isinf(ends[0]):
        raise NotEvaluated(f"{node}: the interval must begin at a finite point")
    if mpmath.isinf(ends[1]):
        grid = [ends[0] + mpmath.mpf(2) ** j for j in range(-30, 31)]
    else:
        grid = [ends[0] + (ends[1] - ends[0]) * mpmath.mpf(j) / 64 for j in range(1, 64)]
    values = [f(t) for t in grid]
    found = [
        (s, t)
        for (s, fs), (t, ft) in pairwise(zip(grid, values, strict=True))
        if fs * ft <= 0 and ft != 0
    ]
    if len(found) != 1:
        raise NotEvaluated(f"{node}: {len(found)} changes of sign between the ends, not one")
    return mpmath.findroot(lambda t: f(t), found[0], solver="anderson", tol=mpmath.mpf(10) ** -80)


_VALUES: dict[type[Expr], Callable[[Any], Number]] = {
    Integral: _integral,
    InfiniteSum: _infinite_sum,
    NormalMean: _normal_mean,
    PairMean: _pair_mean,
    Root: _root,
}
