"""Speed of the theory, in units of one NumPy tanh over the same number of points.

Run with `make bench`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import varprop
from varprop.theory import derive, log_relative_variance, predict, variance_map

TURNS = 5


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


if __name__ == "__main__":
    main()
