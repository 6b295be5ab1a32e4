"""compare(): says yes to healthy simulations, of every activation and engine, and no to faults."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share
from effort import draws
from scipy import stats

import varprop
from varprop import Network, Propagation, simulate
from varprop.compare import FALSE_ALARMS, Comparison
from varprop.propagation import Rows
from varprop.theory import relative_variance, variance_map

FloatArray = npt.NDArray[np.float64]

share = Share("compare")

ACTIVATIONS = [row.name for row in varprop.activations()]
CAUGHT = 1e-6  # p-value of a fault that is seen beyond doubt
SMALL = {"squared_relu": 0.4}  # sigma_w where the usual one would explode


def p_of(comparison: Comparison) -> float:
    """P-value of the whole verdict."""
    return min(1.0, min(test.p_value for test in comparison.tests) * len(comparison.tests))


def caught_by(comparison: Comparison) -> set[str]:
    return {test.name for test in comparison.tests if test.p_value < CAUGHT}


# Healthy runs


def trials_for(engine: str, width: int) -> int:
    if engine == "reference":
        return 100 if width < 100 else 30
    return 4000 if width < 100 or engine == "matrix-free" else 300


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("width", [2, 5, 200])
@pytest.mark.parametrize("engine", ["matrix-free", "dense", "reference"])
def test_every_engine_follows_the_residual_law(engine: str, width: int, act: str) -> None:
    p = simulate(
        depth=4, width=width, act=act, sigma_w=SMALL.get(act, 1.4), sigma_b=0.3, engine=engine,
        trials=trials_for(engine, width), seed=width, threads=1,
    )  # fmt: skip
    comparison = p.compare()
    share.check(f"{engine}, {act}, width {width}", p_of(comparison))
    assert comparison.consistent == (p_of(comparison) >= FALSE_ALARMS)


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "sign"])
def test_without_biases_and_deep(act: str) -> None:
    p = simulate(depth=200, width=300, act=act, scheme="he", trials=50, seed=31, threads=1)
    share.check(f"without biases, {act}", p_of(p.compare()))


def test_networks_that_die() -> None:
    p = simulate(depth=30, width=3, act="relu", scheme="he", trials=2000, seed=32, threads=1)
    assert p.dead > 1500
    share.check("networks that die", p_of(p.compare()))


@pytest.mark.parametrize("sigma_w", [0.01, 30.0])
@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "softplus"])
def test_outside_the_range_of_float64(act: str, sigma_w: float) -> None:
    p = simulate(depth=600, width=20, act=act, sigma_w=sigma_w, trials=50, seed=33, threads=1)
    share.check(f"{act}, sigma_w {sigma_w}", p_of(p.compare()))


def pieces(p: Propagation, trials: int) -> list[Propagation]:
    """One large run as many small ones."""
    cuts = [slice(i, i + trials) for i in range(0, p.trials, trials)]
    return [
        replace(
            p,
            rows=Rows(**{name: getattr(p.rows, name)[cut] for name in p.rows.names}),
            ranges=((cut.start, cut.stop),),
        )
        for cut in cuts
    ]


@pytest.mark.parametrize(
    ("act", "width", "depth", "trials"),
    [
        ("relu", 2, 1, 1),
        ("tanh", 2, 10, 1),
        ("relu", 5, 10, 2),
        ("hardswish", 2, 10, 10),
        ("leaky_relu", 2, 10, 100),
        ("softplus", 5, 20, 50),
        ("relu", 200, 10, 1),
        ("tanh", 200, 10, 10),
    ],
)
def test_false_alarms_are_as_rare_as_declared(
    act: str, width: int, depth: int, trials: int
) -> None:
    runs = draws(300, 2000)
    p = simulate(
        depth=depth, width=width, act=act, sigma_w=1.5, trials=runs * trials, seed=34, threads=1
    )
    alarms = sum(not piece.compare().consistent for piece in pieces(p, trials))
    share.check(
        f"false alarms, {act}, width {width}, depth {depth}, {trials} trials",
        float(stats.binom.sf(alarms - 1, runs, FALSE_ALARMS)),
    )


# Faults


def altered(p: Propagation, network: Network | None = None, **rows: FloatArray) -> Propagation:
    """The same result with other rows, or said to come from another network."""
    return replace(p, network=network or p.network, rows=replace(p.rows, **rows))


def variance_after(p: Propagation, log_a: FloatArray, network: Network) -> FloatArray:
    """ln K of every layer as the network's recursion has it from the layer below."""
    start = np.full((p.trials, 1), p.input_mean_square_log)
    below = np.concatenate([start, log_a[:, :-1]], axis=1)
    with np.errstate(divide="ignore"):
        log_b = 2 * np.log(network.bias_std)
    return np.logaddexp(below + 2 * np.log(network.sigma_w), log_b)


def scaled_by_layer(p: Propagation, factor: float) -> Propagation:
    """Every layer of a homogeneous network louder by a factor, K following faithfully."""
    gain = np.log(factor) * np.arange(1, p.network.depth + 1)
    log_a = p.rows.log_activation + gain
    log_k = variance_after(p, log_a, p.network)
    log_q = p.rows.log_preactivation + gain
    return altered(p, log_activation=log_a, log_variance=log_k, log_preactivation=log_q)


@pytest.fixture(scope="module")
def relu() -> Propagation:
    return simulate(depth=200, width=1000, act="relu", scheme="he", trials=200, seed=35, threads=1)


@pytest.fixture(scope="module")
def tanh() -> Propagation:
    return simulate(
        depth=50, width=100, act="tanh", sigma_w=1.5, sigma_b=0.3, trials=200, seed=36, threads=1
    )


def test_the_healthy_ones_below_are_healthy(relu: Propagation, tanh: Propagation) -> None:
    for name, p in (("relu", relu), ("tanh", tanh)):
        share.check(f"before the faults, {name}", p_of(p.compare()))
    # nor do the faults' own tools do any harm
    log_k = variance_after(relu, relu.rows.log_activation, relu.network)
    assert altered(relu, log_variance=log_k).compare().consistent


def test_another_factor_than_the_declared_one(relu: Propagation) -> None:
    p = simulate(
        depth=200, width=1000, act="relu", sigma_w=np.sqrt(2.01), trials=5, seed=35, threads=1
    )
    assert "K from the layer below" in caught_by(altered(p, network=relu.network).compare())


def test_a_factor_of_2_01_drawn_where_2_is_written(relu: Propagation) -> None:
    caught = caught_by(scaled_by_layer(relu, 2.01 / 2).compare())
    assert {"q given K: mean", "a given K: mean"} <= caught


def test_one_part_in_a_thousand() -> None:
    p = simulate(depth=200, width=1000, act="relu", scheme="he", trials=2000, seed=37, threads=1)
    for factor in (1.001, 0.999):
        caught = caught_by(scaled_by_layer(p, factor).compare())
        assert {"q given K: mean", "a given K: mean"} <= caught
    louder = altered(p, log_preactivation=p.rows.log_preactivation + 1e-3)
    assert caught_by(louder.compare()) == {"q given K: mean"}
    louder = altered(p, log_activation=p.rows.log_activation - 1e-3)
    assert caught_by(louder.compare()) == {"K from the layer below", "a given K: mean"}


def test_an_activation_that_is_another(tanh: Propagation) -> None:
    erf = replace(tanh, network=Network(50, 100, act="arctan", sigma_w=1.5, sigma_b=0.3))
    assert "a given K: mean" in caught_by(erf.compare())


def test_dropped_biases(tanh: Propagation) -> None:
    p = simulate(depth=50, width=100, act="tanh", sigma_w=1.5, trials=200, seed=38, threads=1)
    assert "K from the layer below" in caught_by(altered(p, network=tanh.network).compare())
    log_k = variance_after(p, p.rows.log_activation, tanh.network)
    hidden = altered(p, network=tanh.network, log_variance=log_k)
    assert {"q given K: mean", "a given K: mean"} <= caught_by(hidden.compare())


def test_fans_swapped() -> None:
    sizes: dict[str, Any] = {"depth": 10, "widths": (30, 60) * 5 + (30,), "act": "relu"}
    declared = Network(**sizes, scheme="normal, 2/fan_in")
    p = simulate(**sizes, scheme="normal, 2/fan_out", trials=2000, seed=39, threads=1)
    assert "K from the layer below" in caught_by(altered(p, network=declared).compare())
    log_k = variance_after(p, p.rows.log_activation, declared)
    hidden = altered(p, network=declared, log_variance=log_k).compare()
    assert {"q given K: variance", "a given K: worst layer"} <= caught_by(hidden)


def test_a_layer_skipped(tanh: Propagation) -> None:
    def without_first(rows: FloatArray) -> FloatArray:
        return np.concatenate([rows[:, 1:], rows[:, -1:]], axis=1)

    fields = ("log_activation", "log_variance", "log_preactivation")
    shifted = altered(tanh, **{f: without_first(getattr(tanh.rows, f)) for f in fields})
    assert "K from the layer below" in caught_by(shifted.compare())


def test_layers_that_share_their_randomness(relu: Propagation) -> None:
    steps = np.repeat(relu.rows.log_activation[:, :1], 200, axis=1)
    log_a = np.cumsum(steps, axis=1)
    log_k = variance_after(relu, log_a, relu.network)
    log_q = log_k + (relu.rows.log_preactivation - relu.rows.log_variance)[:, :1]
    reused = altered(relu, log_activation=log_a, log_variance=log_k, log_preactivation=log_q)
    assert "a given K: neighbours" in caught_by(reused.compare())


def test_networks_that_share_their_randomness(relu: Propagation) -> None:
    def twice(rows: FloatArray) -> FloatArray:
        return np.repeat(rows[::2], 2, axis=0)

    fields = ("log_activation", "log_variance", "log_preactivation")
    reused = altered(relu, **{f: twice(getattr(relu.rows, f)) for f in fields})
    assert "a given K: neighbours" in caught_by(reused.compare())


def test_scatter_that_is_too_small_or_too_large(relu: Propagation) -> None:
    """Half the units drawn twice: means are right, the scatter is not."""
    narrow = simulate(depth=200, width=500, act="relu", scheme="he", trials=50, seed=40, threads=1)
    wide = replace(narrow, network=Network(200, 1000, act="relu", scheme="he"))
    caught = caught_by(wide.compare())
    assert caught == {"q given K: variance", "a given K: variance"}


def test_a_network_dead_without_cause(relu: Propagation) -> None:
    rows = {f: getattr(relu.rows, f).copy() for f in ("log_preactivation", "log_variance")}
    for array in rows.values():
        array[3, 100] = -np.inf
    comparison = altered(relu, **rows).compare()
    assert "K from the layer below" in caught_by(comparison)
    assert "DISAGREE" in comparison.verdict
    json.dumps(comparison.to_dict(), allow_nan=False)


# What is printed and handed over


def test_layer_values_are_the_weighted_means_they_say(tanh: Propagation) -> None:
    comparison = tanh.compare()
    log_k, a = tanh.rows.log_variance, np.exp(tanh.rows.log_activation)
    predicted = np.exp(variance_map("tanh").log(log_k))
    sd = predicted * np.sqrt(relative_variance("tanh", log_k) / 100)
    weights = 1 / sd / (1 / sd).sum(axis=0)
    assert np.allclose(np.exp(comparison.log_predicted), (weights * predicted).sum(axis=0))
    assert np.allclose(np.exp(comparison.log_measured), (weights * a).sum(axis=0))
    gap = np.exp(comparison.log_measured) - np.exp(comparison.log_predicted)
    sigmas = ((a - predicted) / sd).sum(axis=0) / np.sqrt(tanh.trials)
    assert np.allclose(comparison.sigmas, sigmas, rtol=1e-6, atol=1e-9)
    assert np.allclose(gap / np.exp(comparison.log_stderr), sigmas, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 1, "width": 1, "act": "tanh"},
        {"depth": 1000, "width": 10, "act": "leaky_relu(0.2)", "sigma_w": 0.01, "sigma_b": 0.0},
        {"depth": 50, "width": 3, "act": "relu", "scheme": "he"},
        {"depth": 3, "width": 10, "act": "sign", "sigma_w": 1e100, "sigma_b": 1e-100},
        {"depth": 12, "width": 5, "act": "x*sigmoid(1.702*x)*1.000000000000001", "scheme": "he"},
    ],
    ids=str,
)
def test_it_prints_in_80_columns_and_goes_into_json(options: dict[str, Any]) -> None:
    comparison = simulate(**options, trials=20, threads=1).compare()
    text = str(comparison)
    assert max(map(len, text.splitlines())) <= 80, text
    assert comparison.verdict.split()[0] in text
    assert "\n" not in repr(comparison)
    data = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert data["consistent"] is comparison.consistent
    assert len(data["sigmas"]) == options["depth"]
    assert {test["name"] for test in data["tests"]} == {test.name for test in comparison.tests}


@pytest.mark.parametrize("options", [{"depth": 1, "width": 1}, {"depth": 100, "width": 1000}])
def test_one_trial_is_enough_for_a_verdict(options: dict[str, Any]) -> None:
    comparison = simulate(**options, act="tanh", trials=1, threads=1).compare()
    share.check(f"one trial, {options}", p_of(comparison))
    assert np.isfinite(comparison.sigmas).all()
    assert str(comparison)


def test_one_fault_in_one_trial_is_seen() -> None:
    p = simulate(depth=100, width=1000, act="relu", scheme="he", trials=1, threads=1)
    assert "q given K: mean" in caught_by(scaled_by_layer(p, 1.05).compare())
