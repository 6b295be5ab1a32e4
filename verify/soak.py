"""An hour of everything, without growth: ``python -m verify.soak --minutes 60``.

Calls of all engines, operators, files and the theory in turn; resident memory, open files, threads
and temporary files are noted after a tenth of the time and at the end.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

import varprop
from varprop import theory
from verify.processes import CALLS
from verify.report import Report

ALLOWED = 2e-2  # growth of resident memory, as a share, and 8 MiB beside


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _once(rng: random.Random, folder: str) -> None:
    """One call of some kind, its size drawn."""
    match rng.randint(0, 5):
        case 0 | 1 | 2:
            CALLS[rng.choice(list(CALLS))]()
        case 3:
            path = f"{folder}/run.varprop"
            varprop.simulate(
                depth=rng.randint(1, 30), width=rng.randint(2, 300), trials=rng.randint(1, 40),
                act=rng.choice(["relu", "gelu", "x*cos(x)"]), seed=rng.getrandbits(60),
            ).save(path)  # fmt: skip
            assert not np.isnan(varprop.load(path).rows.log_activation).any()
        case 4:
            theory.predict(varprop.Network(rng.randint(1, 300), act=rng.choice(["tanh", "silu"]),
                                           sigma_w=rng.uniform(0.5, 2)))  # fmt: skip
        case _:
            with suppress(ValueError, MemoryError):
                varprop.simulate(depth=rng.choice([0, -1, 10**9]), trials=10**9, act="relu")


def main() -> None:
    """Until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    report, rng = Report("soak"), random.Random(0)
    end = time.monotonic() + 60 * asked.minutes
    warm = time.monotonic() + 6 * asked.minutes
    before: tuple[int, int, int] | None = None
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            _once(rng, folder)
            report.count("calls")
            if before is None and time.monotonic() > warm:
                before = (_resident(), len(os.listdir("/proc/self/fd")), threading.active_count())
        after = (_resident(), len(os.listdir("/proc/self/fd")), threading.active_count())
        report.check(len(os.listdir(folder)) <= 1, f"files left: {os.listdir(folder)}")
    assert before is not None
    print(f"  resident {before[0] / 2**20:.1f} -> {after[0] / 2**20:.1f} MiB, "
          f"files {before[1]} -> {after[1]}, threads {before[2]} -> {after[2]}")  # fmt: skip
    report.check(after[0] <= before[0] * (1 + ALLOWED) + 8 * 2**20, "memory grew")
    report.check(after[1:] == before[1:], "files or threads grew")
    report.close()


if __name__ == "__main__":
    main()
