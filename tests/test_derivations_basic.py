"""The first derivations: what they state is what schemes, maps and predictions do, and is true."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import mpmath
import numpy as np
import pytest
import sympy
from derived import PUBLISHED, derive, step, value

from varprop.network import Network
from varprop.scheme import Scheme
from varprop.theory import gradient_map, predict, relative_variance, variance_map


def cells(table, label):
    """The cells of a table's row as numbers."""
    (row,) = (row for row in table.rows if row[0] == label)
    plain = (cell.strip("$").replace(r"\times 10^", "e") for cell in row[1:])
    return [float(c.replace("10^", "1e").replace("{", "").replace("}", "")) for c in plain]


def normal(f, variance):
    """E f(x), x ~ N(0, variance), by mpmath at 30 digits."""
    with mpmath.workdps(30):
        s = mpmath.sqrt(variance)
        whole = mpmath.quad(lambda z: f(s * z) * mpmath.exp(-z * z / 2), [-12, -4, 0, 4, 12])
        return whole / mpmath.sqrt(2 * mpmath.pi)


def logistic(t):
    return 1 / (1 + mpmath.exp(-t))


# --- uniform_range ------------------------------------------------------------------------------


def test_the_range_is_the_one_of_the_schemes():
    variance = derive("uniform_range").result.right
    for scheme in ("uniform, 0.3333333333333333/fan_in", "torch"):
        assert Scheme.parse(scheme).variance(37, 50) == pytest.approx(
            value(variance, n=37), rel=1e-14
        )
    fixed = Scheme.parse(f"uniform(-{1 / math.sqrt(37)!r}, {1 / math.sqrt(37)!r})")
    assert fixed.variance(37, 50) == pytest.approx(value(variance, n=37), rel=1e-14)
    bound = step("uniform_range", "The range for ReLU").right
    assert value(bound, n=37) ** 2 / 3 == pytest.approx(Scheme.named("he_uniform").variance(37, 5))


def test_what_the_range_does_to_a_relu_network():
    factor = value(step("uniform_range", "One ReLU layer").right, K=1)
    assert factor == pytest.approx(PUBLISHED["torch_default_linear_relu"]["value"], rel=1e-15)
    net = Network(12, width=64, act="relu", scheme="uniform, 0.3333333333333333/fan_in")
    assert predict(net).log_variance[-1] == pytest.approx(math.log(1 / 3) + 11 * math.log(factor))
    levelled = predict(Network(60, width=64, act="relu", scheme="torch")).variance[-1]
    fixed_point = value(step("uniform_range", "What biases do about it").right, n=64)
    assert levelled == pytest.approx(fixed_point, rel=1e-14)


# --- backward -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["he", "normal, 1.7/fan_out", "xavier"])
def test_the_gradient_recursion_is_the_one_that_predict_uses(scheme):
    widths = [7, 30, 11, 50, 20]
    net = Network(4, widths=widths, act="tanh", scheme=scheme)
    p = predict(net)
    factor = derive("backward").result.right
    gradient = 1.0
    for layer in (3, 2, 1):
        k = p.variance[layer - 1]
        slope = normal(lambda t: mpmath.sech(t) ** 4, k)
        weights = net.scheme.variance(widths[layer], widths[layer + 1])
        gradient = value(factor, N=widths[layer + 1], v=weights, V=float(slope), g=gradient)
        assert p.gradient[layer - 1] == pytest.approx(gradient, rel=1e-11)
        weight = value(
            step("backward", "The gradient of the weights").right,
            N=widths[layer],
            n=widths[layer - 1],
            g=gradient,
            a=p.activation[layer - 2] if layer > 1 else 1.0,
        )
        assert p.weight_gradient[layer - 1] == pytest.approx(weight, rel=1e-11)


def test_fan_in_keeps_the_signal_per_unit_and_the_length_of_the_gradient():
    widths = [40, 10, 90, 25, 60]
    p = predict(Network(4, widths=widths, act="relu", scheme="he"))
    length = [n * g for n, g in zip(widths[1:], p.gradient, strict=True)]
    backward, forward = PUBLISHED["fan_in_norm"]["value"]
    assert length[0] / length[-1] == pytest.approx(backward, rel=1e-14)
    assert p.activation[-1] / p.activation[0] == pytest.approx(forward, rel=1e-14)
    telescoped = step("backward", "The ratios telescope").right
    names = {str(node): node for node in telescoped.atoms(sympy.Indexed)}
    ratio = telescoped.subs({names["n[L]"]: widths[4], names["n[l]"]: widths[1]})
    assert p.gradient[0] == pytest.approx(float(ratio), rel=1e-14)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_the_price_of_gradient_independence(name):
    # E w^2 phi'(z)^2 over the pair (w, z) by brute force: z = x, w = c x + r, r independent.
    h, others, v = 1.3, 2.1, 0.4
    k = v * (h**2 + others)
    rho = h**2 / (h**2 + others)
    factor = step("backward", "A share of the length").right

    def slope(t):
        return mpmath.sech(t) ** 4 if name == "tanh" else mpmath.mpf(t > 0)

    def given(t):
        c = mpmath.mpf(v) * h / k
        return (c * t) ** 2 + v - c**2 * k

    exact = normal(lambda t: given(t) * slope(t), k)
    symbols = {s.name: s for s in factor.free_symbols}
    fixed = factor.subs({symbols["v"]: v, symbols["K"]: k, symbols["rho"]: rho})
    claimed = normal(lambda t: float(fixed.subs(symbols["x"], float(t))) * slope(t), k)
    v_map = gradient_map(name)
    by_slope = v * (v_map(k) + rho * 2 * v_map(k) * v_map.log_slope(math.log(k)))
    assert float(claimed) == pytest.approx(float(exact), rel=1e-13)
    assert by_slope == pytest.approx(float(exact), rel=1e-11)
    if name == "relu":
        assert float(exact) == pytest.approx(v / 2, rel=1e-14)


def test_the_masks_of_a_relu_network_are_fair_coins():
    # All signs of two 2 x 2 layers: |J u|^2 has the same law with true masks as with coins.
    sizes = np.array([[0.3, 1.1, 0.7, 1.9], [0.9, 0.4, 1.7, 0.6]])
    x, u = np.array([0.8, -0.5]), np.array([0.2, 1.0])
    true, coins = Counter(), Counter()
    masks = list(itertools.product((0, 1), repeat=4))
    for signs in itertools.product((-1, 1), repeat=8):
        first, second = (np.reshape(signs, (2, 4)) * sizes).reshape(2, 2, 2)
        on = (first @ x > 0).astype(float)
        above = second @ (on * (first @ x))
        below = on * (first @ u)
        true[round(float(np.sum(((above > 0) * (second @ below)) ** 2)), 9)] += len(masks)
        for mask in masks:
            passed = np.array(mask[2:]) * (second @ (np.array(mask[:2]) * (first @ u)))
            coins[round(float(np.sum(passed**2)), 9)] += 1
    assert true == coins


def test_forward_and_backward_are_two_questions():
    table = derive("backward").tables[0]
    for name in ("relu", "leaky_relu(0.2)", "linear"):
        assert cells(table, f"`{name}`")[2:] == [1, 1]
    ratio = cells(table, "`sin`")[2]
    assert ratio == pytest.approx((1 + math.exp(-2)) / (1 - math.exp(-2)), abs=5e-5)


# --- xavier -------------------------------------------------------------------------------------


def test_xaviers_variance_and_its_bill():
    variance = derive("xavier").result.right
    for scheme in ("xavier", "xavier_uniform", "keras_glorot"):
        assert Scheme.named(scheme).variance(30, 70) == pytest.approx(value(variance, n=30, N=70))
    forward = step("xavier", "What the signal pays").right
    backward = step("xavier", "What the gradient pays").right
    p = predict(Network(2, widths=[30, 70, 30], act="linear", scheme="xavier"))
    assert p.variance[0] == pytest.approx(value(forward, n=30, N=70))
    assert p.gradient[0] == pytest.approx(value(backward, n=70, N=30))
    pair = value(step("xavier", "A bottleneck pays twice").right, n=30, N=70)
    assert p.variance[1] == pytest.approx(pair, rel=1e-14)


def test_the_table_of_bottlenecks():
    table = derive("xavier").tables[0]
    pairs = [1.6, 0.64, 0.64**5, 0.64**25, 0.64**50]
    for direction in ("signal", "gradient"):
        row = cells(table, f"$2/(n + N)$ (`xavier`): {direction}")
        assert row == pytest.approx(pairs, rel=5e-3, abs=0)
    assert cells(table, "$1/n$, fan-in (`lecun`): signal") == [1] * 5
    assert cells(table, "$1/n$, fan-in (`lecun`): gradient") == [4, 1, 1, 1, 1]


# --- leaky_relu ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.2, 0.7])
def test_the_maps_of_leaky_relu(slope):
    name = f"leaky_relu({slope})"
    result = derive("leaky_relu").result.right
    assert variance_map(name)(0.8) == pytest.approx(value(result, K=0.8, n=1, v=1, alpha=slope))
    back = step("leaky_relu", "The gradient map").right
    assert gradient_map(name)(0.8) == pytest.approx(value(back, alpha=slope))
    scatter = step("leaky_relu", "The scatter of one layer").right
    assert relative_variance(name, 0.0) == pytest.approx(value(scatter, alpha=slope), rel=1e-13)
    gain = value(step("leaky_relu", "As a gain").right, alpha=slope)
    net = Network(9, width=20, act=name, scheme=f"sigma_w={gain!r}")
    assert predict(net).variance[-1] == pytest.approx(gain**2, rel=1e-12)


def test_published_fourth_moments():
    scatter = step("leaky_relu", "The scatter of one layer").right
    for slope, published in zip((1, 0, 0.2), PUBLISHED["m4_linear_relu"]["value"], strict=True):
        assert (1 + value(scatter, alpha=slope) / 100) ** 50 == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize(("slope", "angle"), [(0.0, 0.7), (0.2, 1.2), (-0.5, 2.4)])
def test_the_angle_map_of_leaky_relu(slope, angle):
    # Given one pre-activation t the other is N(t cos, sin^2): E max(y, 0) = m Phi(m/s) + s p(m/s).
    def given(t):
        mean, spread = mpmath.cos(angle) * t, mpmath.sin(angle)
        positive = mean * mpmath.ncdf(mean / spread) + spread * mpmath.npdf(mean / spread)
        return slope * mean + (1 - slope) * positive

    product = normal(lambda t: (t if t > 0 else slope * t) * given(t), 1)
    correlation = product / ((1 + slope**2) / 2)
    claimed = step("leaky_relu", "Two inputs at an angle").right
    assert value(claimed, theta=angle, alpha=slope) == pytest.approx(float(correlation), rel=1e-13)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_angles_fall_like_one_over_depth(slope):
    gamma = (1 - slope) ** 2 / (1 + slope**2)
    rate = value(step("leaky_relu", "The inverse grows steadily").right, gamma=gamma)
    correlation = sympy.lambdify(
        sympy.Symbol("theta", positive=True),
        step("leaky_relu", "Two inputs at an angle").right.subs(
            sympy.Symbol("alpha", real=True), sympy.Rational(slope).limit_denominator(10)
        ),
        "mpmath",
    )
    with mpmath.workdps(60):
        angle = mpmath.mpf(10) ** -8
        growth = 1 / mpmath.acos(correlation(angle)) - 1 / angle
        layers = 1 / (angle * growth)
        gap = 1 - mpmath.cos(angle)
    assert float(growth) == pytest.approx(rate, rel=1e-7)
    claimed = step("leaky_relu", "How correlations approach 1").right
    assert value(claimed, gamma=gamma, l=float(layers)) == pytest.approx(float(gap), 1e-6, 0)


# --- sigmoid ------------------------------------------------------------------------------------


def test_the_maps_of_the_sigmoid():
    for k in (0.01, 1.0, 30.0):
        slopes = normal(lambda t: (logistic(t) * (1 - logistic(t))) ** 2, k)
        tanh = normal(lambda t: mpmath.sech(t) ** 4, k / 4) / 16
        assert float(slopes) == pytest.approx(float(tanh), rel=1e-13)
        assert gradient_map("sigmoid")(k) == pytest.approx(float(slopes), rel=1e-12)
        assert slopes < min(mpmath.mpf(1) / 16, 1 / (6 * mpmath.sqrt(2 * mpmath.pi * k)))
        mean_slope = normal(lambda t: logistic(t) * (1 - logistic(t)), k)
        total = variance_map("sigmoid")(k) + float(mean_slope)
        assert total == pytest.approx(PUBLISHED["identity_sigmoid"]["value"], rel=1e-12)


def test_the_sigmoids_edge_of_chaos():
    k = mpmath.findroot(
        lambda k: (
            k * normal(lambda t: (logistic(t) * (1 - logistic(t))) ** 2, k)
            - normal(lambda t: logistic(t) ** 2, k)
        ),
        (45, 46),
        tol=1e-20,
    )
    (at,) = step("sigmoid", "The edge of chaos").left.args[2]
    assert float(at) == pytest.approx(float(k), rel=1e-7)
    weights = mpmath.sqrt(k / normal(lambda t: logistic(t) ** 2, k))
    assert float(step("sigmoid", "The weights at the edge").right.doit()) == pytest.approx(
        float(weights), abs=5e-5
    )
    assert weights > 3 * mpmath.sqrt(2 * mpmath.pi)


def test_no_sigmoid_network_below_the_bound_keeps_a_gradient():
    for sigma_w in (1.0, 4.0, 7.5):
        for sigma_b in (0.0, 2.0):
            net = Network(30, width=10, act="sigmoid", sigma_w=sigma_w, sigma_b=sigma_b)
            p = predict(net)
            bound = value(step("sigmoid", "What weights can do at most").right, sigma_w=sigma_w)
            per_layer = np.exp(-np.diff(p.log_gradient))[1:]
            assert np.all(per_layer < min(bound, sigma_w**2 / 16))
    # and the variance map contracts wherever sigma_b = 0: K Q' < Q - 1/4
    for k in (0.1, 5.0, 45.6, 1e3):
        q = variance_map("sigmoid")
        assert q.log_slope(math.log(k)) * q(k) < q(k) - 0.25


# --- kumar --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "gelu", "erf"])
def test_kumars_variance_is_that_of_the_scheme(name):
    net = Network(1, width=50, act=name, scheme="kumar")
    mean, slope, _ = net.act.at_zero
    claimed = value(derive("kumar").result.right, c=mean, d=slope, n=50)
    assert net.scheme.variance(50, 50) == pytest.approx(claimed, rel=1e-14)


def test_kumars_sigmoid_and_what_it_does():
    std = value(step("kumar", "The sigmoid's variance").right, n=1) ** 0.5
    assert std == pytest.approx(PUBLISHED["kumar_sigmoid"]["value"], rel=1e-14)
    p = predict(Network(60, width=50, act="sigmoid", scheme="kumar"))
    settled = step("kumar", "The variance it settles at")
    assert p.variance[-1] == pytest.approx(4.534976, abs=5e-7)
    assert float(settled.right.doit()) == pytest.approx(p.variance[-1], abs=5e-7)
    chi1 = 12.8 * normal(lambda t: (logistic(t) * (1 - logistic(t))) ** 2, p.variance[-1])
    assert float(chi1) == pytest.approx(0.353810, abs=5e-7)
    lost = step("kumar", "What becomes of the gradient").right
    assert float(lost.doit()) == pytest.approx(float(chi1), abs=5e-6)
    assert math.exp(p.log_gradient[-3] - p.log_gradient[-2]) == pytest.approx(float(chi1), rel=1e-9)


# --- residual -----------------------------------------------------------------------------------


def test_published_residual_factors():
    factor = step("residual", "$L$ blocks").right
    for blocks, published in zip((10, 100), PUBLISHED["resnet_1_over_sqrtL"]["value"], strict=True):
        claimed = value(factor, alpha=blocks**-0.5, g=1.0, L=blocks)
        assert claimed == pytest.approx(published, rel=1e-12)
    row = cells(derive("residual").tables[0], r"$\alpha = 1/\sqrt{L}$")
    assert row == pytest.approx([1.1**10, 1.01**100, 1.001**1000], abs=5e-3)


def test_a_residual_relu_block_at_width_two_exactly():
    # All signs of W1 (3 x 2) and W2 (2 x 3): the mean of |x + alpha F(x)|^2 is no approximation.
    alpha, sizes = 0.7, np.array([0.5, 1.3])
    x = np.array([0.8, -0.3])
    total, count = 0.0, 0
    for signs in itertools.product((-1, 1), repeat=12):
        first = sizes[0] * np.reshape(signs[:6], (3, 2))
        second = sizes[1] * np.reshape(signs[6:], (2, 3))
        total += np.sum((x + alpha * second @ np.maximum(first @ x, 0)) ** 2)
        count += 1
    gain = value(step("residual", "The way back").right, n=2, N=3, v=sizes[0] ** 2, u=sizes[1] ** 2)
    block = step("residual", "Signal and branch add up in the square").right
    square = float(x @ x)
    claimed = value(block, q=square, b=gain * square, alpha=alpha)
    assert total / count == pytest.approx(claimed, rel=1e-13)


def test_tanh_branches():
    size, growth = mpmath.mpf(1), mpmath.mpf(0)
    for _ in range(10):
        growth += mpmath.log1p(normal(lambda t: mpmath.sech(t) ** 4, size))
        size += normal(lambda t: mpmath.tanh(t) ** 2, size)
    q, gradient, log, _ = cells(derive("residual").tables[1], "$L = 10$")
    assert q == pytest.approx(float(size), rel=1e-4)
    assert log == pytest.approx(float(growth), rel=1e-3)
    assert gradient == pytest.approx(math.exp(growth), rel=5e-3)
    # ln of the growth rises by V(q) per block, and V sqrt(q) tends to the stated coefficient
    rise = step("residual", r"A gradient of $e^{\sqrt L}$").right
    for k in (1e4, 1e6):
        assert gradient_map("tanh")(k) == pytest.approx(value(rise, L=k), rel=1 / k)
