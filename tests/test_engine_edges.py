"""What the compiled engines measure at edges, where it is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import Share, mean_p

from varprop import Propagation, Residual, simulate

share = Share("engine_edges")

ENGINES = pytest.mark.parametrize("engine", ["matrix-free", "dense"])


def logs(p: Propagation) -> tuple[Any, Any, Any]:
    """ln q, ln a and ln g, shape (trials, depth) each."""
    return p.rows.log_preactivation, p.rows.log_activation, p.rows.log_gradient


@ENGINES
def test_a_slope_at_the_threshold_is_saturated(engine):
    p = simulate(depth=3, width=50, trials=4, saturated_below=0.0, engine=engine)
    assert p.rows.zero.min() > 0
    assert np.array_equal(p.rows.saturated, p.rows.zero)


@ENGINES
def test_a_bin_holds_its_left_edge(engine):
    edges = [-1.0, 0.0, 1e9]
    p = simulate(depth=2, width=50, trials=4, histogram=edges, engine=engine)
    assert p.histogram.activation.counts.tolist() == [[0, 200], [0, 200]]
    assert p.histogram.preactivation.counts.min() > 0


@ENGINES
def test_the_largest_value_is_inside_automatic_bins(engine):
    """Steps are 0 and 1, and [-1, 1) does not hold 1."""
    p = simulate(depth=2, width=50, act="heaviside", trials=4, histogram=4, engine=engine)
    counts = p.histogram.activation
    assert counts.edges(1).tolist() == counts.edges(2).tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    ones = np.rint(50 * np.exp(p.rows.log_activation)).sum(axis=0)
    assert counts.counts.tolist() == [[0, 0, 200 - int(n), int(n)] for n in ones]


@ENGINES
def test_every_layer_has_its_own_gain(engine):
    p = simulate(widths=(30, 90, 20, 60), act="linear", scheme="xavier", trials=3, engine=engine)
    _, log_a, _ = logs(p)
    gain = 2 * np.log(p.network.sigma_w)
    assert np.ptp(gain) > 1
    assert p.rows.log_variance[:, 0] == pytest.approx(gain[0], rel=1e-13)
    assert p.rows.log_variance[:, 1:] - log_a[:, :-1] == pytest.approx(
        np.tile(gain[1:], (3, 1)), rel=1e-12
    )


def test_both_engines_draw_the_same_biases():
    runs = [
        simulate(depth=2, width=40, act="tanh", sigma_w=1e-150, sigma_b=0.7, trials=3, engine=name)
        for name in ("matrix-free", "dense")
    ]
    log_q = [p.rows.log_preactivation for p in runs]
    assert np.std(log_q[0]) > 0.01
    assert log_q[0] == pytest.approx(log_q[1], rel=1e-12)


@ENGINES
def test_powers_beyond_float64(engine):
    """One unit: a = q^2."""
    p = simulate(depth=3, width=1, act="squared_relu", sigma_w=1e90, trials=40, engine=engine)
    log_q, log_a, _ = logs(p)
    live = np.isfinite(log_a)
    assert live[:, 1].sum() > 3
    assert log_a[live].max() > 1500
    assert log_a[live] == pytest.approx(2 * log_q[live], rel=1e-12)


@ENGINES
def test_values_that_underflow(engine):
    """One unit: h = exp(-z^2)."""
    p = simulate(depth=1, width=1, act="gaussian", sigma_w=1e4, trials=40, engine=engine)
    log_q, log_a, _ = logs(p)
    assert log_a.min() < -1e7
    assert log_a == pytest.approx(-2 * np.exp(log_q), rel=1e-12)


@ENGINES
def test_mean_squares_of_values_that_underflow(engine):
    """Two units: from a and the mean come both h, and from these q."""
    p = simulate(depth=1, width=2, act="gaussian", sigma_w=40.0, trials=200_000, engine=engine)
    log_q, log_a = (array[:, 0] for array in logs(p)[:2])
    m = p.rows.relative_mean[:, 0]
    # m = (1 + r) / sqrt(2 (1 + r^2)) for r = h_2/h_1 <= 1
    chosen = (m > 0.75) & (m < 0.995) & (log_a < -1500)
    assert chosen.sum() > 20
    log_q, log_a, m = log_q[chosen], log_a[chosen], m[chosen]
    c = m * m - 0.5
    r = (0.5 - np.sqrt(0.25 - c * c)) / c
    log_h = (log_a - np.log((1 + r * r) / 2)) / 2
    assert -2 * log_h - np.log(r) == pytest.approx(2 * np.exp(log_q), rel=1e-10)


@ENGINES
@pytest.mark.parametrize(("act", "sigma_w"), [("tanh", 1.5), ("silu", 1.5), ("silu", 2000.0)])
def test_slopes_on_the_way_back(engine, act, sigma_w):
    """One unit a layer: g_1/g_2 = w_2^2 phi'(z_1)^2, and q_2 = w_2^2 a_1."""
    p = simulate(depth=2, width=1, act=act, sigma_w=sigma_w, trials=60, engine=engine)
    log_q, log_a, log_g = logs(p)
    y = np.exp(log_q[:, 0] / 2)
    if act == "tanh":
        log_slope = -2 * np.log(np.cosh(y))
    else:
        below = log_a[:, 0] < log_q[:, 0] - 2 * np.log(2)  # z < 0: silu(z) = -|z| sigmoid(-|z|)
        z = np.where(below, -y, y)
        log_s = -np.logaddexp(0, -z)
        rest = 1 + z * np.exp(-np.logaddexp(0, z))  # 1 + z (1 - sigmoid(z))
        log_slope = log_s + np.log(np.abs(rest))
        assert below.any()
        assert not below.all()
    moved = log_q[:, 1] - log_a[:, 0] + 2 * log_slope
    assert log_g[:, 0] - log_g[:, 1] == pytest.approx(moved, rel=1e-9, abs=1e-9)


PAIR = np.array([[1.0], [-0.3]])


def test_slopes_of_several_inputs_on_the_way_back():
    p = simulate(depth=2, widths=(1, 1, 1), act="tanh", sigma_w=1.5, trials=30, x=PAIR)
    log_q, log_a, log_g = logs(p)
    log_slope = -2 * np.log(np.cosh(np.exp(log_q[:, :, 0] / 2)))
    moved = log_q[:, :, 1] - log_a[:, :, 0] + 2 * log_slope
    log_g = log_g.reshape(30, 2, 2)
    assert log_g[:, :, 0] - log_g[:, :, 1] == pytest.approx(moved, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("x", [None, PAIR], ids=["one input", "two inputs"])
def test_what_dropout_keeps_is_divided_by_its_share(x):
    p = simulate(widths=(1, 1, 1), act="linear", sigma_w=1.0, dropout=0.6, trials=40, x=x)
    log_q, log_a, _ = logs(p)
    kept = np.isfinite(log_a) & np.isfinite(log_q)
    assert 20 < kept.sum() < log_q.size
    assert log_a[kept] == pytest.approx(log_q[kept] - 2 * np.log(0.6), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("x", [None, PAIR], ids=["one input", "two inputs"])
def test_a_skip_alone(x):
    """Where weights are next to nothing, z is the layer below times the skip."""
    p = simulate(
        widths=(1, 1, 1, 1), act="tanh", scheme=["he", "normal(1e-140)", "normal(1e-140)"],
        residual=Residual(0.5, -0.7), trials=20, x=x,
    )  # fmt: skip
    log_q, _, _ = logs(p)
    assert np.diff(log_q, axis=-1) == pytest.approx(2 * np.log(0.7), rel=1e-12)


def test_rows_of_a_wide_matrix_are_drawn_once():
    """q of 64 units, drawn in four groups of rows, has the variance 2/64."""
    p = simulate(widths=(1000, 64), act="linear", scheme="lecun", trials=500, engine="dense")
    q = np.exp(p.rows.log_preactivation[:, 0])
    share.check("spread of q", mean_p((q - 1) ** 2, 2 / 64))


def test_every_row_of_a_wide_matrix_sends_its_gradient_back():
    p = simulate(depth=2, width=900, act="linear", scheme="uniform, 1/fan_in", trials=40)
    _, _, log_g = logs(p)
    share.check("g of the first layer", mean_p(np.exp(log_g[:, 0] - log_g[:, 1]), 1.0))
