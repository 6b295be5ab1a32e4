"""Fixed points against mpmath, all of them, their phases, and what is said where there is none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.network import Network
from varprop.theory import predict, variance_map
from varprop.theory.fixed_point import NoFixedPoint, fixed_point
from varprop.theory.flow import Rest, VarianceFlow

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}

# phi, phi', phi'' for mpmath, written down independently of the formulas in the table.
TWINS = {
    "tanh": (
        mp.tanh,
        lambda x: mp.sech(x) ** 2,
        lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2,
    ),
    "sigmoid": (
        lambda x: 1 / (1 + mp.exp(-x)),
        lambda x: mp.sech(x / 2) ** 2 / 4,
        lambda x: -mp.tanh(x / 2) * mp.sech(x / 2) ** 2 / 4,
    ),
    "silu": (
        lambda x: x / (1 + mp.exp(-x)),
        lambda x: (1 + mp.tanh(x / 2)) / 2 + x * mp.sech(x / 2) ** 2 / 4,
        lambda x: (mp.sech(x / 2) ** 2) * (2 - x * mp.tanh(x / 2)) / 4,
    ),
    "gelu": (
        lambda x: x * mp.ncdf(x),
        lambda x: mp.ncdf(x) + x * mp.npdf(x),
        lambda x: (2 - x * x) * mp.npdf(x),
    ),
    "softplus": (
        lambda x: mp.log1p(mp.exp(x)),
        lambda x: 1 / (1 + mp.exp(-x)),
        lambda x: mp.sech(x / 2) ** 2 / 4,
    ),
    "elu": (
        lambda x: x if x > 0 else mp.expm1(x),
        lambda x: mp.mpf(1) if x > 0 else mp.exp(x),
        lambda x: mp.mpf(0) if x > 0 else mp.exp(x),
    ),
}


def mean(f, k):
    """E f(sqrt(k) z) by tanh-sinh quadrature, split at 0."""
    s = mp.sqrt(k)
    return mp.quad(lambda z: f(s * z) * mp.npdf(z), [-14, -7, -3, 0, 3, 7, 14])


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [
        ("tanh", 1.5, 0.0),
        ("tanh", 0.7, 0.4),
        ("sigmoid", 3.0, 0.5),
        ("silu", 1.3, 0.6),
        ("gelu", 1.2, 0.3),
        ("softplus", 1.2, 0.1),
        ("elu", 1.1, 0.2),
    ],
)
def test_variance_and_slopes_against_mpmath(name, sigma_w, sigma_b):
    point = fixed_point(name, sigma_w=sigma_w, sigma_b=sigma_b)
    f, slope, bend = TWINS[name]
    with mp.workdps(28):
        weight, bias = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
        near = mp.mpf(point.variance)
        k = mp.findroot(
            lambda k: bias + weight * mean(lambda x: f(x) ** 2, k) - k,
            (near, near * mp.mpf("1.0001")),
            solver="secant",
            tol=mp.mpf(10) ** -40,
        )
        chi1 = weight * mean(lambda x: slope(x) ** 2, k)
        chi_k = chi1 + weight * mean(lambda x: f(x) * bend(x), k)
        xi_g, xi_k = -1 / mp.log(chi1), -1 / mp.log(chi_k)
    assert point.variance == pytest.approx(float(k), rel=1e-13)
    assert point.chi1 == pytest.approx(float(chi1), rel=1e-12)
    assert point.chi_k == pytest.approx(float(chi_k), rel=1e-11)
    assert point.xi_g == pytest.approx(float(xi_g), rel=1e-10)
    assert point.xi_k == pytest.approx(float(xi_k), rel=1e-10)
    assert point.phase == ("chaotic" if chi1 > 1 else "ordered")


@pytest.mark.parametrize("above", [1e-2, 1e-4, 1e-6])
def test_digits_near_the_critical_point(above):
    """erf just beyond sigma_w^2 = pi/4, where an error of 1e-15 in Q is one of 1e-15/above in K."""
    sigma_w = math.sqrt(math.pi / 4 * (1 + above))
    point = fixed_point("erf", sigma_w=sigma_w)
    with mp.workdps(40):
        weight = mp.mpf(sigma_w) ** 2
        near = mp.mpf(point.variance)
        k = mp.findroot(
            lambda k: weight * 2 / mp.pi * mp.asin(2 * k / (1 + 2 * k)) / k - 1,
            (near, near * mp.mpf("1.001")),
            solver="secant",
        )
    # 40 digits are used from |chi_K - 1| = 1e-3 on
    assert point.variance == pytest.approx(float(k), rel=1e-12 if above == 1e-2 else 1e-13, abs=0)
    assert point.chi1 > 1 > point.chi_k


@pytest.mark.parametrize("act", ["erf", "tanh"])
def test_what_float64_leaves_wrong_near_the_critical_point_is_mended(act):
    weight = math.pi / 4 if act == "erf" else 1.0
    flow = VarianceFlow(Activation.parse(act), math.sqrt(weight * (1 + 1e-6)), 0.0)
    right = flow.sharpened(flow.rests[-1])
    wrong = Rest(right.variance * (1 + 3e-8), right.chi_k, right.stability)
    assert flow.sharpened(wrong).variance == pytest.approx(right.variance, rel=1e-13, abs=0)


def test_the_variance_is_the_depth_limit_of_predict():
    for act in activations():
        try:
            point = fixed_point(act, sigma_w=1.2, sigma_b=0.3)
        except NoFixedPoint:
            k = predict(Network(500, act=act, sigma_w=1.2, sigma_b=0.3)).log_variance
            assert k[-1] > k[0] + 10
            continue
        k = predict(Network(2000, act=act, sigma_w=1.2, sigma_b=0.3)).variance[-1]
        assert k == pytest.approx(point.variance, rel=1e-9)


def test_published_kumar():
    row = PUBLISHED["kumar_sigmoid"]
    point = fixed_point("sigmoid", sigma_w=row["value"])
    assert point.variance == pytest.approx(4.534976, abs=5e-7)
    assert point.chi1 == pytest.approx(0.353810, abs=5e-7)
    assert point.phase == "ordered"


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize(("act", "factor"), [("relu", 0.5), ("linear", 1.0), ("abs", 1.0)])
@pytest.mark.parametrize("sigma_b", [1e-100, 0.1, 1.0, 1e100])
def test_degree_one_with_biases(act, factor, sigma_b):
    weight = 0.9 / factor
    point = fixed_point(act, sigma_w=math.sqrt(weight), sigma_b=sigma_b)
    assert point.variance == pytest.approx(sigma_b**2 / (1 - 0.9), rel=1e-12)
    assert point.chi1 == pytest.approx(0.9, rel=1e-14)
    assert point.chi_k == pytest.approx(0.9, rel=1e-14)
    assert point.correlation == 1.0
    assert point.xi_c == point.xi_g == pytest.approx(-1 / math.log(0.9), rel=1e-12)
    assert (point.phase, point.others) == ("ordered", ())


@pytest.mark.parametrize("act", ["relu", "leaky_relu(0.3)", "abs", "linear"])
def test_scale_invariance_keeps_every_variance(act):
    sigma_w = variance_map(act)(1.0) ** -0.5
    point = fixed_point(act, sigma_w=sigma_w)
    assert point.stability == "neutral"
    assert point.variance == pytest.approx(sigma_w**2, rel=1e-15)
    assert point.phase == "critical"
    assert point.xi_k == point.xi_g == point.xi_c == math.inf
    assert point.correlation == (None if act == "linear" else 1.0)
    assert any("every K is a fixed point" in note for note in point.notes)


@pytest.mark.parametrize("sigma_w", [1.5, 3.0])
def test_degree_one_that_grows_says_how_fast(sigma_w):
    with pytest.raises(NoFixedPoint, match="grows without bound") as caught:
        fixed_point("relu", sigma_w=sigma_w, sigma_b=0.2)
    assert f"{sigma_w**2 / 2:.6g} per layer" in caught.value.growth
    assert caught.value.others == ()


def test_growth_that_is_no_exponential():
    with pytest.raises(NoFixedPoint, match="more slowly than exponentially"):
        fixed_point("relu", sigma_w=2**0.5, sigma_b=0.1)
    with pytest.raises(NoFixedPoint, match="faster than exponentially") as caught:
        fixed_point("squared_relu", sigma_w=1.0, sigma_b=0.1)
    # K = 0.01 + 1.5 K^2
    roots = [(1 - math.sqrt(1 - 0.06)) / 3, (1 + math.sqrt(1 - 0.06)) / 3]
    assert [rest.variance for rest in caught.value.others] == pytest.approx(roots, rel=1e-13)
    assert [rest.stability for rest in caught.value.others] == ["stable", "unstable"]
    with pytest.raises(NoFixedPoint, match="can be computed"):
        fixed_point("exp(x)", sigma_w=1.0)


def test_all_roots_of_an_exponential():
    # K = s e^(2K) has the two branches of Lambert's W.
    weight = 0.09
    flow = VarianceFlow(Activation.parse("exp(x)"), math.sqrt(weight), 0.0)
    exact = [float(-mp.lambertw(-2 * weight, branch).real / 2) for branch in (0, -1)]
    assert [rest.variance for rest in flow.rests] == pytest.approx(exact, rel=1e-12)
    assert [rest.chi_k for rest in flow.rests] == pytest.approx([2 * k for k in exact], rel=1e-11)


def gelu_excess(k, weight, bias):
    asin = np.arcsin(k / (1 + k))
    q = k / 4 + k * asin / (2 * np.pi) + k**2 / (np.pi * (1 + k) * np.sqrt(1 + 2 * k))
    return bias + weight * q - k


@pytest.mark.parametrize("above", [0.0, 5e-7, 1e-6, 3e-6, 1e-4, -1e-6])
def test_every_fixed_point_of_gelu_near_its_half_stable_one(above):
    k_half, bias, weight = PUBLISHED["gelu_half_stable"]["value"]
    weight = weight + above
    point = fixed_point("gelu", sigma_w=math.sqrt(weight), sigma_b=math.sqrt(bias))
    rests = sorted([point.variance, *(rest.variance for rest in point.others)])
    if above == 0:
        assert rests[1] == pytest.approx(k_half, rel=1e-8)
        assert [rest.stability for rest in point.others] == ["half-stable"]
        rests.pop(1)
    ks = np.linspace(1.0, 60.0, 2_000_000)
    excess = gelu_excess(ks, weight, bias)
    crossings = ks[:-1][np.sign(excess[:-1]) != np.sign(excess[1:])]
    if above == 0:
        crossings = crossings[np.abs(crossings - k_half) > 1e-2]
    assert rests == pytest.approx(crossings.tolist(), abs=4e-5)
    assert len(rests) == (3 if above in (5e-7, 1e-6, 3e-6) else 1)


def test_the_one_reached_lies_in_the_basin_of_the_input():
    # Near C_W = 2.1 GELU has K = 0, which attracts, and a higher point, which repels.
    low = fixed_point("gelu", sigma_w=math.sqrt(2.1))
    assert (low.variance, low.stability) == (0.0, "stable")
    (high,) = low.others
    assert high.stability == "unstable"
    assert high.chi_k > 1
    # An input of mean square 1 begins at K = sigma_w^2: beyond that point it grows for ever.
    with pytest.raises(NoFixedPoint) as caught:
        fixed_point("gelu", sigma_w=math.sqrt(2.3))
    assert caught.value.others[1].variance < 2.3


def test_tangent_from_below_is_reached():
    # SiLU's half-stable point attracts from below, and an input of mean square 1 begins there.
    from varprop.theory.critical import critical

    edge = critical("silu")
    point = fixed_point("silu", sigma_w=edge.sigma_w, sigma_b=edge.sigma_b)
    assert point.stability == "half-stable"
    assert point.variance == pytest.approx(edge.variance, rel=1e-7)
    # And just above it another one attracts, where chi_K = 1 - 8e-7.
    assert [rest.stability for rest in point.others] == ["stable"]
    assert point.others[0].variance == pytest.approx(14.59310498, rel=1e-8)
    assert (point.phase, point.xi_k, point.chi_k) == ("critical", math.inf, 1.0)


def test_zero_as_a_fixed_point():
    ordered, critical, chaotic = (fixed_point("tanh", sigma_w=w) for w in (0.9, 1.0, 1.1))
    assert ordered.variance == critical.variance == 0.0
    assert [p.phase for p in (ordered, critical, chaotic)] == ["ordered", "critical", "chaotic"]
    assert ordered.chi1 == ordered.chi_k == pytest.approx(0.81, rel=1e-14)
    assert (critical.xi_k, critical.xi_g) == (math.inf, math.inf)
    assert ordered.correlation is critical.correlation is None
    assert ordered.xi_c is None
    assert any("angle" in note for note in ordered.notes)
    assert chaotic.others[0].variance == 0.0
    assert chaotic.others[0].chi_k == pytest.approx(1.21, rel=1e-14)
    assert chaotic.others[0].stability == "unstable"


def test_the_angle_freezes_where_it_is_said_to():
    for sigma_w in (0.9, 1.0):
        c = predict(Network(1000, act="tanh", sigma_w=sigma_w), correlation=0.3).correlation
        assert abs(c[-1] - c[500]) < 1e-4
        assert 0.2 < c[-1] < 0.3


@pytest.mark.parametrize("act", ["relu", "elu(2.0)", "selu", "relu6"])
def test_a_corner_at_zero_turns_all_inputs_parallel(act):
    point = fixed_point(act, sigma_w=0.5)
    assert (point.variance, point.correlation, point.xi_c) == (0.0, 1.0, math.inf)


# --- phases, singular activations, errors -------------------------------------------------------


@pytest.mark.parametrize("off", [1e-3, 1e-6, 1e-8])
def test_phases_on_both_sides_of_the_edge(off):
    k, weight = PUBLISHED["tanh_eoc_0p05"]["value"]
    sigma_b = math.sqrt(0.05)
    for sign, phase in ((-1, "ordered"), (1, "chaotic")):
        point = fixed_point("tanh", sigma_w=math.sqrt(weight * (1 + sign * off)), sigma_b=sigma_b)
        assert point.phase == phase
        assert point.variance == pytest.approx(k, rel=3 * off)
        assert (point.xi_g > 0) == (phase == "ordered")
        assert (point.correlation < 1) == (phase == "chaotic")


@pytest.mark.parametrize("act", ["sign", "heaviside"])
def test_jumps_have_no_gradient_but_a_phase(act):
    point = fixed_point(act, sigma_w=1.3, sigma_b=0.2)
    assert (point.chi1, point.xi_g, point.phase) == (None, None, "chaotic")
    assert (point.chi_k, point.xi_k) == (0.0, 0.0)
    assert any("jumps" in note for note in point.notes)
    assert fixed_point("sign", sigma_w=1.3).others[0].chi_k == math.inf


@pytest.mark.parametrize("act", activations(), ids=str)
@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(0.5, 0.0), (1.3, 0.4), (8.0, 0.0)])
def test_every_activation_answers(act, sigma_w, sigma_b):
    try:
        point = fixed_point(act, sigma_w=sigma_w, sigma_b=sigma_b)
    except NoFixedPoint as error:
        assert error.growth  # noqa: PT017
        return
    q = variance_map(act)
    for k in (point.variance, *(rest.variance for rest in point.others)):
        assert sigma_b**2 + sigma_w**2 * q(k) == pytest.approx(k, rel=1e-12, abs=1e-300)
    assert point.stability == "stable"
    assert -0.5 <= point.chi_k < 1 + 1e-12
    assert all(len(line) <= 80 for line in str(point).splitlines())
    assert point.phase in str(point)


def test_callables_and_formulas():
    tanh = Activation.parse("tanh")
    for other in ("tanh(x)", (np.tanh, tanh.derivative)):
        ours = fixed_point(other, sigma_w=1.4, sigma_b=0.2)
        theirs = fixed_point(tanh, sigma_w=1.4, sigma_b=0.2)
        assert ours.variance == pytest.approx(theirs.variance, rel=1e-13)
        assert ours.correlation == pytest.approx(theirs.correlation, rel=1e-9)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, 1e200])
def test_bad_weights(bad):
    with pytest.raises(ValueError, match="sigma_w must be from 1e-150 to 1e"):
        fixed_point("tanh", sigma_w=bad)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, 1e-200])
def test_bad_biases(bad):
    with pytest.raises(ValueError, match="sigma_b must be 0 or from 1e-150"):
        fixed_point("tanh", sigma_w=1.0, sigma_b=bad)


def test_bad_kinds():
    with pytest.raises(ValueError, match="unknown activation"):
        fixed_point("tanhh", sigma_w=1.0)
    for bad in ("1", True, None):
        with pytest.raises(TypeError, match="sigma_w must be a number"):
            fixed_point("tanh", sigma_w=bad)
