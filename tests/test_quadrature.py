"""The numeric oracle against mpmath: closed forms, and quadrature that shares no code with it."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from effort import LONG

from varprop.activation import Activation, activations
from varprop.theory import expectation, moment

QUANTITIES = ("variance", "gradient", "mean", "fourth")
DIGITS = 34
with mp.workdps(40):
    SELU = (mp.mpf("1.0507009873554805"), mp.mpf("1.6732632423543772"))


def normal_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def elu(x, alpha=1, scale=1):
    return scale * (x if x > 0 else alpha * mp.expm1(x))


def elu_slope(x, alpha=1, scale=1):
    return scale * (mp.mpf(1) if x > 0 else alpha * mp.exp(x))


def mish_slope(x):
    t = mp.tanh(mp.log1p(mp.exp(x)))
    return t + x * (1 - t * t) * sigmoid(x)


def gelu_tanh(x):
    return x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))


def gelu_tanh_slope(x):
    c = 2 * mp.sqrt(2 / mp.pi)
    s = sigmoid(c * (x + mp.mpf("0.044715") * x**3))
    return s + x * s * (1 - s) * c * (1 + 3 * mp.mpf("0.044715") * x**2)


def clip(x, lo, hi):
    return min(max(x, mp.mpf(lo)), mp.mpf(hi))


# phi, phi', kinks: written here by hand, not taken from the table.
BY_HAND = {
    "elu(1.0)": (elu, elu_slope, (0,)),
    "selu": (lambda x: elu(x, SELU[1], SELU[0]), lambda x: elu_slope(x, SELU[1], SELU[0]), (0,)),
    "celu(1.0)": (elu, elu_slope, (0,)),
    "relu6": (lambda x: clip(x, 0, 6), lambda x: mp.mpf(0 < x < 6), (0, 6)),
    "hardtanh": (lambda x: clip(x, -1, 1), lambda x: mp.mpf(-1 < x < 1), (-1, 1)),
    "hardsigmoid": (
        lambda x: clip(x / 6 + mp.mpf(1) / 2, 0, 1),
        lambda x: mp.mpf(-3 < x < 3) / 6,
        (-3, 3),
    ),
    "hardswish": (
        lambda x: x * clip(x / 6 + mp.mpf(1) / 2, 0, 1),
        lambda x: mp.mpf(x >= 3) if abs(x) >= 3 else x / 3 + mp.mpf(1) / 2,
        (-3, 3),
    ),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, ()),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x), ()),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), sigmoid, ()),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (0,)),
    "arctan": (mp.atan, lambda x: 1 / (1 + x * x), ()),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), ()),
    "probit": (normal_cdf, mp.npdf, ()),
    "gaussian": (lambda x: mp.exp(-x * x), lambda x: -2 * x * mp.exp(-x * x), ()),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * mp.npdf(x), ()),
    "gelu_tanh": (gelu_tanh, gelu_tanh_slope, ()),
    "silu": (
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
        (),
    ),
    "mish": (lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), mish_slope, ()),
}
ODD = {"linear", "hardtanh", "tanh", "softsign", "arctan", "erf", "sin", "sign"}
with mp.workdps(DIGITS):
    # The 24-point Gauss-Legendre rule, to 34 digits.
    NODES = mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(4, 130)


def by_quadrature(name, quantity, variance):
    """Composite Gauss-Legendre at 34 digits, in x, with panels split at the kinks."""
    phi, slope, kinks = BY_HAND[name]
    power = {"variance": 2, "gradient": 2, "mean": 1, "fourth": 4}[quantity]
    f = slope if quantity == "gradient" else phi
    with mp.workdps(DIGITS):
        s = mp.sqrt(mp.mpf(variance))
        edges = {mp.mpf(0), *map(mp.mpf, kinks)}
        edges |= {sign * s * j for j in range(1, 15) for sign in (-1, 1)}
        step = mp.mpf(1) / 2
        while step < s:
            edges |= {step, -step}
            step *= mp.mpf(8) / 5
        marks = sorted(edge for edge in edges if abs(edge) <= 14 * s)
        total = mp.mpf(0)
        for a, b in pairwise(marks):
            half, middle = (b - a) / 2, (a + b) / 2
            for node, weight in NODES:
                x = middle + half * node
                total += half * weight * f(x) ** power * mp.npdf(x / s)
        return total / s


def double_factorial_moments(k):
    """Closed forms (Cho and Saul 2009 and others), for the activations that have simple ones."""
    q = mp.mpf(k)
    root, third = mp.sqrt(q / (2 * mp.pi)), mp.mpf(0.01)
    a2, a4 = 1 + third**2, 1 + third**4
    e2, e8 = mp.exp(-2 * q), mp.exp(-8 * q)
    half = mp.mpf(1) / 2
    return {
        "linear": (q, 1, 0, 3 * q**2),
        "relu": (q / 2, half, root, 3 * q**2 / 2),
        "leaky_relu(0.01)": (a2 * q / 2, a2 / 2, (1 - third) * root, 3 * a4 * q**2 / 2),
        "abs": (q, 1, 2 * root, 3 * q**2),
        "squared_relu": (3 * q**2 / 2, 2 * q, q / 2, 105 * q**4 / 2),
        "sin": (-mp.expm1(-2 * q) / 2, (1 + e2) / 2, 0, (3 - 4 * e2 + e8) / 8),
        "cos": ((1 + e2) / 2, -mp.expm1(-2 * q) / 2, mp.exp(-q / 2), (3 + 4 * e2 + e8) / 8),
        "sign": (1, None, 0, 1),
        "heaviside": (half, None, half, half),
    }


def further_closed_forms(k):
    q = mp.mpf(k)
    asin, pi, sqrt = mp.asin, mp.pi, mp.sqrt
    u = 1 / sqrt(q)
    arcs = asin(q / (1 + q)) / (2 * pi)
    e = {"elu(1.0)": (1, 1), "selu": SELU}
    out = {
        "erf": (2 / pi * asin(2 * q / (1 + 2 * q)), 4 / (pi * sqrt(1 + 4 * q)), 0),
        "probit": (mp.mpf(1) / 4 + arcs, 1 / (2 * pi * sqrt(1 + 2 * q)), mp.mpf(1) / 2),
        "gaussian": (
            1 / sqrt(1 + 4 * q),
            4 * q * (1 + 4 * q) ** mp.mpf(-1.5),
            1 / sqrt(1 + 2 * q),
        ),
        "gelu": (
            q / 4 + q * arcs + q**2 / (pi * (1 + q) * sqrt(1 + 2 * q)),
            mp.mpf(1) / 4
            + arcs
            + q / (2 * pi * sqrt(1 + 2 * q)) * (1 / (1 + 2 * q) + (1 - q) / (1 + q) + 1),
            q / sqrt(2 * pi * (1 + q)),
        ),
        "hardtanh": (
            q * (2 * normal_cdf(u) - 1 - 2 * u * mp.npdf(u)) + 2 * normal_cdf(-u),
            mp.erf(1 / sqrt(2 * q)),
            0,
        ),
    }
    for name, (scale, alpha) in e.items():
        s = sqrt(q)
        tail, double = mp.exp(q / 2) * normal_cdf(-s), mp.exp(2 * q) * normal_cdf(-2 * s)
        half = mp.mpf(1) / 2
        out[name] = (
            scale**2 * (q / 2 + alpha**2 * (double - 2 * tail + half)),
            scale**2 * (half + alpha**2 * double),
            scale * (sqrt(q / (2 * pi)) + alpha * (tail - half)),
        )
    return out


def hold(name, quantity, variances, exact):
    """Relative error below 1e-12, and no larger than the bound says."""
    found = moment(Activation.parse(name), quantity, np.asarray(variances))
    with mp.workdps(40):
        for k, value, bound, true in zip(variances, found.value, found.bound, exact, strict=True):
            error = abs(mp.mpf(float(value)) - true)
            assert error <= bound, (name, quantity, k, float(error), bound)
            if abs(true) > mp.mpf(10) ** -300:
                assert error <= 1e-12 * abs(true), (name, quantity, k, float(error / true))
                assert bound <= 1e-12 * abs(value), (name, quantity, k, bound / value)


def test_every_activation_is_held_against_something():
    closed = set(double_factorial_moments(1.0))
    assert closed | set(BY_HAND) == {str(act) for act in activations()}
    assert not closed & set(BY_HAND)


@pytest.mark.parametrize("name", BY_HAND)
def test_quadrature_against_34_digit_quadrature(name):
    variances = (1e-8, 3e-3, 1.0, 50.0, 1e8) if LONG else (1e-8, 1.0, 1e8)
    for quantity in QUANTITIES:
        if quantity == "mean" and name in ODD:
            continue
        hold(name, quantity, variances, [by_quadrature(name, quantity, k) for k in variances])


WIDE = tuple(10.0 ** np.arange(-8, 8.1, 0.5))


@pytest.mark.parametrize("name", double_factorial_moments(1.0))
def test_quadrature_against_closed_forms(name):
    with mp.workdps(60):
        exact = [double_factorial_moments(k)[name] for k in WIDE]
        for number, quantity in enumerate(QUANTITIES):
            if exact[0][number] is not None:
                hold(name, quantity, WIDE, [row[number] for row in exact])


@pytest.mark.parametrize("name", further_closed_forms(1.0))
def test_quadrature_against_further_closed_forms(name):
    with mp.workdps(80):
        exact = [further_closed_forms(k)[name] for k in WIDE]
        for number, quantity in enumerate(QUANTITIES[:3]):
            hold(name, quantity, WIDE, [row[number] for row in exact])


def test_arctan_gradient_map():
    with mp.workdps(60):
        for k in (1e-2, 1.0, 30.0, 1e8):
            q = mp.mpf(k)
            integral = mp.sqrt(mp.pi / (2 * q)) * mp.exp(1 / (2 * q)) * mp.erfc(1 / mp.sqrt(2 * q))
            hold("arctan", "gradient", [k], [((1 - 1 / q) * integral + 1 / q) / 2])


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_means_are_exactly_zero(name):
    found = moment(Activation.parse(name), "mean", WIDE)
    assert not found.value.any()
    assert not found.bound.any()


def test_waves_without_a_formula_are_resolved():
    found = expectation(lambda x: np.sin(x) ** 2, [1e4, 1e8])
    assert np.abs(found.value - 0.5).max() < 5e-13
    assert (np.abs(found.value - 0.5) <= found.bound).all()
    assert (found.bound < 1e-11).all()


def test_cancelling_mean_without_a_formula_has_an_honest_bound():
    act = Activation.parse("mish")
    found = expectation(act, 1e-8)
    exact = by_quadrature("mish", "mean", 1e-8)
    assert abs(found.value - exact) <= found.bound
    assert found.relative_bound > 1e-12
    assert moment(act, "mean", 1e-8).relative_bound < 1e-12


@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (lambda x: x - np.tanh(x), lambda x: x - mp.tanh(x)),
        (lambda x: np.exp(x) - 1 - x, lambda x: mp.exp(x) - 1 - x),
        (lambda x: x - np.sin(x), lambda x: x - mp.sin(x)),
    ],
    ids=["tanh", "exp", "sin"],
)
def test_cancelled_digits_are_not_sought_by_bisection(f, exact):
    """They don't come back; looking for them took 2^20 panels for each K, which is minutes."""
    evaluations = 0

    def counted(x):
        nonlocal evaluations
        evaluations += x.size
        return np.square(f(x))

    k = np.geomspace(1e-8, 1e-2, 7)
    found = expectation(counted, k)
    assert evaluations < 300_000 * len(k)
    with mp.workdps(40):
        for value, bound, variance in zip(found.value, found.bound, k, strict=True):
            root = mp.sqrt(mp.mpf(float(variance)))
            wanted = mp.quad(
                lambda z, s=root: exact(s * z) ** 2 * mp.npdf(z), [-12, -6, -2, 0, 2, 6, 12]
            )
            assert abs(mp.mpf(float(value)) - wanted) <= bound < 1e-3 * wanted


@pytest.mark.parametrize(
    ("formula", "leading"),
    [
        ("x - tanh(x)", lambda k: 5 * k**3 / 3),
        ("x - sin(x)", lambda k: 5 * k**3 / 12),
        ("exp(x) - 1 - x", lambda k: 3 * k**2 / 4),
        ("exp(x) - 1", lambda k: k),
    ],
)
def test_what_float64_takes_for_nothing_is_no_zero(formula, leading):
    """All digits cancel there: float64 has x - tanh(x) = 0 up to x = 1e-8."""
    k = np.array([1e-30, 1e-20, 1e-18, 1e-15])
    found = moment(Activation.parse(formula), "variance", k)
    np.testing.assert_allclose(found.value, leading(k), rtol=1e-12)
    assert (found.bound < 1e-12 * found.value).all()


def test_undeclared_kinks_and_jumps_are_found_or_seen_in_the_bound():
    places = np.random.default_rng(7).uniform(-2, 2, 150)
    for at in places:
        with mp.workdps(30):
            c = mp.mpf(float(at))
            step = mp.erfc(c / mp.sqrt(2)) / 2
            ramp = mp.npdf(c) - c * step
        for f, exact in (
            (lambda x, c=at: 1.0 * (x > c), step),
            (lambda x, c=at: np.maximum(x - c, 0), ramp),
        ):
            found = expectation(f, 1.0)
            assert abs(found.value - exact) <= found.bound
            assert found.relative_bound < 1e-11


def test_a_small_kink_does_not_hide_behind_a_large_smooth_part():
    at, size = 0.3217, 1e-7
    found = expectation(lambda x: np.cosh(x) + size * np.abs(x - at), 1.0)
    with mp.workdps(30):
        c = mp.mpf(at)
        exact = mp.exp(mp.mpf(1) / 2) + mp.mpf(size) * (2 * mp.npdf(c) + c * mp.erf(c / mp.sqrt(2)))
        assert abs(found.value - exact) <= found.bound < 1e-12


def test_rounded_nodes_are_counted():
    # A bump of width 1 at x = 1e6: the nodes there are rounded by 1e-10.
    at, k = 1e6, np.array([3e11, 1e12, 5e12])
    found = expectation(lambda x: np.exp(-((x - at) ** 2)), k, kinks=(at,))
    with mp.workdps(40):
        for value, bound, variance in zip(found.value, found.bound, k, strict=True):
            wide = 1 + 2 * mp.mpf(float(variance))
            exact = mp.exp(-(mp.mpf(at) ** 2) / wide) / mp.sqrt(wide)
            assert abs(mp.mpf(float(value)) - exact) <= bound <= 1e-8 * exact


def test_growth_and_divergence():
    for k in (1e-8, 1.0, 10.0, 100.0):
        found = expectation(lambda x: np.exp(2 * x), k)
        exact = mp.exp(2 * mp.mpf(k))
        assert abs(found.value - exact) <= found.bound
        assert abs(found.value - exact) <= 1e-12 * exact
    assert expectation(lambda x: np.exp(x * x), 0.25).value == pytest.approx(2**0.5, rel=1e-12)
    for k in (0.5, 1.0, 100.0):
        with pytest.raises(ValueError, match="diverges"):
            expectation(lambda x: np.exp(x * x), k)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, [1.0, -1.0]])
def test_bad_variances(bad):
    with pytest.raises(ValueError, match="variance must be finite and > 0"):
        expectation(np.square, bad)


def test_other_bad_input():
    with pytest.raises(ValueError, match="scale"):
        expectation(np.square, 1.0, scale=0.0)
    with pytest.raises(ValueError, match="unknown quantity 'median'"):
        moment(Activation.parse("relu"), "median", 1.0)
    with pytest.raises(ValueError, match="singular"):
        moment(Activation.parse("sign"), "gradient", 1.0)
    with pytest.raises(ValueError, match="not finite"):
        expectation(np.log, 1.0)


def test_shapes_and_types():
    found = expectation(np.square, [[1.0, 2.0, 3.0]])
    assert found.value.shape == found.bound.shape == (1, 3)
    assert isinstance(expectation(np.square, 2).value, float)
    assert expectation(np.square, []).value.shape == (0,)
