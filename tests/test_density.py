"""The densities of a Jacobian's singular values, and what large drawn matrices do."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation
from varprop.theory.spectra.density import density as continued
from varprop.theory.spectra.mask import mask
from varprop.theory.spectra.product import FreeProduct
from varprop.theory.spectrum import (
    fuss_catalan_density,
    spectrum,
)

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
    depth = 3

    def squared(x):
        return mp.sech(x) ** 4

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


def test_the_mass_of_layers_of_different_variance():
    s = spectrum("hardtanh", 3, 1.1, variance=[0.4, 2.0, 2.0])
    assert s.atom + integrals(s, [0], 1e-60)[0] == pytest.approx(1, abs=1e-9)
