"""The tests that a comparison is made of: residuals in, one p-value out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .statistic import FloatArray

Masked = np.ma.MaskedArray[Any, Any]

FALSE_ALARMS = 1e-3  # of one verdict: how often a faultless simulation is called deviating
# Tests whose law is only nearly normal need this many units at work (n / relative variance), ...
_ENOUGH = 3000.0
_ENOUGH_IN_LAYER = 10000.0  # (one of many layers: further out in the tail)
# ... and those of products this many residuals, counting for less where a layer has few units.
_ENOUGH_RESIDUALS = 1000.0
# Squares of whole networks have long tails: so many units over networks, and networks.
_ENOUGH_UNITS, _ENOUGH_NETWORKS = 20000.0, 300


@dataclass(frozen=True)
class Test:
    """One test of a comparison: what it looks at, and how far off it is, in standard errors."""

    name: str
    sigmas: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {"name": self.name, "sigmas": self.sigmas, "p_value": self.p_value}


def normal_test(name: str, sigmas: float) -> Test:
    """Of a number that is standard normal when all is well."""
    return Test(name, float(sigmas), math.erfc(abs(float(sigmas)) / math.sqrt(2)))


def rounding_test(name: str, off: FloatArray, size: FloatArray, wrong: bool) -> Test:
    """Of logarithms that must be 0 to the last digits: rounding counted as one sigma.

    Parameters
    ----------
    name : str
    off : array
        What should be 0.
    size : array
        The logarithms that it is a difference of.
    wrong : bool
        Whether something is 0 that should not be, or the reverse: off by all there is.
    """
    rounding = 16 * np.finfo(float).eps * (1 + np.abs(size))
    worst = 1 / np.finfo(float).eps if wrong else float((np.abs(off) / rounding).max(initial=0.0))
    # within rounding there is nothing to weigh; beyond it there is no excuse
    return Test(name, worst, 1.0 if worst <= 1 else 0.0)


def chi_square_test(name: str, total: float, freedom: float) -> Test | None:
    """Of a sum of squares that is chi-square when all is well."""
    from scipy.stats import chi2

    if freedom == 0:
        return None
    p_value = min(1.0, 2 * min(chi2.cdf(total, freedom), chi2.sf(total, freedom)))
    return Test(name, (total - freedom) / math.sqrt(2 * freedom), float(p_value))


def sigmas_by_layer(residual: Masked) -> Masked:
    """Sum of each layer's residuals over the root of their number."""
    count = residual.count(axis=0)
    return np.ma.masked_array(
        residual.filled(0.0).sum(axis=0) / np.sqrt(np.maximum(count, 1)), count == 0
    )


def mean_test(
    name: str, residual: Masked, at_work: FloatArray, exact: bool, allowed: FloatArray | float = 0.0
) -> Test | None:
    """Mean 0 of residuals of variance 1; or of any variance where that is not `exact`.

    `allowed` is how far each residual's mean may be off.
    """
    if at_work.sum() < _ENOUGH:
        return None
    inside = ~np.ma.getmaskarray(residual)
    square = residual.count() if exact else (residual**2).sum()
    excuse = float(np.broadcast_to(allowed, residual.shape)[inside].sum())
    return normal_test(name, excused(float(residual.sum()), excuse) / math.sqrt(square))


def excused(total: Any, excuse: Any) -> Any:
    """What is left of a deviation beyond its excuse."""
    return np.sign(total) * np.maximum(np.abs(total) - excuse, 0.0)


def variance_test(
    name: str, residual: Masked, at_work: FloatArray, excess: FloatArray | None
) -> Test | None:
    """Mean square 1, in its exact standard error where that is known, else in the sample's."""
    inside = ~np.ma.getmaskarray(residual)
    if (np.minimum(at_work / 100, 1) * inside).sum() < _ENOUGH_RESIDUALS:
        return None
    squares = (residual**2 - 1).compressed()
    if excess is None:
        variance = squares.var(ddof=1) * squares.size
    else:
        variance = np.broadcast_to(excess, residual.shape)[inside].sum()
    return normal_test(name, squares.sum() / math.sqrt(variance)) if variance else None


def neighbours_test(name: str, residual: Masked, at_work: FloatArray) -> Test | None:
    """Residuals of neighbouring layers, and of neighbouring trials, must be uncorrelated."""
    if np.minimum(at_work / 10, 1).sum() < _ENOUGH_RESIDUALS:
        return None
    products = np.concatenate(
        [
            (residual[:, 1:] * residual[:, :-1]).compressed(),
            (residual[1:] * residual[:-1]).compressed(),
        ]
    )
    square = (products**2).sum()
    return normal_test(name, products.sum() / math.sqrt(square)) if square else None


def worst_layer_test(
    name: str, residual: Masked, at_work: FloatArray, exact: bool, allowed: FloatArray | float = 0.0
) -> Test | None:
    """The largest deviation of a single layer, its p-value corrected for their number."""
    from scipy.stats import t

    enough = at_work.sum(axis=0) >= _ENOUGH_IN_LAYER
    count = residual.count(axis=0)
    if not exact:
        enough &= count > 1
    if not enough.any():
        return None
    inside = ~np.ma.getmaskarray(residual)
    excuse = np.where(inside, np.broadcast_to(allowed, residual.shape), 0.0).sum(axis=0)
    left = excused(residual.filled(0.0).sum(axis=0), excuse)[enough]
    count = count[enough]
    if exact:
        sigmas = left / np.sqrt(count)
        single = [math.erfc(abs(one) / math.sqrt(2)) for one in sigmas]
    else:
        sigmas = left / np.sqrt((residual.filled(0.0) ** 2).sum(axis=0)[enough])
        single = list(2 * t.sf(np.abs(sigmas), count - 1))
    worst = int(np.argmin(single))
    return Test(name, float(sigmas[worst]), min(1.0, float(single[worst]) * sigmas.size))


def networks_test(name: str, of_networks: FloatArray, units: float) -> Test | None:
    """Mean 0 of independent networks' numbers, in their own standard error."""
    count = of_networks.size
    if count < _ENOUGH_NETWORKS or count * units < _ENOUGH_UNITS:
        return None
    error = of_networks.std(ddof=1) / math.sqrt(count)
    return normal_test(name, of_networks.mean() / error) if error > 0 else None


def worst_of(tests: list[Test], several: str) -> Test:
    """The least likely of tests of the same kind, its p-value corrected for their number."""
    worst = min(tests, key=lambda test: test.p_value)
    if len(tests) == 1:
        return worst
    name = f"{worst.name} (worst of {len(tests)} {several})"
    return Test(name, worst.sigmas, min(1.0, worst.p_value * len(tests)))
