"""The instruction sets that this build and this machine have, each engine in each of them."""

import importlib
import os
import subprocess
import sys
from types import ModuleType

from varprop._core import cpu
from varprop._core.build_info import LEVELS

NEEDS = {"baseline": 1, "v3": 3, "v4": 4}
HERE = tuple(level for level in LEVELS if NEEDS[level] <= cpu.level())


def module(engine: str, level: str) -> ModuleType:
    """The compiled `engine` ("kernels", "matrix_free", "dense") for one instruction set."""
    return importlib.import_module(f"varprop._core.{engine}_{level}")


CODE = """
import hashlib, importlib, sys
sys.path.insert(0, sys.argv[1])
import varprop._core
room = importlib.import_module(sys.argv[2])
print(varprop._core.SIMD)
for name in room.CASES:
    print(hashlib.sha256(room.bits(room.simulate(name))).hexdigest())
"""


def require_same_bits(room: str) -> None:
    """Of a module's CASES, each set in a process of its own, picked as a user would."""
    outputs = []
    for level in HERE:
        run = subprocess.run(
            [sys.executable, "-c", CODE, os.path.dirname(__file__), room],
            env={**os.environ, "VARPROP_SIMD": level},
            capture_output=True,
            text=True,
            check=True,
        )
        found, *hashes = run.stdout.split()
        assert found == level
        outputs.append(hashes)
    cases = importlib.import_module(room).CASES
    assert all(len(hashes) == len(cases) and hashes == outputs[0] for hashes in outputs)
