"""Speed of the theory, in units of one NumPy tanh of a million numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
from turns import measure, ratio, say, seconds

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

COLD = ("gelu", "elu", "erf", "hardtanh", "tanh", "softplus", "silu", "mish")


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
    times = measure({name: (work, 1) for name, work in works.items()})
    yard = times["yardstick: np.tanh of 10^6 numbers"]
    for name, each in times.items():
        say(name, ratio(each, yard), f"{1e3 * statistics.median(each):.2f} ms")
    cold(k)


def cold(k: np.ndarray) -> None:
    """Maps of 10^4 points with no panel made yet: ms, and how the map is known."""
    print("\ncold, 10^4 points: ms of Q, V, mean, dQ/dK; kind of Q")
    for name in COLD:
        row = []
        for work in (variance_map, gradient_map, mean_map, lambda act: variance_map(act).slope):
            tabulated.cache_clear()
            f = work(Activation.parse(name))
            row.append(1e3 * seconds(lambda f=f: f(k)))
        say(f"cold: {name}", "  ".join(f"{ms:.1f}" for ms in row), variance_map(name).kind)


if __name__ == "__main__":
    main()
