"""The recursion of the variance through depth, carried in logarithms.

K^(l+1) = sigma_b^2 + sigma_w^2 Q(K^l): at any width the exact mean of the next layer's K given this
layer's, and in the limit of infinite width the value itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .basemap import PositiveMap

__all__ = ["iterate"]

Array = NDArray[np.float64]


def _log_sum(a: float, b: float) -> float:
    """ln(exp(a) + exp(b)), also where one of them is -inf."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def iterate(
    q: PositiveMap,
    log_input: float,
    log_weight: Sequence[float],
    log_bias: Sequence[float],
) -> tuple[Array, Array]:
    """Follow a variance through the layers.

    Parameters
    ----------
    q : PositiveMap
        The variance map of the activation.
    log_input : float
        ln of the input's mean square; -inf for an input of zeros.
    log_weight, log_bias : sequence of float
        ln sigma_w^2 and ln sigma_b^2 of each layer; -inf for no bias.

    Returns
    -------
    log_variance, log_activation : ndarray
        ln K^l and ln Q(K^l) for l = 1..depth; -inf where a value is exactly 0.

    Examples
    --------
    >>> from varprop.theory.maps import variance_map
    >>> iterate(variance_map("relu"), 0.0, [math.log(2.0)] * 3, [-math.inf] * 3)[1].tolist()
    [0.0, 0.0, 0.0]
    """
    depth = len(log_weight)
    log_k, log_a = np.empty(depth), np.empty(depth)
    at_zero = q(0.0)
    dark = math.log(at_zero) if at_zero > 0 else -math.inf
    a = log_input
    for layer, (weight, bias) in enumerate(zip(log_weight, log_bias, strict=True)):
        k = _log_sum(bias, weight + a)
        a = q.log_at(k) if k > -math.inf else dark
        log_k[layer], log_a[layer] = k, a
    return log_k, log_a
