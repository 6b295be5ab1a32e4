"""Dead networks: all units of a layer at 0, and no bias to bring them back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from varprop.network import Network

from .exact import exact_layers

__all__ = ["dead_probability"]

Array = NDArray[np.float64]


def dead_probability(network: Network) -> Array:
    """The probability that a network is dead by layer l, for l = 1..depth.

    Given any signal from below, a ReLU layer without biases is dead when all its pre-activations
    are negative, which for symmetric independent weights, and orthogonal ones, has probability
    2^-n. So P(dead by l) = 1 - prod (1 - 2^-n_j). Slopes on both sides can't die.

    Parameters
    ----------
    network : Network
        Two slopes, no biases, normal or orthogonal weights. (Weights that can be exactly 0, or
        cancel each other, add chances of their own.)

    Returns
    -------
    ndarray, (depth,)

    Raises
    ------
    ValueError, TypeError
        For any other network.

    Examples
    --------
    >>> float(dead_probability(Network(10, width=5, act="relu"))[-1].round(12))
    0.272023843328
    >>> dead_probability(Network(2, width=5, act="abs")).tolist()
    [0.0, 0.0]
    """
    layers = exact_layers(network)
    lives = np.log1p(-layers.slopes.dead(layers.width))
    return np.asarray(-np.expm1(np.cumsum(lives)) + 0.0)
