"""Executors that fail, sweeps that race, Ctrl-C: a clear error, and a store that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import varprop
from varprop import sweep_pieces

CHILD = Path(__file__).with_name("sweep_child.py")
GRID: dict[str, Any] = {
    "act": ["tanh", "relu"], "sigma_w": [1.0, 1.5, 2.0], "depth": 5, "width": [20, 200],
    "trials": 16,
}  # fmt: skip


@pytest.fixture(autouse=True)
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", 1.2e4)


class Fragile(Executor):
    """Does a few tasks, and then what it is told."""

    def __init__(self, then: Callable[[], Future[Any]]) -> None:
        self.left, self.then = 5, then

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.left -= 1
        if self.left < 0:
            return self.then()
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def refused() -> Future[Any]:
    raise RuntimeError("cannot schedule new futures after shutdown")


def cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    future.set_running_or_notify_cancel()
    return future


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (refused, r"after shutdown, after \d+ of \d+ pieces, which are stored"),
        (cancelled, r"was shut down.*, after 5 of \d+ pieces, which are stored"),
    ],
)
def test_an_executor_that_ends_is_told_and_the_store_goes_on(
    tmp_path: Path, then: Callable[[], Future[Any]], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        varprop.sweep(**GRID, store=tmp_path / "a.zarr", executor=Fragile(then))
    found = varprop.sweep(**GRID, store=tmp_path / "a.zarr").load()
    assert found.identical(varprop.sweep(**GRID))


def test_a_dead_worker_process_is_told_and_the_store_goes_on(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:

        def kill(done: int, _: int) -> None:
            if done == 2:
                for pid in pool._processes:
                    os.kill(pid, signal.SIGKILL)

        grid = GRID | {"trials": 100}
        with pytest.raises(RuntimeError, match=r"a worker process died: .*pieces, which are store"):
            varprop.sweep(**grid, store=tmp_path / "a.zarr", executor=pool, progress=kill)
    found = varprop.sweep(**grid, store=tmp_path / "a.zarr").load()
    assert found.identical(varprop.sweep(**grid))


def test_what_can_not_be_sent_is_told() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(TypeError, match="can't be sent to the executor's workers"),
    ):
        varprop.sweep(
            act=(lambda x: x, np.ones_like), depth=2, width=9, trials=2, executor=pool
        )  # fmt: skip


# Python's filters of warnings are the process's: one thread puts back what another has set aside.
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_racing_for_one_store_one_writes(tmp_path: Path) -> None:
    start = Barrier(4)

    def race(_: int) -> Any:
        start.wait()
        try:
            return varprop.sweep(**GRID, store=tmp_path / "a.zarr").load()
        except BlockingIOError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(race, range(4)))
    expected = varprop.sweep(**GRID)
    lost = [result for result in results if isinstance(result, str)]
    assert len(lost) < 4
    assert all("another process is writing this store" in text for text in lost)
    assert all(r.identical(expected) for r in results if not isinstance(r, str))
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    expected = varprop.sweep(**GRID, store=store).load()
    (store / "parts").mkdir()
    (store / "parts" / "notes.txt").write_text("mine")
    assert varprop.sweep(**GRID, store=store).load().identical(expected)
    assert (store / "parts" / "notes.txt").read_text() == "mine"


def test_an_empty_folder_becomes_the_store(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    assert varprop.sweep(**GRID, store=tmp_path / "a.zarr").load().identical(varprop.sweep(**GRID))


def test_after_ctrl_c_it_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(store)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    while child.stdout.readline() != "3\n":
        pass
    child.send_signal(signal.SIGINT)
    rest, trouble = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in trouble
    seen = int(rest.split()[-1]) if rest.split() else 3
    again = subprocess.run(
        [sys.executable, str(CHILD), str(store)], capture_output=True, text=True, check=True
    )
    assert seen <= int(again.stdout.split()[0]) <= seen + 1
    assert int(again.stdout.split()[-1]) >= 90
