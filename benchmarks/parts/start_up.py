"""Start-up."""

from __future__ import annotations

import tables

from varprop.bench.turns import Spread

from . import Records


def write(records: Records) -> str:
    record = records.get("start_up")
    if record is None:
        return ""
    times = record["times"]["start-up"]
    rows = [[name, f"{tables.spread(Spread.of(each))} s"] for name, each in times.items()]
    return "## Start-up\n\nEach in a fresh process:\n\n" + tables.table(["", "time"], rows)
