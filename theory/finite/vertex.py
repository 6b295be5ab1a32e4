"""Leading orders in 1/width for any activation: the four-point vertex and the drift of the mean.

Write K for the random variance of a layer's pre-activations given the layer below, lambda = ln K,
and a = (Q(K) (1 + shift)) (1 + noise). To first order in the inverse widths, with s = dln Q/dln K,
s' = ds/dln K, rho = E phi^4/Q^2 - 1 and theta = sigma_w^2 a/K the weights' share of the next K,

    E ln a = ln Q + s E lambda + s' Var lambda/2 - N/2 + shift,   Var ln a = s^2 Var lambda + N,
    E lambda' = theta E ln a + theta (1 - theta) Var ln a/2,      Var lambda' = theta^2 Var ln a,

as deviations from the infinite-width values, at which all coefficients are taken. For normal
weights N = rho/n and there is no shift: Var K = V/n_(l-1) and E K - K = G1/n_(l-1) then are the
four-point vertex and the next-to-leading metric of Roberts, Yaida and Hanin, The Principles of
Deep Learning Theory (arXiv 2106.10165), chapters 4 and 5, at unequal widths and with biases:
V' = chi_parallel^2 V n_l/n_(l-1) + C_W^2 (E phi^4 - Q^2) and chi_parallel = C_W dQ/dK.

Other laws change two things. Weights and biases of excess kurtosis kappa give the pre-activations,
given the layer below, one of k4 = kappa theta^2 (1 + rho)/n_(l-1) + kappa_b (1 - theta)^2, so
shift = k4 c/6, where c = K^2 Q''/Q = s^2 - s + s'. Orthogonal weights fix more of the length: its
relative variance r is less than 2/n, N = rho/n + s^2 (r - 2/n) and shift = c (r - 2/n)/2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation
from varprop.network import Network

from ..maps import variance_map
from ..recursion import iterate
from ..scatter import log_relative_variance
from ..stack import Stack
from .kurtosis import weight_kurtosis
from .scope import plain_network, weight_law

__all__ = ["Vertex", "log_slopes", "vertex"]

Array = NDArray[np.float64]

_SPACING = 0.012  # of ln K in the five-point rule
_FIRST = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / (12 * _SPACING)
_SECOND = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / (12 * _SPACING**2)
_LARGEST = 300.0  # ln of a noise that is far beyond any use
VALID = 0.3  # largest variance of a logarithm, shift, or excess kurtosis that is trusted


def log_slopes(act: str | Activation, log_k: Array) -> tuple[Array, Array]:
    """First and second derivative of ln Q by ln K, by a five-point rule, to about 1e-8.

    The rule needs nothing but the table of ln Q that the recursion has made already, and for
    corrections that are right to first order its digits are plenty.

    Examples
    --------
    >>> s, bend = log_slopes("squared_relu", np.array([-1000.0, 0.0]))
    >>> s.tolist(), bend.tolist()
    ([2.0, 2.0], [0.0, 0.0])
    """
    phi = Activation.parse(act)
    if phi.degree is not None:
        return np.full(log_k.shape, float(phi.degree)), np.zeros(log_k.shape)
    points = log_k[:, np.newaxis] + _SPACING * np.arange(-2, 3)
    logs = np.asarray(variance_map(phi).log(points))
    logs = logs - logs[:, 2:3]
    return logs @ _FIRST, logs @ _SECOND


@dataclass(frozen=True, eq=False)
class Vertex:
    """The leading corrections in 1/width, layer by layer; see `vertex`.

    Attributes
    ----------
    log_variance, log_activation : ndarray, (depth,)
        ln K^l and ln Q(K^l) at infinite width.
    fluctuation : ndarray, (depth,)
        Var K/K^2, or V/(n K^2) of the four-point vertex V: also E z_i^2 z_j^2/(E z^2)^2 - 1 of two
        units, to leading order.
    correction : ndarray, (depth,)
        E K/K - 1, or G1/(n K): the correction to the mean of q.
    activation_fluctuation, activation_correction : ndarray, (depth,)
        The same of a^l.
    length : ndarray, (depth,)
        Relative variance of q^l given K: 2/n for normal weights.
    valid : ndarray of bool, (depth,)
        Where fluctuation, log_drift and the excess kurtosis of z are at most 0.3 in size.
    activation_valid : ndarray of bool, (depth,)
        Where those of a^l are small as well.
    """

    log_variance: Array
    log_activation: Array
    fluctuation: Array
    correction: Array
    activation_fluctuation: Array
    activation_correction: Array
    length: Array
    valid: NDArray[np.bool_]
    activation_valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for values in vars(self).values():
            values.setflags(write=False)

    @property
    def log_drift(self) -> Array:
        """E ln K - ln K at infinite width: correction - fluctuation/2."""
        return self.correction - self.fluctuation / 2

    @property
    def activation_log_drift(self) -> Array:
        """The same of ln a^l."""
        return self.activation_correction - self.activation_fluctuation / 2


def vertex(network: Network, log_input_mean_square: float = 0.0) -> Vertex:
    """The leading corrections in 1/width to any network, at one input.

    Parameters
    ----------
    network : Network
        Any activation, scheme, biases and widths.
    log_input_mean_square : float
        ln(|x|^2/n_0). Default 0; -inf for an input of zeros, where there are biases. Weights that
        aren't normal are taken to meet an input of entries of equal size.

    Returns
    -------
    Vertex

    Raises
    ------
    TypeError, ValueError
        If `network` is not a Network, if the input is nan or inf, if every signal is exactly 0, or
        for weights without a fourth moment.

    Examples
    --------
    >>> v = vertex(Network(100, width=1000, act="tanh", sigma_w=1.0))
    >>> round(float(v.fluctuation[-1]), 4)  # tends to (2/3) l/n
    0.0648
    """
    plain_network(network)
    log_input = float(log_input_mean_square)
    if math.isnan(log_input) or log_input == math.inf:
        raise ValueError(f"log_input_mean_square must be finite or -inf, got {log_input}")
    stack = Stack.of(network)
    log_k, log_a = iterate(stack, log_input)
    if not (np.isfinite(log_k).all() and np.isfinite(log_a).all()):
        raise ValueError("every signal is exactly 0: it has no logarithm; give an input or biases")
    share = np.exp(stack.log_weight + np.concatenate([[log_input], log_a[:-1]]) - log_k)
    found, where = np.unique(log_k, return_inverse=True)
    s, bend = (values[where] for values in log_slopes(network.act, found))
    scatter = np.minimum(log_relative_variance(network.act, found), _LARGEST)
    rho = np.exp(scatter)[where]
    length, excess = _lengths(network, share, rho)
    n = np.asarray(network.widths[1:], dtype=float)
    curve = s**2 - s + bend
    noise = np.maximum(rho / n, 0.0)
    if weight_law(network).distribution == "orthogonal":
        noise = np.maximum(noise + s**2 * (length - 2 / n), 0.0)
        shift = curve * (length - 2 / n) / 2
    else:
        shift = curve * excess / 6
    below, above = _followed(s, bend, noise, shift, np.minimum(share, 1.0))
    small = (below[1] <= VALID) & (np.abs(below[0]) <= VALID) & (np.abs(excess) <= VALID)
    return Vertex(
        log_k,
        log_a,
        below[1],
        below[0] + below[1] / 2,
        above[1],
        above[0] + above[1] / 2,
        length,
        small,
        small & (above[1] <= VALID) & (np.abs(shift) <= VALID),
    )


def _lengths(network: Network, share: Array, rho: Array) -> tuple[Array, Array]:
    """Relative variance of q given K, and excess kurtosis of z given K, of each layer."""
    sizes = np.asarray(network.widths, dtype=float)
    n_in, n = sizes[:-1], sizes[1:]
    normal = 2 / n
    if weight_law(network).distribution == "orthogonal":
        kept = np.where(n_in > n, 2 / n - 2 / n_in, 0.0)
        return normal + share**2 * (kept - normal), np.zeros(network.depth)
    unevenness = np.concatenate([[1.0], 1 + rho[:-1]])  # n sum h^4/(sum h^2)^2
    excess = weight_kurtosis(weight_law(network)) * share**2 * unevenness / n_in
    if network.bias_distribution == "uniform":
        excess = excess - 1.2 * (1 - share) ** 2
    return normal + excess / n, excess


def _followed(
    s: Array, bend: Array, noise: Array, shift: Array, share: Array
) -> tuple[Array, Array]:
    """Mean and variance of ln K and of ln a less their infinite-width values, (2, depth) each."""
    depth = len(s)
    of_k, of_a = np.zeros((2, depth)), np.zeros((2, depth))
    mean = variance = 0.0
    steps = zip(*(part.tolist() for part in (s, bend, noise, shift)), strict=True)
    shares = [*share[1:].tolist(), 1.0]
    for layer, (slope, curve, spread, extra) in enumerate(steps):
        of_k[:, layer] = mean, variance
        mean = slope * mean + (curve * variance - spread) / 2 + extra
        variance = min(slope * slope * variance + spread, 1e300)
        of_a[:, layer] = mean, variance
        theta = shares[layer]
        mean = theta * mean + theta * (1 - theta) * variance / 2
        variance *= theta * theta
    return of_k, of_a
