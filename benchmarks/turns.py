"""Contenders that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

TURNS = 7

Work = Callable[[], object]


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(
    contenders: dict[str, tuple[Work, float]], turns: int = TURNS
) -> dict[str, list[float]]:
    """Seconds per unit of work, every contender once in every turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for work, _ in contenders.values():
        work()
    for _ in range(turns):
        for name, (work, units) in contenders.items():
            times[name].append(seconds(work) / units)
    return times


def ratio(over: list[float], under: list[float]) -> str:
    """The median over the turns, with the smallest and the largest value."""
    each = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(each):10,.2f}  ({min(each):,.2f} to {max(each):,.2f})"


def say(what: str, figure: str, goal: str) -> None:
    print(f"{what:<55}{figure:<34}{goal}", flush=True)


def peak_memory(code: str) -> float:
    """Peak of a fresh process that runs `code`, over that of one that just imports, in MB."""
    peaks = []
    for body in ("pass", code):
        script = f"import varprop, resource\n{body}\n" + (
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        peaks.append(int(done.stdout))
    return (peaks[1] - peaks[0]) / (1024 if sys.platform != "darwin" else 2**20)
