"""The exact law of a deep network's output norm, at normal weights.

A two-slope network multiplies independent steps, so the characteristic function of the logarithm
is a product of those of `Factor`, and one Fourier integral gives density and distribution at any
depth. (For linear networks the density is a Meijer G function: Zavatone-Veth and Pehlevan, arXiv
2104.11734.) The trapezoidal rule for such an integral has errors that are tail
probabilities (Davies, Biometrika 60, 1973); Chernoff's bound on them chooses the rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop.network import Network

from .exact import Layers, chosen_layer, exact_layers
from .factor import Factor
from .step import by_bisection
from .two_slope import TwoSlope

__all__ = ["NormLaw", "norm_law", "steps_below"]

Array = NDArray[np.float64]

_LOG_TINY = math.log(1e-17)  # tails and remainders that are left out
_ORDERS: Array = np.exp2(np.arange(-24.0, 1.0))


class NormLaw:
    """The law of v = ln(a^l / a^0), given that the network lives; see `norm_law`.

    Attributes
    ----------
    log_alive : float
        ln of the probability that no layer up to l is dead.
    mean, variance : float
        Of v.
    log_mean_ratio : float
        ln E (a^l/a^0), dead networks counting as 0.
    bound : float
        On the absolute error of `cdf`.

    Examples
    --------
    >>> law = norm_law(Network(50, width=100, act="relu", scheme="he"))
    >>> round(law.mean, 6), round(law.variance, 6)
    (-1.271044, 2.597)
    >>> round(law.cdf(0.0), 9), round(law.quantile(0.5), 9)
    (0.784148051, -1.260098972)
    """

    def __init__(
        self, steps: Sequence[tuple[TwoSlope, int, int]], shift: float, moments: tuple[float, float]
    ) -> None:
        self._factors = [Factor(*step) for step in steps]
        self._shift = shift
        self.log_mean_ratio = shift
        self.mean, self.variance = shift + moments[0], moments[1]
        lives = [np.log1p(-s.dead(n)) * count for s, n, count in steps]
        self.log_alive = float(np.sum(lives)) + 0.0
        self._low, self._high = self._reach()
        omega = self._nodes()
        self._omega, psi = omega, np.ones(omega.shape, dtype=complex)
        for factor in self._factors:
            psi *= factor.characteristic(omega)
        self._psi = psi

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: mean {self.mean:.6g}, variance {self.variance:.6g}>"

    def _reach(self) -> tuple[float, float]:
        """Where all but 1e-17 of the probability lies, less the shift: Chernoff's bound."""
        below = np.asarray(min(factor.order for factor in self._factors) * _ORDERS)
        above = np.asarray(1e6 * _ORDERS)
        low = np.sum([factor.log_power(-below) for factor in self._factors], axis=0)
        high = np.sum([factor.log_power(above) for factor in self._factors], axis=0)
        return float(((_LOG_TINY - low) / below).max()), float(((high - _LOG_TINY) / above).min())

    def _nodes(self) -> Array:
        """Where the Fourier integral is evaluated."""
        step = 2 * math.pi / (1.05 * (self._high - self._low))
        last = step
        while self._log_length(last) > _LOG_TINY:
            last *= 1.2
        rest = self._log_length(last)
        omega: Array = (np.arange(math.ceil(last / step), dtype=float) + 0.5) * step
        self._step = step
        rounding = 1e-14 * sum(f.count for f in self._factors)
        self.bound = 4 * math.exp(_LOG_TINY) + last * math.exp(rest) + rounding
        return omega

    def _log_length(self, omega: float) -> float:
        """A bound on the logarithm of the characteristic function, which falls with omega."""
        return float(sum(f.log_length(np.array([omega]))[0] for f in self._factors))

    def _waves(self, v: Array) -> NDArray[np.complex128]:
        return np.asarray(np.exp(-1j * np.multiply.outer(v - self._shift, self._omega)) * self._psi)

    def pdf(self, v: ArrayLike) -> Any:
        """The density of v."""
        return self._shaped(v, lambda u: self._waves(u).real.sum(axis=1) * self._step / math.pi, 0)

    def cdf(self, v: ArrayLike) -> Any:
        """The probability of a value <= v."""
        return self._shaped(v, self._cdf, 1)

    def _cdf(self, v: Array) -> Array:
        terms = self._waves(v).imag @ (self._step / self._omega)
        return np.asarray(0.5 - terms / math.pi)

    def quantile(self, p: ArrayLike) -> Any:
        """The v whose cdf is p, for 0 < p < 1."""
        if not (np.asarray(p) > 0).all():
            raise ValueError(f"a quantile's p must be in (0, 1), got {p!r}")
        found = by_bisection(lambda v: np.asarray(self.cdf(v)), p, *self._ends())
        return float(found) if found.ndim == 0 else found

    def _ends(self) -> tuple[float, float]:
        return self._low + self._shift, self._high + self._shift

    def _shaped(self, v: ArrayLike, law: Any, above: int) -> Any:
        x = np.asarray(v, dtype=float)
        if np.isnan(x).any():
            raise ValueError(f"v must be a number, got {v!r}")
        low, high = self._ends()
        flat = np.clip(np.ravel(x), low, high)
        # in blocks, so that many points don't need much memory
        blocks = np.array_split(flat, max(1, flat.size * self._omega.size // 10**6))
        inside = np.concatenate([law(block) for block in blocks]).reshape(x.shape)
        out = np.where(x <= low, 0.0, np.where(x >= high, float(above), np.maximum(inside, 0.0)))
        return float(out) if out.ndim == 0 else out


def steps_below(layers: Layers, stop: int) -> list[tuple[TwoSlope, int, int]]:
    """The kinds of step in layers 1..stop: slopes, width and how many."""
    sizes, counts = np.unique(layers.width[:stop].astype(int), return_counts=True)
    return [(layers.slopes, int(n), int(c)) for n, c in zip(sizes, counts, strict=True)]


def norm_law(network: Network, layer: int | None = None) -> NormLaw:
    """The exact law of ln(a^l / a^0), the logarithm of a mean square over the input's.

    Parameters
    ----------
    network : Network
        Two slopes (linear, relu, leaky_relu, abs), no biases, normal weights, any widths up to
        10^6 (linear and abs: any).
    layer : int, optional
        1 to depth. Default: the last.

    Returns
    -------
    NormLaw

    Raises
    ------
    ValueError, TypeError
        For any other network, or a layer that isn't there.

    Examples
    --------
    >>> law = norm_law(Network(2, widths=[3, 2, 2], act="linear", sigma_w=1.0))
    >>> round(law.pdf(0.0), 12)
    0.227787745499
    """
    layers = exact_layers(network, ("normal",))
    stop = chosen_layer(network, layer)
    mean, variance = layers.log_moments(layers.slopes)
    shift = float((layers.log_gain[:stop] + layers.log_scale).sum())
    return NormLaw(
        steps_below(layers, stop), shift, (float(mean[:stop].sum()), float(variance[:stop].sum()))
    )
