"""Speed of `RandomMatrix` and `Jacobian`, against drawing the matrix with NumPy.

Run with `make bench`. Contenders take turns; each figure is the median over the turns, with its
smallest and largest value.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from varprop import Jacobian, Network, RandomMatrix

TURNS = 7
SIZE = 4000
QUERIES = 32


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def drawn(size: int) -> Callable[[], object]:
    x, rng = np.ones(size), np.random.default_rng(1)
    return lambda: (rng.standard_normal((size, size)) / size**0.5) @ x


def first(size: int, law: str = "gaussian") -> Callable[[], object]:
    x = np.ones(size)
    return lambda: RandomMatrix(size, size, 1.0, law) @ x


def several(size: int, queries: int) -> Callable[[], object]:
    x = np.random.default_rng(2).standard_normal((size, queries))
    return lambda: RandomMatrix(size, size, 1.0) @ x


def both_ways(width: int) -> Callable[[], object]:
    net, x = Network(5, width=width, act="tanh", sigma_w=1.5), np.ones(width)

    def work() -> None:
        jacobian = Jacobian(net)
        jacobian.T @ (jacobian @ x)

    return work


def measure(contenders: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each contender, every one once in every turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for work in contenders.values():
        work()
    for _ in range(TURNS):
        for name, work in contenders.items():
            times[name].append(seconds(work))
    return times


def ratio(over: list[float], under: list[float], factor: float = 1.0) -> str:
    each = [factor * a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(each):10,.2f}  ({min(each):,.2f} to {max(each):,.2f})"


def main() -> None:
    print(f"{'ratio':<55}{'measured':<34}goal")
    t = measure(
        {
            "drawn": drawn(SIZE),
            "gaussian": first(SIZE),
            "haar": first(SIZE, "haar"),
            "several": several(SIZE, QUERIES),
            "twice": several(SIZE, 2 * QUERIES),
            "wide": first(100 * SIZE),
            "Jacobian": both_ways(SIZE),
        }
    )
    lines = [
        (f"NumPy, drawn {SIZE} x {SIZE} / first query", "drawn", "gaussian", 1.0, "200"),
        ("the same, Haar", "drawn", "haar", 1.0, ""),
        (f"NumPy, drawn / {QUERIES} queries", "drawn", "several", 1.0, "10"),
        (f"{2 * QUERIES} queries / {QUERIES} queries", "twice", "several", 1.0, "at most 4"),
        ("a unit's time, width 400,000 / 4,000", "wide", "gaussian", 0.01, "at most 1.5"),
        ("NumPy, 5 drawn / Jacobian of depth 5, both ways", "drawn", "Jacobian", 5.0, "100"),
    ]
    for what, over, under, factor, goal in lines:
        print(f"{what:<55}{ratio(t[over], t[under], factor):<34}{goal}", flush=True)


if __name__ == "__main__":
    main()
