"""varprop beside NumPy: every task, the contenders in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from . import compiled, numpy_drawn, numpy_matrix_free
from .tasks import TASKS, Task
from .turns import Work, measure, ratio

DRAWN, IDEA, OURS = "NumPy, drawn", "NumPy, matrix-free", "varprop"


def contenders_for(task: Task) -> dict[str, tuple[Work, float]]:
    """Works of this task by contender, each with the networks that one call makes up."""
    portions = (
        (DRAWN, numpy_drawn, task.drawn),
        (IDEA, numpy_matrix_free, task.matrix_free),
        (OURS, compiled, task.compiled),
    )
    found = {}
    for name, module, portion in portions:
        if portion is not None:
            work = getattr(module, task.name)(portion[0], task.width, portion[1])
            found[name] = work, task.networks(portion)
    return found


def compare(
    turns: int = 5, progress: Callable[[float], object] | None = None
) -> list[dict[str, Any]]:
    """Time every task.

    Parameters
    ----------
    turns : int, default 5
        How often each contender is timed.
    progress : callable, optional
        Called with the share of tasks done.

    Returns
    -------
    list of dict
        For each task `title`, and for each contender in it `contender`, `seconds` (a network,
        median) and `ratio` to varprop (median, low, high).

    Examples
    --------
    >>> compare(turns=0)
    Traceback (most recent call last):
        ...
    ValueError: turns must be at least 1, got 0
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns}")
    found = []
    for done, task in enumerate(TASKS, 1):
        times = measure(contenders_for(task), turns)
        for name, each in times.items():
            found.append(
                {
                    "task": task.title,
                    "contender": name,
                    "seconds": sorted(each)[turns // 2],
                    "ratio": asdict(ratio(each, times[OURS])),
                }
            )
        if progress is not None:
            progress(done / len(TASKS))
    return found
