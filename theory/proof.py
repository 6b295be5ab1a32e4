"""How an equation is checked: by proof, or by 30 digits at random points.

Proofs use SymPy's own integration, summation and simplification, not the rules of `gaussian`,
which an equation may be about. What SymPy can't prove is computed on both sides (`evaluation`).
"""

from __future__ import annotations

import random
from functools import lru_cache

import sympy
from sympy import Expr
from sympy.functions.elementary.hyperbolic import HyperbolicFunction

from . import gaussian
from .evaluation import NUMERIC, NotEvaluated, number, unfolded
from .integration import SWITCHES, integrated
from .notation import Mean, NormalDensity, NormalMean, PairMean, Root, Rounded

__all__ = ["Mean", "NormalDensity", "Range", "compare_sides"]

_DIGITS = 30
# Random points: for closed expressions, for integrals and sums, and for pairs.
_POINTS, _SOME_POINTS, _FEW_POINTS = 5, 3, 2

Range = tuple[Expr, Expr, Expr]
Outcome = str | tuple[dict[Expr, Expr], Expr | None, Expr | None]


def _proved_value(node: Expr) -> Expr:
    """What SymPy makes of an integral, an expectation or a zero; itself if nothing."""
    if isinstance(node, sympy.Integral):
        if len(node.limits) != 1 or len(node.limits[0]) != 3:
            return node
        done = integrated(node.function, *node.limits[0])
    elif isinstance(node, NormalMean):
        expr, at, variance = node.args
        done = integrated(expr * gaussian.density(at, variance), at, -sympy.oo, sympy.oo)
    elif isinstance(node, (PairMean, Root)):
        done = node.doit()
    else:
        done = None
    return node if done is None else done


@lru_cache(maxsize=4096)
def _settled(expr: Expr) -> Expr:
    """Everything that SymPy does quickly, done."""
    expr = sympy.sympify(expr)
    expr = expr.xreplace({node: node.doit() for node in expr.atoms(Rounded)})
    expr = unfolded(_inner_done(expr))
    expr = _inner_done(expr)
    return expr if expr.has(*NUMERIC) else expr.doit()


def _inner_done(expr: Expr) -> Expr:
    """The integrals done that contain no other."""
    expr = expr.replace(NormalDensity, lambda at, variance: gaussian.density(at, variance))
    inner = [node for node in expr.atoms(*NUMERIC) if not _within(node)]
    return expr.xreplace({node: _proved_value(node) for node in inner})


def _within(node: Expr) -> bool:
    return any(part.has(*NUMERIC) for part in node.args)


def _is_zero(expr: Expr) -> bool:
    """Whether SymPy proves that an expression vanishes (piece by piece where it has kinks)."""
    if expr.has(gaussian.x) and expr.has(*SWITCHES) and not expr.has(*NUMERIC):
        return all(_is_zero(part) for _, _, part in gaussian.pieces(expr))
    expr = expr.xreplace({node: sympy.Dummy() for node in _outermost(expr)})  # left as they are
    if sympy.simplify(expr) == 0:
        return True
    waves = expr.has(HyperbolicFunction)
    return bool(waves and sympy.simplify(expr.rewrite(sympy.exp)) == 0)


def _outermost(expr: Expr) -> set[Expr]:
    """The integrals, expectations, ... that are within no other."""
    if isinstance(expr, NUMERIC):
        return {expr}
    return set().union(*map(_outermost, expr.args)) if expr.has(*NUMERIC) else set()


def _random_value(symbol: Expr, chance: random.Random) -> Expr:
    if symbol.is_integer:
        return sympy.Integer(chance.randint(1, 12))
    size = sympy.Rational(chance.randint(1, 400), chance.randint(50, 150))
    return size if symbol.is_positive or chance.random() < 0.5 else -size


def _point(
    symbols: list[Expr], ranges: tuple[Range, ...], chance: random.Random
) -> dict[Expr, Expr]:
    """Values for the symbols; those with a range last, for it may depend on the others."""
    limited = {symbol for symbol, _, _ in ranges}
    point = {s: _random_value(s, chance) for s in symbols if s not in limited}
    for symbol, lo, hi in ranges:
        low, high = (sympy.sympify(end).subs(point) for end in (lo, hi))
        share = sympy.Rational(chance.randint(1, 99), 100)
        point[symbol] = low + (high - low) * share
    return point


def _values(
    sides: tuple[Expr, Expr], point: dict[Expr, Expr], chance: random.Random
) -> tuple[Expr | None, Expr | None]:
    """Both sides as numbers, None where there is none. Indexed quantities get random values."""
    placed = [unfolded(side.subs(point)) for side in sides]
    for unknown in sorted(set().union(*(p.atoms(sympy.Indexed) for p in placed)), key=str):
        point.setdefault(unknown, _random_value(unknown, chance))

    def value(expr: Expr) -> Expr | None:
        try:
            return number(expr.subs(point))
        except (NotEvaluated, ArithmeticError, TypeError, NotImplementedError):
            return None  # also where mpmath divides by 0, or compares complex numbers

    return value(placed[0]), value(placed[1])


def _how_many(expr: Expr) -> int:
    if expr.has(PairMean):
        return _FEW_POINTS
    return _SOME_POINTS if expr.has(*NUMERIC) else _POINTS


def _agree(a: Expr | None, b: Expr | None, rounded: Rounded | None) -> bool:
    if a is None or b is None:
        return False
    if rounded is not None:
        return bool(abs(a - b) <= rounded.half_unit())
    size = max(abs(a), abs(b))
    return bool(abs(a - b) <= sympy.Float(10) ** -_DIGITS * size) or bool(size < 1e-38)


@lru_cache(maxsize=4096)
def compare_sides(left: Expr, right: Expr, ranges: tuple[Range, ...] = ()) -> Outcome:
    """Prove that two sides are equal, or compare them at random points.

    Parameters
    ----------
    left, right : sympy.Expr
        The two sides. A `Rounded` right side is compared to the digits it shows.
    ranges : tuple of (symbol, lo, hi)
        Where a symbol's random values lie, if not anywhere its assumptions allow; the ends may
        contain symbols that come earlier.

    Returns
    -------
    str or (point, left value, right value)
        "proved", or "confirmed to ..." and how; a point where the sides differ, or can't be
        evaluated (then a value is None), if there is one.

    Examples
    --------
    >>> compare_sides(sympy.sin(gaussian.x) ** 2 + sympy.cos(gaussian.x) ** 2, sympy.Integer(1))
    'proved'
    """
    rounded = right if isinstance(right, Rounded) else None
    if rounded is None:
        left, right = _settled(left), _settled(right)
    free = left.free_symbols | right.free_symbols
    labels = {base.label for side in (left, right) for base in side.atoms(sympy.IndexedBase)}
    limited = {symbol for symbol, _, _ in ranges}
    symbols = sorted((s for s in free - labels if s.is_Symbol), key=str)
    ranges = tuple(r for r in ranges if r[0] in free) if limited else ()
    chance = random.Random(20150206)  # the same points every time
    points = _how_many(left - right) if symbols else 1
    for trial in range(points):
        point = _point(symbols, ranges, chance)
        a, b = _values((left, right), point, chance)
        if a is not None and b is not None and not _agree(a, b, rounded):
            return point, a, b  # a wrong equation is found before a proof is tried
        if trial == 0 and rounded is None and _is_zero(left - right):
            return "proved"
        if not _agree(a, b, rounded):
            return point, a, b
    if rounded is not None:
        return "confirmed to the digits shown"
    where = f"{points} random points" if symbols else "the one point there is"
    return f"confirmed to {_DIGITS} digits at {where}"
