"""A smooth function of two variables, asked along a path: Chebyshev panels, made when they pay.

A recursion that settles or drifts slowly asks the same panel hundreds of times; one that passes
quickly asks it once. So a panel's points are evaluated one by one until they have been as many as
the panel itself would cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TensorTable"]

Array = NDArray[np.float64]

_NODES = 11
_WIDTH = 0.5
_GOOD = 1e-12  # the last coefficients of a panel that may be used
_ORDER = np.arange(_NODES)
_ANGLE = np.pi * (_ORDER + 0.5) / _NODES
_T = np.cos(_ANGLE)
_SERIES = np.cos(np.outer(_ORDER, _ANGLE)) * np.where(_ORDER == 0, 1, 2)[:, None] / _NODES


class TensorTable:
    """f(x, y), quick where it is asked often.

    Parameters
    ----------
    function : callable
        Arrays of x and of y -> array of f, analytic at a distance of about 1.
    patience : int
        How often a panel is asked before it is made.
    height : float, optional
        Length of a panel along y.

    Examples
    --------
    >>> table = TensorTable(lambda x, y: np.exp(x) * np.cos(y), patience=0)
    >>> abs(table.at(0.3, 2.0) - math.exp(0.3) * math.cos(2.0)) < 1e-14
    True
    """

    def __init__(
        self, function: Callable[[Array, Array], Array], patience: int, height: float = _WIDTH
    ) -> None:
        self._function, self._patience, self._sides = function, patience, (_WIDTH, height)
        self._panels: dict[tuple[int, int], Any] = {}
        self._asked: dict[tuple[int, int], int] = {}

    def at(self, x: float, y: float) -> float:
        """f at one point, the same whether from a panel or not to about 1e-12."""
        width, height = self._sides
        key = (math.floor(x / width), math.floor(y / height))
        if key not in self._panels:
            asked = self._asked[key] = self._asked.get(key, 0) + 1
            if asked <= self._patience:
                return self._one(x, y)
            self._panels[key] = self._make(key)
        series = self._panels[key]
        if series is None:
            return self._one(x, y)
        s, t = 2 * (x / width - key[0]) - 1, 2 * (y / height - key[1]) - 1
        waves = np.cos(_ORDER * np.arccos([[s], [t]]))
        return float(waves[0] @ series @ waves[1])

    def _one(self, x: float, y: float) -> float:
        return float(self._function(np.array([x]), np.array([y]))[0])

    def _make(self, key: tuple[int, int]) -> Any:
        x, y = ((i + 0.5 + _T / 2) * side for i, side in zip(key, self._sides, strict=True))
        grid = np.meshgrid(x, y, indexing="ij")
        heights = self._function(grid[0].ravel(), grid[1].ravel()).reshape(_NODES, _NODES)
        middle = heights[_NODES // 2, _NODES // 2]  # taken out: rounding is relative to the rest
        series = _SERIES @ (heights - middle) @ _SERIES.T
        tail = max(np.abs(series[-2:]).max(), np.abs(series[:, -2:]).max())
        series[0, 0] += middle
        return series if tail <= _GOOD * max(1.0, float(np.abs(heights).max())) else None
