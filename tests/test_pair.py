"""Two inputs through the layers, and the correlation map."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from pair_twin import agrees, derived

from varprop.activation import activations
from varprop.theory import gradient_map, variance_map
from varprop.theory.pair import correlation_map, iterate_pair
from varprop.theory.stack import Stack

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
NAMES = [str(act) for act in activations()]
NONE = -math.inf


# --- through the layers -------------------------------------------------------------------------


def plain_pair(kernel_of, q, a, b, c, layers):
    """The recursion of (a, b, k) in mpmath, digits enough for any cancellation."""
    out = []
    k = c * mp.sqrt(a * b)
    for number, (weight, bias) in enumerate(layers):
        if number:
            a, b, k = q(a), q(b), kernel_of(a, b, k)
        a, b, k = weight * a + bias, weight * b + bias, weight * k + bias
        out.append((a, b, 1 - k / mp.sqrt(a * b)))
    return out


@pytest.mark.parametrize("log_gap", [-690.0, -20.0, 0.0])
@pytest.mark.parametrize("lengths", [(0.0, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize(("name", "weight", "bias"), [("relu", 2.0, 0.0), ("erf", 1.4, 0.3)])
def test_recursion_against_mpmath(name, weight, bias, lengths, log_gap):
    depth = 12
    weights = [weight * (1 + 0.1 * (layer % 3)) for layer in range(depth)]
    log_bias = math.log(bias) if bias else NONE
    found = iterate_pair(Stack.plain(name, np.log(weights), [log_bias] * depth), lengths, log_gap)
    with mp.workdps(700):
        near = 1 - mp.mpf(10) ** -650
        exact = derived(name)
        a, b = (mp.exp(mp.mpf(x)) for x in lengths)
        layers = [(mp.mpf(w), mp.mpf(bias)) for w in weights]
        c = 1 - mp.exp(mp.mpf(log_gap))
        trues = plain_pair(exact, lambda x: exact(x, x, x * near), a, b, c, layers)
        for layer, (true_a, true_b, true_gap) in enumerate(trues):
            log_a, log_b, correlation, log_gaps = (each[layer] for each in found)
            assert agrees(log_a, true_a, 1e-13)
            assert agrees(log_b, true_b, 1e-13)
            assert abs(correlation - (1 - true_gap)) < 1e-12
            assert agrees(log_gaps, true_gap, 1e-10, 12 * log_gap)


def test_close_inputs_stay_apart_in_a_deep_chaotic_network():
    """From 1e-300 the gap grows by chi1 per layer until it saturates."""
    weight, depth = 2 * math.log(2.5), 1200
    start = math.log(1e-300)
    log_a, _, correlation, log_gaps = iterate_pair(
        Stack.plain("tanh", [weight] * depth, [NONE] * depth), (0.0, 0.0), start
    )
    k = math.exp(log_a[-1])
    chi = weight + gradient_map("tanh").log(log_a[-1])
    assert np.diff(log_gaps)[100:300] == pytest.approx(np.full(200, chi), abs=1e-10)
    assert correlation_map("tanh")(correlation[-1], k, 2.5) == pytest.approx(
        correlation[-1], abs=1e-10
    )


def test_relu_correlations_approach_one_like_the_square_of_depth():
    depth = 3000
    he = [math.log(2.0)] * depth
    log_gaps = iterate_pair(Stack.plain("relu", he, [NONE] * depth), (0.0, 0.0), 0.0)[3]
    # 1-c ~ 9 pi^2 / (2 l^2), with corrections of order ln(l)/l.
    assert math.exp(log_gaps[-1]) * depth**2 == pytest.approx(9 * math.pi**2 / 2, rel=0.02)


def test_the_angle_freezes_at_the_critical_point_of_tanh():
    """sigma = (1, 0): K falls like 1/(2l) and dc/dl is summable, so c stays off 1."""
    depth = 400
    log_a, log_b, correlation, _ = iterate_pair(
        Stack.plain("tanh", [0.0] * depth, [NONE] * depth), (0.0, 0.7), math.log(0.5)
    )
    assert math.exp(-log_a[-1]) == pytest.approx(2 * depth, rel=0.02)
    assert log_a[-1] - log_b[-1] == pytest.approx(0.0, abs=2e-2)
    assert abs(correlation[-1] - correlation[-100]) < 1e-3 < abs(correlation[-1] - 1)


def test_settled_networks_are_filled_in():
    depth = 200_000
    found = iterate_pair(Stack.plain("tanh", [0.9] * depth, [-2.0] * depth), (0.0, 1.0), 0.3)
    assert all(len(each) == depth and np.isfinite(each).all() for each in found)
    log_a, _, correlation, _ = (each[-1] for each in found)
    after = correlation_map("tanh")(correlation, math.exp(log_a), math.exp(0.45), math.exp(-1.0))
    assert after == pytest.approx(correlation, abs=1e-12)
    changed = iterate_pair(
        Stack.plain("tanh", [0.9] * 300 + [0.5] * 300, [-2.0] * 600), (0.0, 0.0), 0.3
    )[0]
    assert abs(changed[299] - changed[599]) > 0.1


def test_identical_inputs_stay_identical():
    log_a, log_b, correlation, log_gaps = iterate_pair(
        Stack.plain("silu", [0.5] * 20, [-1.0] * 20), (0.2, 0.2), NONE
    )
    assert np.array_equal(log_a, log_b)
    assert (correlation == 1).all()
    assert (log_gaps == NONE).all()


def test_shared_biases_draw_inputs_together():
    """Opposite inputs, one layer: k = sigma_b^2 - sigma_w^2."""
    found = iterate_pair(
        Stack.plain("tanh", [math.log(0.5)], [math.log(1.5)]), (0.0, 0.0), math.log(2)
    )
    assert found[2][0] == pytest.approx(0.5, abs=1e-15)
    found = iterate_pair(Stack.plain("tanh", [0.0], [0.0]), (0.0, math.log(4.0)), NONE)
    assert found[2][0] == pytest.approx(3 / math.sqrt(10), abs=1e-15)


# --- the public map -----------------------------------------------------------------------------


def test_published_relu_map():
    row = PUBLISHED["relu_cmap_0"]
    assert correlation_map("relu")(0.0, 2.0, math.sqrt(2)) == pytest.approx(
        row["value"], rel=row["tol"]
    )


def test_relu_map_is_the_arc_cosine():
    c = np.linspace(-1, 1, 41)
    true = (np.sqrt(1 - c * c) + c * (np.pi - np.arccos(c))) / np.pi
    assert correlation_map("relu")(c, 3.0, 0.7) == pytest.approx(true, abs=1e-14)


@pytest.mark.parametrize("name", ["tanh", "elu(1.0)", "erf", "hardtanh"])
def test_map_slope_and_many_points(name):
    c = np.linspace(-0.999, 0.999, 601)
    made, at = correlation_map(name), {"variance": 1.4, "sigma_w": 1.2, "sigma_b": 0.3}
    values = made(c, **at)
    for i in (0, 77, 300, 599):
        assert values[i] == pytest.approx(made(float(c[i]), **at), abs=1e-11)
    fine = np.polynomial.chebyshev.Chebyshev.interpolate(
        lambda t: made(t, **at), 40, domain=[-0.5, 0.5]
    )
    some = np.array([-0.4, 0.0, 0.31])
    assert made.slope(some, **at) == pytest.approx(fine.deriv()(some), abs=1e-9)
    q, v = variance_map(name)(1.4), gradient_map(name)(1.4)
    chi = 1.44 * v * 1.4 / (0.09 + 1.44 * q)
    assert made.slope(1.0, **at) == pytest.approx(chi, rel=1e-11)
    assert made(1.0, **at) == 1.0
    assert made.log_gap(-650.0, **at) == pytest.approx(-650 + math.log(chi), abs=1e-10)


def test_map_types_and_names():
    assert isinstance(correlation_map("tanh")(0.5), float)
    assert correlation_map("tanh")([[0.5, 0.1]]).shape == (1, 2)
    assert correlation_map("tanh").log_gap([[0.5], [NONE]]).tolist()[1] == [NONE]
    assert correlation_map("tanh") is correlation_map("tanh")
    assert repr(correlation_map("elu")) == "CorrelationMap('elu(1.0)')"
    with pytest.raises(ValueError, match="singular: it jumps"):
        correlation_map("sign").slope(0.3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 1.5}, "within -1 .. 1, got 1.5"),
        ({"c": np.nan}, "within -1 .. 1, got nan"),
        ({"c": 0.0, "variance": 0.0}, "variance must be finite and > 0, got 0.0"),
        ({"c": 0.0, "sigma_w": 0.0}, "sigma_w must be > 0"),
        ({"c": 0.0, "sigma_w": -1.0}, "sigma_w must be finite and >= 0, got -1.0"),
        ({"c": 0.0, "sigma_b": np.inf}, "sigma_b must be finite and >= 0, got inf"),
    ],
)
def test_bad_arguments_of_the_map(arguments, message):
    with pytest.raises(ValueError, match=message):
        correlation_map("tanh")(**arguments)


@pytest.mark.parametrize(
    ("inputs", "log_gap", "message"),
    [
        ((NONE, 0.0), 0.0, "an input of zeros has no direction"),
        ((0.0, np.nan), 0.0, "log_inputs must be finite"),
        ((0.0, 0.0), 0.7, "at most ln 2, got 0.7"),
        ((0.0, 0.0), np.nan, "at most ln 2, got nan"),
    ],
)
def test_bad_arguments_of_the_recursion(inputs, log_gap, message):
    with pytest.raises(ValueError, match=message):
        iterate_pair(Stack.plain("tanh", [0.0], [NONE]), inputs, log_gap)
