"""From a Network to the plain numbers and callbacks that the compiled engines read."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ._core.plan import LAWS, PlanHolder
from .activation import Activation
from .formula import Formula
from .network import Network

FloatArray = npt.NDArray[np.float64]


def plan_of(network: Network, seed: int, saturated_below: float, layer: int = 0) -> PlanHolder:
    """The network as an engine's plan, for layers that are as that one (from 0)."""
    act = network.acts[layer] if len(network.distinct_acts) > 1 else network.distinct_acts[0]
    many = len(network.distinct_schemes) > 1
    scheme = network.schemes[layer] if many else network.distinct_schemes[0]
    normal_bias = network.sigma_b is not None or scheme.bias_distribution == "normal"
    parameters = [*(value for _, value in act.parameters), 0.0, 0.0]
    facts = (
        act.code,
        -1 if act.degree is None else act.degree,
        *parameters[:2],
        *act.at_zero,
        act.at_infinity,
        _far_zeros(act),
        saturated_below * act.max_slope if math.isfinite(act.max_slope) else 0.0,
    )
    return PlanHolder(
        facts,
        network.widths,
        network.sigma_w,
        network.bias_std,
        seed,
        laws=_laws(network),
        uniform_bias=not normal_bias,
        callback=None if act.code >= 0 else _callback(act),
        log_value=None if act.code >= 0 or act.formula is None else _log_value(act.formula),
    )


def _laws(network: Network) -> tuple[npt.NDArray[np.intc], FloatArray]:
    """The code and the shape of the law of each layer's weights."""
    each = network.distinct_schemes
    codes = np.array([LAWS[scheme.distribution] for scheme in each], dtype=np.intc)
    shapes = np.array([scheme.shape or 0.0 for scheme in each])
    if len(each) == 1:
        return np.repeat(codes, network.depth), np.repeat(shapes, network.depth)
    return codes, shapes


def _callback(act: Activation) -> Callable[[FloatArray, FloatArray, FloatArray], None]:
    def evaluate(z: FloatArray, h: FloatArray, d: FloatArray) -> None:
        with np.errstate(all="ignore"):
            h[...] = act(z)
            d[...] = act.derivative(z)
        bad = ~np.isfinite(h) | np.isnan(d)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise OverflowError(
                f"activation {str(act)!r} gave φ({float(z[at])!r}) = {float(h[at])!r} with slope "
                f"{float(d[at])!r}; φ must be finite wherever the signal goes"
            )

    return evaluate


def _far_zeros(act: Activation) -> bool:
    """Whether φ is exactly 0 on a side where its far slope is."""
    if act.at_infinity is None:
        return False
    with np.errstate(all="ignore"):
        ends = act(np.array([-1e130, 1e130]))
    return any(s == 0 and v == 0 for s, v in zip(act.at_infinity, ends, strict=True))


def _log_value(formula: Formula) -> Callable[[float, float, bool], tuple[float, float]]:
    def evaluate(z: float, log_k: float, slope: bool) -> tuple[float, float]:
        import mpmath

        with mpmath.workdps(30):
            at = mpmath.mpf(z) * mpmath.exp(mpmath.mpf(log_k) / 2)
            value = formula.mpmath(at, derivative=slope)
            log = float(mpmath.log(abs(value))) if value else -math.inf
        if log < -1.7e308:
            return -math.inf, 0.0
        return log, math.copysign(1.0, value)

    return evaluate
