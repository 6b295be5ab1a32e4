"""What a worker of a sweep does: simulate the cells of a piece and sum them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .network import Network
from .propagation import Propagation
from .simulate import simulate
from .statistic import LayerStatistic

FloatArray = npt.NDArray[np.float64]

SUMMARIES = (
    "mean", "stderr", "log_mean", "log_stderr", "log_median", "log_of_mean", "log_of_stderr",
)  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """A row of the table of what a sweep keeps of every cell.

    Parameters
    ----------
    name : str
        Name of the `LayerStatistic` of a Propagation.
    prediction : str
        Name of its logarithm in `varprop.theory.Prediction`; empty where theory has none.
    """

    name: str
    prediction: str = ""

    def measured(self, propagation: Propagation) -> LayerStatistic | None:
        """The statistic, or None where it was not measured."""
        if self.name == "gradient" and not propagation.backward:
            return None
        statistic: LayerStatistic = getattr(propagation, self.name)
        return statistic


QUANTITIES = (
    Quantity("variance", "log_variance"),
    Quantity("preactivation", "log_preactivation"),
    Quantity("activation", "log_activation"),
    Quantity("gradient", "log_gradient"),
    Quantity("relative_mean"),
    Quantity("saturated"),
    Quantity("zero"),
)


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
    threads: int
    whole: bool


@dataclass(frozen=True)
class Sums:
    """What is stored of a block.

    Parameters
    ----------
    summaries : array, (summaries, quantities, cells, layers)
        nan where there is none.
    log_prediction : array, (quantities, cells, layers)
        ln of what the theory of infinite width says; nan where it says nothing.
    dead : array, (cells, layers)
        How many networks are dead in this layer.
    version : str
        Version of varprop that computed it.
    """

    summaries: FloatArray
    log_prediction: FloatArray
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
    >>> (sums,) = work(Task(cells, [["the only cell"]], 0, 5, 3, 1, True))
    >>> sums.summaries.shape, int(np.isnan(sums.summaries[0, 0]).sum())
    ((7, 7, 1, 3), 1)
    """
    blocks = [
        [_simulated(task, cell, name) for cell, name in zip(cells, names, strict=True)]
        for cells, names in zip(task.cells, task.names, strict=True)
    ]
    if not task.whole:
        return blocks[0][0]
    return [summed_up(block, task.depth) for block in blocks]


def _simulated(task: Task, arguments: dict[str, Any], name: str) -> Propagation:
    own = {"first_trial": task.first, "trials": task.trials, "threads": task.threads}
    try:
        return simulate(**{**arguments, **own})
    except (ValueError, OverflowError, MemoryError) as error:
        raise type(error)(f"{name}: {error}") from error


def summed_up(block: Sequence[Propagation], depth: int) -> Sums:
    """Sum up the cells of a block, to the same bits as each of them alone."""
    shape = (len(QUANTITIES), len(block), depth)
    summaries = np.full((len(SUMMARIES), *shape), np.nan)
    predicted = np.full(shape, np.nan)
    dead = np.full(shape[1:], np.nan)
    for at, quantity in enumerate(QUANTITIES):
        there = [(i, quantity.measured(propagation)) for i, propagation in enumerate(block)]
        measured = [(i, statistic) for i, statistic in there if statistic is not None]
        if not measured:
            continue
        # In one pass, which is quicker; but NumPy sums a single layer in an order of its own.
        deep = [(i, statistic) for i, statistic in measured if block[i].network.depth > 1]
        for group in (deep, *([pair] for pair in measured if pair not in deep)):
            if group:
                _fill(
                    [i for i, _ in group], [statistic for _, statistic in group], summaries[:, at]
                )
    for i, propagation in enumerate(block):
        layers = np.arange(1, propagation.network.depth + 1)
        died = propagation.died[propagation.died > 0, np.newaxis]
        dead[i, : len(layers)] = (died <= layers).sum(axis=0)
        first = float(np.ravel(propagation.input_mean_square_log)[0])
        _predict(propagation.network, first, predicted[:, i])
    return Sums(summaries, predicted, dead, block[0].version)


def _fill(cells: list[int], statistics: list[LayerStatistic], into: FloatArray) -> None:
    found = LayerStatistic.side_by_side(statistics).summaries()
    stacked = np.stack([found[summary] for summary in SUMMARIES])
    edge = 0
    for cell, statistic in zip(cells, statistics, strict=True):
        layers = len(statistic.layers)
        into[:, cell, :layers] = stacked[:, edge : edge + layers]
        edge += layers


def _predict(network: Network, log_input: float, into: FloatArray) -> None:
    """Theory's logarithms; what it can't say stays missing."""
    from .theory import predict

    prediction = _or_none(lambda: predict(network, log_input_mean_square=log_input))
    if prediction is None:
        return
    for at, quantity in enumerate(QUANTITIES):
        if quantity.prediction:
            log = _or_none(partial(getattr, prediction, quantity.prediction))
            if log is not None:
                into[at, : network.depth] = log


def _or_none(of: Callable[[], Any]) -> Any:
    """None where theory has no answer: a map that diverges, an activation that jumps."""
    try:
        return of()
    except (ValueError, OverflowError, NotImplementedError):
        return None
