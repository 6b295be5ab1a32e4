"""Gains: unit variance, the published ones, and what each does to a deep network."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.network import Network
from varprop.theory import mean_map, predict, variance_map
from varprop.theory.gain import gain

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}


def by_source(act):
    return {row.source: row for row in gain(act).published}


def test_unit_variance_gains_in_closed_form():
    known = {
        "relu": math.sqrt(2),
        "linear": 1.0,
        "abs": 1.0,
        "leaky_relu(0.2)": math.sqrt(2 / 1.04),
        "erf": (2 / math.pi * math.asin(2 / 3)) ** -0.5,
        "sin": ((1 - math.exp(-2)) / 2) ** -0.5,
        "squared_relu": 1.5**-0.5,
        "sign": 1.0,
        "selu": 1.0,
    }
    for act, value in known.items():
        assert float(gain(act)) == pytest.approx(value, rel=1e-13)


def test_unit_variance_by_mpmath():
    with mp.workdps(25):
        square = mp.quad(lambda z: mp.tanh(z) ** 2 * mp.npdf(z), [-14, -3, 0, 3, 14])
    assert gain("tanh").gain == pytest.approx(float(square**-0.5), rel=1e-14)


@pytest.mark.parametrize("act", activations(), ids=str)
def test_the_gain_keeps_a_variance_of_one(act):
    found = gain(act)
    assert found.gain**2 * variance_map(act)(1.0) == pytest.approx(1.0, rel=1e-14)
    spread = variance_map(act)(1.0) - mean_map(act)(1.0) ** 2
    assert found.normalised**2 * spread == pytest.approx(1.0, rel=1e-12)
    text = str(found)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.startswith(f"{act}: gains")
    assert "critical: " in text


def test_torch_gains():
    """Those of torch.nn.init.calculate_gain, as its documentation lists them."""
    known = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
        "leaky_relu(0.2)": math.sqrt(2 / (1 + 0.2**2)),
        "selu": 3 / 4,
    }
    for act, value in known.items():
        assert by_source(act)["torch calculate_gain"].gain == pytest.approx(value, rel=1e-15)
    for act in ("gelu", "silu", "softplus", "elu"):
        assert "torch calculate_gain" not in by_source(act)


NFNET = {"gelu": "gelu_tanh", "leaky_relu_0p01": "leaky_relu", "soft_sign": "softsign"}


@pytest.mark.parametrize(
    "name", [name for name in PUBLISHED["nfnet_gammas"]["value"] if name != "log_sigmoid"]
)
def test_nfnet_gammas(name):
    row = PUBLISHED["nfnet_gammas"]
    act = NFNET.get(name, name)
    published = by_source(act)["NF-nets gamma"].gain
    assert published == row["value"][name]
    assert gain(act).normalised == pytest.approx(published, rel=row["tol"])


def test_gammas_are_those_of_default_parameters():
    assert "NF-nets gamma" in by_source("leaky_relu(0.01)")
    assert "NF-nets gamma" not in by_source("leaky_relu(0.2)")
    assert "NF-nets gamma" not in by_source("elu(2.0)")


def test_kumar():
    row = PUBLISHED["kumar_sigmoid"]
    assert gain("sigmoid").kumar == pytest.approx(row["value"], rel=row["tol"])
    assert gain("tanh").kumar == 1.0
    assert gain("relu").kumar is None
    assert gain("gaussian").kumar is None


def test_what_gains_do():
    tanh = by_source("tanh")["torch calculate_gain"]
    assert tanh.point.phase == "chaotic"
    assert tanh.does == (
        "chaotic: variances go to 1.178; squared gradients grow by a factor 1.21 per layer"
    )
    relu = by_source("relu")
    assert "every variance is kept" in relu["torch calculate_gain"].does
    assert "fall by a factor 0.1667 per layer" in relu["torch nn.Linear default"].does
    for act in ("gelu", "silu"):  # He's gain on a function of slope 1/2 at 0
        assert "fall by a factor 0.5 per layer" in by_source(act)["he (Keras, JAX, torch)"].does
    assert by_source("leaky_relu(0.2)")["he (Keras, JAX, torch)"].does == (
        "variances grow without bound, by a factor that tends to 1.04 per layer"
    )
    assert "slower than exponentially" in by_source("tanh")["lecun; glorot if square"].does
    assert "faster than exponentially" in by_source("squared_relu")["torch nn.Linear default"].does
    for act, factor in (("relu6", "1 + 2e-09"), ("selu", "1.072")):
        chaotic = gain(act).rows[0].does
        assert f"chaotic: variances go to 1; squared gradients grow by a factor {factor}" in chaotic
    # tanh's gradients do not keep their size on the slow way to K* = 0.
    assert by_source("tanh")["lecun; glorot if square"].does.endswith("gradients change as slowly")
    quick = "gradients fall faster than exponentially"
    assert by_source("squared_relu")["torch nn.Linear default"].does.endswith(quick)
    assert "no gradient comes back" in by_source("sign")["lecun; glorot if square"].does
    # GELU keeps a variance of 1 at its unit-variance gain, but not stably.
    assert "K = 1 is unstable" in str(gain("gelu"))


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "sigmoid", "softplus"])
def test_what_is_said_is_what_predict_shows(act):
    for row in gain(act).published:
        p = predict(Network(400, act=act, sigma_w=row.gain))
        step = np.diff(p.log_variance)[-1]
        if row.point is None:
            assert step > 0
            assert p.log_variance[-1] > p.log_variance[0] + 1
        elif row.point.variance == 0:
            assert step == pytest.approx(math.log(row.point.chi_k), abs=5e-3)
        else:
            assert p.variance[-1] == pytest.approx(row.point.variance, rel=1e-9)
        if row.point is not None:
            growth = p.log_gradient[-2] - p.log_gradient[-1]
            assert growth == pytest.approx(math.log(row.point.chi1), abs=5e-3)


def test_callables_have_a_gain():
    tanh = Activation.parse("tanh")
    found = gain((np.tanh, tanh.derivative))
    assert found.gain == pytest.approx(gain("tanh").gain, rel=1e-13)
    assert {row.source for row in found.published} == {
        "he (Keras, JAX, torch)",
        "lecun; glorot if square",
        "torch nn.Linear default",
    }


def test_bad_input():
    with pytest.raises(ValueError, match="unknown activation"):
        gain("rleu")
    with pytest.raises(ValueError, match="is 0 everywhere"):
        gain("0*x")
    with pytest.raises(ValueError, match="is inf at x"):
        gain("exp(x**2)")
    assert gain("0*x + 2").normalised is None
