"""One cell of a phase diagram: what its networks showed, and how many more it needs.

Growth is ln of the mean over networks of g in the middle layer over g in the last one, per layer:
on the way back through the second half of the layers, where transients of the input are over. It
is ln chi_1 in the limit of width and depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .batch import measure_together
from .network import Network
from .statistic import LayerStatistic
from .sweep_grid import Grid, naming

FloatArray = npt.NDArray[np.float64]

_MOST_AT_ONCE = 4  # by how much the networks of a cell may be multiplied at once


class Cell:
    """What was measured in one cell.

    Examples
    --------
    >>> cell = Cell(depth=4)
    >>> cell.add((np.log([[1.0, 3.0], [1.0, 1.0], [0.5, 0.5]]), 0.0))
    2
    >>> [round(float(value), 6) for value in cell.summary()]
    [0.549306, 0.549306, 0.0, 0.0, 0.0, 0.5, 0.0]
    """

    def __init__(self, depth: int) -> None:
        self._layers = _layers(depth)
        self._logs = np.empty((3, 0))  # K and the growth of g; 1 - c
        self._predicted = math.nan

    @property
    def trials(self) -> int:
        """How many networks."""
        return self._logs.shape[1]

    def add(self, found: tuple[FloatArray, float]) -> int:
        """Take what `measure` found; gives how many networks there are now."""
        self._logs = np.concatenate([self._logs, found[0]], axis=1)
        self._predicted = found[1]
        return self.trials

    def wanted(self, stderr: float, most: int) -> int:
        """How many networks the cell shall have for this standard error of the growth."""
        ratio = self._growth()[1] / stderr
        if ratio <= 1:
            return self.trials
        more = math.ceil(self.trials * min(ratio**2, _MOST_AT_ONCE))
        return min(most, max(self.trials + 1, more))

    def summary(self) -> tuple[float, ...]:
        """Of ln K, growth and c: mean and standard error, and theory's growth after the second."""
        correlation = -np.expm1(self._logs[2])
        return (*_mean(self._logs[0]), *self._growth(), self._predicted, *_mean(correlation))

    def _growth(self) -> tuple[float, float]:
        """ln of a mean, per layer, and its standard error."""
        statistic = LayerStatistic("growth", self._logs[1][:, np.newaxis])
        log = float(statistic.log_of_mean[0])
        relative = math.exp(float(statistic.log_of_stderr.filled(-np.inf)[0]) - log)
        return log / self._layers, relative / self._layers


@dataclass(frozen=True)
class Task:
    """The same trials of neighbouring cells in one row of the grid.

    Examples
    --------
    >>> grid = Grid.of({"depth": 5, "width": 9, "correlation": 0.5, "backward": True}, trials=3)
    >>> [found.shape for found, predicted in measure(Task(grid, range(1), 0, 3, 1))]
    [(3, 3)]
    """

    grid: Grid
    cells: range
    first_trial: int
    trials: int
    threads: int


def measure(task: Task) -> list[tuple[FloatArray, float]]:
    """Of each cell's networks ln K of the last layer, ln of the growth of g, ln(1 - c); and theory.

    nan in place of ln(1 - c) where two inputs can't be told apart any more. The cells have the
    same networks but for sigma_w: what they draw is drawn once. Gradients are those of the first
    input.

    Raises
    ------
    ValueError
        When a network died.
    """
    where = {name: getattr(task, name) for name in ("first_trial", "trials", "threads")}
    runs = [replace(task.grid.run(cell), first_alone=True, **where) for cell in task.cells]
    found = []
    for cell, run, arrays in zip(task.cells, runs, measure_together(runs), strict=True):
        if isinstance(arrays, Exception):  # one input alone is carried in logarithms
            with naming(task.grid.describe(cell)):
                if not isinstance(arrays, OverflowError):
                    raise arrays
                one = replace(run, x=None, log_gap=None, first_alone=False).rows()
            assert one.log_gradient is not None
            log_k, log_gradient = one.log_variance, one.log_gradient
            gap = np.full(run.trials, np.nan)
        else:
            log_k, log_gradient = arrays["log_variance"][:, 0], arrays["log_gradient"]
            gap = arrays["log_gap"][:, -1]
        measured = np.array([log_k[:, -1], _growth(log_gradient), gap])
        if not np.isfinite(measured[:2]).all():
            raise ValueError(
                f"at {task.grid.describe(cell)} a network's signal or gradient is exactly 0: "
                "use more width"
            )
        measured[2][np.isposinf(gap)] = np.nan
        found.append((measured, predicted_growth(run.network)))
    return found


def predicted_growth(network: Network) -> float:
    """Theory's growth, of infinite width.

    Examples
    --------
    >>> round(predicted_growth(Network(9, act="relu", sigma_w=2.0)), 6) == round(math.log(2), 6)
    True
    """
    from .theory import predict

    return float(_growth(predict(network).log_gradient)) / _layers(network.depth)


def _layers(depth: int) -> int:
    return depth - 1 - depth // 2


def _growth(log_gradient: FloatArray) -> Any:
    """Of ln g through the second half of the layers."""
    middle = log_gradient.shape[-1] // 2
    with np.errstate(invalid="ignore"):  # the difference of two logarithms of 0
        return log_gradient[..., middle] - log_gradient[..., -1]


def _mean(values: FloatArray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
