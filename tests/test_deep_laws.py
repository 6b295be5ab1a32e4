"""Exact laws of deep networks, and what the law of the weights does to them."""

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
from varprop.scheme import Scheme
from varprop.theory import finite_width as fw
from varprop.theory.finite.factor import log_power_of_length

PUBLISHED = {
    row["id"]: row["value"]
    for row in json.loads((Path(__file__).parent / "data" / "published_laws.json").read_text())
}
# (1 + 2/n)^L, (1 + 5/n)^L and their leaky kin at n = 100, L = 50 (Hanin and Rolnick, 1803.01719)
FOURTH_MOMENTS = {
    "linear": 2.691588029073608,
    "relu": 11.4673997857537,
    "leaky_relu(0.2)": 9.278809204916438,
}


def net(act: str, n: int, depth: int = 1, scheme: str = "he", **options) -> Network:
    return Network(depth, width=n, act=act, scheme=scheme, **options)


# Depth


@pytest.mark.parametrize(("act", "expected"), FOURTH_MOMENTS.items())
def test_published_fourth_moments(act, expected):
    moments = fw.second_moments(net(act, 100, depth=50))
    assert math.exp(moments.log_activation[-1]) == pytest.approx(expected, rel=1e-12)
    spread = fw.predicted(net(act, 100, depth=50)).activation.relative_std[-1]
    assert spread == pytest.approx(math.sqrt(expected - 1), rel=1e-12)


def test_unequal_widths_multiply_one_by_one():
    network = Network(3, widths=[7, 4, 30, 11], act="relu", scheme="he")
    moments = fw.second_moments(network)
    steps = 1 + 5 / np.array([4, 30, 11])
    assert np.exp(moments.log_activation) == pytest.approx(np.cumprod(steps), rel=1e-13)
    below = np.array([1, steps[0], steps[0] * steps[1]])
    assert np.exp(moments.log_kurtosis) == pytest.approx(3 * below, rel=1e-13)
    lengths = 1 + 2 / np.array([4, 30, 11])
    assert np.exp(moments.log_preactivation) == pytest.approx(below * lengths, rel=1e-13)


def test_published_probability_of_death():
    dead = fw.dead_probability(net("relu", 5, depth=10))
    assert dead[-1] == pytest.approx(PUBLISHED["dead_prob"], rel=1e-13)
    assert dead[0] == pytest.approx(2.0**-5, rel=1e-15)


def test_a_law_counts_every_chance_to_die():
    network = Network(4, widths=[3, 2, 2, 5, 2], act="relu")
    alive = 1 - fw.dead_probability(network)[-1]
    assert math.exp(fw.norm_law(network).log_alive) == pytest.approx(alive, rel=1e-14)
    assert fw.log_normal(network).log_alive == pytest.approx(math.log(alive), rel=1e-13)


def test_death_in_wide_networks_keeps_its_digits():
    dead = fw.dead_probability(Network(2, widths=[9, 60, 61], act="relu"))
    assert dead.tolist() == pytest.approx([2.0**-60, 1.5 * 2.0**-60], rel=1e-14, abs=0)


@pytest.mark.parametrize("act", ["linear", "relu", "leaky_relu(0.2)"])
def test_one_layer_of_the_norm_is_the_step(act):
    law, step = fw.norm_law(net(act, 6)), fw.step_law(net(act, 6))
    x = np.array([0.01, 0.3, 1.0, 4.0])
    alive = 1 - step.dead
    assert law.cdf(np.log(x)) == pytest.approx((step.cdf(x) - step.dead) / alive, abs=1e-13)
    assert law.pdf(np.log(x)) == pytest.approx(step.pdf(x) * x / alive, abs=1e-13)
    assert math.exp(law.log_alive) == pytest.approx(alive)


def test_two_relu_layers_are_a_convolution_of_steps():
    """P(R1 R2 <= c) by quadrature over the first step."""
    network = Network(2, widths=[3, 4, 5], act="relu", scheme="he")
    first, second = fw.step_law(network, 1), fw.step_law(network, 2)
    law = fw.norm_law(network)
    for c in (0.1, 1.0, 3.0):
        both, _ = integrate.quad(
            lambda v, c=c: (
                first.pdf(math.exp(v)) * math.exp(v) * (second.cdf(c / math.exp(v)) - second.dead)
            ),
            -60, 5, epsabs=1e-12, limit=500, points=[-5, 0, 2],
        )  # fmt: skip
        alive = (1 - first.dead) * (1 - second.dead)
        assert law.cdf(math.log(c)) == pytest.approx(both / alive, abs=1e-10)


@pytest.mark.parametrize("half", [3.0, 60.0, 1e5])
@pytest.mark.parametrize("s", [2.0, -1.5, 0.7j, 40j])
def test_powers_of_a_length_against_thirty_digits(half, s):
    with mp.workdps(30):
        z = mp.mpmathify(s)
        expected = mp.loggamma(half + z) - mp.loggamma(half) - z * mp.log(half)
    found = complex(log_power_of_length(half, np.array([s]))[0])
    assert abs(found - complex(expected)) < 3e-14


@pytest.mark.parametrize(
    ("act", "widths"),
    [("relu", [9] * 40), ("linear", [3, 1, 2, 50, 100_000]), ("leaky_relu(0.01)", [2, 5, 2, 2])],
)
def test_the_law_of_a_norm_has_the_moments_of_its_steps(act, widths):
    network = Network(len(widths) - 1, widths=widths, act=act)
    law = fw.norm_law(network)
    v = np.linspace(*law.quantile([1e-12, 1 - 1e-12]), 4001)
    density = law.pdf(v) * (v[1] - v[0])
    mean = density @ v
    assert density.sum() == pytest.approx(1.0, abs=1e-10)
    assert mean == pytest.approx(law.mean, abs=1e-8)
    assert density @ (v - mean) ** 2 == pytest.approx(law.variance, rel=1e-8)
    # and E of the norm itself, dead networks counting as 0
    whole = density @ np.exp(v - law.log_mean_ratio) * math.exp(law.log_alive)
    if law.variance < 3:
        assert whole == pytest.approx(1.0, rel=1e-6)


def meijer(hidden: list[int], h: float) -> float:
    """The density of a linear network's output unit (Zavatone-Veth and Pehlevan, 2104.11734)."""
    with mp.workdps(30):
        d = len(hidden) + 1
        front = mp.sqrt(mp.fprod(hidden) / (mp.pi * mp.mpf(2) ** d))
        front /= mp.fprod(mp.gamma(mp.mpf(n) / 2) for n in hidden)
        z = mp.fprod(hidden) * mp.mpf(h) ** 2 / mp.mpf(2) ** d
        return float(
            front * mp.meijerg([[], []], [[0] + [mp.mpf(n - 1) / 2 for n in hidden], []], z)
        )


@pytest.mark.parametrize("hidden", [[3], [4, 3], [1, 2, 5]])
def test_a_linear_unit_has_the_published_density(hidden):
    depth = len(hidden) + 1
    law = fw.unit_law(Network(depth, widths=[6, *hidden, 2], act="linear", scheme="lecun"))
    for h in (0.01, 0.4, 1.0, -5.0):
        assert law.pdf(h) == pytest.approx(meijer(hidden, h), rel=1e-11)


def test_a_relu_unit_is_the_published_mixture_over_masks():
    """Hidden widths 3 and 2 at gain 2: binomial weights, linear densities of the living units."""
    law = fw.unit_law(Network(3, widths=[4, 3, 2, 1], act="relu", scheme="he"))
    for h in (0.3, 2.0):
        total = 0.0
        for k, j in product((1, 2, 3), (1, 2)):
            weight = math.comb(3, k) * math.comb(2, j) / 2**5
            # k of 3 and j of 2 units act as a linear network whose weights are smaller
            scale = math.sqrt(8.0 * k / 3 * j / 2)
            total += weight * meijer([k, j], h / scale) / scale
        assert law.pdf(h) == pytest.approx(total, rel=1e-11)


def test_the_distribution_of_a_unit():
    law = fw.unit_law(Network(3, widths=[4, 3, 2, 1], act="relu", scheme="he"))
    dead = fw.dead_probability(Network(3, widths=[4, 3, 2, 1], act="relu", scheme="he"))[1]
    area, _ = integrate.quad(law.pdf, 0.5, 2.0, epsabs=1e-12)
    assert law.cdf(2.0) - law.cdf(0.5) == pytest.approx(area, abs=1e-11)
    assert law.cdf(0.0) == pytest.approx(0.5 + dead / 2)
    assert law.cdf(-1e-200) == pytest.approx(0.5 - dead / 2)
    assert law.kurtosis == pytest.approx(3 * (1 + 5 / 3) * (1 + 5 / 2), rel=1e-14)
    assert law.variance == pytest.approx(2.0)


def test_the_log_normal_limit_improves_with_width_at_fixed_ratio():
    limits = [fw.log_normal(net("relu", n, depth=n)) for n in (10, 40, 160)]
    assert [limit.beta for limit in limits] == pytest.approx([5.0] * 3)
    distances = [limit.distance for limit in limits]
    assert distances[0] > 3 * distances[1] > 9 * distances[2] > 0  # like 1/n
    assert limits[2].mean == pytest.approx(-2.5, rel=0.02)
    assert limits[2].variance == pytest.approx(5.0, rel=0.03)


def test_the_distance_to_the_limit_of_a_single_step():
    """Linear, one layer: chi-square(n)/n against exp of a normal, both distributions known."""
    v = np.linspace(-3, 2, 200_001)
    gap = special.chdtr(5, 5 * np.exp(v)) - special.ndtr((v + 0.2) / math.sqrt(0.4))
    found = fw.log_normal(net("linear", 5, scheme="lecun")).distance
    assert found == pytest.approx(np.abs(gap).max(), rel=1e-4)


def test_the_limit_is_that_of_the_ratio_to_the_mean():
    he, other = (fw.log_normal(net("relu", 20, depth=9, scheme=s)) for s in ("he", "lecun"))
    assert other.mean == pytest.approx(he.mean, rel=1e-12)
    assert other.distance == pytest.approx(he.distance, rel=1e-9)
    assert (he.limit_mean, he.limit_variance) == (-he.beta / 2, he.beta)


# The law of the weights


def test_published_second_moments_at_width_eight():
    moments = fw.second_moments(net("relu", 8, depth=4))
    assert np.exp(moments.log_activation) == pytest.approx(
        PUBLISHED["m4_relu_n8_gaussian"], rel=1e-13
    )


@pytest.mark.parametrize(
    "scheme",
    ["he", "he_uniform", "rademacher", "keras_he", "student_t(9)", "student_t(4.5)", "sparse(0.2)"],
)
def test_kurtosis_of_weights_against_integration(scheme):
    law = Scheme.parse(scheme)
    if law.distribution == "rademacher":
        expected = -2.0
    elif law.distribution == "sparse":
        expected = 3 * 0.2 / 0.2**2 - 3
    else:
        kinds = {
            "normal": stats.norm(),
            "uniform": stats.uniform(-1, 2),
            "truncated_normal": stats.truncnorm(-2, 2),
            "student_t": stats.t(law.shape or 5.0),
        }
        expected = float(kinds[law.distribution].stats("k"))
    assert fw.weight_kurtosis(scheme) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("slope", "widths"), [(0.0, (2, 2, 4)), (1.0, (3, 3, 3)), (0.5, (2, 3, 1)), (0.3, (3, 2, 2))]
)
def test_two_layers_of_signs_by_enumeration(slope, widths):
    """Every network of two layers with weights +-1/sqrt(n), and its exact average."""
    n_0, n_1, n_2 = widths
    x = np.array([1.0, -0.5, 2.0])[:n_0]

    def phi(z):
        return np.where(z > 0, z, slope * z)

    def mean_of_square(each, n):
        """E (mean of n independent copies)^2."""
        return np.mean(each**2) / n + (1 - 1 / n) * np.mean(each) ** 2

    first_rows, second_rows = (
        np.array(list(product((-1.0, 1.0), repeat=n))) / math.sqrt(n) for n in (n_0, n_1)
    )
    first, second, second_q, fourth = [], [], [], []
    for w1 in product(first_rows, repeat=n_1):
        h = phi(np.array(w1) @ x)
        first.append(np.mean(h**2))
        z = second_rows @ h  # one unit of the second layer, for every row of weights
        fourth.append(np.mean(z**4))
        second.append(mean_of_square(phi(z) ** 2, n_2))
        second_q.append(mean_of_square(z**2, n_2))
    m = fw.second_moments(
        Network(
            2, widths=widths, act=f"leaky_relu({slope})" if slope else "relu", scheme="rademacher"
        ),
        n_0 * np.sum(x**4) / np.sum(x**2) ** 2,
    )
    scale, energy = (1 + slope**2) / 2, np.mean(x**2)
    for seen, log, mean in (
        (np.square(first), m.log_activation[0], scale * energy),
        (second, m.log_activation[1], scale**2 * energy),
        (second_q, m.log_preactivation[1], scale * energy),
        (fourth, m.log_kurtosis[1], scale * energy),
    ):
        assert np.mean(seen) == pytest.approx(math.exp(log) * mean**2, rel=1e-12)
