"""Trials shared out among Python's threads, for work that is NumPy's and SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event


class Pause:
    """Where a thread stops once another has failed, or Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.stopped = Event()

    def __call__(self) -> None:
        """End the thread's work if it is not wanted any more."""
        if self.stopped.is_set():
            raise CancelledError


def each_trial(
    work: Callable[[int, Pause], None], trials: int, threads: int
) -> Generator[int, None, None]:
    """Do trials 0, 1, ...; yields after each how many are done.

    Parameters
    ----------
    work : callable
        Takes a trial, and what it should call now and then.
    trials, threads : int
    """
    pause = Pause()
    if threads == 1:
        for trial in range(trials):
            work(trial, pause)
            yield trial + 1
        return
    ended = SimpleQueue[Future[None]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for trial in range(trials):
                pool.submit(work, trial, pause).add_done_callback(ended.put)
            for trial in range(trials):
                _next(ended).result()
                yield trial + 1
        finally:
            pause.stopped.set()
            pool.shutdown(cancel_futures=True)


def _next(ended: SimpleQueue[Future[None]]) -> Future[None]:
    """The one that ends next; wakes now and then, for a signal that another thread was given."""
    while True:
        try:
            return ended.get(timeout=0.1)
        except Empty:
            pass
