"""One quantity over trials: summaries, logarithms, zeros, what float64 cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from varprop.statistic import LayerStatistic

pytestmark = pytest.mark.filterwarnings("error")


def signed(values: np.ndarray) -> LayerStatistic:
    with np.errstate(divide="ignore"):
        return LayerStatistic("thing", np.log(np.abs(values)), sign=np.sign(values))


def values_of(kind: str, trials: int = 31) -> np.ndarray:
    values = np.random.default_rng(3).normal(size=(trials, 6)) * np.logspace(-3, 3, 6)
    values[::4, 2] = 0.0
    return values if kind == "signed" else np.abs(values)


def statistic_of(kind: str, values: np.ndarray) -> LayerStatistic:
    if kind == "signed":
        return signed(values)
    if kind == "plain":
        return LayerStatistic.of_values("thing", values)
    with np.errstate(divide="ignore"):
        return LayerStatistic("thing", np.log(values))


@pytest.mark.parametrize("kind", ["positive", "signed", "plain"])
@pytest.mark.parametrize("trials", [2, 31, 40])
def test_summaries_are_those_of_numpy(kind: str, trials: int) -> None:
    values = values_of(kind, trials)
    s = statistic_of(kind, values)
    close = {"rtol": 1e-12, "atol": 1e-14 * np.abs(values).max()}
    np.testing.assert_allclose(s.trials, values, rtol=1e-13)
    np.testing.assert_allclose(s.mean, values.mean(0), **close)
    np.testing.assert_allclose(s.stderr, values.std(0, ddof=1) / np.sqrt(trials), **close)
    np.testing.assert_allclose(s.median, np.median(values, 0), **close)
    p = [0.0, 0.1, 0.37, 0.5, 1.0]
    np.testing.assert_allclose(s.quantile(p), np.quantile(values, p, axis=0), **close)
    assert s.quantile(0.3).shape == (6,)
    assert list(s.layers) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["positive", "signed", "plain"])
def test_logs_leave_exact_zeros_out(kind: str) -> None:
    values = values_of(kind)
    s = statistic_of(kind, values)
    assert np.array_equal(np.ma.getmaskarray(s.log), values == 0)
    assert np.all(s.log.data[values == 0] == -np.inf)
    for layer in range(6):
        logs = np.log(np.abs(values[values[:, layer] != 0, layer]))
        assert s.log_mean[layer] == pytest.approx(logs.mean(), rel=1e-12)
        error = logs.std(ddof=1) / np.sqrt(len(logs))
        assert s.log_stderr[layer] == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("shift", [-5000.0, -700.0, 700.0, 1e7])
def test_summaries_far_outside_float64_are_shifted_ones(shift: float) -> None:
    values = values_of("signed")[:, :2]
    near = signed(values)
    far = LayerStatistic("thing", near.log.data + shift, sign=np.sign(values))
    rounding = 1e-15 * abs(shift) + 1e-11
    for name in ("log_mean", "log_median", "log_of_mean"):
        difference = getattr(far, name) - getattr(near, name) - shift
        assert np.abs(difference).max() < 30 * rounding, name
    np.testing.assert_allclose(far.log_of_stderr, near.log_of_stderr + shift, rtol=1e-9)
    np.testing.assert_allclose(far.log_stderr, near.log_stderr, rtol=1e-6)
    np.testing.assert_allclose(far.log_quantile(0.2), near.log_quantile(0.2) + shift, rtol=1e-9)


@pytest.mark.parametrize("extreme", [-708.5, -1e5, 710.0, 1e5])
def test_what_float64_cannot_hold_is_refused_with_layer_and_remedy(extreme: float) -> None:
    s = LayerStatistic("activation", np.array([[0.0, 1.0, extreme], [0.0, 2.0, extreme]]))
    for name in ("trials", "mean", "median"):
        with pytest.raises(OverflowError, match=r"activation of layer 3.*\.log") as caught:
            getattr(s, name)
        assert f"{extreme:.6g}" in str(caught.value)
    assert s.log_mean[2] == extreme
    with pytest.raises(OverflowError, match="layer 3"):
        s.quantile([0.1, 0.9])


def test_a_median_may_be_representable_where_the_trials_are_not() -> None:
    s = LayerStatistic("variance", np.array([[-2000.0], [0.0], [1.0]]))
    assert s.median == pytest.approx(1.0)
    assert s.mean == pytest.approx((1 + np.e) / 3)
    with pytest.raises(OverflowError):
        _ = s.trials


def test_a_layer_that_is_all_zero() -> None:
    s = LayerStatistic("activation", np.array([[0.0, -np.inf], [0.0, -np.inf]]))
    for plain in (s.mean, s.stderr, s.median, s.quantile(0.9)):
        assert plain[1] == 0
    assert np.array_equal(s.trials, [[1.0, 0.0], [1.0, 0.0]])
    for log in (s.log_mean, s.log_stderr, s.log_median, s.log_of_mean):
        assert np.ma.getmaskarray(log)[1]


def test_a_mean_that_cancels_is_zero_and_not_nan() -> None:
    s = LayerStatistic("m", np.full((2, 1), 3000.0), sign=np.array([[1.0], [-1.0]]))
    assert s.mean == 0
    assert np.ma.getmaskarray(s.log_of_mean)[0]


def test_one_trial_has_no_standard_error() -> None:
    s = LayerStatistic("variance", np.zeros((1, 2)))
    for name in ("stderr", "log_stderr"):
        with pytest.raises(ValueError, match="trials >= 2"):
            getattr(s, name)
    assert np.array_equal(s.mean, [1, 1])


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan, [0.5, 2.0]])
def test_quantiles_outside_0_1_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        LayerStatistic("variance", np.zeros((2, 2))).quantile(p)


@pytest.mark.parametrize("kind", ["positive", "signed", "plain"])
def test_missing_values_are_left_out_of_every_summary(kind: str) -> None:
    values = values_of(kind).reshape(31, 2, 3)
    missing = np.random.default_rng(4).random((31, 2, 3)) < 0.4
    missing[:, 0, 0] = True
    missing[1:, 1, 2] = True  # one value is left: a mean, but no standard error
    missing[0, 1, 2] = False
    with np.errstate(divide="ignore"):
        log = np.log(np.abs(values))
    s = LayerStatistic(
        "thing",
        np.where(missing, np.inf, log),
        sign=np.sign(values) if kind == "signed" else None,
        missing=missing,
    )
    if kind == "plain":
        s = LayerStatistic.of_values("thing", values, missing=missing)
    there = np.ma.MaskedArray(values, mask=missing)
    assert np.array_equal(np.ma.getmaskarray(s.trials), missing)
    pairs = [(s.mean, there.mean(axis=0)), (s.median, np.ma.median(there, axis=0))]
    error = there.std(axis=0, ddof=1) / np.sqrt(there.count(axis=0))
    pairs.append((s.stderr, np.ma.masked_where(there.count(axis=0) < 2, error)))
    for found, wanted in pairs:
        assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(wanted))
        size = 1e-13 * np.abs(values).max()
        np.testing.assert_allclose(found.compressed(), wanted.compressed(), rtol=1e-9, atol=size)
    column = values[~missing[:, 1, 0], 1, 0]
    np.testing.assert_allclose(s.quantile([0.1, 0.9])[:, 1, 0], np.quantile(column, [0.1, 0.9]))
    assert np.ma.getmaskarray(s.log_mean)[0, 0]
    assert np.ma.getmaskarray(s.log_stderr)[1, 2]
    assert repr(s) == "<LayerStatistic 'thing': 31 trials x 2 x 3 layers>"


@pytest.mark.parametrize(
    "given",
    [
        {"log": [[0.0]]},
        {"log": np.zeros(3)},
        {"log": np.array([["a"]])},
        {"missing": True},
        {"missing": np.zeros((2, 3))},
        {"sign": np.zeros((2, 3), dtype=object)},
    ],
    ids=str,
)
def test_what_is_no_array_of_trials_and_layers_is_refused(given):
    with pytest.raises(TypeError, match=r"must be an array of .* of shape \(trials, layers\)"):
        LayerStatistic(**{"name": "q", "log": np.zeros((2, 3)), **given})


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"sign has shape \(2, 2\), but log \(2, 3\)"):
        LayerStatistic("q", np.zeros((2, 3)), sign=np.ones((2, 2)))
