"""Expectations at small and large K by their expansions, in float64 with error bounds.

Where digits cancel in an integral (the mean of GELU at K = 1e-8, the curvature of softplus at
K = 1e6), they don't here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray

from varprop.activation import Activation

from ..gaussian import NotClosed, x
from ..quadrature import Expectation
from ..quantity import Quantity
from .large import inner_moments
from .local import absolute_moment, sides
from .record import truncated
from .taylor import NUMERIC

__all__ = ["large_variance", "small_variance"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
_LENGTH = 28
_DIGITS = 40
_NEAR = 0.5  # sqrt(K) over the length on which the activation bends: beyond, the series is not used
_CLEAR = 40.0  # standard deviations to the next kink: exp(-40^2/2) is nothing
_INNER = 14  # moments of what the limits at infinity leave


@dataclass(frozen=True)
class _Numbers:
    """Coefficients of (sqrt(K)/length)^power, those that are not 0."""

    powers: NDArray[np.int64]
    coefficients: Array
    length: float
    nearest: float
    polynomial: bool


@lru_cache(maxsize=512)
def _numbers(act: Activation, quantity: Quantity) -> _Numbers | None:
    """The series of a quantity at small K, or None if the activation has none."""
    with mpmath.workdps(_DIGITS):
        try:
            near = sides(act, quantity, _LENGTH, NUMERIC)
        except (ValueError, NotClosed):
            return None
        mean = [(r + (left)) / 2 for r, left in zip(near.right, near.left, strict=True)]
        roots = [mpmath.root(abs(c), j) for j, c in enumerate(mean) if j and c]
        length = 1 / max(roots, default=mpmath.mpf(1))
        rows = []
        for j, c in enumerate(mean):
            factor = quantity.falling(mpmath.mpf(j) / 2) * NUMERIC.number(absolute_moment(j))
            if c * factor:
                rows.append((j, float(c * factor * length**j)))
    if not (all(math.isfinite(c) for _, c in rows) and 0 < float(length) < math.inf):
        return None
    return _Numbers(
        np.array([j for j, _ in rows], dtype=np.int64),
        np.array([c for _, c in rows]),
        float(length),
        near.nearest,
        near.polynomial,
    )


def small_variance(act: Activation, quantity: Quantity, variances: Array) -> Expectation:
    """A quantity by its series at small K; the bound is inf where the series doesn't serve.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> act = Activation.parse("gelu")
    >>> found = small_variance(act, QUANTITIES["mean"], np.array([1e-8, 1.0]))
    >>> float(found.value[0].round(17)), (found.bound < 1e-22).tolist()
    (3.98942278e-09, [True, False])
    """
    value, bound = np.zeros_like(variances), np.full_like(variances, np.inf)
    numbers = _numbers(act, quantity)
    if numbers is None:
        return Expectation(value, bound)
    s = np.sqrt(variances)
    some = (s * _CLEAR <= numbers.nearest) & (s <= _NEAR * numbers.length)
    if some.any():
        terms = (
            numbers.coefficients[:, None] * (s[some] / numbers.length) ** (numbers.powers[:, None])
        )
        if numbers.polynomial:
            rounding = (4 + numbers.powers)[:, None] * np.abs(terms)
            value[some], bound[some] = terms.sum(axis=0), _EPS * rounding.sum(axis=0)
        elif len(terms) > 3:
            value[some], bound[some] = truncated(terms)
    return Expectation(value, bound)


@lru_cache(maxsize=256)
def _inner(act: Activation, base: Quantity) -> tuple[list[tuple[int, float]], list[float]] | None:
    """Coefficients of K^(j/2) from the limits at infinity, and the moments of what is left."""
    try:
        ends, moments = inner_moments(act, base, _INNER)
    except (ValueError, NotClosed):
        return None
    half = sympy.Poly((ends[0].xreplace({x: -x}) + ends[1]) / 2, x)
    leading = [(j, float(c * absolute_moment(j))) for (j,), c in half.terms()]
    return leading, [float(m) for m in moments]


def large_variance(act: Activation, quantity: Quantity, variances: Array) -> Expectation:
    """A quantity by its expansion at large K; the bound is inf where that doesn't serve.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> act = Activation.parse("tanh")
    >>> found = large_variance(act, QUANTITIES["variance slope"], np.array([1.0, 1e6]))
    >>> float(found.value[1].round(12)), (found.bound < 1e-17).tolist()
    (0.000398941788, [False, True])
    """
    inner = _inner(act, quantity.plain)
    if inner is None:
        return Expectation(np.zeros_like(variances), np.full_like(variances, np.inf))
    leading, moments = inner
    value, bound = np.zeros_like(variances), np.zeros_like(variances)
    for j, c in leading:
        term = c * quantity.falling(j / 2) * variances ** (j / 2)
        value, bound = value + term, bound + 8 * _EPS * np.abs(term)
    powers = [
        (-j - 0.5, c)
        for j, m in enumerate(moments)
        if (c := m * (-0.5) ** j / math.factorial(j) / math.sqrt(2 * math.pi))
    ]
    if powers:
        if len(powers) < 4:
            return Expectation(value, np.full_like(variances, np.inf))
        with np.errstate(over="ignore", invalid="ignore"):  # far below, where it does not serve
            terms = [c * quantity.falling(power) * variances**power for power, c in powers]
            part, error = truncated(np.array(terms))
        value, bound = value + part, np.where(np.isfinite(error), bound + error, np.inf)
    return Expectation(value, bound)
