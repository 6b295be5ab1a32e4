"""Expansions of the maps: published coefficients, honest status, honest bounds; the identities."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy
from sympy import Rational as R
from sympy import log, pi, sqrt

from varprop.activation import Activation, activations
from varprop.theory import fourth_moment, gradient_map, mean_map, moment, variance_map
from varprop.theory.expansions.taylor import NUMERIC, NotAnalytic, taylor
from varprop.theory.gaussian import K, x
from varprop.theory.identities import IDENTITIES, Identity, mean_sech_squared

MAKES = {"Q": variance_map, "V": gradient_map, "m": mean_map, "M4": fourth_moment}
SMALL = {  # as the literature and independent derivations have them
    ("tanh", "Q", 4): K - 2 * K**2 + R(17, 3) * K**3 - R(62, 3) * K**4,
    ("tanh", "V", 4): 1 - 2 * K + 7 * K**2 - R(94, 3) * K**3 + R(502, 3) * K**4,
    ("sigmoid", "Q", 4): R(1, 4) + K / 16 - K**2 / 32 + 17 * K**3 / 768 - 31 * K**4 / 1536,
    ("sigmoid", "V", 3): R(1, 16) - K / 32 + 7 * K**2 / 256 - 47 * K**3 / 1536,
    ("silu", "Q", 4): K / 4 + 3 * K**2 / 16 - 5 * K**3 / 32 + 119 * K**4 / 768,
    ("silu", "V", 3): R(1, 4) + K / 4 - K**2 / 4 + 7 * K**3 / 24,
    ("silu", "m", 3): K / 4 - K**2 / 16 + K**3 / 32,
    ("softplus", "m", 3): log(2) + K / 8 - K**2 / 64 + K**3 / 192,
    ("softplus", "Q", 2): log(2) ** 2 + K * (1 + log(2)) / 4 + K**2 * (R(3, 64) - log(2) / 32),
    ("arctan", "Q", 4): K - 2 * K**2 + R(23, 3) * K**3 - 44 * K**4,
    ("elu", "Q", 2): K - sqrt(2 / pi) * K ** R(3, 2) + R(7, 8) * K**2,
    ("hardtanh", "Q", 4): K,
    ("relu", "m", 4): sqrt(K / (2 * pi)),
    ("gaussian", "V", 2): 4 * K - 24 * K**2,
}


@pytest.mark.parametrize(("name", "which", "order"), SMALL)
def test_small_coefficients(name, which, order):
    found = MAKES[which](name).series(order).expr
    assert sympy.expand(found - SMALL[name, which, order]) == 0


def test_mish_starts_as_it_should():
    # phi = 3x/5 + 8x^2/25 - 2x^3/125 + ...
    assert taylor(Activation.parse("mish").sympy(), 4) == [0, R(3, 5), R(8, 25), R(-2, 125)]


def test_large_coefficients():
    tanh = 1 - sqrt(2 / (pi * K)) * (1 - pi**2 / (24 * K) + 7 * pi**4 / (1920 * K**2))
    assert sympy.simplify(variance_map("tanh").large(2).expr - tanh) == 0
    slope = (R(4, 3) - (pi**2 / 9 - R(2, 3)) / (2 * K)) / sqrt(2 * pi * K)
    assert sympy.simplify(gradient_map("tanh").large(1).expr - slope) == 0
    bell = sympy.expand(variance_map("gaussian").large(2).expr * 2 * sqrt(K))
    assert sympy.expand(bell - (1 - 1 / (8 * K) + 3 / (128 * K**2))) == 0
    # int (softplus^2 - relu^2) dx = 2 zeta(3), a Float here.
    (_, first), *_ = variance_map("softplus").large(0).terms
    with mp.workdps(30):
        assert abs(mp.mpf(first) - 2 * mp.zeta(3) / mp.sqrt(2 * mp.pi)) < mp.mpf(10) ** -27


def test_moments_of_a_steep_activation():
    # phi(x) = x Phi(50 x) is GELU's with K -> 2500 K, over 50; its bend is narrow.
    plain = variance_map("gelu").large(1).terms
    steep = variance_map("x*Phi(50*x)").large(1).terms
    for (p, c), (_, d) in zip(plain, steep, strict=True):
        assert abs(d - c * 2500**p / 2500) <= sympy.Float("1e-27", 30) * abs(d)


STATUS = {  # name: (at 0, radius; at infinity, radius) of the variance map
    "relu": ("exact", None, "exact", None),
    "sign": ("exact", None, "exact", None),
    "x**3 + x": ("exact", None, "exact", None),
    "sin": ("convergent", math.inf, "none", None),
    "elu": ("convergent", math.inf, "asymptotic", None),
    "gaussian": ("convergent", 0.25, "convergent", 0.25),
    "erf": ("convergent", 0.25, "convergent", 0.5),
    "gelu": ("convergent", 0.5, "convergent", 1.0),
    "hardtanh": ("asymptotic", None, "convergent", 0.0),
    "tanh": ("asymptotic", None, "asymptotic", None),
    "arctan": ("asymptotic", None, "none", None),
    "exp(x)": ("convergent", math.inf, "none", None),
}


@pytest.mark.parametrize("name", STATUS)
def test_status(name):
    small, large = variance_map(name).series(4), variance_map(name).large(3)
    found = (small.status, small.radius, large.status, large.radius)
    assert found == STATUS[name]
    assert small.because
    assert large.because


def test_the_radius_is_that_of_the_closed_form():
    for name, singular in {"erf": -R(1, 4), "gaussian": -R(1, 4), "gelu": -R(1, 2)}.items():
        assert variance_map(name).series(2).radius == -float(singular)
        near = [complex(variance_map(name).expr.subs(K, singular * (1 - s))) for s in (1e-6, 1e-8)]
        slope = abs(near[0] - near[1]) / 1e-6  # the derivative blows up there
        assert slope > 100


@pytest.mark.parametrize("act", activations(), ids=str)
def test_expansions_hold_their_bounds(act):
    ks = np.geomspace(1e-6, 1e5, 23)
    for make in MAKES.values():
        if make is gradient_map and str(act) in ("sign", "heaviside"):
            continue
        exact = make(act)
        for expansion in (exact.series(8), exact.large(5)):
            if expansion.status == "none":
                assert expansion.expr is None
                assert "none, because" in str(expansion)
                with pytest.raises(ValueError, match="there is no expansion"):
                    expansion.evaluate(1.0)
                continue
            found = expansion.evaluate(ks)
            error = np.abs(found.value - exact(ks))
            assert (error <= found.bound + exact.bound(ks)).all()
        small = exact.series(8).evaluate(1e-6)
        assert small.bound <= 1e-12 * abs(small.value) + 1e-300


def test_kinks_away_from_0_are_in_the_bound():
    expansion = variance_map("hardtanh").series(4)
    assert "exp(-1/(2K))" in expansion.because
    for k in (0.02, 0.1, 1.0):
        found = expansion.evaluate(k)
        error = abs(found.value - variance_map("hardtanh")(k))
        assert error <= found.bound
        assert error > 1e-25


def test_no_expansion_says_why():
    callable_ = Activation.from_callable(np.tanh, lambda at: 1 / np.cosh(at) ** 2)
    assert variance_map(callable_).series(3).status == "none"
    assert "callable" in variance_map(callable_).large(3).because
    root = gradient_map("sqrt(1 + x) if x > 0 else 1 + x/2")  # phi'^2 is 1/(4 + 4x) and 1/4
    assert root.series(2).status == "asymptotic"
    assert "branch point" in variance_map("x + sqrt(abs(x))").series(2).because
    assert variance_map("x/(1 + abs(x))").large(2).status == "none"
    assert "power of x" in variance_map("softsign").large(2).because
    assert "oscillates" in variance_map("sin").large(2).because


def test_what_is_even_decides():
    assert mean_map("sigmoid").series(5).expr == R(1, 2)
    assert mean_map("sigmoid").large(5).status == "exact"
    assert mean_map("tanh(x) + x**2").series(4).expr == K


@pytest.mark.parametrize("bad", [-1, 21, 2.0, True, "4"])
def test_bad_orders(bad):
    for f in (variance_map("tanh").series, variance_map("tanh").large):
        with pytest.raises(ValueError, match="whole number from 0 to 20"):
            f(bad)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_bad_variances(bad):
    with pytest.raises(ValueError, match="finite and > 0"):
        variance_map("tanh").series(3).evaluate(bad)
    with pytest.raises(ValueError, match="finite and > 0"):
        IDENTITIES["sigmoid and tanh"].check(bad)


# --- Taylor series ------------------------------------------------------------------------------

FUNCTIONS = (
    "exp(sin(x)) + cos(2*x)",
    "log(3 + sin(x))/(1 + x**2)",
    "sqrt(1 + x + x**2)",
    "tanh(1 + x)*sinh(x)",
    "arctan(1/2 + x) + arcsinh(x)",
    "erf(1/2 + x)*erfc(x)",
    "tan(sin(x)/2) + cosh(sin(x))**3",
    "softplus(2*x - 1) + Phi(x)",
    "expm1(x)/(2 + cos(x))",
)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_taylor_coefficients_against_mpmath(text):
    act = Activation.parse(text)
    with mp.workdps(60):
        known = mp.taylor(act.formula.mpmath, 0, 9)
        with mp.workdps(40):
            numeric = taylor(act.sympy(), 10, NUMERIC)
        for found in (numeric, taylor(act.sympy(), 10)):
            for a, b in zip(found, known, strict=True):
                assert abs(mp.mpf(sympy.N(a, 40)) - b) < mp.mpf(10) ** -25 * (1 + abs(b))


def test_vanishing_quotients_and_poles():
    assert taylor((sympy.exp(x) - 1) / x, 4) == [1, R(1, 2), R(1, 6), R(1, 24)]
    assert taylor(x / (sympy.exp(x) - 1), 3) == [1, R(-1, 2), R(1, 12)]
    assert taylor(sympy.sin(x) ** 2 / (1 - sympy.cos(x)), 3) == [2, 0, R(-1, 2)]
    for expr in (1 / x, sympy.sqrt(x), sympy.exp(1 / x), sympy.log(x), sympy.gamma(1 + x)):
        with pytest.raises(NotAnalytic):
            taylor(expr, 4)


# --- identities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_hold(name):
    assert IDENTITIES[name].check(np.geomspace(0.5, 50, 9)) < 1e-13
    assert IDENTITIES[name].statement
    assert IDENTITIES[name].reason.endswith(".")


def test_a_wrong_identity_is_seen():
    true = IDENTITIES["sigmoid and tanh"]
    wrong = Identity("wrong", "", "", true.left, lambda k: true.right(k * (1 + 1e-9)))
    assert wrong.check(1.0) > 1e-12


def test_the_erfcx_series_at_every_variance():
    assert mean_sech_squared(0.0) == pytest.approx(1.0, abs=1e-13)
    for k in (1e-8, 1e-3, 0.3, 7.0, 1e8):
        with mp.workdps(30):
            s = mp.sqrt(mp.mpf(k))
            marks = (mp.mpf(j) / s for j in (1, 2, 4, 8, 20, 40))
            edges = sorted([0, 1, 3, 8, 14, *(e for e in marks if e < 14)])
            exact = 2 * mp.quad(lambda z, s=s: mp.sech(s * z) ** 2 * mp.npdf(z), edges)
        assert mean_sech_squared(k) == pytest.approx(float(exact), rel=2e-13)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="finite and >= 0"):
            mean_sech_squared(bad)


def test_the_mean_of_a_slope_is_a_moment():
    act = Activation.parse("sigmoid(x)*sigmoid(-x)")
    assert moment(act, "mean", 2.0).value == pytest.approx(mean_sech_squared(0.5) / 4, rel=1e-13)
