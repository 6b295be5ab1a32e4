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
from threading import RLock
from typing import Any

_alone = RLock()  # a progress callback may measure another spectrum
_SET = "KMP_DUPLICATE_LIB_OK"  # by threadpoolctl as it is imported; nobody has asked for it


@cache  # to look for the libraries takes longer than a small spectrum
def _libraries() -> Any:
    was_there = _SET in os.environ
    from threadpoolctl import ThreadpoolController

    if not was_there:
        os.environ.pop(_SET, None)
    return ThreadpoolController()


def _renew() -> None:
    """A child whose parent held the lock while it forked would wait for ever."""
    global _alone
    _alone = RLock()


os.register_at_fork(after_in_child=_renew)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread inside, as many as before afterwards; one caller at a time.

    The number is the process's: who left first would give the others their threads back.
    """
    with _alone, _libraries().limit(limits=1, user_api="blas"):
        yield
