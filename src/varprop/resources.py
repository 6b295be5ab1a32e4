"""What this machine grants: threads and memory, within the limits of affinity and cgroups."""

import operator
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")

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
        None: OMP_NUM_THREADS if it is set, else all that this process may use. Negative: that
        many fewer than all, plus one (-1 means all). In a process made by fork: always 1.

    Raises
    ------
    TypeError, ValueError
        When it is not an integer, or 0, or fewer than one would be left.

    Examples
    --------
    >>> resolve_threads(3)
    3
    """
    if _forked:
        return 1
    if threads is None:
        wish = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        return int(wish) if wish.isdigit() and int(wish) > 0 else _processors()
    if isinstance(threads, bool):
        raise TypeError(f"threads must be an integer, got {threads!r}")
    try:
        number = operator.index(threads)
    except TypeError:
        raise TypeError(f"threads must be an integer, got {threads!r}") from None
    if number < 0:
        number += _processors() + 1
    if not 1 <= number <= 1024:
        raise ValueError(
            f"threads={threads} gives {number} threads; allowed are 1 to 1024, or -1 for all, "
            "-2 for all but one, ..."
        )
    return number


def _processors() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return max(1, min(count or 1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return count or 1


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        return None
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        return max(0, min(free, limit - int((_CGROUP / "memory.current").read_text())))
    except (OSError, ValueError):
        return free


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError where `needed` bytes are more than there are."""
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryError(
            f"{what} needs {_readable(needed)} of memory, {_readable(free)} are available: {remedy}"
        )


def _readable(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
