"""Simulation beside theory: what of a result can be tested exactly, and one verdict.

Given K^l, the units of layer l of a plain network with normal weights are independent normals of
variance K^l, at any width. So in every layer of every trial the residuals

    r_q = (q/K - 1) / sqrt(2/n)     and     r_a = (a/Q(K) - 1) / sqrt((E φ⁴/Q² - 1)/n)

have mean 0 and variance 1 and are uncorrelated from layer to layer. `compare` tests that, and
that K follows from a exactly: no limit of infinite width, no tolerance of our own choosing. For
other weights and architectures `step_theory` has what is known of one layer given the layer below,
`compare_pairs` the angle of two inputs; what is left over is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .compare_pairs import pair_tests
from .compare_tests import (
    FALSE_ALARMS,
    Masked,
    Test,
    chi_square_test,
    mean_test,
    neighbours_test,
    networks_test,
    rounding_test,
    sigmas_by_layer,
    variance_test,
    worst_layer_test,
    worst_of,
)
from .propagation import Propagation
from .statistic import FloatArray
from .step_theory import StepTheory, step_theory

__all__ = ["FALSE_ALARMS", "TESTS", "Comparison", "Test", "compare"]

TESTS = (
    "K from the layer below",
    "q given K: mean",
    "q given K: variance",
    "a given K: mean",
    "a given K: variance",
    "a given K: neighbours",
    "a given K: worst layer",
)
_EQUAL = "q is K"  # for square orthogonal matrices, and 1 after a norm
_OF_KURTOSIS = ("q: second moment", "a: second moment")
_ROUNDING = 1e-12  # where a relative spread is below it, float64 has nothing to test
_STEPS = 64  # roundings of what is made of others by so many steps
_SPREAD = 0.4  # ln E K²/(E K)² up to which networks' squares have a mean worth taking


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Predicted and measured activations layer by layer, and one verdict.

    Layer values are averages over trials with weights 1/sd, so that (measured - predicted) /
    stderr is `sigmas`: the sum of the residuals r_a over the root of their number. Logarithms are
    natural; a layer without a testable trial (dead, saturated to the last bit, or where a is not
    predicted) is masked. Of several inputs they are the first one's; each test is of all.

    Attributes
    ----------
    propagation : Propagation
    log_predicted, log_measured, log_stderr, sigmas : masked arrays, shape (depth,)
    tests : tuple of Test
    left_out : tuple of str
        Tests that need more units at work: more trials, layers or width.
    notes : tuple of str
        What theory does not know of this network, and what it allows for.
    """

    propagation: Propagation
    log_predicted: np.ma.MaskedArray[Any, Any]
    log_measured: np.ma.MaskedArray[Any, Any]
    log_stderr: np.ma.MaskedArray[Any, Any]
    sigmas: np.ma.MaskedArray[Any, Any]
    tests: tuple[Test, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

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
        if any(test.name.startswith("a given K: mean") for test in self.tests):
            return f"simulation and theory agree ({told})"
        q = any(test.name.startswith(("q given K", _EQUAL)) for test in self.tests)
        known, rest = ("q agrees", "a") if q else ("K agrees", "q and a")
        return f"{known} with theory; {rest} could not be tested ({told})"

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
            wrapped(
                "predicted: E[a | K] = Q(K) of each network's own K, one layer at a time (exact at "
                f"any width{', but for what is said below' if self.notes else ''}); averages over "
                "networks with weights 1/sd."
            ),
        ]
        if self.tests:
            parts.append(text_table(*self.test_table(), left=1))
        if self.left_out:
            parts.append(
                wrapped(f"not tested, for too few units at work: {', '.join(self.left_out)}.", "  ")
            )
        parts += [wrapped(f"{note}.", "  ") for note in self.notes]
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
            "notes": list(self.notes),
            "log_predicted": self.log_predicted.tolist(),
            "log_measured": self.log_measured.tolist(),
            "log_stderr": self.log_stderr.tolist(),
            "sigmas": self.sigmas.tolist(),
        }


def compare(propagation: Propagation) -> Comparison:
    """Test a simulation against what theory says of each layer given the layer below.

    Parameters
    ----------
    propagation : Propagation
        Of any network.

    Returns
    -------
    Comparison

    Notes
    -----
    Exact at any width: K of every network; the mean of q; for normal and orthogonal weights its
    variance; the mean of a for normal weights, and for two slopes (linear, relu, leaky_relu, abs)
    under any; its variance for normal weights, and for two slopes under orthogonal ones; for two
    slopes without biases the second moments that the weights' kurtosis makes; for pairs of inputs
    the law of their angle given its kernel. Otherwise a deviates by terms of order 1/width, that
    are computed to leading order, and as much again is allowed. `notes` says what was not tested.

    Examples
    --------
    >>> import varprop
    >>> c = varprop.simulate(depth=30, width=100, act="tanh", scheme="xavier").compare()
    >>> c.consistent, c.notes
    (True, ())
    >>> c = varprop.simulate(depth=3, width=100, act="tanh", scheme="torch", trials=20).compare()
    >>> c.consistent, [note.split(":")[0] for note in c.notes][1]
    (True, 'a given K')
    """
    each, first = [], None
    notes: dict[str, None] = {}
    left_out: dict[str, None] = {}
    for number in range(propagation.inputs):
        one = propagation.input(number)
        theory = step_theory(one)
        view = _View.of(one, theory, propagation.inputs == 1)
        first = first or view
        tests = dict(view.tests())
        notes |= dict.fromkeys(theory.notes)
        left_out |= dict.fromkeys(name for name, test in tests.items() if test is None)
        each.append({name: test for name, test in tests.items() if test is not None})
    assert first is not None
    names = dict.fromkeys(name for tests in each for name in tests)
    done = [worst_of([tests[name] for tests in each if name in tests], "inputs") for name in names]
    if propagation.inputs > 1:
        why = _no_pairs(propagation)
        notes |= dict.fromkeys([why] if why else [])
        done += [] if why else pair_tests(propagation)
    layers = first.layers()
    left = tuple(name for name in left_out if name not in names)
    return Comparison(propagation, *layers, tuple(done), left, tuple(notes))


def _no_pairs(p: Propagation) -> str:
    """Why the angles between inputs are not tested, if they are not."""
    network = p.network
    normal = network.distributions == network.bias_distributions == ("normal",)
    if not normal:
        return "correlations are not tested: given the layer below they are those of normal weights"
    if network.residual is not None or (network.norm is not None and network.norm.place == "post"):
        return (
            "correlations are not tested: with a skip connection or a norm of the sums they are "
            "made of every unit's value, which is not recorded"
        )
    return ""


@dataclass(frozen=True, eq=False)
class _View:
    """One input's residuals."""

    p: Propagation
    theory: StepTheory
    steps: int
    units: FloatArray
    alive: npt.NDArray[np.bool_]
    q_residual: Masked
    q_known: npt.NDArray[np.bool_]
    ratio: FloatArray
    spread: FloatArray
    residual: Masked
    at_work: FloatArray

    @classmethod
    def of(cls, p: Propagation, theory: StepTheory, alone: bool) -> _View:
        log_k, log_a = p.variance.log, p.activation.log
        units = np.array(p.network.widths[1:], dtype=np.float64)
        alive = ~np.ma.getmaskarray(log_k)
        q_known = ~np.isnan(theory.q_scatter)
        q_spread = np.sqrt(np.where(q_known, theory.q_scatter, theory.q_nominal))
        testable = alive & (q_spread > _ROUNDING) & np.isfinite(q_spread)
        # q may be 0 where K is not: sums of signs
        q_ratio = np.exp(
            np.where(testable, p.rows.log_preactivation - np.ma.filled(log_k, 0.0), 0.0)
        )
        q_residual = (q_ratio - 1) / np.where(testable, q_spread, 1.0)
        known = np.isfinite(theory.log_a) & np.isfinite(theory.a_scatter)
        spread = np.sqrt(np.where(known, theory.a_scatter, 0.0))
        usable = alive & known & (spread > _ROUNDING)
        log_q_map = np.where(known, theory.log_a, 0.0)
        ratio = np.ma.filled(np.exp(np.ma.masked_array(log_a - log_q_map, ~usable)), 0.0)
        residual = np.ma.masked_array((ratio - 1) / np.where(usable, spread, 1.0), ~usable)
        at_work = np.where(usable, 1 / np.where(usable, spread, 1.0) ** 2, 0.0)
        steps = 1 if alone else _STEPS  # among others an input is the sum of differences
        q_residual = np.ma.masked_array(q_residual, ~testable)
        return cls(
            p, theory, steps, units, alive, q_residual, q_known, ratio, spread, residual, at_work
        )

    def tests(self) -> Iterator[tuple[str, Test | None]]:
        """Each test by its name; None where there are too few units at work."""
        p, theory, q = self.p, self.theory, self.q_residual
        log_k, expected = p.rows.log_variance, theory.log_variance
        gap = np.where(self.alive & np.isfinite(expected), log_k - _finite(expected), 0.0)
        wrong = bool((self.alive != np.isfinite(expected)).any())
        size = np.where(self.alive, log_k, 0.0)
        yield TESTS[0], rounding_test(TESTS[0], gap / self.steps, size, wrong)
        certain = self.alive & self.q_known & (theory.q_scatter < _ROUNDING**2)
        if certain.any():
            log_q = p.rows.log_preactivation
            target = np.zeros_like(log_q) if theory.after_norm else log_k
            off = np.where(certain & np.isfinite(log_q), log_q - _finite(target), 0.0)
            dead = bool((certain & ~np.isfinite(log_q)).any())
            # orthogonal matrices are made of many steps
            yield _EQUAL, rounding_test(_EQUAL, off / _STEPS, size, dead)
        if q.count():
            yield from self._of_q()
        if self.residual.count() or not np.isnan(theory.log_a).all():
            yield from self._of_a()
        yield from self._of_kurtosis()

    def _of_q(self) -> Iterator[tuple[str, Test | None]]:
        q, units = self.q_residual, self.units
        known = np.ma.masked_array(q, np.ma.getmaskarray(q) | ~self.q_known)
        if self.theory.chi_square:
            freedom = float((q.count(axis=0) * units).sum())
            total = freedom + float((q * np.sqrt(2 * units)).sum())
            yield TESTS[1], chi_square_test(TESTS[1], total, freedom)
            yield TESTS[2], variance_test(TESTS[2], q, units / 2, 2 + 12 / units)
            return
        at_work = np.where(np.ma.getmaskarray(q), 0.0, units / 2)
        exact = known.count() == q.count()
        yield TESTS[1], mean_test(TESTS[1], q, at_work, exact)
        if known.count():
            yield TESTS[2], variance_test(TESTS[2], known, at_work, None)

    def _of_a(self) -> Iterator[tuple[str, Test | None]]:
        residual, at_work, exact = self.residual, self.at_work, self.theory.a_exact
        allowed = self.theory.allowed / np.where(self.spread > 0, self.spread, 1.0)
        yield TESTS[3], mean_test(TESTS[3], residual, at_work, exact, allowed)
        if exact:
            yield TESTS[4], variance_test(TESTS[4], residual, at_work, None)
        if not allowed.any():
            yield TESTS[5], neighbours_test(TESTS[5], residual, at_work)
        yield TESTS[6], worst_layer_test(TESTS[6], residual, at_work, exact, allowed)

    def _of_kurtosis(self) -> Iterator[tuple[str, Test | None]]:
        """Squares of q - K and of a - E a, whose means the weights' kurtosis makes exactly."""
        known = self.theory.second
        if known is None:
            return
        rows = self.p.rows
        log_k, log_mean = rows.log_variance, known.log_mean
        here = known.log_square <= _SPREAD
        for name, log, expected in (
            (_OF_KURTOSIS[0], rows.log_preactivation, known.q_scatter),
            (_OF_KURTOSIS[1], rows.log_activation - known.log_scale, known.a_scatter),
        ):
            gap = np.exp(log - log_mean) - np.exp(log_k - log_mean)
            square = gap**2 / np.exp(known.log_square) - expected
            of_networks = (square / expected)[:, here].sum(axis=1)
            yield name, networks_test(name, of_networks, self.units.min())

    def layers(self) -> tuple[Masked, Masked, Masked, Masked]:
        """ln of the weighted means of E a and of a, of their standard error; and the sigmas."""
        usable = ~np.ma.getmaskarray(self.residual)
        log_q = _finite(self.theory.log_a)
        empty = ~usable.any(axis=0)
        inverse = np.where(usable, 1 / np.where(usable, self.spread, 1.0), 0.0)
        shift = np.where(usable, log_q, np.inf).min(axis=0)
        shift = np.where(empty, 0.0, shift)
        weights = (inverse * np.exp(np.where(usable, shift - log_q, 0.0))).sum(axis=0)
        weights = np.where(empty, 1.0, weights)
        tops = (
            inverse.sum(axis=0), (inverse * self.ratio).sum(axis=0), np.sqrt(usable.sum(axis=0)),
        )  # fmt: skip
        predicted, measured, stderr = (
            np.ma.masked_array(
                np.log(np.where(empty | (top <= 0), 1.0, top) / weights) + shift, empty
            )
            for top in tops
        )
        return predicted, measured, stderr, sigmas_by_layer(self.residual)


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)
