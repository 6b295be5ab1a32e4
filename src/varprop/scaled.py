"""Vectors beside the logarithm of their scale: the reference's one trick against overflow.

A pair (v, log) stands for v exp(log / 2). Units run along the first axis of v, and `log` has the
shape of the others (or one that broadcasts to it): a scale for each input or cotangent.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from .statistic import FloatArray

Scaled = tuple[FloatArray, FloatArray]


def normalised(v: FloatArray, log: FloatArray | float = 0.0) -> Scaled:
    """The same with v of mean square 1; a vector of zeros stays and has the scale -inf.

    Examples
    --------
    >>> v, log = normalised(np.array([3e200, 4e200]))
    >>> bool(abs(np.mean(v**2) - 1) < 1e-12), round(float(log / np.log(10)), 3)
    (True, 401.097)
    """
    top = np.abs(v).max(axis=0)
    top = np.where(top == 0, 1.0, top)  # squares of what is at most 1 neither over- nor underflow
    square = np.mean((v / top) ** 2, axis=0)
    root = np.sqrt(np.where(square == 0, 1.0, square))
    with np.errstate(divide="ignore"):
        return v / top / root, np.asarray(log + np.log(square) + 2 * np.log(top))


def shifted(v: FloatArray, log: FloatArray | float = 0.0) -> Scaled:
    """The same in units of powers of two, which round nothing: sums that are 0 stay 0.

    The largest number of each vector is 1/2 or more, and below 1; zeros have the scale -inf.

    Examples
    --------
    >>> v, log = shifted(np.array([3.0, -4.0]))
    >>> v, round(float(log / np.log(2)), 12)
    (array([ 0.375, -0.5  ]), 6.0)
    """
    _, exponent = np.frexp(np.abs(v).max(axis=0))
    unit = np.where(v.any(axis=0), log + 2 * np.log(2) * exponent, -np.inf)
    return np.ldexp(v, -exponent), unit


def total(*parts: Scaled, unit: FloatArray | None = None) -> Scaled:
    """The sum, in units of exp(unit / 2); by default of the largest part's."""
    if unit is None:
        unit = reduce(np.maximum, (log for _, log in parts))
    base = np.where(np.isneginf(unit), 0.0, unit)
    return sum(np.exp((log - base) / 2) * v for v, log in parts), unit  # type: ignore[return-value]


def times(factor: float, scaled: Scaled) -> Scaled:
    """A number, however small or large, times a vector; the number goes into the scale."""
    v, log = scaled
    with np.errstate(divide="ignore"):
        return np.sign(factor) * v, log + 2 * np.log(np.abs(factor))
