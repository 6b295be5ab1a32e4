"""The gap 1-c of two activations, against mpmath down to 1e-300 and out to e^2000."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from pair_twin import agrees, derived

from varprop.activation import Activation, activations
from varprop.theory import gradient_map, variance_map
from varprop.theory.angle import log_gap_of_tilt, tilt_of_covariance, tilt_of_gap
from varprop.theory.gap import gap
from varprop.theory.kernel import kernel
from varprop.theory.lengths import Lengths
from varprop.theory.tensortable import TensorTable

NAMES = [str(act) for act in activations()]
NONE = -math.inf


# --- the gap of one layer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variances"),
    [
        ("linear", (1.0,)),
        ("relu", (1.0, 7.0)),
        ("leaky_relu(0.2)", (1.0,)),
        ("abs", (1.0,)),
        ("squared_relu", (1.0,)),
        ("x**2", (1.0,)),
        ("x*abs(x)", (1.0,)),
        ("sign", (1.0,)),
        ("heaviside", (1.0,)),
        ("erf", (1e-12, 0.01, 1.0, 1e5)),
        ("probit", (1e-12, 0.01, 1.0, 1e5)),
        ("sin", (1e-12, 0.01, 1.0, 50.0)),
        ("cos", (1e-3, 1.0, 50.0)),
        ("gaussian", (1e-3, 1.0, 1e5)),
        ("gelu", (1e-12, 0.01, 1.0, 1e5, 1e9)),
    ],
)
def test_closed_gaps_against_the_derived_expressions(name, variances):
    """1 - E phi(u) phi(v) / Q with 700 digits, so that the subtraction costs nothing."""
    even = Activation.parse(name).parity == "even"
    for k in variances:
        with mp.workdps(700):
            big = mp.mpf(k)
            # At k = K itself some expressions divide by 0; a gap of 1e-650 is as good.
            q = derived(name)(big, big, big * (1 - mp.mpf(10) ** -650))
            for eps in (1e-300, 1e-100, 1e-30, 1e-27, 1e-12, 1e-6, 1e-2, 0.5, 1.0, 1.7, 1.99999):
                if even and eps > 1.9:
                    continue
                log_gap = math.log(eps)
                c = 1 - mp.exp(mp.mpf(log_gap))
                true = 1 - derived(name)(big, big, big * c) / q
                found = gap(name).log_at(math.log(k), log_gap)
                assert agrees(found, true, 2e-10 if k > 1e8 else 1e-11, log_gap + math.log(k))


def test_even_activations_see_opposite_inputs_as_equal():
    for name in ("abs", "cos", "gaussian", "x**2"):
        for small in (1e-3, 1e-9):
            opposite = gap(name).log_at(0.0, math.log(2 - small))
            assert opposite == pytest.approx(gap(name).log_at(0.0, math.log(small)), abs=1e-6)
        assert gap(name).log_at(0.0, math.log(2)) < -30


SMOOTH = {
    "tanh": mp.tanh,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
}


def hermite_squares(f, k, terms):
    """a_j^2 with a_j = E f(sqrt(k) z) h_j(z), by the trapezoid rule: exponentially good here."""
    root, step, sums = mp.sqrt(k), mp.mpf(1) / 10, [mp.mpf(0)] * terms
    for n in range(-140, 141):
        z = n * step
        weight = f(root * z) * mp.npdf(z) * step
        before, h = mp.mpf(0), mp.mpf(1)
        for j in range(terms):
            sums[j] += weight * h
            before, h = h, (z * h - mp.sqrt(j) * before) / mp.sqrt(j + 1)
    return [s * s for s in sums]


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_gaps_against_hermite_series(name):
    """1 - E phi(u) phi(v) / Q = sum a_j^2 (1 - c^j) / sum a_j^2, where no digit is lost."""
    k = 0.3
    with mp.workdps(25):
        squares = hermite_squares(SMOOTH[name], mp.mpf(k), 60)
        for eps in (1e-300, 1e-30, 1e-12, 1e-3, 0.5, 1.7, 2.0):
            log_gap = math.log(eps)
            small = mp.exp(mp.mpf(log_gap))
            drops = [
                -mp.expm1(j * mp.log1p(-small)) if eps < 1 else 1 - (1 - small) ** j
                for j in range(len(squares))
            ]
            true = mp.fdot(squares, drops) / sum(squares)
            assert agrees(gap(name).log_at(math.log(k), log_gap), true, 1e-11, log_gap)


def gauss(f, edges):
    """16-point Gauss-Legendre on each panel."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    total = mp.mpf(0)
    for lo, hi in pairwise(edges):
        half, middle = (hi - lo) / 2, (hi + lo) / 2
        rows = zip(nodes.tolist(), weights.tolist(), strict=True)
        total += half * sum(w * f(middle + half * t) for t, w in rows)
    return total


SLOPES = {  # phi'(u), E[phi'(v) | mean m, deviation s], kinks
    "elu(1.0)": (
        lambda u: mp.mpf(1) if u > 0 else mp.exp(u),
        lambda m, s: mp.ncdf(m / s) + mp.exp(m + s * s / 2) * mp.ncdf(-(m + s * s) / s),
        (0,),
    ),
    "hardtanh": (
        lambda u: mp.mpf(abs(u) < 1),
        lambda m, s: mp.ncdf((1 - m) / s) - mp.ncdf((-1 - m) / s),
        (-1, 1),
    ),
}


def by_price(name, k, eps):
    """K int_0^eps E phi'(u) phi'(v) at c = 1-t dt: positive, so good to 14 digits."""
    slope, conditional, kinks = SLOPES[name]
    root = mp.sqrt(k)

    def at(r):  # t = eps r^2: kernels of kinks go like sqrt(t)
        t = eps * r * r
        s = mp.sqrt(k * t * (2 - t))
        marks = {x + n * s for x in kinks for n in (-8, -3, 0, 3, 8)}
        marks |= {z * root for z in range(-9, 10, 2)}
        edges = sorted(x for x in marks if abs(x) <= 9 * root)
        v = gauss(
            lambda u: slope(u) * conditional((1 - t) * u, s) * mp.npdf(u / root) / root, edges
        )
        return 2 * r * v

    return k * eps * gauss(at, [mp.mpf(0), mp.mpf(1) / 2, mp.mpf(1)])


@pytest.mark.parametrize("eps", [1e-40, 1e-12, 0.9])
@pytest.mark.parametrize("name", SLOPES)
def test_kinked_gaps_against_prices_theorem(name, eps):
    k = 2.3
    log_gap = math.log(eps)
    with mp.workdps(30):
        true = by_price(name, mp.mpf(k), mp.exp(mp.mpf(log_gap))) / variance_map(name)(k)
        assert agrees(gap(name).log_at(math.log(k), log_gap), true, 1e-11, log_gap)


@pytest.mark.parametrize("eps", [1e-300, 1e-25, 1e-15, 1e-6, 0.3])
def test_a_jump_away_from_zero(eps):
    """The gap of a step at 1 is the chance that it lies between: like sqrt(1-c)."""
    k = 0.8
    log_gap = math.log(eps)
    with mp.workdps(30):
        small = mp.exp(mp.mpf(log_gap))

        def at(r):
            t = small * r * r
            return 2 * mp.sqrt(small) / mp.sqrt(2 - t) * mp.exp(-1 / (mp.mpf(k) * (2 - t)))

        q = mp.ncdf(-1 / mp.sqrt(mp.mpf(k)))
        true = gauss(at, [mp.mpf(0), mp.mpf(1)]) / (2 * mp.pi) / q
        assert agrees(gap("1 if x > 1 else 0").log_at(math.log(k), log_gap), true, 1e-9, log_gap)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("sign", "heaviside")])
def test_near_inputs_follow_the_gradient_map(name):
    """For c -> 1 the gap is (1-c) K V(K) / Q(K), for every activation and any K."""
    for log_k in (-2000.0, -40.0, -3.0, 0.0, 3.0, 12.0):
        log_gap = -75.0 - max(0.0, log_k)
        limit = gradient_map(name).log(log_k) + log_k - variance_map(name).log(log_k)
        assert gap(name).log_at(log_k, log_gap) == pytest.approx(log_gap + limit, abs=1e-11)
        if log_k > -50:  # above the power law: still the limit, by quadrature
            near = gap(name).log_at(log_k, log_gap + 20)
            assert near == pytest.approx(log_gap + 20 + limit, abs=1e-10)


FAR = [  # ln K, ln(1-c), ln gap
    ("tanh", -2000.0, -1.0, -1.0),
    ("tanh", -2000.0, -600.0, -600.0),
    ("sigmoid", -2000.0, -1.0, -2001.0 - math.log(4)),
    ("cos", -2000.0, 0.0, -4000.0 - math.log(2)),
    ("gelu", -2000.0, -3.0, -3.0),
    ("softplus", 2000.0, -3.0, None),
    ("elu(2.0)", 60.0, -3.0, None),
    ("hardswish", 2000.0, 0.5, None),
    ("tanh", 200.0, -50.0, (math.log(2) - 50) / 2 + math.log(2 / math.pi)),
    ("tanh", 200.0, -150.0, (math.log(2) - 150) / 2 + math.log(2 / math.pi)),
    ("gaussian", 300.0, -10.0, 0.0),
]


@pytest.mark.parametrize(("name", "log_k", "log_gap", "expected"), FAR)
def test_far_out(name, log_k, log_gap, expected):
    if expected is None:
        expected = gap("relu").log_at(0.0, log_gap)
    assert gap(name).log_at(log_k, log_gap) == pytest.approx(expected, abs=1e-9)


def test_both_slopes_count_far_out():
    made = gap("softplus(x) - 0.3*softplus(-x)")
    for log_gap in (0.5, -3.0):
        expected = gap("leaky_relu(0.3)").log_at(0.0, log_gap)
        assert made.log_at(60.0, log_gap) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "large"),
    [("tanh", 82.8931), ("gaussian", 82.8931), ("elu(1.0)", 46), ("softplus", 46), ("mish", 46)],
)
def test_laws_meet_where_they_take_over(name, large):
    made = gap(name)
    for log_gap in (0.3, -5.0, -30.0):
        for edge in (-82.8931, large):
            u = edge + np.array([-0.02, -0.01, 0.01, 0.02])
            values = np.array([made.log_at(float(x), log_gap) for x in u])
            assert np.diff(values)[1] == pytest.approx(2 * np.diff(values)[0], abs=1e-8)


# --- lengths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erf", "gelu", "sin", "gaussian", "probit"])
def test_different_lengths_against_the_derived_expressions(name):
    for k in (0.02, 1.3):
        for delta in (2.0, 0.1, -1e-3, 1e-6, 1e-8, 3e-10, 1e-13):
            for log_gap in (0.5, -4.0, -20.0, -50.0, -600.0, NONE):
                with mp.workdps(700):
                    log_a, d = mp.log(mp.mpf(k)), mp.mpf(delta)
                    a, b = mp.mpf(k), mp.mpf(k) * mp.exp(-d)
                    near = 1 - mp.mpf(10) ** -650
                    c = 1 - mp.exp(mp.mpf(log_gap)) if log_gap > NONE else near
                    qa, qb = (derived(name)(x, x, x * near) for x in (a, b))
                    root = mp.sqrt(a * b)
                    true = 1 - derived(name)(a, b, c * root) / mp.sqrt(qa * qb)
                    found = Lengths(gap(name)).log_at(float(log_a), delta, log_gap)
                    assert agrees(found, true, 2e-9, log_gap if log_gap > NONE else 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_gaps_and_kernels_agree(name):
    """1 - gap by a mean of squares is E phi(u) phi(v) by a mean of products."""
    for a, b, c in ((0.7, 0.7, 0.4), (0.7, 2.1, 0.4), (3.0, 0.2, -0.8), (1.0, 1.0, -1.0)):
        product = kernel(name)(a, b, c * math.sqrt(a * b))
        whole = math.sqrt(variance_map(name)(a) * variance_map(name)(b))
        log_gap = math.log(1 - c)
        delta = math.log(a) - math.log(b)
        found = Lengths(gap(name)).log_at(math.log(a), delta, log_gap)
        assert 1 - math.exp(found) == pytest.approx(product / whole, abs=1e-11)


def test_lengths_far_apart_and_far_out():
    tanh = Lengths(gap("tanh"))
    # One input so small that tanh is linear there, the other so large that it is a sign.
    true = math.log(1 - math.sqrt(2 / math.pi) * 0.5)
    assert tanh.log_at(60.0, 2000.0, math.log(0.5)) == pytest.approx(true, abs=1e-9)
    assert tanh.log_at(-200.0, 3.0, -1.0) == pytest.approx(-1.0, abs=1e-12)
    assert Lengths(gap("relu")).log_at(0.0, 5.0, -1.0) == gap("relu").log_at(0.0, -1.0)


# --- the rooms behind ---------------------------------------------------------------------------


def test_tilts_keep_their_digits():
    assert log_gap_of_tilt(tilt_of_gap([-700.0, -3.0, 0.69])) == pytest.approx([-700.0, -3.0, 0.69])
    assert tilt_of_gap([NONE, math.log(2.0)])[0] == NONE
    a, b = np.array([1.7, 3e200, 5e-300, 2.0]), np.array([0.9, 4e-100, 7e-8, 2.0])
    k = np.sqrt(a) * np.sqrt(b) * np.array([1 - 1e-13, -1 + 1e-15, 0.5, 0])
    k[3] = 2.0
    for each in zip(a, b, k, tilt_of_covariance(a, b, k), strict=True):
        with mp.workdps(60):
            x, y, z = (mp.mpf(v) for v in each[:3])
            root = mp.sqrt(x * y)
            true = (root - z) / (root + z)
            assert true == 0 or abs(mp.exp(mp.mpf(each[3])) / true - 1) < 1e-13
    assert tilt_of_covariance(a, b, k)[3] == NONE


def test_a_tensor_table_is_its_function():
    asked = []

    def function(x, y):
        asked.append(len(x))
        return np.log1p(np.exp(x - y)) + np.sin(y)

    table = TensorTable(function, patience=3)
    rng = np.random.default_rng(2)
    for x, y in rng.uniform(0, 0.5, (40, 2)):
        assert table.at(x, y) == pytest.approx(math.log1p(math.exp(x - y)) + math.sin(y), abs=1e-12)
    assert asked == [1, 1, 1, 121]
    rough = TensorTable(lambda x, y: np.abs(x - 0.2) * y, patience=0)
    assert rough.at(0.3, 0.1) == pytest.approx(0.01, abs=1e-15)


@pytest.mark.parametrize("log_k", [200.0, 299.0, 400.0, 5000.0])
def test_closed_kernels_at_variances_whose_square_leaves_float64(log_k):
    with mp.workdps(50):
        c = 1 - mp.exp(-1)
        assert agrees(gap("erf").log_at(log_k, -1.0), 1 - 2 / mp.pi * mp.asin(c), 1e-10)
        relu = (mp.sqrt(1 - c * c) + c * (mp.pi - mp.acos(c))) / mp.pi
        assert agrees(gap("gelu").log_at(log_k, -1.0), 1 - relu, 1e-10)
    with mp.workdps(2 * int(log_k) + 400):
        k, near = mp.exp(mp.mpf(log_k)), mp.exp(-mp.mpf(log_k) - 7)

        def kernel(covariance):
            return mp.asin(2 * covariance / (1 + 2 * k))

        true = 1 - kernel(k * (1 - near)) / kernel(k)
        assert agrees(gap("erf").log_at(log_k, -log_k - 7), true, 1e-9, log_k)
