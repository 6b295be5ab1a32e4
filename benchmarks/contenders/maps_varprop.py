"""The maps of `varprop.theory`."""

from collections.abc import Callable

import numpy as np

from varprop import theory
from varprop.theory.tabulated import tabulated


def variance(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    k = np.array(ks)
    return lambda: theory.variance_map(act)(k)


def gradient(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    k = np.array(ks)
    return lambda: theory.gradient_map(act)(k)


def correlation(act: str, ks: list[float], rho: float) -> Callable[[], np.ndarray]:
    k = np.array(ks)
    return lambda: theory.kernel(act)(k, k, rho * k)


def forget(act: str, ks: list[float]) -> Callable[[], np.ndarray]:
    """The variance map with nothing tabulated yet."""
    k = np.array(ks)

    def work() -> np.ndarray:
        tabulated.cache_clear()
        return theory.variance_map(act)(k)

    return work
