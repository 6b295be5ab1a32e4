"""sweep(): simulate() over a grid of parameters, on any machine, again and again until done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ._core.build_info import VERSION
from .arguments import whole
from .propagation import Propagation
from .simulate import MAX_TRIAL
from .sweep_executors import run_all, workers
from .sweep_extra import require
from .sweep_grid import Grid
from .sweep_pieces import Piece, Plan
from .sweep_progress import Progress, shown_progress
from .sweep_work import Sums, Task, summed_up, work

if TYPE_CHECKING:
    import xarray

    from .sweep_store import Store

__all__ = ["sweep"]


def sweep(
    *,
    trials: int = 100,
    store: str | os.PathLike[str] | None = None,
    executor: Any = None,
    threads: int | None = None,
    progress: Progress = None,
    **parameters: Any,
) -> xarray.Dataset:
    """Simulate every combination of parameters, and label what comes out.

    Parameters
    ----------
    trials : int, default 100
        Networks of each cell.
    store : path-like, optional
        A folder for the results, in Zarr's format, such as "tanh.zarr". A sweep that was stopped,
        whatever stopped it, goes on from there when it is called again with the same arguments.
        Default: in memory.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes. Default: threads of this process.
    threads : int, optional
        Threads of this process; with an executor, of each of its workers, by default 1.
    progress : bool or callable, optional
        Whether to show a bar; or called with (pieces done, pieces), first and after each piece.
        Default: a bar in a terminal or notebook.
    **parameters
        Those of `simulate`. Any that is a list or a one-dimensional array is an axis, in the order
        given. (`x`, `cotangents`, one list of `widths` and one pair of callables are no axes.)
        Histograms and spectra are not kept.

    Returns
    -------
    xarray.Dataset
        Along the axes, `layer` and `quantity` (variance, preactivation, activation, gradient,
        relative_mean, saturated, zero; of several inputs correlation and gap, which is 1 - c; of
        tangents tangent and adjoint): mean, stderr, log_mean, log_stderr, log_median,
        log_of_mean and log_of_stderr, as in `LayerStatistic`, and prediction and log_prediction,
        theory's; further dead and trials. nan where there is nothing: below the last layer,
        without a gradient, where float64 can't hold a mean, where theory has no answer. -inf is
        ln 0. Of what there are several, each has its row: "variance[1]" is that of the second
        input, "gap[0,2]" of the first and the third, "gradient[0,1]" of the first input and the
        second cotangent.

    Raises
    ------
    ImportError
        Without xarray, Zarr and Dask: pip install "varprop[sweep]".
    TypeError, ValueError, NotImplementedError
        For a bad argument, with the cell named, before any work starts; for a store of another
        sweep, and for a damaged one.
    MemoryError
        When the grid, or without a store the results, would not fit into memory.
    OSError
        When the store can't be written; what is in it stays.
    RuntimeError
        When the workers are gone; what is stored stays.

    Notes
    -----
    The work is cut into pieces of about a second, the same whoever computes them. So the numbers
    are the same bits for any executor, and those of `simulate` in each cell. Cells of several
    inputs and normal weights that differ in sigma_w alone, or in the activation, draw their numbers
    once. Results are written by this process: workers need no common
    folder.

    Examples
    --------
    >>> import varprop
    >>> ds = varprop.sweep(act=["tanh", "relu"], sigma_w=[1.0, 1.5], depth=9, width=50, trials=10)
    >>> dict(ds["mean"].sizes)
    {'quantity': 7, 'act': 2, 'sigma_w': 2, 'layer': 9}
    >>> one = varprop.simulate(act="relu", sigma_w=1.5, depth=9, width=50, trials=10)
    >>> cell = ds["mean"].sel(quantity="variance", act="relu", sigma_w=1.5)
    >>> bool((cell == one.variance.mean).all())
    True
    """
    require("xarray", "zarr", "dask")
    count = whole("trials", trials, 1, MAX_TRIAL)
    plan = Plan.of(Grid.of(parameters, count))
    from .sweep_store import Store

    opened = Store(plan, store)
    try:
        _compute(plan, opened, executor, threads, progress)
        return opened.dataset()
    finally:
        opened.close()


def _compute(
    plan: Plan, store: Store, executor: Any, threads: int | None, progress: Progress
) -> None:
    pieces = len(plan.pieces)
    missing = list(_missing(plan, store, store.done()))
    todo = len(missing)
    for block in {piece.blocks[0] for piece in plan.pieces if _partial(plan, piece)}:
        _join(plan, store, block)  # all its parts may have come before the sweep was stopped
    with (
        workers(executor, todo, threads) as (pool, each, trouble),
        shown_progress(progress, pieces - todo, pieces) as update,
    ):
        tasks = ((piece, _task(plan, piece, each)) for piece in missing)
        now = pieces - todo
        try:
            with closing(run_all(pool, _work, tasks, trouble)) as results:
                for (piece, _), result in results:
                    _keep(plan, store, piece, result)
                    now += 1
                    update(now)
        except RuntimeError as error:
            kept = "" if store.path is None else ", which are stored; run again to continue"
            raise RuntimeError(f"{error}, after {now} of {pieces} pieces{kept}") from error


def _missing(plan: Plan, store: Store, done: set[int]) -> Iterator[Piece]:
    """The pieces that are not stored; of a run of blocks, those that are not."""
    for piece in plan.pieces:
        blocks = [block for block in piece.blocks if block not in done]
        if not blocks:
            continue
        if not _partial(plan, piece):
            yield piece if len(blocks) == len(piece.blocks) else Piece(tuple(blocks), 0, piece.stop)
        elif (piece.first, piece.stop) not in store.parts_done(piece.blocks[0]):
            yield piece


def _partial(plan: Plan, piece: Piece) -> bool:
    return piece.stop - piece.first < plan.grid.trials


def _task(plan: Plan, piece: Piece, threads: int) -> Task:
    cells = [plan.cells(block) for block in piece.blocks]
    grid = plan.grid
    return Task(
        cells=[[grid.arguments(cell) for cell in block] for block in cells],
        names=[[grid.describe(cell) for cell in block] for block in cells],
        first=piece.first,
        trials=piece.stop - piece.first,
        depth=plan.depth,
        rows=plan.rows,
        threads=threads,
        whole=not _partial(plan, piece),
    )


def _work(item: tuple[Piece, Task]) -> list[Sums] | Propagation:
    return work(item[1])


def _keep(plan: Plan, store: Store, piece: Piece, result: list[Sums] | Propagation) -> None:
    if isinstance(result, Propagation):
        _check_version(result.version)
        store.put_part(piece, result)
        _join(plan, store, piece.blocks[0])
        return
    for block, sums in zip(piece.blocks, result, strict=True):
        _check_version(sums.version)
        store.put(block, sums)


def _join(plan: Plan, store: Store, block: int) -> None:
    together = store.together(block)
    if together is not None:
        store.put(block, summed_up([together], plan.rows, plan.depth))
        store.drop_parts(block)


def _check_version(version: str) -> None:
    if version != VERSION:
        raise RuntimeError(
            f"a worker has varprop {version}, this process {VERSION}: install the same on both"
        )
