"""Sweeps of more than a signal: several inputs, cotangents and tangents, and architectures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import varprop
from varprop import Norm, Residual, sweep_pieces
from varprop.cli import main
from varprop.statistic import LayerStatistic
from varprop.theory import predict

SMALL: dict[str, Any] = {"depth": 5, "width": 24, "trials": 7}
X = np.random.default_rng(5).normal(size=(3, 24))


def element(statistic: LayerStatistic, *at: int) -> dict[str, Any]:
    """The summaries of one of several, as `LayerStatistic` has them."""
    names = ("log_mean", "log_stderr", "log_median", "log_of_mean", "log_of_stderr")
    return {name: np.ma.filled(getattr(statistic, name), -7.0)[at] for name in names} | {
        "mean": np.ma.filled(statistic.mean, -7.0)[at],
        "stderr": np.ma.filled(statistic.stderr, -7.0)[at],
    }


Named = Callable[[varprop.Propagation], dict[str, dict[str, Any]]]


@pytest.mark.parametrize("goal", [2e8, 1e3])
@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (
            {"correlation": 0.3},
            lambda p: {
                "variance[1]": element(p.variance, 1),
                "gradient[0]": element(p.gradient, 0),
                "zero[1]": element(p.zero, 1),
                "correlation": element(p.correlation),
                "gap": element(p.gap),
            },
        ),
        (
            {"x": X},
            lambda p: {
                "activation[2]": element(p.activation, 2),
                "gradient[1]": element(p.gradient, 1),
                "correlation[0,2]": element(p.correlation, 1),
                "gap[1,2]": element(p.gap, 2),
            },
        ),
        (
            {"x": X[:2], "cotangents": 3, "tangents": 2},
            lambda p: {
                "gradient[1,2]": element(p.gradient, 1, 2),
                "gap": element(p.gap),
                "tangent[1]": element(p.tangent, 1),
                "adjoint[0]": element(p.adjoint, 0),
            },
        ),
    ],
)
def test_rows_have_the_bits_of_simulate(
    monkeypatch: pytest.MonkeyPatch, goal: float, parameters: dict[str, Any], named: Named
) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", goal)
    ds = varprop.sweep(act=["tanh", "relu"], depth=[1, 5], width=24, trials=7, **parameters)
    for act in ("tanh", "relu"):
        for depth in (1, 5):
            p = varprop.simulate(act=act, depth=depth, width=24, trials=7, **parameters)
            cell = ds.sel(act=act, depth=depth)
            for label, summaries in named(p).items():
                for name, expected in summaries.items():
                    found = cell[name].sel(quantity=label).values
                    present = np.where(np.isfinite(found[:depth]), found[:depth], -7.0)
                    expected = np.where(np.isfinite(expected), expected, -7.0)
                    assert np.array_equal(present, expected), (label, name)
                    assert np.isnan(found[depth:]).all()


def test_pairs_have_theorys_prediction() -> None:
    ds = varprop.sweep(act="erf", sigma_w=1.3, sigma_b=[0.0, 0.2], correlation=-0.4, **SMALL)
    for sigma_b in (0.0, 0.2):
        net = varprop.Network(5, 24, act="erf", sigma_w=1.3, sigma_b=sigma_b)
        theory = predict(net, correlation=-0.4)
        cell = ds.sel(sigma_b=sigma_b)
        for name, values in (("correlation", theory.correlation), ("gap", np.exp(theory.log_gap))):
            row = cell.sel(quantity=name)
            np.testing.assert_allclose(row["prediction"], values, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(row["log_prediction"], np.log(abs(values)), rtol=1e-9)
    assert (ds["prediction"].sel(sigma_b=0.0, quantity="correlation") < 0).all()


def test_predictions_and_their_logarithms() -> None:
    ds = varprop.sweep(act="linear", sigma_w=[1e-30, 1.0, 1e30], depth=12, width=9, trials=2)
    variance = ds.sel(quantity="variance")
    np.testing.assert_allclose(
        variance["log_prediction"][:, -1], [24 * math.log(1e-30), 0.0, 24 * math.log(1e30)],
        atol=1e-9,
    )  # fmt: skip
    assert np.isnan(variance["prediction"][::2, -1]).all()
    assert variance["prediction"][1, -1] == pytest.approx(1.0)


def test_a_given_cotangent_scales_the_prediction() -> None:
    p = varprop.sweep(act="linear", scheme="lecun", cotangents=np.full(24, 3.0), **SMALL)
    np.testing.assert_allclose(p["prediction"].sel(quantity="gradient"), 9.0, rtol=1e-12)


def test_identical_inputs_and_inputs_that_die() -> None:
    ds = varprop.sweep(log_gap=[-math.inf, -40.0], act="tanh", sigma_b=0.1, **SMALL)
    same, near = (ds.sel(log_gap=gap, quantity="gap") for gap in (-math.inf, -40.0))
    assert (same["mean"] == 0).all()
    assert (same["log_prediction"] == -math.inf).all()
    assert (near["mean"] > 0).all()
    assert (abs(near["log_mean"] - near["log_prediction"]) < 2).all()
    died = varprop.sweep(act="relu", correlation=[0.0], depth=9, width=2, trials=40)
    p = varprop.simulate(act="relu", correlation=0.0, depth=9, width=2, trials=40)
    assert int(died["dead"][0, -1]) == p.dead > 0
    np.testing.assert_array_equal(
        died["mean"].sel(quantity="correlation")[0],
        np.where(np.ma.getmaskarray(p.correlation.mean), np.nan, np.ma.getdata(p.correlation.mean)),
    )


def test_architectures_are_axes() -> None:
    axes: dict[str, Any] = {
        "residual": [None, Residual(0.5)], "norm": [None, "rms", Norm("layer", "post")],
        "dropout": [0.5, 1.0],
    }  # fmt: skip
    ds = varprop.sweep(act="tanh", **axes, **SMALL)
    assert ds.residual.values.tolist() == ["None", "Residual(branch=0.5, skip=1.0)"]
    p = varprop.simulate(
        act="tanh", residual=Residual(0.5), norm=Norm("layer", "post"), dropout=0.5, **SMALL
    )
    cell = ds["mean"][:, 1, 2, 0].sel(quantity="variance")
    assert np.array_equal(cell, p.variance.mean)


def test_what_json_has_no_form_for_is_resumed(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "ein Gitter σ².zarr"
    arguments: dict[str, Any] = {
        "act": [["tanh", "relu"], ["relu", "tanh"]], "residual": [None, Residual("1/depth")],
        "norm": Norm("rms", "post"), "scheme": ["he", "normal(1)"], "log_gap": [-math.inf, -9.0],
        "depth": 2, "width": 9, "trials": 3,
    }  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(varprop.sweep_work, "run_of", None)
        with pytest.raises(TypeError):
            varprop.sweep(**arguments, store=store)
    assert main(["sweep", "--store", str(store), "--resume"]) == 0
    assert "16 cells" in capsys.readouterr().out
    again = varprop.sweep(**arguments, store=store).load()
    assert again.identical(varprop.sweep(**arguments))
