"""The expectations of an activation that everything else is made of.

`moment` asks the quadrature in float64. Where digits cancel (the mean of mish at K = 1e-8) or
many waves do (sin at K = 1e8), it asks a closed form or 40-digit quadrature of the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from .gaussian import K, NotClosed, Piece, derivative, gaussian_expectation, pieces, x
from .quadrature import Expectation, expectation

__all__ = ["QUANTITIES", "Quantity", "jumps", "moment", "quantity_pieces"]

Array = NDArray[np.float64]

_GOOD = 5e-13  # relative bound at which float64 is good enough
_DIGITS = 40
_EPS = float(np.finfo(float).eps)
_TINY = 5e-324


@dataclass(frozen=True)
class Quantity:
    """One of the expectations: E phi(x)^power, or E phi'(x)^power.

    Examples
    --------
    >>> QUANTITIES["fourth"].power
    4
    """

    name: str
    power: int
    of_derivative: bool = False

    def integrand(self, act: Activation) -> Callable[[Array], Array]:
        """The vectorised function whose expectation is taken."""
        base = act.derivative if self.of_derivative else act
        if self.power == 1:
            return lambda at: np.asarray(base(at), dtype=float)
        if self.power == 2:
            return lambda at: np.square(base(at))
        return lambda at: np.square(np.square(base(at)))


QUANTITIES = {
    q.name: q
    for q in (
        Quantity("variance", 2),
        Quantity("gradient", 2, of_derivative=True),
        Quantity("mean", 1),
        Quantity("fourth", 4),
    )
}


def jumps(act: Activation) -> tuple[float, ...]:
    """The kinks at which the activation itself jumps, so that its slope is infinite.

    Examples
    --------
    >>> jumps(Activation.parse("sign")), jumps(Activation.parse("relu"))
    ((0.0,), ())
    """
    found = []
    for kink in act.kinks:
        step = 1e-7 * max(1.0, abs(kink))
        near = np.asarray(act(kink + step * np.array([-1.0, -0.5, 0.5, 1.0])))
        # A slope makes the inner gap as wide as the two outer ones together; a jump far wider.
        inner = abs(near[2] - near[1])
        outer = abs(near[1] - near[0]) + abs(near[3] - near[2])
        if inner > 1e-6 * max(1.0, float(np.abs(near).max())) and inner > 10 * outer:
            found.append(float(kink))
    return tuple(found)


def quantity_pieces(act: Activation, quantity: Quantity) -> list[Piece]:
    """The integrand as symbolic pieces, its numbers exactly those of the float64 twin.

    Raises
    ------
    ValueError
        If the activation has no formula, or its derivative is singular.
    NotClosed
        If the formula can't be split into pieces.

    Examples
    --------
    >>> quantity_pieces(Activation.parse("relu"), QUANTITIES["variance"])
    [(-oo, 0, 0), (0, oo, x**2)]
    """
    formula = act.sympy()
    formula = formula.xreplace({f: sympy.Rational(float(f)) for f in formula.atoms(sympy.Float)})
    parts = derivative(formula) if quantity.of_derivative else list(pieces(formula))
    return [(lo, hi, expr**quantity.power) for lo, hi, expr in parts]


@lru_cache(maxsize=512)
def _precise(act: Activation, name: str) -> Callable[[float], tuple[Any, Any]] | None:
    """K -> (value, error) to 20 digits or more, or None if there is no formula to work with."""
    try:
        parts = quantity_pieces(act, QUANTITIES[name])
    except (ValueError, NotClosed):
        return None
    try:
        closed = sympy.lambdify(K, gaussian_expectation(parts), "mpmath")
    except NotClosed:
        functions = [(lo, hi, sympy.lambdify(x, expr, "mpmath")) for lo, hi, expr in parts]
        return lambda variance: _integrate(functions, variance)

    def by_closed_form(variance: float) -> tuple[Any, Any]:
        with mpmath.workdps(60):
            first = mpmath.mpf(closed(mpmath.mpf(variance)))
        with mpmath.workdps(160):
            second = mpmath.mpf(closed(mpmath.mpf(variance)))
            return second, abs(first - second)

    return by_closed_form


def _integrate(functions: list[tuple[Any, Any, Any]], variance: float) -> tuple[Any, Any]:
    with mpmath.workdps(_DIGITS):
        s = mpmath.sqrt(mpmath.mpf(variance))
        total, error, reach = mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(14)
        # mpmath's accuracy is absolute, so the integrand is brought to a size of about 1 first.
        size = max(abs(f(side * s)) for side, (_, _, f) in ((-1, functions[0]), (1, functions[-1])))
        size = size or mpmath.mpf(1)
        ladder = [mpmath.mpf(2) ** j / s for j in range(-1, 64) if mpmath.mpf(2) ** j < reach * s]
        marks = {mpmath.mpf(0), reach / 2, -reach / 2, *ladder, *(-m for m in ladder)}
        for lo, hi, function in functions:
            a = -reach if lo == -sympy.oo else max(-reach, mpmath.mpf(lo) / s)
            b = reach if hi == sympy.oo else min(reach, mpmath.mpf(hi) / s)
            if a >= b:
                continue
            points = [a, *sorted(m for m in marks if a < m < b), b]
            part, slack = mpmath.quad(
                lambda z, f=function: f(s * z) / size * mpmath.npdf(z), points, error=True
            )
            total, error = total + part, error + slack
        return total * size, error * size


def _sharpen(
    act: Activation, name: str, variances: Array, found: Expectation
) -> tuple[Array, Array]:
    """Values and bounds, with those replaced that float64 could not settle."""
    value, bound = np.ravel(found.value), np.ravel(found.bound)
    for i in np.flatnonzero(bound > _GOOD * np.abs(value)):
        precise = _precise(act, name)
        if precise is None:
            break
        exact, error = precise(float(variances[i]))
        better = float(error) + _EPS * abs(float(exact)) + (_TINY if exact else 0.0)
        if better < bound[i]:
            value[i], bound[i] = float(exact), better
    return value, bound


def moment(act: Activation, quantity: str, variance: ArrayLike) -> Expectation:
    """One of the expectations of an activation over x ~ N(0, K), with an error bound.

    Parameters
    ----------
    act : Activation
        The activation phi.
    quantity : {"variance", "gradient", "mean", "fourth"}
        E phi^2, E phi'^2, E phi or E phi^4.
    variance : array_like
        The variances K, finite and > 0.

    Returns
    -------
    Expectation
        Value and bound; the mean of an odd activation is exactly 0.

    Raises
    ------
    ValueError
        If the quantity is unknown, the gradient is singular or the expectation diverges.

    Examples
    --------
    >>> e = moment(Activation.parse("mish"), "mean", 1e-8)
    >>> bool(abs(e.value - 3.2e-9) < 1e-16) and bool(e.relative_bound < 1e-12)
    True
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"unknown quantity {quantity!r}; allowed are {', '.join(QUANTITIES)}")
    asked = QUANTITIES[quantity]
    if asked.of_derivative and (where := jumps(act)):
        raise ValueError(
            f"the derivative of {act} is singular: it jumps at x = {where[0]:g}, so "
            "E phi'^2 is infinite; gradient maps need an activation without jumps"
        )
    k = np.asarray(variance, dtype=float)
    if asked.power == 1 and act.parity == "odd":
        zero = expectation(np.zeros_like, k)
        return Expectation(zero.value, zero.value)
    scale = min(1.0, 1.0 / act.max_slope) if 0 < act.max_slope < np.inf else 1.0
    found = expectation(asked.integrand(act), k, kinks=act.kinks, scale=scale)
    value, bound = _sharpen(act, quantity, k.ravel(), found)
    if k.ndim == 0:
        return Expectation(float(value[0]), float(bound[0]))
    return Expectation(value.reshape(k.shape), bound.reshape(k.shape))
