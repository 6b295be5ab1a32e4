"""Spectra on one thread of BLAS each: the same bits, and its threads given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from varprop import singular, spectrum
from varprop.one_blas_thread import one_blas_thread
from varprop.simulate import prepare
from varprop.singular import measure
from varprop.sources import DenseSource
from varprop.statistic import FloatArray
from varprop.trial_threads import each_trial


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


def test_bits_do_not_depend_on_threads_that_share_the_networks() -> None:
    parts: dict[str, Any] = {"depth": 2, "width": 256, "act": "tanh", "seed": 3}
    shared = spectrum(trials=3, threads=2, **parts)
    assert shared == spectrum(trials=3, threads=1, **parts)
    alone = [spectrum(trials=1, first_trial=i, threads=1, **parts).log for i in range(3)]
    np.testing.assert_array_equal(shared.log, np.concatenate(alone))


def test_as_many_threads_as_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(work: Any, trials: int, threads: int) -> Any:
        asked.append(threads)
        return each_trial(work, trials, threads)

    monkeypatch.setattr(singular, "each_trial", noted)
    for free in (12e6, 8e6):  # a network of this width takes 5.3 MB
        monkeypatch.setattr(singular, "available_memory", lambda free=free: int(free))
        spectrum(depth=2, width=256, act="tanh", trials=2, threads=2)
    assert asked == [2, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stopped_run_leaves_the_other_networks_alone(threads: int) -> None:
    drawn = []

    class Counting(DenseSource):
        def weights(self, layer: int) -> FloatArray:
            drawn.append(self._trial)
            return super().weights(layer)

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    run = prepare(
        None, {"depth": 3, "width": 256, "act": "tanh"}, x=None, trials=40, first_trial=0, seed=0,
        threads=threads, engine="auto", saturated_below=0.05, backward=False,
    )  # fmt: skip
    before = blas_threads()
    with pytest.raises(KeyboardInterrupt):
        measure(run, Counting, (3,), stop)
    assert blas_threads() == before
    assert len(set(drawn)) < 10


def test_blas_has_its_threads_again() -> None:
    def fails() -> None:
        with one_blas_thread():
            assert blas_threads() == {1}
            raise ZeroDivisionError

    with threadpool_limits(limits=2, user_api="blas"):
        with pytest.raises(ZeroDivisionError):
            fails()
        assert blas_threads() == {2}


def test_bits_are_those_of_the_main_thread_in_any_other() -> None:
    """Which thread measures first must not decide for the later ones."""
    found = [small_spectrum(2)]
    for _ in range(2):
        with ThreadPoolExecutor(1) as executor:
            found += executor.map(small_spectrum, (2,))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_a_spectrum_within_a_spectrum() -> None:
    inner = []
    spectrum(
        depth=2, width=8, trials=2, act="tanh", progress=lambda _: inner.append(small_spectrum(1))
    )
    assert len(inner) == 2
