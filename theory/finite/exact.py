"""Which networks have exact laws, and one layer's share in them.

Two slopes and no biases: then a^l/a^(l-1) = sigma_w^2 scale X with independent X, of the law of
`TwoSlope` for normal weights. A normal vector of N = max(fan_in, fan_out) numbers is a length
times a uniform direction, and an orthogonal matrix gives fan_out of that direction's numbers; so
every moment of its step, real or complex, is the normal one's divided by that of chi-square(N)/N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varprop.network import Network

from .scope import plain_network, weight_law
from .two_slope import TwoSlope

__all__ = ["LINEAR", "Layers", "chosen_layer", "exact_layers"]

Array = NDArray[np.float64]

LINEAR = TwoSlope(1.0, 1.0, 1.0)  # of q: as an activation that leaves z as it is


@dataclass(frozen=True, eq=False)
class Layers:
    """The exact steps of a network, one entry per layer.

    Attributes
    ----------
    slopes : TwoSlope
    width : ndarray
        fan_out.
    length : ndarray
        N = max(fan_in, fan_out) for orthogonal weights, inf for normal ones, whose length is free.
    log_gain : ndarray
        ln sigma_w^2, so that E q^l = sigma_w^2 E a^(l-1) and E a^l = scale E q^l.
    """

    slopes: TwoSlope
    width: Array
    length: Array
    log_gain: Array

    @property
    def log_scale(self) -> float:
        """ln E phi(g)^2."""
        return math.log(self.slopes.scale)

    def log_moment(self, slopes: TwoSlope, order: int) -> Array:
        """ln E X^order of each layer; with `LINEAR`, of q/K in place of a/Q(K)."""
        free = np.isinf(self.length)
        chi = LINEAR.mean_moment(np.where(free, 1.0, self.length), order)
        log: Array = np.log(slopes.mean_moment(self.width, order)) - np.where(free, 0, np.log(chi))
        return log

    def log_moments(self, slopes: TwoSlope) -> tuple[Array, Array]:
        """E ln X and Var ln X of each layer, given that it lives."""
        mean, variance = slopes.log_moments(self.width)
        bound = np.isfinite(self.length)
        if bound.any():
            of_length = LINEAR.log_moments(self.length[bound])
            mean[bound] -= of_length[0]
            variance[bound] = np.maximum(variance[bound] - of_length[1], 0.0)
        return mean, variance

    def only(self, layer: int) -> Layers:
        """One of the layers by itself."""
        at = slice(layer - 1, layer)
        return Layers(self.slopes, self.width[at], self.length[at], self.log_gain[at])


def exact_layers(network: Network, laws: Sequence[str] = ("normal", "orthogonal")) -> Layers:
    """The exact steps of a network.

    Raises
    ------
    TypeError
        If `network` is not a Network.
    ValueError
        If it has another activation, biases, or weights of another law than `laws`.

    Examples
    --------
    >>> layers = exact_layers(Network(2, widths=[4, 6, 3], scheme="orthogonal"))
    >>> layers.length.tolist(), layers.slopes.relative_variance
    ([6.0, 6.0], 5.0)
    """
    plain_network(network)
    slopes = TwoSlope.of(network.act)
    if np.any(network.bias_std > 0):
        raise ValueError(
            f"exact laws at finite width need a network without biases, but {network!r} has "
            "some; predicted(network) gives the leading orders"
        )
    law = weight_law(network).distribution
    if law not in laws:
        raise ValueError(
            f"this law is exact for {' or '.join(laws)} weights, not for {law} ones; "
            "second_moments(network) is exact for all independent weights"
        )
    sizes = np.asarray(network.widths, dtype=float)
    longest = np.maximum(sizes[1:], sizes[:-1])
    return Layers(
        slopes,
        sizes[1:],
        longest if law == "orthogonal" else np.full(network.depth, np.inf),
        2 * np.log(network.sigma_w),
    )


def chosen_layer(network: Network, layer: int | None) -> int:
    """A layer's number, 1 to depth; the last by default."""
    if layer is None:
        return network.depth
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
        raise TypeError(f"layer must be an int, not {layer!r}")
    if not 1 <= layer <= network.depth:
        raise ValueError(f"layer must be from 1 to the depth {network.depth}, got {layer}")
    return int(layer)
