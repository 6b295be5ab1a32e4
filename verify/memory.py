"""Memory: what is predicted is what is taken, within a fifth: ``python -m verify.memory``.

Each case runs in a process of its own: the growth of its peak resident memory over that of a tiny
run, against what `Run.require_memory` asks for. And what needs more than there is, is refused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import varprop
from verify.report import Report

CASES = {
    "matrix-free, rows": {"depth": 2000, "width": 4, "trials": 4000},
    "matrix-free, rows and gradients": {"depth": 1000, "width": 4, "trials": 8000,
                                        "backward": True},
    "dense, kept for the way back": {"depth": 300, "width": 3000, "trials": 16,
                                     "engine": "dense"},
    "batch of inputs": {"depth": 20, "width": 40000, "x": 24, "trials": 2},
    "batch, gradients": {"depth": 10, "width": 30000, "x": 8, "cotangents": 8, "trials": 2},
    "batch, tangents": {"depth": 5, "width": 40000, "tangents": 40, "trials": 2},
    "batch, skips": {"depth": 60, "width": 40000, "residual": True, "trials": 2},
    "batch, drawn": {"depth": 40, "width": 3000, "x": 8, "engine": "dense", "trials": 2},
    "batch, drawn, one network left over": {"depth": 3, "width": 7000, "scheme": "torch",
                                            "cotangents": 30, "trials": 3},
    "batch, kernels": {"depth": 1000, "width": 16, "x": 30, "trials": 60},
    "histogram": {"depth": 3000, "width": 64, "histogram": 2000, "trials": 4},
    "reference": {"depth": 8, "width": 3500, "engine": "reference", "trials": 1},
}  # fmt: skip

TOO_MUCH: tuple[dict[str, Any], ...] = (
    {"depth": 10**6, "trials": 10**7},
    {"depth": 1, "width": 2**30, "trials": 10**4, "scheme": "torch"},
    {"depth": 5, "width": 2**30, "tangents": 100, "trials": 1},
)

_CHILD = """
import json, resource, sys
import numpy as np
import varprop
from varprop import engines
asked = json.loads(sys.argv[1])
if "x" in asked:
    asked["x"] = np.random.default_rng(0).standard_normal((asked["x"], asked["width"]))
if "residual" in asked:
    asked["residual"] = varprop.Residual(0.5)
tiny = {name: value for name, value in asked.items() if name not in ("x", "cotangents", "tangents")}
varprop.simulate(**tiny | {"depth": 2, "width": 32, "trials": 2}, threads=2)
needed = []
def require(size, *rest):
    needed.append(size)
engines.require_memory = require
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
before = peak()
result = varprop.simulate(**asked, threads=2)
print(needed[-1], peak() - before)
"""


def ratio(asked: dict[str, object]) -> tuple[int, int]:
    """Bytes predicted, and measured."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CHILD, json.dumps(asked)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    predicted, measured = map(int, run.stdout.split())
    return predicted, measured


def main() -> None:
    """All engines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    report = Report("memory")
    for name, case in CASES.items():
        if asked.only not in name:
            continue
        predicted, measured = ratio(case)
        off = predicted / measured - 1
        mebibytes = f"predicted {predicted / 2**20:.0f} MiB, measured {measured / 2**20:.0f} MiB"
        print(f"  {name}: {mebibytes} ({off:+.0%})", flush=True)
        report.count("predictions")
        report.check(abs(off) <= 0.2, f"{name}: off by {off:+.0%}")
    for case in TOO_MUCH:
        try:
            varprop.simulate(**case)
            report.fail(f"{case} was begun")
        except MemoryError:
            report.count("refused")
    report.close()


if __name__ == "__main__":
    main()
