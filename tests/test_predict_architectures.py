"""Predictions for skip connections, norms, dropout, and layers that differ."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from architecture_twin import followed
from pair_twin import agrees

from varprop import Network, Norm, Residual
from varprop.theory import gradient_map, jacobian_moments, predict, relative_variance, variance_map
from varprop.theory.finite_width import norm_law, predicted, vertex

NONE = -math.inf
DEPTH = 6
MIXED = ["erf", "relu", "erf", "erf", "linear", "relu"]
KINDS = {
    "skip": {"residual": Residual(0.6, -1.2)},
    "stable": {"residual": Residual("1/sqrt(depth)")},
    "pre": {"norm": Norm("layer", "pre")},
    "post": {"norm": Norm("rms", "post")},
    "dropout": {"dropout": 0.7},
    "pre-LN": {"residual": Residual(0.8, 1.1), "norm": "layer"},
    "post-LN": {"residual": Residual(1.3, 0.9), "norm": Norm("layer", "post")},
    "pre, all": {"residual": Residual("1/depth", 1.05), "norm": "rms", "dropout": 0.4},
    "post, all": {"residual": Residual(2.0, 0.5), "norm": Norm("rms", "post"), "dropout": 0.9},
    "skip, dropout": {"residual": Residual(), "dropout": 0.8},
    "layers": {"scheme": ["he", "lecun", "xavier", "normal(0.2)", "he_uniform", "torch"]},
}
ACTS = {"erf": {"sigma_w": 1.4}, "relu": {"sigma_w": 1.2, "sigma_b": 0.4}, "mixed": {}}


def network(kind, act):
    extras = KINDS[kind]
    weights = {} if "scheme" in extras else ACTS[act]
    widths = [8] + [12] * DEPTH if "residual" in extras else [8, 12, 5, 9, 20, 7, 11]
    return Network(DEPTH, widths=widths, act=MIXED if act == "mixed" else act, **weights, **extras)


# --- against the definition ---------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_input_against_mpmath(kind, act):
    net = network(kind, act)
    with mp.workdps(40):
        layers = followed(net, (mp.mpf(1.7), mp.mpf(1.7)), mp.mpf(0))
        exact = {
            name: [float(getattr(met, name)) for met in layers]
            for name in ("variance", "activation", "gradient", "weight_gradient", "bias_gradient")
        }
        exact["preactivation"] = [float(met.a) for met in layers]
        exact["mean"] = [float(met.mean) for met in layers]
    p = predict(net, 1.7)
    for name, values in exact.items():
        if name != "bias_gradient" or net.has_bias:
            assert getattr(p, name) == pytest.approx(values, rel=1e-12), name
    assert p.input_gradient == pytest.approx(float(layers[0].input_gradient), rel=1e-12)


@pytest.mark.parametrize("log_gap", [-690.0, -20.0, 0.3])
@pytest.mark.parametrize("second", [1.0, 3.0])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_inputs_against_mpmath(kind, act, second, log_gap):
    net = network(kind, act)
    p = predict(net, (1.0, second), log_gap=log_gap)
    with mp.workdps(650):
        cosine = 1 - mp.exp(mp.mpf(log_gap))
        layers = followed(net, (mp.mpf(1), mp.mpf(second)), cosine)
        for layer, met in enumerate(layers):
            gap = 1 - met.k / mp.sqrt(met.a * met.b)
            assert agrees(p.log_preactivation[layer], met.a, 1e-12)
            assert agrees(p.other.log_preactivation[layer], met.b, 1e-12)
            assert abs(p.correlation[layer] - (1 - gap)) < 1e-11
            # 1e-8 is what predict promises for unequal lengths where 1-c is small
            assert agrees(p.log_gap[layer], gap, 1e-9 if second == 1 else 1e-8, DEPTH * log_gap)


def test_layers_that_are_alike_but_listed_are_the_plain_network():
    listed = Network(4, act=["gelu", "gelu", "gelu", "tanh"], sigma_w=1.3)
    plain = predict(Network(4, act="gelu", sigma_w=1.3), correlation=0.2)
    p = predict(listed, correlation=0.2)
    # the last layer's activation is read by no other layer
    assert p.log_variance.tolist() == plain.log_variance.tolist()
    assert p.log_gradient.tolist() == plain.log_gradient.tolist()
    assert p.log_gap.tolist() == plain.log_gap.tolist()
    assert p.activation[-1] == pytest.approx(variance_map("tanh")(p.variance[-1]), rel=1e-13)
    assert p.mean[-1] == 0.0 != p.mean[0]


# --- what is known of them ----------------------------------------------------------------------


@pytest.mark.parametrize("act", ["tanh", "relu", "silu"])
def test_pre_norm_residuals_grow_linearly(act):
    net = Network(200, act=act, sigma_w=1.5, sigma_b=0.2, residual=Residual(0.7), norm="layer")
    p = predict(net, 3.0)
    step = 0.49 * (0.04 + 2.25 * variance_map(act)(1.0))
    first = 0.04 + 2.25 * 3.0
    assert p.variance == pytest.approx(first + step * np.arange(200), rel=1e-12)
    back = 0.49 * 2.25 * gradient_map(act)(1.0) / p.variance[:-1]
    assert p.gradient[:-1] / p.gradient[1:] == pytest.approx(1 + back, rel=1e-12)


@pytest.mark.parametrize("depth", [10, 100])
def test_stable_residuals_of_relu(depth):
    net = Network(depth, act="relu", scheme="he", residual=Residual("1/sqrt(depth)"))
    p = predict(net)
    growth = (1 + 1 / depth) ** (depth - 1)
    assert p.variance[-1] / p.variance[0] == pytest.approx(growth, rel=1e-12)
    assert p.gradient[0] == pytest.approx(growth, rel=1e-12)


def test_gradients_of_unscaled_tanh_residuals_grow_like_the_root_of_depth():
    depth = 40_000
    p = predict(Network(depth, act="tanh", sigma_w=1.0, residual=Residual()))
    assert p.variance[-1] / depth == pytest.approx(1.0, rel=0.02)
    # between two depths, so that what the first layers add drops out
    rise = p.log_gradient[depth // 4] / (math.sqrt(depth) - math.sqrt(depth // 4))
    assert rise == pytest.approx(8 / (3 * math.sqrt(2 * math.pi)), rel=0.01)


def test_dropout_parts_identical_inputs():
    keep, weight = 0.8, 1.3**2
    net = Network(400, act="erf", sigma_w=1.3, sigma_b=0.5, dropout=keep)
    p = predict(net, correlation=1.0)
    k = p.variance[0]
    lost = (1 - keep) / keep * weight * variance_map("erf")(k) / p.variance[1]
    assert p.correlation[0] == 1.0
    assert 1 - p.correlation[1] == pytest.approx(lost, rel=1e-10)
    assert p.correlation[-1] < 0.95
    apart = predict(net, correlation=-0.5)
    assert apart.correlation[-1] == pytest.approx(p.correlation[-1], abs=1e-9)


def test_identical_inputs_leave_one_although_their_size_is_at_rest():
    """With weights of variance 2 keep/n ReLU keeps K exactly, and only c moves."""
    net = Network(60, act="relu", sigma_w=math.sqrt(1.6), dropout=0.8)
    together, apart = predict(net, correlation=1.0), predict(net, correlation=-0.5)
    c, exact = mp.mpf(1), []
    for _ in range(60):
        exact.append(float(c))
        c = mp.mpf(0.8) * (mp.sqrt(1 - c * c) + c * (mp.pi - mp.acos(c))) / mp.pi
    assert together.correlation == pytest.approx(exact, abs=1e-12)
    assert together.correlation[-1] == pytest.approx(apart.correlation[-1], abs=1e-12)


def test_a_norm_forgets_the_size_of_an_input():
    for place in ("pre", "post"):
        net = Network(5, act="tanh", sigma_w=2.0, norm=Norm("rms", place))
        small, large = (predict(net, log_input_mean_square=log) for log in (-9000.0, 9000.0))
        assert small.log_activation.tolist() == large.log_activation.tolist()
        assert large.log_variance[0] == pytest.approx(9000 + math.log(4.0), rel=1e-14)
        assert small.log_input_gradient - large.log_input_gradient == pytest.approx(18000.0)
    assert predict(net).preactivation.tolist() == [1.0] * 5


# --- beyond float64, zeros, great depth ---------------------------------------------------------


def test_signals_beyond_float64_along_skip_connections():
    net = Network(1000, act="erf", sigma_w=1.0, residual=Residual(1e-100, 1e30))
    p = predict(net, log_input_mean_square=-5000.0, correlation=0.3)
    assert p.log_variance[-1] == pytest.approx(-5000 + 999 * 60 * math.log(10), rel=1e-12)
    assert p.log_gradient[0] == pytest.approx(999 * 60 * math.log(10), rel=1e-12)
    assert p.correlation[-1] == pytest.approx(0.3, abs=1e-12)
    with pytest.raises(OverflowError, match=r"use \.log_preactivation"):
        _ = p.preactivation


def test_zeros_stay_zeros_under_norms():
    for place in ("pre", "post"):
        net = Network(3, act="tanh", sigma_w=1.5, residual=Residual(), norm=Norm("layer", place))
        p = predict(net, 0.0)
        assert p.preactivation.tolist() == [0.0, 0.0, 0.0]
        assert p.activation.tolist() == [0.0, 0.0, 0.0]
        assert p.weight_gradient[0] == 0.0
        assert p.input_gradient == (0.0 if place == "post" else pytest.approx(2.25))
    assert p.gradient.tolist() == [0.0, 0.0, 1.0]
    p = predict(Network(3, act="cos", sigma_w=1.0, norm=Norm("rms", "post")), 0.0)
    assert p.variance == pytest.approx([0.0, 1.0, (1 + math.exp(-2)) / 2], rel=1e-12)
    assert p.preactivation.tolist() == [0.0, 1.0, 1.0]
    assert p.log_gradient[0] == NONE  # cos is flat at 0


def test_deep_networks_come_to_rest():
    depth = 10**6
    net = Network(depth, act="tanh", sigma_w=1.5, residual=Residual(0.8, 0.6), dropout=0.5)
    k = predict(net).variance[-1]
    assert 0.36 * k + 0.64 * 2.25 * variance_map("tanh")(k) / 0.5 == pytest.approx(k, rel=1e-12)


def test_two_layers_of_a_changing_network_that_agree_are_not_taken_for_rest():
    """erf at rest for long, then relu."""
    net = Network(600, act=["erf"] * 400 + ["relu"] * 200, sigma_w=2.0)
    p = predict(net, correlation=0.1)
    assert p.variance[399] == pytest.approx(p.variance[398], rel=1e-12)
    assert p.variance[401] == pytest.approx(2 * p.variance[400], rel=1e-12)
    assert p.log_gap[-1] < p.log_gap[400] - 1


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extras", "reason"),
    [
        ({"residual": Residual()}, "skip connections carry"),
        ({"norm": "layer"}, "a norm makes the units"),
        ({"dropout": 0.5}, "the masks of dropout"),
        ({"act": ["tanh", "relu"]}, "different activations, or weights"),
        ({"scheme": ["he", "he_uniform"]}, "different activations, or weights"),
        ({"scheme": ["lecun_uniform", "torch"]}, "different activations, or weights"),
    ],
)
def test_finite_width_is_refused_with_the_reason(extras, reason):
    net = Network(2, **extras)
    with pytest.raises(ValueError, match=f"no prediction at finite width .*{reason}"):
        _ = predict(net).finite_width
    for law in (predicted, vertex, norm_law, jacobian_moments):
        with pytest.raises(ValueError, match=reason):
            law(net)


# --- what is known at finite width --------------------------------------------------------------


@pytest.mark.parametrize("laws", [("he", "lecun", "xavier"), ("orthogonal", "orthogonal(0.3)")])
def test_two_slopes_scatter_alike_whatever_the_size_of_their_weights(laws):
    laws = (*laws, laws[0])[:3]
    net = Network(3, width=9, act="relu", scheme=list(laws))
    found = predict(net, 2.0).finite_width
    alike = predict(Network(3, width=9, act="relu", scheme=laws[0])).finite_width
    assert found.exact
    assert found.relative_std == pytest.approx(alike.relative_std, rel=1e-13)
    assert found.log_mean == pytest.approx(predict(net, 2.0).log_variance, abs=1e-13)
    moments, others = jacobian_moments(net), jacobian_moments(alike.network)
    ratio = moments.log_square - 2 * moments.log_trace
    assert ratio == pytest.approx(others.log_square - 2 * others.log_trace, abs=1e-12)


def test_the_vertex_of_weights_of_different_sizes():
    n = 40
    net = Network(3, width=n, act="tanh", scheme=["lecun", "he", "normal, 3/fan_in"])
    p = predict(net)
    rho = [relative_variance("tanh", log_k) for log_k in p.log_variance]
    slope = variance_map("tanh").log_slope(p.log_variance[1])
    known = [0.0, rho[0] / n, slope**2 * rho[0] / n + rho[1] / n]
    assert vertex(net).fluctuation == pytest.approx(known, rel=1e-7)
