"""What this machine grants: threads and memory, within the limits of affinity and cgroups."""

import operator
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
MOST_THREADS = 1024

# In a forked child the threads of GNU OpenMP are gone and waiting for them would never end.
_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def resolve_threads(threads: int | None = None) -> int:
    """Number of threads to use.

    Parameters
    ----------
    threads : int, optional
        None: OMP_NUM_THREADS if it is set (1024 at most), else all that this process may use.
        Negative: that many fewer than all, plus one (-1 means all). In a process made by fork:
        always 1.

    Raises
    ------
    TypeError, ValueError
        When it is not an integer, or 0, or fewer than one would be left.

    Examples
    --------
    >>> resolve_threads(3)
    3
    """
    if threads is None:
        return within_fork(_default_threads())
    if isinstance(threads, bool):
        raise TypeError(f"threads must be an integer, got {threads!r}")
    try:
        number = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer, got {threads!r}") from None
    if number < 0:
        number += _processors() + 1
    if not 1 <= number <= MOST_THREADS:
        raise ValueError(
            f"threads={threads} gives {number} threads; allowed are 1 to {MOST_THREADS}, or -1 for "
            "all, -2 for all but one, ..."
        )
    return within_fork(number)


def within_fork(threads: int) -> int:
    """That many threads, but one in a process made by fork since they were asked for."""
    return 1 if _forked else threads


def _default_threads() -> int:
    wish = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wish.isdecimal() and int(wish[:9]) > 0:  # an absurd one has too many digits for int()
        return min(int(wish[:9]), MOST_THREADS)
    return _processors()


def _processors() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([count or 1, *_processor_quotas()]))


def _cgroups(controller: str) -> Iterator[Path]:
    """The folders that limit this process: its own control group's, and those above.

    Version 2 has one tree for all, version 1 one for each controller. A container may show its
    own group as the root whatever /proc says; so a folder that is not there is passed over.
    """
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, names, place = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = _CGROUP / controller if names else _CGROUP
        own = root / place.strip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _processor_quotas() -> Iterator[int]:
    for folder in _cgroups("cpu"):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            try:
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if int(quota) > 0:
                    yield -(-int(quota) // int(period))
            except (OSError, ValueError):  # no such file, or no limit ("max", or -1)
                continue


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        return None
    return max(0, min([free, *_left_lately(_CGROUP, _OWN, int(time.monotonic()))]))


@lru_cache(maxsize=1)
def _left_lately(_root: Path, _own: Path, _second: int) -> tuple[int, ...]:
    """Control groups are asked once a second: it costs as much as a small simulation."""
    return tuple(_memory_left())


def _memory_left() -> Iterator[int]:
    """What each control group has left; file pages that nobody uses are given back on demand."""
    for folder in _cgroups("memory"):
        for limit, used, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            try:
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
            except (OSError, ValueError):  # no such file, or no limit ("max")
                continue
            yield left + _statistic(folder / "memory.stat", idle)


def _statistic(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError where `needed` bytes are more than there are."""
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryError(
            f"{what} needs {_readable(needed)} of memory, {_readable(free)} are available: {remedy}"
        )


def _readable(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
