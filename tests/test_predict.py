"""The recursion through depth: closed forms, published iterations, and anywhere beyond float64."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import activations
from varprop.network import Network
from varprop.theory import Prediction, gradient_map, mean_map, predict, variance_map

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


# --- gradients ----------------------------------------------------------------------------------


def test_gradients_of_relu_under_fans():
    """g^l = n_(l+1) Var W^(l+1) g^(l+1)/2: fan_in keeps the norm, fan_out the mean square."""
    widths = [7, 30, 11, 50]
    p = predict(Network(3, widths=widths, act="relu", scheme="he"))
    assert p.gradient == pytest.approx([50 / 30, 50 / 11, 1.0], rel=1e-14)
    assert widths[1:] * p.gradient == pytest.approx(np.full(3, 50.0), rel=1e-14)
    assert p.input_gradient == pytest.approx(30 * (2 / 7) * 50 / 30, rel=1e-14)
    p = predict(Network(3, widths=widths, act="relu", scheme="normal, 2/fan_out"))
    assert p.gradient == pytest.approx(np.ones(3), rel=1e-14)
    p = predict(Network(3, widths=widths, act="relu", scheme="xavier"))
    fan_avg = [2 * 11 / 41 / 2 * 2 * 50 / 61 / 2, 2 * 50 / 61 / 2, 1.0]
    assert p.gradient == pytest.approx(fan_avg, rel=1e-14)


def test_gradients_with_biases_by_mpmath():
    net = Network(9, widths=[4, 9, 5, 20, 20, 3, 8, 8, 12, 6], act="erf", sigma_w=1.4, sigma_b=0.3)
    p = predict(net, 1.7)
    with mp.workdps(40):
        weight, bias = mp.mpf(1.4) ** 2, mp.mpf(0.3) ** 2
        a, k, v = [mp.mpf(1.7)], [], []
        for _ in range(9):
            k.append(bias + weight * a[-1])
            a.append(2 / mp.pi * mp.asin(2 * k[-1] / (1 + 2 * k[-1])))
            v.append(4 / mp.pi / mp.sqrt(1 + 4 * k[-1]))
        n = net.widths
        g = [mp.mpf(1)]
        for layer in range(8, 0, -1):  # from z^(layer+1) to z^layer
            g.insert(0, n[layer + 1] * (weight / n[layer]) * v[layer - 1] * g[0])
        weights = [n[i + 1] * g[i] * n[i] * a[i] for i in range(9)]
        biases = [n[i + 1] * g[i] for i in range(9)]
        inputs = n[1] * (weight / n[0]) * g[0]
    assert p.variance == pytest.approx([float(x) for x in k], rel=1e-13)
    assert p.gradient == pytest.approx([float(x) for x in g], rel=1e-13)
    assert p.weight_gradient == pytest.approx([float(x) for x in weights], rel=1e-13)
    assert p.bias_gradient == pytest.approx([float(x) for x in biases], rel=1e-13)
    assert p.input_gradient == pytest.approx(float(inputs), rel=1e-13)
    assert np.exp(p.log_bias_gradient) == pytest.approx(p.bias_gradient, rel=1e-13)


def test_gradients_against_drawn_networks():
    """Squared gradients of drawn tanh networks, averaged: nothing of the theory is used here."""
    rng = np.random.default_rng(20)
    widths, sigma_w, sigma_b, trials = [300, 400, 300, 350], 1.3, 0.2, 60
    net = Network(3, widths=widths, act="tanh", sigma_w=sigma_w, sigma_b=sigma_b)
    p = predict(net)
    inputs = np.ones(widths[0])
    rows = np.empty((trials, 3, 3))
    for trial in range(trials):
        layers, h = [], inputs
        for n_in, n_out in pairwise(widths):
            w = rng.normal(0, sigma_w / math.sqrt(n_in), (n_out, n_in))
            z = w @ h + rng.normal(0, sigma_b, n_out)
            layers.append((w, z, h))
            h = np.tanh(z)
        v = rng.normal(size=widths[-1])
        delta = v / math.sqrt(np.mean(v**2))
        for i, (w, z, h) in reversed(list(enumerate(layers))):
            if i < 2:
                delta = delta / np.cosh(z) ** 2
            rows[trial, i] = np.mean(delta**2), np.sum(delta**2) * np.sum(h**2), np.sum(delta**2)
            delta = w.T @ delta
    found, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / math.sqrt(trials)
    known = np.stack([p.gradient, p.weight_gradient, p.bias_gradient], axis=1)
    # Six standard errors, and 1/n for what a finite width adds.
    assert (np.abs(found - known) < 6 * error + known / 50).all()
    assert (error < known / 20).all()


@pytest.mark.parametrize("scheme", ["orthogonal(1.5)", "rademacher", "uniform(-0.1, 0.1)", "torch"])
def test_every_scheme_has_gradients(scheme):
    widths = [30, 40, 25]
    net = Network(2, widths=widths, act="linear", scheme=scheme)
    p = predict(net)
    assert p.gradient[0] == pytest.approx(25 * net.weight_variance[1], rel=1e-14)
    assert p.input_gradient == pytest.approx(40 * net.weight_variance[0] * p.gradient[0], rel=1e-14)


def test_gradients_beyond_float64_and_exact_zeros():
    p = predict(Network(1000, width=1000, act="linear", scheme="normal(0.01)"))
    assert p.log_gradient[0] == pytest.approx(-999 * math.log(10), rel=1e-13)
    for name in ("gradient", "weight_gradient", "input_gradient"):
        with pytest.raises(OverflowError, match=rf"{name} .*use \.log_{name}"):
            getattr(p, name)
    p = predict(Network(3, act="cos", sigma_w=1.0), 0.0)  # K^1 = 0, where cos is flat
    assert p.log_gradient.tolist()[0] == -math.inf
    assert p.gradient[0] == 0.0
    assert p.input_gradient == 0.0


def test_singular_gradients_are_said_only_when_asked_for():
    p = predict(Network(3, act="sign", sigma_w=1.0))
    assert p.variance == pytest.approx(np.ones(3))
    with pytest.raises(ValueError, match="singular: it jumps at x = 0"):
        _ = p.log_gradient
    with pytest.raises(ValueError, match="has no biases"):
        _ = predict(Network(3, act="tanh")).log_bias_gradient


def test_one_layer():
    p = predict(Network(1, widths=[5, 8], act="tanh", sigma_w=2.0))
    assert p.gradient.tolist() == [1.0]
    assert p.input_gradient == pytest.approx(8 * 4 / 5, rel=1e-14)
    assert p.weight_gradient == pytest.approx([8 * 5.0], rel=1e-14)


def test_means_are_those_of_the_map():
    p = predict(Network(40, act="softplus", sigma_w=0.8, sigma_b=0.1))
    assert p.mean == pytest.approx(mean_map("softplus")(p.variance), rel=1e-14)
    assert predict(Network(3, act="tanh")).mean.tolist() == [0.0, 0.0, 0.0]
    p = predict(Network(2, act="relu", sigma_w=1.0))
    assert p.mean == pytest.approx(np.sqrt(np.array([1.0, 0.5]) / (2 * math.pi)), rel=1e-14)


# --- two inputs ---------------------------------------------------------------------------------


def test_correlation_of_relu_by_the_arc_cosine_kernel():
    p = predict(Network(50, act="relu", scheme="he"), correlation=-0.3)
    c, exact = mp.mpf(-0.3), []
    for _ in range(50):
        exact.append(float(c))
        c = (mp.sqrt(1 - c * c) + c * (mp.pi - mp.acos(c))) / mp.pi
    assert p.correlation == pytest.approx(exact, abs=1e-12)
    assert np.exp(p.log_gap) == pytest.approx(1 - p.correlation, rel=1e-9)


def test_correlation_of_two_lengths_with_biases_by_mpmath():
    net = Network(6, act="erf", sigma_w=1.5, sigma_b=0.4)
    p = predict(net, (0.5, 3.0), correlation=0.6)
    with mp.workdps(30):
        weight, bias = mp.mpf(1.5) ** 2, mp.mpf(0.4) ** 2
        a, b = mp.mpf(0.5), mp.mpf(3)
        k, exact = mp.mpf(0.6) * mp.sqrt(a * b), []
        for _ in range(6):
            a, b, k = (bias + weight * x for x in (a, b, k))
            exact.append(tuple(float(x) for x in (a, b, k / mp.sqrt(a * b))))
            s, t = 1 + 2 * a, 1 + 2 * b
            k = 2 / mp.pi * mp.asin(2 * k / mp.sqrt(s * t))
            a, b = (2 / mp.pi * mp.asin(2 * x / (1 + 2 * x)) for x in (a, b))
    first, second, c = zip(*exact, strict=True)
    assert p.variance == pytest.approx(first, rel=1e-13)
    assert p.other.variance == pytest.approx(second, rel=1e-13)
    assert p.correlation == pytest.approx(c, abs=1e-10)


def test_near_inputs_keep_their_difference():
    p = predict(Network(30, act="tanh", sigma_w=1.5), log_gap=-600.0)
    slope = 1.5**2 * gradient_map("tanh")(p.variance) * p.variance
    ratio = slope / (1.5**2 * variance_map("tanh")(p.variance))
    assert np.diff(p.log_gap) == pytest.approx(np.log(ratio[:-1]), abs=1e-9)
    assert predict(Network(3, act="relu"), correlation=1.0).correlation.tolist() == [1.0] * 3
    opposite = predict(Network(3, act="tanh"), correlation=-1.0).correlation
    assert opposite == pytest.approx([-1.0] * 3, abs=1e-14)
    given = predict(Network(3, act="relu"), log_input_mean_square=(-5000.0, -5000.0), log_gap=0.0)
    assert given.correlation == pytest.approx([0.0, 1 / math.pi, 0.49373109], abs=1e-8)


def test_correlations_need_two_inputs():
    net = Network(3, act="relu")
    with pytest.raises(ValueError, match=r"predict\(network, correlation=0\.5\)"):
        _ = predict(net).correlation
    with pytest.raises(ValueError, match="give correlation= as well"):
        predict(net, (1.0, 2.0))
    with pytest.raises(ValueError, match="one number or two"):
        predict(net, (1.0, 2.0, 3.0), correlation=0.5)
    for bad in (1.5, -1.01, math.nan):
        with pytest.raises(ValueError, match="correlation must be from -1 to 1"):
            predict(net, correlation=bad)
    for bad in (0.7, math.nan, math.inf):
        with pytest.raises(ValueError, match="log_gap must be -inf or a number up to ln 2"):
            predict(net, log_gap=bad)
    with pytest.raises(ValueError, match="correlation or log_gap, not both"):
        predict(net, correlation=0.5, log_gap=-1.0)
    with pytest.raises(ValueError, match="not zero"):
        predict(net, (1.0, 0.0), correlation=0.5)


def test_finite_width_goes_with_the_prediction():
    net = Network(20, width=100, act="relu", scheme="he")
    wide = predict(net, 2.5).finite_width
    assert wide.exact
    assert wide.relative_std[-1] > wide.relative_std[0] > 0
    assert wide.log_mean == pytest.approx(predict(net, 2.5).log_variance, abs=1e-12)


def test_results_are_immutable_and_readable():
    p = predict(Network(200, act="relu", scheme="lecun"))
    for values in (p.log_variance, p.log_gradient, p.mean, p.log_weight_gradient):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0.0
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
