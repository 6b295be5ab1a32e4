"""How critical points are approached, against the maps themselves, mpmath and the literature."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from varprop.activation import Activation
from varprop.network import Network
from varprop.theory import gradient_map, predict, variance_map
from varprop.theory.critical import critical
from varprop.theory.fixed_point import fixed_point
from varprop.theory.pair import correlation_map
from varprop.theory.rate import Approach, _power


@pytest.mark.parametrize(
    ("act", "law", "coefficient"),
    [
        ("tanh", "1/l", 1 / 2),
        ("sin", "1/l", 1.0),
        ("arctan", "1/l", 1 / 2),
        ("erf", "1/l", 1 / 2),
        ("elu", "1/l^2", 2 * math.pi),
        ("celu(2.0)", "1/l^2", 8 * math.pi),
        ("softsign", "1/l^2", math.pi / 8),
        ("relu6", "1/ln l", 18.0),
        ("hardtanh", "1/ln l", 0.5),
        ("x - x**3/10", "1/l", 1 / 0.6),
        ("x + x**2/4 - x**3", "1/l", 1 / 5.8125),
        ("x/(1 + x**4)", "slower than 1/l", None),
    ],
)
def test_how_variances_fall_to_zero(act, law, coefficient):
    approach = critical(act).rate.variance
    assert approach.law == law
    assert approach.coefficient == (
        None if coefficient is None else pytest.approx(coefficient, rel=1e-12)
    )


@pytest.mark.parametrize("act", ["tanh", "sin", "erf", "elu", "selu", "softsign", "log1p(abs(x))"])
def test_the_fall_is_that_of_the_map(act):
    point = critical(act)
    power = 0.5 if point.rate.variance.law == "1/l^2" else 1.0
    k = np.array([1e-6, 4e-6])
    b = (1 - point.sigma_w**2 * variance_map(act)(k) / k) / k**power
    # b + c k^(1/2) or b + c k: the next term is removed.
    b = (2**power * 2**power * b[0] - b[1]) / (4**power - 1)
    coefficient = 1 / b if power == 1 else 4 / b**2
    assert coefficient == pytest.approx(point.rate.variance.coefficient, rel=1e-4)


@pytest.mark.parametrize(
    ("act", "sigma_b"),
    [
        ("tanh", 0.2),
        ("elu", 0.2),
        ("sigmoid", 0.1),
        ("cos", 0.0),
        ("erf", 1.0),
        ("relu", 0.0),
        ("leaky_relu(0.2)", 0.0),
        ("abs", 0.0),
        ("hardtanh", 0.3),
        ("hardsigmoid", 0.0),
        ("elu(2.0)", 0.3),
        ("relu6", 0.4),
        ("hardswish", 1.0),
    ],
)
def test_how_correlations_come_to_one(act, sigma_b):
    """1 - c' = e - b e^(1+p), measured on the correlation map."""
    point = critical(act, sigma_b=sigma_b)
    power = 0.5 if point.rate.correlation.law == "1/l^2" else 1.0
    e = np.array([1e-7, 4e-7]) if power == 0.5 else np.array([1e-4, 4e-4])
    after = correlation_map(act).log_gap(
        np.log(e), point.variance, sigma_w=point.sigma_w, sigma_b=point.sigma_b
    )
    b = -np.expm1(after - np.log(e)) / e**power
    # The next term is smaller by e, or by its root where phi' or phi'' jumps.
    ratio = 2 if Activation.parse(act).kinks else 4
    b = (ratio * b[0] - b[1]) / (ratio - 1)
    coefficient = 1 / b if power == 1 else 4 / b**2
    assert coefficient == pytest.approx(point.rate.correlation.coefficient, rel=2e-3)


@pytest.mark.parametrize(("act", "slopes"), [("relu", (0, 1)), ("leaky_relu(0.2)", (0.2, 1))])
def test_the_known_rate_of_rectifiers(act, slopes):
    a = slopes[0]
    known = 9 * math.pi**2 / 2 * ((1 + a * a) / (1 - a) ** 2) ** 2
    rate = critical(act).rate
    assert rate.correlation.law == "1/l^2"
    assert rate.correlation.coefficient == pytest.approx(known, rel=1e-12)
    assert rate.variance.law == "constant"
    assert critical("linear").rate.correlation.law == "constant"


def test_the_known_rate_on_a_smooth_edge():
    """beta = 2 V/(K E phi''^2), with tanh'' written down (Hayou et al., 2019)."""
    point = critical("tanh", sigma_b=0.2)
    with mp.workdps(20):
        k = mp.mpf(point.variance)

        def mean(f):
            return mp.quad(lambda z: f(mp.sqrt(k) * z) * mp.npdf(z), [-12, -4, 0, 4, 12])

        v = mean(lambda x: mp.sech(x) ** 4)
        bend = mean(lambda x: 4 * mp.tanh(x) ** 2 * mp.sech(x) ** 4)
        beta = float(2 * v / (k * bend))
    assert point.rate.correlation.law == "1/l"
    assert point.rate.correlation.coefficient == pytest.approx(beta, rel=1e-12)
    assert point.rate.variance.law == "exponential"
    found = fixed_point("tanh", sigma_w=point.sigma_w, sigma_b=0.2)
    assert point.rate.variance.coefficient == pytest.approx(found.xi_k, rel=1e-9)


def test_rates_at_a_half_stable_point():
    """Both approach at once from the attracting side: followed for a long way with mish."""
    point = critical("mish")
    assert "from below" in point.because
    rate = point.rate
    depth = 20000
    net = Network(depth, act="mish", sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    start = (point.variance - 0.02 - point.sigma_b**2) / point.sigma_w**2
    p = predict(net, start)
    off = point.variance - p.variance[[depth // 2 - 1, depth - 1]]
    # 1/d grows by 1/coefficient per layer, but for a part that falls like (ln l)/l.
    growth = (1 / off[1] - 1 / off[0]) / (depth / 2)
    assert rate.variance.law == "1/l"
    assert 1 / growth == pytest.approx(rate.variance.coefficient, rel=5e-3)
    # chi_1 - 1 falls as s/l, and with s < -1 correlations fall as l^s.
    chi = point.sigma_w**2 * gradient_map("mish")(p.variance[-1]) - 1
    assert rate.correlation.law == "l^-p"
    assert -chi / off[1] * rate.variance.coefficient == pytest.approx(
        rate.correlation.coefficient, rel=1e-2
    )


def test_rates_of_gelu_follow_from_its_closed_forms():
    with mp.workdps(30):
        k = (3 + mp.sqrt(17)) / 2
        asin = lambda q: mp.asin(q / (1 + q))  # noqa: E731

        def q(s):
            return s / 4 + s * asin(s) / (2 * mp.pi) + s**2 / (mp.pi * (1 + s) * mp.sqrt(1 + 2 * s))

        def v(s):
            tail = 1 / (1 + 2 * s) + (1 - s) / (1 + s) + 1
            return (
                mp.mpf(1) / 4 + asin(s) / (2 * mp.pi) + s / (2 * mp.pi * mp.sqrt(1 + 2 * s)) * tail
            )

        bend = mp.diff(q, k, 2) / v(k) / 2
        drift = -(mp.diff(v, k) / v(k)) / bend
        square = mp.quad(
            lambda z: ((2 - k * z * z) * mp.npdf(mp.sqrt(k) * z)) ** 2 * mp.npdf(z),
            [-9, -2, 0, 2, 9],
        )
        beta = 2 * v(k) / (k * square)
        expected = float(1 / -bend), float(beta * (1 + drift))
    rate = critical("gelu").rate
    assert (rate.variance.law, rate.correlation.law) == ("1/l", "1/l")
    # Q'' is a difference of numbers a thousand times larger.
    assert rate.variance.coefficient == pytest.approx(expected[0], rel=1e-7)
    assert rate.correlation.coefficient == pytest.approx(expected[1], rel=1e-7)


def test_rates_are_readable():
    assert str(critical("relu").rate) == "|K - K*|: constant; 1 - c: 44.4132/l^2"
    assert str(critical("tanh").rate) == "|K - K*|: 0.5/l; 1 - c: constant"
    assert "1 - c: l^-" in str(critical("silu").rate)
    assert "exp(-l/" in str(critical("tanh", sigma_b=0.2).rate)
    text = str(critical("silu"))
    assert "1 - c: l^-" in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(("p", "s"), [(1.0, 0.0), (1.0, 3.0), (0.5, 0.0), (0.5, 3.0), (0.5, -0.5)])
def test_laws_of_a_drifting_recursion(p, s):
    """d' = d (1 + s/l) - b d^(1+p), followed far enough for its law."""
    b, d, start, stop = 0.7, 1e-3, 2000, 400_000
    for layer in range(start, stop):
        d = d * (1 + s / layer) - b * d ** (1 + p)
    approach = _power(b, p, s)
    assert approach.law == ("1/l" if p == 1 else "1/l^2")
    power = 1 / p
    assert d * stop**power == pytest.approx(approach.coefficient, rel=0.08)
    assert _power(b, p, -4.0) == Approach("l^-p", 4.0)
