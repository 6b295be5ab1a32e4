"""What a measurement was made on: processor, versions, date, and the kernels of NumPy's BLAS."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Settings that make OpenBLAS take other kernels than those of this processor.
BLAS_OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def facts() -> dict[str, Any]:
    """What `varprop info` says, and the processor, the BLAS and the date.

    Examples
    --------
    >>> sorted(facts())[:5]
    ['blas', 'blas_overrides', 'cpu', 'dask', 'date']
    """
    from ..list_commands import facts as versions

    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu(),
        "blas": blas(),
        "blas_overrides": " ".join(
            f"{name}={os.environ[name]}" for name in BLAS_OVERRIDES if name in os.environ
        ),
        **versions(),
    }


def cpu() -> str:
    """Name of the processor, as far as the system tells it."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def blas() -> str:
    """NumPy's BLAS with the kernels it chose."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return "; ".join(
        f"{each['internal_api']} {each['version']}, {each.get('architecture', 'kernel unknown')}"
        for each in pools[:1]
    )
