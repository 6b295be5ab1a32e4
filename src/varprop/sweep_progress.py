"""Progress of a sweep: pieces done, rate and time left, in a terminal or a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = bool | None | Callable[[int, int], object]


@contextmanager
def shown_progress(wish: Progress, done: int, pieces: int) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of pieces done.

    Parameters
    ----------
    wish : bool, callable or None
        True: a bar; None: a bar in a terminal or notebook; a callable gets (done, pieces), at
        once and after each piece.
    done, pieces : int
        Where it starts, and where it ends.

    Examples
    --------
    >>> with shown_progress(lambda done, pieces: print(f"{done}/{pieces}"), 1, 3) as update:
    ...     update(2)
    1/3
    2/3
    """
    if callable(wish):
        wish(done, pieces)
        yield lambda now: (wish(now, pieces), None)[1]
        return
    if wish is False or (wish is None and not (sys.stderr.isatty() or _in_notebook())):
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("pieces"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TextColumn("left"), Remaining(),
    )  # fmt: skip
    # A notebook shows what is printed; a terminal may have stdout in a pipe.
    console = Console() if _in_notebook() else Console(stderr=True)
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=pieces, completed=done, rate="")

        def update(now: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{(now - done) / elapsed:.3g}/s" if elapsed > 0 else ""
            bar.update(task, completed=now, rate=rate)

        yield update


def _in_notebook() -> bool:
    from rich.console import Console

    return Console().is_jupyter
