"""Expansions at large K, from the limits of the activation and the moments of what is left."""

from __future__ import annotations

from functools import lru_cache

import sympy

from varprop.activation import Activation

from ..gaussian import NotClosed, Piece, derivative, exact, pieces, x
from ..quantity import Quantity
from .inner import Limits, elementary, in_sigmoid, sigmoid_moment
from .limits import NoLimit, limits, numeric_moments
from .local import absolute_moment, sides
from .record import Expansion, Monomial
from .small import even_part, quadratic_rate

__all__ = ["inner_moments", "large"]

_AFTER = 3
_DIGITS = 30


def _pieces(act: Activation, quantity: Quantity) -> list[Piece]:
    formula = exact(act.sympy())
    parts = derivative(formula) if quantity.of_derivative else list(pieces(formula))
    return [(lo, hi, e**quantity.power) for lo, hi, e in parts]


@lru_cache(maxsize=256)
def inner_moments(
    act: Activation, quantity: Quantity, count: int
) -> tuple[Limits, tuple[sympy.Expr, ...]]:
    """The limits of f = phi^power (or phi'^power), and int (f - limits) x^(2j) dx for j < count.

    Exact where the rules of `inner` reach, else Floats of 30 digits.

    Raises
    ------
    NoLimit
        If f doesn't come exponentially close to polynomials.
    ValueError, NotClosed
        If there is no formula, or it can't be split into pieces.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> inner_moments(Activation.parse("tanh"), QUANTITIES["gradient"], 2)
    ((0, 0), (4/3, -2/3 + pi**2/9))
    """
    parts = _pieces(act, quantity)
    if len(parts) == 1 and (found := _by_sigmoid(parts[0][2], count)) is not None:
        return found
    ends = limits(act, quantity)
    moments = []
    for j in range(count):
        moment = elementary(parts, ends, 2 * j)
        if moment is None:
            return ends, tuple(numeric_moments(act, quantity, ends, count))
        moments.append(moment)
    return ends, tuple(moments)


def _by_sigmoid(expr: sympy.Expr, count: int) -> tuple[Limits, tuple[sympy.Expr, ...]] | None:
    found = in_sigmoid(expr)
    if found is None:
        return None
    polynomial, rate = found
    step = next(iter(polynomial.free_symbols - {x}), sympy.Dummy())
    ends = tuple(sympy.expand(polynomial.subs(step, end)) for end in (0, 1))
    moments = tuple(sigmoid_moment(polynomial, rate, 2 * j) for j in range(count))
    return (ends[0], ends[1]), moments


def _leading(ends: Limits) -> tuple[Monomial, ...]:
    """E of the limits: the one on x < 0, the other on x > 0."""
    left = ends[0].xreplace({x: -x})
    half = sympy.Poly((left + ends[1]) / 2, x)
    return tuple(
        (sympy.Rational(j, 2), sympy.expand(c * absolute_moment(j)))
        for (j,), c in half.terms()
        if c != 0
    )


def _status(act: Activation, quantity: Quantity) -> tuple[str, str, float | None]:
    """What the series in 1/K is worth: it depends on how fast f comes to its limits."""
    parts = _pieces(act, quantity)
    if all(e.is_polynomial(x) for _, _, e in parts):
        return "convergent", "polynomial outside of a finite interval", 0.0
    waves = [w for _, _, e in parts for w in e.atoms(sympy.exp, sympy.erf, sympy.erfc)]
    if all(quadratic_rate(e) is not None for _, _, e in parts):
        rates = [quadratic_rate(w) for w in waves]
        slowest = sympy.Min(*rates)
        if slowest > 0:
            radius = 1 / (2 * slowest)
            why = f"the limits are approached like a Gaussian; it converges for K > {radius}"
            return "convergent", why, float(radius)
    return "asymptotic", "the limits are approached like an exponential", None


def large(act: Activation, quantity: Quantity, order: int) -> Expansion:
    """The expansion of an expectation at large K; see `Map.large`.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> print(large(Activation.parse("arctan"), QUANTITIES["variance"], 2))
    none, because it comes to its limit at infinity only like a power of x, or never
    """
    try:
        ends, moments = inner_moments(act, quantity, order + 1 + _AFTER)
    except NoLimit as error:
        return Expansion("none", str(error), "infinity")
    except (ValueError, NotClosed) as error:
        return Expansion("none", str(error), "infinity")
    leading = _leading(ends)
    if all(m.is_zero for m in moments) and even_part(sides(act, quantity, 2), quantity.power):
        why = "what is even in x is a polynomial on either side of 0"
        return Expansion("exact", why, "infinity", leading=leading)
    status, because, radius = _status(act, quantity)
    terms = []
    for j, m in enumerate(moments):
        c = (-1) ** j * m / (sympy.Integer(2) ** j * sympy.factorial(j) * sympy.sqrt(2 * sympy.pi))
        if not c.is_zero:
            plain = sympy.expand(c) if m.is_Float is not True else sympy.N(c, _DIGITS)
            terms.append((-sympy.Rational(2 * j + 1, 2), plain))
    kept = sum(bool(-p < order + 1) for p, _ in terms)
    return Expansion(status, because, "infinity", radius, leading, tuple(terms), kept)
