"""Arrays of numbers of any size: as factor exp(shift), or as the logarithms of absolute values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# exp() of anything between these is a normal float64.
LOWEST_LOG, HIGHEST_LOG = -708.0, 709.7


def product(factor: FloatArray, shift: FloatArray) -> FloatArray:
    """In two halves: exp(shift) alone may overflow although the product does not."""
    half = np.exp(shift / 2)
    return factor * half * half


def beyond(log: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether a number is neither 0 nor a normal float64."""
    return (log > -np.inf) & ((log < LOWEST_LOG) | (log > HIGHEST_LOG))


def missing_beyond(factor: FloatArray, shift: FloatArray) -> FloatArray:
    """Values of factor exp(shift), nan where float64 can't hold them."""
    log = logarithm(factor, shift)
    bad = beyond(log)
    return np.where(bad, np.nan, product(factor, np.where(bad | (log == -np.inf), 0.0, shift)))


def taken(array: FloatArray, index: npt.NDArray[np.intp], shape: tuple[int, ...]) -> FloatArray:
    """The entries at these places of the first axis, one for each of `shape` and column."""
    flat = index.reshape(-1, *array.shape[1:])
    return np.take_along_axis(array, flat, 0).reshape(*shape, *array.shape[1:])


def logarithm(factor: FloatArray, shift: FloatArray) -> FloatArray:
    """ln |factor exp(shift)|, -inf where the factor is 0."""
    with np.errstate(divide="ignore"):
        magnitude = np.log(np.abs(factor))
    return np.where(factor == 0, -np.inf, magnitude + shift)


def deviation(logs: FloatArray) -> FloatArray:
    """Standard deviation over trials; logarithms may be so large that squares overflow."""
    _, exponent = np.frexp(np.abs(logs).max(initial=0.0))
    unit = 2.0 ** max(int(exponent) - 400, 0)
    spread: FloatArray = (logs / unit).std(axis=0, ddof=1) * unit
    return spread


def of_columns(summary: Callable[[Any], Any], trials: Any) -> Any:
    """A summary over trials of each column, to the same bits for any others beside it.

    NumPy sums a lone column, and columns that are not interleaved, in an order of its own.
    """
    count = trials.shape[1]
    return summary((trials.repeat(2, axis=1) if count == 1 else trials).copy("C"))[:count]


def masked(log: FloatArray) -> np.ma.MaskedArray:
    """A read-only masked array: -inf, where the value is exactly 0, is hidden."""
    result = np.ma.MaskedArray(log, mask=log == -np.inf, fill_value=-np.inf, copy=False)
    result.flags.writeable = False
    return result
