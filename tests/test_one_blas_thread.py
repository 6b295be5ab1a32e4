"""Spectra on one thread of BLAS: the same bits, and its threads given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from varprop import spectrum
from varprop.one_blas_thread import one_blas_thread
from varprop.statistic import FloatArray


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def small_spectrum(depth: int) -> FloatArray:
    return spectrum(depth=depth, width=200, act="tanh", trials=1).log


def test_bits_do_not_depend_on_the_threads_of_blas() -> None:
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            found.append(small_spectrum(3))
    with ThreadPoolExecutor(2) as executor:  # two at once
        found += executor.map(small_spectrum, (3, 3))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_blas_has_its_threads_again() -> None:
    def fails() -> None:
        with one_blas_thread():
            assert blas_threads() == {1}
            raise ZeroDivisionError

    with threadpool_limits(limits=2, user_api="blas"):
        with pytest.raises(ZeroDivisionError):
            fails()
        assert blas_threads() == {2}
