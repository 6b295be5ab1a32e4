"""Where correlations come to rest, against mpmath and a grid."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from varprop.network import Network
from varprop.theory import predict, variance_map
from varprop.theory.fixed_point import fixed_point

# E phi(u)phi(v) and its derivative in k, both inputs of variance K.
KERNELS = {
    "erf": (
        lambda q, k: 2 / mp.pi * mp.asin(2 * k / (1 + 2 * q)),
        lambda q, k: 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - 4 * k**2),
    ),
    "sin": (
        lambda q, k: mp.exp(-q) * mp.sinh(k),
        lambda q, k: mp.exp(-q) * mp.cosh(k),
    ),
    "cos": (
        lambda q, k: mp.exp(-q) * mp.cosh(k),
        lambda q, k: mp.exp(-q) * mp.sinh(k),
    ),
    "probit": (
        lambda q, k: mp.mpf(1) / 4 + mp.asin(k / (1 + q)) / (2 * mp.pi),
        lambda q, k: 1 / (2 * mp.pi * mp.sqrt((1 + q) ** 2 - k**2)),
    ),
    "sign": (
        lambda q, k: 2 / mp.pi * mp.asin(k / q),
        lambda q, k: 2 / mp.pi / mp.sqrt(q**2 - k**2),
    ),
    "heaviside": (
        lambda q, k: (mp.pi - mp.acos(k / q)) / (2 * mp.pi),
        lambda q, k: 1 / (2 * mp.pi * mp.sqrt(q**2 - k**2)),
    ),
}


@pytest.mark.parametrize(
    ("act", "sigma_w", "sigma_b"),
    [
        ("erf", 2.0, 0.3),
        ("erf", 2.0, 0.0),
        ("erf", 1.04, 0.05),
        ("sin", 2.0, 0.4),
        ("cos", 2.5, 0.1),
        ("probit", 9.0, 0.2),
        ("sign", 1.5, 0.0),
        ("sign", 1.0, 0.7),
        ("heaviside", 2.0, 0.0),
        ("heaviside", 1.0, 0.3),
    ],
)
def test_correlation_against_mpmath(act, sigma_w, sigma_b):
    point = fixed_point(act, sigma_w=sigma_w, sigma_b=sigma_b)
    kernel, slope = KERNELS[act]
    with mp.workdps(30):
        weight, bias = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
        q = mp.findroot(lambda q: bias + weight * kernel(q, q) - q, mp.mpf(point.variance))
        c = mp.findroot(
            lambda c: (bias + weight * kernel(q, c * q)) / q - c,
            (mp.mpf(point.correlation), mp.mpf(point.correlation) - mp.mpf("1e-3")),
            solver="secant",
        )
        exact = float(weight * slope(q, c * q))
    assert point.phase == "chaotic"
    assert point.variance == pytest.approx(float(q), rel=1e-13)
    assert point.correlation == pytest.approx(float(c), abs=1e-11)
    assert point.correlation < 1
    assert point.correlation_slope == pytest.approx(exact, rel=2e-10)
    assert point.xi_c == pytest.approx(-1 / math.log(exact), rel=1e-8)


@pytest.mark.parametrize("above", [1e-2, 1e-4, 1e-6])
def test_just_beyond_the_edge_the_correlation_is_just_below_one(above):
    """erf at sigma_b = 0.3, sigma_w^2 larger than on the edge by a small part."""
    bias = mp.mpf("0.09")
    with mp.workdps(40):
        kernel, slope = KERNELS["erf"]
        edge = mp.findroot(lambda q: bias + kernel(q, q) / slope(q, q) - q, mp.mpf("0.7"))
        sigma_w = float(mp.sqrt(1 / slope(edge, edge) * (1 + mp.mpf(above))))
        weight, sigma_b2 = mp.mpf(sigma_w) ** 2, mp.mpf(0.3) ** 2
        q = mp.findroot(lambda q: sigma_b2 + weight * kernel(q, q) - q, edge)
        start = 3 * mp.mpf(above)
        gap = mp.findroot(
            lambda e: (sigma_b2 + weight * kernel(q, (1 - e) * q)) / q / e - (1 - e) / e,
            (start, start / 2),
            solver="secant",
        )
    point = fixed_point("erf", sigma_w=sigma_w, sigma_b=0.3)
    # chi_1 - 1 carries an error of about 1e-15, and 1 - c is as good as that.
    assert 1 - point.correlation == pytest.approx(float(gap), rel=1e-13 / above, abs=3e-16)


def test_correlation_of_tanh_against_a_grid():
    sigma_w, sigma_b = 2.0, 0.3
    point = fixed_point("tanh", sigma_w=sigma_w, sigma_b=sigma_b)
    z, w = np.polynomial.hermite_e.hermegauss(160)
    w = w / w.sum()
    s, c = math.sqrt(point.variance), point.correlation
    u, v = s * z[:, None], s * (c * z[:, None] + math.sqrt(1 - c * c) * z)
    signal = w @ (np.tanh(u) * np.tanh(v)) @ w
    slope = w @ (np.cosh(u) * np.cosh(v)) ** -2.0 @ w
    assert (sigma_b**2 + sigma_w**2 * signal) / point.variance == pytest.approx(c, abs=1e-9)
    assert sigma_w**2 * slope == pytest.approx(point.correlation_slope, abs=1e-8)


def test_two_inputs_do_come_to_that_correlation():
    for act, sigma_w, sigma_b in (("tanh", 2.0, 0.3), ("relu", 1.0, 0.5), ("sign", 1.0, 0.7)):
        point = fixed_point(act, sigma_w=sigma_w, sigma_b=sigma_b)
        net = Network(300, act=act, sigma_w=sigma_w, sigma_b=sigma_b)
        for start in (-0.9, 0.1, 0.999):
            c = predict(net, correlation=start).correlation
            assert c[-1] == pytest.approx(point.correlation, abs=1e-9)


def test_degree_two_has_an_angle_of_its_own():
    # J_2(t) / (3 pi) = cos t (Cho and Saul 2009)
    point = fixed_point("squared_relu", sigma_w=0.5)
    c = mp.mpf(point.correlation)
    t = mp.acos(c)
    j2 = 3 * mp.sin(t) * c + (mp.pi - t) * (1 + 2 * c**2)
    assert point.variance == 0
    assert float(j2 / (3 * mp.pi)) == pytest.approx(point.correlation, abs=1e-13)


def test_a_gap_below_float64_keeps_its_slope():
    """relu6 at its unit-variance gain: chi_1 - 1 = b e^(1/2) is so small that e is below 1e-14."""
    point = fixed_point("relu6", sigma_w=variance_map("relu6")(1.0) ** -0.5)
    above = point.chi1 - 1
    assert 1e-9 < above < 1e-7
    assert (point.phase, point.correlation) == ("chaotic", math.nextafter(1.0, 0.0))
    # C'(c*) = chi_1 - (3/2) b e^(1/2)
    assert 1 - point.correlation_slope == pytest.approx(above / 2, rel=1e-6)
    assert any("1e-14" in note for note in point.notes)
