"""Prediction: what the theory of infinite width says of every layer, computed when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from varprop._cached import cached_property
from varprop.activation import Activation
from varprop.network import Network

from .maps import gradient_map, mean_map
from .recursion import log_at, pull_back
from .stack import Stack

if TYPE_CHECKING:
    from .finite_width import FiniteWidth

__all__ = ["Prediction"]

Array = NDArray[np.float64]

_SMALLEST, _LARGEST = -708.0, 709.7  # ln of what float64 holds at full precision


@dataclass(frozen=True, eq=False)
class Prediction:
    """The infinite-width prediction, layer by layer; made by `predict`.

    Every positive quantity exists twice: plain, which raises OverflowError where float64 can't
    hold it, and as its logarithm. What is not asked for is not computed.

    Attributes
    ----------
    network : Network
        The network it is about.
    log_input_mean_square : float
        ln of the mean square of the input; -inf for zeros.
    log_variance : ndarray, (depth,)
        ln K^l of layers 1..depth, before a norm; -inf where K is exactly 0.
    log_activation : ndarray, (depth,)
        ln a^l, after dropout: ln Q(K^l) - ln keep, or with 1 for K^l after a norm.
    other : Prediction or None
        The prediction for the second input, where two were given.
    input_log_gap : float or None
        ln(1 - c) of the two inputs' cosine.

    Examples
    --------
    >>> from varprop.theory import predict
    >>> p = predict(Network(depth=200, act="relu", scheme="he"))
    >>> float(p.variance[-1]), float(p.activation[-1]), float(p.gradient[0])
    (2.0, 1.0, 1.0)
    """

    network: Network
    log_input_mean_square: float
    log_variance: Array
    log_activation: Array
    other: Prediction | None = None
    input_log_gap: float | None = None

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

    @cached_property
    def log_preactivation(self) -> Array:
        """ln q^l: at infinite width K^l, or 1 after a norm ("post")."""
        return self._kept(self._stack.after(self.log_variance))

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
        return self._plain("preactivation", self.log_preactivation)

    @cached_property
    def mean(self) -> Array:
        """E phi(z^l) = m(q^l), the mean of a layer's activations over its units.

        With a norm before phi it is m(1); dropout leaves it as it is.
        """

        def at(act: Activation) -> Callable[[Array], Array]:
            def means(variance: Array) -> Array:
                distinct, which = np.unique(variance, return_inverse=True)
                return np.asarray(mean_map(act)(distinct))[which]

            return means

        read = self._plain("preactivation", self._log_read)
        return self._kept(self._stack.applied(at, read))

    @cached_property
    def log_gradient(self) -> Array:
        """ln g^l: g^l is the mean over units of (d(v.z^L)/dz^l)^2, where v has mean square 1.

        Raises
        ------
        ValueError
            For an activation that jumps, whose slope has no mean square.
        """
        stack, read = self._stack, self._log_read[:-1]
        slope = stack.applied(lambda act: partial(log_at, gradient_map(act)), read)
        if stack.place == "pre":
            slope = slope - _divisor(self.log_preactivation[:-1])
        back = stack.log_branch[1:] + self._log_fan_out_gain[1:] + slope - stack.log_keep
        factor = np.logaddexp(stack.log_skip[1:], back) + self._log_after_norm[1:]
        return self._kept(pull_back(factor))

    @property
    def gradient(self) -> Array:
        """g^l, with g^L = 1; OverflowError where float64 can't hold one."""
        return self._plain("gradient", self.log_gradient)

    @cached_property
    def log_weight_gradient(self) -> Array:
        """ln of the sum over the weights of layer l of (d(v.z^L)/dW_ij)^2.

        It is n_l g^l n_(l-1) a^(l-1), where a^0 is the mean square of the input; with a factor of
        branch^2 along skip connections, and of 1/K^l if a norm follows.
        """
        below = np.r_[self.log_input_mean_square, self.log_activation[:-1]]
        return self._kept(self._log_branch_gradient + self._log_fans[0] + below)

    @property
    def weight_gradient(self) -> Array:
        """Sum of the squared gradients of a layer's weights; OverflowError beyond float64."""
        return self._plain("weight_gradient", self.log_weight_gradient)

    @cached_property
    def log_bias_gradient(self) -> Array:
        """ln of the sum over the biases of layer l of (d(v.z^L)/db_i)^2: ln of n_l g^l.

        With a factor of branch^2 along skip connections, and of 1/K^l if a norm follows.

        Raises
        ------
        ValueError
            If the network has no biases.
        """
        if not self.network.has_bias:
            raise ValueError(
                f"{self.network!r} has no biases; give it sigma_b > 0 or a scheme with biases"
            )
        return self._kept(self._log_branch_gradient)

    @property
    def bias_gradient(self) -> Array:
        """Sum of the squared gradients of a layer's biases; OverflowError beyond float64."""
        return self._plain("bias_gradient", self.log_bias_gradient)

    @property
    def log_input_gradient(self) -> float:
        """ln of the mean over inputs of (d(v.z^L)/dx_j)^2, which is n_1 Var(W^1) g^1.

        If a norm follows layer 1, it is that over K^1.
        """
        after = self._log_after_norm[0] + self.log_gradient[0]
        return float(self._log_fan_out_gain[0] + after)

    @property
    def input_gradient(self) -> float:
        """Mean square of the gradient at the input; OverflowError beyond float64."""
        log = self.log_input_gradient
        if log > _LARGEST or -math.inf < log < _SMALLEST:
            raise OverflowError(
                f"input_gradient is e^{log:.6g}, beyond float64; use .log_input_gradient"
            )
        return math.exp(log)

    @property
    def correlation(self) -> Array:
        """c^l: the cosine between the two inputs' pre-activations in layer l, biases included.

        Raises
        ------
        ValueError
            If the prediction was made for one input only.
        """
        return self._pair[0]

    @property
    def log_gap(self) -> Array:
        """ln(1 - c^l), where c^l itself has lost its digits; -inf for identical inputs."""
        return self._pair[1]

    @cached_property
    def _pair(self) -> tuple[Array, Array]:
        from .pair import iterate_pair

        if self.other is None or self.input_log_gap is None:
            raise ValueError(
                "correlations need two inputs: predict(network, correlation=0.5), and, if their "
                "mean squares differ, input_mean_square=(1.0, 2.0)"
            )
        inputs = (self.log_input_mean_square, self.other.log_input_mean_square)
        _, _, correlation, log_gap = iterate_pair(self._stack, inputs, self.input_log_gap)
        return self._kept(correlation), self._kept(log_gap)

    @cached_property
    def finite_width(self) -> FiniteWidth:
        """Mean and standard deviation of q^l and of ln q^l at the network's own widths."""
        from .finite_width import predicted

        return predicted(self.network, self.log_input_mean_square)

    @cached_property
    def _log_fans(self) -> tuple[Array, Array]:
        """ln n_(l-1) and ln n_l of each layer."""
        sizes = np.log(np.asarray(self.network.widths, dtype=float))
        return sizes[:-1], sizes[1:]

    @cached_property
    def _log_fan_out_gain(self) -> Array:
        """ln of n_l Var(W^l) of each layer."""
        fan_in, fan_out = self._log_fans
        gain: Array = self._stack.log_weight + (fan_out - fan_in)
        return gain

    @cached_property
    def _stack(self) -> Stack:
        return Stack.of(self.network)

    @property
    def _log_read(self) -> Array:
        """ln of the mean square of what phi reads."""
        return self._stack.read(self.log_preactivation)

    @property
    def _log_after_norm(self) -> Array:
        """ln of what a gradient is multiplied by on its way back through the norm behind a sum."""
        if self._stack.place == "post":
            return -_divisor(self.log_variance)
        return np.zeros(len(self.log_variance))

    @property
    def _log_branch_gradient(self) -> Array:
        """ln of the sum over units of (d(v.z^L)/d(W^l h^(l-1) + b^l)_i)^2."""
        back = self._stack.log_branch + self._log_after_norm
        return np.asarray(self._log_fans[1] + self.log_gradient + back)

    def _kept(self, values: Array) -> Array:
        values.setflags(write=False)
        return values

    def _plain(self, name: str, log: Array) -> Array:
        beyond = (log > _LARGEST) | ((log < _SMALLEST) & (log > -np.inf))
        if beyond.any():
            layer = int(np.argmax(beyond))
            raise OverflowError(
                f"{name} of layer {layer + 1} is e^{log[layer]:.6g}, beyond float64; "
                f"use .log_{name}"
            )
        return np.exp(log)


def _divisor(log: Array) -> Array:
    """ln of the mean square that a norm divides by; inf for zeros, where its gradient is 0."""
    return np.where(log > -np.inf, log, np.inf)
