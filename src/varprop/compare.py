"""Simulation beside theory: the only room that knows both.

Given K^l, the units of layer l are independent normals of variance K^l, at any width. So in every
layer of every trial the residuals

    r_q = (q/K - 1) / sqrt(2/n)     and     r_a = (a/Q(K) - 1) / sqrt((E φ⁴/Q² - 1)/n)

have mean 0 and variance 1 and are uncorrelated from layer to layer. `compare` tests that, and
that K follows from a exactly: no limit of infinite width, no tolerance of our own choosing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .propagation import Propagation

FloatArray = npt.NDArray[np.float64]

TESTS = (
    "K from the layer below",
    "q given K: mean",
    "q given K: variance",
    "a given K: mean",
    "a given K: variance",
    "a given K: neighbours",
    "a given K: worst layer",
)
FALSE_ALARMS = 1e-3  # of one verdict: how often a faultless simulation is called deviating
_ROUNDING = 1e-12  # where a's relative spread is below it, float64 has nothing to test
# Tests whose law is only nearly normal need this many units at work (n / relative variance), ...
_ENOUGH = 3000.0
_ENOUGH_IN_LAYER = 10000.0  # (one of many layers: further out in the tail)
# ... and those of products this many residuals, counting for less where a layer has few units.
_ENOUGH_RESIDUALS = 1000.0


@dataclass(frozen=True)
class Test:
    """One test of a comparison: what it looks at, and how far off it is, in standard errors."""

    name: str
    sigmas: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {"name": self.name, "sigmas": self.sigmas, "p_value": self.p_value}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Predicted and measured activations layer by layer, and one verdict.

    Layer values are averages over trials with weights 1/sd, so that (measured - predicted) /
    stderr is `sigmas`: the sum of the residuals r_a over the root of their number. Logarithms are
    natural; a layer without a testable trial (dead, or saturated to the last bit) is masked.

    Attributes
    ----------
    propagation : Propagation
    log_predicted, log_measured, log_stderr, sigmas : masked arrays, shape (depth,)
    tests : tuple of Test
    """

    propagation: Propagation
    log_predicted: np.ma.MaskedArray[Any, Any]
    log_measured: np.ma.MaskedArray[Any, Any]
    log_stderr: np.ma.MaskedArray[Any, Any]
    sigmas: np.ma.MaskedArray[Any, Any]
    tests: tuple[Test, ...]

    @property
    def consistent(self) -> bool:
        """Whether no test is off: a faultless simulation fails once in 1000 comparisons."""
        return all(test.p_value * len(self.tests) >= FALSE_ALARMS for test in self.tests)

    @property
    def verdict(self) -> str:
        """One sentence."""
        worst = min(self.tests, key=lambda test: test.p_value)
        told = f"least likely of {len(self.tests)} tests: {worst.name}, p = {worst.p_value:.2g}"
        if not self.consistent:
            return f"SIMULATION AND THEORY DISAGREE ({told})"
        if any(test.name == "a given K: mean" for test in self.tests):
            return f"simulation and theory agree ({told})"
        return f"q agrees with theory; a could not be tested ({told})"

    @property
    def left_out(self) -> tuple[str, ...]:
        """Tests that need more units at work: more trials, layers or width."""
        done = {test.name for test in self.tests}
        return tuple(name for name in TESTS if name not in done)

    def __repr__(self) -> str:
        return f"<Comparison: {self.verdict}>"

    def layer_table(self) -> tuple[list[str], list[list[str]]]:
        """Heads and cells of a table of layers."""
        from .table import chosen_layers
        from .text import format_log

        body = []
        for row in chosen_layers(self.propagation.network.depth) - 1:
            if np.ma.getmaskarray(self.sigmas)[row]:
                body.append([str(row + 1), "-", "-", "-", "-"])
                continue
            body.append(
                [
                    str(row + 1),
                    format_log(self.log_predicted[row], 5),
                    format_log(self.log_measured[row], 5),
                    format_log(self.log_stderr[row], 2),
                    f"{self.sigmas[row]:+.2f}",
                ]
            )
        return ["layer", "predicted a", "measured a", "std. error", "sigmas"], body

    def test_table(self) -> tuple[list[str], list[list[str]]]:
        """Heads and cells of a table of the tests."""
        body = [[t.name, f"{t.sigmas:+.2f}", f"{t.p_value:.2g}"] for t in self.tests]
        return ["test", "sigmas", "p-value"], body

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from .html import comparison_html

        return comparison_html(self)

    def __str__(self) -> str:
        from .table import header
        from .text import text_table, wrapped

        parts = [
            header(self.propagation),
            text_table(*self.layer_table()),
            "predicted: E[a | K] = Q(K) of each network's own K, one layer at a time (exact\n"
            "at any width); averages over networks with weights 1/sd.",
        ]
        if self.tests:
            parts.append(text_table(*self.test_table(), left=1))
        if self.left_out:
            parts.append(
                wrapped(f"not tested, for too few units at work: {', '.join(self.left_out)}.", "  ")
            )
        parts.append(wrapped(f"{self.verdict}.", "  "))
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """For `varprop simulate --compare --json`: lists and numbers, None where masked."""
        return {
            "verdict": self.verdict,
            "consistent": self.consistent,
            "false_alarm_rate": FALSE_ALARMS,
            "tests": [test.to_dict() for test in self.tests],
            "left_out": list(self.left_out),
            "log_predicted": self.log_predicted.tolist(),
            "log_measured": self.log_measured.tolist(),
            "log_stderr": self.log_stderr.tolist(),
            "sigmas": self.sigmas.tolist(),
        }


def compare(propagation: Propagation) -> Comparison:
    """Test a simulation against the exact one-step law of its own recursion.

    Parameters
    ----------
    propagation : Propagation
        Of a network with normal weights (and normal biases, if any).

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        For other weight laws, whose units are not exactly normal at finite width.

    Examples
    --------
    >>> import varprop
    >>> c = varprop.simulate(depth=30, width=100, act="tanh", scheme="xavier").compare()
    >>> c.consistent
    True
    """
    from .theory import log_relative_variance, variance_map

    network = propagation.network
    if propagation.inputs > 1:
        raise ValueError(
            f"compare() takes one input, not {propagation.inputs}; as in p[0].compare()"
        )
    if not network.plain:
        raise ValueError(
            "compare() knows networks of equal layers without skip connections, norms and "
            f"dropout, not {network!r}"
        )
    kinds = {"weights": network.scheme.distribution}
    if network.has_bias:
        kinds["biases"] = network.bias_distribution
    other = [f"{law} {what}" for what, law in kinds.items() if law != "normal"]
    if other:
        raise ValueError(
            f"compare() needs normal weights and biases, but scheme {str(network.scheme)!r} has "
            f"{' and '.join(other)}: given the layer below, their units are normal only up to "
            "terms of order 1/width, so there is no exact law to test; use a normal scheme of the "
            "same variance"
        )
    log_k, log_a = propagation.variance.log, propagation.activation.log
    units = np.array(network.widths[1:], dtype=np.float64)
    alive = ~np.ma.getmaskarray(log_k)
    filled = np.where(alive, log_k.data, 0.0)
    log_q_map = variance_map(network.act).log(filled)
    # beyond e^600 a single unit outweighs any width: not at work, as below
    scatter = np.exp(np.minimum(log_relative_variance(network.act, filled), 600.0))
    spread = np.sqrt(scatter / units)
    usable = alive & (spread > _ROUNDING)
    ratio = np.ma.filled(np.exp(np.ma.masked_array(log_a - log_q_map, ~usable)), 0.0)
    residual = np.ma.masked_array((ratio - 1) / np.where(usable, spread, 1.0), ~usable)
    q_ratio = np.exp(np.ma.masked_array(propagation.preactivation.log - log_k, ~alive))
    q_residual = (np.ma.filled(q_ratio, 1.0) - 1) * np.sqrt(units / 2)
    at_work = np.where(usable, units / np.where(usable, scatter, 1.0), 0.0)
    q_residual = np.ma.masked_array(q_residual, ~alive)
    tests = [
        _recursion(propagation, alive),
        _total_square(q_residual, units),
        _variance("q given K", q_residual, units / 2, 2 + 12 / units),
        _mean("a given K", residual, at_work),
        _variance("a given K", residual, at_work, None),
        _neighbours(residual, at_work),
        _worst_layer(residual, at_work),
    ]
    predicted, measured, stderr = _layers(ratio, spread, usable, log_q_map)
    done = tuple(test for test in tests if test is not None)
    return Comparison(propagation, predicted, measured, stderr, _sigmas(residual), done)


def _sigmas(residual: np.ma.MaskedArray[Any, Any]) -> np.ma.MaskedArray[Any, Any]:
    """Sum of each layer's residuals over the root of their number."""
    count = residual.count(axis=0)
    return np.ma.masked_array(
        residual.filled(0.0).sum(axis=0) / np.sqrt(np.maximum(count, 1)), count == 0
    )


def _layers(
    ratio: FloatArray, spread: FloatArray, usable: npt.NDArray[np.bool_], log_q: FloatArray
) -> list[np.ma.MaskedArray[Any, Any]]:
    """ln of the weighted means of Q(K) and of a, and of their standard error."""
    empty = ~usable.any(axis=0)
    inverse = np.where(usable, 1 / np.where(usable, spread, 1.0), 0.0)
    shift = np.where(usable, log_q, np.inf).min(axis=0)
    shift = np.where(empty, 0.0, shift)
    weights = (inverse * np.exp(np.where(usable, shift - log_q, 0.0))).sum(axis=0)
    weights = np.where(empty, 1.0, weights)
    tops = (inverse.sum(axis=0), (inverse * ratio).sum(axis=0), np.sqrt(usable.sum(axis=0)))
    return [
        np.ma.masked_array(np.log(np.where(empty | (top <= 0), 1.0, top) / weights) + shift, empty)
        for top in tops
    ]


def _test(name: str, sigmas: float) -> Test:
    return Test(name, float(sigmas), math.erfc(abs(float(sigmas)) / math.sqrt(2)))


def _recursion(propagation: Propagation, alive: npt.NDArray[np.bool_]) -> Test:
    """K must follow from the layer below to the last digits: rounding counted as one sigma."""
    network, log_a = propagation.network, propagation.rows.log_activation
    start = np.full((propagation.trials, 1), float(np.ravel(propagation.input_mean_square_log)[0]))
    below = np.concatenate([start, log_a[:, :-1]], axis=1)
    with np.errstate(divide="ignore"):
        log_w, log_b = 2 * np.log(network.sigma_w), 2 * np.log(network.bias_std)
    expected = np.logaddexp(below + log_w, log_b)
    measured = propagation.rows.log_variance
    wrong = alive != np.isfinite(expected)
    off = np.abs(np.where(alive & ~wrong, measured - np.where(alive, expected, 0.0), 0.0))
    rounding = 16 * np.finfo(float).eps * (1 + np.abs(np.where(alive, measured, 0.0)))
    # a layer dead without cause, or alive without one, is off by all there is
    worst = 1 / np.finfo(float).eps if wrong.any() else float((off / rounding).max())
    # within rounding there is nothing to weigh; beyond it there is no excuse
    return Test("K from the layer below", worst, 1.0 if worst <= 1 else 0.0)


def _total_square(residual: np.ma.MaskedArray[Any, Any], units: FloatArray) -> Test | None:
    """n q/K is chi-square with n degrees of freedom: so is the sum of all, exactly."""
    from scipy.stats import chi2

    freedom = float((residual.count(axis=0) * units).sum())
    if freedom == 0:
        return None
    total = freedom + float((residual * np.sqrt(2 * units)).sum())
    p_value = min(1.0, 2 * min(chi2.cdf(total, freedom), chi2.sf(total, freedom)))
    return Test("q given K: mean", (total - freedom) / math.sqrt(2 * freedom), float(p_value))


def _mean(name: str, residual: np.ma.MaskedArray[Any, Any], at_work: FloatArray) -> Test | None:
    if at_work.sum() < _ENOUGH:
        return None
    return _test(f"{name}: mean", residual.sum() / math.sqrt(residual.count()))


def _variance(
    name: str,
    residual: np.ma.MaskedArray[Any, Any],
    at_work: FloatArray,
    excess: FloatArray | None,
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
    return _test(f"{name}: variance", squares.sum() / math.sqrt(variance)) if variance else None


def _neighbours(residual: np.ma.MaskedArray[Any, Any], at_work: FloatArray) -> Test | None:
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
    return _test("a given K: neighbours", products.sum() / math.sqrt(square)) if square else None


def _worst_layer(residual: np.ma.MaskedArray[Any, Any], at_work: FloatArray) -> Test | None:
    """The largest deviation of a single layer, its p-value corrected for their number."""
    enough = at_work.sum(axis=0) >= _ENOUGH_IN_LAYER
    if not enough.any():
        return None
    sigmas = _sigmas(residual)[enough]
    worst = float(sigmas[np.argmax(np.abs(sigmas))])
    single = math.erfc(abs(worst) / math.sqrt(2))
    return Test("a given K: worst layer", worst, min(1.0, single * sigmas.size))
