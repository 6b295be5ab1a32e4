"""Dynamical isometry: how small a variance keeps a deep orthogonal network's singular values
together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from varprop.activation import Activation

from ..edge import edge
from .mask import mask

__all__ = ["Isometry", "isometry"]

_SMALLEST, _LARGEST = 1e-12, 1e4


@dataclass(frozen=True)
class Isometry:
    """A point on the edge of chaos where a deep orthogonal network is nearly an isometry.

    Attributes
    ----------
    act : Activation
    depth : int
    relative_variance : float
        Of the squared singular values of the whole Jacobian.
    variance : float
        K*, the largest that allows it.
    sigma_w, sigma_b : float
        The edge of chaos at K*: chi_1 = 1.

    Examples
    --------
    >>> isometry("hardtanh", 100, 0.1).variance < isometry("hardtanh", 10, 0.1).variance
    True
    """

    act: Activation
    depth: int
    relative_variance: float
    variance: float
    sigma_w: float
    sigma_b: float


def isometry(act: str | Activation, depth: int, at_most: float) -> Isometry:
    """The largest K* at which J J^T of an orthogonal network spreads by no more than `at_most`.

    sigma^2 = L (mu_2/mu_1^2 - 1) falls to 0 with K* where phi' is continuous at 0 and not 0
    there, so that small biases keep any depth near isometry; ReLU's never falls (Pennington,
    Schoenholz and Ganguli 2017, arXiv 1711.04735).

    Parameters
    ----------
    act : str or Activation
    depth : int
        L >= 1.
    at_most : float
        Relative variance of the squared singular values, finite and > 0.

    Returns
    -------
    Isometry

    Raises
    ------
    ValueError
        For values out of range, an activation whose spread doesn't fall that low (relu), one that
        never spreads that far (linear), or if no bias holds the variance at K*.

    Examples
    --------
    >>> erf = isometry("erf", 100, 0.08)
    >>> round(erf.variance, 6), round(erf.relative_variance, 9)
    (0.01041, 0.08)
    """
    phi = Activation.parse(act)
    if int(depth) != depth or depth < 1:
        raise ValueError(f"depth must be a whole number >= 1, got {depth!r}")
    if not (math.isfinite(at_most) and at_most > 0):
        raise ValueError(f"at_most must be finite and > 0, got {at_most!r}")

    def excess(log_k: float) -> float:
        spread = depth * mask(phi, math.exp(log_k)).spread
        return math.log(spread / at_most) if spread > 0 else -math.inf

    grid = np.linspace(math.log(_SMALLEST), math.log(_LARGEST), 75)
    if excess(float(grid[0])) > 0:
        raise ValueError(
            f"the squared singular values of {depth} orthogonal layers of {phi} spread by more "
            f"than {at_most:g} at any variance"
        )
    above = next((k for k in map(float, grid) if excess(k) > 0), None)
    if above is None:
        raise ValueError(
            f"{phi} spreads the squared singular values by less than {at_most:g} at any "
            f"variance up to {_LARGEST:g}: there is no largest one"
        )
    low = above - float(grid[1] - grid[0])
    while math.isinf(excess(low)):
        low = (low + above) / 2
    variance = math.exp(brentq(excess, low, above, xtol=1e-14))
    curve = edge(phi)
    bias = curve.sigma_b2(variance)
    if bias < 0:
        raise ValueError(f"no bias holds {phi} at K* = {variance:.6g} on its edge of chaos")
    spread = depth * mask(phi, variance).spread
    return Isometry(phi, int(depth), spread, variance, curve.sigma_w(variance), math.sqrt(bias))
