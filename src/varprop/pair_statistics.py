"""Statistics of pairs of inputs, made of ln(1 - c) without losing a digit."""

from __future__ import annotations

import numpy as np

from .pairs import pairs_of
from .statistic import FloatArray, LayerStatistic


def gap(name: str, log_gap: FloatArray | None) -> LayerStatistic:
    """1 - c of its logarithm; missing where that is inf."""
    log = _measured(log_gap)
    return LayerStatistic(name, log, missing=np.isposinf(log))


def correlation(log_gap: FloatArray | None) -> LayerStatistic:
    """c of ln(1 - c).

    Examples
    --------
    >>> c = correlation(np.array([[-np.inf, np.log(0.25), np.log(2.0), np.inf]]))
    >>> print(c.mean)
    [1.0 0.75 -1.0 --]
    """
    log = _measured(log_gap)
    values = _cosine(log)
    return LayerStatistic.of_values("correlation", values, missing=np.isposinf(log))


def kernel(log_variance: FloatArray, log_kernel_gap: FloatArray | None) -> LayerStatistic:
    """K_ab = rho_ab sqrt(K_aa K_bb) of (trials, inputs, layers) and ln(1 - rho) of the pairs."""
    log_gaps = _measured(log_kernel_gap)
    trials, inputs, layers = log_variance.shape
    log_gaps = log_gaps.reshape(trials, -1, layers)
    log = np.empty((trials, inputs, inputs, layers))
    sign = np.ones_like(log)
    for a in range(inputs):
        log[:, a, a] = log_variance[:, a]
    for (a, b), gaps in zip(pairs_of(inputs), np.moveaxis(log_gaps, 1, 0), strict=True):
        rho = _cosine(gaps)
        with np.errstate(divide="ignore"):
            between = np.log(np.abs(rho)) + (log_variance[:, a] + log_variance[:, b]) / 2
        log[:, a, b] = log[:, b, a] = between
        sign[:, a, b] = sign[:, b, a] = np.sign(rho)
    return LayerStatistic("kernel", log, sign=np.where(np.isneginf(log), 0.0, sign))


def _cosine(log_gap: FloatArray) -> FloatArray:
    """1 - exp(log_gap), in [-1, 1]; 0 where there is none."""
    there = np.where(np.isposinf(log_gap), 0.0, log_gap)
    cosine: FloatArray = np.maximum(-np.expm1(there), -1.0)
    return cosine


def _measured(log_gap: FloatArray | None) -> FloatArray:
    if log_gap is None:
        raise ValueError(
            "no pairs were measured: simulate with correlation=, or several inputs in x"
        )
    return log_gap
