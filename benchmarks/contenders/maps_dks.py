"""dks: the integrals that its transformations are solved with.

They are no public functions of its, and are for variance 1, so the activation is scaled.
"""

import math
from collections.abc import Callable

import autograd.numpy as np
import autograd.scipy.special as special
from autograd import elementwise_grad
from dks.base import activation_transform as dks

PACKAGES = ("dks",)
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "gelu": lambda x: x * 0.5 * (1 + special.erf(x / math.sqrt(2))),
    "erf": special.erf,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}


def _mean_square(f: Callable, k: float) -> float:
    s = math.sqrt(k)
    return float(dks._estimate_gaussian_mean(lambda z: f(s * z) ** 2))


def variance(act: str, ks: list[float]) -> Callable[[], list[float]]:
    return lambda: [_mean_square(ACTIVATIONS[act], k) for k in ks]


def gradient(act: str, ks: list[float]) -> Callable[[], list[float]]:
    slope = elementwise_grad(ACTIVATIONS[act])
    return lambda: [_mean_square(slope, k) for k in ks]
