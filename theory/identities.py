"""Exact identities between the maps: statements that documents print and tests check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from varprop.activation import Activation

from .maps import gradient_map, mean_map, variance_map
from .moments import moment

__all__ = ["IDENTITIES", "Identity", "mean_sech_squared"]

Array = NDArray[np.float64]
Side = Callable[[Array], Array]

_EULER = 40  # terms of the transformed series: each halves the error, and more
_PLAIN = 24  # terms summed before the transformation


@dataclass(frozen=True)
class Identity:
    """Two ways to one number, for every variance K.

    Attributes
    ----------
    name : str
        A word for it.
    statement : str
        The identity in LaTeX, without dollar signs.
    reason : str
        Why it holds, in one sentence of Markdown.
    left, right : callable
        The two sides as functions of an array of K.

    Examples
    --------
    >>> IDENTITIES["sigmoid and tanh"].check([0.1, 1.0, 30.0]) < 1e-14
    True
    """

    name: str
    statement: str
    reason: str
    left: Side
    right: Side

    def check(self, variance: ArrayLike) -> float:
        """The largest relative difference of the two sides; digits that cancel in one are lost.

        Parameters
        ----------
        variance : array_like
            Variances K, finite and > 0.

        Raises
        ------
        ValueError
            For a K that is not finite and > 0.
        """
        k = np.asarray(variance, dtype=float).ravel()
        if not (np.isfinite(k) & (k > 0)).all():
            raise ValueError(f"variance K must be finite and > 0, got {variance!r}")
        left, right = self.left(k), self.right(k)
        return float(np.max(np.abs(left - right) / np.abs(right)))


def mean_sech_squared(variance: ArrayLike) -> Any:
    """E sech(sqrt(K) z)^2 by its convergent series.

    sech^2 x = 4 sum_k (-1)^(k-1) k exp(-2 k |x|), and E exp(-2 k sqrt(K) |z|) = erfcx(k sqrt(2K)),
    summed by Euler's transformation.

    Parameters
    ----------
    variance : array_like
        Variances K, finite and >= 0.

    Returns
    -------
    float or ndarray
        Good to about 1e-13.

    Raises
    ------
    ValueError
        For a K that is negative or not finite.

    Examples
    --------
    >>> from varprop.theory import variance_map
    >>> abs(1 - mean_sech_squared(2.0) - variance_map("tanh")(2.0)) < 1e-13
    True
    """
    k = np.asarray(variance, dtype=float)
    if not (np.isfinite(k) & (k >= 0)).all():
        raise ValueError(f"variance K must be finite and >= 0, got {variance!r}")
    n = np.arange(1, _PLAIN + _EULER + 1)
    terms = n * special.erfcx(n * np.sqrt(2 * k)[..., None])
    signs = np.where(n % 2, 1.0, -1.0)
    total = (signs * terms)[..., :_PLAIN].sum(axis=-1)
    # Euler: the alternating rest is the sum of its differences over powers of 2.
    differences, weight = terms[..., _PLAIN:], 0.5 * signs[_PLAIN]
    while differences.shape[-1]:
        total = total + weight * differences[..., 0]
        differences, weight = differences[..., :-1] - differences[..., 1:], weight / 2
    return float(4 * total) if k.ndim == 0 else 4 * total


def _mean(formula: str) -> Side:
    """E of a formula over N(0, K)."""
    act = Activation.parse(formula)
    return lambda k: np.asarray(moment(act, "mean", k).value)


_SLOPE = "sigmoid(x)*sigmoid(-x)"

IDENTITIES: dict[str, Identity] = {
    one.name: one
    for one in (
        Identity(
            "tanh by erfcx",
            r"Q_{\tanh}(K) = 1 - 4 \sum_{k \ge 1} (-1)^{k-1} k\, "
            r"\operatorname{erfcx}\!\big(k \sqrt{2K}\big)",
            r"$\tanh^2 = 1 - \operatorname{sech}^2$, expanded in powers of $e^{-2|x|}$.",
            variance_map("tanh"),
            lambda k: 1 - mean_sech_squared(k),
        ),
        Identity(
            "sigmoid and its slope",
            r"Q_\sigma(K) = \tfrac12 - \mathbb{E}\,\sigma'(\sqrt K z)",
            r"$\sigma^2 = \sigma - \sigma'$, and $\sigma - \tfrac12$ is odd.",
            variance_map("sigmoid"),
            lambda k: 0.5 - _mean(_SLOPE)(k),
        ),
        Identity(
            "sigmoid and tanh",
            r"Q_\sigma(K) = \tfrac14 + \tfrac14 Q_{\tanh}(K/4)",
            r"$\sigma(x) = \tfrac12 + \tfrac12 \tanh(x/2)$, and $\tanh$ is odd.",
            variance_map("sigmoid"),
            lambda k: (1 + variance_map("tanh")(k / 4)) / 4,
        ),
        Identity(
            "softplus and sigmoid",
            r"V_{\mathrm{softplus}}(K) = Q_\sigma(K)",
            r"The slope of softplus is the sigmoid.",
            gradient_map("softplus"),
            variance_map("sigmoid"),
        ),
        Identity(
            "variance of SiLU",
            r"Q_{\mathrm{SiLU}}(K) = \tfrac{K}{2} - \mathbb{E}\,x^2 \sigma'(x)",
            r"$\sigma^2 = \sigma - \sigma'$, and $x^2 (\sigma - \tfrac12)$ is odd.",
            variance_map("silu"),
            lambda k: k / 2 - _mean(f"x**2*{_SLOPE}")(k),
        ),
        Identity(
            "mean of SiLU",
            r"m_{\mathrm{SiLU}}(K) = K\, \mathbb{E}\,\sigma'(\sqrt K z)",
            r"Stein's identity $\mathbb{E}\,x f(x) = K\, \mathbb{E} f'(x)$.",
            mean_map("silu"),
            lambda k: k * mean_sech_squared(k / 4) / 4,
        ),
        Identity(
            "heat equation of softplus",
            r"m_{\mathrm{softplus}}'(K) = \tfrac12\, \mathbb{E}\,\sigma'(\sqrt K z)",
            r"The heat equation $\partial_K\, \mathbb{E} f = \tfrac12\, \mathbb{E} f''$.",
            mean_map("softplus").slope,
            lambda k: mean_sech_squared(k / 4) / 8,
        ),
        Identity(
            "kinks of hard tanh",
            r"Q_{\mathrm{hardtanh}}'(K) = V(K) - \sqrt{2/(\pi K)}\; e^{-1/(2K)}",
            r"The heat equation with the kinks: $\phi\phi''$ is $-\delta$ at $\pm 1$.",
            variance_map("hardtanh").slope,
            lambda k: gradient_map("hardtanh")(k) - np.sqrt(2 / (np.pi * k)) * np.exp(-1 / (2 * k)),
        ),
    )
}
