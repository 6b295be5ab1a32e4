"""Who computes the pieces of a sweep: threads, any executor, or a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from .resources import resolve_threads

Task = TypeVar("Task")
Result = TypeVar("Result")

_LEAST_AHEAD = 32  # tasks that wait or run, whoever runs them
_PATIENCE = 2.0  # seconds between two looks whether a cluster is still there


@contextmanager
def workers(
    executor: Any, pieces: int, threads: int | None
) -> Iterator[tuple[Executor, int, Callable[[], str]]]:
    """Give an executor, the threads each of its workers may use, and a look at its health.

    Parameters
    ----------
    executor : None, concurrent.futures.Executor or dask.distributed.Client
        None: threads of this process.
    pieces : int
        How many pieces there are.
    threads : int, optional
        For None: of this process; else: of each worker, by default 1, for an executor has as many
        workers as it wants to use cores.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> with workers(None, 1, 4) as (pool, threads, trouble):
    ...     print(type(pool).__name__, threads, trouble())
    ThreadPoolExecutor 4
    >>> with workers("dask", 1, None):
    ...     pass
    Traceback (most recent call last):
    TypeError: executor must be None, a concurrent.futures.Executor or a dask.distributed.Client, \
got 'dask'
    """
    if executor is None:
        number = resolve_threads(threads)
        side_by_side = max(1, min(number, pieces))
        pool = ThreadPoolExecutor(side_by_side, thread_name_prefix="varprop-sweep")
        try:
            yield pool, number // side_by_side, lambda: ""
        finally:
            pool.shutdown(cancel_futures=True)
        return
    each = 1 if threads is None else resolve_threads(threads)
    if type(executor).__module__.startswith("distributed."):
        client = getattr(executor, "_client", executor)  # that of `client.get_executor()`
        # Not pure: Dask would compare the arguments of all tasks to find equal ones.
        yield client.get_executor(pure=False), each, lambda: _trouble(client)
    elif isinstance(executor, Executor):
        yield executor, each, lambda: ""
    else:
        raise TypeError(
            "executor must be None, a concurrent.futures.Executor or a dask.distributed.Client, "
            f"got {executor!r}"
        )


def run_all(
    executor: Executor,
    function: Callable[[Task], Result],
    tasks: Iterator[Task],
    trouble: Callable[[], str] = str,
) -> Generator[tuple[Task, Result], None, None]:
    """Run tasks, a bounded number at a time, and give results as they come.

    However many tasks there are, only those that wait or run are in memory.

    Parameters
    ----------
    executor : Executor
        Who runs them.
    function : callable
        Called with each task.
    tasks : iterator
        Asked for more as others end.
    trouble : callable, optional
        Asked from time to time; a text means that nothing more will come.

    Raises
    ------
    RuntimeError
        When the executor dies or is in trouble.
    TypeError
        When a task can't be sent to a worker.

    Examples
    --------
    >>> with ThreadPoolExecutor(2) as pool:
    ...     sorted(run_all(pool, abs, iter([-2, 1])))
    [(-2, 2), (1, 1)]
    """
    known = getattr(executor, "_max_workers", None)
    ahead = max(_LEAST_AHEAD, 3 * (known if isinstance(known, int) else os.cpu_count() or 1))
    waiting: dict[Future[Result], Task] = {}
    try:
        while True:
            for task in islice(tasks, ahead - len(waiting)):
                waiting[executor.submit(function, task)] = task
            if not waiting:
                return
            done, _ = wait(waiting, _PATIENCE, FIRST_COMPLETED)
            if not done and (text := trouble()):
                raise RuntimeError(text)
            # What came out well is kept, even if something else did not.
            for future in sorted(done, key=_failed):
                yield waiting.pop(future), future.result()
    except BrokenExecutor as error:
        raise RuntimeError(f"a worker process died: {error}") from error
    except (Exception, CancelledError) as error:
        # Whatever it is that comes of a dead executor, this is what lies behind it.
        text = trouble()
        if not text and isinstance(error, CancelledError):
            text = "the executor was shut down, or its work cancelled"
        if text:
            raise RuntimeError(text) from error
        if "pickle" in str(error):
            raise TypeError(
                f"this can't be sent to the executor's workers ({error}): a callable must be "
                "defined at the top of a module that they can import"
            ) from error
        raise
    finally:
        for future in waiting:
            future.cancel()


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _trouble(client: Any) -> str:
    if client.status == "running":
        return ""
    return f"the connection to the Dask scheduler is lost (the client is {client.status})"
