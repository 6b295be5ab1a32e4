"""Several inputs, cotangents and tangents: arguments, shapes, pairs, one of several."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from several import FULL, NET, X, run

from varprop import Propagation, Residual, simulate
from varprop.pairs import pair, second

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def full() -> Propagation:
    return run(**FULL)


# ---- arguments

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"correlation": 1.5}, ValueError, "correlation is a cosine, from -1 to 1, got 1.5"),
    ({"correlation": math.nan}, ValueError, "from -1 to 1, got nan"),
    ({"correlation": "0.5"}, TypeError, "correlation must be a number, got '0.5'"),
    ({"correlation": 0.5, "x": np.ones(8)}, ValueError, "x and correlation all say which"),
    ({"correlation": 0.5, "log_gap": -3.0}, ValueError, "correlation and log_gap"),
    ({"correlation": 0.5, "width": 1}, ValueError, "have the correlation 1 or -1"),
    ({"log_gap": 1.0}, ValueError, "from -1e\\+06 to ln 2"),
    ({"log_gap": -2e6}, ValueError, "or -inf for identical"),
    ({"log_gap": -50.0}, ValueError, "down to 1 - c = 1e-14"),
    ({"x": np.ones((2, 3, 4))}, ValueError, r"got shape \(2, 3, 4\)"),
    ({"x": np.ones((1025, 8))}, ValueError, "1 to 1024 inputs, got 1025"),
    ({"x": [[1.0, 2.0], [3.0, math.inf]]}, ValueError, r"x\[1, 1\] is inf"),
    ({"x": [[1.0] * 8, [0.0] * 8], "sigma_b": 0.0}, ValueError, r"x\[1\] is all zeros"),
    ({"cotangents": 0}, ValueError, "cotangents must be from 1"),
    ({"cotangents": 1.5}, TypeError, "cotangents must be an integer"),
    ({"cotangents": np.ones(7)}, ValueError, r"\(8,\) or \(cotangents, 8\).*shape \(7,\)"),
    ({"cotangents": np.zeros((2, 8))}, ValueError, r"cotangents\[0\] is all zeros"),
    ({"cotangents": [math.nan] * 8}, ValueError, r"cotangents\[0\] is nan"),
    ({"cotangents": ["a"] * 8}, TypeError, "real numbers"),
    ({"cotangents": 2, "backward": False}, ValueError, "needs backward=True"),
    ({"cotangents": np.ones(8), "backward": False}, ValueError, "but backward=False"),
    ({"tangents": 9}, ValueError, "from 0 to 8, the units of the narrowest layer, got 9"),
    ({"tangents": -1}, ValueError, "tangents must be from 0"),
    ({"tangents": True}, TypeError, "tangents must be an integer"),
    ({"tangents": 1, "act": "sign"}, ValueError, "tangents=1, but activation 'sign' jumps"),
    ({"act": ["tanh", "sign", "tanh"], "backward": True}, ValueError, "'sign' jumps"),
    ({"histogram": 7}, ValueError, "even number of bins, got 7"),
    ({"histogram": 0}, ValueError, "histogram must be from 2"),
    ({"histogram": [0.0, 2.0, 1.0]}, ValueError, "must ascend, but 1.0 follows 2.0"),
    ({"histogram": [1.0]}, ValueError, "2 to 65537 edges"),
    ({"histogram": "many"}, TypeError, "histogram must be an integer"),
    ({"dropout": 0}, ValueError, "share of units that are kept"),
    ({"norm": "batch"}, ValueError, "norm must be"),
    ({"residual": 0.5}, TypeError, "must be a Residual"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=lambda v: str(v)[:40])
def test_bad_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(**(NET | options))


def test_the_first_layer_is_fitted_to_inputs_of_another_size() -> None:
    assert run(**(NET | {"x": np.ones((2, 5))})).network.widths == (5, 8, 8, 8)


# ---- pairs


@pytest.mark.parametrize("size", [2, 3, 8, 9])
@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.5, 1 - 1e-9, 1.0])
def test_a_pair_has_its_correlation(size: int, c: float) -> None:
    p = run(depth=1, width=size, act="linear", scheme="orthogonal(1)", correlation=c)
    assert p.inputs == 2
    assert p.pairs == [(0, 1)]
    log = np.log1p(-c) if c < 1 else -np.inf
    for measured in (p.rows.log_gap, p.rows.log_kernel_gap):
        assert measured is not None
        assert measured == pytest.approx(np.full((4, 1), log), rel=1e-6)
    assert p.correlation.mean == pytest.approx([c], rel=1e-14, abs=1e-14)
    assert p.input_mean_square_log == (0.0, 0.0)


@pytest.mark.parametrize("log_gap", [-2000.0, -690.0, -30.0, 0.0, math.log(2)])
@pytest.mark.parametrize("size", [2, 7, 50])
def test_the_difference_of_a_pair_keeps_its_digits(log_gap: float, size: int) -> None:
    first, difference = pair(log_gap, size)
    # |x2 - x1|^2 / n = 2 (1 - c), and |x2|^2 / n = 1
    assert np.mean(difference**2) == pytest.approx(2, rel=1e-14)
    along = np.mean(first * difference)  # -(1 - c) / sqrt(1 - c)
    assert along == pytest.approx(-math.exp(log_gap / 2), rel=1e-7, abs=1e-14)
    assert np.mean(second(log_gap, size) ** 2) == pytest.approx(1, rel=1e-14)


def test_identical_and_vanishing_inputs() -> None:
    x = np.stack([X[0], X[0], np.zeros(8)])
    p = run(**(NET | {"x": x, "act": "tanh", "sigma_b": 0.3}))
    assert (p.rows.log_gap[:, 0] == -np.inf).all()
    assert (p.correlation.trials[:, 0] == 1).all()
    assert p.gap.log.mask[:, 0].all()
    assert np.isfinite(p.rows.log_gap[:, 1:]).all()  # biases give the zero input a direction
    assert (p.gradient.trials[:, 0] == p.gradient.trials[:, 1]).all()
    # a dead relu layer has no direction: masked, never nan
    p = run(depth=3, width=2, act="relu", trials=60, seed=1, correlation=0.2)
    gone = np.isposinf(p.rows.log_gap)
    assert gone.any()
    assert not gone.all(axis=0).any()
    for statistic in (p.correlation, p.gap):
        assert np.array_equal(np.ma.getmaskarray(statistic.trials), gone)
        kept = np.ma.masked_array(1 - np.exp(np.where(gone, 0.0, p.rows.log_gap)), gone)
        wanted = kept if statistic is p.correlation else 1 - kept
        assert np.allclose(statistic.mean, wanted.mean(axis=0), rtol=1e-12)
        assert np.allclose(statistic.median, np.ma.median(wanted, axis=0), rtol=1e-9)
        error = wanted.std(axis=0, ddof=1) / np.sqrt(wanted.count(axis=0))
        assert np.allclose(statistic.stderr, error, rtol=1e-9)
    assert np.isfinite(p.kernel.trials).all()
    died = (p.rows.died[:, 0] > 0) & (p.rows.died[:, 0] < 3)  # below the last layer
    assert died.any()
    assert (p.kernel.trials[died, 0, 1, -1] == 0).all()
    only = run(depth=2, width=1, act="relu", sigma_w=1.0, trials=2, seed=1, x=[[1.0], [-1.0]])
    assert np.isposinf(only.rows.log_gap[:, 1]).any()


def test_more_inputs_than_units_are_exact() -> None:
    x = np.array([[1.0, 2.0], [2.0, -1.0], [3.0, 1.0], [1.0, 2.0]])
    p = run(depth=2, width=2, act="linear", x=x)
    assert p.rows.log_gap[0, p.pairs.index((0, 3)), 0] == -np.inf
    k = p.kernel.trials[0, ..., 0]
    assert k == pytest.approx(x @ x.T, rel=1e-12)  # He: sigma_w^2 = 2, over n = 2


def test_the_kernel_is_that_of_what_lies_below() -> None:
    p = run(**(NET | {"x": X}))
    k = p.kernel
    assert k.trials.shape == (4, 3, 3, 3)
    assert k.trials[0, :, :, 0] == pytest.approx(0.01 + 2 * X @ X.T / 8, rel=1e-12)
    diagonal = np.einsum("tbbl->tbl", k.trials)
    assert diagonal == pytest.approx(p.variance.trials, rel=1e-14)
    assert np.array_equal(k.trials, k.trials.swapaxes(1, 2))


def test_dead_is_what_nothing_revives() -> None:
    """Later biases, activations with phi(0) != 0 and skip connections keep a network alive."""
    bare: dict[str, Any] = {"depth": 4, "width": 1, "act": "relu", "trials": 40, "seed": 6}
    dead = run(**bare)
    assert (dead.rows.died > 0).any()
    silent = dead.zero.trials[:, 0] == 1  # no unit at work in layer 1
    assert (dead.rows.died[silent] == 1).all()
    for revived in (
        {"sigma_b": 0.5},
        {"act": ["relu", "relu", "sigmoid", "sigmoid"]},
        {"residual": Residual()},
    ):
        assert run(**(bare | revived)).dead == 0
    half = run(**(bare | {"act": ["relu", "sigmoid", "relu", "relu"]}))
    assert set(half.rows.died.tolist()) <= {0, 3, 4}
    assert half.dead > 0
    pair = run(**(bare | {"width": 2, "correlation": -1.0}))
    both = (pair.rows.died > 0).all(axis=1)
    assert pair.dead == both.sum()
    assert ((pair.rows.died > 0).any(axis=1) & ~both).any()


# ---- one input of several


def test_each_input_is_measured_as_if_alone(full: Propagation) -> None:
    assert full.inputs == 3
    assert full.rows.cotangents == 2
    for b in range(3):
        one = full[b]
        assert one.inputs == 1
        assert one.rows.log_gap is None
        assert (one.rows.log_tangent is None) == (b > 0)
        assert np.array_equal(one.rows.log_gradient, full.rows.log_gradient[:, b])
        assert one.input_mean_square_log == full.input_mean_square_log[b]
        assert f"number {b} of 3 x 8 numbers" in str(one).replace("\n", " ")
        # the same numbers as from a run of that input, where masks are not in the way
        alone = run(**(NET | {"x": X[b]}))
        together = run(**(NET | {"x": X}))[b]
        for name in alone.rows.names:
            close = pytest.approx(getattr(together.rows, name), rel=1e-12, abs=1e-12)
            assert getattr(alone.rows, name) == close, name
    assert full[0][0] == full[0]
    with pytest.raises(IndexError, match="input 3 of 3"):
        full.input(3)
    with pytest.raises(ValueError, match="no pairs were measured"):
        _ = full[0].gap
    assert run(**(NET | {"x": X[:1]})) == run(**(NET | {"x": X[0]}))


def test_given_cotangents_are_sent_back_as_they_are() -> None:
    v = np.array([[3.0] * 8, [1e-200] + [0.0] * 7])
    p = run(**(NET | {"cotangents": v}))
    top = p.rows.log_gradient[:, :, -1]
    logs = [2 * np.log(3), -np.log(8) - 400 * np.log(10)]
    assert top == pytest.approx(np.tile(logs, (4, 1)))
    assert p.cotangent_label.startswith("2 x 8 numbers")
    single = run(**(NET | {"cotangents": v[0]}))
    assert single.rows.log_gradient == pytest.approx(p.rows.log_gradient[:, 0], rel=1e-12)
    assert p.weight_gradient.log.shape == (4, 2, 3)


def test_statistics_keep_the_axes_between(full: Propagation) -> None:
    assert full.preactivation.mean.shape == (3, 3)
    assert full.gradient.median.shape == (3, 2, 3)
    assert full.weight_gradient.quantile([0.1, 0.5, 0.9, 1.0]).shape == (4, 3, 2, 3)
    assert full.gap.stderr.shape == (3, 3)
    assert full.tangent.log_mean.shape == (2, 3)
    assert full.lyapunov.shape == full.lyapunov_stderr.shape == (2,)
    assert full.lyapunov_adjoint.shape == full.lyapunov_adjoint_stderr.shape == (2,)
    log = full.rows.log_tangent[:, :, -1]
    assert full.lyapunov.data == pytest.approx(log.mean(axis=0) / 6)
    log = full.rows.log_adjoint[:, :, 0]
    assert full.lyapunov_adjoint_stderr.data == pytest.approx(log.std(axis=0, ddof=1) / 4 / 2)
    assert full.gradient.layers.tolist() == [1, 2, 3]
    deep = run(depth=400, width=3, act="linear", sigma_w=0.01, trials=2, correlation=0.5)
    for statistic in (deep.gradient, deep.kernel, deep.preactivation):
        with pytest.raises(OverflowError, match="outside float64"):
            _ = statistic.mean
    assert np.isfinite(deep.correlation.mean).all()


def test_what_was_not_measured_says_so() -> None:
    p = run(**NET, backward=False, tangents=1)
    assert p.lyapunov.shape == (1,)
    with pytest.raises(ValueError, match="tangents=1 or more and backward=True"):
        _ = p.adjoint
    with pytest.raises(ValueError, match="simulate with tangents=1"):
        _ = run(**NET).tangent
    with pytest.raises(ValueError, match="there is one input"):
        p.to_pandas(pairs=True)
    one = run(depth=1, width=3, act="tanh", tangents=1)
    with pytest.raises(ValueError, match="one layer"):
        _ = one.lyapunov_adjoint


# ---- histograms


def test_histograms_count_every_unit() -> None:
    edges = np.linspace(-3, 3, 13)
    for spec in (True, 16, edges):
        p = run(**(NET | {"x": X, "histogram": spec}))
        assert p.histogram is not None
        for counts in (p.histogram.preactivation, p.histogram.activation):
            assert counts.totals.tolist() == [8 * 3 * 4] * 3
            assert counts.bins == {True: 64, 16: 16}.get(spec if np.isscalar(spec) else 0, 12)
    one = run(depth=1, width=2000, act="relu", trials=1, histogram=edges)
    assert one.histogram is not None
    right = one.histogram.activation.counts[0, 6]  # zeros lie right of 0
    assert right >= 2000 * one.zero.mean[0]
    middle = one.histogram.preactivation
    assert (middle.density(1) * np.diff(edges) @ (edges[1:] + edges[:-1]) / 2) == pytest.approx(
        0, abs=0.2
    )
    deep = run(depth=700, width=3, act="linear", sigma_w=0.01, trials=2, histogram=8)
    assert deep.histogram is not None
    assert (deep.histogram.preactivation.exponents[-1]) < -4000


# ---- what jumps


@pytest.mark.parametrize("act", ["sign", "heaviside"])
@pytest.mark.parametrize("engine", ["auto", "dense"])
@pytest.mark.parametrize("power", [-1000, 1000])
def test_steps_do_not_know_the_scale_of_near_inputs(act: str, engine: str, power: int) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(64) + np.array([[0.0], [0.05]]) * rng.standard_normal(64)
    options: dict[str, Any] = {"depth": 3, "width": 64, "act": act, "engine": engine,
                               "backward": False, "trials": 20, "seed": 1}  # fmt: skip
    near = simulate(**options, x=x).rows
    far = simulate(**options, x=x * 2.0**power).rows
    # scales are powers of 2; their logarithms, up to 693, are rounded to 1e-13
    np.testing.assert_allclose(far.log_gap, near.log_gap, rtol=0, atol=1e-10)
    np.testing.assert_allclose(far.log_kernel_gap, near.log_kernel_gap, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ["auto", "dense", "reference"])
def test_signs_coincide_or_differ_in_a_whole_unit(engine: str) -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, -3.0, 2.0, 1.0]])
    p = simulate(depth=6, width=4, act="sign", scheme="he", x=x, trials=100, engine=engine,
                 seed=1, backward=False)  # fmt: skip
    gaps = p.rows.log_kernel_gap[:, 1:]
    same = np.isneginf(gaps)
    assert same.any()
    whole = 2 * np.exp(gaps[~same])  # 1 - c is a multiple of 1/2
    assert np.abs(whole - whole.round()).max() < 1e-13
    assert whole.min() > 0.5


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_inputs_that_steps_have_made_one_stay_one(engine: str) -> None:
    # A dead input of a narrow network comes back as phi(0), a value of its own; when later both
    # have the same units on, they must be one again, and not two columns that differ by dust.
    p = simulate(
        depth=12, width=5, act="heaviside", sigma_w=1.4, correlation=0.5, trials=1000, seed=3,
        engine=engine, backward=False,
    )  # fmt: skip
    gap, activation = p.rows.log_gap, p.rows.log_activation
    alike = (activation[:, 0, :-1] == activation[:, 1, :-1]) & (gap[:, 1:] < -70.0)
    assert alike.sum() > 500
    assert np.isneginf(gap[:, 1:][alike]).all()
