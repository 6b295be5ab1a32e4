"""NumPy's and SciPy's linear algebra on one thread for a while.

Each of them brings an OpenBLAS whose threads spin while they wait, and so take the cores from the
other's: calls in turns are several times slower than on one thread, unless matrices are large. The
last bits depend on the number of threads, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_SET = "KMP_DUPLICATE_LIB_OK"  # by threadpoolctl as it is imported; nobody has asked for it


@cache  # to look for the libraries takes longer than a small spectrum
def _libraries() -> Any:
    was_there = _SET in os.environ
    from threadpoolctl import ThreadpoolController

    if not was_there:
        os.environ.pop(_SET, None)
    return ThreadpoolController()


class _Inside:
    """How many callers are inside; the first takes the threads, the last gives them back."""

    def __init__(self) -> None:
        self._lock = Lock()  # a new one in a child whose parent held it while it forked
        self._count = 0
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._count == 0:
                self._limit = _libraries().limit(limits=1, user_api="blas")
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._limit.restore_original_limits()


_inside = _Inside()


def _renew() -> None:
    global _inside
    _inside = _Inside()


os.register_at_fork(after_in_child=_renew)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread inside, and as many as before once the last caller has left.

    The number is the process's: it holds for whoever calls BLAS meanwhile.
    """
    inside = _inside
    inside.enter()
    try:
        yield
    finally:
        inside.leave()
