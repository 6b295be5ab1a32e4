"""Correlations, finite width, log-normal law, spectra: derivations say what the rooms compute."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy
from derived import PUBLISHED, derive, step, value

from varprop.network import Network
from varprop.theory.finite_width import dead_probability, norm_law, predicted, vertex
from varprop.theory.kernel import kernel
from varprop.theory.pair import correlation_map, iterate_pair
from varprop.theory.scatter import relative_variance
from varprop.theory.spectrum import jacobian_moments, spectrum
from varprop.theory.stack import Stack


def column(table, name):
    """The cells of a table's column."""
    place = table.header.index(name)
    return [row[place] for row in table.rows]


def he(depth, width):
    return Network(depth, width=width, act="relu", scheme="he")


# --- correlation --------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [-0.9, -0.3, 0.0, 0.4, 0.99])
def test_the_correlation_map_of_relu_is_the_one_of_the_theory(c):
    way = correlation_map("relu")
    assert value(step("correlation", "The correlation map").right, c=c) == pytest.approx(
        way(c), rel=1e-12
    )
    assert value(step("correlation", "The slope").right, c=c) == pytest.approx(
        way.slope(c), rel=1e-12
    )


def test_the_kernel_that_is_integrated_twice_is_relus():
    inner = step("correlation", "Integrate a second time")
    a, b, k = 0.7, 2.5, -0.6
    covariance = value(inner.left.expr, a=a, b=b, k=k)
    assert covariance == pytest.approx(float(kernel("relu")(a, b, k)), rel=1e-13)
    assert value(inner.right, a=a, b=b, k=k) == pytest.approx(
        float(kernel("relu", derivative=True)(a, b, k)), rel=1e-13
    )
    with mpmath.workdps(20):  # E relu(u) relu(v) over v given u, then over u
        root = mpmath.sqrt(b - k * k / a)

        def given(u):
            m = k * u / a
            return m * mpmath.ncdf(m / root) + root * mpmath.npdf(m / root)

        s = math.sqrt(a)
        by_hand = mpmath.quad(lambda z: s * z * given(s * z) * mpmath.npdf(z), [0, 2, 5, 12])
    assert covariance == pytest.approx(float(by_hand), rel=1e-13)


def test_what_the_expansion_near_one_leaves_out_is_of_the_next_order():
    right = step("correlation", "Near 1").right
    for eps, rest in ((1e-4, 1e-9), (1e-6, 1e-14)):
        exact = math.exp(correlation_map("relu").log_gap(math.log(eps)))
        assert abs(value(right, varepsilon=eps) - exact) < rest
        assert value(right, varepsilon=eps) != pytest.approx(eps, rel=eps)


def test_two_inputs_come_together_as_the_derivation_says():
    layers = 30_000
    weight, none = [math.log(2.0)] * layers, [-math.inf] * layers
    gaps = iterate_pair(Stack.plain("relu", weight, none), (0.0, 0.0), 0.0)[3]
    law = derive("correlation").result.right
    for at, error in ((1000, 0.03), (layers, 0.0015)):
        assert math.exp(gaps[at - 1]) == pytest.approx(value(law, l=at), rel=error)


# --- finite width -------------------------------------------------------------------------------


def test_the_scatter_of_a_relu_network_is_the_predicted_one():
    scatter = value(derive("finite_width").result.right, n=100, L=50)
    assert scatter == pytest.approx(PUBLISHED["m4_linear_relu"]["value"][1], rel=1e-4)
    exact = predicted(he(50, 100)).activation
    assert scatter - 1 == pytest.approx(math.exp(2 * exact.log_relative_std[-1]), rel=1e-10)


@pytest.mark.parametrize(("act", "title"), [("linear", "A linear layer"), ("relu", "A ReLU layer")])
def test_the_scatter_of_one_layer_is_the_one_that_compare_uses(act, title):
    right = step("finite_width", title).right
    assert (value(right, n=10) - 1) * 10 == pytest.approx(relative_variance(act, 0.0), rel=1e-13)


def test_living_networks_are_what_dead_ones_leave():
    lives = step("finite_width", "Networks that are dead").right
    dead = dead_probability(he(30, 6))[-1]
    assert value(lives, n=6, L=30) == pytest.approx(1 - dead, rel=1e-13)


def test_the_vertex_is_the_recursion_of_the_derivation():
    sigma_w, width = 1.3, 50
    found = vertex(Network(3, width=width, act="tanh", sigma_w=sigma_w, sigma_b=0.2))
    k = np.exp(found.log_variance)
    v = width * found.fluctuation * k**2

    def mean(power, variance):
        def inside(z):
            return mpmath.tanh(mpmath.sqrt(variance) * z) ** power * mpmath.npdf(z)

        return mpmath.quad(inside, [-12, -4, 0, 4, 12])

    right = step("finite_width", "The variance of the variance").right
    slope = float(mpmath.diff(lambda at: mean(2, at), k[1]))
    q, fourth = float(mean(2, k[1])), float(mean(4, k[1]))
    above = value(right, n=width, V=v[1], q_1=slope, sigma_w=sigma_w, F=fourth, Q=q)
    # the room takes its slopes by differences, good to 1e-8
    assert v[2] / width == pytest.approx(above, rel=1e-7)


def test_tanh_scatters_by_two_thirds_of_the_depth_over_the_width():
    depth, width = 3000, 10**6
    found = vertex(Network(depth, width=width, act="tanh", sigma_w=1.0)).fluctuation[-1]
    after = step("finite_width", "Tanh scatters a third as much").right
    assert found * width == pytest.approx(value(after, l=depth - 1), rel=0.01)


# --- log-normal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 20])
def test_the_logarithm_of_a_linear_factor_is_the_exact_one(n):
    law = norm_law(Network(7, width=n, act="linear", sigma_w=1.0))
    assert 7 * value(step("log_normal", "The mean logarithm").right, n=n) == pytest.approx(
        law.mean, rel=1e-12
    )
    assert 7 * value(step("log_normal", "Its variance").right, n=n) == pytest.approx(
        law.variance, rel=1e-12
    )


@pytest.mark.parametrize("n", [1000, 10_000])
def test_what_the_series_of_the_logarithm_leave_out_is_of_the_next_order(n):
    for act, titles in (
        ("linear", ("For wide layers", "For wide layers, the variance")),
        ("relu", ("The mean logarithm under ReLU", "The variance under ReLU")),
    ):
        mean, variance = (value(step("log_normal", title).right, n=n) for title in titles)
        sigma_w = 1.0 if act == "linear" else math.sqrt(2.0)
        exact = predicted(Network(1, width=n, act=act, sigma_w=sigma_w)).activation
        assert abs(mean - exact.mean_log[0]) < 100 / n**3
        assert abs(variance - exact.std_log[0] ** 2) < 300 / n**3


def test_the_third_cumulant_is_that_of_a_chi_square():
    assert float(mpmath.psi(2, 5000)) * 10_000**2 == pytest.approx(
        value(step("log_normal", "The third cumulant").right), rel=1e-3
    )


def test_the_typical_network_and_those_above_the_mean():
    law, beta = norm_law(he(4000, 10_000)), 2.0
    typical = value(derive("log_normal").result.right, beta=beta)
    assert math.exp(law.mean) == pytest.approx(typical, rel=1e-3)
    above = value(step("log_normal", "How many are above the mean").right, beta=beta)
    assert 1 - law.cdf(0.0) == pytest.approx(above, rel=1e-3)
    table = derive("log_normal").tables[0]
    for exact, limit in zip(column(table, "above 1"), column(table, "log-normal"), strict=True):
        assert float(exact) == pytest.approx(float(limit), abs=0.01)


# --- spectrum -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_the_moments_of_the_spectrum_are_the_theorys(depth):
    moments = spectrum("linear", depth).moments(6)
    for order, moment in enumerate(moments, 1):
        assert value(derive("spectrum").result.right, k=order, L=depth) == pytest.approx(
            moment, rel=1e-12
        )
    assert value(step("spectrum", "Lagrange's inversion").right, L=depth) == pytest.approx(
        moments[2], rel=1e-12
    )


@pytest.mark.parametrize(
    ("act", "weights", "title"),
    [
        ("linear", "normal", "Linear, Gaussian"),
        ("relu", "normal", "ReLU, Gaussian"),
        ("relu", "orthogonal", "ReLU, orthogonal"),
    ],
)
def test_the_breadth_of_the_spectrum_is_the_theorys(act, weights, title):
    found = spectrum(act, 7, weights=weights)
    assert value(step("spectrum", title).right, L=7) == pytest.approx(
        found.relative_variance, rel=1e-12
    )


def test_the_edges_of_the_spectrum_are_the_theorys():
    assert value(step("spectrum", "The edge").right, L=6) == pytest.approx(
        spectrum("linear", 6).edge, rel=1e-10
    )
    (z,) = step("spectrum", "The edge for ReLU").left.args[2]
    at = value(z, L=6)
    edge = (1 + at) / at * (1 + 2 * at) ** 6
    assert edge == pytest.approx(spectrum("relu", 6).edge, rel=1e-10)


def test_the_transform_of_a_relu_layer_is_the_theorys():
    right = step("spectrum", "A ReLU layer").right
    (z,) = right.free_symbols
    theirs = spectrum("relu", 1).s_transform
    (other,) = theirs.free_symbols
    assert sympy.simplify(right - theirs.subs(other, z)) == 0


@pytest.mark.parametrize(
    ("act", "title"),
    [("linear", "A linear layer, exactly"), ("relu", "A ReLU layer, exactly")],
)
def test_the_count_of_rows_is_the_recursion_of_finite_widths(act, title):
    sigma_w = 1.0 if act == "linear" else math.sqrt(2.0)
    found = jacobian_moments(Network(5, width=12, act=act, sigma_w=sigma_w))
    below = {"T": math.exp(found.log_square[3]), "U": math.exp(found.log_trace_square[3])}
    above = value(step("spectrum", title).right, n=12, **below)
    assert above == pytest.approx(math.exp(found.log_square[4]), rel=1e-11)


def test_far_beyond_the_width_one_direction_is_left():
    found = jacobian_moments(he(2000, 20))
    assert found.effective_rank[-1] == pytest.approx(1 / 20, rel=1e-9)
    growth = found.log_square[-1] - found.log_square[-2]
    last = step("spectrum", "Depth beyond the width").right
    assert math.exp(growth) == pytest.approx(value(last, n=20, T=1), rel=1e-9)


# --- pictures -----------------------------------------------------------------------------------


def test_densities_in_the_figures_are_densities():
    (bells,) = derive("log_normal").figures
    for curve in bells.curves:
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(1.0, abs=2e-3)
    (singular,) = derive("spectrum").figures
    one = singular.curves[0]  # a quarter circle
    assert one.y == pytest.approx([math.sqrt(4 - s**2) / math.pi for s in one.x], rel=1e-9)


def test_exact_scatter_lies_above_its_first_order():
    (figure,) = derive("finite_width").figures
    curves = {curve.label: np.array(curve.y) for curve in figure.curves}
    assert (curves["relu, exact"] > curves["relu"] * (1 - 1e-9)).all()
    assert curves["relu"][-1] == pytest.approx(5 * 59 / 100, rel=1e-6)
    assert curves["tanh"][-1] < curves["linear"][-1]
