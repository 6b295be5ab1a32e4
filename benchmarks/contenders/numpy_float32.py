"""NumPy, drawn matrices, in float32: half the numbers' size, as PyTorch and JAX have them."""

from functools import partial

from varprop.bench import numpy_drawn

PACKAGES = ("numpy",)
for _task in ("forward", "both_ways", "pair", "batch", "uniform_weights", "orthogonal_weights",
              "spectrum"):  # fmt: skip
    globals()[_task] = partial(getattr(numpy_drawn, _task), dtype="float32")
