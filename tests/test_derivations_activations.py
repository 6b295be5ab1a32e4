"""Derivations of activations: what they state is what the maps do, and what was published."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from derived import PUBLISHED, derive, step, value

from varprop.network import Network
from varprop.theory import gradient_map, predict, variance_map
from varprop.theory.critical import critical
from varprop.theory.fixed_point import fixed_point
from varprop.theory.gaussian import K
from varprop.theory.kernel import kernel


def normal(f, variance):
    """E f(x), x ~ N(0, variance), by mpmath at 30 digits."""
    with mpmath.workdps(30):
        s = mpmath.sqrt(variance)
        whole = mpmath.quad(lambda z: f(s * z) * mpmath.exp(-z * z / 2), [-12, -4, 0, 4, 12])
        return whole / mpmath.sqrt(2 * mpmath.pi)


@pytest.mark.parametrize("at", [0.03, 1.0, 40.0])
@pytest.mark.parametrize("name", ["erf", "gelu", "sin"])
def test_closed_results_are_the_maps(name, at):
    assert value(derive(name).result.right, K=at) == pytest.approx(
        variance_map(name)(at), rel=1e-13
    )
    slopes = step(name, "The gradient map").right
    assert value(slopes, K=at) == pytest.approx(gradient_map(name)(at), rel=1e-13)


# --- tanh ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "f", "order"),
    [
        ("The result", lambda t: mpmath.tanh(t) ** 2, 5),
        ("The gradient map near 0", lambda t: mpmath.sech(t) ** 4, 3),
    ],
)
def test_what_the_series_of_tanh_leave_out_is_of_the_next_order(title, f, order):
    series = step("tanh", title).right
    left_out = [
        float(normal(f, at) - mpmath.mpf(str(series.subs(K, at).evalf(40)))) / float(at) ** order
        for at in (mpmath.mpf(1) / 1024, mpmath.mpf(1) / 2048)
    ]
    assert left_out[0] == pytest.approx(left_out[1], rel=0.02)
    assert abs(left_out[0]) > 1


def test_tanh_far_out():
    far = value(step("tanh", "The variance map far out").right, K=400)
    assert math.sqrt(2 / (400 * math.pi)) * far == pytest.approx(
        1 - variance_map("tanh")(400), rel=1e-5
    )
    slope = 2 * value(step("tanh", "The slope squared").right) / math.sqrt(2 * math.pi)
    assert 1e3 * gradient_map("tanh")(1e6) == pytest.approx(slope, rel=1e-6)


def test_the_decay_of_tanh_is_the_published_one():
    variance = 0.5
    for _ in range(1000):
        variance = variance_map("tanh")(variance)
    scaled, constant = PUBLISHED["tanh_q_decay"]["value"]
    assert 2000 * variance == pytest.approx(scaled, abs=1e-6)
    rest = 1 / variance - 2000 + 5 / 6 * math.log(1000)
    assert rest == pytest.approx(constant, abs=1e-6)


def test_the_inverse_of_tanhs_variance_grows_as_the_derivation_adds_up():
    log = predict(Network(3000, width=100, act="tanh", sigma_w=1.0)).log_variance
    total = step("tanh", "The next term").right
    claimed = value(total, L=2999) - value(total, L=999)
    assert math.exp(-log[2999]) - math.exp(-log[999]) == pytest.approx(claimed, abs=0.02)


def test_the_gradient_of_tanh_falls_like_a_power_of_the_depth():
    log = predict(Network(4000, width=100, act="tanh", sigma_w=1.0)).log_gradient
    product = step("tanh", "The gradient").right
    claimed = math.log(value(product, L=1000) / value(product, L=4000))
    assert log[3999] - log[999] == pytest.approx(claimed, rel=0.01)


def test_the_angle_of_two_tanh_inputs_freezes():
    at, c = 0.01, 0.3
    one = kernel("tanh")(at, at, c * at) / variance_map("tanh")(at)
    claimed = value(step("tanh", "The correlation hardly moves").right, K=at, c=c)
    assert one - c == pytest.approx(claimed - c, rel=0.1)
    assert claimed < c
    for _ in range(150):
        q = variance_map("tanh")(at)
        c, at = kernel("tanh")(at, at, c * at) / q, q
    limit = value(step("tanh", "The angle freezes").right)
    assert 0.3 * math.exp(-limit) < c < 0.3


# --- gelu ---------------------------------------------------------------------------------------


def test_the_half_stable_point_of_gelu_is_the_published_one():
    at, biases, weights = PUBLISHED["gelu_half_stable"]["value"]
    assert value(step("gelu", "The point").right) == pytest.approx(at, abs=1e-14)
    assert float(step("gelu", "The weights").right.doit()) == pytest.approx(weights, abs=5e-9)
    assert float(step("gelu", "The biases").right.doit()) == pytest.approx(biases, abs=5e-9)
    found = critical("gelu")
    assert found.kind == "half-stable"
    assert found.variance == pytest.approx(at, rel=1e-9)
    bend = float(step("gelu", "Half-stable").right.doit())
    assert found.rate.variance.coefficient == pytest.approx(-2 / bend, rel=1e-4)


def test_variances_leave_the_half_stable_point_on_one_side_only():
    q, at = variance_map("gelu"), PUBLISHED["gelu_half_stable"]["value"][0]
    _, biases, weights = PUBLISHED["gelu_half_stable"]["value"]
    for start in (at + 1, at - 0.3):
        assert biases + weights * q(start) < start


def test_he_on_gelu_is_the_published_collapse():
    variance = []
    for _ in range(60):
        variance.append(2 * variance_map("gelu")(variance[-1] if variance else 1.0))
    found = [variance[layer - 1] for layer in (1, 2, 5, 10)]
    assert found == pytest.approx(PUBLISHED["he_on_gelu"]["value"], abs=1e-12)
    series = step("gelu", "Small signals: half a linear layer").right
    assert variance[-1] / variance[-2] == pytest.approx(2 * value(series, K=1e-12) / 1e-12)


def test_the_bend_of_gelu_is_the_difference_of_its_maps():
    bend = step("gelu", "Variance less gradient").right
    for at in (0.2, 3.0, 20.0):
        slope = variance_map("gelu").slope(at)
        assert value(bend, K=at) == pytest.approx(slope - gradient_map("gelu")(at), abs=1e-12)


# --- erf, sin, selu -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sin", "erf"])
def test_critical_slopes_are_the_published_ones(name):
    slopes = dict(zip(("tanh", "sin", "erf"), PUBLISHED["critical_slopes"]["value"], strict=False))
    factor = step(name, "The critical variance").right
    assert value(factor, sigma_w=math.sqrt(slopes[name])) == pytest.approx(1.0, rel=1e-14)
    assert critical(name).sigma_w ** 2 == pytest.approx(slopes[name], rel=1e-12)


def test_the_kernel_of_erf_is_the_one_of_the_theory():
    claimed = step("erf", "The kernel of two inputs").right
    assert value(claimed, a=1.7, b=0.6, k=-0.45) == pytest.approx(
        kernel("erf")(1.7, 0.6, -0.45), rel=1e-13
    )


def test_the_kernel_of_sin_is_the_one_of_the_theory():
    claimed = step("sin", "The kernel of two inputs").right
    assert value(claimed, a=1.7, b=0.6, k=-0.45) == pytest.approx(
        kernel("sin")(1.7, 0.6, -0.45), rel=1e-13
    )


def test_selu_constants_are_the_published_ones():
    alpha, scale = PUBLISHED["selu_constants"]["value"]
    assert value(derive("selu").result.right) == pytest.approx(alpha, rel=1e-15)
    in_numbers = step("selu", "The second constant in numbers")
    assert value(in_numbers.left) == pytest.approx(scale, rel=1e-15)
    slope = variance_map("selu").slope(1.0)
    for title, factor in (
        ("The variance comes back", slope),
        ("The gradient grows", gradient_map("selu")(1.0)),
    ):
        assert float(step("selu", title).right.doit()) == pytest.approx(factor, abs=5e-5)


# --- edge of chaos ------------------------------------------------------------------------------


def test_the_edge_of_tanh_is_the_published_one():
    at, weights = PUBLISHED["tanh_eoc_0p05"]["value"]
    assert float(step("edge_of_chaos", "An example: the weights").right.doit()) == pytest.approx(
        weights, abs=5e-9
    )
    point = critical("tanh", sigma_b=0.05**0.5)
    assert point.variance == pytest.approx(at, rel=1e-10)
    rate = float(step("edge_of_chaos", "An example: the rate").right.doit())
    assert point.rate.correlation.coefficient == pytest.approx(rate, abs=5e-6)


def test_correlations_on_the_edge_come_together_like_beta_over_l():
    point = critical("tanh", sigma_b=0.05**0.5)
    at, c, gaps = point.variance, 0.2, []
    for _ in range(160):
        c = (0.05 + point.sigma_w**2 * kernel("tanh")(at, at, c * at)) / at
        gaps.append(1 - c)
    beta = float(step("edge_of_chaos", "An example: the rate").right.doit())
    late, early = ((1 / gaps[2 * m - 1] - 1 / gaps[m - 1]) / m for m in (80, 40))
    assert abs(beta * late - 1) < 0.6 * abs(beta * early - 1) < 0.04  # it nears 1/beta like 1/l


def test_the_ratio_of_both_factors_of_erf():
    ratio = step("edge_of_chaos", "The variance is quicker").right
    point = fixed_point("erf", sigma_w=1.4, sigma_b=0.3)
    assert value(ratio, K=point.variance) == pytest.approx(point.chi_k / point.chi1, rel=1e-10)


def test_the_figures_show_curves_that_end_at_one():
    maps, _ = derive("edge_of_chaos").figures
    for curve in maps.curves:
        assert curve.y[-1] == pytest.approx(1.0, rel=1e-9)
        assert np.all(np.diff(curve.y) >= 0)
