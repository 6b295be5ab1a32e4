"""Predictions for architectures beside drawn networks: nothing of the theory is used in these.

What a width n adds to a mean is of order 1/n. It cancels in (n m_n - s m_s)/(n - s) of the means at
two widths, up to order 1/(n s), so the prediction is tested against that, within its own standard
error.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from budget import Share
from drawn_networks import GRADIENTS, backward, forward, masks, measure, pair_of_inputs, weights
from scipy import stats

from varprop import Network, Norm, Residual
from varprop.theory import predict

SMALL, WIDE, TRIALS = 80, 320, 160
DEPTH = 3
FORWARD = ("variance", "preactivation", "activation", "mean", "correlation")
NETWORKS = {
    "skip": {"act": "tanh", "sigma_w": 1.5, "sigma_b": 0.3, "residual": Residual(0.7, -1.1)},
    "pre-LN": {"act": "relu", "scheme": "he", "residual": Residual(), "norm": "layer"},
    "post-LN": {
        "act": "gelu",
        "sigma_w": 1.7,
        "sigma_b": 0.4,
        "residual": Residual(0.8),
        "norm": Norm("layer", "post"),
    },
    "RMSNorm, dropout": {"act": "tanh", "sigma_w": 2.0, "norm": "rms", "dropout": 0.6},
    "dropout": {"act": "sigmoid", "sigma_w": 3.0, "sigma_b": 0.2, "dropout": 0.5},
    "post-RMS, dropout": {
        "act": ["relu", "sin", "tanh"],
        "scheme": ["he", "normal, 2.5/fan_in", "xavier"],
        "sigma_b": 0.5,
        "residual": Residual("1/sqrt(depth)", 0.9),
        "norm": Norm("rms", "post"),
        "dropout": 0.7,
    },
}


@pytest.fixture(scope="module")
def share():
    return Share("architectures")


def check(share, name, wide, small, known):
    """One mean against its prediction, both widths together."""
    parts = (WIDE / (WIDE - SMALL), wide), (-SMALL / (WIDE - SMALL), small)
    found = sum(weight * values.mean() for weight, values in parts)
    error = math.sqrt(sum(weight**2 * values.var(ddof=1) / len(values) for weight, values in parts))
    if error < 1e-12 * abs(known):  # not random at all
        assert found == pytest.approx(known, rel=1e-12), name
        return
    share.check(name, 2 * stats.t.sf(abs(found - known) / error, len(wide) - 1))


@pytest.mark.parametrize("kind", NETWORKS)
def test_drawn_networks_do_what_is_predicted(kind, share):
    log_ratio = 0.7
    runs, known = [], None
    for width, trials in ((SMALL, 4 * TRIALS), (WIDE, TRIALS)):
        net = Network(DEPTH, width=width, **NETWORKS[kind])
        runs.append(measure(net, pair_of_inputs(width, 0.6, log_ratio), trials, seed=width))
        known = predict(net, (1.0, math.exp(log_ratio)), correlation=0.6)
    small, wide = runs
    for name in FORWARD + GRADIENTS[:1]:
        values = getattr(known, name)
        for layer in range(DEPTH):
            label = f"{kind}: {name} of layer {layer + 1}"
            check(share, label, wide[name][:, layer], small[name][:, layer], values[layer])
    # these grow with the width
    growing = {"weight_gradient": 2, "bias_gradient": 1} if net.has_bias else {"weight_gradient": 2}
    for name, power in growing.items():
        values = getattr(known, name) / WIDE**power
        for layer in range(DEPTH):
            each = (run[name][:, layer] / n**power for run, n in ((wide, WIDE), (small, SMALL)))
            check(share, f"{kind}: {name} of layer {layer + 1}", *each, values[layer])
    each = (run["input_gradient"] for run in (wide, small))
    check(share, f"{kind}: input_gradient", *each, known.input_gradient)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_drawn_gradients_are_gradients(kind):
    """By differences, at the same weights and masks."""
    net = Network(DEPTH, width=6, **NETWORKS[kind])
    rng = np.random.default_rng(5)
    drawn, dropped = weights(net, rng), masks(net, rng)
    x, v = rng.normal(size=6), rng.normal(size=6)

    def output(changed, at):
        return v @ forward(net, changed, dropped, at)[-1].z

    def slopes(values, of):
        out = np.empty(values.shape)
        for place in np.ndindex(values.shape):
            kept, ends = values[place], []
            for step in (1e-5, -1e-5):
                values[place] = kept + step
                ends.append(of())
            values[place] = kept
            out[place] = (ends[0] - ends[1]) / 2e-5
        return np.sum(out**2)

    found, of_input = backward(net, drawn, forward(net, drawn, dropped, x), v)
    for layer, (w, b) in enumerate(drawn):
        assert slopes(w, lambda: output(drawn, x)) == pytest.approx(found[layer, 1], rel=1e-6)
        assert slopes(b, lambda: output(drawn, x)) == pytest.approx(found[layer, 2], rel=1e-6)
    assert slopes(x, lambda: output(drawn, x)) / 6 == pytest.approx(of_input, rel=1e-6)
