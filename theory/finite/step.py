"""The exact law of one step: a layer's mean square over that of the layer below."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from varprop.network import Network

from .angular import angular, positive_units
from .exact import Layers, chosen_layer, exact_layers

__all__ = ["NormalStep", "OrthogonalStep", "StepLaw", "by_bisection", "step_law"]

Array = NDArray[np.float64]


def by_bisection(cdf: Callable[[Array], Array], p: ArrayLike, low: float, high: float) -> Array:
    """Where a distribution function reaches p, between low and high.

    Raises
    ------
    ValueError
        Unless 0 <= p < 1.
    """
    wanted = np.asarray(p, dtype=float)
    if not ((wanted >= 0) & (wanted < 1)).all():
        raise ValueError(f"a quantile's p must be in [0, 1), got {p!r}")
    flat = wanted.ravel()
    a, b = np.full(flat.shape, low), np.full(flat.shape, high)
    for _ in range(64):
        middle = (a + b) / 2
        below = cdf(middle) < flat
        a, b = np.where(below, middle, a), np.where(below, b, middle)
    return b.reshape(wanted.shape)


class StepLaw:
    """The law of a^l / a^(l-1) in a two-slope network without biases; see `step_law`.

    Attributes
    ----------
    mean : float
        E a^l/a^(l-1) = sigma_w^2 E phi(g)^2.
    dead : float
        Probability that all units are 0: 2^-n for ReLU, else 0.
    mean_log, var_log : float
        Of ln(a^l/a^(l-1)), given that a unit lives.
    """

    def __init__(self, layer: Layers) -> None:
        self._layer = layer
        self._slopes = layer.slopes
        self._width = int(layer.width[0])
        self._log_mean = float(layer.log_gain[0]) + layer.log_scale
        self.mean = math.exp(self._log_mean)
        self.dead = float(self._slopes.dead(self._width))
        mean, variance = layer.log_moments(self._slopes)
        self.mean_log = self._log_mean + float(mean[0])
        self.var_log = float(variance[0])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._width} units, mean {self.mean:.6g}>"

    def moment(self, order: int) -> float:
        """E (a^l/a^(l-1))^order, a dead layer counting as 0, for an order from 0 to 64."""
        log = float(self._layer.log_moment(self._slopes, order)[0]) + order * self._log_mean
        return math.exp(log)

    def cdf(self, ratio: ArrayLike) -> Any:
        """P(a^l/a^(l-1) <= ratio), a dead layer counting as 0; to about 1e-14."""
        return self._shaped(ratio, self._cdf)

    def quantile(self, p: ArrayLike) -> Any:
        """The smallest ratio whose cdf is p or more, for 0 <= p < 1."""
        slopes = [slope for slope in (self._slopes.left, self._slopes.right) if slope > 0]
        low, high = math.log(min(slopes)) - 180, math.log(max(slopes)) + 6
        scale = self._log_mean
        log = by_bisection(lambda v: self._cdf(np.exp(v)), p, low + scale, high + scale)
        out = np.where(np.asarray(p) <= self.dead, 0.0, np.exp(log))
        return float(out) if out.ndim == 0 else out

    def _shaped(self, ratio: ArrayLike, law: Callable[[Array], Array]) -> Any:
        x = np.asarray(ratio, dtype=float)
        if np.isnan(x).any():
            raise ValueError(f"a ratio must be a number, got {ratio!r}")
        out = np.where(x >= 0, law(np.maximum(np.ravel(x), 0.0)).reshape(x.shape), 0.0)
        return float(out) if out.ndim == 0 else out

    def _cdf(self, x: Array) -> Array:
        raise NotImplementedError


class NormalStep(StepLaw):
    """The law under normal weights: a mixture over the number k of positive units.

    n a^l/(sigma_w^2 a^(l-1)) is right^2 chi-square(k) + left^2 chi-square(n-k) with
    k ~ Binomial(n, 1/2): for linear slopes a chi-square(n), for ReLU a binomial mixture of
    chi-square(k) (Zavatone-Veth and Pehlevan, arXiv 2104.11734).

    Examples
    --------
    >>> law = step_law(Network(1, width=10, act="relu", scheme="he"))
    >>> round(law.mean_log, 6), round(law.var_log, 6), law.dead == 2**-10
    (-0.307461, 0.866734, True)
    >>> round(law.cdf(1.0), 12), round(law.quantile(0.5), 12)
    (0.583575424744, 0.853936965505)
    """

    def __init__(self, layer: Layers) -> None:
        super().__init__(layer)
        rule = angular(self._slopes, self._width)
        self._units = self._width / (rule.values * self.mean)
        self._weights = rule.weights * (1 - self.dead)

    def _cdf(self, x: Array) -> Array:
        below = special.chdtr(self._width, np.multiply.outer(x, self._units))
        return np.asarray(self.dead + below @ self._weights)

    def pdf(self, ratio: ArrayLike) -> Any:
        """The density of a^l/a^(l-1) at ratio > 0; its integral is 1 - dead."""
        if not (np.asarray(ratio, dtype=float) > 0).all():
            raise ValueError(f"the density is given at ratios > 0, got {ratio!r}")
        return self._shaped(ratio, self._pdf)

    def _pdf(self, x: Array) -> Array:
        from scipy.stats import chi2  # slow to import

        each = chi2.pdf(np.multiply.outer(x, self._units), self._width)
        return np.asarray(each @ (self._weights * self._units))


class OrthogonalStep(StepLaw):
    """The law under Haar-orthogonal weights: shares of the squared length of a uniform direction.

    With N = max(fan_in, fan_out), k positive units have the share Beta(k/2, (N-k)/2). A square
    matrix keeps the length, so all units positive, or all negative, have a probability of their
    own, 2^-n each.

    Raises
    ------
    ValueError
        By `cdf` and `quantile`, for leaky slopes where fan_in > fan_out: that law isn't given.

    Examples
    --------
    >>> law = step_law(Network(1, width=10, act="relu", scheme="orthogonal(1.4142135623730951)"))
    >>> round(law.moment(2) / law.mean**2, 12)  # (n + 5)/(n + 2)
    1.25
    >>> round(law.cdf(1.0), 12)
    0.5
    """

    def _cdf(self, x: Array) -> Array:
        n, length = self._width, float(self._layer.length[0])
        low, high = sorted((self._slopes.left, self._slopes.right))
        count, weight = np.array([float(n)]), np.array([1.0])
        if not self._slopes.one_slope:
            if low > 0 and length > n:
                raise ValueError(
                    "the whole law of a leaky step under orthogonal weights is given for fan_in "
                    f"<= fan_out, not for {int(length)} and {n}; its moments for all"
                )
            count, weight = positive_units(n)
        else:
            low = 0.0
        share = (x * (n / length) / self.mean - low) / (high - low)
        share = np.clip(np.where(np.abs(share - 1) < 1e-13, 1.0, share), 0.0, 1.0)[:, np.newaxis]
        inner = (count > 0) & (count < length)
        some = count[inner]
        below = special.betainc(some / 2, (length - some) / 2, share) @ weight[inner]
        none = weight[count == 0].sum() * (x * (n / length) / self.mean >= low * (1 - 1e-13))
        whole = weight[count == length].sum() * (share[:, 0] == 1)
        return np.asarray(below + none + whole)


def step_law(network: Network, layer: int | None = None) -> NormalStep | OrthogonalStep:
    """The exact law of a^l / a^(l-1) for one layer of a network.

    Parameters
    ----------
    network : Network
        Two slopes (linear, relu, leaky_relu, abs), no biases, normal or orthogonal weights.
    layer : int, optional
        1 to depth. Default: the last.

    Returns
    -------
    NormalStep or OrthogonalStep

    Raises
    ------
    ValueError, TypeError
        For any other network, or a layer that isn't there; beyond 10^6 units of a ReLU.

    Examples
    --------
    >>> step_law(Network(3, width=100, act="linear", scheme="lecun")).mean_log.__round__(12)
    -0.010033332
    """
    layers = exact_layers(network)
    one = layers.only(chosen_layer(network, layer))
    return OrthogonalStep(one) if np.isfinite(one.length[0]) else NormalStep(one)
