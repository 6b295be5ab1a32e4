"""The maps of `varprop.theory`."""

from collections.abc import Callable

import numpy as np

from varprop import theory
from varprop.theory.tabulated import tabulated


def variance(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    k, found = np.array(ks), theory.variance_map(act)
    return lambda: found(k)


def gradient(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    k, found = np.array(ks), theory.gradient_map(act)
    return lambda: found(k)


def correlation(act: str, ks: list[float], rho: float) -> Callable[[], np.ndarray]:
    k, found = np.array(ks), theory.kernel(act)
    return lambda: found(k, k, rho * k)


def forget(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    """The variance map with nothing tabulated yet."""
    k = np.array(ks)

    def work() -> np.ndarray:
        tabulated.cache_clear()
        return theory.variance_map(act)(k)

    return work
