"""Phase diagrams: variance and growth of gradients over (sigma_w, sigma_b), with theory's edge.

Growth is ln of the mean over networks of g in the middle layer over g in the last one, per layer:
on the way back through the second half of the layers, where transients of the input are over. It
is ln chi_1 in the limit of width and depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .arguments import whole
from .network import ActivationSpec, Network
from .simulate import MAX_TRIAL, simulate
from .statistic import LayerStatistic
from .sweep_executors import run_all, workers
from .sweep_grid import Grid
from .sweep_progress import Progress, shown_progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PhaseDiagram", "phase_diagram"]

FloatArray = npt.NDArray[np.float64]
Item = tuple[int, dict[str, Any]]

_FIRST = 16  # networks of each cell before anything is known of its spread
_MOST_AT_ONCE = 4  # by how much a round may multiply the networks of a cell


@dataclass(frozen=True, eq=False)
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
    trials : integer array
        Networks of each cell.
    depth, width, seed : int
        What was simulated.

    Examples
    --------
    >>> found = phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1], depth=9, width=50)
    >>> isinstance(found, PhaseDiagram), found.growth.shape
    (True, (1, 2))
    """

    act: str
    sigma_w: FloatArray
    sigma_b: FloatArray
    log_variance: FloatArray
    log_variance_stderr: FloatArray
    growth: FloatArray
    growth_stderr: FloatArray
    predicted_growth: FloatArray
    trials: npt.NDArray[np.int64]
    depth: int
    width: int
    seed: int

    def edge(self) -> tuple[FloatArray, FloatArray]:
        """The measured edge of chaos: for each sigma_b the sigma_w at which growth is 0.

        Returns
        -------
        edge, stderr : array, shape (sigma_b,)
            Interpolated linearly between two cells, so no better than their distance allows; nan
            where growth has one sign.

        Examples
        --------
        >>> found = phase_diagram("relu", sigma_w=[1.3, 1.5], sigma_b=[0.0], depth=20, width=200)
        >>> bool(abs(found.edge()[0][0] - 2**0.5) < 0.02)
        True
        """
        edges, errors = np.full((2, len(self.sigma_b)), np.nan)
        for row, (growth, error) in enumerate(zip(self.growth, self.growth_stderr, strict=True)):
            (up,) = np.nonzero((growth[:-1] < 0) & (growth[1:] >= 0))
            if up.size:
                i = int(up[0])
                step = self.sigma_w[i + 1] - self.sigma_w[i]
                share = growth[i] / (growth[i] - growth[i + 1])
                edges[row] = self.sigma_w[i] + share * step
                slope = (growth[i + 1] - growth[i]) / step
                errors[row] = np.hypot((1 - share) * error[i], share * error[i + 1]) / slope
        return edges, errors

    @overload
    def plot(self, ax: None = None) -> Figure: ...
    @overload
    def plot(self, ax: Axes) -> Axes: ...
    @overload
    def plot(self, ax: Sequence[Axes]) -> Sequence[Axes]: ...
    def plot(self, ax: Axes | Sequence[Axes] | None = None) -> Figure | Axes | Sequence[Axes]:
        """Draw growth and variance, and over them theory's edge; see `varprop.plot.phase`."""
        from .phase_plot import phase

        return phase(self, ax)


def phase_diagram(
    act: ActivationSpec = "tanh",
    *,
    sigma_w: npt.ArrayLike,
    sigma_b: npt.ArrayLike,
    depth: int = 50,
    width: int = 1000,
    stderr: float = 0.005,
    most_trials: int = 1000,
    seed: int = 0,
    executor: Any = None,
    threads: int | None = None,
    progress: Progress = None,
) -> PhaseDiagram:
    """Measure where a signal's gradient grows and where it fades.

    Networks go where they are needed: every cell gets a few, and then those whose standard error
    of the growth per layer is above `stderr` get as many more as that error asks for.

    Parameters
    ----------
    act : str, Activation or (f, derivative), default "tanh"
        The activation; one without jumps.
    sigma_w, sigma_b : array
        The axes, ascending.
    depth : int, default 50
        Layers, 4 or more.
    width : int, default 1000
        Units in every layer.
    stderr : float, default 0.005
        Standard error of the growth per layer to be reached in every cell.
    most_trials : int, default 1000
        Where a cell stops all the same, 16 or more.
    seed, executor, threads, progress
        As for `sweep`; progress counts cells that have reached their error.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work starts.

    Notes
    -----
    All cells draw from the same seed: their errors go together, and neighbours are compared more
    exactly than each alone. How many networks a cell gets depends on what was measured in it
    alone, so the numbers are the same for any executor. At great depth over width a mean rests on
    few networks, and so does its standard error; so it does in a cell that had only 16 networks.

    Examples
    --------
    >>> found = phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1], depth=10, width=100)
    >>> (found.growth < 0).tolist()
    [[True, False]]
    """
    columns, rows = _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b)
    if not (isinstance(stderr, float | int) and 0 < stderr < math.inf):
        raise ValueError(f"stderr must be a number above 0, got {stderr!r}")
    most = whole("most_trials", most_trials, _FIRST, MAX_TRIAL)
    whole("depth", depth, 4, 2**31)
    fixed = {"act": act, "depth": depth, "width": width, "seed": seed, "backward": True}
    axes = {"sigma_b": rows.tolist(), "sigma_w": columns.tolist()}
    grid = Grid.of(axes, _FIRST)
    grid = Grid(fixed, grid.axes, _FIRST)
    for cell in range(grid.size):
        grid.run(cell)
    logs: list[FloatArray] = [np.empty((2, 0)) for _ in range(grid.size)]
    wanted = dict.fromkeys(range(grid.size), _FIRST)
    layers = depth - 1 - depth // 2
    with (
        workers(executor, grid.size, threads) as (pool, each, trouble),
        shown_progress(progress, 0, grid.size) as update,
    ):
        while wanted:
            items = _items(grid, logs, wanted, each)
            for (cell, _), more in run_all(pool, _measure, items, trouble):
                logs[cell] = np.concatenate([logs[cell], more], axis=1)
            errors = [_mean_growth(log[1], layers)[1] / stderr for log in logs]
            wanted = {
                cell: number
                for cell, (log, ratio) in enumerate(zip(logs, errors, strict=True))
                if (number := _more(log.shape[1], ratio, most)) > log.shape[1]
            }
            update(grid.size - len(wanted))
    shape = grid.shape
    mean = np.array([[log[0].mean(), _mean_growth(log[1], layers)[0]] for log in logs])
    error = np.array([[_stderr(log[0]), _mean_growth(log[1], layers)[1]] for log in logs])
    networks = (
        Network(depth, width, act=act, sigma_w=w, sigma_b=b) for b, w in product(rows, columns)
    )
    return PhaseDiagram(
        act=str(Network(depth, width, act=act).act),
        sigma_w=columns,
        sigma_b=rows,
        log_variance=mean[:, 0].reshape(shape),
        log_variance_stderr=error[:, 0].reshape(shape),
        growth=mean[:, 1].reshape(shape),
        growth_stderr=error[:, 1].reshape(shape),
        predicted_growth=np.array([_predicted(network) for network in networks]).reshape(shape),
        trials=np.array([log.shape[1] for log in logs]).reshape(shape),
        depth=depth,
        width=width,
        seed=seed,
    )


def _axis(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or (np.diff(array) <= 0).any():
        raise ValueError(f"{name} must be a list of ascending numbers, got {values!r}")
    return array


def _items(
    grid: Grid, logs: Sequence[FloatArray], wanted: dict[int, int], threads: int
) -> Iterator[Item]:
    for cell, trials in wanted.items():
        there = logs[cell].shape[1]
        own = {"trials": trials - there, "first_trial": there, "threads": threads}
        yield cell, {**grid.arguments(cell), **own}


def _measure(item: Item) -> FloatArray:
    """ln K of the last layer, and ln of the growth of g, (2, trials)."""
    propagation = simulate(**item[1])
    gradient = propagation.gradient.log.filled(-np.inf)
    variance = propagation.variance.log.filled(-np.inf)[:, -1]
    measured = np.array([variance, _growth(gradient)])
    if not np.isfinite(measured).all():
        where = ", ".join(f"{name}={item[1][name]}" for name in ("sigma_w", "sigma_b"))
        raise ValueError(f"at {where} a network's signal or gradient is exactly 0: use more width")
    return measured


def _growth(log_gradient: FloatArray) -> Any:
    """Of ln g through the second half of the layers."""
    middle = log_gradient.shape[-1] // 2
    with np.errstate(invalid="ignore"):  # the difference of two logarithms of 0
        return log_gradient[..., middle] - log_gradient[..., -1]


def _stderr(values: FloatArray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def _mean_growth(logs: FloatArray, layers: int) -> tuple[float, float]:
    """ln of a mean, per layer, and its standard error."""
    statistic = LayerStatistic("growth", logs[:, np.newaxis])
    log = float(statistic.log_of_mean[0])
    relative = math.exp(float(statistic.log_of_stderr.filled(-np.inf)[0]) - log)
    return log / layers, relative / layers


def _more(there: int, ratio: float, most: int) -> int:
    """How many networks a cell shall have whose standard error is `ratio` times too large."""
    if ratio <= 1:
        return there
    return min(most, max(there + 1, math.ceil(there * min(ratio**2, _MOST_AT_ONCE))))


def _predicted(network: Network) -> float:
    from .theory import predict

    layers = network.depth - 1 - network.depth // 2
    return float(_growth(predict(network).log_gradient)) / layers


def predicted_edge(diagram: PhaseDiagram) -> FloatArray:
    """Theory's edge: for each sigma_b the sigma_w at which the predicted growth is 0.

    nan where it has one sign between the ends of the sigma_w axis.

    Examples
    --------
    >>> found = phase_diagram("relu", sigma_w=[1.3, 1.5], sigma_b=[0.0], depth=9, width=30)
    >>> predicted_edge(found).round(6)
    array([1.414214])
    """
    from scipy.optimize import brentq

    edges = np.full(len(diagram.sigma_b), np.nan)
    for row, (sigma_b, growth) in enumerate(
        zip(diagram.sigma_b, diagram.predicted_growth, strict=True)
    ):
        (up,) = np.nonzero((growth[:-1] < 0) & (growth[1:] >= 0))
        if up.size:
            low, high = diagram.sigma_w[up[0]], diagram.sigma_w[up[0] + 1]
            edges[row] = brentq(_excess(diagram, float(sigma_b)), low, high, xtol=1e-9)
    return edges


def _excess(diagram: PhaseDiagram, sigma_b: float) -> Callable[[float], float]:
    def growth(sigma_w: float) -> float:
        return _predicted(
            Network(diagram.depth, diagram.width, act=diagram.act, sigma_w=sigma_w, sigma_b=sigma_b)
        )

    return growth
