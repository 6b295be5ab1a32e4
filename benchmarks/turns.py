"""For scripts: contenders that take turns, and figures that are printed and kept.

What a script says is also in `said`, from where the section "scripts" takes it.
"""

from __future__ import annotations

import subprocess
import sys

from varprop.bench import turns
from varprop.bench.turns import TURNS, Work, measure, seconds

__all__ = ["TURNS", "Work", "measure", "peak_memory", "ratio", "said", "say", "seconds"]

said: list[tuple[str, str, str]] = []


def ratio(over: list[float], under: list[float]) -> str:
    """The median over the turns, with the smallest and the largest value."""
    each = turns.ratio(over, under)
    return f"{each.median:10,.2f}  ({each.low:,.2f} to {each.high:,.2f})"


def say(what: str, figure: str, goal: str) -> None:
    said.append((what, figure, goal))
    print(f"{what:<55}{figure:<34}{goal}", flush=True)


# Linux gives a child's ru_maxrss the size that its parent had, so the kernel's own record is read.
PEAK = """
try:
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(1024 * int(line.split()[1]))
except OSError:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(code: str) -> float:
    """Peak of a fresh process that runs `code`, over that of one that just imports, in MB."""
    peaks = []
    for body in ("pass", code):
        script = f"import varprop\n{body}\n{PEAK}"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        peaks.append(int(done.stdout))
    return (peaks[1] - peaks[0]) / 2**20
