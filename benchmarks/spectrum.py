"""Speed of `spectrum`, against NumPy's plain product and its SVD, which lose the small values.

Run with `make bench`. Contenders take turns; each figure is the median over the turns, with its
smallest and largest value.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from varprop import Network, spectrum

TURNS = 5
WIDTH, DEPTH, NETWORKS = 512, 50, 4
GOAL = 3.0


def plain() -> None:
    rng = np.random.default_rng(1)
    for _ in range(NETWORKS):
        product = np.eye(WIDTH)
        for _ in range(DEPTH):
            product = (rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5) @ product
        np.linalg.svd(product, compute_uv=False)


def main() -> None:
    net = Network(DEPTH, width=WIDTH, act="linear", scheme="lecun")
    times: dict[str, list[float]] = {"plain": [], "spectrum": []}
    for turn in range(TURNS + 1):
        for name, work in (
            ("plain", plain),
            ("spectrum", lambda: spectrum(net, trials=NETWORKS, depths=[DEPTH])),
        ):
            start = time.perf_counter()
            work()
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(times["plain"], times["spectrum"], strict=True)]
    print(f"{NETWORKS} networks, width {WIDTH}, depth {DEPTH}: draw, multiply, all singular values")
    for name, taken in times.items():
        print(
            f"  {name:9s} {statistics.median(taken):6.2f} s ({min(taken):.2f} to {max(taken):.2f})"
        )
    print(
        f"  ratio     {statistics.median(ratios):6.2f}   ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"goal: at most {GOAL:g}"
    )


if __name__ == "__main__":
    main()
