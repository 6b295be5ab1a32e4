"""Exponents and memory."""

from __future__ import annotations

import statistics

import figures
import tables

from varprop.bench.turns import ratio

from . import Records


def write(records: Records) -> str:
    record = records.get("scaling")
    if record is None:
        return ""
    exponents = record["exponents"]
    rows = [
        [name, f"{min(sizes):,} to {max(sizes):,}", f"{exponents[name]:.2f}"]
        for name in exponents
        for sizes in [[int(size) for size in record["times"][name]]]
    ]
    threads = record["times"]["threads"]
    most = max(int(name.rsplit(", ", 1)[1]) for name in threads)
    gains = [
        f"{what}: {tables.spread(ratio(threads[f'{what}, 1'], threads[f'{what}, {most}']))}"
        for what in ("1000 networks", "one, width 1,000,000")
    ]
    memory = [[name, f"{mb:,.1f} MB"] for name, mb in record["memory"].items()]
    small = statistics.median(record["times"]["networks"]["10"])
    return "\n\n".join(
        (
            "## Scaling",
            "Up and back, time grows like a power of the size (fitted to medians); drawn matrices "
            "grow like the square of the width. Ten small networks take "
            f"{tables.duration(small)}, most of it a call's own cost, so the exponent of networks "
            "is below 1.",
            tables.table(["against", "from - to", "exponent"], rows),
            f"![Time against width and depth]({figures.scaling(record)})",
            f"Speed of {most} threads over 1: {'; '.join(gains)}.",
            "Peak memory of a process, above what importing takes. Of one input nothing is stored "
            "that can be drawn again:",
            tables.table(["a call", "memory"], memory),
        )
    )
