"""How an equation is checked: by proof, or by 30 digits at random points.

Proofs use SymPy's own integration, summation and simplification, not the rules of `gaussian`,
which an equation may be about. `Mean` and `NormalDensity` are the notation of the derivations.
"""

from __future__ import annotations

import random
from typing import Any

import mpmath
import sympy
from sympy import Expr

from . import gaussian

__all__ = ["Mean", "NormalDensity", "compare_sides"]

_DIGITS = 30
_POINTS = 5
_SWITCHES = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)


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


def _elementary(expr: Expr, variable: Expr) -> bool:
    """Whether SymPy integrates this quickly: polynomials times exp, sin, cos and erf."""
    known = (sympy.exp, sympy.sin, sympy.cos, sympy.erf, *_SWITCHES)
    functions = [f for f in expr.atoms(sympy.Function) if f.has(variable)]
    powers = [p for p in expr.atoms(sympy.Pow) if p.has(variable) and p.base != sympy.E]
    return all(isinstance(f, known) for f in functions) and all(
        p.exp.is_integer and p.exp.is_positive for p in powers
    )


def _integrals_done(expr: Expr) -> Expr:
    """Do the integrals that SymPy does quickly, splitting each integrand where it switches."""
    expr = expr.replace(NormalDensity, lambda at, variance: gaussian.density(at, variance))
    found = {}
    for integral in expr.atoms(sympy.Integral):
        (variable, lo, hi) = integral.limits[0]
        if not _elementary(integral.function, variable):
            continue
        if variable == gaussian.x and integral.function.has(*_SWITCHES):
            parts = gaussian.pieces(integral.function, lo, hi)
        else:
            parts = iter([(lo, hi, integral.function)])
        found[integral] = sympy.Add(
            *(sympy.integrate(part, (variable, a, b), conds="none") for a, b, part in parts)
        )
    return expr.xreplace(found)


def _settled(expr: Expr) -> Expr:
    done = _integrals_done(sympy.sympify(expr))
    return done if done.has(sympy.Integral) else done.doit()


def _integral_value(integral: Expr) -> Expr:
    """A definite integral without parameters, by mpmath at 50 digits, split at a few points."""
    (variable, lo, hi) = integral.limits[0]
    f = sympy.lambdify(variable, integral.function, "mpmath")
    with mpmath.workdps(50):
        ends = [sympy.lambdify([], end, "mpmath")() for end in (lo, hi)]
        inner = [mpmath.mpf(mark) for mark in (-8, -4, -2, -1, 0, 1, 2, 4, 8)]
        marks = [ends[0], *(mark for mark in inner if ends[0] < mark < ends[1]), ends[1]]
        value = mpmath.quad(f, marks)
        return sympy.Float(mpmath.nstr(value, 50), 50)


def _evaluated(expr: Expr, point: dict[Expr, Expr], chance: random.Random) -> Expr:
    """A number to 60 digits. Indexed quantities get random values too, added to the point."""
    expr = expr.subs(point)
    if not expr.has(sympy.Integral):
        expr = expr.doit()
    for unknown in sorted(expr.atoms(sympy.Indexed), key=str):
        point.setdefault(unknown, _random_value(unknown, chance))
    expr = expr.subs(point)
    done = {integral: _integral_value(integral) for integral in expr.atoms(sympy.Integral)}
    return expr.xreplace(done).evalf(2 * _DIGITS)


def _is_zero(expr: Expr) -> bool:
    """Whether SymPy proves that an expression vanishes (piece by piece where it has kinks)."""
    if expr.has(sympy.Integral):
        return False
    if expr.has(gaussian.x) and expr.has(*_SWITCHES):
        return all(_is_zero(part) for _, _, part in gaussian.pieces(expr))
    return bool(sympy.simplify(expr) == 0)


def _random_value(symbol: Expr, chance: random.Random) -> Expr:
    if symbol.is_integer:
        return sympy.Integer(chance.randint(1, 12))
    size = sympy.Rational(chance.randint(1, 400), chance.randint(50, 150))
    return size if symbol.is_positive or chance.random() < 0.5 else -size


def compare_sides(left: Expr, right: Expr) -> str | tuple[dict[Expr, Expr], Expr, Expr]:
    """Prove that two sides are equal, or compare them at random points.

    Parameters
    ----------
    left, right : sympy.Expr
        The two sides.

    Returns
    -------
    str or (point, left value, right value)
        "proved", or "confirmed to 30 digits at 5 random points"; a point where the sides differ,
        or can't be evaluated, if there is one.

    Examples
    --------
    >>> compare_sides(sympy.sin(gaussian.x) ** 2 + sympy.cos(gaussian.x) ** 2, sympy.Integer(1))
    'proved'
    """
    left, right = _settled(left), _settled(right)
    if _is_zero(left - right):
        return "proved"
    chance = random.Random(20150206)  # the same points every time
    free = left.free_symbols | right.free_symbols
    labels = {base.label for side in (left, right) for base in side.atoms(sympy.IndexedBase)}
    symbols = sorted((s for s in free - labels if s.is_Symbol), key=str)
    points = _POINTS if symbols else 1
    for _ in range(points):
        point: dict[Expr, Expr] = {s: _random_value(s, chance) for s in symbols}
        a, b = (_evaluated(side, point, chance) for side in (left, right))
        equal = a.is_number and b.is_number and _agree(a, b)
        if not equal:
            return point, a, b
    where = f"{points} random points" if symbols else "the one point there is"
    return f"confirmed to {_DIGITS} digits at {where}"


def _agree(a: Expr, b: Expr) -> bool:
    return bool(abs(a - b) <= sympy.Float(10) ** -_DIGITS * max(abs(a), abs(b)))
