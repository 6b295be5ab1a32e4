"""Two inputs of mean square 1 and a given cosine, with all digits of their difference."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from .statistic import FloatArray

CLOSEST = -1e6  # the smallest ln(1 - c), but for identical inputs


def pair(log_gap: float, size: int) -> tuple[FloatArray, FloatArray]:
    """The first input, and the difference to the second over exp(log_gap / 2).

    The first is all ones, the second c times that plus sqrt(1 - c^2) times a vector of alternating
    signs; so their difference is sqrt(1 - c) (sqrt(1 + c) signs - sqrt(1 - c) ones), which no
    cancellation touches however close they are.

    Parameters
    ----------
    log_gap : float
        ln(1 - c), -inf for identical inputs.
    size : int
        How many numbers an input has.

    Returns
    -------
    first, difference : array, shape (size,)

    Examples
    --------
    >>> first, difference = pair(-700.0, 4)
    >>> difference * math.exp(-350.0) < 1e-150
    array([ True,  True,  True,  True])
    >>> float(np.mean(difference**2).round(12))
    2.0
    """
    gap = min(math.exp(log_gap), 2.0)
    first = np.ones(size)
    return first, math.sqrt(2.0 - gap) * _signs(size) - math.sqrt(gap) * first


def second(log_gap: float, size: int) -> FloatArray:
    """The second input as far as float64 tells it from the first.

    Examples
    --------
    >>> second(0.0, 4)
    array([ 1., -1.,  1., -1.])
    """
    first, difference = pair(log_gap, size)
    return first + math.exp(log_gap / 2) * difference


def pairs_of(inputs: int) -> list[tuple[int, int]]:
    """All pairs of inputs, in the order in which they are measured.

    Examples
    --------
    >>> pairs_of(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(combinations(range(inputs), 2))


def _signs(size: int) -> FloatArray:
    """Alternating signs of mean 0 and mean square 1; an odd size ends in a 0."""
    even = size - size % 2
    signs = np.zeros(size)
    if even:
        signs[:even] = np.tile([1.0, -1.0], even // 2) * math.sqrt(size / even)
    return signs
