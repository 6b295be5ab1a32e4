"""Two inputs on their way through the layers: their variances and the angle between them.

The angle is carried as ln(1-c), so that two close inputs keep their difference down to 1e-300 and
beyond. A layer is two steps: the activations' own gap (`gap`), then weights and biases, which the
two inputs share.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from .gap import gap
from .kernel import kernel
from .lengths import Lengths
from .maps import variance_map
from .recursion import log_sum
from .stack import Stack

__all__ = ["CorrelationMap", "correlation_map", "iterate_pair"]

Array = NDArray[np.float64]
State = tuple[float, float, float]

_LN2 = math.log(2.0)
_SETTLED = 1e-15  # relative change of a layer that counts as none
_EQUAL = 1e-250  # |ln a - ln b| whose square is below every gap that float64 can hold


def _shared(state: State, log_weight: float, log_bias: float) -> State:
    """Shared weights and biases: k' = sigma_b^2 + sigma_w^2 k, for variances and covariance."""
    log_a, delta, log_gap = state
    weighted = log_a + log_weight, delta, log_gap
    return weighted if log_bias == -math.inf else _added(weighted, (log_bias, 0.0, -math.inf))


def _added(one: State, two: State) -> State:
    """Two independent parts of a signal: their variances and covariances add up.

    A state is (ln a, ln a - ln b, ln(1-c)). With shares w_i = sqrt(a_i b_i)/sqrt(a' b') of the
    parts, and d_i = ln a_i - ln b_i,
    1 - c' = sum w_i (1-c_i) + w_1 w_2 (2 sinh((d_1 - d_2)/4))^2 / (1 + w_1 + w_2):
    no term cancels another.
    """
    (a1, d1, gap1), (a2, d2, gap2) = one, two
    b1, b2 = a1 - d1, a2 - d2
    new_a, new_b = log_sum(a1, a2), log_sum(b1, b2)
    root = (new_a + new_b) / 2
    w1, w2 = (a1 + b1) / 2 - root, (a2 + b2) / 2 - root
    new_gap = log_sum(w1 + gap1, w2 + gap2)
    apart = abs(d1 - d2)
    if apart >= _EQUAL:
        stretch = apart / 2 + 2 * math.log(-math.expm1(-apart / 2))
        stretch -= math.log1p(math.exp(w1) + math.exp(w2))
        new_gap = log_sum(new_gap, w1 + w2 + stretch)
    if max(abs(d1), abs(d2)) > 1:
        return new_a, new_a - new_b, new_gap
    grown = math.exp(b1 - new_b) * math.expm1(d1) + math.exp(b2 - new_b) * math.expm1(d2)
    return new_a, math.log1p(grown), new_gap


def _normed(state: State) -> State:
    """Both mean squares 1; the angle is kept."""
    return 0.0, 0.0, state[2]


def _dropped(state: State, log_keep: float) -> State:
    """Each input has its own mask: 1/keep for the variances alone, so c' = keep c."""
    log_a, delta, log_gap = state
    dropped = math.log(-math.expm1(log_keep))
    return log_a - log_keep, delta, log_sum(dropped, log_keep + log_gap)


def _activated(lengths: Lengths, state: State) -> State:
    """(ln a, ln a - ln b, ln(1-c)) of the activations."""
    log_a, delta, log_gap = state
    log_q = variance_map(lengths.act).log_at(log_a)
    if delta == 0:
        return log_q, 0.0, lengths.gap.log_at(log_a, log_gap)
    return log_q, lengths.ratio(log_a, delta), lengths.log_at(log_a, delta, log_gap)


def _still(old: State, new: State, settled: float) -> bool:
    """Whether a layer changed nothing; to leave -inf, identical inputs, is a change."""
    return all(
        a == b or abs(a - b) <= settled * max(1.0, min(abs(a), abs(b)))
        for a, b in zip(old, new, strict=True)
    )


def iterate_pair(
    stack: Stack, log_inputs: tuple[float, float], log_gap: float
) -> tuple[Array, Array, Array, Array]:
    """Follow two inputs through the layers of an infinitely wide network.

    a^(l+1) = sigma_b^2 + sigma_w^2 Q(a^l), b likewise, and
    k^(l+1) = sigma_b^2 + sigma_w^2 E phi(u) phi(v) with (u, v) of variances a^l, b^l and
    covariance k^l (Poole et al., arXiv 1606.05340, eq. 5). A skip connection adds skip^2 (a, b, k)
    of the layer below to branch^2 times these; a norm makes variances 1 and keeps the cosine;
    dropout divides the variances of the activations by keep, but not their covariance, since each
    input has a mask of its own.

    Parameters
    ----------
    stack : Stack
        The layers.
    log_inputs : (float, float)
        ln of the two inputs' mean squares, finite.
    log_gap : float
        ln(1 - cosine) of the inputs, at most ln 2 (opposite); -inf for the same direction.

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
    >>> he = Stack.plain("relu", [math.log(2.0)] * 3, [-math.inf] * 3)
    >>> iterate_pair(he, (0.0, 0.0), 0.0)[2].round(6).tolist()
    [0.0, 0.31831, 0.493731]
    """
    a, b = (float(value) for value in log_inputs)
    if not (math.isfinite(a) and math.isfinite(b)):
        raise ValueError(
            f"log_inputs must be finite, got {log_inputs!r}: an input of zeros has no direction"
        )
    if math.isnan(log_gap) or log_gap > _LN2 + 1e-15:
        raise ValueError(f"log_gap must be at most ln 2, got {log_gap!r}")
    steady = stack.steady
    # Along skip connections small changes may add up for as long as there are layers.
    settled = 0.0 if stack.has_skips else _SETTLED
    out = np.empty((3, stack.depth))
    maps = stack.per_layer(lambda act: Lengths(gap(act)))
    parts = (stack.log_weight, stack.log_bias, stack.log_branch, stack.log_skip)
    layers = enumerate(zip(maps, *(part.tolist() for part in parts), strict=True))
    state: State = (a, a - b, min(float(log_gap), _LN2))
    h, before = state, state
    for layer, (lengths, weight, bias, branch, skip) in layers:
        state = _shared(h, branch + weight, branch + bias)
        if skip > -math.inf:
            state = _added(state, (before[0] + skip, before[1], before[2]))
        if stack.place == "post":
            state = _normed(state)
        out[:, layer] = state
        if layer > steady and _still(before, state, settled):
            out[:, layer:] = out[:, layer, None]
            break
        h = _activated(lengths, _normed(state) if stack.place == "pre" else state)
        if stack.log_keep < 0:
            h = _dropped(h, stack.log_keep)
        before = state
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
        return signal - log_sum(bias, signal)

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
