"""The kernels by themselves, and which resource binds each."""

from __future__ import annotations

import statistics

import tables

from . import Records

BINDS = """
Everything an engine touches stays in the first-level cache (blocks of 256 units, tiles of 1024
weights), and a layer's numbers are made where they are used: memory binds none of them.

- **Normals** (double precision): latency of arithmetic. About 14 instructions a number, a division
  and a square root for every two, in chains of more than a hundred cycles (logarithm, root, sine
  and cosine one after the other), of which a processor can overlap a few only.
- **tanh, erf, exp**: instructions. The polynomial of an exponential and one or two divisions make
  18 to 47 of them for the value and its slope.
- **Sums**: loads. Three numbers a unit are read for three sums and two counts, in about as many
  instructions as the ReLU takes itself.
- **Dense tiles**: the draw, for normal weights; for uniform ones draw and product are alike, and
  every weight is widened to double precision before it is multiplied.
"""


def write(records: Records) -> str:
    parts = ["## Kernels, and what binds them"]
    if record := records.get("kernels"):
        rows = [
            [group, who, tables.number(1e9 * statistics.median(values))]
            for group, each in record["times"].items()
            for who, values in each.items()
        ]
        heads = ["kernel", "", "ns a number"]
        parts += ["One thread, data in the cache.", tables.table(heads, rows)]
    if counts := records.get("instructions"):
        counted = [[name, tables.number(value)] for name, value in counts.items()]
        parts += [
            "Instructions, counted by callgrind on the AVX2 engines (`make bench-instructions`): "
            "no clock, so no noise. Of an engine: for each unit of each layer; dense: each weight.",
            tables.table(["work", "instructions a number"], counted),
        ]
    return "\n\n".join((*parts, BINDS.strip()))
