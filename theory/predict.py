"""Network -> Prediction: what the theory of infinite width says of every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varprop.network import Network

from .maps import variance_map
from .recursion import iterate

__all__ = ["Prediction", "predict"]

Array = NDArray[np.float64]

_SMALLEST, _LARGEST = -708.0, 709.7  # ln of what float64 holds at full precision


@dataclass(frozen=True, eq=False)
class Prediction:
    """The infinite-width prediction, layer by layer.

    Attributes
    ----------
    network : Network
        The network it is about.
    log_variance : ndarray, (depth,)
        ln K^l of layers 1..depth; -inf where K is exactly 0.
    log_activation : ndarray, (depth,)
        ln a^l = ln Q(K^l).

    Examples
    --------
    >>> p = predict(Network(depth=200, act="relu", scheme="he"))
    >>> float(p.variance[-1]), float(p.activation[-1])
    (2.0, 1.0)
    """

    network: Network
    log_variance: Array
    log_activation: Array

    def __post_init__(self) -> None:
        for log in (self.log_variance, self.log_activation):
            log.setflags(write=False)

    def __repr__(self) -> str:
        last = float(self.log_variance[-1]) / math.log(10.0)
        return f"Prediction({self.network!r}, log10 of the last variance {last:.6g})"

    @property
    def layers(self) -> NDArray[np.int64]:
        """1..depth."""
        return np.arange(1, len(self.log_variance) + 1)

    @property
    def log_preactivation(self) -> Array:
        """ln q^l: at infinite width the mean square of a pre-activation is its variance K^l."""
        return self.log_variance

    @property
    def variance(self) -> Array:
        """K^l; OverflowError where float64 can't hold one."""
        return self._plain("variance", self.log_variance)

    @property
    def activation(self) -> Array:
        """a^l; OverflowError where float64 can't hold one."""
        return self._plain("activation", self.log_activation)

    @property
    def preactivation(self) -> Array:
        """q^l; OverflowError where float64 can't hold one."""
        return self._plain("preactivation", self.log_variance)

    def _plain(self, name: str, log: Array) -> Array:
        beyond = (log > _LARGEST) | ((log < _SMALLEST) & (log > -np.inf))
        if beyond.any():
            layer = int(np.argmax(beyond))
            raise OverflowError(
                f"{name} of layer {layer + 1} is e^{log[layer]:.6g}, beyond float64; "
                f"use .log_{name}"
            )
        return np.exp(log)


def predict(
    network: Network,
    input_mean_square: float = 1.0,
    *,
    log_input_mean_square: float | None = None,
) -> Prediction:
    """What the theory of infinite width says of every layer of a network.

    K^1 = sigma_b^2 + sigma_w^2 |x|^2/n_0 and K^(l+1) = sigma_b^2 + sigma_w^2 Q(K^l), with the
    sigma of each layer as its fans give it.

    Parameters
    ----------
    network : Network
        The network.
    input_mean_square : float
        |x|^2/n_0, finite and >= 0. Default 1.
    log_input_mean_square : float, optional
        Its logarithm instead, for inputs beyond float64; finite, or -inf for an input of zeros.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        If the input's mean square is out of range or given twice, or if the activation's
        variance map diverges at a variance met on the way.
    TypeError
        If `network` is not a Network.

    Examples
    --------
    >>> p = predict(Network(depth=1000, act="relu", sigma_w=1.0))
    >>> round(float(p.log_variance[-1] / math.log(2)), 9)
    -999.0
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, not {type(network).__name__}")
    if log_input_mean_square is None:
        if not (math.isfinite(input_mean_square) and input_mean_square >= 0):
            raise ValueError(
                f"input_mean_square must be finite and >= 0, got {input_mean_square!r}"
            )
        log_input = math.log(input_mean_square) if input_mean_square > 0 else -math.inf
    else:
        log_input = float(log_input_mean_square)
        if input_mean_square != 1.0:
            raise ValueError("give input_mean_square or log_input_mean_square, not both")
        if math.isnan(log_input) or log_input == math.inf:
            raise ValueError(f"log_input_mean_square must be finite or -inf, got {log_input}")
    sizes = np.asarray(network.widths, dtype=float)
    gain = np.asarray(network.scheme.gain(sizes[:-1], sizes[1:]), dtype=float)
    with np.errstate(divide="ignore"):
        log_bias = 2 * np.log(np.asarray(network.bias_std, dtype=float))
    q = variance_map(network.act)
    log_k, log_a = iterate(q, log_input, np.log(gain).tolist(), log_bias.tolist())
    return Prediction(network, log_k, log_a)
