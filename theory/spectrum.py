"""Singular values of a deep network's input-output Jacobian, from free probability.

`spectrum` gives the law of large width; `jacobian_moments` exact second moments at finite width;
`lyapunov_exponents` what depth does at a fixed width; `isometry` how to keep it off. The
S-transforms behind it are in `varprop.theory.spectra.s_transform`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

from .fixed_point import fixed_point
from .spectra.finite import JacobianMoments, jacobian_moments
from .spectra.fuss_catalan import fuss_catalan_density
from .spectra.isometry import Isometry, isometry
from .spectra.law import Spectrum
from .spectra.lyapunov import lyapunov_exponents
from .spectra.mask import mask

__all__ = [
    "Isometry",
    "JacobianMoments",
    "Spectrum",
    "fuss_catalan_density",
    "isometry",
    "jacobian_moments",
    "lyapunov_exponents",
    "spectrum",
]

Array = NDArray[np.float64]

_WEIGHTS = ("normal", "orthogonal")


def spectrum(
    act: Any,
    depth: int,
    sigma_w: float | None = None,
    sigma_b: float = 0.0,
    weights: str = "normal",
    variance: float | Sequence[float] | None = None,
    of: str = "h",
) -> Spectrum:
    """The squared singular values of a deep network's Jacobian dh^L/dx at large width.

    All layers have the same large width, and their masks D_l = diag phi'(z^l) are free of the
    weights, with z^l ~ N(0, K^l) (Pennington, Schoenholz and Ganguli 2017 and 2018).

    Parameters
    ----------
    act : str, Activation or pair of callables
        Not one that jumps (sign, heaviside).
    depth : int
        L >= 1, at most 10^6.
    sigma_w : float, optional
        sqrt(fan_in Var W). Default: 1/sqrt(V(K)) of each layer, which keeps gradients.
    sigma_b : float
        Standard deviation of the biases; only the fixed point depends on it. Default 0.
    weights : {"normal", "orthogonal"}
        Default Gaussian.
    variance : float or sequence of float, optional
        K of all layers, or of each. Default: the fixed point at sigma_w and sigma_b. Without
        effect on linear and two-slope activations.
    of : {"h", "z"}
        The Jacobian of the last activations, dh^L/dx, or of the last pre-activations, dz^L/dx,
        which is what `varprop.spectrum` measures.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        For a value out of range, an activation that jumps, or if neither sigma_w nor variance is
        given and the masks depend on the variance. `NoFixedPoint` if there is none.

    Examples
    --------
    >>> spectrum("linear", 10).effective_rank, spectrum("linear", 10, weights="orthogonal").atoms
    (0.09090909090909091, ((1.0, 1.0),))
    """
    phi = Activation.parse(act)
    if int(depth) != depth or not 1 <= depth <= 10**6:
        raise ValueError(f"depth must be a whole number from 1 to 1000000, got {depth!r}")
    if weights not in _WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(_WEIGHTS)}, got {weights!r}")
    if of not in ("h", "z"):
        raise ValueError(f"of must be 'h' or 'z', got {of!r}")
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        least = value is None or (value > 0 if name == "sigma_w" else value >= 0)
        if not least or (value is not None and not math.isfinite(value)):
            wanted = "> 0" if name == "sigma_w" else ">= 0"
            raise ValueError(f"{name} must be finite and {wanted}, got {value!r}")
    mask(phi, 1.0)  # an activation that has no spectrum says so first
    variances = _variances(phi, int(depth), sigma_w, sigma_b, variance)
    if sigma_w is None:
        different, which = np.unique(variances, return_inverse=True)
        gains = np.array([math.exp(-mask(phi, k).log_mean) for k in different.tolist()])[which]
    else:
        gains = np.full(int(depth), float(sigma_w) ** 2)
    return Spectrum(phi, weights, variances, gains, of)


def _variances(
    phi: Activation,
    depth: int,
    sigma_w: float | None,
    sigma_b: float,
    variance: float | Sequence[float] | None,
) -> Array:
    if variance is not None:
        given = np.asarray(variance, dtype=float)
        if given.shape not in ((), (depth,)):
            raise ValueError(
                f"variance must be one number or one for each of {depth} layers, got shape "
                f"{given.shape}"
            )
        if not (np.isfinite(given) & (given >= 0)).all():
            raise ValueError(f"variance must be finite and >= 0, got {variance!r}")
        return np.full(depth, 1.0) if phi.degree == 1 else np.array(np.broadcast_to(given, depth))
    if phi.degree == 1:
        return np.full(depth, 1.0)  # the masks are the same at any
    if sigma_w is None:
        raise ValueError(
            f"the masks of {phi} depend on the variance: give sigma_w, and the fixed point is "
            "taken, or variance"
        )
    return np.full(depth, fixed_point(phi, sigma_w=sigma_w, sigma_b=sigma_b).variance)
