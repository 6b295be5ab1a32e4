"""Networks per second, and how close that is to the machine's limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import figures
import tables
from contestants import MATRIX_FREE

from varprop.bench.turns import ratio

from . import Records

Times = Mapping[str, list[float]]

TEXT = """
## The headline

Depth 200, width 1000, ReLU, He: each contender measures the mean square of every layer, in all of
its threads. Peers that draw all 200 million weights are timed on the first layers of a network, for
a layer takes the same time whatever their number; varprop on all. neural-tangents gives the kernel
of the last layer only; its compilation is not counted.
"""
LIMITS = """
### How close to the limit

The matrix-free engine needs 200,000 normals for each network, the dense one 200 million weights:
filling a buffer in the cache with them, and doing nothing else, is the limit. One thread each.
"""
ROWS = (
    ("matrix-free, relu", "relu, 1 thread", "filling the normals"),
    ("matrix-free, tanh", "tanh, 1 thread", "filling the normals"),
    ("matrix-free, gelu", "gelu, 1 thread", "filling the normals"),
    ("dense, normal weights", "dense, normal, 1 thread", "filling the weights, normal"),
    ("dense, uniform weights", "dense, uniform, 1 thread", "filling the weights, uniform"),
)


def write(records: Records) -> str:
    record = records.get("headline")
    if record is None:
        return ""
    forward, limits = record["times"]["forward"], record["times"]["limits"]
    return "\n\n".join(
        (
            TEXT.strip(),
            tables.race(forward, MATRIX_FREE),
            f"![Networks per second, by contender]({figures.headline(forward)})",
            LIMITS.strip(),
            _fractions(limits),
            _machine(limits),
        )
    )


def _fractions(limits: Times) -> str:
    rows = []
    for name, ours, limit in ROWS:
        over = ratio(limits[ours], limits[limit])
        rows.append(
            [
                name, tables.duration(statistics.median(limits[ours])),
                tables.duration(statistics.median(limits[limit])),
                tables.spread(over), f"{100 / over.median:.0f} %",
            ]
        )  # fmt: skip
    threads = ratio(limits["relu, 1 thread"], limits["relu, 2 threads"])
    heads = ["engine", "a network", "filling alone", "ratio", "of the limit reached"]
    return (
        tables.table(heads, rows)
        + f"\n\nTwo threads are {tables.spread(threads)} times as fast as one (relu)."
    )


def _machine(limits: Times) -> str:
    """Bandwidth and multiply-adds, and what the engines use of them."""

    def rate(name: str) -> float:
        return 1e-9 / statistics.median(limits[name])

    units, weights = 200_000, 200e6
    per_network = statistics.median(limits["dense, uniform, 1 thread"])
    used = weights / per_network * 1e-9
    matrix = 8 * weights / statistics.median(limits["relu, 1 thread"]) * 1e-9
    normals = units / statistics.median(limits["relu, 1 thread"]) * 1e-9
    return (
        f"Memory moves {tables.number(rate('bandwidth, float64 add'))} GB/s (STREAM's add in one "
        f"thread), and NumPy's BLAS does {tables.number(rate('multiply-adds, float32'))} billion "
        f"multiply-adds a second in single and "
        f"{tables.number(rate('multiply-adds, float64'))} in double precision, in all threads. "
        f"Neither binds: the dense engine never stores its matrix and makes "
        f"{tables.number(used)} billion multiply-adds a second with the weights it draws; the "
        f"matrix-free engine uses {tables.number(normals)} billion normals a second, where reading "
        f"stored float64 matrices at that speed would take {tables.number(matrix)} GB/s."
    )
