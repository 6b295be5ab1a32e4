"""Limits of control groups, as Linux shows them in its two versions."""

from pathlib import Path

import pytest

from varprop import resources


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /sys/fs/cgroup, and a file in that of /proc/self/cgroup."""
    monkeypatch.setattr(resources, "_CGROUP", tmp_path)
    monkeypatch.setattr(resources, "_OWN", tmp_path / "own")
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "own").write_text("0::/\n")
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def memory() -> int:
    free = resources.available_memory()
    if free is None:
        pytest.skip("this system does not tell how much memory is free")
    return free


def test_a_container_shows_its_own_group_as_the_root(machine: Path) -> None:
    write(machine, memory__max="1000000", memory__current="400000", cpu__max="150000 100000")
    assert memory() == 600000
    assert resources.resolve_threads() == 2


def test_the_tightest_of_the_groups_above_counts(machine: Path) -> None:
    (machine / "own").write_text("0::/batch/job7\n")
    write(machine / "batch" / "job7", memory__max="max", memory__current="5", cpu__max="max 100000")
    write(
        machine / "batch", memory__max="900000", memory__current="100000", cpu__max="300000 100000"
    )
    assert memory() == 800000
    assert resources.resolve_threads() == 3


def test_version_1_has_a_tree_for_each_controller(machine: Path) -> None:
    (machine / "own").write_text("4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/x\n0::/\n")
    write(
        machine / "memory" / "job", memory__limit_in_bytes="700000", memory__usage_in_bytes="300000"
    )
    write(machine / "cpu" / "job", cpu__cfs_quota_us="400000", cpu__cfs_period_us="100000")
    assert memory() == 400000
    assert resources.resolve_threads() == 4


def test_pages_of_files_that_nobody_uses_are_there_to_be_had(machine: Path) -> None:
    write(
        machine,
        memory__max="1000000",
        memory__current="950000",
        memory__stat="anon 100000\ninactive_file 800000\nactive_file 50000",
    )
    assert memory() == 850000


def test_no_limit_is_none(machine: Path) -> None:
    write(machine, memory__max="max", memory__current="5", cpu__max="max 100000")
    (machine / "own").unlink()
    assert memory() > 2**20
    assert resources.resolve_threads() == 64
