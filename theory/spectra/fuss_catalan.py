"""The Fuss-Catalan density: squared singular values of a product of square Gaussian matrices.

With y = 1 + z the law is y^(L+1) = x (y - 1). On y = r exp(-i phi), the imaginary part fixes r,
r = sin((L+1) phi)/sin(L phi), and the real part gives x, so that everything is a function of one
angle (Penson and Zyczkowski 2011, Phys. Rev. E 83, 061118; Haagerup and Moller 2013).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fuss_catalan_density", "log_fuss_catalan"]

Array = NDArray[np.float64]


def log_fuss_catalan(log_x: Array, depth: int) -> Array:
    """ln of x times the density at ln x; -inf from the edge on.

    Examples
    --------
    >>> np.exp(log_fuss_catalan(np.array([0.0]), 1)).round(12)  # sqrt(3)/(2 pi)
    array([0.27566445])
    """
    edge = (depth + 1) * math.log(depth + 1) - depth * math.log(depth)
    low, high = np.full(log_x.shape, -750.0), np.full(log_x.shape, 40.0)
    for _ in range(64):
        middle = (low + high) / 2
        up = _at(middle, depth)[0] < log_x
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    inside = log_x < edge
    return np.where(inside, _at((low + high) / 2, depth)[1] + log_x, -np.inf)


def _at(t: Array, depth: int) -> tuple[Array, Array]:
    """ln x and ln rho at psi = pi/(1 + exp(-t)), where psi = pi - (L + 1) phi."""
    psi, rest = math.pi / (1 + np.exp(-t)), math.pi / (1 + np.exp(t))
    phi = rest / (depth + 1)
    # sin psi = sin((L + 1) phi) and sin(psi + phi) = sin(L phi): of each, the accurate one.
    log_whole = np.log(np.sin(np.minimum(psi, rest)))
    log_most = np.log(np.sin(np.where(psi < rest, psi + phi, depth * phi)))
    log_one = np.log(np.sin(phi))
    log_x = (depth + 1) * log_whole - log_one - depth * log_most
    log_rho = 2 * log_one + (depth - 1) * log_most - depth * log_whole - math.log(math.pi)
    return log_x, log_rho


def fuss_catalan_density(x: ArrayLike, depth: int) -> NDArray[np.float64]:
    """Density of the squared singular values of `depth` large square Gaussian matrices.

    With Var W_ij = 1/n. In the parameter 0 < phi < pi/(L + 1),
    x = sin^(L+1)((L+1) phi)/(sin phi sin^L(L phi)) and
    rho = sin^2(phi) sin^(L-1)(L phi)/(pi sin^L((L+1) phi)). One layer: the Marchenko-Pastur law.

    Parameters
    ----------
    x : array_like
        Finite and > 0.
    depth : int
        L >= 1.

    Returns
    -------
    ndarray
        0 beyond the edge (L+1)^(L+1)/L^L; relative accuracy 1e-12 away from it.

    Raises
    ------
    ValueError
        If an x is not finite and positive, or depth < 1.

    Examples
    --------
    >>> fuss_catalan_density([1.0, 5.0], 1).round(8)
    array([0.27566445, 0.        ])
    """
    if depth < 1:
        raise ValueError(f"depth must be >= 1, got {depth}")
    at = np.asarray(x, dtype=float)
    if not (np.isfinite(at) & (at > 0)).all():
        raise ValueError(f"x must be finite and > 0, got {x!r}")
    log_x = np.log(at)
    found: Array = np.exp(log_fuss_catalan(log_x, depth) - log_x)
    return found
