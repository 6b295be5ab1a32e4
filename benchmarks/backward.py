"""Speed and memory of the way up and back, of pairs and of batches, as ratios in one run.

Run with `make bench-details`; `--full` also runs a million units through ten thousand layers
(minutes). PyTorch is a contender where it is installed.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
import sys

import numpy as np
from turns import TURNS, Work, measure, peak_memory, ratio, say, seconds

import varprop
from varprop._core import SIMD
from varprop.bench.numpy_matrix_free import both_ways
from varprop.resources import resolve_threads

DEPTH, WIDTH = 200, 1000
THREADS = min(2, resolve_threads(-1))
BATCHES = (2, 4, 8, 16, 32, 64, 128)
WIDTHS = (10**3, 10**4, 10**5, 10**6)


def run(threads: int = 1, **more: object) -> Work:
    options = {"depth": DEPTH, "width": WIDTH, "trials": 100, "act": "relu", "scheme": "he"} | more
    return lambda: varprop.simulate(threads=threads, **options)


def reference() -> object:
    """A shallow one: the time of a layer of drawn weights does not depend on how many there are."""
    return varprop.reference.simulate(depth=DEPTH // 10, width=WIDTH, trials=1)


def per_trial() -> None:
    """The way back, and pairs, over the way up; and the others over both ways."""
    forward = {"backward": False}
    each = {
        "up": (run(**forward), 100),
        "up and back": (run(), 100),
        "pair up": (run(correlation=0.5, **forward), 100),
        "pair up and back": (run(correlation=0.5), 100),
        "up and back, all threads": (run(THREADS, trials=1000), 1000),
        "reference": (reference, 1 / 10),
        "same algorithm": (both_ways(DEPTH, WIDTH, trials=32), 32),
    }
    if importlib.util.find_spec("torch"):
        from contenders import pytorch

        each["PyTorch"] = (pytorch.both_ways(DEPTH, WIDTH, trials=1), 1)
    t = measure(each)
    for name, times in t.items():
        say(f"  ({name})", f"{1e3 * statistics.median(times):10,.3f} ms a trial", "")
    say("up and back / up", ratio(t["up and back"], t["up"]), "at most 3")
    say("a pair / one input, up", ratio(t["pair up"], t["up"]), "at most 3")
    both = ratio(t["pair up and back"], t["up and back"])
    say("a pair / one input, up and back", both, "at most 3")
    ours = t["up and back, all threads"]
    say(
        "reference (NumPy, drawn matrices) / ours, up and back",
        ratio(t["reference"], ours),
        "5,000",
    )
    if "PyTorch" in t:
        say("PyTorch / ours, up and back", ratio(t["PyTorch"], ours), "1,500")
    else:
        say("PyTorch / ours, up and back", "PyTorch is not installed", "1,500")
    say("same algorithm in NumPy / ours, up and back", ratio(t["same algorithm"], ours), "10")
    say("  the same, 1 thread", ratio(t["same algorithm"], t["up and back"]), "")


def batches() -> None:
    """Time against the number of inputs B, and the exponent between two B."""
    for width, depth, backward in ((1000, 50, False), (1000, 20, True), (10**4, 20, False)):
        ways = "up and back" if backward else "up"
        print(f"\nB inputs, {ways}, width {width:,}, depth {depth}: time over that of B = 2")
        x = np.random.default_rng(1).standard_normal((max(BATCHES), width))
        contenders = {
            str(b): (run(x=x[:b], width=width, depth=depth, trials=n, backward=backward), n)
            for b in BATCHES
            for n in (max(1, 10**6 // (b * b * width)),)
        }
        t = measure(contenders, turns=3)
        logs = [math.log(statistics.median(each)) for each in t.values()]
        for i, b in enumerate(BATCHES):
            local = (logs[i] - logs[i - 1]) / math.log(2) if i else math.nan
            slope = f"exponent {local:.2f}" if i else ""
            say(f"  B = {b}", ratio(t[str(b)], t["2"]), slope)
        exponent = np.polyfit(np.log(BATCHES), logs, 1)[0]
        say("  exponent fitted to all", f"{exponent:10,.2f}", "at most 2")


def scaling() -> None:
    print("\nup and back: time per unit and layer, relative to width 1000, depth 200")
    shapes = ((10**3, DEPTH, 200), (10**4, DEPTH, 20), (10**5, DEPTH, 2), (10**6, 20, 2),
              (10**3, 20, 2000), (10**3, 20000, 2))  # fmt: skip
    t = measure(
        {
            f"  width {width:>9,}, depth {depth:>6,}": (
                run(width=width, depth=depth, trials=trials), width * depth * trials
            )
            for width, depth, trials in shapes
        }
    )  # fmt: skip
    base = next(iter(t.values()))
    for name, each in t.items():
        say(name, ratio(each, base), "0.90 to 1.10")


def memory(depth: int) -> None:
    script = f"varprop.simulate(depth={depth}, width=10**6, trials=1)"
    peaks: list[float] = []
    time = seconds(lambda: peaks.append(peak_memory(script)))
    print(f"\none trial of width 10^6, depth {depth:,}, up and back")
    say("  peak memory", f"{peaks[0]:10.1f} MB above the import", "500 MB")
    say("  time, with two starts of Python", f"{time:10.1f} s", "")


def main() -> None:
    print(f"varprop {varprop.__version__}, {SIMD}, NumPy {np.__version__}, {THREADS} threads")
    print(f"relu, depth {DEPTH}, width {WIDTH}; median of {TURNS} turns (smallest to largest)\n")
    print(f"{'ratio':<55}{'measured':<34}goal")
    per_trial()
    batches()
    scaling()
    memory(300)
    if "--full" in sys.argv[1:]:
        memory(10_000)


if __name__ == "__main__":
    main()
