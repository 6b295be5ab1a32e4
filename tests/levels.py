"""The instruction sets that this build and this machine have, each engine in each of them."""

import importlib
from types import ModuleType

from varprop._core import cpu
from varprop._core.build_info import LEVELS

NEEDS = {"baseline": 1, "v3": 3, "v4": 4}
HERE = tuple(level for level in LEVELS if NEEDS[level] <= cpu.level())


def module(engine: str, level: str) -> ModuleType:
    """The compiled `engine` ("kernels", "matrix_free", "dense") for one instruction set."""
    return importlib.import_module(f"varprop._core.{engine}_{level}")
