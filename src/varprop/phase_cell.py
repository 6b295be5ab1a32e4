"""One cell of a phase diagram: what its networks showed, and how many more it needs.

Growth is ln of the mean over networks of g in the middle layer over g in the last one, per layer:
on the way back through the second half of the layers, where transients of the input are over. It
is ln chi_1 in the limit of width and depth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .network import Network
from .simulate import simulate
from .statistic import LayerStatistic

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


def measure(item: tuple[int, dict[str, Any]]) -> tuple[FloatArray, float]:
    """Of each network ln K of the last layer, ln of the growth of g, and ln(1 - c); and theory.

    nan in place of ln(1 - c) where two inputs can't be told apart any more.

    Raises
    ------
    ValueError
        When a network died.
    """
    arguments = item[1]
    # A gradient is asked of one input alone: with a second one it would take twice as long.
    one = simulate(**{**arguments, "correlation": None})
    variance = _last(one.rows.log_variance)
    growth = _growth(one.gradient.log.filled(-np.inf))
    if not np.isfinite([variance, growth]).all():
        where = ", ".join(f"{name}={arguments[name]}" for name in ("sigma_w", "sigma_b"))
        raise ValueError(f"at {where} a network's signal or gradient is exactly 0: use more width")
    try:
        gap = _last(simulate(**{**arguments, "backward": False}).rows.log_gap)
    except OverflowError:  # beyond float64, where one input alone is carried in logarithms
        gap = np.full(one.trials, np.nan)
    gap = np.where(np.isposinf(gap), np.nan, gap)
    return np.array([variance, growth, gap]), predicted_growth(one.network)


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


def _last(rows: FloatArray | None) -> FloatArray:
    assert rows is not None
    return rows[..., -1]


def _mean(values: FloatArray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
