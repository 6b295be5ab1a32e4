"""Real and imaginary powers of one kind of step: what the laws of deep networks multiply."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .angular import angular, positive_units
from .two_slope import TwoSlope

__all__ = ["Factor", "log_power_of_length"]

Array = NDArray[np.float64]
Numbers = NDArray[Any]  # real or complex

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)


def log_power_of_length(half: float, s: Numbers) -> Numbers:
    """ln E R^s of R = chi-square(n)/n, n = 2 half: ln of Gamma(half + s)/(Gamma(half) half^s).

    Examples
    --------
    >>> log_power_of_length(500.0, np.array([2.0])).round(12).tolist()  # ln(1 + 2/1000)
    [0.001998002663]
    """
    z = half + s
    if half < 50 or (np.real(z) < 50).any():
        return np.asarray(special.loggamma(z) - special.loggamma(half) - s * math.log(half))
    series = sum(c * (z**-p - half**-p) for p, c in zip((1, 3, 5, 7), _STIRLING, strict=True))
    a, b = np.real(s) / half, np.imag(s) / half
    log1p: Numbers = np.log1p(2 * a + a * a + b * b) / 2
    if np.iscomplexobj(s):
        log1p = log1p + 1j * np.arctan2(b, 1 + a)
    return np.asarray((z - 0.5) * log1p - s + series)


class Factor:
    """One kind of step, X^count: n units of given slopes."""

    def __init__(self, slopes: TwoSlope, width: int, count: int) -> None:
        self.half, self.count = width / 2, count
        self.rule = angular(slopes, width)
        self.order = 0.98 * self.half
        if slopes.can_die:  # E U^-s needs s < k/2 with the fewest units that count
            living = positive_units(width)[0]
            self.order = 0.7 * float(living[living > 0].min()) / 2

    def log_power(self, s: Array) -> Array:
        """count ln E X^s, real s >= -order."""
        length = log_power_of_length(self.half, s)
        powers = np.multiply.outer(s, np.log(self.rule.values))
        angle = special.logsumexp(powers, b=self.rule.weights, axis=1)
        return np.asarray(self.count * (length + angle))

    def log_length(self, omega: Array) -> Array:
        """count ln |E R^(i omega)|, which falls with omega; R is the length alone."""
        return np.asarray(self.count * log_power_of_length(self.half, 1j * omega).real)

    def characteristic(self, omega: Array) -> Numbers:
        """(E X^(i omega))^count."""
        length = np.exp(log_power_of_length(self.half, 1j * omega))
        return np.asarray((length * self.rule.power(1j * omega)) ** self.count)
