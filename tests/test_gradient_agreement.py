"""Gradients of wide networks, simulated, beside what infinite width predicts of them."""

from __future__ import annotations

import numpy as np
import pytest
from budget import Share
from scipy import stats

import varprop
from varprop import simulate
from varprop.theory import predict

share = Share("gradient_agreement")

ACTIVATIONS = [act for act in varprop.activations() if not act.jumps]
DEPTH, TRIALS = 10, 16


def student_p(sigmas: float) -> float:
    """P-value of a deviation in standard errors that were estimated from TRIALS networks."""
    return float(2 * stats.t.sf(abs(sigmas), TRIALS - 1))


@pytest.mark.parametrize("act", ACTIVATIONS, ids=str)
def test_gradients_are_those_predicted(act):
    """At a width of 50,000 the error of infinite width, of order depth/width, is far below ours."""
    p = simulate(
        depth=DEPTH, width=50_000, act=act, sigma_w=1.3, sigma_b=0.3, trials=TRIALS, seed=51
    )
    theory = predict(p.network)
    for statistic, logs in (
        (p.gradient, theory.log_gradient),
        (p.weight_gradient, theory.log_weight_gradient),
        (p.bias_gradient, theory.log_bias_gradient),
    ):
        gap = statistic.log_mean - logs
        sigmas = np.ma.getdata(gap / np.ma.maximum(statistic.log_stderr, 1e-12))
        share.check(f"{act}: {statistic.name}, first layer", student_p(sigmas[0]))
        share.check(f"{act}: {statistic.name}, half way", student_p(sigmas[DEPTH // 2]))


def test_a_wrong_factor_is_seen():
    """Sensitivity: 5 % in one layer's variance, and V of the wrong layer."""
    p = simulate(depth=DEPTH, width=50_000, act="tanh", sigma_w=1.3, trials=TRIALS, seed=52)
    logs, error = predict(p.network).log_gradient, p.gradient.log_stderr[0]
    assert abs(p.gradient.log_mean[0] - logs[0]) < 4 * error
    assert abs(p.gradient.log_mean[0] - (logs[0] + np.log(1.05))) > 6 * error
    shifted = np.r_[logs[1:], 0.0]
    assert abs(p.gradient.log_mean[0] - shifted[0]) > 6 * error


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_unequal_widths(mode):
    widths = (20_000, 60_000, 30_000, 90_000, 50_000)
    p = simulate(
        depth=4, widths=widths, act="gelu", scheme=f"normal, 2/{mode}", trials=TRIALS, seed=53
    )
    theory = predict(p.network)
    for statistic, logs in (
        (p.gradient, theory.log_gradient),
        (p.weight_gradient, theory.log_weight_gradient),
    ):
        for layer in range(3):
            sigmas = (statistic.log_mean - logs)[layer] / statistic.log_stderr[layer]
            share.check(f"{mode}, {statistic.name}, {layer}", student_p(float(sigmas)))
