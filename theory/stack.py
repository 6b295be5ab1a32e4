"""Stack: what each layer of a network does to mean squares, as logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation
from varprop.network import Network

__all__ = ["Stack"]

Array = NDArray[np.float64]

_NONE = -math.inf


@dataclass(frozen=True, eq=False)
class Stack:
    """The layers of a network, as what they do to mean squares.

    z^l = N_post(skip z^(l-1) + branch (W^l h^(l-1) + b^l)), h^l = mask phi(N_pre(z^l)) / keep.

    Attributes
    ----------
    acts : tuple of Activation
        That of all layers, or one for each.
    log_weight, log_bias : ndarray, (depth,)
        ln sigma_w^2 and ln sigma_b^2; -inf for no bias.
    log_branch, log_skip : ndarray, (depth,)
        ln branch^2 and ln skip^2, 0 and -inf where there is no skip connection.
    log_keep : float
        ln of the share of units that are kept.
    place : str or None
        "pre" or "post", where there is a norm. (At infinite width its kind makes no difference.)
    """

    acts: tuple[Activation, ...]
    log_weight: Array
    log_bias: Array
    log_branch: Array
    log_skip: Array
    log_keep: float = 0.0
    place: str | None = None

    @classmethod
    def of(cls, network: Network) -> Stack:
        """That of a network.

        Examples
        --------
        >>> from varprop import Residual
        >>> stack = Stack.of(Network(3, act="tanh", scheme="lecun", residual=Residual(skip=-2.0)))
        >>> stack.log_skip.round(6).tolist()
        [-inf, 1.386294, 1.386294]
        """
        depth, residual = network.depth, network.residual
        branch, skip = np.zeros(depth), np.full(depth, _NONE)
        if residual is not None:
            branch[1:] = 2 * math.log(abs(residual.factor(depth)))
            skip[1:] = 2 * math.log(abs(residual.skip))
        with np.errstate(divide="ignore"):
            bias = 2 * np.log(network.bias_std)
        return cls(
            network.distinct_acts,
            _log_gains(network),
            bias,
            branch,
            skip,
            math.log(network.keep),
            None if network.norm is None else network.norm.place,
        )

    @classmethod
    def plain(cls, act: Any, log_weight: ArrayLike, log_bias: ArrayLike) -> Stack:
        """Layers that are weights, biases and one activation alone.

        Examples
        --------
        >>> Stack.plain("relu", [0.0, 0.0], [-math.inf, -math.inf]).depth
        2
        """
        weight = np.asarray(log_weight, dtype=float)
        none = np.full(weight.shape, _NONE)
        bias = np.asarray(log_bias, dtype=float)
        return cls((Activation.parse(act),), weight, bias, np.zeros(weight.shape), none)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.log_weight)

    @property
    def has_skips(self) -> bool:
        """Whether any layer has a skip connection."""
        return bool((self.log_skip > _NONE).any())

    @property
    def has_biases(self) -> bool:
        """Whether any layer has biases."""
        return bool((self.log_bias > _NONE).any())

    @property
    def steady(self) -> int:
        """The first layer, counted from 0, from which on all do the same."""
        each = (self.log_weight, self.log_bias, self.log_branch, self.log_skip)
        changes = [np.flatnonzero(part[1:] != part[:-1]) for part in each]
        if len(self.acts) > 1:
            changes.append(np.flatnonzero([one != two for one, two in pairwise(self.acts)]))
        return max((int(found[-1]) + 1 for found in changes if len(found)), default=0)

    def per_layer(self, of: Callable[[Activation], Any]) -> Iterator[Any]:
        """Something of each layer's activation, made once for each activation."""
        if len(self.acts) == 1:
            return repeat(of(self.acts[0]), self.depth)
        made = {act: of(act) for act in dict.fromkeys(self.acts)}
        return (made[act] for act in self.acts)

    def applied(self, of: Callable[[Activation], Callable[[Array], Array]], values: Array) -> Array:
        """A function of each layer's activation at an array of the first layers' values.

        Examples
        --------
        >>> stack = Stack.of(Network(2, act=["relu", "tanh"], sigma_w=1.0))
        >>> stack.applied(lambda act: act, np.array([2.0, 0.0])).tolist()
        [2.0, 0.0]
        """
        if len(self.acts) == 1:
            return np.asarray(of(self.acts[0])(values))
        acts = self.acts[: len(values)]
        out = np.empty(len(values))
        for act in dict.fromkeys(acts):
            here = np.array([one == act for one in acts])
            out[here] = of(act)(values[here])
        return out

    def after(self, log_sum: Array) -> Array:
        """ln of the mean square of the pre-activations, of that of the sums: 0 after a norm."""
        return _normed(log_sum) if self.place == "post" else log_sum

    def read(self, log_preactivation: Array) -> Array:
        """ln of the mean square of what the activations read."""
        return _normed(log_preactivation) if self.place == "pre" else log_preactivation


def _log_gains(network: Network) -> Array:
    """ln sigma_w^2 of each layer."""
    sizes = np.asarray(network.widths, dtype=float)
    fans = sizes[:-1], sizes[1:]
    schemes = network.distinct_schemes
    if len(schemes) == 1:
        gains = np.asarray(schemes[0].gain(*fans), dtype=float)
    else:
        each = zip(schemes, *fans, strict=True)
        gains = np.array([scheme.gain(fan_in, fan_out) for scheme, fan_in, fan_out in each])
    return np.asarray(np.log(gains))


def _normed(log: Array) -> Array:
    """A norm makes every mean square 1, except that of zeros."""
    return np.where(log > _NONE, 0.0, _NONE)
