"""Speed of `RandomMatrix` and `Jacobian`, against drawing the matrix with NumPy.

Contenders take turns; each figure is the median over the turns, with its
smallest and largest value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from turns import measure, ratio, say

from varprop import Jacobian, Network, RandomMatrix

SIZE = 4000
QUERIES = 32


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


def main() -> None:
    print(f"{'ratio':<55}{'measured':<34}goal")
    t = measure(
        {
            "drawn": (drawn(SIZE), 1),
            "gaussian": (first(SIZE), 1),
            "haar": (first(SIZE, "haar"), 1),
            "several": (several(SIZE, QUERIES), 1),
            "twice": (several(SIZE, 2 * QUERIES), 1),
            "wide": (first(100 * SIZE), 100),
            "drawn, each of 5": (drawn(SIZE), 1 / 5),
            "Jacobian": (both_ways(SIZE), 1),
        }
    )
    for what, over, under, goal in (
        (f"NumPy, drawn {SIZE} x {SIZE} / first query", "drawn", "gaussian", "200"),
        ("the same, Haar", "drawn", "haar", ""),
        (f"NumPy, drawn / {QUERIES} queries", "drawn", "several", "10"),
        (f"{2 * QUERIES} queries / {QUERIES} queries", "twice", "several", "at most 4"),
        ("a unit's time, width 400,000 / 4,000", "wide", "gaussian", "at most 1.5"),
        ("NumPy, 5 drawn / Jacobian of depth 5, both ways", "drawn, each of 5", "Jacobian", "100"),
    ):
        say(what, ratio(t[over], t[under]), goal)


if __name__ == "__main__":
    main()
