"""Histograms: bins of powers of two that merge exactly, fixed bins, and values of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import varprop
from varprop.histogram import NO_SCALE, Counts, Histogram, coarsened
from varprop.tally import Tally

RNG = np.random.default_rng(5)


def tallied(values: np.ndarray, bins: Any, log: float = 0.0) -> Counts:
    tally = Tally(1, bins)
    tally.add(0, values, log)
    return tally.counts()


@pytest.mark.parametrize("bins", [2, 6, 10, 64])
@pytest.mark.parametrize("log", [0.0, 3.7, -9.1, 2 * math.log(2)])
def test_automatic_bins_are_those_of_numpy(bins: int, log: float) -> None:
    values = RNG.normal(size=500) * 7
    counts = tallied(values, bins, log)
    edges = counts.edges(1)
    scaled = values * math.exp(log / 2)
    assert np.array_equal(counts.counts[0], np.histogram(scaled, edges)[0])
    assert counts.totals.tolist() == [500]
    # the narrowest bins in which all values fit
    assert np.abs(scaled).max() < edges[-1]
    assert np.abs(scaled).max() >= edges[-1] / 2
    assert (counts.density(1) * np.diff(edges)).sum() == pytest.approx(1)


@pytest.mark.parametrize("bins", [2, 6, 64, 100])
@pytest.mark.parametrize("log", [0.0, -4000.0, 4000.0])
def test_parts_add_up_to_the_whole(bins: int, log: float) -> None:
    values = np.concatenate([RNG.normal(size=50) * 10.0**-k for k in range(6)])
    whole = Tally(2, bins)
    whole.add(0, values, log)
    whole.add(1, values[::-1], log)
    summed = None
    for part in np.array_split(values, 6):
        one = Tally(2, bins)
        one.add(0, part, log)
        one.add(1, part, log)
        summed = one.counts() if summed is None else one.counts() + summed
    assert summed == whole.counts()
    grown = Tally(1, bins)
    for part in np.array_split(values, 11):
        grown.add(0, part, log)
    assert np.array_equal(grown.counts().counts[0], whole.counts().counts[0])


def test_values_on_an_edge() -> None:
    counts = tallied(np.array([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]), 8)
    assert counts.exponents is not None
    assert counts.exponents.tolist() == [0]  # 2 < 4: of width 1, for with 1/2 it would not fit
    assert counts.counts.tolist() == [[0, 0, 1, 1, 2, 1, 1, 0]]
    tiny = tallied(np.array([-1e-300, 1e-300, 1e300, -1e300]), 4)
    assert tiny.counts.sum(axis=1).tolist() == [4]
    assert tiny.counts[0, 1] >= 1  # -1e-300 lies left of 0


def test_layers_of_zeros_take_any_width() -> None:
    zeros = tallied(np.zeros(5), 4, -math.inf)
    assert zeros.exponents is not None
    assert zeros.exponents.tolist() == [NO_SCALE]
    assert zeros.counts.tolist() == [[0, 0, 5, 0]]
    with pytest.raises(ValueError, match="all values of layer 1 are exactly 0"):
        zeros.edges(1)
    more = tallied(np.array([1.0, -1.0]), 4)
    assert (zeros + more).counts.tolist() == [[0, 1, 5, 1]]
    assert zeros + more == more + zeros


def test_what_float64_cannot_hold() -> None:
    far = tallied(RNG.normal(size=9), 8, -4000.0)
    for what in (far.edges, far.density):
        with pytest.raises(OverflowError, match=r"bins of layer 1 are 2\^-28\d\d wide"):
            what(1)
    with pytest.raises(ValueError, match="layer must be from 1 to 1, got 2"):
        far.edges(2)


def test_fixed_bins() -> None:
    edges = np.array([-1.0, 0.0, 0.5, 3.0])
    values = np.array([-1.5, -1.0, -0.2, 0.0, 0.49, 0.5, 2.9, 3.0, 9.0])
    counts = tallied(values, edges)
    assert counts.counts.tolist() == [[2, 2, 2]]
    assert counts.outside is not None
    assert counts.outside.tolist() == [[1, 2]]
    assert counts.totals.tolist() == [9]
    assert (counts.density(1) * np.diff(edges)).sum() == pytest.approx(6 / 9)
    assert counts.edges(1) is counts.fixed
    tiny = tallied(np.array([-1.0, 1.0]), edges, -4000.0)  # underflow keeps its side of 0
    assert tiny.counts.tolist() == [[1, 1, 0]]
    huge = tallied(np.array([-1.0, 1.0]), edges, 4000.0)
    assert huge.outside is not None
    assert huge.outside.tolist() == [[1, 1]]
    assert (counts + tiny).counts.tolist() == [[3, 3, 2]]


def test_other_bins_do_not_add_up() -> None:
    one = tallied(np.ones(3), 4)
    others = (tallied(np.ones(3), 6), tallied(np.ones(3), np.arange(5.0)))
    for other in others:
        with pytest.raises(ValueError, match="of other bins don't add up: 4 automatic bins"):
            _ = one + other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give the exponents"),
        ({"exponents": [0], "fixed": [0, 1, 2, 3, 4], "outside": [[0, 0]]}, "give the exponents"),
        ({"fixed": [0.0, 1.0, 2.0, 3.0, 4.0]}, "values outside"),
        ({"exponents": [0, 0]}, r"exponents must have the shape \(1,\)"),
        ({"fixed": [0.0, 1.0, 1.0, 3.0, 4.0], "outside": [[0, 0]]}, "5 ascending edges"),
        ({"counts": [[1, -1, 0, 0]], "exponents": [0]}, "must not be negative"),
        ({"counts": [[1, 1, 0]], "exponents": [0]}, "must be even, got 3"),
        ({"counts": [1, 2], "exponents": [0]}, r"\(depth, bins\)"),
    ],
)
def test_counts_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    given = {"counts": [[1, 2, 3, 4]]} | arguments
    with pytest.raises(ValueError, match=message):
        Counts(**{name: np.array(value) for name, value in given.items()})


def test_coarsening_is_exact_however_far() -> None:
    counts = np.arange(12)
    assert np.array_equal(coarsened(coarsened(counts, 1), 1), coarsened(counts, 2))
    assert coarsened(counts, 0).tolist() == counts.tolist()
    far = coarsened(counts, 10**9)
    assert far[5:7].tolist() == [counts[:6].sum(), counts[6:].sum()]


def test_arrays_and_back() -> None:
    for bins in (8, np.array([-1.0, 0.0, 2.0])):
        both = Histogram(tallied(RNG.normal(size=20), bins), tallied(RNG.normal(size=20), bins))
        assert Histogram.of_arrays(both.arrays()) == both
    assert Histogram.of_arrays({}) is None


@pytest.mark.parametrize("engine", ["matrix-free", "dense", "reference"])
@pytest.mark.parametrize("sigma_w", [9.0, 1e-3])
def test_sizes_that_no_exponent_holds_are_refused(engine: str, sigma_w: float) -> None:
    """squared_relu doubles the logarithm in every layer: it once ended far outside the bins."""
    asked: dict[str, Any] = {
        "width": 24, "act": "squared_relu", "sigma_w": sigma_w, "trials": 3, "engine": engine
    }  # fmt: skip
    p = varprop.simulate(depth=20, histogram=True, **asked)
    assert (p.histogram.activation.counts.sum(axis=1) == 3 * 24).all()
    for histogram in (True, 8):
        with pytest.raises(OverflowError, match=r"in layer \d+ values are beyond .* fixed ones"):
            varprop.simulate(depth=200, histogram=histogram, **asked)
    fixed = varprop.simulate(depth=200, histogram=[0.0, 1.0], **asked).histogram
    assert (fixed.activation.counts.sum(axis=1) + fixed.activation.outside.sum(axis=1) == 72).all()


def test_values_that_dropout_takes_beyond_float64_are_an_error() -> None:
    """They once were counted far outside the bins, before the overflow was noticed."""
    with pytest.raises(OverflowError, match="in layer 1"):
        varprop.simulate(
            depth=2, width=3000, act="1e307*tanh(x)", sigma_w=5.0, dropout=1e-3, histogram=True,
            trials=9, backward=False,
        )  # fmt: skip


def test_printed_in_a_line() -> None:
    p = varprop.simulate(depth=2, width=50, act="relu", trials=4, histogram=8)
    assert repr(p.histogram) == (
        "<Histogram: 400 pre-activations in 8 automatic bins of 2 layers, as many activations in "
        "8 automatic bins of 2 layers>"
    )
    assert repr(p.histogram.activation) == "<Counts: 400 values in 8 automatic bins of 2 layers>"
