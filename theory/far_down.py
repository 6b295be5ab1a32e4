"""What many layers down multiplies a gradient, or the difference of two inputs, by in a layer.

`fixed_point` says it at a fixed point. Here a variance that grows for ever has its answer too,
and the edge of chaos is where the answer for gradients passes 1.
"""

from __future__ import annotations

import math

import numpy as np

from varprop.activation import Activation

from .fixed_correlation import fixed_correlation
from .flow import Rest, VarianceFlow
from .maps import gradient_map
from .recursion import log_at

__all__ = ["log_correlation_rate", "log_growth"]

_FAR = 1e6  # ln K, where every map is a power law


def log_growth(act: Activation, sigma_w: float, sigma_b: float) -> float:
    """ln chi_1 = ln(sigma_w^2 V(K)) at the K that an input of mean square 1 comes to.

    Where its variance grows for ever, the limit for large K.

    Parameters
    ----------
    act : Activation
        One that does not jump.
    sigma_w, sigma_b : float
        Standard deviations, sigma_w > 0.

    Examples
    --------
    >>> relu = Activation.parse("relu")
    >>> round(log_growth(relu, 2.0, 0.5) / math.log(2), 12)
    1.0
    """
    flow = VarianceFlow(act, sigma_w, sigma_b)
    return _log_chi1(flow, _reached(flow))


def log_correlation_rate(act: Activation, sigma_w: float, sigma_b: float) -> float:
    """ln of what the distance from c* is multiplied by in a layer, with chi_1's sign.

    It is -1/xi_c in the ordered phase, where two inputs come together, and 1/xi_c in the chaotic
    one, where they come to c* < 1: so it rises through 0 at the edge. nan where they come to rest
    more slowly than any exponential away from the edge, or nowhere that is known.

    Examples
    --------
    >>> tanh = Activation.parse("tanh")
    >>> [round(log_correlation_rate(tanh, sigma_w, 0.3), 6) for sigma_w in (1.0, 2.0)]
    [-0.356306, 0.150415]
    """
    flow = VarianceFlow(act, sigma_w, sigma_b)
    rest = _reached(flow)
    if rest is None:
        return math.nan
    slope = fixed_correlation(act, sigma_w, sigma_b, rest.variance).slope
    growth = _log_chi1(flow, rest)
    if slope is None or (slope == 1 and growth != 0):
        return math.nan
    speed = math.inf if slope == 0 else -math.log(abs(slope))
    return math.copysign(speed, growth)


def _reached(flow: VarianceFlow) -> Rest | None:
    return flow.reached(float(np.logaddexp(flow.log_weight, flow.log_bias)))


def _log_chi1(flow: VarianceFlow, rest: Rest | None) -> float:
    log_k = _FAR
    if rest is not None:
        log_k = math.log(rest.variance) if rest.variance > 0 else -math.inf
    return flow.log_weight + float(log_at(gradient_map(flow.act), np.array([log_k]))[0])
