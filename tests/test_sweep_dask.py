"""Sweeps on a Dask cluster of processes that talk over TCP: same bits, and lost workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import varprop
from varprop import sweep_pieces
from varprop.cli import main

GRID: dict[str, Any] = {
    "act": ["tanh", "relu"], "sigma_w": [1.0, 1.5, 2.0], "depth": 20, "width": [20, 400],
    "trials": 24,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", 1e5)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://",
        dashboard_address=":0", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


def test_a_cluster_gives_the_same_bits(cluster: LocalCluster, tmp_path: Path) -> None:
    expected = varprop.sweep(**GRID)
    with Client(cluster) as client:
        assert cluster.scheduler_address.startswith("tcp://")
        found = varprop.sweep(**GRID, executor=client, store=tmp_path / "a.zarr").load()
        assert found.identical(expected)
        assert varprop.sweep(**GRID, executor=client.get_executor()).identical(expected)
    assert main([
        "sweep", "--act", "tanh", "--act", "relu", "--sigma-w", "1:2:3", "--depth", "20", "--width",
        "20,400", "--trials", "24", "--store", str(tmp_path / "b.zarr"), "--dask",
        cluster.scheduler_address,
    ]) == 0  # fmt: skip
    for file in (tmp_path / "a.zarr" / "mean" / "c").rglob("*"):
        if file.is_file():
            twin = tmp_path / "b.zarr" / file.relative_to(tmp_path / "a.zarr")
            assert twin.read_bytes() == file.read_bytes()


def test_a_killed_worker_is_no_loss(cluster: LocalCluster, tmp_path: Path) -> None:
    killed = []

    def kill(done: int, _: int) -> None:
        if done == 5 and not killed:
            nanny = next(iter(cluster.workers.values()))
            killed.append(nanny.pid)
            os.kill(nanny.pid, signal.SIGKILL)

    with Client(cluster) as client:
        seen: list[int] = []
        found = varprop.sweep(
            **GRID, executor=client, store=tmp_path / "a.zarr",
            progress=lambda done, pieces: (seen.append(done), kill(done, pieces)),
        ).load()  # fmt: skip
    assert killed
    assert seen == list(range(len(seen)))
    assert found.identical(varprop.sweep(**GRID))


def test_a_dead_scheduler_is_told_and_the_store_stays(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    last = []

    def close(done: int, _: int) -> None:
        last.append(done)
        if done == 5:
            cluster.close()

    with Client(cluster) as client:
        with pytest.raises(RuntimeError, match=r"Dask.*after \d+ of \d+ pieces, which are stored"):
            varprop.sweep(**GRID, executor=client, store=tmp_path / "a.zarr", progress=close)
        seen: list[int] = []
        found = varprop.sweep(
            **GRID, store=tmp_path / "a.zarr", progress=lambda done, _: seen.append(done)
        ).load()
    assert seen[0] == last[-1]
    assert found.identical(varprop.sweep(**GRID))
