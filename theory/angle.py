"""The angle between two correlated normals, with all its digits.

An angle t is written as its tilt, ln((1-c)/(1+c)) = 2 ln tan(t/2): like ln(1-c) for near inputs,
like -ln(1+c) for opposite ones, so that neither end loses digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["checked_covariance", "log_gap_of_tilt", "tilt_of_covariance", "tilt_of_gap"]

Array = NDArray[np.float64]

_SPLIT = 2.0**27 + 1
_SLACK = 4 * float(np.finfo(float).eps)
_LN2 = math.log(2.0)
_LARGEST = float(np.finfo(float).max)
_SMALLEST = 1e-290  # a product of standard deviations below it may have lost digits
_STEEP = 0.9  # |c| beyond which 1 - |k| / sqrt(a b) loses digits


def tilt_of_gap(log_gap: ArrayLike) -> Array:
    """The tilt from ln(1-c); infinite at c = 1 and -1.

    Examples
    --------
    >>> tilt_of_gap([-1000.0, 0.0]).round(6).tolist()
    [-1000.693147, 0.0]
    """
    gap = np.asarray(log_gap, dtype=float)
    with np.errstate(divide="ignore"):
        tilt: Array = gap - np.log(-2 * np.expm1(np.minimum(gap - _LN2, 0.0)))
    return tilt


def log_gap_of_tilt(tilt: ArrayLike) -> Array:
    """ln(1-c) from the tilt.

    Examples
    --------
    >>> log_gap_of_tilt([-1000.0, 0.0]).round(6).tolist()
    [-999.306853, 0.0]
    """
    gap: Array = _LN2 - np.logaddexp(0.0, -np.asarray(tilt, dtype=float))
    return gap


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """a b as a rounded product and its rounding error (Dekker 1971)."""
    product = a * b
    pieces = []
    for each in (a, b):
        big = _SPLIT * each
        high = big - (big - each)
        pieces.append((high, each - high))
    (ah, al), (bh, bl) = pieces
    return product, al * bl - (((product - ah * bh) - al * bh) - ah * bl)


def checked_covariance(a: ArrayLike, b: ArrayLike, k: ArrayLike) -> tuple[Array, Array, Array]:
    """Variances and covariance as arrays of one shape.

    Raises
    ------
    ValueError
        If a variance is negative, a value is not finite, or |k| > sqrt(a b).

    Examples
    --------
    >>> checked_covariance([1.0, 4.0], 1.0, 0.5)[2].tolist()
    [0.5, 0.5]
    """
    given = tuple(np.asarray(each, dtype=float) for each in (a, b, k))
    if not given[0].shape == given[1].shape == given[2].shape:
        given = np.broadcast_arrays(*given)
    u, v, w = (np.array(each) for each in given)
    with np.errstate(invalid="ignore"):
        most = np.sqrt(u) * np.sqrt(v)
    if ((np.abs(w) <= most) & (most <= _LARGEST)).all():  # nan never is
        return u, v, w
    for name, each in (("a", u), ("b", v)):
        wrong = ~(np.isfinite(each) & (each >= 0))
        if wrong.any():
            raise ValueError(f"variance {name} must be finite and >= 0, got {each[wrong][0]}")
    if not np.isfinite(w).all():
        raise ValueError(f"covariance k must be finite, got {w[~np.isfinite(w)][0]}")
    wrong = np.abs(w) > most * (1 + _SLACK) + 5e-324
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"covariance k must lie within -sqrt(a b) .. sqrt(a b), got k = {w.flat[at]} with "
            f"a = {u.flat[at]}, b = {v.flat[at]}"
        )
    return u, v, np.clip(w, -most, most)


def tilt_of_covariance(a: Array, b: Array, k: Array) -> Array:
    """The tilt of a pair of variances a, b > 0 and covariance k, exact to a few ulp.

    1 - c is as good as the numbers given.

    Examples
    --------
    >>> import numpy as np
    >>> float(tilt_of_covariance(*np.array([4.0, 1.0, 0.0])).round(12))
    0.0
    """
    length = np.sqrt(a) * np.sqrt(b)
    cosine = k / length
    steep = (np.abs(cosine) > _STEEP) | (length < _SMALLEST)
    if not steep.any():
        return np.asarray(-2 * np.arctanh(cosine) + 0.0)
    tilt = np.asarray(-2 * np.arctanh(np.where(steep, 0.0, cosine)))
    tilt[steep] = _steep_tilt(a[steep], b[steep], k[steep])
    return tilt


def _steep_tilt(a: Array, b: Array, k: Array) -> Array:
    """With a b - k^2 formed without cancellation."""
    half_a, half_b = (np.frexp(each)[1] // 2 for each in (a, b))
    a, b = np.ldexp(a, -2 * half_a), np.ldexp(b, -2 * half_b)  # powers of 2: nothing is rounded
    k = np.ldexp(k, -half_a - half_b)
    (ab, ab_rest), (kk, kk_rest) = _product(a, b), _product(k, k)
    minor = np.maximum((ab - kk) + (ab_rest - kk_rest), 0.0)
    whole = np.sqrt(ab) + np.abs(k)
    with np.errstate(divide="ignore"):
        tilt: Array = np.where(k < 0, -1.0, 1.0) * (np.log(minor) - 2 * np.log(whole))
    return tilt
