"""Two inputs on their way through the layers: their variances and the angle between them.

The angle is carried as ln(1-c), so that two close inputs keep their difference down to 1e-300 and
beyond. A layer is two steps: the activations' own gap (`gap`), then weights and biases, which the
two inputs share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from .gap import gap
from .kernel import kernel
from .lengths import Lengths
from .maps import variance_map

__all__ = ["CorrelationMap", "correlation_map", "iterate_pair"]

Array = NDArray[np.float64]
State = tuple[float, float, float]

_LN2 = math.log(2.0)
_SETTLED = 1e-15  # relative change of a layer that counts as none
_EQUAL = 1e-250  # |ln a - ln b| whose square is below every gap that float64 can hold


def _log_sum(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _mixed(act: State, log_weight: float, log_bias: float) -> State:
    """Shared weights and biases: k' = sigma_b^2 + sigma_w^2 k, for variances and covariance.

    A state is (ln a, ln a - ln b, ln(1-c)). With shares w = sigma_w^2 sqrt(ab) / sqrt(a'b') and
    s = sigma_b^2 / sqrt(a'b'), and d = ln a - ln b,
    1 - c' = w (1-c) + s w (2 sinh(d/4))^2 / (1 + s + w): no term cancels another.
    """
    log_a, delta, log_gap = act
    if log_bias == -math.inf:
        return log_a + log_weight, delta, log_gap
    log_b = log_a - delta
    new_a = _log_sum(log_bias, log_weight + log_a)
    new_b = _log_sum(log_bias, log_weight + log_b)
    root = (new_a + new_b) / 2
    weight, bias = log_weight + (log_a + log_b) / 2 - root, log_bias - root
    size = abs(delta)
    if size < _EQUAL:
        return new_a, 0.0, weight + log_gap
    stretch = size / 2 + 2 * math.log(-math.expm1(-size / 2))
    stretch -= math.log1p(math.exp(bias) + math.exp(weight))
    new_gap = _log_sum(weight + log_gap, bias + weight + stretch)
    if size > 1:
        return new_a, new_a - new_b, new_gap
    new_delta = math.log1p(math.exp(log_weight + log_b - new_b) * math.expm1(delta))
    return new_a, new_delta, new_gap


def _activated(lengths: Lengths, state: State) -> State:
    """(ln a, ln a - ln b, ln(1-c)) of the activations."""
    log_a, delta, log_gap = state
    log_q = variance_map(lengths.act).log_at(log_a)
    if delta == 0:
        return log_q, 0.0, lengths.gap.log_at(log_a, log_gap)
    return log_q, lengths.ratio(log_a, delta), lengths.log_at(log_a, delta, log_gap)


def _still(old: State, new: State) -> bool:
    """Whether a layer changed nothing."""
    return all(
        a == b or abs(a - b) <= _SETTLED * max(1.0, abs(a)) for a, b in zip(old, new, strict=True)
    )


def iterate_pair(
    act: Any,
    log_inputs: tuple[float, float],
    log_gap: float,
    log_weight: Sequence[float],
    log_bias: Sequence[float],
) -> tuple[Array, Array, Array, Array]:
    """Follow two inputs through the layers of an infinitely wide network.

    a^(l+1) = sigma_b^2 + sigma_w^2 Q(a^l), b likewise, and
    k^(l+1) = sigma_b^2 + sigma_w^2 E phi(u) phi(v) with (u, v) of variances a^l, b^l and
    covariance k^l (Poole et al., arXiv 1606.05340, eq. 5).

    Parameters
    ----------
    act : str, Activation or pair of callables
        The activation phi.
    log_inputs : (float, float)
        ln of the two inputs' mean squares, finite.
    log_gap : float
        ln(1 - cosine) of the inputs, at most ln 2 (opposite); -inf for the same direction.
    log_weight, log_bias : sequence of float
        ln sigma_w^2 and ln sigma_b^2 of each layer; -inf for no bias.

    Returns
    -------
    log_a, log_b : ndarray
        ln of the variances of the pre-activations, layers 1..depth.
    correlation, log_gap : ndarray
        Their cosine c and ln(1-c). For inputs of one length ln(1-c) is good to 1e-9 or better
        however close they are; for others to about 1e-8, where c is near 1.

    Raises
    ------
    ValueError
        If an argument is out of range, or a map diverges on the way.

    Examples
    --------
    >>> he, none = [math.log(2.0)] * 3, [-math.inf] * 3
    >>> iterate_pair("relu", (0.0, 0.0), 0.0, he, none)[2].round(6).tolist()
    [0.0, 0.31831, 0.493731]
    """
    lengths = Lengths(gap(Activation.parse(act)))
    a, b = (float(value) for value in log_inputs)
    if not (math.isfinite(a) and math.isfinite(b)):
        raise ValueError(
            f"log_inputs must be finite, got {log_inputs!r}: an input of zeros has no direction"
        )
    if math.isnan(log_gap) or log_gap > _LN2 + 1e-15:
        raise ValueError(f"log_gap must be at most ln 2, got {log_gap!r}")
    depth = len(log_weight)
    changes = [
        layer
        for layer in range(1, depth)
        if (log_weight[layer], log_bias[layer]) != (log_weight[layer - 1], log_bias[layer - 1])
    ]
    same_from = changes[-1] if changes else 0
    out = np.empty((3, depth))
    state: State = (a, a - b, min(float(log_gap), _LN2))
    for layer, (weight, bias) in enumerate(zip(log_weight, log_bias, strict=True)):
        before = state
        state = _mixed(_activated(lengths, state) if layer else state, weight, bias)
        out[:, layer] = state
        if layer > same_from and _still(before, state):
            out[:, layer:] = out[:, layer, None]
            break
    log_a, delta, log_gaps = out
    return log_a, log_a - delta, 0.0 - np.expm1(log_gaps), log_gaps


def _log_variance(name: str, value: float) -> float:
    """2 ln of a standard deviation."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value!r}")
    return 2 * math.log(value) if value > 0 else -math.inf


class CorrelationMap:
    """c -> c' = (sigma_b^2 + sigma_w^2 E phi(u) phi(v)) / (sigma_b^2 + sigma_w^2 Q(K)).

    Two inputs whose pre-activations have the same variance K and the correlation c have the
    correlation c' a layer later. Made by `correlation_map`.

    Parameters
    ----------
    act : Activation
        The activation phi.

    Examples
    --------
    >>> from varprop.theory.pair import correlation_map
    >>> round(correlation_map("relu")(0.0), 12)
    0.318309886184
    """

    def __init__(self, act: Activation) -> None:
        self.act = act

    def __repr__(self) -> str:
        return f"CorrelationMap({str(self.act)!r})"

    def _checked(self, c: ArrayLike, variance: float) -> tuple[Array, float]:
        if not (math.isfinite(variance) and variance > 0):
            raise ValueError(f"variance must be finite and > 0, got {variance!r}")
        at = np.asarray(c, dtype=float)
        wrong = ~(np.abs(at) <= 1)
        if wrong.any():
            raise ValueError(f"a correlation lies within -1 .. 1, got {at[wrong][0]}")
        return at, math.log(variance)

    def __call__(
        self,
        c: ArrayLike,
        variance: float = 1.0,
        sigma_w: float = 1.0,
        sigma_b: float = 0.0,
    ) -> Any:
        """The correlation one layer later.

        Parameters
        ----------
        c : array_like
            Correlations, -1..1.
        variance : float
            K, the variance of both pre-activations, > 0. At a fixed point it stays what it is.
        sigma_w, sigma_b : float
            Standard deviations of weights and biases, finite, sigma_w > 0, sigma_b >= 0.

        Returns
        -------
        float or ndarray

        Raises
        ------
        ValueError
            If an argument is out of range.

        Examples
        --------
        >>> from varprop.theory.pair import correlation_map
        >>> correlation_map("erf")([0.0, 1.0], sigma_b=0.5).round(6).tolist()
        [0.349866, 1.0]
        """
        at, _ = self._checked(c, variance)
        with np.errstate(divide="ignore"):
            gaps = self.log_gap(np.log1p(-at), variance, sigma_w, sigma_b)
        out = 0.0 - np.expm1(gaps)
        return float(out) if at.ndim == 0 else out

    def log_gap(
        self,
        log_gap: ArrayLike,
        variance: float = 1.0,
        sigma_w: float = 1.0,
        sigma_b: float = 0.0,
    ) -> Any:
        """ln(1-c') from ln(1-c), to a relative 1e-10 of 1-c' however small it is.

        Examples
        --------
        >>> from varprop.theory.pair import correlation_map
        >>> round(correlation_map("tanh").log_gap(-690.0), 6)
        -689.836346
        """
        _, log_k = self._checked(0.0, variance)
        share = self._log_share(log_k, sigma_w, sigma_b)
        gaps = np.asarray(log_gap, dtype=float)
        if not (gaps <= _LN2 + 1e-15).all():
            raise ValueError(f"log_gap must be at most ln 2, got {gaps.max()}")
        hidden = gap(self.act).log(log_k, np.minimum(gaps, _LN2).ravel()).reshape(gaps.shape)
        return float(hidden + share) if gaps.ndim == 0 else hidden + share

    def _log_share(self, log_k: float, sigma_w: float, sigma_b: float) -> float:
        """ln of sigma_w^2 Q / (sigma_b^2 + sigma_w^2 Q)."""
        weight, bias = _log_variance("sigma_w", sigma_w), _log_variance("sigma_b", sigma_b)
        if weight == -math.inf:
            raise ValueError("sigma_w must be > 0: without weights every input is the same")
        signal = weight + variance_map(self.act).log_at(log_k)
        return signal - _log_sum(bias, signal)

    def slope(
        self,
        c: ArrayLike,
        variance: float = 1.0,
        sigma_w: float = 1.0,
        sigma_b: float = 0.0,
    ) -> Any:
        """dc'/dc = sigma_w^2 K E phi'(u) phi'(v) / (sigma_b^2 + sigma_w^2 Q(K)).

        At c = 1 and a fixed point this is chi1.

        Raises
        ------
        ValueError
            If an argument is out of range, or the activation jumps: the slope is infinite at 1.

        Examples
        --------
        >>> from varprop.theory.pair import correlation_map
        >>> round(correlation_map("relu").slope(1.0), 12)
        1.0
        """
        at, log_k = self._checked(c, variance)
        derivative = kernel(self.act, derivative=True)
        share = self._log_share(log_k, sigma_w, sigma_b)
        factor = math.exp(share + log_k - variance_map(self.act).log_at(log_k))
        out = factor * np.asarray(derivative(variance, variance, variance * at))
        return float(out) if at.ndim == 0 else out


@lru_cache(maxsize=256)
def _made(act: Activation) -> CorrelationMap:
    return CorrelationMap(act)


def correlation_map(act: Any) -> CorrelationMap:
    """The correlation map of an activation, for two inputs of the same variance.

    Parameters
    ----------
    act : str, Activation or pair of callables
        A name, a name with parameters, a formula, or a record.

    Returns
    -------
    CorrelationMap

    Examples
    --------
    >>> correlation_map("linear")([-0.5, 0.5]).round(12).tolist()
    [-0.5, 0.5]
    """
    return _made(Activation.parse(act))
