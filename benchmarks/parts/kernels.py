"""The kernels by themselves, and which resource binds each."""

from __future__ import annotations

import statistics

import tables

from . import Records

BINDS = """
Everything an engine touches stays in the first-level cache (blocks of 256 units, tiles of 1024
weights), so memory binds none of them; what does is the number of vector instructions:

- **normals**: arithmetic. Generating the words is a sixth of it; the polynomials of logarithm, sine
  and cosine, and a square root, are the rest.
- **tanh, erf, exp**: arithmetic; divisions and the polynomials of exp, for the value and the slope.
- **sums**: loads. Three numbers a unit are read for five sums and counts.
- **dense tiles**: the draw for normal weights; for uniform weights and signs the product, which has
  to widen every weight to double precision.
"""


def write(records: Records) -> str:
    record = records.get("kernels")
    if record is None:
        return ""
    times, rows = record["times"], []
    for group, each in times.items():
        for who, values in each.items():
            rows.append([group, who, tables.number(1e9 * statistics.median(values))])
    parts = [
        "## Kernels, and what binds them",
        "One thread, data in the cache.",
        tables.table(["kernel", "", "ns a number"], rows),
    ]
    if counts := records.get("instructions"):
        counted = [[name, tables.number(value)] for name, value in counts.items()]
        parts += [
            "Instructions, counted by callgrind on the AVX2 engines (`make bench-instructions`): "
            "no clock, so no noise. Of an engine: for each unit of each layer; dense: each weight.",
            tables.table(["work", "instructions a number"], counted),
        ]
    return "\n\n".join((*parts, BINDS.strip()))
