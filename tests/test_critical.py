"""Critical points against mpmath and the literature."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

import varprop
from varprop.activation import Activation, activations
from varprop.theory import gradient_map, variance_map
from varprop.theory.critical import critical
from varprop.theory.edge import edge
from varprop.theory.fixed_point import NoFixedPoint, fixed_point

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}


@pytest.mark.parametrize(
    ("act", "sigma_b2", "row"),
    [("tanh", 0.05, "tanh_eoc_0p05"), ("tanh", 2.01e-5, "tanh_eoc_2e-5")],
)
def test_published_edges_of_tanh(act, sigma_b2, row):
    point = critical(act, sigma_b=math.sqrt(sigma_b2))
    row = PUBLISHED[row]
    assert [point.variance, point.sigma_w**2] == pytest.approx(row["value"], rel=row["tol"])


def test_published_edge_of_elu():
    row = PUBLISHED["elu_eoc_0p2"]
    point = critical("elu", sigma_b=0.2)
    assert [point.variance, point.sigma_w] == pytest.approx(row["value"], rel=row["tol"])


def test_published_half_stable_point_of_gelu():
    row = PUBLISHED["gelu_half_stable"]
    point = critical("gelu")
    found = [point.variance, point.sigma_b**2, point.sigma_w**2]
    assert found == pytest.approx(row["value"], rel=row["tol"])
    assert point.kind == "half-stable"
    assert point.variance == pytest.approx((3 + math.sqrt(17)) / 2, rel=1e-12)


def test_published_critical_slopes():
    row = PUBLISHED["critical_slopes"]
    found = [critical(name).sigma_w ** 2 for name in ("tanh", "sin", "erf")]
    assert found == pytest.approx(row["value"][:3], rel=row["tol"])
    # GELU's and SiLU's are their slopes at 0; K = 0 repels there, so it is not where they rest.
    for name, value in zip(("silu", "gelu"), row["value"][3:], strict=True):
        assert 1 / gradient_map(name)(0.0) == pytest.approx(value, rel=row["tol"])
        assert critical(name, sigma_b=0.0).kind == "none"
        assert "K = 0 repels" in critical(name, sigma_b=0.0).because


KINDS = {
    "linear": ("scale-invariant", 1.0, 0.0),
    "relu": ("scale-invariant", 2.0, 0.0),
    "leaky_relu": ("scale-invariant", 2 / 1.0001, 0.0),
    "abs": ("scale-invariant", 1.0, 0.0),
    "elu": ("zero", 1.0, 0.0),
    "selu": ("zero", 2 / (1.7580993408473768**2 + 1.0507009873554805**2), 0.0),
    "celu": ("zero", 1.0, 0.0),
    "relu6": ("zero", 2.0, 0.0),
    "squared_relu": ("none", None, None),
    "hardtanh": ("zero", 1.0, 0.0),
    "hardsigmoid": ("edge only", None, 0.0),
    "hardswish": ("half-stable", None, None),
    "tanh": ("zero", 1.0, 0.0),
    "sigmoid": ("edge only", None, 0.0),
    "softplus": ("none", None, None),
    "softsign": ("zero", 1.0, 0.0),
    "arctan": ("zero", 1.0, 0.0),
    "erf": ("zero", math.pi / 4, 0.0),
    "probit": ("edge only", None, 0.0),
    "sin": ("zero", 1.0, 0.0),
    "cos": ("edge only", None, 0.0),
    "gaussian": ("edge only", None, 0.0),
    "sign": ("none", None, None),
    "heaviside": ("none", None, None),
    "gelu": ("half-stable", None, None),
    "gelu_tanh": ("half-stable", None, None),
    "silu": ("half-stable", None, None),
    "mish": ("half-stable", None, None),
}


def test_the_table_of_kinds_is_complete():
    assert {act.name for act in activations()} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    kind, weight, sigma_b = KINDS[name]
    point = critical(name)
    assert point.kind == kind
    assert point.because
    if kind == "none":
        assert point.sigma_w is point.sigma_b is point.variance is point.rate is None
        with pytest.raises(ValueError, match=f"{name} has no critical point to simulate"):
            _ = point.scheme
        assert f"{name}: none, because" in str(point)
        return
    if weight is not None:
        assert point.sigma_w**2 == pytest.approx(weight, rel=1e-12)
    if sigma_b is not None:
        assert point.sigma_b == sigma_b
    q, v = variance_map(name), gradient_map(name)
    assert point.sigma_w**2 * v(point.variance) == pytest.approx(1.0, rel=1e-12)
    k = point.sigma_b**2 + point.sigma_w**2 * q(point.variance)
    assert k == pytest.approx(point.variance, rel=1e-12)
    if kind == "half-stable":
        assert point.sigma_w**2 * q.slope(point.variance) == pytest.approx(1.0, rel=1e-11)


@pytest.mark.parametrize("name", [name for name, row in KINDS.items() if row[0] != "none"])
def test_fixed_point_finds_the_critical_point_again(name):
    point = critical(name)
    if name == "mish":  # its half-stable point attracts from below, and K^1 = 2.1 lies above
        with pytest.raises(NoFixedPoint) as caught:
            fixed_point(name, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
        assert caught.value.others[0].variance == pytest.approx(point.variance, rel=1e-8)
        assert "grows without bound" in point.because
        return
    found = fixed_point(name, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    everything = [found.variance, *(rest.variance for rest in found.others)]
    assert min(abs(k - point.variance) for k in everything) <= 1e-8 * (1 + point.variance)
    if found.variance == pytest.approx(point.variance, rel=1e-8, abs=1e-300):
        assert found.phase == "critical"
        assert "comes to it" in point.because or point.variance == 0 or "Every K" in point.because
    else:  # GELU: an input of mean square 1 stops at a stable point below the half-stable one
        assert name in ("gelu", "gelu_tanh")
        assert found.phase == "ordered"
        assert f"goes to K = {found.variance:.6g} instead" in point.because


def test_which_criticality_is_missing_is_said():
    assert "chi_K = 0.06" in critical("sigmoid").because
    assert "no edge of chaos at any sigma_b" in critical("softplus").because
    assert "chi_1 < 1 at every fixed point" in critical("softplus").because
    assert "E phi'^2 is infinite" in critical("sign").because
    assert "no slope" in critical("squared_relu").because
    assert "repels" in critical("squared_relu", sigma_b=0.1).because
    assert "repels" in critical("gelu", sigma_b=0.1).because
    assert "adds sigma_b^2 = 0.01" in critical("relu", sigma_b=0.1).because


@pytest.mark.parametrize("name", ["relu", "tanh", "erf", "sigmoid", "cos"])
def test_no_biases_asked_for_is_the_canonical_point_of_many(name):
    ours, canonical = critical(name, sigma_b=0.0), critical(name)
    assert (ours.kind, ours.sigma_w, ours.variance) == (
        canonical.kind,
        canonical.sigma_w,
        canonical.variance,
    )


@pytest.mark.parametrize("act", ["softplus", "sigmoid", "elu(2.0)", "hardswish", "cos", "x**3"])
def test_the_margin_is_that_of_the_maps(act):
    """K V - Q without its part of degree 1, where plain subtraction still has digits."""
    for k in (0.3, 0.99, 1.0, 7.0, 200.0):
        q, v = variance_map(act)(k), gradient_map(act)(k)
        margin = edge(Activation.parse(act)).margin(k)
        assert margin == pytest.approx(k * v - q, abs=1e-12 * (k * v + q))


# --- edges with biases by mpmath ----------------------------------------------------------------


def asin_edge(sigma_b2, near):
    """erf: the root of K = sigma_b^2 + Q/V."""
    v = lambda k: 4 / (mp.pi * mp.sqrt(1 + 4 * k))  # noqa: E731
    q = lambda k: 2 / mp.pi * mp.asin(2 * k / (1 + 2 * k))  # noqa: E731
    missing = lambda k: (k - q(k) / v(k)) / sigma_b2 - 1  # noqa: E731
    k = mp.findroot(missing, (near, near * mp.mpf("1.001")), solver="secant")
    return k, 1 / v(k)


@pytest.mark.parametrize("sigma_b", [1e-8, 1e-6, 1e-4, 1e-2, 0.3, 1.0, 30.0, 1e4])
def test_the_edge_of_erf_at_any_bias(sigma_b):
    point = critical("erf", sigma_b=sigma_b)
    with mp.workdps(60):
        k, weight = asin_edge(mp.mpf(sigma_b) ** 2, mp.mpf(point.variance))
    tolerance = 1e-12 if sigma_b >= 1e-5 else 1e-8  # K V - Q is K^3: digits are lost below
    assert point.variance == pytest.approx(float(k), rel=tolerance)
    assert point.sigma_w**2 == pytest.approx(float(weight), rel=1e-12)
    assert (point.kind, point.sigma_b) == ("edge only", sigma_b)


@pytest.mark.parametrize("sigma_b", [1e-5, 1e-3, 0.1, 2.0])
def test_the_edge_of_sin(sigma_b):
    # Q = (1 - e)/2, V = (1 + e)/2 with e = exp(-2K), so K = sigma_b^2 + tanh K.
    with mp.workdps(50):
        bias = mp.mpf(sigma_b) ** 2
        start = (3 * bias) ** (mp.mpf(1) / 3) if sigma_b < 1 else 1 + bias
        k = mp.findroot(lambda k: k - mp.tanh(k) - bias, start)
        weight = 2 / (1 + mp.exp(-2 * k))
    point = critical("sin", sigma_b=sigma_b)
    assert point.variance == pytest.approx(float(k), rel=1e-11)
    assert point.sigma_w**2 == pytest.approx(float(weight), rel=1e-12)


def test_edges_without_biases_in_closed_form():
    # cos: K = coth K; exp(-x^2): K = (1 + 4K)/(4K), sigma_w^2 = (1 + 4K)^(3/2)/(4K).
    with mp.workdps(30):
        k = mp.findroot(lambda k: k - mp.coth(k), mp.mpf("1.2"))
    assert critical("cos").variance == pytest.approx(float(k), rel=1e-13)
    k = (1 + math.sqrt(2)) / 2
    point = critical("gaussian")
    assert point.variance == pytest.approx(k, rel=1e-13)
    assert point.sigma_w**2 == pytest.approx((1 + 4 * k) ** 1.5 / (4 * k), rel=1e-13)


def test_half_stable_point_of_silu_by_mpmath():
    """E phi phi'' = 0 at chi_1 = 1, with phi'' written down."""

    def mean(f, k):
        s = mp.sqrt(k)
        return mp.quad(lambda z: f(s * z) * mp.npdf(z), [-13, -6, -2, 0, 2, 6, 13])

    def f(x):
        return x * (1 + mp.tanh(x / 2)) / 2

    def slope(x):
        return (1 + mp.tanh(x / 2)) / 2 + x * mp.sech(x / 2) ** 2 / 4

    def bend(x):
        return mp.sech(x / 2) ** 2 * (2 - x * mp.tanh(x / 2)) / 4

    point = critical("silu")
    with mp.workdps(22):
        k = mp.findroot(
            lambda k: mean(lambda x: f(x) * bend(x), k),
            (mp.mpf(point.variance), mp.mpf(point.variance) * mp.mpf("1.001")),
            solver="secant",
        )
        weight = 1 / mean(lambda x: slope(x) ** 2, k)
        bias = k - weight * mean(lambda x: f(x) ** 2, k)
    assert point.variance == pytest.approx(float(k), rel=1e-10)
    assert point.sigma_w**2 == pytest.approx(float(weight), rel=1e-12)
    assert point.sigma_b**2 == pytest.approx(float(bias), rel=1e-11)


# --- use, callables, errors ---------------------------------------------------------------------


def test_a_critical_point_can_be_simulated():
    point = critical("gelu")
    p = varprop.simulate(
        depth=5, width=200, act="gelu", scheme=point.scheme, sigma_b=point.sigma_b, trials=2
    )
    assert p.network.sigma_w[0] == pytest.approx(point.sigma_w, rel=1e-15)
    assert p.network.bias_std[0] == point.sigma_b


def test_callables_have_critical_points():
    tanh = Activation.parse("tanh")
    ours = critical((np.tanh, tanh.derivative), sigma_b=0.2)
    theirs = critical("tanh", sigma_b=0.2)
    assert ours.sigma_w == pytest.approx(theirs.sigma_w, rel=1e-12)
    assert ours.rate.correlation.law == "1/l"
    assert ours.rate.correlation.coefficient is None
    zero = critical((np.tanh, tanh.derivative))
    assert (zero.kind, zero.sigma_w) == ("zero", 1.0)
    assert zero.rate.variance.coefficient is None


@pytest.mark.parametrize(
    "act", ["x*sigmoid(1.702*x)", "exp(x)", "x**3", "sqrt(1 + x**2)", "x + sin(x)"]
)
def test_formulas_answer(act):
    point = critical(act)
    assert point.kind in ("half-stable", "none", "zero", "edge only")
    if act == "x*sigmoid(1.702*x)":  # SiLU with its axis scaled
        assert point.variance == pytest.approx(critical("silu").variance / 1.702**2, rel=1e-9)
        assert point.sigma_w == pytest.approx(critical("silu").sigma_w, rel=1e-12)


@pytest.mark.parametrize("bad", [-0.1, 1e-9, 1e7, math.nan, math.inf])
def test_bad_biases(bad):
    with pytest.raises(ValueError, match="sigma_b must be 0 or from 1e-08 to 1e"):
        critical("tanh", sigma_b=bad)


def test_bad_kinds():
    with pytest.raises(TypeError, match="sigma_b must be a number or None"):
        critical("tanh", sigma_b="0.1")
    with pytest.raises(ValueError, match="unknown activation"):
        critical("thanh")


def test_a_slope_that_vanishes_at_small_variances():
    """E phi'^2 underflows below K = 1e-6: the edge is sought where it can be computed."""
    found = critical("max(x, 0.5)")
    assert found.kind == "none"
    assert "K V(K) < Q(K) for every K" in found.because
