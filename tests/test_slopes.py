"""Slopes and curvatures of the maps against 30-digit quadrature of other integrands."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.theory import fourth_moment, gradient_map, mean_map, moment, variance_map
from varprop.theory.expansions.ends import large_variance, small_variance
from varprop.theory.quantity import QUANTITIES

DIGITS = 34
with mp.workdps(DIGITS):
    NODES = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(4, 130)
JUMP = ("sign", "heaviside")
ACTS = [act for act in activations() if act.degree is None]
CURVED = [str(act) for act in ACTS]
WIDE = (1e-8, 1e-3, 0.03, 1.0, 40.0, 1e5)


def heat(act, power, of_derivative, k, weight):
    """E f(sqrt(K) z) weight(z) at 34 digits, f from the formula alone: no slope of f is used."""
    with mp.workdps(DIGITS):
        s = mp.sqrt(mp.mpf(k))
        edges = {mp.mpf(0), *map(mp.mpf, act.kinks)}
        edges |= {sign * s * j for j in range(1, 15) for sign in (-1, 1)}
        step = mp.mpf(1) / 2
        while step < 14 * s:
            edges |= {step, -step}
            step *= mp.mpf(8) / 5
        marks = sorted(edge for edge in edges if abs(edge) <= 14 * s)
        total = mp.mpf(0)
        for a, b in pairwise(marks):
            half, middle = (b - a) / 2, (a + b) / 2
            for node, w in NODES:
                x = middle + half * node
                f = act.formula.mpmath(x, derivative=of_derivative) ** power
                total += half * w * f * weight(x / s) * mp.npdf(x / s)
        return total / s


def first(z):
    return (z * z - 1) / 2


def second(z):
    return (z**4 - 6 * z**2 + 3) / 4


@pytest.mark.parametrize("name", ["tanh", "elu(1.0)", "hardtanh", "gelu", "softplus", "mish"])
def test_slopes_of_all_maps_by_the_heat_equation(name):
    act = Activation.parse(name)
    makes = {variance_map: (2, False), gradient_map: (2, True), mean_map: (1, False)}
    for make, (power, of_derivative) in makes.items():
        if make is mean_map and act.parity == "odd":
            assert make(act).slope(1.0) == 0.0
            continue
        for k in (1e-8, 0.03, 40.0):
            exact = heat(act, power, of_derivative, k, first) / mp.mpf(k)
            scale = max(abs(exact), abs(make(act)(k) / mp.mpf(k)) * mp.mpf(1e-2))
            assert abs(make(act).slope(k) - exact) <= 1e-11 * scale


@pytest.mark.parametrize("name", [name for name in CURVED if name not in ("sin", "cos")])
def test_the_slope_of_the_variance_map_by_the_heat_equation(name):
    act = Activation.parse(name)
    for k in (1e-8, 1.0, 1e5):
        exact = heat(act, 2, False, k, first) / mp.mpf(k)
        assert abs(variance_map(act).slope(k) - exact) <= 1e-11 * abs(exact)


@pytest.mark.parametrize("name", ["tanh", "selu", "hardswish", "gelu", "softplus", "silu"])
def test_the_curvature_of_the_variance_map_by_the_heat_equation(name):
    act = Activation.parse(name)
    for k in (1e-8, 0.03, 1.0, 1e5):
        exact = heat(act, 2, False, k, second) / mp.mpf(k) ** 2
        found = variance_map(act).curvature(k)
        scale = max(abs(exact), abs(variance_map(act)(k) / mp.mpf(k) ** 2) * mp.mpf(1e-3))
        assert abs(found - exact) <= 1e-11 * scale


def test_closed_slopes():
    with mp.workdps(40):
        for k in WIDE:
            q = mp.mpf(k)
            known = {
                "sin": (mp.exp(-2 * q), -2 * mp.exp(-2 * q)),
                "cos": (-mp.exp(-2 * q), 2 * mp.exp(-2 * q)),
                "gaussian": (
                    -2 * (1 + 4 * q) ** mp.mpf(-1.5),
                    12 * (1 + 4 * q) ** mp.mpf(-2.5),
                ),
                "erf": (
                    4 / mp.pi / ((1 + 2 * q) * mp.sqrt(1 + 4 * q)),
                    -4 / mp.pi * (4 + 12 * q) / ((1 + 2 * q) ** 2 * (1 + 4 * q) ** mp.mpf(1.5)),
                ),
            }
            for name, (slope, bend) in known.items():
                q_map = variance_map(name)
                assert abs(q_map.slope(k) - slope) <= 1e-11 * abs(slope) + mp.mpf(1e-300)
                assert abs(q_map.curvature(k) - bend) <= 1e-10 * abs(bend) + mp.mpf(1e-300)


def test_slopes_of_homogeneous_activations_are_exact():
    ks = np.array([1e-300, 2.0, 1e300])
    assert variance_map("relu").slope(ks).tolist() == [0.5] * 3
    assert variance_map("relu").curvature(ks).tolist() == [0.0] * 3
    assert fourth_moment("relu").slope(2.0) == 6.0
    assert gradient_map("squared_relu").slope(2.0) == 2.0
    assert mean_map("abs").slope(4.0) == pytest.approx(mean_map("abs")(4.0) / 8, rel=1e-15)
    assert variance_map("relu").log_slope([-2000.0, 2000.0]).tolist() == [1.0, 1.0]


def test_an_activation_that_jumps_has_a_slope():
    # E [x > 1] = Phi(-1/sqrt(K)), whose slope is n(1/sqrt(K)) / (2 K^(3/2)).
    with mp.workdps(30):
        for k in (0.3, 1.0, 50.0):
            exact = mp.npdf(1 / mp.sqrt(mp.mpf(k))) / (2 * mp.mpf(k) ** mp.mpf(1.5))
            assert abs(variance_map("1 if x > 1 else 0").slope(k) - exact) <= 1e-11 * exact


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_log_slopes_are_slopes_of_logs(act):
    u = np.random.default_rng(3).uniform(-18, 18, 12)
    step = 1e-3
    for make in (variance_map, gradient_map):
        if make is gradient_map and str(act) == "cos":
            continue  # oscillates about what differences resolve
        f = make(act)
        # Fourth-order differences of the logarithm: good to 1e-10, an independent way.
        across = 8 * (f.log(u + step) - f.log(u - step)) - (
            f.log(u + 2 * step) - f.log(u - 2 * step)
        )
        assert np.abs(f.log_slope(u) - across / (12 * step)).max() < 2e-9
        assert f.log_slope(float(u[0])) == pytest.approx(f.log_slope(u)[0], abs=1e-14)
        direct = f.slope(np.exp(u)) * np.exp(u) / f(np.exp(u))
        assert np.abs(f.log_slope(u) - direct).max() < 1e-11 * np.abs(direct).max()


def test_log_slopes_far_out():
    assert variance_map("tanh").log_slope([-2000.0, 2000.0]).tolist() == [1.0, 0.0]
    assert gradient_map("tanh").log_slope([-2000.0, 2000.0]).tolist() == [0.0, -0.5]
    assert variance_map("gelu").log_slope(2000.0) == 1.0


def test_curvatures_without_integration_by_parts():
    # A jump, and the square of a slope: both integrate the function itself.
    with mp.workdps(30):
        for k in (0.3, 1.0, 50.0):
            q = mp.mpf(k)
            jump = mp.diff(lambda v: mp.ncdf(-1 / mp.sqrt(v)), q, 2)
            assert abs(variance_map("1 if x > 1 else 0").curvature(k) - jump) <= 1e-10 * abs(jump)
            found = moment(Activation.parse("gaussian"), "gradient curvature", k).value
            bend = q**2 * mp.diff(lambda v: 4 * v * (1 + 4 * v) ** mp.mpf(-1.5), q, 2)
            assert abs(found - bend) <= 1e-10 * abs(bend)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_series_alone_at_both_ends(order):
    # Elsewhere they only win over the quadrature; a wrong one would just be slow.
    q = QUANTITIES["variance" + ("", " slope", " curvature")[order]]
    ends = ((small_variance, (1e-8, 1e-4, 1e-2)), (large_variance, (30.0, 1e4, 1e8)))
    for series, ks in ends:
        found = series(Activation.parse("gaussian"), q, np.array(ks))
        with mp.workdps(30):
            for k, value, bound in zip(ks, found.value, found.bound, strict=True):
                exact = k**order * mp.diff(lambda v: (1 + 4 * v) ** mp.mpf(-0.5), mp.mpf(k), order)
                assert abs(value - exact) <= bound <= 1e-8 * abs(exact)
    with mp.workdps(30):
        k = mp.mpf(1000)
        # GELU: Q = K/4 + K asin(K/(1+K))/(2 pi) + K^2/(pi (1+K) sqrt(1+2K)).
        gelu = mp.diff(
            lambda v: (
                v / 4
                + v * mp.asin(v / (1 + v)) / (2 * mp.pi)
                + v**2 / (mp.pi * (1 + v) * mp.sqrt(1 + 2 * v))
            ),
            k,
            order,
        )
        found = large_variance(Activation.parse("gelu"), q, np.array([1000.0]))
        assert (
            abs(found.value[0] - k**order * gelu) <= found.bound[0] <= 1e-10 * abs(gelu * k**order)
        )


def test_the_expansion_at_large_variance_is_silent_where_it_does_not_serve():
    found = large_variance(Activation.parse("tanh"), QUANTITIES["variance"], np.array([1e-60]))
    assert np.isinf(found.bound).all()


def test_many_slopes_at_once_are_the_single_ones():
    ks = np.geomspace(1e-8, 1e8, 3000)
    for name in ("tanh", "elu", "silu"):
        for method in ("slope", "curvature"):
            many = getattr(variance_map(name), method)(ks)
            single = np.array([getattr(variance_map(name), method)(k) for k in ks[::150]])
            floor = (
                1e-12
                * np.abs(variance_map(name)(ks[::150]))
                / ks[::150] ** (1 if method == "slope" else 2)
            )
            assert (np.abs(many[::150] - single) <= 1e-11 * np.abs(single) + floor).all()


def test_moments_by_name():
    act = Activation.parse("tanh")
    found = moment(act, "variance slope", 2.0)
    assert found.value == pytest.approx(2.0 * variance_map(act).slope(2.0), rel=1e-14)
    assert 0 < found.relative_bound < 1e-11


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_bad_variances(bad):
    for f in (variance_map("tanh").slope, variance_map("tanh").curvature):
        with pytest.raises(ValueError, match="finite and > 0"):
            f(bad)
    with pytest.raises(ValueError, match="log_k must be finite"):
        variance_map("tanh").log_slope(bad * np.inf)


def test_a_series_that_misses_a_step_is_not_believed():
    # The step at 1/2 leaves no trace in the first 28 Taylor coefficients at 0.
    act = Activation.parse("x**2 + sigmoid(480*(x - 0.5))")
    k = 0.01
    series = small_variance(act, QUANTITIES["mean curvature"], np.array([k]))
    found = moment(act, "mean curvature", k)
    with mp.workdps(30):
        s = mp.sqrt(mp.mpf(k))
        step = lambda z: 1 / (1 + mp.exp(-480 * (s * z - mp.mpf(1) / 2)))  # noqa: E731
        edges = [-12, 0, 4, 4.5, *(5 + mp.mpf(j) / 20 for j in range(-6, 7)), 5.5, 6, 8, 12]
        # x^2 has no curvature in K.
        exact = mp.quad(lambda z: step(z) * second(z) * mp.npdf(z), edges)
    assert abs(found.value - exact) <= found.bound <= 1e-9 * abs(exact)
    assert abs(series.value[0] - exact) > 1e3 * series.bound[0]
