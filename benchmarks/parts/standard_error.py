"""Time to a standard error."""

from __future__ import annotations

import statistics

import tables

from varprop.bench.turns import Spread

from . import Records


def write(records: Records) -> str:
    record = records.get("standard_error")
    if record is None:
        return ""
    measured = Spread.of(record["measured"])
    error = statistics.median(record["standard_error"])
    rows = [
        [who, tables.duration(seconds), "extrapolated"]
        for who, seconds in sorted(record["extrapolated"].items(), key=lambda item: -item[1])
        if who != "varprop, matrix-free"
    ]
    rows.append(["varprop, matrix-free", tables.duration(measured.median), "measured"])
    estimate = record["estimates"][0]
    return "\n\n".join(
        (
            "## Time to a standard error",
            f"How long until E[ln q] in layer 200 is known to ± 0.01? It takes "
            f"{record['networks']:,} networks, for whoever draws them. varprop's time is measured "
            f"({tables.number(measured.low)} to {tables.number(measured.high)} s; it found "
            f"{estimate:.3f} ± {error:.4f}); the others' is extrapolated from the rates above.",
            tables.table(["contender", "time", ""], rows),
        )
    )
