"""Exact laws of finite networks, against what the engines draw.

Nothing here is a limit of infinite width: a ratio of two layers' norms has a known distribution
at every width, and so has the norm of the pre-activations given the layer below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p, two_sided, uniform_p
from effort import draws
from scipy import special, stats

import varprop
from varprop import Propagation, simulate

FloatArray = npt.NDArray[np.float64]

share = Share("laws")

PUBLISHED = {
    row["id"]: row["value"]
    for row in json.loads((Path(__file__).parent / "data" / "published_laws.json").read_text())
}
WIDTHS = (2, 3, 5, 10, 200)
COMPILED = ("matrix-free", "dense")
ENGINES = (*COMPILED, "reference")
CASES = [(e, n) for e in COMPILED for n in WIDTHS] + [("reference", n) for n in (2, 3, 5)]
ACTIVATIONS = [row.name for row in varprop.activations()]
SCHEME_OF = {"linear": "lecun", "relu": "he"}


def run(engine: str, trials: int, **options: Any) -> Propagation:
    return simulate(engine=engine, trials=trials, threads=1, **options)


def trials_for(engine: str, width: int) -> int:
    """Networks of a few layers that take less than a second."""
    if engine == "reference":
        return 400
    return 4000 if width > 100 else 20_000


def log_ratios(p: Propagation) -> np.ma.MaskedArray[Any, Any]:
    """ln(a_l / a_(l-1)), masked unless both layers live."""
    log_a = p.activation.log
    first = np.ma.masked_array(np.full((p.trials, 1), p.input_mean_square_log))
    return log_a - np.ma.concatenate([first, log_a[:, :-1]], axis=1)


def linear_cdf(ratio: npt.ArrayLike, n: int) -> FloatArray:
    """Of chi-square(n) / n."""
    return stats.chi2.cdf(n * np.asarray(ratio), n)


def relu_cdf(ratio: npt.ArrayLike, n: int) -> FloatArray:
    """Of (2/n) chi-square(k), k ~ Binomial(n, 1/2), given k > 0."""
    x = n * np.asarray(ratio) / 2
    k = np.arange(1, n + 1)
    weight = stats.binom.pmf(k, n, 0.5)
    k, weight = k[weight > 1e-13], weight[weight > 1e-13]
    mixture = sum(w * special.chdtr(j, x) for j, w in zip(k, weight, strict=True))
    return np.asarray(mixture / weight.sum())


def haar_relu_cdf(ratio: npt.ArrayLike, n: int) -> FloatArray:
    """Of 2 Beta(k/2, (n - k)/2), k ~ Binomial(n, 1/2), given 0 < k < n."""
    x = np.asarray(ratio) / 2
    k = np.arange(1, n)
    weight = stats.binom.pmf(k, n, 0.5)
    mixture = sum(
        w * special.betainc(j / 2, (n - j) / 2, x) for j, w in zip(k, weight, strict=True)
    )
    return np.asarray(mixture / weight.sum())


CDF: dict[str, Callable[[npt.ArrayLike, int], FloatArray]] = {
    "linear": linear_cdf,
    "relu": relu_cdf,
}


def check_steps(name: str, u: np.ma.MaskedArray[Any, Any]) -> None:
    """Uniform, and independent between layers and between networks, given (trials, layers)."""
    share.check(f"{name}: law", uniform_p(u.compressed()))
    score = np.ma.masked_array(special.ndtri(np.clip(u.filled(0.5), 1e-15, 1 - 1e-15)), u.mask)
    pairs = {
        "next layer": (score[:, 1:], score[:, :-1]),
        "layer after next": (score[:, 2:], score[:, :-2]),
        "next network": (score[1:], score[:-1]),
    }
    for what, (one, other) in pairs.items():
        product = (one * other).compressed()
        correlation = product.sum() / np.sqrt(product.size)
        share.check(f"{name}: {what}", two_sided(correlation))


@pytest.mark.parametrize(("engine", "n"), CASES)
@pytest.mark.parametrize("act", ["linear", "relu"])
def test_each_step_follows_its_law(act: str, engine: str, n: int) -> None:
    p = run(engine, trials_for(engine, n), depth=5, width=n, act=act, scheme=SCHEME_OF[act], seed=1)
    ratio = np.ma.exp(log_ratios(p))
    u = np.ma.masked_array(CDF[act](ratio.filled(1.0), n), np.ma.getmaskarray(ratio))
    check_steps(f"{act}, {engine}, width {n}", u)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("act", ["linear", "relu"])
def test_each_step_follows_its_law_at_unequal_widths(act: str, engine: str) -> None:
    widths = (7, 4, 9, 2, 12, 40)
    p = run(
        engine, trials_for(engine, 5), depth=5, widths=widths, act=act,
        scheme=SCHEME_OF[act], seed=2,
    )  # fmt: skip
    ratio = np.ma.exp(log_ratios(p))
    columns = [CDF[act](ratio.filled(1.0)[:, i], n) for i, n in enumerate(widths[1:])]
    u = np.ma.masked_array(np.stack(columns, axis=1), np.ma.getmaskarray(ratio))
    check_steps(f"{act}, {engine}, unequal widths", u)


# Death


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("widths", [(2,) * 7, (5,) * 11, (9, 4, 3, 6, 1, 2, 5)], ids=str)
def test_networks_die_as_often_as_they_should(widths: tuple[int, ...], engine: str) -> None:
    depth = len(widths) - 1
    trials = draws(400, 1000) if engine == "reference" else 40_000
    p = run(engine, trials, depth=depth, widths=widths, act="relu", scheme="he", seed=3)
    dies = 2.0 ** -np.array(widths[1:])
    lives = np.cumprod(1 - dies)
    name = f"death, {engine}, widths {widths}"
    share.check(f"{name}: all", stats.binomtest(p.dead, trials, 1 - lives[-1]).pvalue)
    by_layer = np.concatenate([[1.0], lives[:-1]]) * dies
    seen = np.bincount(p.died, minlength=depth + 1)
    expected = trials * np.concatenate([[lives[-1]], by_layer])
    share.check(f"{name}: by layer", stats.chisquare(seen, expected).pvalue)


@pytest.mark.parametrize("engine", COMPILED)
def test_published_share_of_dead_networks(engine: str) -> None:
    p = run(engine, 100_000, depth=10, width=5, act="relu", scheme="he", seed=4)
    share.check(
        f"published P(dead), {engine}",
        stats.binomtest(p.dead, p.trials, PUBLISHED["dead_prob"]).pvalue,
    )


# Published moments


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize(
    ("act", "n"), [("linear", 100), ("relu", 10), ("relu", 50), ("relu", 100), ("relu", 500)]
)
def test_published_drift_of_the_logarithm(act: str, n: int, engine: str) -> None:
    mean, variance = PUBLISHED[f"{act}_log_drift"][str(n)]
    trials = 500 if n == 500 and engine == "dense" else 6000
    p = run(engine, trials, depth=4, width=n, act=act, scheme=SCHEME_OF[act], seed=5)
    log = log_ratios(p).compressed()
    name = f"published drift, {act}, {engine}, width {n}"
    share.check(f"{name}: mean", mean_p(log, mean, variance))
    share.check(f"{name}: variance", mean_p((log - mean) ** 2, variance))


def relu_moment(power: int, n: int) -> float:
    """E ratio^power of one He-ReLU step."""
    k = np.arange(n + 1)
    moment = np.prod([k + 2 * j for j in range(power)], axis=0)
    return float((stats.binom.pmf(k, n, 0.5) * moment).sum() * (2 / n) ** power)


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize(("n", "depth"), [(8, 2), (50, 4), (200, 6)])
def test_the_second_moment_grows_by_the_step(n: int, depth: int, engine: str) -> None:
    """E(a^L)^2 = (1 + 5/n)^L; deeper, or narrower, its estimator's own error swallows it."""
    trials = 3000 if engine == "dense" and n == 200 else 50_000
    p = run(engine, trials, depth=depth, width=n, act="relu", scheme="he", seed=6)
    expected = (1 + 5 / n) ** np.arange(1, depth + 1)
    assert np.isclose(relu_moment(2, n), expected[0], rtol=1e-12)
    if n == 8:
        assert np.allclose(expected, PUBLISHED["m4_relu_n8_gaussian"][:depth], rtol=1e-12)
    squares = np.exp(2 * p.rows.log_activation)
    for layer in range(1, depth + 1):
        name = f"second moment, {engine}, width {n}, layer {layer}"
        variance = relu_moment(4, n) ** layer - expected[layer - 1] ** 2
        share.check(name, mean_p(squares[:, layer - 1], expected[layer - 1], variance))


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("slope", [-1.0, 0.2, 1.0])
def test_the_second_moment_of_one_leaky_step(slope: float, engine: str) -> None:
    n = 6
    act, sigma_w = f"leaky_relu({slope})", math.sqrt(2 / (1 + slope**2))
    p = run(engine, 40_000, depth=3, width=n, act=act, sigma_w=sigma_w, seed=7)
    expected = 1 + (6 * (1 + slope**4) / (1 + slope**2) ** 2 - 1) / n
    share.check(
        f"second moment, {act}, {engine}", mean_p(np.exp(2 * log_ratios(p).compressed()), expected)
    )


# Biases: given the layer below, |z|^2/K is chi-square(n), whatever the activation


def check_preactivations(name: str, p: Propagation) -> None:
    log_ratio = p.preactivation.log - p.variance.log
    n = np.array(p.network.widths[1:], dtype=np.float64)
    u = special.chdtr(np.broadcast_to(n, log_ratio.shape), n * np.ma.exp(log_ratio).filled(1.0))
    check_steps(name, np.ma.masked_array(u, np.ma.getmaskarray(log_ratio)))
    below = np.concatenate(
        [np.full((p.trials, 1), p.input_mean_square_log), p.rows.log_activation[:, :-1]], axis=1
    )
    expected = np.exp(below) * p.network.sigma_w**2 + p.network.bias_std**2
    assert np.allclose(np.exp(p.rows.log_variance), expected, rtol=1e-12)


@pytest.mark.parametrize(("engine", "n"), [*CASES, ("reference", 20)])
def test_preactivations_with_biases(engine: str, n: int) -> None:
    p = run(
        engine, trials_for(engine, n) // 2, depth=4, width=n, act="tanh",
        sigma_w=1.3, sigma_b=0.9, seed=8,
    )  # fmt: skip
    check_preactivations(f"biases, {engine}, width {n}", p)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_preactivations_of_every_activation(act: str) -> None:
    p = run("matrix-free", 5000, depth=3, widths=(4, 3, 6, 5), act=act, sigma_w=0.8, sigma_b=0.5)
    check_preactivations(f"biases, {act}", p)


# Uniform weights: a layer with one input shows each weight by itself


@pytest.mark.parametrize("engine", ["dense", "reference"])
def test_a_uniform_weight_seen_by_itself(engine: str) -> None:
    trials = draws(700, 2000) if engine == "reference" else 40_000
    p = run(engine, trials, depth=4, width=1, act="linear", scheme="he_uniform", seed=9)
    size = np.exp((p.rows.log_preactivation - p.rows.log_variance) / 2) / math.sqrt(3)
    check_steps(f"uniform weight, {engine}", np.ma.masked_array(size, False))


@pytest.mark.parametrize(
    ("engine", "weights"),
    [("matrix-free", "normal"), ("dense", "uniform"), ("reference", "uniform")],
)
def test_a_uniform_bias_seen_by_itself(engine: str, weights: str) -> None:
    """Weights of variance 1e-30 leave nothing but the bias."""
    trials = draws(700, 2000) if engine == "reference" else 40_000
    scheme = f"{weights}, 1e-30/fan_in, bias_uniform, 0.5/fan_in"
    p = run(engine, trials, depth=4, width=1, act="linear", scheme=scheme, seed=9)
    size = np.exp((p.rows.log_preactivation - p.rows.log_variance) / 2) / math.sqrt(3)
    check_steps(f"uniform bias, {engine}", np.ma.masked_array(size, False))


@pytest.mark.parametrize("engine", ["dense", "reference"])
def test_the_torch_scheme_with_one_input(engine: str) -> None:
    """w + b with both uniform on (-1, 1)."""
    trials = draws(1500, 5000) if engine == "reference" else 100_000
    p = run(engine, trials, depth=1, width=1, act="linear", scheme="torch", seed=10)
    size = np.exp(p.rows.log_preactivation / 2)
    share.check(f"torch, one input, {engine}", uniform_p(1 - (1 - size / 2) ** 2))


@pytest.mark.parametrize("n", [2, 5, 200])
@pytest.mark.parametrize("scheme", ["he_uniform", "rashid", "torch"])
def test_uniform_weights_have_the_variance_they_should(scheme: str, n: int) -> None:
    p = run("dense", trials_for("dense", n) // 2, depth=3, width=n, act="abs", scheme=scheme)
    ratio = np.exp(p.rows.log_preactivation - p.rows.log_variance)
    share.check(f"q over K, {scheme}, width {n}", mean_p(ratio, 1.0))


# Orthogonal weights


HAAR = [("matrix-free", 40_000), ("reference", 500)]


@pytest.mark.parametrize(("engine", "trials"), HAAR)
@pytest.mark.parametrize("widths", [(7, 7, 7), (3, 5, 20), (1, 1, 4)], ids=str)
def test_linear_orthogonal_networks_preserve_norms(
    widths: tuple[int, ...], engine: str, trials: int
) -> None:
    p = run(engine, trials // 40, depth=2, widths=widths, act="linear", scheme="orthogonal")
    log_norm = p.rows.log_activation + np.log(widths[1:]) - np.log(widths[0])
    assert np.abs(log_norm).max() < 1e-13


@pytest.mark.parametrize(("engine", "trials"), HAAR)
@pytest.mark.parametrize("widths", [(2, 1), (5, 2), (10, 3), (200, 100)], ids=str)
def test_a_wide_orthogonal_matrix_projects(
    widths: tuple[int, int], engine: str, trials: int
) -> None:
    n_in, n_out = widths
    if widths == (200, 100):
        trials //= 8
    p = run(engine, trials, depth=1, widths=widths, act="linear", scheme="orthogonal", seed=11)
    kept = np.exp(p.rows.log_activation) * n_out / n_in
    share.check(
        f"projection, {engine}, {widths}",
        uniform_p(special.betainc(n_out / 2, (n_in - n_out) / 2, kept)),
    )


@pytest.mark.parametrize(("engine", "trials"), HAAR)
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_relu_between_orthogonal_matrices(n: int, engine: str, trials: int) -> None:
    scheme = f"orthogonal({math.sqrt(2)!r})"
    p = run(engine, trials, depth=3, width=n, act="relu", scheme=scheme, seed=12)
    ratio = np.ma.exp(log_ratios(p))
    name = f"orthogonal ReLU, {engine}, width {n}"
    met = np.ma.getmaskarray(p.variance.log)  # nothing arrives where the layer below is dead
    steps = ratio.filled(0.0)[~met]
    share.check(f"{name}: second moment", mean_p(steps**2, (n + 5) / (n + 2)))
    whole = np.abs(steps - 2) < 1e-9
    for what, count in (("none", (steps == 0).sum()), ("all", whole.sum())):
        p_value = stats.binomtest(int(count), steps.size, 2.0**-n).pvalue
        share.check(f"{name}: {what} of the units alive", p_value)
    mask = np.ma.getmaskarray(ratio) | (np.abs(ratio.filled(0.0) - 2) < 1e-9)
    u = haar_relu_cdf(np.where(mask, 1.0, ratio.filled(1.0)), n)
    check_steps(name, np.ma.masked_array(u, mask))


@pytest.mark.parametrize(("engine", "trials"), HAAR)
@pytest.mark.parametrize("widths", [(2, 2), (5, 5), (2, 6)], ids=str)
def test_orthogonal_weights_with_biases(widths: tuple[int, int], engine: str, trials: int) -> None:
    """|z|^2 / sigma_b^2 is a non-central chi-square(n_out), the weights' part its centre."""
    p = run(
        engine, trials // 4, depth=1, widths=widths, act="tanh", scheme="orthogonal",
        sigma_b=0.7, seed=13,
    )  # fmt: skip
    norm = widths[1] * np.exp(p.rows.log_preactivation)
    u = stats.ncx2.cdf(norm / 0.49, widths[1], widths[0] / 0.49)
    share.check(f"orthogonal with biases, {engine}, {widths}", uniform_p(u))
