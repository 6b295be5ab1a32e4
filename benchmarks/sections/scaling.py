"""Time and memory against width, depth, networks and threads, with fitted exponents."""

from __future__ import annotations

from typing import Any

import numpy as np
from turns import peak_memory

from varprop.bench import compiled, numpy_drawn
from varprop.bench.turns import Work, measure
from varprop.resources import resolve_threads

UNITS = 2 * 10**7  # units of layers in a portion: about 0.1 s


def run(quick: bool) -> dict[str, Any]:
    turns = 2 if quick else 5
    times = {
        "width": measure(_widths((100, 1000, 10**4, 10**5, 10**6)), turns),
        "depth": measure(_depths((10, 100, 1000, 10**4)), turns),
        "networks": measure(_networks((10, 100, 1000, 10**4)), turns),
        "threads": measure(_threads(), turns),
        "width, NumPy drawn": measure(_drawn((100, 300, 1000, 3000)), turns),
    }
    exponents = {name: _exponent(each) for name, each in times.items() if name != "threads"}
    return {"times": times, "exponents": exponents, "memory": _memory(quick)}


def _widths(widths: tuple[int, ...]) -> dict[str, tuple[Work, float]]:
    """Seconds of a network of 20 layers, up and back."""
    found: dict[str, tuple[Work, float]] = {}
    for width in widths:
        trials = max(1, UNITS // (20 * width))
        found[str(width)] = compiled.both_ways(20, width, trials), trials
    return found


def _depths(depths: tuple[int, ...]) -> dict[str, tuple[Work, float]]:
    """Seconds of a network of width 1000, up and back."""
    found: dict[str, tuple[Work, float]] = {}
    for depth in depths:
        trials = max(2, UNITS // (depth * 1000))
        found[str(depth)] = compiled.both_ways(depth, 1000, trials), trials
    return found


def _networks(trials: tuple[int, ...]) -> dict[str, tuple[Work, float]]:
    """Seconds of a call, width 100 and depth 20."""
    return {str(n): (compiled.both_ways(20, 100, n), 1) for n in trials}


def _threads() -> dict[str, tuple[Work, float]]:
    """Seconds of 1000 networks (depth 200, width 1000), and of one of width 10^6."""
    found: dict[str, tuple[Work, float]] = {}
    for threads in range(1, min(4, resolve_threads(-1)) + 1):
        found[f"1000 networks, {threads}"] = (
            compiled.forward(200, 1000, 250, threads=threads),
            1 / 4,
        )
        found[f"one, width 1,000,000, {threads}"] = (
            compiled.forward(10, 10**6, 1, threads=threads),
            1,
        )
    return found  # fmt: skip


def _drawn(widths: tuple[int, ...]) -> dict[str, tuple[Work, float]]:
    """Seconds of a layer."""
    found: dict[str, tuple[Work, float]] = {}
    for width in widths:
        trials = max(1, 10**6 // width**2)
        found[str(width)] = numpy_drawn.forward(1, width, trials), trials
    return found


def _exponent(times: dict[str, list[float]]) -> float:
    sizes = [float(size) for size in times]
    medians = [float(np.median(each)) for each in times.values()]
    return float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])


def _memory(quick: bool) -> dict[str, float]:
    """MB above what importing takes, of a process that runs one call."""
    calls = {
        "width 10^6, depth 10": "depth=10, width=10**6, trials=1",
        "width 10^6, depth 100": "depth=100, width=10**6, trials=1",
        "width 1000, depth 10^4": "depth=10**4, width=1000, trials=1",
        "width 100, depth 20, 10^4 networks": "depth=20, width=100, trials=10**4",
    }
    if quick:
        del calls["width 10^6, depth 100"]
    found = {name: peak_memory(f"varprop.simulate({call})") for name, call in calls.items()}
    drawn = "from varprop.bench.numpy_drawn import forward; forward(1, 10**4, 1)()"
    return found | {"NumPy, drawn: width 10^4": peak_memory(drawn)}
