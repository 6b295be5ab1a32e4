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

from varprop.activation import Activation
from varprop.theory import NotClosed
from varprop.theory.gaussian import K
from varprop.theory.spectra import s_transform as st
from varprop.theory.spectra.density import density as continued
from varprop.theory.spectra.mask import mask
from varprop.theory.spectra.product import FreeProduct
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
    assert s.atom + integrals(s, [0], 1e-60)[0] == pytest.approx(1, abs=1e-9)


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


# --- densities ----------------------------------------------------------------------------------


def integrals(s, powers, lowest):
    """int x^k rho dx over x = edge exp(-v^2), to x = lowest edge; roots at the edge are smooth.

    So the trapezoid rule converges as for an analytic function.
    """
    v = np.linspace(0, math.sqrt(-math.log(lowest)), 301)[1:]
    x = s.edge * np.exp(-(v**2))
    each = s.density(x) * x * 2 * v * v[0]
    return [float((each * x**k).sum()) for k in powers]


@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_fuss_catalan_density_against_the_continued_transform(depth):
    s = spectrum("linear", depth)
    x = np.exp(np.linspace(-20, s.log_edge - 1e-6, 60))
    closed = fuss_catalan_density(x, depth)
    found = continued(s._law, np.log(x)) / x
    assert found == pytest.approx(closed, rel=1e-10, abs=1e-11)
    assert s.density(x) == pytest.approx(closed, rel=1e-12)


def test_fuss_catalan_density_solves_its_equation_at_30_digits():
    with mp.workdps(30):
        for depth, x in ((1, 0.3), (3, 0.01), (3, 9.0), (12, 1.7)):
            # rho = -Im y/(pi x), y^(L+1) = x (y - 1); a real root is no density.
            coefficients = [1, *([0] * (depth - 1)), -mp.mpf(x), mp.mpf(x)]
            roots = mp.polyroots(coefficients, maxsteps=500, extraprec=200)
            found = float(fuss_catalan_density(x, depth))
            densities = [float(-r.imag / (mp.pi * mp.mpf(x))) for r in roots]
            assert min(abs(found - d) for d in densities) < 1e-12 * found
    x = np.array([0.2, 1.0, 3.9])
    marchenko_pastur = np.sqrt((4 - x) / x) / (2 * np.pi)
    assert fuss_catalan_density(x, 1) == pytest.approx(marchenko_pastur, rel=1e-13)


@pytest.mark.parametrize("depth", [1, 4, 12])
def test_fuss_catalan_density_is_normalised(depth):
    s = spectrum("linear", depth)
    found = integrals(s, range(4), 10.0 ** (-15 * (depth + 1)))
    assert found == pytest.approx([1, *s.moments(3)], rel=1e-9)


def test_density_of_one_relu_layer_in_closed_form():
    s = spectrum("relu", 1)
    x = np.linspace(0.2, 6, 50)
    # 2 z^2 + (3 - x) z + 1 = 0
    known = np.sqrt(np.maximum(8 - (x - 3) ** 2, 0)) / (4 * np.pi * x)
    assert s.density(x) == pytest.approx(known, abs=1e-13)
    assert s.singular_density(np.sqrt(x)) == pytest.approx(2 * np.sqrt(x) * known, abs=1e-13)
    assert s.density(2.0) == pytest.approx(math.sqrt(7) / (8 * math.pi), rel=1e-13)


def test_density_of_two_orthogonal_relu_layers_is_the_arcsine_law():
    # A product of two free projections of rank 1/2, times 4: arcsine on (0, 4), half the mass.
    x = np.array([0.01, 0.5, 2.0, 3.9])
    known = 0.5 / (np.pi * np.sqrt(x * (4 - x)))
    found = spectrum("relu", 2, weights="orthogonal").density(x)
    assert found == pytest.approx(known, rel=1e-11)


@pytest.mark.parametrize(
    ("act", "depth", "weights", "variance", "lowest", "accuracy"),
    [
        ("relu", 3, "normal", None, 1e-60, 1e-9),
        ("leaky_relu(0.3)", 3, "normal", None, 1e-60, 1e-9),
        ("relu", 4, "orthogonal", None, 1e-60, 1e-9),
        ("tanh", 3, "normal", 0.5, 1e-60, 1e-8),
        ("tanh", 3, "orthogonal", 1.0, 1e-60, 1e-8),
        ("erf", 2, "normal", 0.5, 1e-60, 1e-8),
        ("softplus", 2, "normal", 1.0, 1e-60, 1e-8),
        ("elu", 3, "normal", 1.0, 1e-60, 1e-8),
    ],
)
def test_mass_and_moments_of_densities(act, depth, weights, variance, lowest, accuracy):
    s = spectrum(act, depth, weights=weights, variance=variance)
    known = [1 - s.atom, *s.moments(3)]
    assert integrals(s, range(4), lowest) == pytest.approx(known, rel=accuracy)


def test_density_beside_an_atom_is_a_root_of_its_cubic():
    s = spectrum("hardtanh", 3, 1.0, weights="orthogonal", variance=0.3)
    with mp.workdps(30):
        p = mp.erf(1 / mp.sqrt(2 * mp.mpf(0.3)))
        for x in map(mp.mpf, (1e-6, 0.01, 0.2, 0.39, 0.41, 0.7, 0.9999)):
            # (z + p)^3 = x z (1 + z)^2
            cubic = [x - 1, 2 * x - 3 * p, x - 3 * p**2, -(p**3)]
            roots = mp.polyroots(cubic, maxsteps=500, extraprec=200)
            known = max(-root.imag for root in roots) / (mp.pi * x)
            assert s.density(float(x)) == pytest.approx(float(known), rel=1e-12, abs=1e-25)


@pytest.mark.parametrize("name", ["gelu", "sin"])
def test_density_of_a_slope_with_zeros(name):
    # phi'^2 ~ x^2 at a zero: the law has P(singular value^2 < x) ~ x^(1/(2 L + 1)) near 0.
    s = spectrum(name, 2, variance=1.0)
    found = integrals(s, range(4), 1e-15)
    assert found[1:] == pytest.approx(s.moments(3), rel=1e-9)
    assert 0 < 1 - found[0] < 3 * 1e-15 ** (1 / 5)


@pytest.mark.parametrize(("weights", "x"), [("normal", 0.05), ("normal", 1.3), ("orthogonal", 0.2)])
def test_density_of_tanh_against_mpmath(weights, x):
    depth, squared = 3, SLOPES["tanh"]
    s = spectrum("tanh", depth, 1.6, weights=weights, variance=0.7)
    with mp.workdps(16):
        root = mp.sqrt(mp.mpf(0.7))

        def transform(u):
            edges = [0, 0.2, 0.5, 1, 1.6, 2.4, 3.5, 5, 8, 12]
            return 2 * mp.quad(
                lambda t: squared(root * t) / (u - squared(root * t)) * mp.npdf(t), edges
            )

        # Beside Newton's own variables: u from the equation in u alone, near what was found.
        gain = mp.mpf(1.6) ** 2

        def equation(u):
            m = transform(u)
            value = (1 + m) * m ** (depth - 1) * (gain * u) ** depth
            return (value if weights == "normal" else value / (1 + m) ** depth) - mp.mpf(x)

        found = s.density(x)
        for start in (0.3 + 0.4j, 0.1 + 0.5j, 0.6 + 0.3j, 0.8 + 0.1j, -0.2 + 0.4j, -0.5 + 0.5j):
            try:
                u = mp.findroot(equation, mp.mpc(start), tol=1e-26)
            except (ValueError, ZeroDivisionError):
                continue
            known = -transform(u).imag / (mp.pi * mp.mpf(x))
            if u.imag > 0 and known > 0:
                break
        else:
            pytest.fail("no root found")
    assert found == pytest.approx(float(known), rel=1e-10)


def test_transform_of_a_mask_on_its_own_support():
    """M(u + i0) has the imaginary part -pi u rho(u), rho the density of phi'^2."""
    u = np.array([1e-12, 1e-4, 0.03, 0.2, 0.5, 0.9, 0.99])
    for variance in (0.3, 40.0):
        # sech(x)^4 = u at two x; sigmoid(x)^2 = u at one.
        x = np.arccosh(u**-0.25)
        density = np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        found = mask(Activation.parse("tanh"), variance, 4).transform(u + 0j)[0].imag
        known = -np.pi * u * 2 * density / (4 * u * np.tanh(x))
        assert found == pytest.approx(known, rel=1e-8, abs=1e-10)
        root = np.sqrt(u)
        x = np.log(root / (1 - root))
        density = np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        found = mask(Activation.parse("softplus"), variance, 4).transform(u + 0j)[0].imag
        known = -np.pi * u * density / (2 * u * (1 - root))
        assert found == pytest.approx(known, rel=1e-8, abs=1e-10)


def test_transform_of_a_mask_that_turns_many_times():
    u, turns = np.array([0.01, 0.3, 0.8, 0.97]), np.arange(-6, 7) * np.pi
    x = np.concatenate([turns + side * np.arccos(np.sqrt(u))[:, None] for side in (-1, 1)], axis=1)
    density = np.exp(-(x**2) / 4) / np.sqrt(4 * np.pi)
    known = -np.pi * u * (density / np.abs(np.sin(2 * x))).sum(axis=1)
    for split, accuracy in ((1, 1e-5), (4, 1e-9)):  # finer panels are what a density asks for next
        found = mask(Activation.parse("sin"), 2.0, split).transform(u + 0j)[0].imag
        assert found == pytest.approx(known, rel=accuracy)


def test_masks_are_refined_until_the_density_stays_the_same():
    relu = mask(Activation.parse("relu"), 1.0)
    at = np.log([0.3, 2.0])

    def law(error):
        return lambda split: FreeProduct(((relu, 2),), True, error(split))

    known = continued(law(lambda split: 0.0), at)
    found = continued(law(lambda split: 1e-5 * split if split < 4 else 0.0), at)
    assert found == pytest.approx(known, rel=1e-13)
    with pytest.raises(ValueError, match="not resolved"):
        continued(law(lambda split: 1e-5 * split), at)


def test_density_far_down_in_a_tail():
    # sin at K = 0.1: four fine and many coarse panels agree where u is at 1e-3 of the law.
    s, x = spectrum("sin", 3, weights="orthogonal", variance=0.1), math.exp(-4.3699)
    assert s.density(x) * x == pytest.approx(1.01597683e-05, rel=1e-7)


def test_density_beyond_edges_and_in_gaps_is_zero():
    s = spectrum("relu", 3)
    assert s.density([s.edge * 1.0000001, 1e6]).tolist() == [0.0, 0.0]
    two = spectrum("leaky_relu(0.1)", 2, 1.0, weights="orthogonal")
    assert two.density([1e-6, 1e-5, 0.9999]).tolist()[:2] == [0.0, 0.0]  # d >= 0.01 in each layer
    exact = spectrum("linear", 4, weights="orthogonal")
    assert exact.density([0.5, 1.0]).tolist() == [0.0, 0.0]


def test_density_near_an_edge_falls_like_a_square_root():
    s = spectrum("gelu", 5, variance=1.0)
    gaps = np.array([1e-4, 1e-6, 1e-8])
    found = s.density(s.edge * (1 - gaps)) / np.sqrt(gaps)
    assert found[1:] == pytest.approx(np.full(2, found[1]), rel=1e-3)


# --- what large matrices do ---------------------------------------------------------------------


def haar(rng, n):
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize(
    ("act", "weights", "sigma_w"),
    [
        ("linear", "normal", 1.0),
        ("relu", "normal", 1.5),
        ("tanh", "normal", 1.3),
        ("relu", "orthogonal", 1.4),
    ],
)
def test_a_drawn_jacobian_follows_the_density(act, weights, sigma_w):
    # Singular values of one matrix scatter by O(1/n) only, but ReLU's share of active units by
    # 1/(2 sqrt(n)) in each layer.
    n, depth, rng = 500, 3, np.random.default_rng(5)
    phi, h, jacobian, variances = Activation.parse(act), np.ones(n), np.eye(n), []
    for _ in range(depth):
        variances.append(sigma_w**2 * float(h @ h) / n)
        w = haar(rng, n) if weights == "orthogonal" else rng.standard_normal((n, n)) / math.sqrt(n)
        z = sigma_w * w @ h
        jacobian = phi.derivative(z)[:, None] * (sigma_w * w @ jacobian)
        h = phi(z)
    squared = np.linalg.svd(jacobian, compute_uv=False) ** 2
    s = spectrum(act, depth, sigma_w, weights=weights, variance=variances)
    nodes, rule = np.polynomial.legendre.leggauss(60)
    allowed = 1 / math.sqrt(n) if act == "relu" else 6 / n
    for x in (0.05, 0.3, 1.0, 2.5):
        half = math.sqrt(s.log_edge - math.log(x)) / 2
        v = half * (nodes + 1)
        at = s.edge * np.exp(-(v**2))
        above = float((s.density(at) * at * 2 * v) @ rule) * half
        assert (squared > x).mean() == pytest.approx(above, abs=allowed)


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
