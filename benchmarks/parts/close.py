"""Where a peer comes close, or wins: found in the records, so nothing is forgotten."""

from __future__ import annotations

import statistics
from typing import Any

import tables
from contestants import MATRIX_FREE

from varprop.bench.tasks import MORE

from . import Records
from .more_tasks import ours

WITHIN = 3.0


def write(records: Records) -> str:
    rows = []
    headline, more, maps = (records.get(name) for name in ("headline", "more_tasks", "maps"))
    if headline:
        rows += _rows("one input, up", headline["times"]["forward"], MATRIX_FREE)
    if more:
        for task in (task for task in MORE if task.name in more["times"]):
            rows += _rows(task.title, more["times"][task.name], ours(task.name))
    if maps:
        rows += _maps(maps)
    if not (headline or more or maps):
        return ""
    body = tables.table(["what", "contender", "its time over varprop's", "its error"], rows)
    return "\n\n".join(
        (
            "## Where a peer comes close, or wins",
            f"Every row above in which a contender takes less than {WITHIN:g} times as long as "
            "varprop; below 1 it is faster.",
            body if rows else "There is none.",
        )
    )


def _rows(what: str, times: dict[str, list[float]], name: str) -> list[list[str]]:
    return [
        [what, who, tables.spread(over), ""]
        for who, over in tables.close_calls(times, name, WITHIN)
    ]


def _maps(record: dict[str, Any]) -> list[list[str]]:
    rows = []
    for key, times in record["times"].items():
        for who, over in tables.close_calls(times, "varprop", WITHIN):
            error = record["errors"].get(key, {}).get(who)
            told = "" if error is None else f"{error:.0e}"
            rows.append([f"map: {key}", who, tables.spread(over), told])
    return sorted(rows, key=lambda row: statistics.fmean([float(row[3] or 1)]))
