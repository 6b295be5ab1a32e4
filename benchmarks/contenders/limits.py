"""What no engine on this machine can pass: filling normals, memory's bandwidth, multiply-adds."""

from collections.abc import Callable

import numpy as np

from varprop._core import kernels


def normals(count: int, single: bool = False) -> Callable[[], object]:
    """Fill a buffer that stays in the cache, in one thread."""
    size = 1024 if single else 256
    return lambda: kernels.fill_repeatedly(count // size, size, single=single)


def uniforms(count: int) -> Callable[[], object]:
    return lambda: kernels.fill_repeatedly(count // 1024, 1024, "uniform", single=True)


def add(count: int) -> Callable[[], object]:
    """STREAM's add, a = b + c, on arrays far beyond the cache, in one thread: 24 bytes each."""
    a, b, c = np.zeros((3, count))
    return lambda: np.add(b, c, out=a)


def multiply_adds(size: int, dtype: str) -> Callable[[], object]:
    """The BLAS product of two square matrices, all threads: size**3 multiply-adds."""
    a, b, out = np.ones((3, size, size), dtype)
    return lambda: np.matmul(a, b, out=out)
