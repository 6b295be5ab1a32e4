"""Speed of the theory, in units of one NumPy tanh over the same number of points.

Run with `make bench`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import varprop
from varprop.activation import Activation
from varprop.theory import (
    derive,
    gradient_map,
    log_relative_variance,
    mean_map,
    predict,
    variance_map,
)
from varprop.theory.tabulated import tabulated

TURNS = 5
COLD = ("gelu", "elu", "erf", "hardtanh", "tanh", "softplus", "silu", "mish")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    k = np.exp(np.linspace(-18, 18, 10_000))
    u = np.linspace(-2000, 2000, 100_000)
    network = varprop.Network(1000, act="gelu", scheme="he")
    yardstick = np.linspace(-3, 3, 1_000_000)
    works: dict[str, Callable[[], object]] = {
        "yardstick: np.tanh of 10^6 numbers": lambda: np.tanh(yardstick),
        "variance map, closed (relu), 10^4 points": lambda: variance_map("relu")(k),
        "variance map, quadrature (tanh), 10^4 points": lambda: variance_map("tanh")(k),
        "ln of the map (tanh), 10^5 points": lambda: variance_map("tanh").log(u),
        "ln of the scatter (tanh), 10^5 points": lambda: log_relative_variance("tanh", u),
        "predict, depth 1000 (gelu)": lambda: predict(network),
        "derivation of ReLU's factor of 2, checked": lambda: derive("relu").check(),
    }
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(TURNS):
        for name, work in works.items():
            times[name].append(seconds(work))
    unit, *rest = (statistics.median(each) for each in times.values())
    print(f"{'work':<48}{'over the yardstick':>20}{'ms':>10}")
    for name, median in zip(works, (unit, *rest), strict=True):
        print(f"{name:<48}{median / unit:>20.2f}{1e3 * median:>10.2f}")
    cold(k)


def cold(k: np.ndarray) -> None:
    """Maps of 10^4 points with no panel made yet: ms, and how the map is known."""
    print(f"\n{'cold, 10^4 points':<16}{'Q':>8}{'V':>8}{'mean':>8}{'dQ/dK':>8}  kind of Q")
    for name in COLD:
        row = []
        for work in (variance_map, gradient_map, mean_map, lambda act: variance_map(act).slope):
            tabulated.cache_clear()
            f = work(Activation.parse(name))
            row.append(1e3 * seconds(lambda f=f: f(k)))
        kind = variance_map(name).kind
        print(f"{name:<16}" + "".join(f"{ms:>8.1f}" for ms in row) + f"  {kind}")


if __name__ == "__main__":
    main()
