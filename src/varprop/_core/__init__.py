"""The compiled engines, in the widest instruction set that this machine has.

``VARPROP_SIMD=baseline|v3|v4`` chooses by hand. The numbers are the same in all three.
"""

import importlib
import os

from varprop._core import cpu
from varprop._core.build_info import LEVELS

_HAS = {"baseline": 1, "v3": 3, "v4": 4}


def _choose(wish: str | None) -> str:
    able = [name for name in LEVELS if _HAS[name] <= cpu.level()]
    if not wish:
        return able[-1]
    if wish not in _HAS:
        raise ImportError(f"VARPROP_SIMD={wish!r} is not an instruction set; use {', '.join(_HAS)}")
    if wish not in able:
        raise ImportError(
            f"VARPROP_SIMD={wish!r} can't run here; this build and machine have {', '.join(able)}"
        )
    return wish


SIMD = _choose(os.environ.get("VARPROP_SIMD"))
batch = importlib.import_module(f"varprop._core.batch_{SIMD}")
kernels = importlib.import_module(f"varprop._core.kernels_{SIMD}")
matrix_free = importlib.import_module(f"varprop._core.matrix_free_{SIMD}")
matrix_free_back = importlib.import_module(f"varprop._core.matrix_free_back_{SIMD}")
dense = importlib.import_module(f"varprop._core.dense_{SIMD}")
dense_back = importlib.import_module(f"varprop._core.dense_back_{SIMD}")
transcript = importlib.import_module(f"varprop._core.transcript_{SIMD}")

__all__ = [
    "SIMD",
    "batch",
    "dense",
    "dense_back",
    "kernels",
    "matrix_free",
    "matrix_free_back",
    "transcript",
]
