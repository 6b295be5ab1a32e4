"""The kernels by themselves, one thread, on data that stays in the cache: ns a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from contestants import Arena, Contender

from varprop._core import kernels
from varprop.activation import Activation
from varprop.bench.turns import Work, measure

LAWS = {"normal": 0.0, "uniform": 0.0, "truncated_normal": 0.0, "rademacher": 0.0,
        "student_t": 5.0, "sparse": 0.1}  # fmt: skip
ACTIVATIONS = ("relu", "tanh", "erf", "gelu", "sigmoid", "softplus")
COUNT = 2**20
DRAWS = 4096


def run(quick: bool) -> dict[str, Any]:
    turns = 3 if quick else 9
    times = {
        "normals, float64": _normals(np.float64),
        "normals, float32": _normals(np.float32),
        "laws": {law: (_fill(law, True, shape), COUNT) for law, shape in LAWS.items()},
        "activations with slopes": _activations(),
    }
    found = {name: measure(works, turns) for name, works in times.items()}
    with Arena() as arena:
        peer = Contender("PyTorch", "contenders.pytorch")
        for kind in ("float64", "float32"):
            work = arena.make(peer, "normals", count=DRAWS, times=100, dtype=kind)
            if work is not None:
                found[f"normals, {kind}"] |= measure({"PyTorch": (work, DRAWS * 100)}, turns)
        return {"times": found, "failed": arena.failed, "versions": arena.versions}


def _fill(law: str, single: bool, shape: float = 0.0) -> Work:
    size = 1024 if single else 256
    return lambda: kernels.fill_repeatedly(COUNT // size, size, law, single=single, shape=shape)


def _normals(dtype: type) -> dict[str, tuple[Work, float]]:
    """Ours beside NumPy's two generators; NumPy fills a buffer of a block, too."""
    found: dict[str, tuple[Work, float]] = {
        "varprop": (_fill("normal", dtype is np.float32), COUNT)
    }
    for bits in (np.random.SFC64, np.random.PCG64):
        rng, room = np.random.Generator(bits(1)), np.empty(DRAWS, dtype)

        def work(rng: np.random.Generator = rng, room: Any = room) -> None:
            for _ in range(64):
                rng.standard_normal(out=room, dtype=room.dtype)

        found[f"NumPy, {bits.__name__}"] = work, 64 * DRAWS
    return found


def _activations() -> dict[str, tuple[Work, float]]:
    z = np.random.default_rng(1).standard_normal(DRAWS)

    def ours(act: Activation) -> Work:
        return lambda: [kernels.activate(act.code, z) for _ in range(32)]

    found: dict[str, tuple[Work, float]] = {
        name: (ours(Activation.parse(name)), 32 * DRAWS) for name in ACTIVATIONS
    }
    plain: dict[str, Callable[[Any], Any]] = {
        "NumPy, tanh": np.tanh,
        "NumPy, exp": np.exp,
    }
    for name, f in plain.items():
        found[name] = (lambda f=f: [f(z) for _ in range(32)]), 32 * DRAWS
    return found
