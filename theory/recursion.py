"""The recursions through depth, carried in logarithms: the variance up, the gradient down.

K^(l+1) = sigma_b^2 + sigma_w^2 Q(K^l): at any width the exact mean of the next layer's K given this
layer's, and in the limit of infinite width the value itself. And, from the last layer down,
g^l = n_(l+1) Var(W^(l+1)) V(K^l) g^(l+1).

With skip connections, norms and dropout K is the mean square of the sum of both branches,
K^(l+1) = skip^2 q^l + branch^2 (sigma_b^2 + sigma_w^2 Q(.)/keep), where q is K, or 1 after a norm,
and Q is taken at q, or at 1 where a norm stands before phi.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .basemap import PositiveMap
from .maps import variance_map
from .stack import Stack

__all__ = ["iterate", "log_at", "log_sum", "pull_back"]

Array = NDArray[np.float64]

_ROUNDING = 1e-13  # relative; what a last bit that doesn't come to rest may amount to


def log_sum(a: float, b: float) -> float:
    """ln(exp(a) + exp(b)), also where one of them is -inf.

    Examples
    --------
    >>> log_sum(-math.inf, -2000.0)
    -2000.0
    """
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


def iterate(stack: Stack, log_input: float) -> tuple[Array, Array]:
    """Follow a variance through the layers.

    Parameters
    ----------
    stack : Stack
        The layers.
    log_input : float
        ln of the input's mean square; -inf for an input of zeros.

    Returns
    -------
    log_variance, log_activation : ndarray
        ln K^l and ln a^l for l = 1..depth; -inf where a value is exactly 0.

    Raises
    ------
    OverflowError
        If even ln K leaves float64, as it can where phi grows faster than its argument.

    Examples
    --------
    >>> stack = Stack.plain("relu", [math.log(2.0)] * 3, [-math.inf] * 3)
    >>> iterate(stack, 0.0)[1].tolist()
    [0.0, 0.0, 0.0]
    """
    if all(act.degree == 1 for act in stack.acts) and stack.place is None and not stack.has_biases:
        return _products(stack, log_input)
    log_k, log_a = np.empty(stack.depth), np.empty(stack.depth)
    steady = stack.steady
    maps = stack.per_layer(lambda act: (variance_map(act), _log_at_zero(variance_map(act))))
    parts = (stack.log_weight, stack.log_bias, stack.log_branch, stack.log_skip)
    layers = enumerate(zip(maps, *(part.tolist() for part in parts), strict=True))
    a, k, z, older = log_input, math.nan, -math.inf, math.nan
    for layer, ((q, dark), weight, bias, branch, skip) in layers:
        last, k = k, log_sum(branch + log_sum(bias, weight + a), skip + z)
        if layer > steady and _at_rest(k, last, older):
            log_k[layer:], log_a[layer:] = k, a
            break
        if k == math.inf:
            raise OverflowError(
                f"the variance of layer {layer + 1} is beyond exp(1e308): {q.act} grows faster "
                "than its argument; use fewer layers, smaller weights or a smaller input"
            )
        if k > -math.inf:
            z = 0.0 if stack.place == "post" else k
            a = q.log_at(0.0 if stack.place == "pre" else z) - stack.log_keep
        else:
            z, a = k, dark - stack.log_keep
        log_k[layer], log_a[layer] = k, a
        older = last
    return log_k, log_a


def _products(stack: Stack, log_input: float) -> tuple[Array, Array]:
    """Two slopes multiply every variance by the same factor."""
    shares = stack.per_layer(lambda act: variance_map(act).log_at(0.0))
    factor = np.fromiter(shares, dtype=float, count=stack.depth) - stack.log_keep
    branch = stack.log_branch[1:] + stack.log_weight[1:] + factor[:-1]
    steps = np.logaddexp(branch, stack.log_skip[1:])
    log_k = log_input + stack.log_weight[0] + np.cumsum(np.r_[0.0, steps])
    return log_k, log_k + factor


def _at_rest(k: float, last: float, older: float) -> bool:
    """Whether a variance has come to rest, if need be between two neighbouring numbers."""
    return k == last or (k == older and abs(k - last) <= _ROUNDING * max(1.0, abs(last)))


def pull_back(log_factor: Array) -> Array:
    """ln g^l of every layer, g^L = 1, from the ln of g^l / g^(l+1) of all layers but the last.

    Examples
    --------
    >>> pull_back(np.array([1.0, 2.0])).tolist()
    [3.0, 2.0, 0.0]
    """
    out: Array = np.r_[np.cumsum(log_factor[::-1])[::-1], 0.0]
    return out
