"""The reference's pairs, tangents, masks and norms against their laws, at any width."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p, uniform_p
from scipy import stats

from varprop import Norm, Propagation, Residual, simulate
from varprop.theory.kernel import kernel

FloatArray = npt.NDArray[np.float64]

share = Share("reference_laws")


def run(**options: Any) -> Propagation:
    return simulate(**options, engine="reference")


@pytest.mark.parametrize("act", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_a_layer_takes_kernels_to_the_mean_of_the_next(act: str, keep: float) -> None:
    """E[K_ab of the next layer | K of this] = sigma_b^2 + sigma_w^2 E phi phi, at any width.

    Masks of two inputs are independent, so dropout drops out, but on the diagonal.
    """
    x = np.random.default_rng(3).normal(size=(2, 6))
    p = run(depth=4, widths=(6, 5, 20, 40, 9), act=act, sigma_w=1.4, sigma_b=0.3, dropout=keep,
            trials=150, seed=41, x=x, backward=False)  # fmt: skip
    k = p.kernel.trials
    theory = kernel(act)
    for a, b in ((0, 1), (0, 0)):
        expected = theory(k[:, a, a, :-1], k[:, b, b, :-1], k[:, a, b, :-1])
        expected = 0.09 + 1.96 * expected / (keep if a == b else 1.0)
        for layer in range(3):
            off = k[:, a, b, layer + 1] - expected[:, layer]
            share.check(f"kernel, {act}, keep {keep}, {a}{b}, layer {layer}", mean_p(off, 0.0))


@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_kernels_pass_skip_connections(act: str) -> None:
    """Layer 1 is normal, whatever its width; there, and only there, layer 2 has a closed law."""
    x = np.random.default_rng(4).normal(size=(2, 6))
    p = run(depth=2, widths=(6, 15, 15), act=act, sigma_w=1.4, sigma_b=0.3, trials=400, seed=42,
            residual=Residual(0.5, -0.8), x=x, backward=False)  # fmt: skip
    k = p.kernel.trials
    for a, b in ((0, 1), (1, 1)):
        below = k[:, a, a, 0], k[:, b, b, 0], k[:, a, b, 0]
        expected = 0.64 * below[2] + 0.25 * (0.09 + 1.96 * kernel(act)(*below))
        share.check(f"skip, {act}, {a}{b}", mean_p(k[:, a, b, 1] - expected, 0.0))


@pytest.mark.parametrize(
    "parts",
    [
        {"residual": Residual(0.3, 1.2)},
        {"residual": Residual("1/depth")},
        {"norm": Norm("layer", "post")},
        {"norm": Norm("rms", "post"), "residual": Residual(0.3, 1.2)},
        {"norm": "rms", "dropout": 0.7},
        {"act": ["tanh", "relu", "gelu", "sin", "tanh"], "scheme": ["he"] * 3 + ["lecun"] * 2},
    ],
    ids=str,
)
def test_the_variance_is_made_of_what_lies_below(parts: dict[str, Any]) -> None:
    """K = skip^2 q + branch^2 (sigma_b^2 + sigma_w^2 a), to the last digits."""
    p = run(**({"act": "tanh"} | parts), depth=5, width=12, sigma_b=0.2, trials=9, seed=43,
            backward=False)  # fmt: skip
    net = p.network
    a, q = p.activation.trials[:, :-1], p.preactivation.trials[:, :-1]
    skip = branch = 0.0
    if net.residual is not None:
        skip, branch = net.residual.skip, net.residual.factor(5)
    branch = branch or 1.0
    expected = skip**2 * q + branch**2 * (0.04 + net.sigma_w[1:] ** 2 * a)
    assert p.variance.trials[:, 1:] == pytest.approx(expected, rel=1e-12)
    if net.norm is not None and net.norm.place == "post":
        assert (p.preactivation.trials == 1).all()


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norms_fix_what_phi_reads(kind: str) -> None:
    p = run(depth=3, width=30, act="linear", norm=kind, sigma_w=3.0, sigma_b=1.0, trials=5, seed=44)
    assert p.activation.trials == pytest.approx(np.ones((5, 3)), rel=1e-12)
    centred = np.abs(p.relative_mean.trials).max() < 1e-12
    assert centred == (kind == "layer")
    # a gradient is orthogonal to the normalised signal: the norm takes 1 or 2 of n directions
    n, taken = 30, 1 + (kind == "layer")
    shrink = np.exp(p.rows.log_gradient[:, :-1] - p.rows.log_gradient[:, 1:])
    per_unit = shrink * p.preactivation.trials[:, :-1] / 9.0
    assert per_unit.mean() == pytest.approx(1 - taken / n, abs=5 * per_unit.std() / 10**0.5)


def test_masks_are_of_their_rate_and_each_inputs_own() -> None:
    p = run(depth=3, width=50, act="tanh", dropout=0.7, trials=300, seed=45, correlation=1.0,
            backward=False)  # fmt: skip
    shares = p.zero.trials
    for layer in range(3):
        both = shares[:, :, layer]
        share.check(f"masks, {layer}", mean_p(both, 0.3, 0.21 / 50))
        along = stats.pearsonr(both[:, 0], both[:, 1]).pvalue
        share.check(f"masks, {layer}: independent", float(along))
    assert (p.rows.log_gap[:, 0] == -np.inf).all()  # the input itself is not masked
    assert np.isfinite(p.rows.log_gap[:, 1:]).all()


@pytest.mark.parametrize("widths", [(6,) * 5, (4, 7, 5, 9, 6)], ids=str)
def test_tangents_of_linear_networks_grow_as_chi_squares(widths: tuple[int, ...]) -> None:
    """QR of W times orthonormal columns: R_ii^2 is chi-square of n - i, over fan_in, times s^2."""
    p = run(depth=4, widths=widths, act="linear", sigma_w=1.5, tangents=3, trials=800, seed=46)
    ups, downs = p.rows.log_tangent, p.rows.log_adjoint
    assert ups is not None
    assert downs is not None
    log_n = np.log(np.array(widths, dtype=float))
    lengths = np.concatenate([np.zeros((800, 3, 1)), ups + log_n[1:] - log_n[0]], axis=-1)
    for layer in range(4):
        square = np.exp(np.diff(lengths, axis=-1)[..., layer]) * widths[layer] / 2.25
        for i in range(3):
            p_value = uniform_p(stats.chi2.cdf(square[:, i], widths[layer + 1] - i))
            share.check(f"tangent {i}, {widths}, layer {layer}", p_value)
    lengths = downs + log_n[1:]
    for layer in range(3):
        ratio = np.exp(lengths[..., layer] - lengths[..., layer + 1])
        square = ratio * widths[layer + 1] / 2.25
        for i in range(3):
            p_value = uniform_p(stats.chi2.cdf(square[:, i], widths[layer + 1] - i))
            share.check(f"adjoint {i}, {widths}, layer {layer}", p_value)


def test_rotations_keep_everything() -> None:
    x = np.random.default_rng(5).normal(size=(3, 7))
    p = run(depth=6, width=7, act="linear", scheme="orthogonal(1)", tangents=7, trials=3, seed=47,
            x=x, cotangents=2)  # fmt: skip
    norms = np.linalg.norm(x, axis=1)
    cosines = np.array([x[a] @ x[b] / norms[a] / norms[b] for a, b in p.pairs])
    assert p.correlation.trials == pytest.approx(
        np.tile(cosines[:, np.newaxis], (3, 1, 6)), abs=1e-12
    )
    for log in (p.rows.log_tangent, p.rows.log_adjoint, p.rows.log_gradient):
        assert log == pytest.approx(np.zeros_like(log), abs=1e-12)
    assert p.lyapunov.data == pytest.approx(np.zeros(7), abs=1e-13)


def test_directions_that_a_network_loses() -> None:
    """relu keeps as many directions as it has units at work, sign of the others nothing."""
    p = run(depth=3, width=5, act="relu", tangents=5, trials=40, seed=48)
    log = p.rows.log_tangent
    assert log is not None
    at_work = np.round(5 * (1 - p.zero.trials)).astype(int)
    # z of layer 2 is W2 times the units at work in layer 1, and so on
    rank = np.minimum.accumulate(at_work, axis=1)[:, :-1]
    kept = np.isfinite(log).sum(axis=1)
    assert (kept[:, 0] == 5).all()
    assert np.array_equal(kept[:, 1:], rank)
    assert np.ma.getmaskarray(p.lyapunov)[-1]
    assert not np.isnan(p.lyapunov.data).any()


def test_units_of_a_first_layer_are_normal() -> None:
    edges = np.linspace(-4, 4, 17)
    p = run(depth=1, width=200, act="tanh", sigma_w=0.8, sigma_b=0.6, trials=200, seed=49,
            histogram=edges, backward=False)  # fmt: skip
    assert p.histogram is not None
    counts = p.histogram.preactivation  # independent units of variance 0.64 + 0.36
    assert counts.outside is not None
    tail = stats.norm.sf(4)
    expected = 40_000 * np.array([tail, *np.diff(stats.norm.cdf(edges)), tail])
    seen = np.array([counts.outside[0, 0], *counts.counts[0], counts.outside[0, 1]])
    statistic = ((seen - expected) ** 2 / expected).sum()
    share.check("histogram", float(stats.chi2.sf(statistic, len(seen) - 1)))
    squashed = p.histogram.activation
    assert squashed.totals.tolist() == [40_000]
    assert squashed.counts[0, 6:10].sum() == 40_000  # |tanh| < 1
    # the bin from 0 to 0.5 holds what tanh takes there
    inside = stats.norm.cdf(np.arctanh(0.5)) - 0.5
    share.check(
        "histogram of tanh",
        float(stats.binomtest(int(squashed.counts[0, 8]), 40_000, inside).pvalue),
    )


def test_near_pairs_drift_apart_as_chi1() -> None:
    """1 - c of 1e-12: a tangent's law, E |W t|^2 = chi1 |t|^2, through one layer of tanh."""
    p = run(depth=2, width=60, act="tanh", sigma_w=1.3, trials=600, seed=50, backward=False,
            log_gap=np.log(1e-12))  # fmt: skip
    k = p.kernel.trials
    growth = p.kernel_gap.trials[:, 1] * k[:, 0, 0, 1] / (p.kernel_gap.trials[:, 0] * k[:, 0, 0, 0])
    slopes = kernel("tanh", derivative=True)(k[:, 0, 0, 0], k[:, 0, 0, 0], k[:, 0, 0, 0])
    # K_aa (1 - rho) is half the variance of the difference, when |a| and |b| differ by little
    lengths = (np.sqrt(k[:, 0, 0]) - np.sqrt(k[:, 1, 1])) ** 2 / 2
    apart = growth + lengths[:, 1] / (p.kernel_gap.trials[:, 0] * k[:, 0, 0, 0])
    share.check("chi1", mean_p(apart - 1.69 * slopes, 0.0))
