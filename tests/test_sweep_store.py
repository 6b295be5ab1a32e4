"""A sweep's store: whatever stops a sweep, it goes on from there, and nothing is mixed up."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_child
import xarray

import varprop
from varprop import sweep_pieces
from varprop.sweep_grid import Grid
from varprop.sweep_pieces import Plan
from varprop.sweep_store import Store

CHILD = Path(__file__).with_name("sweep_child.py")
KILLS = int(os.environ.get("VARPROP_KILLS", "5"))
GRID: dict[str, Any] = {
    "act": ["tanh", "relu"], "sigma_w": [1.0, 1.5, 2.0], "depth": 5, "width": [20, 200],
    "trials": 16,
}  # fmt: skip


@pytest.fixture(autouse=True)
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", 1.2e4)


class Enough(Exception):
    """Stops a sweep."""


def stopped_after(store: Path, pieces: int) -> None:
    def stop(done: int, _: int) -> None:
        if done == pieces:
            raise Enough

    with pytest.raises(Enough):
        varprop.sweep(**GRID, store=store, progress=stop)


def files(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


def test_anyone_opens_it(tmp_path: Path) -> None:
    ds = varprop.sweep(**GRID, store=tmp_path / "a.zarr")
    assert xarray.open_zarr(tmp_path / "a.zarr").identical(ds)
    assert ds.load().identical(varprop.sweep(**GRID))
    assert not (tmp_path / "a.zarr" / "parts").exists()
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.zarr", tmp_path / "cut.zarr"
    varprop.sweep(**GRID, store=whole)
    starts: list[int] = []
    for pieces in (3, 9, 10, 15):
        stopped_after(cut, pieces)
        with pytest.raises(Enough):
            varprop.sweep(**GRID, store=cut, progress=lambda done, _: _note(starts, done))
    assert starts == [3, 9, 10, 15]
    halfway = xarray.open_zarr(cut)
    assert set(np.unique(halfway.trials)) == {0, 16}
    assert np.isnan(halfway["log_mean"].where(halfway.trials == 0)).all()
    varprop.sweep(**GRID, store=cut)
    assert files(cut) == files(whole)


def _note(done: list[int], now: int) -> None:
    done.append(now)
    raise Enough


def test_a_complete_sweep_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = varprop.sweep(**GRID, store=tmp_path / "a.zarr").load()
    monkeypatch.setattr(varprop.sweep_work, "run_of", None)
    assert varprop.sweep(**GRID, store=tmp_path / "a.zarr").identical(first)


def test_what_is_missing_everywhere_is_stored_as_missing(tmp_path: Path) -> None:
    """One network has no standard error, and a jump no gradient: whole chunks of nan."""
    arguments = {"act": "sign", "sigma_w": [1.0, 2.0], "depth": 3, "width": 9, "trials": 1}
    first = varprop.sweep(**arguments, store=tmp_path / "a.zarr").load()
    assert np.isnan(first["stderr"]).all()
    seen: list[int] = []
    again = varprop.sweep(
        **arguments, store=tmp_path / "a.zarr", progress=lambda done, _: seen.append(done)
    )
    assert seen == [1]
    assert again.identical(first)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Nothing that was reported as stored is lost, nothing stored is computed again."""
    store, moment = tmp_path / "a.zarr", random.Random(1)
    reported, code = 0, -signal.SIGKILL
    for kill in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(store)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        # Every third is killed anywhere from its start on, the others while pieces come in.
        start = "" if kill % 3 == 2 else child.stdout.readline()
        time.sleep(moment.uniform(0, 1.5 if kill % 3 == 2 else 0.1))
        child.send_signal(signal.SIGKILL)
        reported = _followed(start + child.stdout.read(), reported)
        child.stdout.close()
        code = child.wait(60)
    assert code == -signal.SIGKILL, "the sweep ended before it was killed often enough"
    _followed(child_run(store).stdout, reported)
    whole = child_run(tmp_path / "b.zarr")
    assert files(store) == files(tmp_path / "b.zarr")
    assert len(whole.stdout.split()) > 90


def _followed(output: str, reported: int) -> int:
    """The last report of a run that goes on where the one before it was stopped."""
    lines = [int(line) for line in output.split("\n")[:-1]]
    if not lines:
        return reported
    assert reported <= lines[0] <= reported + 1  # one more may be stored than was reported
    assert lines == list(range(lines[0], lines[-1] + 1))
    return lines[-1]


def child_run(store: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), str(store)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_another_sweeps_store_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "a.zarr"
    varprop.sweep(**GRID, store=store)
    before = files(store)
    for changed, message in (
        ({"trials": 17}, "trials: 17 here, 16 in the store"),
        ({"sigma_w": [1.0]}, r"sigma_w: \[1\.0\] here, \[1\.0, 1\.5, 2\.0\] in the store"),
        ({"seed": 3}, "seed: 3 here, not given in the store"),
        ({"act": "tanh"}, "act: 'tanh' here, "),
    ):
        with pytest.raises(ValueError, match=message):
            varprop.sweep(**(GRID | changed), store=store)
    monkeypatch.setattr(varprop.sweep_grid, "VERSION", "9.9")
    with pytest.raises(ValueError, match=r"version: '9\.9' here, '.*' in the store"):
        varprop.sweep(**GRID, store=store)
    assert files(store) == before


def test_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        with pytest.raises(ValueError, match=f"{name}' holds no sweep"):
            varprop.sweep(**GRID, store=tmp_path / name)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unwritable_place_stops_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(varprop.sweep_work, "run_of", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="does not exist"):
        varprop.sweep(**GRID, store=tmp_path / "nowhere" / "a.zarr")
    with pytest.raises(OSError, match=r"does not exist|Not a directory"):
        varprop.sweep(**GRID, store=tmp_path / "file" / "a.zarr")
    with pytest.raises(OSError, match="can't make the store"):
        varprop.sweep(**GRID, store="/proc/a.zarr")


@pytest.mark.parametrize("damage", [b"", b"x" * 40])
def test_a_damaged_chunk_is_named_and_can_be_computed_anew(tmp_path: Path, damage: bytes) -> None:
    store = tmp_path / "a.zarr"
    expected = varprop.sweep(**GRID, store=store).load()
    good = files(store)
    chunk = max((store / "log_mean" / "c").rglob("*"), key=lambda p: p.is_file())
    chunk.write_bytes(damage)
    before = files(store)
    with pytest.raises(ValueError, match=f"'{chunk}' is damaged .* Remove that file"):
        varprop.sweep(**GRID, store=store)
    assert files(store) == before
    chunk.unlink()
    started: list[int] = []
    again = varprop.sweep(**GRID, store=store, progress=lambda d, _: started.append(d))
    assert again.identical(expected)
    assert 1 <= started[-1] - started[0] <= 2
    assert files(store) == good


def test_a_truncated_chunk_and_a_truncated_part(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    stopped_after(store, 17)
    part = next((store / "parts").iterdir(), None)
    assert part is not None, "no cell is cut at this point; choose another"
    part.write_bytes(part.read_bytes()[:-200])
    with pytest.raises(ValueError, match=f"'{part}'.*truncated.*Remove that file"):
        varprop.sweep(**GRID, store=store)
    part.unlink()
    chunk = next(p for p in (store / "dead" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f"'{chunk}' is damaged"):
        varprop.sweep(**GRID, store=store)


@pytest.mark.parametrize("damage", [None, b"", b"[]", b"other"])
def test_labels_are_those_of_the_definition(tmp_path: Path, damage: bytes | None) -> None:
    """A label's chunk that is lost would be read as zeros."""
    store = tmp_path / "a.zarr"
    varprop.sweep(depth=2, width=5, sigma_w=[1.0, 2.0], trials=3, store=store)
    chunk = store / "layer" / "c" / "0"
    if damage is None:
        chunk.unlink()
    elif damage == b"other":
        chunk.write_bytes((store / "sigma_w" / "c" / "0").read_bytes())
    else:
        chunk.write_bytes(damage)
    with pytest.raises(ValueError, match=f"'{store / 'layer'}' is damaged .* another store"):
        varprop.sweep(depth=2, width=5, sigma_w=[1.0, 2.0], trials=3, store=store)


def test_two_processes_do_not_write_one_store(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    varprop.sweep(**GRID, store=store)
    held = Store(Plan.of(Grid.of({k: v for k, v in GRID.items() if k != "trials"}, 16)), store)
    try:
        with pytest.raises(BlockingIOError, match="another process is writing this store"):
            varprop.sweep(**GRID, store=store)
    finally:
        held.close()
    varprop.sweep(**GRID, store=store)


def test_a_full_disk_is_told_and_the_store_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file may grow beyond a limit: what a write meets on a full disk, without a full disk."""
    monkeypatch.setattr(sweep_pieces, "GOAL", sweep_child.GOAL)
    whole, store = tmp_path / "whole.zarr", tmp_path / "a.zarr"
    assert child_run(whole).returncode == 0
    parameters = dict(sweep_child.ARGUMENTS)
    Store(Plan.of(Grid.of(parameters, parameters.pop("trials"))), store).close()
    limit = max(file.stat().st_size for file in whole.glob("log_mean/c/**/*") if file.is_file())

    def shrink() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit - 1, limit - 1))

    run = child_run(store, preexec_fn=shrink)
    assert run.returncode == 1
    assert "can't write: File too large; the store keeps what it has: run again" in run.stderr
    assert _followed(child_run(store).stdout, int(run.stdout.split()[-1])) >= 90
    assert files(store) == files(whole)
