"""Simulation and theory agree within their own standard errors, at widths 50, 300 and 2000.

Two questions to every activation: does each step follow its exact law (`compare`), and do the mean
and the variance of ln q over networks, layer by layer, meet what `predicted` says for that very
width? Only layers in which the leading orders claim to be valid are asked.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from budget import Share, two_sided
from scipy import stats

import varprop
from varprop import Network, Propagation, simulate
from varprop.theory.finite_width import FiniteWidth, predicted

share = Share("agreement")

ACTIVATIONS = [str(act) for act in varprop.activations()]
TRIALS = {50: 400, 300: 1000, 2000: 200}
DEPTH = 10


def network(act: str, width: int) -> Network:
    """Two slopes at He's gain, exact at any depth; the others with biases, which keep them calm."""
    if varprop.Activation.parse(act).degree == 1:
        return Network(DEPTH, width=width, act=act, scheme="he")
    if act == "squared_relu":  # doubles every logarithm, so it takes small weights
        return Network(DEPTH, width=width, act=act, sigma_w=0.3, sigma_b=0.4)
    return Network(DEPTH, width=width, act=act, sigma_w=1.2, sigma_b=0.4)


def layers_agree(p: Propagation, theory: FiniteWidth) -> float:
    """The smallest p-value of any layer's mean and variance of ln q, times their number."""
    log_q = p.rows.log_preactivation
    assert np.isfinite(log_q).all()
    found = []
    for layer in np.flatnonzero(theory.valid):
        score = (log_q[:, layer] - theory.mean_log[layer]) / theory.std_log[layer]
        found.append(two_sided(score.mean() * math.sqrt(p.trials)))
        square = float((score**2).sum())
        found.append(2 * min(stats.chi2.cdf(square, p.trials), stats.chi2.sf(square, p.trials)))
    assert len(found) >= 6
    return min(1.0, min(found) * len(found))


@pytest.mark.parametrize("width", TRIALS)
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_simulation_and_prediction_agree(act: str, width: int) -> None:
    net = network(act, width)
    p = simulate(net, trials=TRIALS[width], seed=21)
    share.check(f"layers, {act}, width {width}", layers_agree(p, predicted(net)))
    tests = p.compare().tests
    worst = min(test.p_value for test in tests) * len(tests)
    share.check(f"steps, {act}, width {width}", min(1.0, worst))


@pytest.mark.parametrize(
    ("act", "scheme", "width", "trials"),
    [
        ("tanh", "orthogonal(1.3)", 50, 2000),
        ("silu", "orthogonal(1.5)", 300, 500),
        ("relu", f"orthogonal({math.sqrt(2)!r})", 50, 2000),
        ("relu", "he_uniform", 50, 500),
        ("tanh", "uniform, 0.02", 100, 200),
        ("hardtanh", "he_uniform", 100, 200),
    ],
)
def test_other_weights_agree_too(act: str, scheme: str, width: int, trials: int) -> None:
    net = Network(6, width=width, act=act, scheme=scheme)
    p = simulate(net, trials=trials, seed=22)
    theory = predicted(net)
    if theory.std_log[0] == 0:  # the first layer of orthogonal weights keeps the length
        q = p.rows.log_preactivation[:, 0]
        assert q == pytest.approx(np.full(trials, theory.mean_log[0]), abs=1e-12)
        theory = replace(theory, valid=theory.valid & (np.arange(net.depth) > 0))
    share.check(f"layers, {act}, {scheme}", layers_agree(p, theory))


def test_infinite_width_alone_would_not_agree() -> None:
    """The tests above see the corrections of finite width: without them they fail."""
    net = network("relu", 50)
    p = simulate(net, trials=TRIALS[50], seed=21)
    drift = p.preactivation.log_mean - np.log(2.0)
    assert abs(drift[-1]) > 5 * p.preactivation.log_stderr[-1]
