"""Which networks the laws of finite width are about; the others are refused, with the reason."""

from __future__ import annotations

from typing import Any

from varprop.network import Network
from varprop.scheme import Scheme

__all__ = ["plain_network", "weight_law"]


def plain_network(network: Any) -> Network:
    """The network, if its layers are weights, biases and one activation alone.

    The weights' law must be the same in all layers; their size may differ.

    Raises
    ------
    TypeError
        If it is not a Network.
    ValueError
        For any other network; the text says why.

    Examples
    --------
    >>> plain_network(Network(2, act="tanh", dropout=0.5))
    Traceback (most recent call last):
    ...
    ValueError: no prediction at finite width for Network(depth=2, width=1000, act='tanh', \
scheme='he', dropout=0.5): the masks of dropout scatter a signal by an amount that is not derived \
here; predict(network) gives the limit of infinite width
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, not {type(network).__name__}")
    extended = network.residual is not None or network.norm is not None or network.keep < 1
    laws = {(scheme.distribution, scheme.shape) for scheme in network.distinct_schemes}
    alike = len(network.distinct_acts) == len(laws) == len(network.bias_distributions) == 1
    if alike and not extended:
        return network
    raise ValueError(
        f"no prediction at finite width for {network!r}: {_reason(network)}; predict(network) "
        "gives the limit of infinite width"
    )


def _reason(network: Network) -> str:
    if network.residual is not None:
        return (
            "skip connections carry each unit's own values on, so given its mean square a layer's "
            "units are no longer independent normals"
        )
    if network.norm is not None:
        return "a norm makes the units of a layer depend on each other"
    if network.keep < 1:
        return "the masks of dropout scatter a signal by an amount that is not derived here"
    return (
        "its layers have different activations, or weights or biases of different laws, and what "
        "is known is for one of each"
    )


def weight_law(network: Network) -> Scheme:
    """The scheme of the first layer of a `plain_network`, whose law all layers have.

    Examples
    --------
    >>> weight_law(Network(2, scheme=["he_uniform", "xavier_uniform"])).distribution
    'uniform'
    """
    return network.distinct_schemes[0]
