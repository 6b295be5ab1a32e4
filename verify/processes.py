"""Processes and threads: ``python -m verify.processes [--times N]``.

After OpenMP has run: fork (also while another thread is inside an engine), spawn and forkserver
must give the same bits and never hang. Many Python threads at once, and calls nested in a
callable activation, too.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import varprop
from verify.report import Report

CALLS: dict[str, Callable[[], Any]] = {
    "matrix-free": lambda: varprop.simulate(depth=20, width=300, act="tanh", trials=9, threads=2),
    "one wide trial": lambda: varprop.simulate(depth=3, width=30000, trials=1, threads=2),
    "dense": lambda: varprop.simulate(depth=3, width=200, trials=5, scheme="torch", threads=2),
    "batch": lambda: varprop.simulate(
        depth=4, width=100, trials=4, correlation=0.5, tangents=2, histogram=True, threads=2
    ),
    "drawn batch": lambda: varprop.simulate(
        depth=4, width=90, trials=3, dropout=0.8, norm="layer", engine="dense", threads=2
    ),
    "formula": lambda: varprop.simulate(depth=5, width=99, trials=4, act="x*cos(x)", threads=2),
    "reference": lambda: varprop.simulate(depth=3, width=40, trials=3, engine="reference"),
    "spectrum": lambda: varprop.spectrum(depth=3, width=30, trials=2),
    "matrix": lambda: varprop.RandomMatrix(20000, 9000, 1.0, threads=2) @ np.ones(9000),
}


def digest(name: str) -> str:
    """Of what a call gives."""
    found = CALLS[name]()
    if isinstance(found, np.ndarray):
        arrays = [found]
    elif hasattr(found, "rows"):
        arrays = [getattr(found.rows, name) for name in found.rows.names]
    else:
        arrays = [found.log]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


QUICK = ("one wide trial", "batch", "drawn batch", "formula")


def all_digests(_: int = 0) -> dict[str, str]:
    """Of all calls."""
    return {name: digest(name) for name in CALLS}


def some_digests(_: int = 0) -> dict[str, str]:
    """Of a few that are quick."""
    return {name: digest(name) for name in QUICK}


Digests = Callable[..., dict[str, str]]


def in_processes(
    method: str, count: int, of: Digests = all_digests, seconds: float = 300
) -> list[dict[str, str]]:
    """The same from so many children; TimeoutError where one hangs."""
    with multiprocessing.get_context(method).Pool(min(2, count)) as pool:
        return pool.map_async(of, range(count)).get(seconds)


def in_threads(count: int, of: Digests = all_digests) -> list[dict[str, str]]:
    """The same from so many Python threads at once."""
    found: list[dict[str, str]] = []
    workers = [threading.Thread(target=lambda: found.append(of())) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def forked_while_busy(of: Digests = all_digests) -> list[dict[str, str]]:
    """A child made while other threads are in the middle of an engine."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            digest("one wide trial")

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        return in_processes("fork", 1, of)
    finally:
        done.set()
        for worker in workers:
            worker.join()


def nested() -> bool:
    """A simulation asked for by the activation of another one, from inside its threads."""
    inner = digest("matrix-free")
    seen: list[str] = []

    def act(x: Any) -> Any:
        if len(seen) < 4:
            seen.append("begun")
            seen[-1] = digest("matrix-free")
        return np.tanh(x)

    varprop.simulate(
        depth=2, width=50, trials=4, threads=2, act=(act, lambda x: 1 - np.tanh(x) ** 2)
    )
    return bool(seen) and all(one == inner for one in seen)


def limited(variable: str, value: str) -> int:
    """How many threads a process uses under this environment."""
    run = subprocess.run(
        [sys.executable, "-c", "import varprop.resources as r; print(r.resolve_threads())"],
        env={"PATH": "/usr/bin:/bin", variable: value}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(run.stdout)


def main() -> None:
    """All of it, so many times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    report = Report("processes")
    expected = all_digests()
    for _ in range(asked.times):
        for method in ("fork", "forkserver", "spawn"):
            for found in in_processes(method, 4):
                report.count(f"children by {method}")
                report.check(found == expected, f"{method}: {found} is not {expected}")
        for found in forked_while_busy():
            report.count("children forked while engines ran")
            report.check(found == expected, "forked while busy")
        for found in in_threads(16):
            report.count("threads at once")
            report.check(found == expected, "threads at once")
        report.check(nested(), "nested")
    report.check(limited("OMP_NUM_THREADS", "1") == 1, "OMP_NUM_THREADS")
    report.close()


if __name__ == "__main__":
    main()
