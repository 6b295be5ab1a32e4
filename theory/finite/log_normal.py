"""The log-normal limit of deep two-slope networks, and how far a given network is from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from varprop.network import Network

from .exact import exact_layers
from .log_law import norm_law

__all__ = ["LogNormal", "log_normal"]


@dataclass(frozen=True)
class LogNormal:
    """ln(a^L/E a^L) against the normal law N(-beta/2, beta).

    Attributes
    ----------
    beta : float
        sum over layers of (E X^2 - 1), X one step: 5/n a layer for ReLU, 2/n for linear.
    mean, variance : float
        The exact ones, given that the network lives.
    distance : float
        Largest difference of the two distribution functions (Kolmogorov's), the exact one that of
        living networks.
    log_alive : float
        ln of the probability that the network lives.
    """

    beta: float
    mean: float
    variance: float
    distance: float
    log_alive: float

    @property
    def limit_mean(self) -> float:
        """-beta/2."""
        return -self.beta / 2

    @property
    def limit_variance(self) -> float:
        """beta."""
        return self.beta


def log_normal(network: Network) -> LogNormal:
    """The log-normal limit of the output's mean square, and its quality.

    For depth and widths growing together, ln |J u|^2 tends to N(-beta/2, beta), with beta =
    5 sum 1/n_l for ReLU (Hanin and Nica, arXiv 1812.05994); J u, u and a^L, a^0 have the same law
    here, and other slopes have (6 (1 + s^4)/(1 + s^2)^2 - 1)/n in place of 5/n.

    Parameters
    ----------
    network : Network
        Two slopes, no biases, normal weights.

    Returns
    -------
    LogNormal

    Raises
    ------
    ValueError, TypeError
        For any other network.

    Examples
    --------
    >>> limit = log_normal(Network(50, width=100, act="relu", scheme="he"))
    >>> round(limit.beta, 12), round(limit.variance, 4), round(limit.distance, 4)
    (2.5, 2.597, 0.0077)
    """
    law = norm_law(network)
    layers = exact_layers(network, ("normal",))
    beta = float((layers.slopes.relative_variance / layers.width).sum())
    mean = law.mean - law.log_mean_ratio
    sd = math.sqrt(max(law.variance, beta))
    v = np.linspace(-10 * sd, 10 * sd, 4001) - beta / 2
    exact = np.asarray(law.cdf(v + law.log_mean_ratio))
    limit = special.ndtr((v + beta / 2) / math.sqrt(beta))
    distance = float(np.abs(exact - limit).max())
    return LogNormal(beta, mean, law.variance, distance, law.log_alive)
