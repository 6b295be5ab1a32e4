"""Where the growth of gradients in a phase diagram is 0: between its cells, and how well known.

Nothing was measured between two cells. A curve through all cells of a row that does not overshoot
says where it crosses 0. How far that may be off is seen in theory's growth at the same depth,
which is known at the cells and between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .network import Network
from .phase_cell import predicted_growth

if TYPE_CHECKING:
    from .phase import FloatArray, PhaseDiagram


def measured_edge(diagram: PhaseDiagram) -> tuple[FloatArray, FloatArray]:
    """For each sigma_b the sigma_w at which the measured growth is 0, and its standard error.

    Examples
    --------
    >>> from varprop import phase_diagram
    >>> found = phase_diagram("relu", sigma_w=[1.3, 1.5], sigma_b=[0.0], depth=20, width=200)
    >>> edge, error = measured_edge(found)
    >>> bool(abs(edge[0] - 2**0.5) < 3 * error[0])
    True
    """
    edges, errors = np.full((2, len(diagram.sigma_b)), np.nan)
    by_theory = zip(diagram.predicted_growth, edge_at_depth(diagram), strict=True)
    for row, (predicted, known) in enumerate(by_theory):
        edge, slope = _crossing(diagram.sigma_w, diagram.growth[row])
        # The cells of a row are measured in the same networks: their errors do not average out.
        error = np.interp(edge, diagram.sigma_w, diagram.growth_stderr[row]) / slope
        edges[row] = edge
        errors[row] = np.hypot(error, _crossing(diagram.sigma_w, predicted)[0] - known)
    return edges, errors


def edge_at_depth(diagram: PhaseDiagram) -> FloatArray:
    """For each sigma_b the sigma_w at which theory's growth in the same layers is 0.

    It differs from the edge of chaos, which is that of infinite depth, where the variance has not
    come to rest in these layers. nan where it has one sign between the ends of the sigma_w axis.

    Examples
    --------
    >>> from varprop import phase_diagram
    >>> found = phase_diagram("relu", sigma_w=[1.3, 1.5], sigma_b=[0.0], depth=9, width=30)
    >>> edge_at_depth(found).round(6)
    array([1.414214])
    """
    from scipy.optimize import brentq

    edges = np.full(len(diagram.sigma_b), np.nan)
    for row, (sigma_b, growth) in enumerate(
        zip(diagram.sigma_b.tolist(), diagram.predicted_growth, strict=True)
    ):
        cell = first_rise(growth)
        if cell is not None:
            ends = diagram.sigma_w[cell : cell + 2]
            edges[row] = brentq(_growth(diagram, sigma_b), *ends, xtol=1e-9)
    return edges


def first_rise(growth: FloatArray) -> int | None:
    """The first cell below 0 whose neighbour to the right is not.

    Examples
    --------
    >>> import numpy as np
    >>> first_rise(np.array([-2.0, -1.0, 0.0, 3.0]))
    1
    """
    (up,) = np.nonzero((growth[:-1] < 0) & (growth[1:] >= 0))
    return int(up[0]) if up.size else None


def _crossing(sigma_w: FloatArray, growth: FloatArray) -> tuple[float, float]:
    """Where growth rises through 0, and how steeply; nan where it does not."""
    from scipy.interpolate import PchipInterpolator
    from scipy.optimize import brentq

    cell = first_rise(growth)
    if cell is None:
        return np.nan, np.nan
    curve = PchipInterpolator(sigma_w, growth)
    edge = float(brentq(curve, *sigma_w[cell : cell + 2], xtol=1e-12))
    return edge, float(curve(edge, 1))


def _growth(diagram: PhaseDiagram, sigma_b: float) -> Callable[[float], float]:
    def growth(sigma_w: float) -> float:
        return predicted_growth(
            Network(diagram.depth, diagram.width, act=diagram.act, sigma_w=sigma_w, sigma_b=sigma_b)
        )

    return growth
