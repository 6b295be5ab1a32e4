"""The exact law of one step, against 30 digits, small sums, other formulas, published values."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special, stats

from varprop.network import Network
from varprop.theory import finite_width as fw
from varprop.theory.finite.two_slope import TwoSlope

PUBLISHED = {
    row["id"]: row["value"]
    for row in json.loads((Path(__file__).parent / "data" / "published_laws.json").read_text())
}
ROOT2 = math.sqrt(2.0)


def net(act: str, n: int, depth: int = 1, scheme: str = "he", **options) -> Network:
    return Network(depth, width=n, act=act, scheme=scheme, **options)


def relu_log_moments(n: int) -> tuple[mp.mpf, mp.mpf]:
    """Mean and variance of ln((2/n) chi-square(k)), k ~ Binomial(n, 1/2) given k > 0."""
    with mp.workdps(30):
        total, mean, square = mp.mpf(2) ** n - 1, mp.mpf(0), mp.mpf(0)
        for k in range(1, n + 1):
            weight = mp.binomial(n, k) / total
            log = mp.psi(0, mp.mpf(k) / 2) + mp.log(mp.mpf(4) / n)
            mean += weight * log
            square += weight * (log**2 + mp.psi(1, mp.mpf(k) / 2))
        return mean, square - mean**2


def one_unit(slope: float) -> tuple[float, float]:
    """Mean and variance of ln(phi(g)^2/E phi^2) for leaky slopes: ln g^2 and a fair coin."""
    with mp.workdps(30):
        a = mp.mpf(slope)
        scale = mp.log((1 + a**2) / 2)
        of_g = mp.psi(0, mp.mpf(1) / 2) + mp.log(2)
        mean = of_g + mp.log(a**2) / 2 - scale
        return float(mean), float(mp.psi(1, mp.mpf(1) / 2) + mp.log(a**2) ** 2 / 4)


# Logarithms of one step


@pytest.mark.parametrize("n", [1, 2, 3, 10, 77, 500])
def test_the_logarithm_of_a_relu_step_against_its_mixture(n):
    mean, variance = TwoSlope.of("relu").log_moments(n)
    expected = relu_log_moments(n)
    assert float(mean) == pytest.approx(float(expected[0]), abs=2e-15)
    assert float(variance) == pytest.approx(float(expected[1]), abs=3e-15)


@pytest.mark.parametrize("slope", [0.5, 0.01, -0.3, 2.0, 1e-6])
def test_the_logarithm_of_one_leaky_unit(slope):
    mean, variance = TwoSlope.of(f"leaky_relu({slope})").log_moments(1)
    expected = one_unit(slope)
    assert float(mean) == pytest.approx(expected[0], rel=1e-14)
    assert float(variance) == pytest.approx(expected[1], rel=1e-13)


@pytest.mark.parametrize("slope", [0.2, 0.01])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_the_logarithm_of_a_leaky_step_against_its_mixture_of_betas(slope, n):
    """ln X = ln(chi-square(n)/n) + ln U, U = (B + (A - B) T), T ~ Beta(k/2, (n-k)/2)."""
    high, low = 2 / (1 + slope**2), 2 * slope**2 / (1 + slope**2)
    powers = np.zeros(2)
    for k, weight in enumerate(stats.binom.pmf(np.arange(n + 1), n, 0.5)):
        if k in (0, n):
            log = math.log(high if k else low)
            powers += weight * np.array([log, log**2])
            continue
        for j in (1, 2):
            # t = sin^2: the ends of Beta(1/2, 1/2) are smooth in the angle
            part, _ = integrate.quad(
                lambda angle, k=k, j=j: (
                    2
                    * math.sin(angle) ** (k - 1)
                    * math.cos(angle) ** (n - k - 1)
                    * math.log(low + (high - low) * math.sin(angle) ** 2) ** j
                ),
                0, math.pi / 2, epsabs=1e-13, epsrel=1e-12, limit=400, points=[0.01, 0.1],
            )  # fmt: skip
            powers[j - 1] += weight * part / special.beta(k / 2, (n - k) / 2)
    length = special.digamma(n / 2) - math.log(n / 2)
    mean, variance = TwoSlope.of(f"leaky_relu({slope})").log_moments(n)
    assert float(mean) == pytest.approx(length + powers[0], abs=1e-11)
    expected = special.polygamma(1, n / 2) + powers[1] - powers[0] ** 2
    assert float(variance) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("act", ["relu", "leaky_relu(0.01)", "leaky_relu(0.6)"])
def test_wide_steps_continue_the_narrower_ones(act):
    """n times the moments is a power series in 1/n: no jump where the method changes."""
    n = np.array([100_000.0, 200_000.0, 399_999.0, 400_001.0, 800_000.0])
    scaled = np.array(TwoSlope.of(act).log_moments(n)) * n
    for row in scaled:
        slope = (row[1] - row[0]) / (1 / n[1] - 1 / n[0])
        limit = row[1] - slope / n[1]
        assert row == pytest.approx(limit + slope / n, rel=2e-9)


@pytest.mark.parametrize("n", ["10", "50", "100", "500"])
def test_published_drift_of_relu(n):
    law = fw.step_law(net("relu", int(n)))
    assert [law.mean_log, law.var_log] == pytest.approx(
        PUBLISHED["relu_log_drift"][n], rel=1e-12, abs=1e-15
    )


def test_published_drift_of_linear():
    law = fw.step_law(net("linear", 100, scheme="lecun"))
    assert [law.mean_log, law.var_log] == pytest.approx(
        PUBLISHED["linear_log_drift"]["100"], rel=1e-13
    )


@pytest.mark.parametrize("n", [3, 1999, 2001, 50_000, 10**9])
def test_the_logarithm_of_a_linear_step_keeps_its_digits(n):
    with mp.workdps(40):
        expected = mp.psi(0, mp.mpf(n) / 2) - mp.log(mp.mpf(n) / 2)
    # up to 1000 it is a difference of logarithms, good to 2e-15; from there on a series
    mean, _ = TwoSlope.of("linear").log_moments(n)
    assert float(mean) == pytest.approx(float(expected), rel=1e-14, abs=2e-15 if n < 2000 else 0)


# Moments of one step


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_moments_by_enumeration(n, order, slope):
    """E (sum of n)^order, written out over the sides and the powers of every unit."""
    sides = [(slope**2, 0.5), (1.0, 0.5)]
    total = 0.0
    for choice in product(sides, repeat=n):
        chance = math.prod(p for _, p in choice)
        for powers in product(range(order + 1), repeat=n):
            if sum(powers) == order:
                ways = math.factorial(order) / math.prod(map(math.factorial, powers))
                each = [
                    s**j * special.factorial2(2 * j - 1) if j else 1.0
                    for (s, _), j in zip(choice, powers, strict=True)
                ]
                total += chance * ways * math.prod(each)
    act = f"leaky_relu({slope})" if slope else "relu"
    law = fw.step_law(net(act, n, scheme="lecun"))
    assert law.moment(order) == pytest.approx(total / n**order, rel=1e-13)


def test_high_moments_of_linear_are_those_of_chi_square():
    law = fw.step_law(net("abs", 7, scheme="lecun"))
    expected = math.gamma(3.5 + 30) / math.gamma(3.5) * (2 / 7) ** 30
    assert law.moment(30) == pytest.approx(expected, rel=1e-12)


# The whole law of one step


@pytest.mark.parametrize("n", [1, 2, 3, 10, 200])
def test_a_relu_step_is_a_binomial_mixture_of_chi_squares(n):
    law = fw.step_law(net("relu", n))
    x = np.array([1e-12, 1e-3, 0.3, 1.0, 2.5, 30.0])
    k = np.arange(1, n + 1)[:, np.newaxis]
    weight = stats.binom.pmf(k[:, 0], n, 0.5)
    assert law.cdf(x) == pytest.approx(
        2.0**-n + weight @ special.chdtr(k, n * x / 2), rel=1e-12, abs=1e-14
    )
    assert law.pdf(x[2:]) == pytest.approx(weight @ stats.chi2.pdf(n * x[2:] / 2, k) * n / 2, 1e-9)


@pytest.mark.parametrize(("slope", "n"), [(0.5, 2), (0.1, 5), (-2.0, 30)])
def test_a_leaky_step_is_a_mixture_of_weighted_chi_squares(slope, n):
    """Each part by the Poisson-like series of Ruben: b chi-square(k + 2 N), N negative binomial."""
    high, low = max(1.0, slope**2), min(1.0, slope**2)
    law = fw.step_law(net(f"leaky_relu({slope})", n, scheme="lecun"))
    x = np.array([0.05, 0.4, 1.0, 3.0])
    expected = np.zeros(4)
    for k in range(n + 1):
        count = np.arange(4000)
        chance = stats.nbinom.pmf(count, k / 2, low / high) if k else (count == 0).astype(float)
        below = special.chdtr(n + 2 * count, n * x[:, np.newaxis] / low)
        expected += stats.binom.pmf(k, n, 0.5) * (below @ chance)
    assert law.cdf(x) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("act", ["linear", "relu", "leaky_relu(0.05)"])
@pytest.mark.parametrize("n", [3, 50])
def test_density_and_distribution_of_a_step_belong_together(act, n):
    law = fw.step_law(net(act, n))
    area, _ = integrate.quad(law.pdf, 0.2, 1.7, epsabs=1e-12)
    assert area == pytest.approx(law.cdf(1.7) - law.cdf(0.2), abs=1e-11)
    p = np.array([0.3, 0.5, 0.999])
    assert law.cdf(law.quantile(p)) == pytest.approx(p, abs=1e-13)


def test_a_dead_layer_is_an_atom_at_zero():
    law = fw.step_law(net("relu", 3))
    assert law.dead == 1 / 8
    assert law.cdf([-1.0, 0.0]).tolist() == [0.0, pytest.approx(1 / 8)]
    assert law.quantile([0.0, 0.125]).tolist() == [0.0, 0.0]
    assert fw.step_law(net("linear", 3)).dead == 0.0


# Orthogonal weights


@pytest.mark.parametrize("n", [2, 5, 40])
def test_square_orthogonal_relu(n):
    law = fw.step_law(net("relu", n, scheme=f"orthogonal({ROOT2!r})"))
    assert law.mean == pytest.approx(1.0)
    assert law.moment(2) == pytest.approx((n + 5) / (n + 2), rel=1e-13)
    x = np.array([0.1, 0.9, 1.0, 1.4])
    k = np.arange(1, n)[:, np.newaxis]
    mixture = stats.binom.pmf(k[:, 0], n, 0.5) @ special.betainc(k / 2, (n - k) / 2, x / 2)
    assert law.cdf(x) == pytest.approx(2.0**-n + mixture, abs=1e-13)
    assert law.cdf([1.999999999999, 2.0])[1] == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("n", [2, 9])
def test_the_logarithm_of_an_orthogonal_relu_step(n):
    """ln 2 Beta(k/2, (n-k)/2), k ~ Binomial, given k > 0; k = n gives ln 2."""
    k = np.arange(1, n + 1)
    weight = stats.binom.pmf(k, n, 0.5) / (1 - 2.0**-n)
    each = special.digamma(k / 2) - special.digamma(n / 2) + math.log(2)
    spread = special.polygamma(1, k / 2) - special.polygamma(1, n / 2)
    law = fw.step_law(net("relu", n, scheme=f"orthogonal({ROOT2!r})"))
    assert law.mean_log == pytest.approx(weight @ each, abs=1e-14)
    expected = weight @ (each**2 + spread) - (weight @ each) ** 2
    assert law.var_log == pytest.approx(expected, abs=1e-14)


def test_square_and_tall_orthogonal_linear_steps_are_certain():
    for widths in ([6, 6], [4, 9]):
        network = Network(1, widths=widths, act="linear", scheme="orthogonal")
        law = fw.step_law(network)
        assert (law.var_log, law.cdf(law.mean * 0.999), law.cdf(law.mean)) == (0.0, 0.0, 1.0)
        assert law.mean == pytest.approx(widths[0] / widths[1])
        assert law.quantile(0.4) == pytest.approx(law.mean, rel=1e-12)


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 2), (40, 39)])
def test_a_wide_orthogonal_matrix_keeps_a_beta_share(n_in, n_out):
    law = fw.step_law(Network(1, widths=[n_in, n_out], act="abs", scheme="orthogonal"))
    share = stats.beta(n_out / 2, (n_in - n_out) / 2)
    x = np.array([0.2, 0.6, 0.9, 0.99])
    assert law.cdf(x * n_in / n_out) == pytest.approx(share.cdf(x), rel=1e-12)
    scale = n_in / n_out
    assert law.moment(3) == pytest.approx(share.moment(3) * scale**3, rel=1e-12)
    logs = special.digamma(n_out / 2) - special.digamma(n_in / 2) + math.log(scale)
    assert law.mean_log == pytest.approx(logs, abs=1e-14)


def test_a_wide_orthogonal_relu_step_is_a_mixture_of_betas():
    n_in, n_out = 9, 4
    law = fw.step_law(Network(1, widths=[n_in, n_out], act="relu", scheme="orthogonal"))
    k = np.arange(1, n_out + 1)
    weight = stats.binom.pmf(k, n_out, 0.5)
    shares = stats.beta(k / 2, (n_in - k) / 2)
    second = weight @ shares.moment(2) * (n_in / n_out) ** 2
    assert law.moment(2) == pytest.approx(second, rel=1e-13)
    assert law.cdf(0.7) == pytest.approx(2.0**-4 + weight @ shares.cdf(0.7 * n_out / n_in), 1e-13)


# Gains


@pytest.mark.parametrize("n", [1, 10, 100, 10_000])
def test_the_gain_that_keeps_the_mean_logarithm(n):
    gain = fw.log_norm_gain(n)
    kept = fw.step_law(Network(1, width=n, act="relu", sigma_w=gain))
    assert abs(kept.mean_log) < 1e-15
    mean = float(relu_log_moments(n)[0]) if n < 1000 else -5 / (2 * n) - 49 / (12 * n**2)
    assert gain == pytest.approx(ROOT2 * math.exp(-mean / 2), rel=1e-11)


def test_the_published_fit_is_near_the_exact_gain():
    for n in (20, 100, 1000):
        assert fw.sussillo_abbott_fit(n) == pytest.approx(fw.log_norm_gain(n), rel=3e-3)
    assert fw.sussillo_abbott_fit(1) == ROOT2 * math.exp(1.2 / 3.6)


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fw.step_law(net("tanh", 5)), "two slopes"),
        (lambda: fw.step_law(net("relu", 5, sigma_b=0.1)), "without biases"),
        (lambda: fw.step_law(net("relu", 5, scheme="he_uniform")), "normal or orthogonal"),
        (lambda: fw.step_law(net("relu", 5), 2), "from 1 to the depth 1, got 2"),
        (lambda: fw.step_law(net("relu", 2_000_000)), "up to 1000000 units"),
        (lambda: fw.norm_law(net("relu", 5, scheme="orthogonal")), "normal weights"),
        (lambda: fw.norm_law(net("relu", 5)).quantile(0.0), r"\(0, 1\)"),
        (lambda: fw.norm_law(net("relu", 5)).cdf(math.nan), "nan"),
        (lambda: fw.step_law(net("relu", 5)).quantile(1.0), r"\[0, 1\)"),
        (lambda: fw.step_law(net("relu", 5)).pdf(0.0), "> 0"),
        (lambda: fw.step_law(net("relu", 5)).moment(65), "from 0 to 64, got 65"),
        (lambda: fw.unit_law(net("relu", 5)).pdf(0.0), "z != 0"),
        (lambda: fw.second_moments(net("relu", 5, scheme="student_t(4)")), "df > 4"),
        (lambda: fw.second_moments(net("relu", 5, scheme="orthogonal")), "not for orthogonal"),
        (lambda: fw.second_moments(net("relu", 5), 6.0), "from 1 to the input's size 5"),
        (lambda: fw.weight_kurtosis("orthogonal"), "independent"),
        (lambda: fw.log_norm_gain(0), "from 1 to"),
        (lambda: fw.log_norm_gain(10, "gelu"), "two slopes"),
    ],
)
def test_bad_input_says_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: fw.step_law("relu"),
        lambda: fw.step_law(net("relu", 5), 1.5),
        lambda: fw.log_norm_gain(2.5),
        lambda: fw.predicted("relu"),
    ],
)
def test_other_types_are_refused(make):
    with pytest.raises(TypeError):
        make()
