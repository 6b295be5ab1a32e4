"""The maps in logarithms, at any variance, and the scatter of a layer."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.theory import (
    fourth_moment,
    gradient_map,
    log_relative_variance,
    moment,
    relative_variance,
    variance_map,
)

SMOOTH_OR_KINKED = [act for act in activations() if str(act) not in ("sign", "heaviside")]
NAMES = [str(act) for act in activations()]


# --- logarithms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_log_agrees_with_the_map(name):
    act = Activation.parse(name)
    u = np.random.default_rng(11).uniform(-18.4, 18.4, 60)
    for make in (variance_map, fourth_moment, gradient_map):
        if make is gradient_map and name in ("sign", "heaviside"):
            continue
        direct = moment(act, make(act).quantity, np.exp(u))
        assert np.abs(make(act).log(u) - np.log(direct.value)).max() < 2e-12
        assert make(act).log(float(u[0])) == make(act).log(u)[0]


# ln Q at ln K = -2000 and 2000: (coefficient, power) of the leading term.
FAR = {
    "linear": ((1, 1), (1, 1)),
    "relu": ((0.5, 1), (0.5, 1)),
    "squared_relu": ((1.5, 2), (1.5, 2)),
    "elu(1.0)": ((1, 1), (0.5, 1)),
    "selu": (
        (0.5 * (1.7580993408473768**2 + 1.0507009873554805**2), 1),
        (0.5 * 1.0507009873554805**2, 1),
    ),
    "relu6": ((0.5, 1), (18, 0)),
    "hardtanh": ((1, 1), (1, 0)),
    "hardsigmoid": ((0.25, 0), (0.5, 0)),
    "hardswish": ((0.25, 1), (0.5, 1)),
    "tanh": ((1, 1), (1, 0)),
    "sigmoid": ((0.25, 0), (0.5, 0)),
    "softplus": ((math.log(2) ** 2, 0), (0.5, 1)),
    "softsign": ((1, 1), (1, 0)),
    "arctan": ((1, 1), (math.pi**2 / 4, 0)),
    "erf": ((4 / math.pi, 1), (1, 0)),
    "probit": ((0.25, 0), (0.5, 0)),
    "sin": ((1, 1), (0.5, 0)),
    "cos": ((1, 0), (0.5, 0)),
    "gaussian": ((1, 0), (0.5, -0.5)),
    "sign": ((1, 0), (1, 0)),
    "heaviside": ((0.5, 0), (0.5, 0)),
    "gelu": ((0.25, 1), (0.5, 1)),
    "gelu_tanh": ((0.25, 1), (0.5, 1)),
    "silu": ((0.25, 1), (0.5, 1)),
    "mish": ((0.36, 1), (0.5, 1)),
    "x**3": ((15, 3), (15, 3)),
    "x + sin(x)": ((4, 1), (1, 1)),
}


@pytest.mark.parametrize("name", FAR)
def test_log_far_out(name):
    for u, (coefficient, power) in zip((-2000.0, 2000.0), FAR[name], strict=True):
        tolerance = 2e-6 if name == "x + sin(x)" else 1e-9
        expected = math.log(coefficient) + power * u
        assert variance_map(name).log(u) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "below"),
    [("tanh", 3), ("relu6", 1.5), ("elu(2.0)", 1.5 * 17), ("gelu", 3 / 16), ("mish", 3 * 0.6**4)],
)
def test_log_of_the_fourth_moment_far_below(name, below):
    assert fourth_moment(name).log(-2000.0) == pytest.approx(math.log(below) - 4000, abs=1e-9)
    # The law must meet the quadrature where it takes over.
    near, at = fourth_moment(name).log(np.array([-82.8, -83.0]))
    assert near - at == pytest.approx(0.4, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_logs_are_continuous_where_the_laws_take_over(name):
    for make in (variance_map, fourth_moment):
        for end in (-36 * math.log(10), 36 * math.log(10)):
            u = end + np.array([-0.02, -0.01, 0.01, 0.02])
            steps = np.diff(make(name).log(u))
            assert steps[1] == pytest.approx(2 * steps[0], abs=1e-9)
            assert steps[1] == pytest.approx(2 * steps[2], abs=1e-9)


def test_values_beyond_the_computed_range():
    assert variance_map("tanh")([1e-300, 1e300]) == pytest.approx([1e-300, 1.0], rel=1e-12)
    assert variance_map("sin")([1e9, 1e300]) == pytest.approx([0.5, 0.5], rel=1e-11)
    assert gradient_map("tanh")([1e300]) == pytest.approx(
        [4 / 3 / math.sqrt(2 * math.pi * 1e300)], rel=1e-12
    )


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softsign", "gelu", "cos"])
def test_a_hundred_thousand_logs(name):
    u = np.random.default_rng(5).uniform(-2000, 2000, 100_000)
    u[::2] /= 25
    for f in (variance_map(name).log, lambda v: log_relative_variance(name, v)):
        logs = f(u)
        assert np.isfinite(logs).all()
        some = slice(None, None, 5000)
        assert np.array_equal([f(v) for v in u[some]], logs[some])


# --- scatter ------------------------------------------------------------------------------------


def plain_scatter(name, k):
    """(E phi^4 - Q^2) / Q^2 at 60 digits, where nothing is lost; closed forms only."""
    q = mp.mpf(k)
    if name == "sin":
        e2, e8 = mp.exp(-2 * q), mp.exp(-8 * q)
        return (3 - 4 * e2 + e8) / 8 / ((1 - e2) / 2) ** 2 - 1
    if name == "cos":
        e2, e8 = mp.exp(-2 * q), mp.exp(-8 * q)
        return (3 + 4 * e2 + e8) / 8 / ((1 + e2) / 2) ** 2 - 1
    if name == "gaussian":
        return (1 + 4 * q) / mp.sqrt(1 + 8 * q) - 1
    s = mp.sqrt(q)  # hardtanh
    u = 1 / s
    mass, n = mp.erf(u / mp.sqrt(2)), mp.npdf(u)
    outside = mp.erfc(u / mp.sqrt(2))
    second = q * (mass - 2 * u * n) + outside
    fourth = q**2 * (3 * mass - 2 * n * (u**3 + 3 * u)) + outside
    return fourth / second**2 - 1


@pytest.mark.parametrize("name", ["sin", "cos", "gaussian", "hardtanh"])
def test_relative_variance_against_closed_forms(name):
    u = np.random.default_rng(13).uniform(-100, 80, 150)
    if name in ("sin", "cos"):
        u = np.minimum(u, 60)
    with mp.workdps(200):
        exact = np.array([float(mp.log(plain_scatter(name, mp.exp(mp.mpf(v))))) for v in u])
    found = log_relative_variance(name, u)
    assert np.abs(found - exact).max() < 1e-9
    assert relative_variance(name, u[:5]) == pytest.approx(np.exp(exact[:5]), rel=1e-9)


def test_relative_variance_of_a_sigmoid_at_every_size():
    # sigmoid = 1/2 + tanh(x/2)/2, so phi^2 = (1 + 2 t + t^2)/4 with an odd t.
    us = np.array([-700.0, -90.0, -40.0, -26.0, -20.0, -12.0, -5.0, -0.1, 0.1, 3.0, 30.0])
    for u in us:
        with mp.workdps(40):
            k = mp.exp(mp.mpf(u))
            s = mp.sqrt(k)
            marks = (mp.mpf(j) / s for j in (1, 3, 10, 30))
            edges = sorted([0, 6, 13, *(e for e in marks if e < 13)])

            def mean(power, s=s, edges=edges):
                # Divided by s, because mpmath's accuracy is absolute.
                f = lambda z: (mp.tanh(s * z / 2) / s) ** power * mp.npdf(z)  # noqa: E731
                return 2 * mp.quad(f, edges) * s**power

            t2, t4 = mean(2), mean(4)
            exact = (4 * t2 + t4 - t2**2) / (1 + t2) ** 2
            found = log_relative_variance("sigmoid", float(u))
            assert found == pytest.approx(float(mp.log(exact)), abs=1e-9)


def test_relative_variance_of_homogeneous_activations():
    u = np.array([-2000.0, 0.0, 2000.0])
    for name, value in {"linear": 2, "relu": 5, "abs": 2, "squared_relu": 67 / 3}.items():
        assert relative_variance(name, u) == pytest.approx(np.full(3, value), rel=1e-14)
    assert relative_variance("heaviside", 0.0) == pytest.approx(1.0, rel=1e-14)
    assert relative_variance("sign", u).tolist() == [0.0, 0.0, 0.0]
    assert log_relative_variance("sign", 0.0) == -math.inf
    assert relative_variance("1 if x > 0 else -1", 3.0) == 0.0


def test_relative_variance_beyond_float64():
    assert log_relative_variance("gaussian", 3000.0) == pytest.approx(1500.0, abs=1.0)
    with pytest.raises(OverflowError, match="log_relative_variance"):
        relative_variance("gaussian", 3000.0)
    assert relative_variance("sigmoid", -2000.0) == 0.0


@pytest.mark.parametrize("act", SMOOTH_OR_KINKED, ids=str)
def test_relative_variance_is_the_plain_difference_where_that_is_safe(act):
    u = np.random.default_rng(17).uniform(-2, 8, 40)
    q, fourth = variance_map(act).log(u), fourth_moment(act).log(u)
    plain = np.expm1(fourth - 2 * q)
    assert relative_variance(act, u) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("act", ["tanh(1e20*x)", "x/(1+exp(-1e20*x))", "x+1e25*x**2/(1+x**2)"])
def test_a_bend_closer_to_0_than_the_table_is_told(act):
    with pytest.raises(ValueError, match="has not come to its limit at 0"):
        variance_map(act).log(-100.0)


@pytest.mark.parametrize("act", ["tanh(1e-24*x)", "x + 1e-40*x**2", "arctan(1e-25*x)"])
def test_a_law_that_changes_further_out_than_the_table_is_told(act):
    for make in (variance_map, fourth_moment):
        with pytest.raises(ValueError, match="changes its law further out"):
            make(act).log(200.0)
    with pytest.raises(ValueError, match="changes its law further out"):
        gradient_map("tanh(1e-25*x)").log(200.0)
