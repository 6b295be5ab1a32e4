"""What theory says of infinitely wide and deep networks, over the axes of a phase diagram."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .activation import Activation
from .phase_edge import first_rise

if TYPE_CHECKING:
    from .phase import FloatArray, PhaseDiagram

_MOST = 300  # cells in which c* is sought; it takes 10 to 50 ms in each


def edge_of_chaos(diagram: PhaseDiagram) -> FloatArray:
    """For each sigma_b the sigma_w at which chi_1 passes 1; nan where it does not on the axis.

    chi_1 is that of the fixed point which an input of mean square 1 comes to. So where two fixed
    points meet, and it jumps past 1, the edge is there.

    Examples
    --------
    >>> from varprop import phase_diagram
    >>> found = phase_diagram("tanh", sigma_w=[0.9, 1.2], sigma_b=[0.0], depth=9, width=30)
    >>> edge_of_chaos(found).round(5)
    array([1.])
    """
    from scipy.optimize import brentq

    act, sigma_w = Activation.parse(diagram.act), diagram.sigma_w
    last = len(sigma_w) - 1
    edges = np.full(len(diagram.sigma_b), np.nan)
    for row, sigma_b in enumerate(diagram.sigma_b.tolist()):
        growth = partial(_growth, act, sigma_b)
        # Sought from where it is at this depth.
        rise = first_rise(diagram.predicted_growth[row])
        low, high = (0, last) if rise is None else (rise, rise + 1)
        while low > 0 and growth(sigma_w[low]) >= 0:
            low -= 1
        while high < last and growth(sigma_w[high]) < 0:
            high += 1
        if growth(sigma_w[low]) < 0 <= growth(sigma_w[high]):
            edges[row] = brentq(growth, sigma_w[low], sigma_w[high], xtol=1e-7)
    return edges


def _growth(act: Activation, sigma_b: float, sigma_w: float) -> float:
    from .theory.far_down import log_growth

    return log_growth(act, sigma_w, sigma_b)


def correlation_rates(diagram: PhaseDiagram) -> tuple[FloatArray, FloatArray, FloatArray]:
    """1/xi_c, below 0 in the ordered phase, at some places along both axes of a diagram.

    Returns
    -------
    sigma_w, sigma_b : array
        Those of the cells, or of every second or third one of a large diagram.
    rates : array, shape (sigma_b, sigma_w)
        nan where theory has no depth scale.

    Examples
    --------
    >>> from varprop import phase_diagram
    >>> found = phase_diagram("tanh", sigma_w=[1.0, 2.0], sigma_b=[0.3], depth=9, width=30)
    >>> (1 / correlation_rates(found)[2]).round(2)
    array([[-2.81,  6.65]])
    """
    from .theory.far_down import log_correlation_rate

    act = Activation.parse(diagram.act)
    stride = math.ceil(math.sqrt(diagram.growth.size / _MOST))
    sigma_w, sigma_b = _thinned(diagram.sigma_w, stride), _thinned(diagram.sigma_b, stride)
    rates = [[log_correlation_rate(act, w, b) for w in sigma_w.tolist()] for b in sigma_b.tolist()]
    return sigma_w, sigma_b, np.array(rates)


def _thinned(axis: FloatArray, stride: int) -> FloatArray:
    """Every second place, or third, ..., and the last."""
    return np.unique(np.append(axis[::stride], axis[-1]))
