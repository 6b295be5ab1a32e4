"""Leading orders in 1/width, against the published recursion, exact averages, known limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from varprop.network import Network
from varprop.theory import finite_width as fw
from varprop.theory.finite.vertex import log_slopes


def sine(k: float) -> tuple[float, float, float, float]:
    """Q, dQ/dK, d^2 Q/dK^2 and E phi^4 of sin, in closed form."""
    wave = math.exp(-2 * k)
    return (1 - wave) / 2, wave, -2 * wave, 3 / 8 - wave / 2 + math.exp(-8 * k) / 8


def test_the_published_recursion_at_unequal_widths_and_with_biases():
    """Roberts, Yaida and Hanin, chapters 4 and 5, in their own variables."""
    widths = [30, 100, 40, 200, 60, 60]
    c_w, c_b = 1.3**2, 0.4**2
    network = Network(5, widths=widths, act="sin", sigma_w=1.3, sigma_b=0.4)
    found = fw.vertex(network, math.log(2.0))
    k, v, g = c_b + c_w * 2.0, 0.0, 0.0  # V/n and G1/n: variance of K, correction to its mean
    for layer, n in enumerate(widths[1:]):
        assert found.log_variance[layer] == pytest.approx(math.log(k), abs=1e-12)
        assert found.fluctuation[layer] == pytest.approx(v / k**2, rel=1e-6)
        assert found.correction[layer] == pytest.approx(g / k, rel=1e-6, abs=1e-12)
        assert found.length[layer] == pytest.approx(2 / n)
        q, slope, curvature, fourth = sine(k)
        g = c_w * slope * g + c_w * curvature * v / 2
        v = (c_w * slope) ** 2 * v + c_w**2 * (fourth - q**2) / n
        k = c_b + c_w * q


@pytest.mark.parametrize("k", [1e-6, 0.3, 2.0])
def test_slopes_of_the_logarithm(k):
    q, slope, curvature, _ = sine(k)
    s = k * slope / q
    found = log_slopes("sin", np.array([math.log(k)]))
    assert found[0][0] == pytest.approx(s, abs=1e-8)
    assert found[1][0] == pytest.approx(s + k**2 * curvature / q - s**2, abs=1e-8)


def test_two_slopes_scatter_by_their_own_number():
    for act, growth in (
        ("linear", 2.0),
        ("relu", 5.0),
        ("leaky_relu(0.2)", 6 * 1.0016 / 1.04**2 - 1),
    ):
        v = fw.vertex(Network(4, widths=[9, 50, 20, 30, 10], act=act, scheme="he"))
        expected = growth * np.array([0, 1 / 50, 1 / 50 + 1 / 20, 1 / 50 + 1 / 20 + 1 / 30])
        assert v.fluctuation == pytest.approx(expected, rel=1e-12)
        assert v.correction == pytest.approx(np.zeros(4), abs=1e-15)


def test_tanh_scatters_by_two_thirds_of_a_layer():
    """V/(n K^2) tends to (2/3) l/n at tanh's critical point."""
    v = fw.vertex(Network(20_000, width=10**6, act="tanh", sigma_w=1.0))
    assert v.fluctuation[-1] == pytest.approx(2 / 3 * 19_999 / 10**6, rel=2e-3)
    assert v.fluctuation[100] / 100 > v.fluctuation[-1] / 20_000 * 0.9


def test_weights_that_are_not_normal_shift_a_mean_square():
    """phi = x^2: E z^4 = 3 + kappa sum x^4/(sum x^2)^2, here kappa/n_0, exactly."""
    for scheme, kappa in (("he_uniform", -1.2), ("rademacher", -2.0), ("sparse(0.5)", 3.0)):
        v = fw.vertex(Network(1, widths=[40, 30], act="x**2", scheme=scheme))
        assert v.activation_correction[0] == pytest.approx(kappa / 40 / 3, rel=1e-6)
        assert v.length[0] == pytest.approx((2 + kappa / 40) / 30)
    # above, the kurtosis of a unit depends on E phi^4/(E phi^2)^2 = 105/9
    v = fw.vertex(Network(2, widths=[40, 30, 20], act="x**2", scheme="he_uniform"))
    assert v.length[1] == pytest.approx((2 - 1.2 * (105 / 9) / 30) / 20)


@pytest.mark.parametrize("n_in", [5_000, 10_000, 40_000])
def test_orthogonal_weights_shift_and_calm_a_mean_square(n_in):
    """phi = x^2 of fan_out coordinates of a uniform direction: its moments are known exactly."""
    n_out, length = 10_000, max(n_in, 10_000)
    v = fw.vertex(Network(1, widths=[n_in, n_out], act="x**2", scheme="orthogonal"))
    # E u^4 = 3/(N (N+2)), E u^8 = 105/(N ... (N+6)), E u_i^4 u_j^4 = 9/(N ... (N+6))
    four = length * (length + 2)
    eight = four * (length + 4) * (length + 6)
    mean = 3 / four
    square = (105 + 9 * (n_out - 1)) / n_out / eight
    assert v.activation_correction[0] == pytest.approx(mean * length**2 / 3 - 1, rel=1e-3)
    assert v.activation_fluctuation[0] == pytest.approx(square / mean**2 - 1, rel=5e-3)
    assert v.length[0] == pytest.approx(max(0.0, 2 / n_out - 2 / n_in), rel=1e-12)


def test_biases_share_an_orthogonal_layer():
    """The length of z = W x + b: |Wx|^2 is kept, 2 b.Wx and |b|^2 scatter."""
    network = Network(1, width=50, act="tanh", scheme="orthogonal", sigma_b=0.5)
    share = 1 / 1.25
    expected = (4 * share * (1 - share) + 2 * (1 - share) ** 2) / 50
    assert fw.vertex(network).length[0] == pytest.approx(expected, rel=1e-12)


# predicted


def test_the_first_layer_is_a_chi_square_for_any_activation():
    found = fw.predicted(Network(1, width=3, act="tanh", sigma_w=2.0))
    length = special.digamma(1.5) - math.log(1.5)
    assert found.mean_log[0] == pytest.approx(math.log(4.0) + length, rel=1e-13)
    assert found.std_log[0] == pytest.approx(math.sqrt(special.polygamma(1, 1.5)), rel=1e-13)
    assert found.relative_std[0] == pytest.approx(math.sqrt(2 / 3), rel=1e-13)
    assert found.log_mean[0] == pytest.approx(math.log(4.0), rel=1e-13)


def test_the_first_layer_of_other_weights():
    """Uniform weights of two inputs: E z^4 = (3 - 1.2/2) K^2. Orthogonal ones: a Beta share."""
    found = fw.predicted(Network(1, widths=[2, 10_000], act="tanh", scheme="lecun_uniform"))
    assert found.mean_log[0] == pytest.approx(-1.4 / 20_000, rel=1e-3)
    assert found.std_log[0] == pytest.approx(math.sqrt(1.4 / 10_000), rel=1e-3)
    found = fw.predicted(Network(1, widths=[9000, 3000], act="tanh", scheme="orthogonal"))
    share = special.digamma(1500) - special.digamma(4500) + math.log(3)
    assert found.mean_log[0] == pytest.approx(share, rel=1e-3)
    spread = special.polygamma(1, 1500) - special.polygamma(1, 4500)
    assert found.std_log[0] == pytest.approx(math.sqrt(spread), rel=1e-3)


@pytest.mark.parametrize("n", [100, 400, 1600])
def test_means_of_the_third_layer_against_one_integral(n):
    """For sin, E K^3 = C_W (1 - E exp(-2 K^2))/2, and K^2 is a mean of n independent squares."""
    c_w = 1.7
    network = Network(3, width=n, act="sin", sigma_w=math.sqrt(c_w))
    z, weight = np.polynomial.hermite_e.hermegauss(100)
    each = weight @ np.expm1(-2 * c_w / n * np.sin(math.sqrt(c_w) * z) ** 2)
    wave = math.exp(n * math.log1p(each / math.sqrt(2 * math.pi)))
    exact = c_w * (1 - wave) / 2
    found, plain = fw.predicted(network), fw.vertex(network)
    drift = math.log(exact) - plain.log_variance[2]
    assert abs(drift) > 0.05 / n
    assert found.log_mean[2] - plain.log_variance[2] == pytest.approx(drift, rel=5 / n, abs=1e-9)
    of_a = found.activation.log_mean[1] + math.log(c_w)
    assert of_a == pytest.approx(found.log_mean[2], abs=1e-12)


@pytest.mark.parametrize("n", [50, 400])
def test_mean_logarithms_of_the_second_layer_by_an_exponential_clock(n):
    """E ln a^1 for tanh, a mean of n independent squares: from its Laplace transform."""
    network = Network(2, width=n, act="tanh", sigma_w=1.3)
    z, weight = np.polynomial.hermite_e.hermegauss(150)
    squares, weight = np.tanh(1.3 * z) ** 2, weight / math.sqrt(2 * math.pi)
    u = np.arange(-40.0, 60.0, 0.05)
    exponent = -np.outer(np.exp(u) / n, squares)
    each = np.log1p(np.expm1(exponent) @ weight)
    density = np.exp(u + (n - 1) * each) * (np.exp(exponent) @ (weight * squares))
    density /= density.sum()
    mean = -np.euler_gamma - density @ u
    variance = density @ (u - density @ u) ** 2 - math.pi**2 / 6
    found = fw.predicted(network).activation
    plain = fw.vertex(network).log_activation[0]
    assert found.mean_log[0] - plain == pytest.approx(mean - plain, rel=6 / n)
    assert found.std_log[0] ** 2 == pytest.approx(variance, rel=6 / n)


def test_predictions_of_two_slopes_are_products_of_steps():
    network = Network(3, widths=[5, 4, 7, 6], act="relu", scheme="he")
    found = fw.predicted(network, math.log(3.0))
    assert found.exact
    assert "exact" in found.because
    laws = [fw.step_law(network, layer) for layer in (1, 2, 3)]
    norm = fw.norm_law(network)
    a = found.activation
    assert a.mean_log[-1] == pytest.approx(math.log(3.0) + norm.mean, rel=1e-14)
    assert a.std_log[-1] == pytest.approx(math.sqrt(norm.variance), rel=1e-14)
    assert a.log_mean[-1] == pytest.approx(math.log(3.0))
    second = math.prod(law.moment(2) for law in laws)
    assert a.relative_std[-1] == pytest.approx(math.sqrt(second - 1), rel=1e-13)
    # q of the last layer: two steps, and a chi-square(6)/6
    assert found.log_mean[-1] == pytest.approx(math.log(6.0))
    length = special.digamma(3) - math.log(3)
    logs = math.log(6.0) + laws[0].mean_log + laws[1].mean_log + length
    assert found.mean_log[-1] == pytest.approx(logs, rel=1e-14)
    spread = laws[0].var_log + laws[1].var_log + special.polygamma(1, 3)
    assert found.std_log[-1] == pytest.approx(math.sqrt(spread), rel=1e-14)
    second = laws[0].moment(2) * laws[1].moment(2) * (1 + 2 / 6)
    assert found.relative_std[-1] == pytest.approx(math.sqrt(second - 1), rel=1e-13)


def test_orthogonal_linear_networks_do_not_scatter():
    found = fw.predicted(Network(9, width=6, act="linear", scheme="orthogonal"))
    assert found.exact
    assert found.relative_std.tolist() == [0.0] * 9
    assert np.abs(found.mean_log).max() < 1e-14


@pytest.mark.parametrize("scheme", ["he_uniform", "rademacher"])
def test_second_moments_stay_exact_under_other_weights(scheme):
    network = Network(6, width=20, act="relu", scheme=scheme)
    found, known = fw.predicted(network), fw.second_moments(network)
    assert not found.exact
    assert 1 + found.relative_std**2 == pytest.approx(np.exp(known.log_preactivation), rel=1e-12)
    gain = math.log(network.sigma_w[0] ** 2 / 2)
    log_mean = gain * np.arange(1, 7)
    assert found.activation.log_mean == pytest.approx(log_mean, abs=1e-12)
    normal = fw.predicted(Network(6, width=20, act="relu", scheme="he"))
    assert found.std_log.tolist() == normal.std_log.tolist()  # as to leading order


def test_sign_starts_afresh_in_every_layer():
    found = fw.predicted(Network(5, width=8, act="sign", sigma_w=1.5))
    assert found.exact
    assert found.log_mean == pytest.approx(np.full(5, 2 * math.log(1.5)))
    assert found.std_log == pytest.approx(np.full(5, math.sqrt(special.polygamma(1, 4))))
    assert found.activation.relative_std.tolist() == [0.0] * 5


def test_leading_orders_meet_the_exact_law_of_wide_networks():
    """ReLU with hardly any bias is nearly ReLU without."""
    wide = fw.predicted(Network(20, width=5000, act="relu", scheme="he"))
    other = fw.predicted(Network(20, width=5000, act="relu", scheme="he", sigma_b=1e-9))
    assert not other.exact
    for name in ("log_mean", "mean_log", "std_log", "relative_std"):
        assert getattr(other, name) == pytest.approx(getattr(wide, name), rel=2e-3, abs=2e-5)
        mine, theirs = (getattr(w.activation, name) for w in (other, wide))
        assert mine == pytest.approx(theirs, rel=2e-3, abs=2e-5)


def test_depth_beyond_float64_stays_in_logarithms():
    found = fw.predicted(Network(20_000, width=20, act="relu", scheme="he"))
    growth = 19_999 * math.log(1 + 5 / 20) + math.log(1 + 2 / 20)
    assert found.log_relative_std[-1] == pytest.approx(growth / 2, rel=1e-12)
    with pytest.raises(OverflowError, match="log_relative_std"):
        _ = found.relative_std
    far = fw.predicted(Network(3000, width=20, act="tanh", sigma_w=0.01), -5000.0)
    assert np.isfinite(far.mean_log).all()
    assert far.log_mean[-1] == pytest.approx(-5000 + 6000 * math.log(0.01), rel=1e-9)


def test_validity_is_told():
    critical = fw.predicted(Network(300, width=100, act="tanh", sigma_w=1.0))
    assert critical.valid[0]
    assert not critical.valid[-1]
    assert fw.predicted(Network(300, width=100, act="tanh", sigma_w=1.5)).valid.all()
    # torch's uniform biases outlive the signal: units are then far from normal
    torch = fw.predicted(Network(30, width=100, act="gelu", scheme="torch"))
    assert not torch.valid[-1]


def test_an_input_of_zeros_needs_biases():
    found = fw.predicted(Network(3, width=10, act="tanh", sigma_w=1.0, sigma_b=0.7), -math.inf)
    assert found.log_mean[0] == pytest.approx(2 * math.log(0.7))
    for act in ("relu", "tanh"):
        with pytest.raises(ValueError, match="exactly 0"):
            fw.predicted(Network(3, width=10, act=act), -math.inf)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_input_must_be_finite(bad):
    for act in ("relu", "tanh"):
        with pytest.raises(ValueError, match="log_input_mean_square"):
            fw.predicted(Network(3, width=10, act=act), bad)


def test_heavy_tails_are_refused():
    with pytest.raises(ValueError, match="no fourth moment"):
        fw.predicted(Network(3, width=10, act="tanh", scheme="student_t(3)"))
