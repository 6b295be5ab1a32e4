"""What the scripts of benchmarks/ said."""

from __future__ import annotations

import tables

from . import Records


def write(records: Records) -> str:
    record = records.get("scripts")
    if record is None:
        return ""
    parts = ["## In detail", "From the scripts in benchmarks/, which `make bench-details` runs."]
    for name, said in record["said"].items():
        rows = [[what.strip(), figure.strip(), goal] for what, figure, goal in said]
        parts += [f"### {name}", tables.table(["", "measured", "goal"], rows)]
    for name, text in record["printed"].items():
        parts += [f"### {name}", f"```text\n{text.strip()}\n```"]
    return "\n\n".join(parts)
