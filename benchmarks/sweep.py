"""Speed of sweeps and phase diagrams: what they cost beside the simulations themselves.

Run with `make bench`; a number of cells along each axis may be given for the phase diagram, as in
``python benchmarks/sweep.py 10``. Contenders take turns; each figure is the median over the turns,
with its smallest and largest value.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from turns import measure, peak_memory, ratio, say, seconds

import varprop

TURNS = 3
CELLS = 50
NET: dict[str, Any] = {"act": "tanh", "width": 1000, "depth": 100, "trials": 20}
AXES: dict[str, list[float]] = {
    "sigma_w": np.linspace(0.5, 3.0, 20).tolist(),
    "sigma_b": np.linspace(0.1, 1.0, 10).tolist(),
}

# A piece for each of 10^5 cells, handed out and taken back with nothing done in between.
SCHEDULE = """
from concurrent.futures import ThreadPoolExecutor
from varprop import sweep_executors, sweep_pieces
from varprop.sweep import _task
sweep_pieces.GOAL = 1.0
axes = {"sigma_w": [1 + i / 500 for i in range(500)], "seed": list(range(200))}
plan = sweep_pieces.Plan.of(sweep_pieces.Grid.of({"depth": 2, "width": 9} | axes, 1))
tasks = ((piece, _task(plan, piece, 1)) for piece in plan.pieces)
with ThreadPoolExecutor(2) as pool:
    done = sum(1 for _ in sweep_executors.run_all(pool, len, tasks))
assert done == 100_000
"""


def bare(threads: int = 1) -> None:
    for sigma_w, sigma_b in product(*AXES.values()):
        varprop.simulate(sigma_w=sigma_w, sigma_b=sigma_b, threads=threads, **NET)


def stored() -> None:
    with tempfile.TemporaryDirectory() as folder:
        varprop.sweep(**NET, **AXES, threads=1, store=Path(folder, "a.zarr"))


def overhead() -> None:
    times = measure(
        {
            "bare": (bare, 1),
            "sweep": (lambda: varprop.sweep(**NET, **AXES, threads=1), 1),
            "stored": (stored, 1),
        },
        TURNS,
    )
    say("sweep in memory / its simulations", ratio(times["sweep"], times["bare"]), "1.05")
    say("sweep into a store / its simulations", ratio(times["stored"], times["bare"]), "1.05")


def dask() -> None:
    rates: dict[int, list[float]] = {1: [], 2: []}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as two, LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as one:  # fmt: skip
        for turn in range(TURNS + 1):
            for workers, cluster in ((1, one), (2, two)):
                with Client(cluster) as client:
                    taken = seconds(lambda: varprop.sweep(**NET, **AXES, executor=client))
                if turn:  # the first imports
                    rates[workers].append(taken)
    say("one Dask worker / two, the same sweep", ratio(rates[1], rates[2]), "1.7")


def diagram(cells: int) -> None:
    axes = {"sigma_w": np.linspace(0.5, 3.0, cells), "sigma_b": np.linspace(0.0, 1.0, cells)}
    taken = seconds(lambda: varprop.phase_diagram(**NET, **axes, stderr=None))
    networks = cells**2 * NET["trials"]
    plain = statistics.median(
        seconds(lambda: varprop.simulate(sigma_w=1.5, sigma_b=0.3, correlation=0.5, **NET))
        for _ in range(3)
    )
    whole = taken * CELLS**2 / cells**2
    say(f"phase diagram of {cells} x {cells} cells, {networks:,} networks", f"{taken:.1f} s", "")
    say(f"  so {CELLS} x {CELLS} take", f"{whole:.0f} s", "60 s on 2 cores")
    say("  over its simulations", f"{taken / (plain * cells**2):.2f}", "1.05")


def main() -> None:
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else CELLS
    say("tanh, width 1000, depth 100, 20 networks a cell", "measured", "goal")
    overhead()
    diagram(cells)
    dask()
    say("memory of 100,000 pieces", f"{peak_memory(SCHEDULE):.0f} MB", "500 MB")


if __name__ == "__main__":
    main()
