"""The headline: networks per second at depth 200 and width 1000, and the limits of the machine."""

from __future__ import annotations

from typing import Any

from contestants import CONTENDERS, MATRIX_FREE, Arena, Contender

from varprop.bench.tasks import DEPTH, FORWARD
from varprop.bench.turns import measure

WIDTH = 1000
UNITS = DEPTH * WIDTH
LIMITS = Contender("limits", "contenders.limits")
OURS = next(who for who in CONTENDERS if who.name == MATRIX_FREE)
DENSE_LAYERS, STREAM, PRODUCT = 60, 2 * 10**7, 2048


def run(quick: bool) -> dict[str, Any]:
    with Arena() as arena:
        times = {FORWARD.name: arena.race(FORWARD, 3 if quick else 9)}
        times["limits"] = _limits(arena, 3 if quick else 9)
        return {"times": times, "failed": arena.failed, "versions": arena.versions}


def _limits(arena: Arena, turns: int) -> dict[str, list[float]]:
    """One thread beside filling the same normals: seconds a network; then the machine's rates."""
    trials = 100

    def ours(act: str, threads: int = 1, **more: Any) -> Any:
        options = {"depth": DEPTH, "width": WIDTH, "trials": trials} | more
        return arena.make(OURS, "forward", act=act, threads=threads, **options)

    weights = DENSE_LAYERS * WIDTH**2
    dense = {"depth": DENSE_LAYERS, "trials": 1, "engine": "dense"}
    share = DENSE_LAYERS / DEPTH
    works = {
        "filling the normals": (arena.make(LIMITS, "normals", count=trials * UNITS), trials),
        "relu, 1 thread": (ours("relu"), trials),
        "tanh, 1 thread": (ours("tanh"), trials),
        "gelu, 1 thread": (ours("gelu"), trials),
        "relu, 2 threads": (ours("relu", threads=2, trials=4 * trials), 4 * trials),
        "filling the weights, normal": (
            arena.make(LIMITS, "normals", count=weights, single=True), share
        ),
        "dense, normal, 1 thread": (ours("relu", **dense), share),
        "filling the weights, uniform": (arena.make(LIMITS, "uniforms", count=weights), share),
        "dense, uniform, 1 thread": (ours("relu", scheme="uniform, 2/fan_in", **dense), share),
    }  # fmt: skip
    # Per byte and per multiply-add; apart from the others, for the threads of a BLAS go on
    # waiting for work, busily, after a product.
    rates = {
        "bandwidth, float64 add": (arena.make(LIMITS, "add", count=STREAM), 24.0 * STREAM),
        "multiply-adds, float32": (
            arena.make(LIMITS, "multiply_adds", size=PRODUCT, dtype="float32"), float(PRODUCT**3)
        ),
        "multiply-adds, float64": (
            arena.make(LIMITS, "multiply_adds", size=PRODUCT, dtype="float64"), float(PRODUCT**3)
        ),
    }  # fmt: skip
    return measure(works, turns) | measure(rates, turns)
