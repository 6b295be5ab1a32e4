"""The exact law of one unit of a deep two-slope network, at normal weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from varprop.network import Network

from .exact import LINEAR, chosen_layer, exact_layers
from .log_law import NormLaw, steps_below

__all__ = ["UnitLaw", "unit_law"]


class UnitLaw:
    """The law of one pre-activation z of layer l, given the input; see `unit_law`.

    Attributes
    ----------
    variance : float
        E z^2; OverflowError where float64 can't hold it.
    kurtosis : float
        E z^4/(E z^2)^2: 3 for one layer, 3 (1 + 5/n)^(l-1) under ReLU.

    Examples
    --------
    >>> law = unit_law(Network(4, width=10, act="relu", scheme="he"))
    >>> round(law.variance, 12), law.kurtosis  # 3 (1 + 5/10)^3
    (2.0, 10.125)
    >>> round(law.pdf(1.0), 12), round(law.cdf(1.0), 12)
    (0.164168537474, 0.841818383888)
    """

    def __init__(self, square: NormLaw, kurtosis: float) -> None:
        self._square, self.kurtosis = square, kurtosis
        self._alive = math.exp(square.log_alive)

    @property
    def variance(self) -> float:
        """E z^2."""
        return math.exp(self._square.log_mean_ratio)

    def pdf(self, z: ArrayLike) -> Any:
        """The density of z at z != 0, where it may be infinite; its integral is P(alive)."""
        x = np.abs(np.asarray(z, dtype=float))
        if not (x > 0).all():
            raise ValueError(f"the density is given at z != 0, got {z!r}")
        out = self._alive * np.asarray(self._square.pdf(2 * np.log(x))) / x
        return float(out) if out.ndim == 0 else out

    def cdf(self, z: ArrayLike) -> Any:
        """P(a unit's pre-activation <= z), which is exactly 0 in a dead network."""
        x = np.asarray(z, dtype=float)
        with np.errstate(divide="ignore"):
            beyond = self._alive * (1 - np.asarray(self._square.cdf(2 * np.log(np.abs(x))))) / 2
        out = np.where(x < 0, beyond, 1 - beyond)
        return float(out) if out.ndim == 0 else out


def unit_law(network: Network, layer: int | None = None) -> UnitLaw:
    """The exact law of one pre-activation z_i^l, for an input of mean square 1.

    z = sqrt(K) g with an independent normal g: a one-unit linear layer on top of the others. For
    another input, z is sqrt(a^0) times as large.

    Parameters, Raises
        As for `norm_law`.

    Returns
    -------
    UnitLaw

    Examples
    --------
    >>> round(unit_law(Network(1, width=5, act="abs", sigma_w=1.0)).pdf(0.5), 12)  # normal
    0.352065326764
    """
    layers = exact_layers(network, ("normal",))
    below = chosen_layer(network, layer) - 1
    mean, variance = layers.log_moments(layers.slopes)
    shift = float(layers.log_gain[: below + 1].sum()) + below * layers.log_scale
    of_unit = LINEAR.log_moments(1.0)
    square = NormLaw(
        [*steps_below(layers, below), (LINEAR, 1, 1)],
        shift,
        (float(mean[:below].sum() + of_unit[0]), float(variance[:below].sum() + of_unit[1])),
    )
    growth = layers.log_moment(layers.slopes, 2)[:below].sum()
    return UnitLaw(square, 3.0 * math.exp(float(growth)))
