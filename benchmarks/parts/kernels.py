"""The kernels by themselves, and which resource binds each."""

from __future__ import annotations

import statistics

import tables

from . import Records

BINDS = """
Everything an engine touches stays in the first-level cache (blocks of 256 units, tiles of 1024
weights), and a layer's numbers are made where they are used: memory binds none of them.

- **Normals** (double precision): latency of arithmetic, as it seems: 15 instructions a number, a
  division and a square root for every two, run at less than 2 a cycle, for logarithm, root, sine
  and cosine make one long chain; the same operations in shorter loops are faster.
- **tanh, erf, exp**: instructions. One division, and the polynomials of a half-angle tangent (which
  gives the exponential) and of the error function, make 13 to 33 of them for the value and its
  slope: about as many as a normal takes, or twice that. A fused multiply-add would do two of them
  at once, but processors without it would then give other bits.
- **Sums**: instructions. What the ReLU engine adds to normals and activation, scaling, three sums
  and two counts, is about 8 of them a unit.
- **Dense tiles**: the draw; widening a weight to double precision, multiplying and adding it are 2
  instructions beside the 4 (uniform) or 8 (normal) that it takes to draw it.
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
