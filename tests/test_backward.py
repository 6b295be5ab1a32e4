"""Gradients: the law at every width, finite differences, known laws, logarithms, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p, two_sided, uniform_p
from effort import LONG, draws
from scipy import stats

from varprop import Propagation, reference, simulate
from varprop.simulate import prepare

FloatArray = npt.NDArray[np.float64]

share = Share("backward")

SMALL = [(2,) * 5, (4,) * 5, (2, 5, 1, 4, 3), *([(3,) * 5, (8,) * 5] if LONG else [])]


def moments(p: Propagation) -> dict[str, FloatArray]:
    """One number a network: gradients, their squares, and products of forward and backward."""
    rows = p.rows
    assert rows.log_gradient is not None
    log_g = np.fmax(rows.log_gradient[:, :-1], -25.0)
    log_a = np.fmax(rows.log_activation, -25.0)
    found = {}
    for layer in range(log_g.shape[1]):
        g = np.exp(np.fmin(log_g[:, layer], 3.0))  # tails cut: a fourth moment has no error bar
        found |= {f"g {layer}": g, f"g^2 {layer}": g * g, f"ln g {layer}": log_g[:, layer]}
        for other in range(log_a.shape[1]):
            product = (log_g[:, layer] - log_g[:, layer].mean()) * (
                log_a[:, other] - log_a[:, other].mean()
            )
            found[f"ln g {layer} with ln a {other}"] = product
    return found


def worst(one: Propagation, other: Propagation) -> float:
    """The smallest p-value over all moments, corrected for their number."""
    p_values = []
    theirs = moments(other)
    for name, mine in moments(one).items():
        error = np.hypot(*(x.std() / len(x) ** 0.5 for x in (mine, theirs[name])))
        gap = mine.mean() - theirs[name].mean()
        p_values.append(1.0 if abs(gap) < 1e-9 else two_sided(gap / error))
    return min(1.0, min(p_values) * len(p_values))


@pytest.mark.parametrize("widths", SMALL, ids=str)
@pytest.mark.parametrize("sigma_b", [0.0, 0.5])
@pytest.mark.parametrize("act", ["tanh", "relu", "gelu"])
def test_joint_law_of_both_directions_is_that_of_drawn_matrices(act, sigma_b, widths):
    net: dict[str, Any] = {"depth": 4, "widths": widths, "act": act, "sigma_b": sigma_b}
    fast = simulate(**net, sigma_w=1.3, trials=20_000, seed=31)
    drawn = simulate(**net, sigma_w=1.3, trials=20_000, seed=31, engine="dense")
    share.check(f"normal, {act}, sigma_b {sigma_b}, {widths}", worst(fast, drawn))
    net["scheme"] = "orthogonal(1.3)"
    fast = simulate(**net, trials=20_000, seed=32)
    drawn = simulate(**net, trials=draws(400, 700), seed=32, engine="reference")
    share.check(f"orthogonal, {act}, sigma_b {sigma_b}, {widths}", worst(fast, drawn))


def test_the_shortcut_of_independent_gradients_is_rejected():
    """Other weights on the way back than on the way up: the same test sees it."""
    net: dict[str, Any] = {"depth": 4, "width": 2, "act": "tanh", "sigma_w": 1.3}
    true = simulate(**net, trials=20_000, seed=33)
    run = prepare(
        None, net, x=None, trials=2500, first_trial=0, seed=33, threads=1, engine="reference",
        saturated_below=0.05, backward=True,
    )  # fmt: skip
    from varprop.rows import Rows
    from varprop.simulate import as_propagation

    found = []
    for trial in range(run.trials):
        up, layers = reference.forward(run, reference.Source(run, trial), [])
        found.append(up | reference._backward(run, trial + 10**6, layers))
    arrays = {name: np.stack([np.squeeze(one[name]) for one in found]) for name in found[0]}
    shortcut = as_propagation(run, Rows(**arrays))
    assert worst(true, shortcut) < 1e-9


@pytest.mark.parametrize("law", ["normal", "uniform", "orthogonal"])
@pytest.mark.parametrize("act", ["tanh", "gelu", "relu", "squared_relu", "sin"])
def test_finite_differences_confirm_the_reference(act, law):
    """Gradients of v . z^L by every pre-activation, weight and bias of a small network."""
    run = prepare(
        None, {"depth": 4, "widths": (3, 4, 5, 2, 3), "act": act, "sigma_b": 0.3,
               "scheme": f"{law}, 1.7/fan_in"},
        x=None, trials=1, first_trial=7, seed=34, threads=1, engine="reference",
        saturated_below=0.05, backward=True,
    )  # fmt: skip
    net = run.network
    weights, biases = [], []
    for layer in range(4):
        rng = reference._generator(run, 7, layer)
        fan_in, units = net.widths[layer : layer + 2]
        w = reference._weights(net.scheme, rng, units, fan_in)
        weights.append(w * net.sigma_w[layer] / np.sqrt(fan_in))
        biases.append(net.bias_std[layer] * reference._unit_law("normal", rng, units))
    v = reference._generator(run, 7, 4).standard_normal(3)
    v *= np.sqrt(3 / (v @ v))

    def output(shift: dict[tuple[str, int], FloatArray]) -> float:
        h = np.ones(3)
        for layer in range(4):
            w = weights[layer] + shift.get(("w", layer), 0.0)
            z = w @ h + biases[layer] + shift.get(("b", layer), 0.0)
            h = net.act(z)
        return float(v @ z)

    def square(kind: str, layer: int, shape: tuple[int, ...]) -> float:
        total, step = 0.0, 1e-5
        for index in np.ndindex(shape):
            move = np.zeros(shape)
            move[index] = step
            ends = output({(kind, layer): move}), output({(kind, layer): -move})
            total += ((ends[0] - ends[1]) / (2 * step)) ** 2
        return total

    p = simulate(net, trials=1, first_trial=7, seed=34, engine="reference")
    for layer in range(4):
        by_bias = square("b", layer, biases[layer].shape)
        by_weight = square("w", layer, weights[layer].shape)
        assert p.bias_gradient.trials[0, layer] == pytest.approx(by_bias, rel=1e-6)
        assert p.gradient.trials[0, layer] * net.widths[layer + 1] == pytest.approx(
            by_bias, rel=1e-6
        )
        assert p.weight_gradient.trials[0, layer] == pytest.approx(by_weight, rel=1e-6)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_a_linear_network_back_is_one_more_chi_square_a_layer(engine):
    widths = (7, 4, 9, 2, 12, 5)
    p = simulate(depth=5, widths=widths, act="linear", scheme="lecun", trials=20_000, seed=35,
                 engine=engine)  # fmt: skip
    ratio = np.exp(-np.diff(p.rows.log_gradient, axis=1))  # g of a layer over that above it
    for layer, n in enumerate(widths[1:-1]):
        # |W^T d|^2 over |d|^2 is chi-square(n) / n: independent of the way up
        square = ratio[:, layer] * n / widths[layer + 2]
        share.check(f"linear, {engine}, {layer}", uniform_p(stats.chi2.cdf(n * square, n)))
        along = stats.spearmanr(ratio[:, layer], p.rows.log_activation[:, 0]).pvalue
        share.check(f"linear, {engine}, {layer}: independent", float(along))


@pytest.mark.parametrize("law", ["normal", "orthogonal"])
def test_relu_gradients_scatter_as_independent_masks(law):
    """E g = 1 under He's weights, and its square (1 + 5/n)^(L-1) (orthogonal: 1 + 3/(n+2))."""
    n, depth = 40, 5
    p = simulate(depth=depth, width=n, act="relu", scheme=f"{law}, 2/fan_in", trials=100_000,
                 seed=36)  # fmt: skip
    g = p.gradient.trials[:, 0]
    factor = 1 + 5 / n if law == "normal" else 1 + 3 / (n + 2)
    share.check(f"relu, {law}: mean", mean_p(g, 1.0))
    share.check(f"relu, {law}: square", mean_p(g**2, factor ** (depth - 1)))


def test_the_last_layer_is_where_a_gradient_of_size_one_starts():
    p = simulate(depth=3, width=30, act="tanh", trials=5)
    assert (p.gradient.trials[:, -1] == 1).all()
    below = np.exp(p.rows.log_activation[:, :-1])
    assert p.weight_gradient.trials[:, 1:] == pytest.approx(
        900 * p.gradient.trials[:, 1:] * below, rel=1e-12
    )


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_logarithms_where_float64_ends(engine):
    fading = simulate(depth=1500, width=20, act="tanh", sigma_w=0.01, trials=2, engine=engine)
    assert fading.gradient.log_mean[0] == pytest.approx(-1499 * 2 * np.log(100), rel=0.02)
    with pytest.raises(OverflowError, match="outside float64"):
        _ = fading.gradient.mean
    growing = simulate(depth=1500, width=20, act="relu", sigma_w=100.0, trials=2, engine=engine)
    assert growing.gradient.log_mean[0] == pytest.approx(
        1499 * (2 * np.log(100) - np.log(2) - 2.5 / 20), rel=0.02
    )


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize(
    ("act", "size"),
    [("tanh", -2.0), ("sigmoid", -1.0), ("softplus", None), ("x*exp(-abs(x))", -1.0)],
)
def test_slopes_that_underflow_are_followed_in_logarithms(act, size, engine):
    """A network of one unit whose slope is e^-1000s: its logarithm, not a silent 0."""
    p = simulate(depth=2, width=1, act=act, sigma_w=3000.0, trials=60, seed=37, engine=engine)
    log_g, log_k = p.rows.log_gradient[:, 0], p.rows.log_variance
    assert np.isfinite(log_g).all()
    assert (log_g < -800).any() or size is None
    if size is not None:
        # ln phi'^2 = 2 size |z| + a few, z the unit's own pre-activation; sigma_w w on top
        z = np.exp(p.rows.log_preactivation[:, 0] / 2)
        rest = log_g - 2 * size * z
        limit = 2 * np.log(3000.0 * 5) + 2 * np.log(z + 4) + 3
        assert (rest < limit).all()
        assert (rest > 2 * np.log(3000.0) - 30).all()
    assert np.isfinite(log_k).all()


def test_an_exact_zero_stays_one():
    p = simulate(depth=3, width=2, act="relu", trials=200, seed=38)
    dead_below = (p.died > 0) & (p.died < 3)  # the last layer's own death is not in the way
    assert dead_below.any()
    assert (p.rows.log_gradient[dead_below, 0] == -np.inf).all()
    assert np.isfinite(p.rows.log_gradient[p.died == 0, 0]).any()
    flat = simulate(depth=2, width=3, act="hardtanh", sigma_w=1e6, trials=20)
    assert (flat.rows.log_gradient[:, 0] == -np.inf).all()


def test_what_has_no_gradient_says_so():
    with pytest.raises(ValueError, match="activation 'sign' jumps at x = 0"):
        simulate(depth=3, act="sign", backward=True)
    with pytest.raises(TypeError, match="backward must be True, False or None, got 'yes'"):
        simulate(depth=3, backward="yes")
    for options in ({"act": "heaviside"}, {"backward": False}):
        p = simulate(depth=3, width=5, trials=2, **options)
        assert not p.backward
        with pytest.raises(ValueError, match="simulate with backward=True"):
            _ = p.gradient
    with pytest.raises(ValueError, match="one of them has gradients"):
        p + simulate(depth=3, width=5, trials=2, first_trial=2)
