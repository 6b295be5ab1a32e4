"""What a network of finite width does on average, and how much it scatters, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from varprop.network import Network

from .exact import LINEAR, Layers, exact_layers
from .kurtosis import INDEPENDENT, log_relative_std, second_moments
from .scope import plain_network, weight_law
from .vertex import Vertex, vertex

__all__ = ["FiniteWidth", "Spread", "predicted"]

Array = NDArray[np.float64]

_LARGEST = 709.7  # ln of what float64 holds


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and standard deviation over networks of a mean square X, and of ln X, by layer.

    Attributes
    ----------
    log_mean : ndarray, (depth,)
        ln E X, dead networks counting as 0.
    log_relative_std : ndarray, (depth,)
        ln of sd X/E X; -inf where X doesn't scatter.
    mean_log, std_log : ndarray, (depth,)
        Mean and standard deviation of ln X over the networks in which X is not 0.
    """

    log_mean: Array
    log_relative_std: Array
    mean_log: Array
    std_log: Array

    def __post_init__(self) -> None:
        for values in vars(self).values():
            values.setflags(write=False)

    @property
    def relative_std(self) -> Array:
        """sd X/E X; OverflowError where float64 can't hold one."""
        if (self.log_relative_std > _LARGEST).any():
            layer = int(np.argmax(self.log_relative_std > _LARGEST))
            raise OverflowError(
                f"the relative standard deviation in layer {layer + 1} is "
                f"e^{self.log_relative_std[layer]:.6g}, beyond float64; use .log_relative_std"
            )
        return np.exp(self.log_relative_std)


@dataclass(frozen=True, eq=False, repr=False)
class FiniteWidth:
    """Moments over networks of one width, layer by layer; see `predicted`.

    Attributes
    ----------
    network : Network
    preactivation, activation : Spread
        Of q^l and of a^l. Those of q^l are at hand as `log_mean`, `relative_std`,
        `log_relative_std`, `mean_log` and `std_log` too.
    valid, activation_valid : ndarray of bool, (depth,)
        False where leading orders in 1/width are asked too much of q^l, or of a^l: where the
        variance of ln K, or of ln a, exceeds 0.3.
    exact : bool
        Whether the numbers are exact at any width.
    because : str
        Why they are, or aren't.
    """

    network: Network
    preactivation: Spread
    activation: Spread
    valid: NDArray[np.bool_]
    activation_valid: NDArray[np.bool_]
    exact: bool
    because: str

    def __repr__(self) -> str:
        return f"<FiniteWidth of {self.network!r}, {self.because}>"

    @property
    def log_mean(self) -> Array:
        """ln E q^l."""
        return self.preactivation.log_mean

    @property
    def log_relative_std(self) -> Array:
        """ln of sd q^l/E q^l."""
        return self.preactivation.log_relative_std

    @property
    def relative_std(self) -> Array:
        """sd q^l/E q^l; OverflowError where float64 can't hold one."""
        return self.preactivation.relative_std

    @property
    def mean_log(self) -> Array:
        """E ln q^l of the networks that live."""
        return self.preactivation.mean_log

    @property
    def std_log(self) -> Array:
        """Standard deviation of ln q^l of the networks that live."""
        return self.preactivation.std_log


def _shifted(values: Array) -> Array:
    """Sums over the layers below."""
    return np.concatenate([[0.0], np.cumsum(values)[:-1]])


def _exactly(layers: Layers, log_input: float) -> tuple[Spread, Spread]:
    """Products of independent steps."""
    log_a = log_input + np.cumsum(layers.log_gain + layers.log_scale)
    log_q = log_a - layers.log_scale
    (mean_a, var_a), (mean_q, var_q) = (layers.log_moments(s) for s in (layers.slopes, LINEAR))
    second_a, second_q = (layers.log_moment(s, 2) for s in (layers.slopes, LINEAR))
    of_q = Spread(
        log_q,
        log_relative_std(_shifted(second_a) + second_q),
        log_q + _shifted(mean_a) + mean_q,
        np.sqrt(_shifted(var_a) + var_q),
    )
    of_a = Spread(
        log_a,
        log_relative_std(np.cumsum(second_a)),
        log_a + np.cumsum(mean_a),
        np.sqrt(np.cumsum(var_a)),
    )
    return of_q, of_a


def _leading(network: Network, v: Vertex) -> tuple[Spread, Spread]:
    """Log-normal K and a with the moments of the vertex; q/K nearly a chi-square(n)/n."""
    half = np.asarray(network.widths[1:], dtype=float) / 2
    if weight_law(network).distribution == "orthogonal":
        mean_length, var_length = -v.length / 2, v.length
    else:
        part = v.length * half  # 1 for normal weights
        mean_length = (special.digamma(half) - np.log(half)) * part
        var_length = special.polygamma(1, half) * part
    of_q = Spread(
        v.log_variance + v.correction,
        log_relative_std(v.fluctuation + np.log1p(v.length)),
        v.log_variance + v.log_drift + mean_length,
        np.sqrt(v.fluctuation + var_length),
    )
    of_a = Spread(
        v.log_activation + v.activation_correction,
        log_relative_std(v.activation_fluctuation),
        v.log_activation + v.activation_log_drift,
        np.sqrt(v.activation_fluctuation),
    )
    return of_q, of_a


def predicted(network: Network, log_input_mean_square: float = 0.0) -> FiniteWidth:
    """Mean and standard deviation over networks of q^l and ln q^l, and of a^l, at finite width.

    Two slopes without biases, under normal or orthogonal weights: exact products of independent
    steps. Otherwise the leading orders in 1/width of `vertex`, with K and a taken as log-normal,
    which for two slopes is the known limit. For two slopes under other independent weights the
    first two moments are exact too, and the logarithms those of normal weights, as they are to
    leading order.

    Parameters
    ----------
    network : Network
        Any.
    log_input_mean_square : float
        ln(|x|^2/n_0), finite; or -inf, an input of zeros, where there are biases. Default 0.
        Weights that aren't normal are taken to meet an input of entries of equal size.

    Returns
    -------
    FiniteWidth

    Raises
    ------
    TypeError, ValueError
        If `network` is not a Network, if the input is nan or inf, if every signal is exactly 0, or
        for weights without a fourth moment.

    Examples
    --------
    >>> w = predicted(Network(50, width=100, act="relu", scheme="he"))
    >>> w.exact, round(float(w.mean_log[-1]), 6), round(float(w.std_log[-1]), 6)
    (True, -0.56251, 1.601643)
    >>> w = predicted(Network(50, width=100, act="tanh", sigma_w=1.5))
    >>> w.exact, round(float(w.relative_std[-1]), 4), bool(w.valid.all())
    (False, 0.1722, True)
    """
    plain_network(network)
    law = weight_law(network).distribution
    simple = network.act.degree == 1 and not np.any(network.bias_std > 0)
    if simple and law in ("normal", "orthogonal") and math.isfinite(log_input_mean_square):
        layers = exact_layers(network)
        always = np.ones(network.depth, dtype=bool)
        always.setflags(write=False)
        because = f"exact: {law} weights, two slopes and no biases make independent steps"
        of_q, of_a = _exactly(layers, float(log_input_mean_square))
        return FiniteWidth(network, of_q, of_a, always, always, True, because)
    v = vertex(network, log_input_mean_square)
    of_q, of_a = _leading(network, v)
    biases = "normal" if not network.has_bias else network.bias_distribution
    if law == biases == "normal" and not v.activation_fluctuation.any():
        because = f"exact: {network.act} squared is constant, so every layer starts afresh"
        return FiniteWidth(network, of_q, of_a, v.valid, v.activation_valid, True, because)
    because = f"leading order in 1/width: {_reason(network, simple)}"
    if simple:
        known = second_moments(network)
        of_q, of_a = (
            replace(spread, log_relative_std=log_relative_std(log))
            for spread, log in zip(
                _exactly(exact_layers(network, INDEPENDENT), float(log_input_mean_square)),
                (known.log_preactivation, known.log_activation),
                strict=True,
            )
        )
    return FiniteWidth(network, of_q, of_a, v.valid, v.activation_valid, False, because)


def _reason(network: Network, simple: bool) -> str:
    if simple:
        law = weight_law(network).distribution
        return f"under {law} weights means and deviations are exact, those of logarithms not"
    if network.act.degree != 1:
        return f"{network.act} is not made of two slopes"
    return "biases mix with the signal"
