"""The recursion through depth: closed forms, published iterations, and anywhere beyond float64."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import activations
from varprop.network import Network
from varprop.theory import Prediction, gradient_map, predict, variance_map

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}


def test_published_he_on_gelu():
    row = PUBLISHED["he_on_gelu"]
    # q_0 = 1 is the variance of the first layer: He's weights on an input of mean square 1/2.
    k = predict(Network(11, act="gelu", scheme="he"), 0.5).variance
    assert [k[layer] for layer in (1, 2, 5, 10)] == pytest.approx(row["value"], rel=row["tol"])


def test_published_torch_default():
    row = PUBLISHED["torch_default_linear_relu"]
    net = Network(20, act="relu", scheme="torch", sigma_b=0.0)
    ratios = np.exp(np.diff(predict(net).log_variance))
    assert ratios == pytest.approx(np.full(19, row["value"]), rel=row["tol"])


def test_published_tanh_decay():
    row = PUBLISHED["tanh_q_decay"]
    k = predict(Network(1001, act="tanh", sigma_w=1.0), 0.5).variance
    first, second = 2000 * k[1000], 1 / k[1000] - 2000 + 5 / 6 * math.log(1000)
    assert [first, second] == pytest.approx(row["value"], rel=row["tol"])


def test_selu_is_at_its_fixed_point():
    p = predict(Network(1000, act="selu", scheme="lecun"))
    assert p.variance == pytest.approx(np.ones(1000), rel=1e-12)


def test_relu_under_he_is_constant_to_the_bit():
    p = predict(Network(1000, act="relu", scheme="he"))
    assert np.ptp(p.log_variance) == 0
    assert p.variance == pytest.approx(np.full(1000, 2.0), rel=1e-15)
    assert np.abs(p.log_activation).max() == 0


@pytest.mark.parametrize(
    ("act", "scheme", "factor"),
    [
        ("linear", "lecun", 1.0),
        ("linear", "rashid", 1 / 3),
        ("linear", "uniform(-1,1)", 100 / 3),
        ("linear", "normal(0.01)", 0.01),
        ("relu", "lecun", 1 / 2),
        ("relu", "xavier", 1 / 2),
        ("relu", "he_uniform", 1.0),
        ("leaky_relu(0.2)", "he", 1.04),
        ("relu", "orthogonal", 1 / 2),
    ],
)
def test_factor_per_layer(act, scheme, factor):
    p = predict(Network(3000, width=100, act=act, scheme=scheme))
    steps = np.diff(p.log_variance)
    assert steps == pytest.approx(np.full(2999, math.log(factor)), abs=1e-11)


def test_unequal_widths_and_fans():
    widths = [7, 30, 11, 50]
    p = predict(Network(3, widths=widths, act="linear", scheme="rashid"))
    fan_out_law = np.array(widths[:-1]) / np.array(widths[1:]) / 3
    assert p.variance == pytest.approx(np.cumprod(fan_out_law), rel=1e-13)
    p = predict(Network(3, widths=widths, act="relu", scheme="he"))
    assert p.activation == pytest.approx(np.ones(3), rel=1e-14)


def test_biases_by_mpmath():
    net = Network(12, act="erf", sigma_w=1.7, sigma_b=0.3)
    with mp.workdps(40):
        weight, bias = mp.mpf(1.7) ** 2, mp.mpf(0.3) ** 2
        k, exact = bias + weight * 2, []
        for _ in range(12):
            exact.append(float(k))
            k = bias + weight * 2 / mp.pi * mp.asin(2 * k / (1 + 2 * k))
    assert predict(net, 2.0).variance == pytest.approx(exact, rel=1e-13)


def test_torch_biases_are_counted():
    p = predict(Network(2, width=10, act="linear", scheme="torch"), 1.0)
    first = 1 / 3 + 1 / 30
    assert p.variance == pytest.approx([first, first / 3 + 1 / 30], rel=1e-13)


def test_an_input_of_zeros():
    p = predict(Network(3, act="tanh", scheme="lecun"), 0.0)
    assert p.log_variance.tolist() == [-math.inf] * 3
    assert p.variance.tolist() == [0.0] * 3
    p = predict(Network(2, act="cos", sigma_w=2.0), 0.0)
    assert p.variance.tolist() == pytest.approx([0.0, 4.0], rel=1e-15)
    p = predict(Network(2, act="tanh", sigma_w=1.0, sigma_b=0.5), 0.0)
    assert p.variance[0] == pytest.approx(0.25, rel=1e-15)


@pytest.mark.parametrize("act", activations(), ids=str)
@pytest.mark.parametrize("scheme", ["normal(0.01)", "normal(1)"])
def test_a_thousand_layers_stay_finite(act, scheme):
    p = predict(Network(1000, width=1000, act=act, scheme=scheme))
    assert np.isfinite(p.log_variance).all()
    assert np.isfinite(p.log_activation).all()


def test_beyond_float64():
    p = predict(Network(1000, width=1000, act="linear", scheme="normal(0.01)"))
    assert p.log_variance[-1] == pytest.approx(-1000 * math.log(10), rel=1e-12)
    with pytest.raises(OverflowError, match=r"variance of layer 308 is .* use \.log_variance"):
        _ = p.variance
    with pytest.raises(OverflowError, match=r"use \.log_activation"):
        _ = p.activation
    with pytest.raises(OverflowError, match=r"use \.log_preactivation"):
        _ = p.preactivation


def test_inputs_beyond_float64():
    net = Network(3, act="relu", scheme="he")
    p = predict(net, log_input_mean_square=-5000.0)
    assert p.log_variance[-1] == pytest.approx(-5000 + math.log(2))
    assert predict(net, 3.0).log_variance[0] == pytest.approx(math.log(6.0))


def test_one_step_is_the_variance_map():
    p = predict(Network(5, act="mish", sigma_w=1.3, sigma_b=0.2), 0.7)
    q = variance_map("mish")
    assert isinstance(p, Prediction)
    assert p.layers.tolist() == [1, 2, 3, 4, 5]
    assert p.variance[0] == pytest.approx(0.04 + 1.69 * 0.7, rel=1e-14)
    for layer in range(4):
        expected = 0.04 + 1.69 * q(p.variance[layer])
        assert p.variance[layer + 1] == pytest.approx(expected, rel=1e-13)
    assert p.activation == pytest.approx(q(p.variance), rel=1e-13)
    assert np.array_equal(p.preactivation, p.variance)


def test_kumar_on_sigmoid_still_loses_its_gradient():
    net = Network(200, act="sigmoid", scheme="kumar")
    k = predict(net).variance[-1]
    assert k == pytest.approx(4.534976, rel=1e-6)
    assert net.sigma_w[0] ** 2 * gradient_map("sigmoid")(k) == pytest.approx(0.353810, rel=1e-5)


def test_results_are_immutable_and_readable():
    p = predict(Network(200, act="relu", scheme="lecun"))
    with pytest.raises(ValueError, match="read-only"):
        p.log_variance[0] = 0.0
    assert "act='relu'" in repr(p)
    assert "-59.9" in repr(p)


def test_bad_input():
    net = Network(2, act="relu", scheme="he")
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="input_mean_square must be finite and >= 0"):
            predict(net, bad)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="log_input_mean_square must be finite or -inf"):
            predict(net, log_input_mean_square=bad)
    with pytest.raises(ValueError, match="not both"):
        predict(net, 2.0, log_input_mean_square=0.0)
    with pytest.raises(TypeError, match="must be a Network, not str"):
        predict("relu")
