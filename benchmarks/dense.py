"""Speed and memory of drawn weights, against NumPy and PyTorch, and against what binds them.

Run with `make bench-details`. Contenders take turns; each figure is the median over the turns,
with its smallest and largest value. PyTorch is a contender where it is installed.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable

import numpy as np
from turns import TURNS, Work, measure, peak_memory, ratio, say

import varprop
from varprop._core import SIMD, kernels
from varprop.resources import resolve_threads

DEPTH, WIDTH = 200, 1000
THREADS = min(2, resolve_threads(-1))
BATCHES = (64, 256)
LAWS = {"normal": "he", "uniform": "he_uniform"}


def run(scheme: str, threads: int = THREADS, **more: object) -> Work:
    """Up through DEPTH layers, a network for each thread."""
    options = {"depth": DEPTH, "width": WIDTH, "act": "relu", "engine": "dense"} | more
    options = {"trials": threads, "backward": False} | options
    return lambda: varprop.simulate(scheme=scheme, threads=threads, **options)


def with_torch(law: str) -> Callable[[], object]:
    """Draw a matrix in place and multiply, DEPTH times."""
    import torch

    torch.set_num_threads(THREADS)
    w, x = torch.empty(WIDTH, WIDTH), torch.ones(WIDTH)
    scale = (2 / WIDTH) ** 0.5
    end = scale * 3**0.5

    def work() -> object:
        h = x
        for _ in range(DEPTH):
            h = torch.relu((w.normal_(0, scale) if law == "normal" else w.uniform_(-end, end)) @ h)
        return h

    return work


def filling(law: str) -> Work:
    """The weights of one network, drawn tile by tile and forgotten, in one thread."""
    return lambda: kernels.fill_repeatedly(DEPTH * WIDTH * WIDTH // 1024, 1024, law, single=True)


def drawn_in_numpy(columns: int, layers: int) -> Work:
    """Draw a matrix and multiply by all columns with BLAS."""
    rng = np.random.default_rng(1)
    x = np.ascontiguousarray(rng.standard_normal((WIDTH, columns)))

    def work() -> None:
        h = x
        for _ in range(layers):
            h = np.maximum((rng.standard_normal((WIDTH, WIDTH)) * (2 / WIDTH) ** 0.5) @ h, 0)

    return work


def one_input() -> None:
    contenders: dict[str, tuple[Work, float]] = {
        "reference": (
            lambda: varprop.reference.simulate(
                depth=DEPTH // 20, width=WIDTH, act="relu", trials=1, backward=False
            ),
            1 / 20,
        )
    }
    for law, scheme in LAWS.items():
        contenders[law] = (run(scheme), THREADS)
        contenders[f"{law}, 1 thread"] = (run(scheme, 1), 1)
        contenders[f"{law}, drawn"] = (filling(law), 1)
        if importlib.util.find_spec("torch"):
            contenders[f"{law}, PyTorch"] = (with_torch(law), 1)
    t = measure(contenders)
    for name, times in t.items():
        say(f"  ({name})", f"{statistics.median(times):10.3f} s a network", "")
    say("reference (NumPy) / ours, normal", ratio(t["reference"], t["normal"]), "30")
    for law, goal in (("normal", "8"), ("uniform", "25")):
        if f"{law}, PyTorch" in t:
            say(f"PyTorch / ours, {law}", ratio(t[f"{law}, PyTorch"], t[law]), goal)
        alone, whole = t[f"{law}, drawn"], t[f"{law}, 1 thread"]
        say(f"{law}: drawing alone / engine, 1 thread", ratio(alone, whole), "")


def many_inputs() -> None:
    print("\nB inputs, up: ours over NumPy's drawing and BLAS, both with all threads")
    x = np.random.default_rng(2).standard_normal((max(BATCHES), WIDTH))
    layers = 20
    for b in BATCHES:
        t = measure(
            {
                "ours": (run("he", depth=layers, x=x[:b]), THREADS),
                "NumPy": (drawn_in_numpy(b, layers), 1),
            },
            turns=3,
        )
        say(f"  B = {b}", ratio(t["ours"], t["NumPy"]), "at most 2")


def orthogonal() -> None:
    t = measure(
        {law: (run(law, depth=20), 20) for law in ("he", "orthogonal(1.4)")},
        turns=3,
    )
    print()
    say("orthogonal / normal weights", ratio(t["orthogonal(1.4)"], t["he"]), "")


def memory() -> None:
    for scheme in ("he", "he_uniform", "orthogonal"):
        peak = peak_memory(
            f"varprop.simulate(depth=3, width=20000, scheme={scheme!r}, engine='dense', trials=1)"
        )
        say(f"width 20,000, {scheme}, up and back", f"{peak:10.1f} MB above the import", "1 GB")


def main() -> None:
    print(f"varprop {varprop.__version__}, {SIMD}, NumPy {np.__version__}, {THREADS} threads")
    print(f"relu, depth {DEPTH}, width {WIDTH}; median of {TURNS} turns (smallest to largest)\n")
    print(f"{'ratio':<55}{'measured':<34}goal")
    one_input()
    many_inputs()
    orthogonal()
    memory()


if __name__ == "__main__":
    main()
