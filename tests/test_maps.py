"""The maps: derived expressions, published values, logarithms anywhere, scatter of a layer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy

from varprop.activation import Activation, activations
from varprop.theory import (
    NotClosed,
    fourth_moment,
    gaussian_expectation,
    gradient_map,
    log_relative_variance,
    mean_map,
    moment,
    relative_variance,
    variance_map,
)
from varprop.theory.gaussian import RULES, K, derivative, pieces, x

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
SMOOTH_OR_KINKED = [act for act in activations() if str(act) not in ("sign", "heaviside")]
NAMES = [str(act) for act in activations()]


# --- derived expressions ------------------------------------------------------------------------

ROOT = sympy.sqrt(K / (2 * sympy.pi))
HALF = sympy.Rational(1, 2)
DERIVED = {  # Q, V, mean, E phi^4, as the literature has them
    "linear": (K, 1, 0, 3 * K**2),
    "relu": (K / 2, HALF, ROOT, 3 * K**2 / 2),
    "leaky_relu(0.2)": (13 * K / 25, 13 * HALF / 12.5, 4 * ROOT / 5, 939 * K**2 / 625),
    "abs": (K, 1, 2 * ROOT, 3 * K**2),
    "squared_relu": (3 * K**2 / 2, 2 * K, K / 2, 105 * K**4 / 2),
    "sign": (1, None, 0, 1),
    "heaviside": (HALF, None, HALF, HALF),
    "sin": ((1 - sympy.exp(-2 * K)) / 2, (1 + sympy.exp(-2 * K)) / 2, 0, None),
    "cos": ((1 + sympy.exp(-2 * K)) / 2, (1 - sympy.exp(-2 * K)) / 2, sympy.exp(-K / 2), None),
}


@pytest.mark.parametrize("name", DERIVED)
def test_expressions_are_derived(name):
    maps = (variance_map, gradient_map, mean_map, fourth_moment)
    for make, known in zip(maps, DERIVED[name], strict=True):
        if known is not None:
            assert sympy.simplify(make(name).expr - sympy.nsimplify(known)) == 0


def test_hard_families_come_for_free():
    q = variance_map("hardtanh").expr
    v = gradient_map("relu6").expr
    for k in (0.3, 5.0):
        assert float(q.subs(K, k)) == pytest.approx(variance_map("hardtanh")(k), rel=1e-13)
        assert float(v.subs(K, k)) == pytest.approx(gradient_map("relu6")(k), rel=1e-13)


def test_a_general_slope_is_derived():
    a = sympy.Symbol("a", real=True)
    leaky = sympy.Max(x, 0) + a * sympy.Min(x, 0)
    assert sympy.simplify(gaussian_expectation(leaky**2) - (1 + a**2) * K / 2) == 0
    slopes = [(lo, hi, e**2) for lo, hi, e in derivative(leaky)]
    assert sympy.simplify(gaussian_expectation(slopes) - (1 + a**2) / 2) == 0
    assert sympy.simplify(gaussian_expectation(leaky) - (1 - a) * ROOT) == 0


def test_rules_against_mpmath_at_30_digits():
    rng = np.random.default_rng(3)
    for _ in range(4):
        c, d, k = (sympy.Rational(int(n), 100) for n in rng.integers(10, 300, 3))
        expr = sympy.Min(sympy.Max(c * x**2 - d, x), 3) * x + sympy.Abs(x - c) ** 3
        with mp.workdps(40):
            value = mp.mpf(sympy.N(gaussian_expectation(expr).subs(K, k), 40))
            f = sympy.lambdify(x, expr, "mpmath")
            s = mp.sqrt(mp.mpf(k.p) / k.q)
            cuts = sorted({mp.mpf(sympy.N(lo, 50)) for lo, _, _ in pieces(expr) if lo.is_finite})
            edges = [-15 * s, *(at for at in cuts if abs(at) < 15 * s), 15 * s]
            true = mp.quad(lambda at, f=f, s=s: f(at) * mp.npdf(at / s) / s, edges)
            assert abs(value - true) < mp.mpf(10) ** -30 * abs(true)


def test_rules_say_their_identity_and_say_no():
    assert all("=" in rule.identity for rule in RULES)
    for name in ("tanh", "gelu", "elu", "softplus"):
        with pytest.raises(NotClosed, match="call the map"):
            variance_map(name).expr  # noqa: B018
    with pytest.raises(NotClosed, match="only polynomials"):
        list(pieces(sympy.Max(sympy.exp(x) - 2, 0)))
    with pytest.raises(ValueError, match="no formula"):
        variance_map((np.tanh, lambda at: 1 / np.cosh(at) ** 2)).expr  # noqa: B018


# --- published values ---------------------------------------------------------------------------


def published(name):
    row = PUBLISHED[name]
    return row["value"], row["tol"]


def test_published_gelu():
    value, tol = published("Q_gelu_1")
    assert variance_map("gelu")(1.0) == pytest.approx(value, rel=tol)


def test_published_elu():
    value, tol = published("ELU_maps_1")
    found = [make("elu")(1.0) for make in (variance_map, gradient_map, mean_map)]
    assert found == pytest.approx(value, rel=tol)


def test_published_arctan():
    value, tol = published("arctan_V")
    assert gradient_map("arctan")([0.5, 1.0, 2.0]) == pytest.approx(value, rel=tol)


def test_published_quadrature_table():
    table, tol = published("ref_quadrature_table")
    for name, rows in table.items():
        for k, row in rows.items():
            for key, make in (("Q", variance_map), ("V", gradient_map), ("mean", mean_map)):
                assert make(name)(float(k)) == pytest.approx(float(row[key]), rel=tol, abs=1e-15)


def test_published_identities():
    ks = 10.0 ** np.linspace(-4, 4, 17)
    tol = PUBLISHED["identity_softplus_V"]["tol"]
    difference = gradient_map("softplus")(ks) - variance_map("sigmoid")(ks)
    assert difference == pytest.approx(np.zeros(17), abs=tol)
    half, tol = published("identity_sigmoid")
    slope = moment(Activation.parse("sigmoid(x)*sigmoid(-x)"), "mean", ks).value
    assert variance_map("sigmoid")(ks) + slope == pytest.approx(np.full(17, half), rel=tol)
    quarter = (1 + variance_map("tanh")(ks / 4)) / 4
    assert variance_map("sigmoid")(ks) == pytest.approx(quarter, rel=tol)


NFNET = {
    "gelu": "gelu_tanh",  # jax.nn.gelu is the tanh form unless told otherwise
    "log_sigmoid": "-softplus(-x)",
    "leaky_relu_0p01": "leaky_relu(0.01)",
    "soft_sign": "softsign",
}


@pytest.mark.parametrize("name", PUBLISHED["nfnet_gammas"]["value"])
def test_published_nfnet_gains(name):
    row = PUBLISHED["nfnet_gammas"]
    act = NFNET.get(name, name)
    gain = (variance_map(act)(1.0) - mean_map(act)(1.0) ** 2) ** -0.5
    assert gain == pytest.approx(row["value"][name], rel=row["tol"])
    assert gain == pytest.approx(row["exact"][name], rel=5e-7)  # given to 7 digits


def test_nfnet_gains_in_closed_form():
    """Where the 7 digits of the row are not all right, the closed form decides."""
    gelu = variance_map("gelu")(1.0) - mean_map("gelu")(1.0) ** 2
    known = 1 / 4 + 1 / 12 + 1 / (2 * math.pi * math.sqrt(3)) - 1 / (4 * math.pi)
    assert gelu == pytest.approx(known, rel=1e-14)
    leaky = variance_map("leaky_relu")(1.0) - mean_map("leaky_relu")(1.0) ** 2
    assert leaky == pytest.approx((1 + 1e-4) / 2 - 0.99**2 / (2 * math.pi), rel=1e-14)


def test_published_selu_constants():
    (alpha, scale), tol = published("selu_constants")
    formula = f"x if x > 0 else {alpha!r}*expm1(x)"
    assert mean_map(formula)(1.0) == pytest.approx(0.0, abs=1e-15)
    assert variance_map(formula)(1.0) ** -0.5 == pytest.approx(scale, rel=tol)
    assert variance_map("selu")(1.0) == pytest.approx(1.0, rel=1e-15)


def test_published_gelu_half_stable_point():
    (k, bias, weight), tol = published("gelu_half_stable")
    q, v = variance_map("gelu")(k), gradient_map("gelu")(k)
    assert 1 / v == pytest.approx(weight, rel=tol)
    assert k - q / v == pytest.approx(bias, rel=tol)


def test_published_critical_slopes():
    value, tol = published("critical_slopes")
    found = [1 / gradient_map(name)(0.0) for name in ("tanh", "sin", "erf", "silu", "gelu")]
    assert found == pytest.approx(value, rel=tol)


# --- values at zero, shapes, errors -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_zero_is_the_limit(name):
    makes = [variance_map, mean_map, fourth_moment]
    if name not in ("sign", "heaviside"):
        makes.append(gradient_map)
    for make in makes:
        at_zero = make(name)(0.0)
        if name not in ("sign", "heaviside"):
            assert at_zero == pytest.approx(make(name)(1e-20), rel=1e-9, abs=1e-9)
        assert np.array_equal(make(name)([0.0, 1.0]), [at_zero, make(name)(1.0)])


def test_types_and_shapes():
    assert isinstance(variance_map("tanh")(2), float)
    assert variance_map("tanh")([[1.0, 2.0]]).shape == (1, 2)
    assert isinstance(variance_map("tanh").log(2), float)
    assert variance_map("tanh").log([[1.0, 2.0]]).shape == (1, 2)
    assert variance_map("tanh")([]).shape == (0,)
    assert variance_map("tanh") is variance_map("tanh")
    assert repr(gradient_map("elu(2)")) == "GradientMap('elu(2.0)')"


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_variances(bad):
    with pytest.raises(ValueError, match="finite and >= 0"):
        variance_map("tanh")(bad)


def test_bad_logs():
    for f in (variance_map("tanh").log, lambda u: relative_variance("tanh", u)):
        for bad in (np.nan, np.inf, [0.0, -np.inf]):
            with pytest.raises(ValueError, match="log_k must be finite"):
                f(bad)


def test_singular_gradients_say_so():
    for act in ("sign", "heaviside", "1 if x > 2 else 0", "x if x > 0 else x - 1"):
        with pytest.raises(ValueError, match="singular: it jumps at x ="):
            gradient_map(act)


def test_divergence_and_unknown_growth_say_so():
    assert variance_map("exp(x)")(2.0) == pytest.approx(math.exp(4.0), rel=1e-12)
    with pytest.raises(ValueError, match="diverges or overflows"):
        variance_map("exp(x)")(1e4)
    with pytest.raises(ValueError, match="no power of K above"):
        variance_map("log1p(abs(x))").log(200.0)
    with pytest.raises(OverflowError, match=r"use \.log"):
        variance_map("gelu_tanh")([1e300]) * variance_map("x**3")([1e200])


def test_callables_and_formulas_agree_with_the_table():
    ks = 10.0 ** np.arange(-8, 9)
    by_name = Activation.parse("tanh")
    others = (Activation.parse("tanh(x)"), Activation.from_callable(np.tanh, by_name.derivative))
    for make in (variance_map, gradient_map, fourth_moment):
        for other in others:
            assert make(other)(ks) == pytest.approx(make("tanh")(ks), rel=1e-13)
            u = np.array([-500.0, -3.0, 2.0, 500.0])
            assert make(other).log(u) == pytest.approx(make("tanh").log(u), abs=1e-8)


def test_steep_and_kinked_formulas():
    assert gradient_map("tanh(1000*x)")(1.0) == pytest.approx(
        1e6 * gradient_map("tanh")(1e6), rel=1e-12
    )
    assert variance_map("max(x, 0.5)")(1.0) == pytest.approx(
        float(variance_map("max(x, 0.5)").expr.subs(K, 1)), rel=1e-13
    )


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
