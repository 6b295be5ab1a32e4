"""compare() beyond plain networks of normal weights: what it judges, and what it says it can't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from budget import Share, mean_p, uniform_p
from effort import LONG
from scipy import stats
from test_compare import CAUGHT, altered, caught_by, p_of, pieces

from varprop import Network, Norm, Propagation, Residual, simulate
from varprop.compare import FALSE_ALARMS
from varprop.theory.finite_width import second_moments

share = Share("compare_beyond")

THREE = np.random.default_rng(0).standard_normal((3, 10))
CASES: dict[str, dict[str, Any]] = {
    "tanh, uniform": {"act": "tanh", "scheme": "xavier_uniform"},
    "tanh, torch": {"act": "tanh", "scheme": "torch"},
    "gelu, signs": {"act": "gelu", "scheme": "rademacher(1.4)"},
    "relu, uniform, narrow": {"act": "relu", "scheme": "he_uniform", "width": 3},
    "relu, signs, narrow": {"act": "relu", "scheme": "rademacher(1.4)", "width": 5},
    "relu, sparse": {"act": "relu", "scheme": "sparse(0.1)", "width": 20},
    "relu, student": {"act": "relu", "scheme": "student_t(6)", "width": 50},
    "leaky, truncated": {"act": "leaky_relu(0.3)", "scheme": "truncated_normal(1.3)", "width": 9},
    "linear, uniform": {"act": "linear", "scheme": "lecun_uniform", "width": 8},
    "relu, orthogonal": {"act": "relu", "scheme": "orthogonal(1.4)", "width": 3},
    "tanh, orthogonal": {"act": "tanh", "scheme": "orthogonal(1.4)", "width": 40, "sigma_b": 0.5},
    "linear, orthogonal": {
        "act": "linear", "scheme": "orthogonal(1.4)", "depth": 4, "widths": [30, 20, 5, 20, 10],
    },
    "skip": {"act": "relu", "residual": Residual(0.5), "width": 10},
    "skip, norm, biases": {
        "act": "tanh", "residual": Residual(0.7, -0.9), "norm": "layer", "sigma_b": 0.3,
        "width": 20,
    },
    "skip, uniform": {
        "act": "tanh", "residual": Residual(0.5), "scheme": "he_uniform", "width": 20,
    },
    "rms": {"act": "tanh", "norm": "rms", "width": 30},
    "layer": {"act": "relu", "norm": "layer", "width": 4},
    "post": {"act": "relu", "norm": Norm("rms", "post"), "width": 6},
    "dropout": {"act": "gelu", "dropout": 0.7, "width": 20},
    "layers that differ": {"act": ["relu", "tanh"] * 5, "width": 10},
    "pair": {"act": "tanh", "correlation": 0.5, "sigma_b": 0.3, "width": 5},
    "near pair": {"act": "relu", "log_gap": -300.0, "width": 10},
    "three inputs": {"act": "relu", "x": THREE, "width": 10},
}  # fmt: skip


def run(name: str, trials: int, **extra: Any) -> Propagation:
    options = {"depth": 10, "threads": 1, "backward": False, "seed": 95, **CASES[name], **extra}
    if "widths" not in options:
        options.setdefault("width", 100)
    return simulate(**options, trials=trials)


@pytest.mark.parametrize("name", CASES)
def test_healthy_networks_are_called_so(name: str) -> None:
    comparison = run(name, 600).compare()
    share.check(name, p_of(comparison))
    assert comparison.consistent
    assert any(test.name.startswith(("q given K", "q is K")) for test in comparison.tests)
    text = str(comparison)
    assert max(map(len, text.splitlines())) <= 80
    for note in comparison.notes:
        assert note.split()[0] in text


# Cases, networks a comparison and tests; every third here, all of them with `make verify`
CALIBRATED = [
    ("linear, uniform", 2500, ("q given K: mean", "q: second moment", "a: second moment")),
    ("relu, signs, narrow", 320, ("q given K: mean",)),
    ("relu, sparse", 320, ("q given K: mean",)),
    ("relu, orthogonal", 400, ("a given K: mean",)),
    ("skip", 100, ("q given K: mean",)),
    ("dropout", 150, ("q given K: mean", "a given K: mean")),
    ("pair", 40, ("c given K: across", "c given K: along")),
    ("near pair", 40, ("c given K: across",)),
]


@pytest.mark.parametrize(("name", "trials", "tests"), CALIBRATED if LONG else CALIBRATED[1::3])
def test_p_values_are_uniform(name: str, trials: int, tests: tuple[str, ...]) -> None:
    """So false alarms are as rare as declared."""
    runs = 120
    found = [piece.compare() for piece in pieces(run(name, runs * trials, seed=96), trials)]
    alarms = sum(not one.consistent for one in found)
    share.check(f"{name}, alarms", float(stats.binom.sf(alarms - 1, runs, FALSE_ALARMS)))
    for wanted in tests:
        p_values = [t.p_value for one in found for t in one.tests if t.name == wanted]
        assert len(p_values) > 0.9 * runs
        share.check(f"{name}, {wanted}", uniform_p(p_values))


@pytest.mark.parametrize("name", ["skip", "dropout", "relu, uniform, narrow"][: 3 if LONG else 1])
def test_one_part_in_a_thousand_is_caught(name: str) -> None:
    p = run(name, 45_000, width=60, depth=30, act="relu")
    louder = altered(p, log_preactivation=p.rows.log_preactivation + 1e-3)
    assert "q given K: mean" in caught_by(louder.compare())


@pytest.mark.parametrize("scheme", ["he", "rademacher(1.4142135623730951)"])
def test_the_kurtosis_of_other_weights_is_seen(scheme: str) -> None:
    p = simulate(depth=4, width=8, act="relu", scheme=scheme, engine="dense", trials=20_000)
    said = replace(p, network=Network(4, width=8, act="relu", scheme="he_uniform"))
    caught = caught_by(said.compare())
    assert "q: second moment" in caught
    assert "a given K: mean" not in caught


@pytest.mark.parametrize("act", ["linear", "relu"])
@pytest.mark.parametrize("scheme", ["normal(1.0)", "uniform(-1, 1)", "rademacher(1.0)"])
def test_kurtosis_recursions_at_width_8(scheme: str, act: str) -> None:
    net = Network(3, width=8, act=act, scheme=scheme)
    p = simulate(net, engine="dense", trials=40_000, seed=97, threads=1, backward=False)
    half = 0.5 if act == "relu" else 1.0
    log_mean = np.cumsum(np.log(half * net.sigma_w**2)) - np.log(half)
    known = second_moments(net)
    for name, rows, log_second in (
        ("q", p.rows.log_preactivation, known.log_preactivation),
        ("a", p.rows.log_activation - np.log(half), known.log_activation),
    ):
        square = np.exp(2 * (rows - log_mean) - log_second)
        for layer in range(3):
            if np.ptp(square[:, layer]) > 1e-9:
                p_value = mean_p(square[:, layer], 1.0)
                share.check(f"{scheme}, {act}, {name} in layer {layer + 1}", p_value)


def test_an_angle_that_is_off() -> None:
    p = run("pair", 1000, width=100)
    wider = altered(p, log_gap=p.rows.log_gap + 2e-2)
    assert "c given K: across" in caught_by(wider.compare())
    turned = altered(p, log_gap=np.log(2 - np.exp(p.rows.log_gap)))
    assert "c given K: along" in caught_by(turned.compare())


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("skip", {"residual": Residual(0.501)}),
        ("skip", {"residual": Residual(0.5, 1.001)}),
        ("dropout", {"dropout": 0.71}),
        ("post", {"norm": None}),
    ],
)
def test_another_architecture_than_the_declared_one(name: str, other: dict[str, Any]) -> None:
    p = run(name, 4000)
    parts = {"depth": 10, "width": 100, **CASES[name], **other}
    caught = caught_by(replace(p, network=Network(**parts)).compare())
    assert caught & {"K from the layer below", "a given K: mean", "q given K: mean"}


@pytest.mark.filterwarnings("ignore:scheme 'student_t:RuntimeWarning")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"residual": Residual()}, "with a skip connection"),
        ({"scheme": "student_t(3)"}, "no fourth moment"),
        ({"act": "tanh", "scheme": "he_uniform", "width": 100}, "as much again allowed"),
        ({"act": "tanh", "scheme": "sparse(0.01)", "width": 20}, "too far from normal"),
        ({"norm": "layer", "scheme": "he_uniform"}, "where a norm"),
        ({"scheme": "he_uniform"}, "fourth powers of the layer below"),
        ({"scheme": "he_uniform", "correlation": 0.5}, "correlations are not tested"),
        ({"residual": Residual(), "correlation": 0.5}, "correlations are not tested"),
    ],
    ids=str,
)
def test_what_is_not_tested_is_named(options: dict[str, Any], words: str) -> None:
    p = simulate(**{"depth": 3, "width": 50, "trials": 20, "threads": 1, **options})
    comparison = p.compare()
    assert any(words in note for note in comparison.notes), comparison.notes
    assert comparison.to_dict()["notes"] == list(comparison.notes)


def test_a_deviation_beyond_what_is_allowed_is_caught() -> None:
    p = run("tanh, uniform", 3000)
    allowed = max(p.compare().to_dict()["notes"], key=lambda note: "allowed" in note)
    assert "allowed" in allowed
    louder = altered(p, log_activation=p.rows.log_activation + 0.02)
    fixed = altered(
        louder, log_variance=np.concatenate(
            [p.rows.log_variance[:, :1], p.rows.log_variance[:, 1:] + 0.02], axis=1
        ),
    )  # fmt: skip
    tests = {test.name: test.p_value for test in fixed.compare().tests}
    assert tests["a given K: mean"] < CAUGHT
