"""Speed and memory of the forward engines, as ratios measured side by side in one run.

Run with `make bench`. Contenders take turns, so that a busy machine slows all of them alike; each
figure is the median over the turns, with its smallest and largest value.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from turns import TURNS, measure, peak_memory, ratio, say, seconds

import varprop
from varprop._core import SIMD, kernels
from varprop.resources import resolve_threads

DEPTH, WIDTH = 200, 1000
THREADS = min(2, resolve_threads(-1))


def run(act: str = "relu", threads: int = THREADS, **more: object) -> Callable[[], object]:
    options = {"depth": DEPTH, "width": WIDTH, "trials": 1000, "scheme": "he", **more}
    return lambda: varprop.simulate(act=act, threads=threads, **options)


def fill(single: bool = False) -> Callable[[], object]:
    """The normals of 100 trials, and nothing else, in one thread."""
    return lambda: kernels.fill_repeatedly(100 * DEPTH * WIDTH // 256, 256, single=single)


def fill_law(law: str, shape: float = 0.0) -> Callable[[], object]:
    """As many weights of one law, in tiles of the dense engine's size."""
    return lambda: kernels.fill_repeatedly(5000, 1024, law, single=True, shape=shape)


def numpy_normals(dtype: type) -> Callable[[], object]:
    rng, room = np.random.default_rng(1), np.empty(4096, dtype)

    def work() -> None:
        for _ in range(500):
            rng.standard_normal(out=room, dtype=dtype)

    return work


# name -> (work, number of units of it)
PER_TRIAL = {
    "reference (NumPy, drawn matrices)": (lambda: _reference(), DEPTH / 4),
    "matrix-free relu": (run(trials=1000), 1000 * DEPTH),
    "matrix-free relu, 1 thread": (run(threads=1, trials=500), 500 * DEPTH),
    "matrix-free tanh": (run("tanh", trials=500), 500 * DEPTH),
    "matrix-free gelu": (run("gelu", trials=500), 500 * DEPTH),
    "dense": (run(engine="dense", trials=2), 2 * DEPTH),
    "dense, uniform weights": (run(scheme="torch", sigma_b=0.0, trials=4), 4 * DEPTH),
    "filling its normals, 1 thread": (fill(), 100 * DEPTH),
}
NORMALS = {
    "kernel float64": (fill(), 100 * DEPTH * WIDTH),
    "kernel float32": (fill(single=True), 100 * DEPTH * WIDTH),
    "NumPy float64": (numpy_normals(np.float64), 500 * 4096),
    "NumPy float32": (numpy_normals(np.float32), 500 * 4096),
}
LAWS = {
    "normal": (fill_law("normal"), 5000 * 1024),
    "uniform": (fill_law("uniform"), 5000 * 1024),
    "truncated_normal": (fill_law("truncated_normal"), 5000 * 1024),
    "rademacher": (fill_law("rademacher"), 5000 * 1024),
    "student_t(5)": (fill_law("student_t", 5.0), 5000 * 1024),
    "sparse(0.1)": (fill_law("sparse", 0.1), 5000 * 1024),
}
DENSE = {law: (run(scheme=f"{law}, 2/fan_in", engine="dense", trials=2), 2 * DEPTH) for law in LAWS}
WIDE = {
    "1 thread": (run(threads=1, width=10**6, depth=20, trials=1), 1),
    "2 threads": (run(threads=2, width=10**6, depth=20, trials=1), 1),
}


def _reference() -> None:
    varprop.reference.simulate(depth=DEPTH // 4, width=WIDTH, trials=1)


def main() -> None:
    print(f"varprop {varprop.__version__}, {SIMD}, NumPy {np.__version__}, {THREADS} threads")
    print(f"depth {DEPTH}, width {WIDTH}; median of {TURNS} turns (smallest to largest)\n")
    print(f"{'ratio':<55}{'measured':<34}goal")
    t = measure(PER_TRIAL)
    reference, limit = t["reference (NumPy, drawn matrices)"], t["filling its normals, 1 thread"]
    for name in ("relu", "tanh", "gelu"):
        say(f"reference / matrix-free {name}", ratio(reference, t[f"matrix-free {name}"]),
            "10,000 (aim 20,000)" if name == "relu" else "")  # fmt: skip
    say("reference / dense", ratio(reference, t["dense"]), "10")
    say("reference / dense, uniform", ratio(reference, t["dense, uniform weights"]), "")
    one = t["matrix-free relu, 1 thread"]
    say("matrix-free relu / filling, 1 thread", ratio(one, limit), "at most 1.5")
    say("1 thread / 2 threads, 1000 trials", ratio(one, t["matrix-free relu"]), "1.85")
    wide = measure(WIDE)
    say("1 thread / 2 threads, 1 trial, width 10^6", ratio(*wide.values()), "1.85")
    normals = measure(NORMALS)
    for kind, goal in (("float64", "5"), ("float32", "8")):
        figure = ratio(normals[f"NumPy {kind}"], normals[f"kernel {kind}"])
        say(f"NumPy / kernel, normals, {kind}", figure, f"{goal} (AVX-512)")

    print("\nlaws: time relative to normal weights, of drawing alone and of the dense engine")
    drawn, used = measure(LAWS), measure(DENSE)
    for law in LAWS:
        each = 1e9 * statistics.median(drawn[law])
        say(f"  {law}, {each:.2f} ns a weight", ratio(drawn[law], drawn["normal"]), "")
        say(f"  {law}, dense engine", ratio(used[law], used["normal"]), "")

    print("\nscaling: time per unit and layer, relative to width 1000, depth 200")
    grid = {
        f"width {width:>8,}, depth {depth:>6,}": (
            run(width=width, depth=depth, trials=trials, threads=1), trials * depth * width
        )
        for width, depth, trials in (
            (1000, 200, 500), (100, 200, 5000), (10**4, 200, 50), (10**5, 200, 5),
            (10**6, 200, 1), (1000, 20, 5000), (1000, 2000, 50), (1000, 20000, 5),
        )
    }  # fmt: skip
    times = measure(grid)
    base = next(iter(times.values()))
    for name, each in times.items():
        say(f"  {name}", ratio(each, base), "")

    print("\nmemory and start-up")
    peak = peak_memory("varprop.simulate(depth=1000, width=10**6, trials=1)")
    say("width 10^6, depth 1000, one trial", f"{peak:10.1f} MB above the import", "300 MB")
    starts = [
        seconds(lambda: subprocess.run([sys.executable, "-c", "import varprop"], check=True))
        - seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
        for _ in range(TURNS)
    ]
    say("import varprop", f"{statistics.median(starts):10.3f} s", "0.25 s")


if __name__ == "__main__":
    main()
