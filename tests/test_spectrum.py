"""The law of a Jacobian's singular values at large width: transforms, moments, edges, densities."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy

from varprop.theory import NotClosed
from varprop.theory.gaussian import K
from varprop.theory.spectra import s_transform as st
from varprop.theory.spectrum import (
    fuss_catalan_density,
    isometry,
    lyapunov_exponents,
    spectrum,
)

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
FOUR = [("linear", "normal"), ("linear", "orthogonal"), ("relu", "normal"), ("relu", "orthogonal")]
L = sympy.Symbol("L", positive=True)
P = sympy.Symbol("p", positive=True)


# --- published ----------------------------------------------------------------------------------


def test_published_fuss_catalan():
    row = PUBLISHED["fuss_catalan"]
    s = spectrum("linear", 4)
    assert [*s.moments(3), s.edge] == pytest.approx(row["value"], rel=row["tol"])
    assert [float(m) for m in st.moments_of(s.s_transform, 3)] == row["value"][:3]


def test_published_variances():
    row = PUBLISHED["psg_variances"]
    found = [spectrum(act, 4, weights=weights).relative_variance for act, weights in FOUR]
    assert found == pytest.approx(row["value"], abs=row["tol"])


def test_published_participation_ratios():
    row = PUBLISHED["participation_ratio"]
    found = [spectrum(act, 10, weights=weights).effective_rank for act, weights in FOUR]
    assert found == pytest.approx(row["value"], rel=row["tol"])


# --- S-transforms and symbolic moments ----------------------------------------------------------


def test_fuss_catalan_numbers_come_out_of_lagrange_inversion():
    for depth in (1, 2, 5):
        known = [math.comb((depth + 1) * k, k) // (depth * k + 1) for k in range(1, 7)]
        assert st.moments_of(st.s_gaussian() ** depth, 6) == known


def test_second_moments_at_any_depth():
    masked = st.s_bernoulli(P) ** L
    first, second = st.moments_of(st.free_product(st.s_gaussian() ** L, masked), 2)
    assert sympy.simplify(second / first**2 - 1 - L / P) == 0
    first, second = st.moments_of(st.free_product(st.s_orthogonal() ** L, masked), 2)
    assert sympy.simplify(second / first**2 - 1 - L * (1 - P) / P) == 0


def test_transforms_invert_the_moment_transform_at_30_digits():
    a, b, p = sympy.Rational(9, 4), sympy.Rational(1, 7), sympy.Rational(2, 5)
    known = {
        st.s_two_values(a, b, p): lambda u: p * a / (u - a) + (1 - p) * b / (u - b),
        st.s_bernoulli(p): lambda u: p / (u - 1),
        st.s_orthogonal(3): lambda u: 9 / (u - 9),
        # Marchenko and Pastur: G = (u - sqrt(u (u - 4)))/(2 u), M = u G - 1.
        st.s_gaussian(): lambda u: (u - sympy.sqrt(u * (u - 4))) / 2 - 1,
    }
    for s, transform in known.items():
        for at in (sympy.Rational(1, 9), sympy.Rational(7, 8)):
            u = st.inverse_transform(s).subs(st.z, at)
            assert abs(sympy.N(transform(u) - at, 30)) < 1e-28


def test_series_of_any_law_agrees_with_its_closed_form():
    moments = [(4**k + sympy.Rational(1, 3) ** k) / 2 for k in range(1, 6)]
    series = st.s_from_moments(moments)
    exact = sympy.series(st.s_two_values(4, sympy.Rational(1, 3), sympy.Rational(1, 2)), st.z, 0, 5)
    assert sympy.simplify(series - exact.removeO()) == 0
    assert st.moments_of(series, 5) == moments


def test_masks_in_closed_form():
    assert st.s_mask("linear") == 1
    assert (
        sympy.simplify(
            st.s_mask("relu6").subs(K, 4) - st.s_bernoulli(sympy.erf(3 / sympy.sqrt(2)) / 2)
        )
        == 0
    )
    assert (
        sympy.simplify(
            st.s_mask("hardsigmoid") / 36 - st.s_bernoulli(sympy.erf(3 / sympy.sqrt(2 * K)))
        )
        == 0
    )
    assert st.s_mask("abs") == 1
    leaky = st.s_two_values(sympy.Rational(1, 25), 1, sympy.Rational(1, 2))
    assert sympy.simplify(st.s_mask("leaky_relu(0.2)") - leaky) == 0
    with pytest.raises(NotClosed, match="continuum"):
        st.s_mask("tanh")


# --- moments and variances in numbers -----------------------------------------------------------


@lru_cache
def gaussian_moments(squared_slope, variance, count):
    """mu_k by mpmath, split where the integrand changes fastest."""
    with mp.workdps(25):
        s = mp.sqrt(variance)
        marks = [-14, -6, -3, -1.5, -0.7, -0.2, 0, 0.2, 0.7, 1.5, 3, 6, 14]
        return [
            mp.quad(lambda t, k=k: squared_slope(s * t) ** k * mp.npdf(t), marks)
            for k in range(1, count + 1)
        ]


SLOPES = {
    "tanh": lambda x: mp.sech(x) ** 4,
    "sin": lambda x: mp.cos(x) ** 2,
    "gelu": lambda x: (mp.ncdf(x) + x * mp.npdf(x)) ** 2,
}


@pytest.mark.parametrize("weights", ["normal", "orthogonal"])
@pytest.mark.parametrize("name", SLOPES)
def test_moments_of_smooth_masks(name, weights):
    variance, depth, sigma_w = 0.8, 3, 1.3
    mu = gaussian_moments(SLOPES[name], variance, 4)
    made = st.s_gaussian if weights == "normal" else st.s_orthogonal
    s = (st.s_from_moments([sympy.Float(m, 25) for m in mu]) * made(sympy.Float(1.3, 25))) ** depth
    known = [float(m) for m in st.moments_of(s, 4)]
    found = spectrum(name, depth, sigma_w, weights=weights, variance=variance)
    assert found.moments(4) == pytest.approx(known, rel=1e-12)
    assert found.relative_variance == pytest.approx(known[1] / known[0] ** 2 - 1, rel=1e-11)
    assert found.log_mean == pytest.approx(math.log(known[0]), abs=1e-13)


@pytest.mark.parametrize("weights", ["normal", "orthogonal"])
@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu(0.2)", "abs", "relu6", "hardtanh"])
def test_moments_of_piecewise_linear_masks(name, weights):
    s = spectrum(name, 3, 1.25, weights=weights, variance=2.0)
    exact = [float(m) for m in st.moments_of(s.s_transform, 4)]
    assert s.moments(4) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("k", [1e-6, 0.3, 1.0, 40.0])
def test_variances_of_known_masks(k):
    def spread(act):
        return spectrum(act, 7, 1.0, weights="orthogonal", variance=k).relative_variance / 7

    exact = (1 + 4 * mp.mpf(k)) / mp.sqrt(1 + 8 * mp.mpf(k)) - 1
    assert spread("erf") == pytest.approx(float(exact), rel=1e-10)
    e = mp.exp(-2 * mp.mpf(k))
    exact = (mp.mpf(3) / 8 + e / 2 + e**4 / 8) / ((1 + e) / 2) ** 2 - 1
    assert spread("sin") == pytest.approx(float(exact), rel=1e-10)
    p = mp.erf(1 / mp.sqrt(2 * mp.mpf(k)))
    assert spread("hardtanh") == pytest.approx(float(1 / p - 1), rel=1e-10, abs=1e-300)
    gaussian = spectrum("hardtanh", 7, 1.0, variance=k)
    assert gaussian.relative_variance == pytest.approx(float(7 / p), rel=1e-13)


def test_layers_of_different_variance():
    s = spectrum("hardtanh", 3, 1.1, variance=[0.4, 2.0, 2.0])
    exact = [float(m) for m in st.moments_of(s.s_transform, 4)]
    assert s.moments(4) == pytest.approx(exact, rel=1e-13)
    own = [spectrum("hardtanh", 1, 1.1, variance=k).relative_variance for k in (0.4, 2.0, 2.0)]
    assert s.relative_variance == pytest.approx(sum(own), rel=1e-14)


def test_high_moments_of_deep_products_keep_their_digits():
    # The terms of an orthogonal product cancel: at depth 1000, k = 12, by some 30 digits.
    found = spectrum("relu", 1000, weights="orthogonal").log_moments(12)[11]
    with mp.workdps(80):
        # [z^11] ((1 + z) ((2 z + 1)/(1 + z))^1000)^12 / 12, as a sum of binomials
        terms = [
            mp.binomial(12000, j) * mp.mpf(2) ** j * mp.binomial(12 - 12000, 11 - j)
            for j in range(12)
        ]
        assert found == pytest.approx(float(mp.log(mp.fsum(terms) / 12)), rel=1e-14)


def test_scale_and_effective_depth():
    assert spectrum("relu", 5, 2.0).log_mean == pytest.approx(5 * math.log(2), rel=1e-15)
    deep = spectrum("tanh", 100_000, 0.5, variance=0.2)
    assert deep.log_mean < -1e5
    with pytest.raises(OverflowError, match="log_moments"):
        deep.moments(2)
    for act, weights in FOUR[:1] + FOUR[2:]:
        one = spectrum(act, 1, weights=weights)
        depth = one.depth_below(0.03)
        assert spectrum(act, depth, weights=weights).effective_rank < 0.03
        assert spectrum(act, depth - 1, weights=weights).effective_rank >= 0.03
    assert spectrum("linear", 3, weights="orthogonal").depth_below(0.5) is None


def test_fixed_point_is_the_default():
    found = spectrum("tanh", 4, 1.5, 0.3)
    k = float(found.variances[0])
    q = gaussian_moments(lambda x: mp.tanh(x) ** 2, k, 1)[0]
    assert 0.09 + 2.25 * float(q) == pytest.approx(k, rel=1e-12)
    assert spectrum("tanh", 4, 1.0).effective_rank == 0.2  # K* = 0: as if linear


# --- edges and atoms ----------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 7, 100])
def test_edges(depth):
    linear = (depth + 1) * math.log(depth + 1) - depth * math.log(depth)
    assert spectrum("linear", depth).log_edge == pytest.approx(linear, rel=1e-14)
    z = (math.sqrt(depth**2 + 1) - depth + 1) / (2 * depth)
    relu = math.log((1 + z) / z) + depth * math.log(1 + 2 * z)
    assert spectrum("relu", depth).log_edge == pytest.approx(relu, rel=1e-14)
    one = spectrum("relu", depth, weights="orthogonal")
    known = 2.0 if depth == 1 else depth**depth / (depth - 1) ** (depth - 1)
    assert one.edge == pytest.approx(known, rel=1e-13)


def test_edge_of_smooth_masks_against_a_search_by_mpmath():
    squared = SLOPES["tanh"]

    def transform(u):
        return 2 * mp.quad(
            lambda t: squared(t) / (u - squared(t)) * mp.npdf(t), [0, 0.3, 1, 2, 4, 12]
        )

    def x(u):
        m = transform(u)
        return (1 + m) * m**2 * u**3

    with mp.workdps(20):
        low, high = mp.mpf("1.001"), mp.mpf(9)
        for _ in range(42):
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (low, b) if x(a) < x(b) else (a, high)
        known = float(x(low))
    assert spectrum("tanh", 3, 1.0, variance=1.0).edge == pytest.approx(known, rel=1e-11)


def test_atoms():
    assert spectrum("linear", 5, 1.5, weights="orthogonal").atoms == ((pytest.approx(1.5**10), 1),)
    p = math.erf(1 / math.sqrt(0.6))
    zero, one = spectrum("hardtanh", 3, 1.0, weights="orthogonal", variance=0.3).atoms
    assert zero == (0.0, pytest.approx(1 - p, rel=1e-14))
    assert one == (1.0, pytest.approx(1 - 3 * (1 - p), rel=1e-13))
    assert spectrum("hardtanh", 30, 1.0, weights="orthogonal", variance=0.3).atoms == (zero,)
    assert spectrum("relu", 3).atoms == ((0.0, 0.5),)
    single = spectrum("leaky_relu(0.5)", 1, 2.0, weights="orthogonal")
    assert single.atoms == ((1.0, 0.5), (4.0, 0.5))
    assert spectrum("squared_relu", 2, 1.0, variance=1.0).edge == math.inf


# --- isometry, exponents ------------------------------------------------------------------------


def test_isometry_of_erf_at_small_variance():
    found = isometry("erf", 1000, 1e-3)
    k = mp.findroot(lambda q: 1000 * ((1 + 4 * q) / mp.sqrt(1 + 8 * q) - 1) - 1e-3, 3.6e-4)
    assert found.variance == pytest.approx(float(k), rel=1e-9)
    assert found.variance == pytest.approx(math.sqrt(1e-3 / 8e3), rel=1e-2)
    back = spectrum("erf", 1000, found.sigma_w, found.sigma_b, "orthogonal")
    assert back.variances[0] == pytest.approx(found.variance, rel=1e-5)
    assert back.log_mean == pytest.approx(0, abs=1e-9)


def test_isometry_that_does_not_exist_says_why():
    with pytest.raises(ValueError, match="at any variance"):
        isometry("relu", 10, 0.5)
    with pytest.raises(ValueError, match="no largest one"):
        isometry("linear", 10, 0.5)
    with pytest.raises(ValueError, match="at_most"):
        isometry("tanh", 10, 0.0)
    with pytest.raises(ValueError, match="depth"):
        isometry("tanh", 0, 0.1)


def test_exponents_sum_to_the_determinant_and_tend_to_the_triangle_law():
    for n in (1, 2, 9):
        # |det W| is a product of independent chi variables over sqrt(n).
        known = sum(float(mp.digamma(mp.mpf(k) / 2) + mp.log(2)) / 2 for k in range(1, n + 1))
        assert lyapunov_exponents(n).sum() == pytest.approx(known - n * math.log(n) / 2, rel=1e-13)
    found = np.exp(2 * lyapunov_exponents(2000, 3.0))
    assert found == pytest.approx(9 * (2000 - np.arange(2000) - 0.5) / 2000, abs=9 / 2000)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"act": "sign"}, "singular: it jumps"),
        ({"act": "heaviside", "variance": 1.0}, "singular: it jumps"),
        ({"act": "1"}, "0 almost everywhere"),
        ({"depth": 0}, "depth must be"),
        ({"depth": 2.5}, "depth must be"),
        ({"depth": 10**7}, "depth must be"),
        ({"weights": "uniform"}, "weights must be"),
        ({"sigma_w": 0.0}, "sigma_w must be"),
        ({"sigma_w": math.nan}, "sigma_w must be"),
        ({"sigma_b": -1.0}, "sigma_b must be"),
        ({"variance": -1.0}, "variance must be"),
        ({"variance": [1.0, math.inf, 1.0]}, "variance must be"),
        ({"variance": [1.0, 2.0]}, "one for each of 3 layers"),
        ({"act": "tanh"}, "give sigma_w"),
        ({"act": "relux"}, "unknown activation"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        spectrum(**{"act": "relu", "depth": 3, **arguments})


def test_bad_questions():
    s = spectrum("relu", 3)
    for x in (0.0, -1.0, math.nan, [1.0, math.inf]):
        with pytest.raises(ValueError, match="finite and > 0"):
            s.density(x)
        with pytest.raises(ValueError, match="finite and > 0"):
            fuss_catalan_density(x, 2)
    for count in (0, 31, 1.5):
        with pytest.raises(ValueError, match="count"):
            s.moments(count)
    for share in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="share"):
            s.depth_below(share)
    with pytest.raises(ValueError, match="layers differ"):
        spectrum("tanh", 2, variance=[0.1, 0.2]).depth_below(0.1)
    with pytest.raises(ValueError, match="two layers on"):
        spectrum("tanh", 1, 1.0, weights="orthogonal", variance=1.0).density(0.5)
    with pytest.raises(NotClosed):
        _ = spectrum("tanh", 2, 1.0).s_transform
    with pytest.raises(ValueError, match="probability"):
        st.s_bernoulli(1.5)
    with pytest.raises(ValueError, match="must be > 0"):
        st.s_two_values(0, 1, 0.5)
    with pytest.raises(ValueError, match="first moment"):
        st.s_from_moments([])
    with pytest.raises(ValueError, match="depth"):
        fuss_catalan_density(1.0, 0)
    for width in (0, 1.5):
        with pytest.raises(ValueError, match="width"):
            lyapunov_exponents(width)
    with pytest.raises(ValueError, match="sigma_w"):
        lyapunov_exponents(3, 0.0)
