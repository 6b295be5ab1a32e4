"""Phase diagrams: variance, correlation and growth of gradients over (sigma_w, sigma_b)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .arguments import whole
from .network import ActivationSpec, Network
from .phase_cell import Cell, Task, measure
from .simulate import MAX_TRIAL
from .sweep_executors import run_all, workers
from .sweep_grid import Grid
from .sweep_progress import Progress, shown_progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PhaseDiagram", "phase_diagram"]

FloatArray = npt.NDArray[np.float64]

SIGMA_W, SIGMA_B = np.linspace(0.5, 3.0, 26), np.linspace(0.0, 1.0, 11)

_TOGETHER = 2e7  # units of a task's networks, about half a second of one thread


@dataclass(frozen=True, eq=False, repr=False)
class PhaseDiagram:
    """What `phase_diagram` found; all arrays have the shape (sigma_b, sigma_w).

    Attributes
    ----------
    act : str
        The activation.
    sigma_w, sigma_b : array
        The axes.
    log_variance, log_variance_stderr : array
        Mean over networks of ln K of the last layer.
    growth, growth_stderr : array
        ln of the mean growth of g, per layer.
    predicted_growth : array
        The same in the theory of infinite width.
    correlation, correlation_stderr : array
        Mean over networks of c of the last layer; nan where a network is too near to silence for
        two inputs to be told apart.
    trials : integer array
        Networks of each cell.
    depth, width, seed : int
        What was simulated.
    input_correlation : float
        c of the two inputs.

    Examples
    --------
    >>> found = phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1], depth=9, width=50)
    >>> found
    <PhaseDiagram: tanh, sigma_w 0.8 to 1.6 (2), sigma_b 0.1, depth 9, width 50, 495 to 1000 \
networks a cell, seed 0>
    >>> found.growth.shape
    (1, 2)
    """

    act: str
    sigma_w: FloatArray
    sigma_b: FloatArray
    log_variance: FloatArray
    log_variance_stderr: FloatArray
    growth: FloatArray
    growth_stderr: FloatArray
    predicted_growth: FloatArray
    correlation: FloatArray
    correlation_stderr: FloatArray
    trials: npt.NDArray[np.int64]
    depth: int
    width: int
    seed: int
    input_correlation: float

    def __repr__(self) -> str:
        least, most = int(self.trials.min()), int(self.trials.max())
        each = f"{least}" if least == most else f"{least} to {most}"
        return (
            f"<PhaseDiagram: {self.act}, {_extent('sigma_w', self.sigma_w)}, "
            f"{_extent('sigma_b', self.sigma_b)}, depth {self.depth}, width {self.width}, "
            f"{each} networks a cell, seed {self.seed}>"
        )

    def edge(self) -> tuple[FloatArray, FloatArray]:
        """The measured edge of chaos: for each sigma_b the sigma_w at which growth is 0.

        Returns
        -------
        edge, stderr : array, shape (sigma_b,)
            The error is that of the growth, over its slope, and of what lies between two cells:
            how far the same curve through theory's growth in these cells is from theory's own 0.
            nan where growth has one sign.

        Notes
        -----
        It is the edge of this depth. Where the variance needs more than depth / 2 layers to come
        to rest, it is not yet the edge of chaos: for tanh without biases, whose edge of chaos is
        1, it is 1.053 at depth 50. A width of n moves the growth by about 1/n, and more where two
        fixed points of the variance nearly meet (gelu, small biases); that is not in the error.

        Examples
        --------
        >>> found = phase_diagram("relu", sigma_w=[1.3, 1.5], sigma_b=[0.0], depth=20, width=200)
        >>> bool(abs(found.edge()[0][0] - 2**0.5) < 0.02)
        True
        """
        from .phase_edge import measured_edge

        return measured_edge(self)

    @overload
    def plot(self, ax: None = None) -> Figure: ...
    @overload
    def plot(self, ax: Axes) -> Axes: ...
    @overload
    def plot(self, ax: Sequence[Axes]) -> Sequence[Axes]: ...
    def plot(self, ax: Axes | Sequence[Axes] | None = None) -> Figure | Axes | Sequence[Axes]:
        """Draw growth, correlation and variance with theory's edge; see `varprop.plot.phase`."""
        from .phase_plot import phase

        return phase(self, ax)


def _extent(name: str, values: FloatArray) -> str:
    if len(values) == 1:
        return f"{name} {values[0]:g}"
    return f"{name} {values[0]:g} to {values[-1]:g} ({len(values)})"


def phase_diagram(
    act: ActivationSpec = "tanh",
    *,
    sigma_w: npt.ArrayLike = SIGMA_W,
    sigma_b: npt.ArrayLike = SIGMA_B,
    depth: int = 50,
    width: int = 1000,
    correlation: float = 0.5,
    trials: int = 16,
    stderr: float | None = 0.005,
    most_trials: int = 1000,
    seed: int = 0,
    executor: Any = None,
    threads: int | None = None,
    progress: Progress = None,
) -> PhaseDiagram:
    """Measure where signals and gradients grow and fade, and where two signals part.

    Networks go where they are needed: every cell gets a few, and then those whose standard error
    of the growth per layer is above `stderr` get as many more as that error asks for.

    Parameters
    ----------
    act : str, Activation or (f, derivative), default "tanh"
        The activation; one without jumps.
    sigma_w, sigma_b : array, optional
        The axes, ascending. Default: 0.5 to 3 in steps of 0.1, and 0 to 1 in steps of 0.1.
    depth : int, default 50
        Layers, 4 or more.
    width : int, default 1000
        Units in every layer.
    correlation : float, default 0.5
        Cosine of the two inputs, from -1 to 1.
    trials : int, default 16
        Networks that every cell gets first, 2 or more.
    stderr : float or None, default 0.005
        Standard error of the growth per layer to be reached in every cell. None: `trials`
        networks in each, whatever the error.
    most_trials : int, default 1000
        Where a cell stops all the same; at least `trials`.
    seed, executor, threads, progress
        As for `sweep`; progress counts cells that have all their networks.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work starts.

    Notes
    -----
    The cells of one sigma_b have the same networks: their errors go together, neighbours are
    compared more exactly than each alone, and what many cells draw is drawn once. Those of the
    next one have others, so that the errors of the edge are independent: row i begins at trial
    i * most_trials of the seed. How many networks a cell gets depends on what was measured in it
    alone, so the numbers are the same for any executor. At great depth over width a mean rests on
    few networks, and so does its standard error; so it does in a cell that had only 16 networks.

    Examples
    --------
    >>> found = phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1], depth=10, width=100)
    >>> (found.growth < 0).tolist()
    [[True, False]]
    """
    columns, rows = _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b)
    if stderr is not None and not (isinstance(stderr, float | int) and 0 < stderr < math.inf):
        raise ValueError(f"stderr must be a number above 0, or None, got {stderr!r}")
    first = whole("trials", trials, 2, MAX_TRIAL)
    most = whole("most_trials", most_trials, first, MAX_TRIAL // len(rows))
    whole("depth", depth, 4, 2**31)
    fixed: dict[str, Any] = {
        "act": act,
        "depth": depth,
        "width": width,
        "seed": seed,
        "backward": True,
        "correlation": correlation,
    }
    axes = {"sigma_b": rows.tolist(), "sigma_w": columns.tolist()}
    grid = Grid.of(axes, first)
    grid = Grid(fixed, grid.axes, first)
    units = sum(grid.runs()[0][0].network.widths[1:])
    cells = [Cell(depth) for _ in range(grid.size)]
    groups = _groups(len(rows), len(columns), units * first)
    with (
        workers(executor, len(groups), threads) as (pool, each, trouble),
        shown_progress(progress, 0, grid.size) as update,
    ):
        starts = [most * (cell // len(columns)) for cell in range(grid.size)]
        queue = _Queue(Task(grid, group, starts[group[0]], first, each) for group in groups)
        done = 0
        for task, measured in run_all(pool, measure, queue, trouble):
            for number, found in zip(task.cells, measured, strict=True):
                there = cells[number].add(found)
                wanted = there if stderr is None else cells[number].wanted(stderr, most)
                if wanted > there:
                    alone, start = range(number, number + 1), starts[number] + there
                    queue.append(Task(grid, alone, start, wanted - there, each))
                else:
                    done += 1
                    update(done)
    summaries = np.array([cell.summary() for cell in cells]).T.reshape(7, *grid.shape)
    names = (
        "log_variance", "log_variance_stderr", "growth", "growth_stderr", "predicted_growth",
        "correlation", "correlation_stderr",
    )  # fmt: skip
    return PhaseDiagram(
        act=str(Network(depth, width, act=act).act),
        sigma_w=columns,
        sigma_b=rows,
        trials=np.array([cell.trials for cell in cells]).reshape(grid.shape),
        depth=depth,
        width=width,
        seed=seed,
        input_correlation=float(correlation),
        **dict(zip(names, summaries, strict=True)),
    )


def _groups(rows: int, columns: int, units: int) -> list[range]:
    """Cells whose first networks are measured together: as even parts of a row as `units` allow."""
    parts = min(columns, math.ceil(columns * units / _TOGETHER))
    ends = [columns * part // parts for part in range(parts + 1)]
    return [
        range(row * columns + start, row * columns + stop)
        for row in range(rows)
        for start, stop in pairwise(ends)
    ]


class _Queue(Iterator[Task]):
    """What is to be done: taken from the front while more comes in at the end."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = deque(tasks)

    def append(self, task: Task) -> None:
        self._tasks.append(task)

    def __next__(self) -> Task:
        if not self._tasks:
            raise StopIteration
        return self._tasks.popleft()


def _axis(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or (np.diff(array) <= 0).any():
        raise ValueError(f"{name} must be a list of ascending numbers, got {values!r}")
    return array
