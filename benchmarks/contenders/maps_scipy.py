"""The maps as a SciPy user would compute them: `quad` over the density, `dblquad` for pairs."""

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import dblquad, quad
from scipy.special import erf, expit, ndtr

PACKAGES = ("scipy",)


def elu(x: float) -> float:
    return x if x > 0 else math.expm1(x)


def density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "gelu": lambda x: x * ndtr(x),
    "erf": erf,
    "silu": lambda x: x * expit(x),
    "elu": elu,
}
SLOPES: dict[str, Callable[[float], float]] = {
    "relu": lambda x: float(x > 0),
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "gelu": lambda x: ndtr(x) + x * density(x),
    "erf": lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    "silu": lambda x: expit(x) * (1 + x * (1 - expit(x))),
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
}


def _mean(f: Callable[[float], float], k: float) -> float:
    return quad(lambda z: f(math.sqrt(k) * z) ** 2 * density(z), -np.inf, np.inf)[0]


def variance(act: str, ks: list[float]) -> Callable[[], list[float]]:
    return lambda: [_mean(ACTIVATIONS[act], k) for k in ks]


def gradient(act: str, ks: list[float]) -> Callable[[], list[float]]:
    return lambda: [_mean(SLOPES[act], k) for k in ks]


def correlation(act: str, ks: list[float], rho: float) -> Callable[[], list[float]]:
    f, rest = ACTIVATIONS[act], math.sqrt(1 - rho * rho)

    def mean(k: float) -> float:
        s = math.sqrt(k)
        return dblquad(
            lambda v, u: f(s * u) * f(s * (rho * u + rest * v)) * density(u) * density(v),
            -8, 8, -8, 8,
        )[0]  # fmt: skip

    return lambda: [mean(k) for k in ks]
