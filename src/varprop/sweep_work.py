"""What a worker of a sweep does: simulate the cells of a piece and sum them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .batch import draws, measure_together
from .propagation import Propagation
from .simulate import as_propagation, gathered, measured, warn_of_heavy_tails
from .statistic import LayerStatistic
from .sweep_grid import naming, run_of
from .sweep_predict import predicted
from .sweep_rows import Quantity, Row, Shape

FloatArray = npt.NDArray[np.float64]

SUMMARIES = (
    "mean", "stderr", "log_mean", "log_stderr", "log_median", "log_of_mean", "log_of_stderr",
)  # fmt: skip
PREDICTIONS = ("prediction", "log_prediction")


@dataclass(frozen=True)
class Task:
    """One piece, as it is sent to a worker: everything in it, nothing shared.

    Parameters
    ----------
    cells : list of lists of dicts
        Arguments of `simulate` for the cells of each block.
    names : list of lists of str
        Where each cell is, for messages.
    first, trials : int
        Which networks.
    depth : int
        Layers of the deepest cell of the sweep.
    rows : tuple of Row
        What is kept of every cell.
    threads : int
        Threads of the worker.
    whole : bool
        Whether these are all trials of the cells.
    """

    cells: list[list[dict[str, Any]]]
    names: list[list[str]]
    first: int
    trials: int
    depth: int
    rows: tuple[Row, ...]
    threads: int
    whole: bool


@dataclass(frozen=True)
class Sums:
    """What is stored of a block.

    Parameters
    ----------
    summaries : array, (summaries, rows, cells, layers)
        nan where there is none.
    predictions : array, (2, rows, cells, layers)
        What the theory of infinite width says, and ln of its absolute value; nan where it says
        nothing, and where float64 can't hold it.
    dead : array, (cells, layers)
        How many networks are dead in this layer.
    version : str
        Version of varprop that computed it.
    """

    summaries: FloatArray
    predictions: FloatArray
    dead: FloatArray
    version: str


def work(task: Task) -> list[Sums] | Propagation:
    """Do a piece.

    Returns
    -------
    list of Sums, or Propagation
        One for each block; or where the piece is a part of a cell's trials, what came out.

    Examples
    --------
    >>> cells = [[{"depth": 2, "width": 9, "trials": 5}]]
    >>> from varprop.sweep_rows import rows_of
    >>> rows = rows_of(Shape(1, 1, 0))
    >>> (sums,) = work(Task(cells, [["the only cell"]], 0, 5, 3, rows, 1, True))
    >>> sums.summaries.shape, int(np.isnan(sums.summaries[0, 0]).sum())
    ((7, 7, 1, 3), 1)
    """
    blocks = [
        _simulated(task, cells, names) for cells, names in zip(task.cells, task.names, strict=True)
    ]
    if not task.whole:
        return blocks[0][0]
    return [summed_up(block, task.rows, task.depth) for block in blocks]


def _simulated(
    task: Task, cells: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[Propagation]:
    """The cells of a block; those that draw the same numbers are measured together."""
    own = {"first_trial": task.first, "trials": task.trials, "threads": task.threads}
    runs = [run_of({**cell, **own}) for cell in cells]
    alike: dict[Any, list[int]] = {}
    for i, run in enumerate(runs):
        warn_of_heavy_tails(run.network)
        key = draws(run)
        alike.setdefault(i if key is None else key, []).append(i)
    found: dict[int, Propagation] = {}
    for members in alike.values():
        if len(members) == 1:
            with naming(names[members[0]]):
                found[members[0]] = measured(runs[members[0]])
            continue
        with naming(f"{names[members[0]]} and {len(members) - 1} more"):
            together = measure_together([runs[i] for i in members])
        for i, arrays in zip(members, together, strict=True):
            with naming(names[i]):
                if isinstance(arrays, Exception):
                    raise arrays
                found[i] = as_propagation(runs[i], *gathered(runs[i], arrays))
    return [found[i] for i in range(len(runs))]


def summed_up(block: Sequence[Propagation], rows: Sequence[Row], depth: int) -> Sums:
    """Sum up the cells of a block, to the same bits as each of them alone."""
    summaries = np.full((len(SUMMARIES), len(rows), len(block), depth), np.nan)
    dead = np.full((len(block), depth), np.nan)
    for quantity, places in _places(rows).items():
        there = [(i, quantity.measured(propagation)) for i, propagation in enumerate(block)]
        measured = [(i, statistic) for i, statistic in there if statistic is not None]
        for group in _groups(measured):
            found = LayerStatistic.side_by_side([statistic for _, statistic in group]).summaries()
            stacked, edge = np.stack([found[summary] for summary in SUMMARIES]), 0
            for cell, statistic in group:
                layers, shape = len(statistic.layers), Shape.of(block[cell]).along(quantity)
                part = stacked[..., edge : edge + layers].reshape(len(SUMMARIES), *shape, layers)
                edge += layers
                for row, at in places:
                    if all(i < length for i, length in zip(at, shape, strict=True)):
                        index: tuple[Any, ...] = (slice(None), *at)
                        summaries[:, row, cell, :layers] = part[index]
    for i, propagation in enumerate(block):
        numbers = np.arange(1, propagation.network.depth + 1)
        died = propagation.died.reshape(propagation.trials, -1)
        gone = died.max(axis=1)[(died > 0).all(axis=1), np.newaxis]  # with the last of its inputs
        dead[i, : len(numbers)] = (gone <= numbers).sum(axis=0)
    predictions = np.stack([predicted(propagation, rows, depth) for propagation in block], axis=2)
    return Sums(summaries, predictions, dead, block[0].version)


def _places(rows: Sequence[Row]) -> dict[Quantity, list[tuple[int, tuple[int, ...]]]]:
    """The rows of each quantity: where they are kept, and which of the quantity they are."""
    places: dict[Quantity, list[tuple[int, tuple[int, ...]]]] = {}
    for number, row in enumerate(rows):
        places.setdefault(row.quantity, []).append((number, row.at))
    return places


def _groups(
    measured: Sequence[tuple[int, LayerStatistic]],
) -> Iterator[list[tuple[int, LayerStatistic]]]:
    """Statistics that can be summed up in one pass, which is quicker; each other one alone.

    NumPy sums a single layer, and what is masked, in an order of its own.
    """
    together: dict[tuple[int, ...], list[tuple[int, LayerStatistic]]] = {}
    for cell, statistic in measured:
        if statistic.complete and len(statistic.layers) > 1:
            together.setdefault(statistic.between, []).append((cell, statistic))
        else:
            yield [(cell, statistic)]
    yield from together.values()
