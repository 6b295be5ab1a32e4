"""Networks with every law of weights: both engines alike, exact second moments, bad input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from budget import Share, mean_p
from test_engines_agree import check_pair, run

import varprop
from varprop import Network, simulate
from varprop.reference import Source
from varprop.simulate import prepare
from varprop.sources import DenseSource
from varprop.theory import finite_width

share = Share("weight_laws")

CASES = [
    ("keras_glorot", "tanh"),
    ("truncated_normal(0.7)", "gelu"),
    ("rademacher, 2/fan_in", "relu"),
    ("rademacher", "selu"),
    ("student_t(5), 2/fan_in", "relu"),
    ("student_t(2.5)", "tanh"),
    ("sparse(0.1), 30/fan_in", "sigmoid"),
    ("sparse(0.6), 2/fan_in", "gelu"),
]


@pytest.mark.parametrize("widths", [(2,) * 4, (5,) * 4, (200,) * 4, (4, 9, 2, 6)], ids=str)
@pytest.mark.parametrize(("scheme", "act"), CASES)
@pytest.mark.filterwarnings("ignore:.*fourth moment:RuntimeWarning")
def test_drawn_in_tiles_or_as_matrices(scheme: str, act: str, widths: tuple[int, ...]) -> None:
    engines = (run(e, widths, act=act, scheme=scheme, seed=61) for e in ("dense", "reference"))
    check_pair(share, f"{scheme}, {act}, {widths}", *engines)


@pytest.mark.parametrize("engine", ["dense", "reference"])
@pytest.mark.parametrize(("act", "levels"), [("sign", (-1, 0, 1)), ("heaviside", (0, 0.5, 1))])
def test_sums_of_signs_that_are_exactly_0(act: str, levels: tuple[float, ...], engine: str) -> None:
    """Weights of one size, and what jumps: whole numbers, so that every zero can be counted.

    The dense engine carries other inputs than the first as differences, which don't know of them.
    """
    net = Network(6, width=60, act=act, scheme="rademacher")
    x = np.ones((3, 60))
    x[1, ::2] = x[2, 40:] = -1
    alone = simulate(net, trials=50, seed=64, engine=engine)
    p = simulate(net, trials=50, seed=64, engine=engine, x=x)
    exact = slice(1 if engine == "dense" else 3)
    run = prepare(
        net, {}, x=None, trials=50, first_trial=0, seed=64, threads=1, engine=engine,
        saturated_below=0.05, backward=False,
    )  # fmt: skip
    for trial in range(50):
        source = (DenseSource if engine == "dense" else Source)(run, trial)
        h = x.T
        for layer in range(6):
            h = np.choose(np.sign(np.sign(source.weights(layer)) @ h).astype(int) + 1, levels)
            zeros = np.mean(h == 0, axis=0)
            np.testing.assert_array_equal(p.rows.zero[trial, exact, layer], zeros[exact])
            assert alone.rows.zero[trial, layer] == zeros[0]


def test_biases_too() -> None:
    options: dict[str, Any] = {"act": "tanh", "scheme": "sparse(0.2)", "sigma_b": 0.4, "seed": 62}
    engines = (run(e, (5,) * 4, **options) for e in ("dense", "reference"))
    check_pair(share, "with biases", *engines)


LAWS = ["normal", "uniform", "rademacher", "truncated_normal", "sparse(0.5)", "student_t(40)"]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("act", "scale"), [("linear", 1), ("relu", 2)])
def test_kurtosis_moves_second_moments_as_it_must(law: str, act: str, scale: int) -> None:
    """S' = p sigma_w^4 (3 M + kappa S/n), M' = (p sigma_w^2)^2 (1 - 1/n) M + S'/n, at width 8.

    M is E (a^l)^2, and S the mean over units of E h^4; kappa the weights' excess kurtosis.
    """
    network = Network(4, width=8, act=act, scheme=f"{law}, {scale}/fan_in")
    p = simulate(network, trials=200_000, engine="dense", seed=63, backward=False)
    exact = np.exp(finite_width.second_moments(network).log_activation)
    for layer in range(4):
        a = np.exp(p.rows.log_activation[:, layer])
        share.check(f"{law}, {act}: mean in layer {layer}", mean_p(a, 1.0))
        if exact[layer] == 1:
            assert np.abs(a - 1).max() < 1e-12
        else:
            share.check(f"{law}, {act}: square in layer {layer}", mean_p(a * a, exact[layer]))


def test_another_kurtosis_is_seen() -> None:
    network = Network(1, width=8, act="relu", scheme="rademacher, 2/fan_in")
    p = simulate(network, trials=200_000, seed=64, backward=False)
    squares = np.exp(2 * p.rows.log_activation[:, 0])
    for law, agrees in (("rademacher", True), ("uniform", False), ("normal", False)):
        twin = Network(1, width=8, act="relu", scheme=f"{law}, 2/fan_in")
        exact = np.exp(finite_width.second_moments(twin).log_activation[0])
        assert (mean_p(squares, exact) > 1e-4) == agrees


@pytest.mark.parametrize("act", ["elu", "selu", "gelu", "tanh", "x*sigmoid(1.702*x)", "abs"])
def test_sums_that_cancel_are_dead_units(act: str) -> None:
    """Two signs cancel half of the time: a network of one unit dies in a layer or never."""
    p = simulate(depth=3, widths=(2, 1, 2, 1), act=act, scheme="rademacher", trials=4000, seed=65)
    log_a, log_g = p.rows.log_activation, p.rows.log_gradient
    assert log_g is not None
    assert np.isin(p.rows.zero[:, 0], (0, 1)).all()
    dead = p.rows.zero[:, 0] == 1
    assert 1800 < dead.sum() < 2200
    assert np.isneginf(log_a[dead]).all()
    assert (p.rows.died[dead] == 1).all()
    assert np.isfinite(log_a[~dead, :2]).all()
    assert np.isfinite(log_g[~dead, 1]).all()


def test_an_infinite_fourth_moment_is_told_once() -> None:
    options: dict[str, Any] = {"depth": 3, "width": 9, "trials": 5}
    for df in (2.5, 4):
        with pytest.warns(RuntimeWarning, match="fourth moment of student_t with df <= 4") as told:
            simulate(scheme=f"student_t({df})", **options)
        assert len(told) == 1
        assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(scheme="student_t(4.5)", **options)


def test_engines_name_the_laws_they_draw() -> None:
    assert simulate(depth=1, width=5, scheme="sparse(0.5)", trials=1).engine == "dense"
    with pytest.raises(ValueError, match="needs rotation-invariant weights"):
        simulate(depth=1, scheme="rademacher", engine="matrix-free")
    assert simulate(depth=1, width=5, scheme="orthogonal", trials=1).engine == "matrix-free"


def test_results_of_any_law_merge_and_are_saved(tmp_path) -> None:
    options: dict[str, Any] = {"depth": 2, "width": 7, "scheme": "student_t(5), 2/fan_out"}
    p = simulate(trials=3, **options) + simulate(trials=2, first_trial=3, **options)
    p.save(tmp_path / "heavy.npz")
    assert varprop.load(tmp_path / "heavy.npz").network == p.network
