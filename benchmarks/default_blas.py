"""Lets OpenBLAS choose this processor's kernels; to be imported before NumPy is."""

import os

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
