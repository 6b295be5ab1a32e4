"""The recursions through depth, carried in logarithms: the variance up, the gradient down.

K^(l+1) = sigma_b^2 + sigma_w^2 Q(K^l): at any width the exact mean of the next layer's K given this
layer's, and in the limit of infinite width the value itself. And, from the last layer down,
g^l = n_(l+1) Var(W^(l+1)) V(K^l) g^(l+1).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .basemap import PositiveMap

__all__ = ["iterate", "log_at", "pull_back"]

Array = NDArray[np.float64]


def _log_sum(a: float, b: float) -> float:
    """ln(exp(a) + exp(b)), also where one of them is -inf."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _log_at_zero(f: PositiveMap) -> float:
    value = f(0.0)
    return math.log(value) if value > 0 else -math.inf


def log_at(f: PositiveMap, log_k: Array) -> Array:
    """ln f at an array of ln K, in which -inf is allowed and stands for K = 0.

    Examples
    --------
    >>> from varprop.theory.maps import gradient_map
    >>> log_at(gradient_map("tanh"), np.array([-np.inf, -1000.0])).tolist()
    [0.0, 0.0]
    """
    out = np.full(log_k.shape, _log_at_zero(f))
    some = log_k > -math.inf
    out[some] = f.log(log_k[some])
    return out


def iterate(
    q: PositiveMap, log_input: float, log_weight: ArrayLike, log_bias: ArrayLike
) -> tuple[Array, Array]:
    """Follow a variance through the layers.

    Parameters
    ----------
    q : PositiveMap
        The variance map of the activation.
    log_input : float
        ln of the input's mean square; -inf for an input of zeros.
    log_weight, log_bias : array_like, (depth,)
        ln sigma_w^2 and ln sigma_b^2 of each layer; -inf for no bias.

    Returns
    -------
    log_variance, log_activation : ndarray
        ln K^l and ln Q(K^l) for l = 1..depth; -inf where a value is exactly 0.

    Raises
    ------
    OverflowError
        If even ln K leaves float64, as it can where phi grows faster than its argument.

    Examples
    --------
    >>> from varprop.theory.maps import variance_map
    >>> iterate(variance_map("relu"), 0.0, [math.log(2.0)] * 3, [-math.inf] * 3)[1].tolist()
    [0.0, 0.0, 0.0]
    """
    weight, bias = np.asarray(log_weight, dtype=float), np.asarray(log_bias, dtype=float)
    if q.act.degree == 1 and not (bias > -math.inf).any():
        factor = q.log_at(0.0)
        log_k = log_input + weight[0] + np.cumsum(np.r_[0.0, factor + weight[1:]])
        return log_k, log_k + factor
    changes = np.flatnonzero((weight[1:] != weight[:-1]) | (bias[1:] != bias[:-1]))
    steady = int(changes[-1]) + 1 if len(changes) else 0  # from here on all layers are alike
    log_k, log_a = np.empty(len(weight)), np.empty(len(weight))
    dark = _log_at_zero(q)
    a, k, older = log_input, math.nan, math.nan
    for layer, (w, b) in enumerate(zip(weight.tolist(), bias.tolist(), strict=True)):
        last, k = k, _log_sum(b, w + a)
        if layer > steady and k in (last, older):  # at rest, to the last bit
            log_k[layer:], log_a[layer:] = k, a
            break
        if k == math.inf:
            raise OverflowError(
                f"the variance of layer {layer + 1} is beyond exp(1e308): {q.act} grows faster "
                "than its argument; use fewer layers, smaller weights or a smaller input"
            )
        a = q.log_at(k) if k > -math.inf else dark
        log_k[layer], log_a[layer] = k, a
        older = last
    return log_k, log_a


def pull_back(log_factor: Array) -> Array:
    """ln g^l of every layer, g^L = 1, from the ln of g^l / g^(l+1) of all layers but the last.

    Examples
    --------
    >>> pull_back(np.array([1.0, 2.0])).tolist()
    [3.0, 2.0, 0.0]
    """
    out: Array = np.r_[np.cumsum(log_factor[::-1])[::-1], 0.0]
    return out
