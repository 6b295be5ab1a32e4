"""The contenders' code, and how to run it all."""

from __future__ import annotations

from . import Records

SHOWN = (
    ("NumPy, drawn matrices", "src/varprop/bench/numpy_drawn.py"),
    ("NumPy, matrix-free", "src/varprop/bench/numpy_matrix_free.py"),
    ("PyTorch", "benchmarks/contenders/pytorch.py"),
    ("JAX", "benchmarks/contenders/jax_jitted.py"),
    ("neural-tangents, sampled", "benchmarks/contenders/neural_tangents_sampled.py"),
    ("neural-tangents, maps", "benchmarks/contenders/maps_neural_tangents.py"),
    ("AnyInit", "benchmarks/contenders/maps_anyinit.py"),
    ("dks", "benchmarks/contenders/maps_dks.py"),
    ("SciPy", "benchmarks/contenders/maps_scipy.py"),
)
TEXT = """
## Run it

<!-- not run: measures for minutes -->
```sh
make bench-peers   # the peers, each in an environment of its own
make bench         # all of the above, and this page
make bench-check   # fails if a ratio to NumPy fell by more than 15 % beyond its spread
varprop bench      # beside NumPy alone
```

`benchmarks/results/history.jsonl` keeps the ratios of every full run. `make bench-check` holds the
last against the five before it on the same kind of machine.

## The contenders
"""


def write(_records: Records) -> str:
    blocks = [
        f"### {title}\n\n```{{literalinclude}} ../{path}\n:language: python\n```"
        for title, path in SHOWN
    ]
    return "\n\n".join((TEXT.strip(), *blocks))
