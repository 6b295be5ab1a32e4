"""Lyapunov exponents: how fast the singular values of a deep product grow, one by one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

__all__ = ["lyapunov_exponents"]


def lyapunov_exponents(width: int, sigma_w: float = 1.0) -> NDArray[np.float64]:
    """Lyapunov exponents of a product of Gaussian matrices, Var W_ij = sigma_w^2/n.

    The i-th largest singular value of W_L ... W_1 is exp(L lambda_i) to leading order in L, at a
    fixed width n: lambda_i = ln sigma_w + (psi((n - i + 1)/2) + ln(2/n))/2 (Newman 1986, Commun.
    Math. Phys. 103, 121). Their sum is E ln|det W|. As n grows, exp(2 lambda) becomes uniform on
    (0, sigma_w^2), so that exp(lambda) has the density 2 s/sigma_w^2: the "triangle law".

    Parameters
    ----------
    width : int
        n >= 1.
    sigma_w : float
        Finite and > 0. Default 1.

    Returns
    -------
    ndarray, (width,)
        lambda_1 > ... > lambda_n.

    Raises
    ------
    ValueError
        If width < 1, or sigma_w is not finite and positive.

    Examples
    --------
    >>> lyapunov_exponents(2).round(6)
    array([-0.288608, -0.981755])
    """
    if int(width) != width or width < 1:
        raise ValueError(f"width must be a whole number >= 1, got {width!r}")
    if not (math.isfinite(sigma_w) and sigma_w > 0):
        raise ValueError(f"sigma_w must be finite and > 0, got {sigma_w!r}")
    freedom = np.arange(width, 0, -1, dtype=float)
    found: NDArray[np.float64] = (digamma(freedom / 2) + math.log(2 / width)) / 2
    return found + math.log(sigma_w)
