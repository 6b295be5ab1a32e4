"""The engines draw different networks of the same law: two-sample tests of what they measure."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, two_sided
from effort import LONG, draws
from scipy import stats

from varprop import Propagation, simulate

FloatArray = npt.NDArray[np.float64]

share = Share("engines_agree")

DEPTH = 3
SIZES = [(2,) * 4, (5,) * 4, (300,) * 4, (4, 9, 2, 6), *([(3,) * 4] if LONG else [])]
SIGMA_W = {"relu": 1.4, "tanh": 1.5, "gelu": 1.5, "sigmoid": 8.0}  # sigmoids that saturate


def run(engine: str, widths: tuple[int, ...], **options: Any) -> Propagation:
    wide = max(widths) > 100
    trials = {
        "matrix-free": 20_000 if not wide else draws(3000, 8000),
        "dense": 20_000 if not wide else draws(600, 1500),
        "reference": draws(300, 500) if not wide else draws(70, 150),
    }[engine]
    return simulate(
        depth=DEPTH, widths=widths, engine=engine, trials=trials, threads=1, **options
    )  # fmt: skip


def statistics(p: Propagation) -> dict[str, FloatArray]:
    """What is compared: one number per network, of the last layer or of the way there."""
    rows = p.rows
    with np.errstate(invalid="ignore"):
        growth = rows.log_activation[:, -1] - rows.log_activation[:, 0]
        # The reference's slopes underflow at e^-372.
        log_g = np.fmax(rows.log_gradient[:, 0], -300.0)
        along = log_g * np.fmax(rows.log_activation[:, -2], -20)
        q_over_k = (rows.log_preactivation - rows.log_variance).mean(axis=1)
    return {
        "log q": rows.log_preactivation[:, -1],
        "log a": rows.log_activation[:, -1],
        "growth": np.where(np.isnan(growth), -np.inf, growth),
        "q over K": np.where(np.isnan(q_over_k), -np.inf, q_over_k),
        "mean over rms": rows.relative_mean[:, -1],
        "saturated": rows.saturated[:, -1],
        "zero": rows.zero[:, -1],
        "log g": log_g,
        "log g times log a": np.where(np.isnan(along), -np.inf, along),
    }


def means_p(one: FloatArray, other: FloatArray) -> float:
    """Of equal means, by the samples' own errors."""
    difference = one.mean() - other.mean()
    error = np.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    if abs(difference) <= 1e-12 * (1 + abs(one.mean())):  # constants, to rounding
        return 1.0
    return two_sided(difference / error) if error else 0.0


def check_pair(share: Share, name: str, one: Propagation, other: Propagation) -> None:
    name = f"{name}: {one.engine} and {other.engine}"
    theirs = statistics(other)
    for what, mine in statistics(one).items():
        # what is equal but for rounding must tie; dead networks (-inf) are values like others
        pair = [np.round(np.fmax(x, -1e6), 9) for x in (mine, theirs[what])]
        share.check(f"{name}: {what}, distribution", stats.ks_2samp(*pair, method="asymp").pvalue)
        living = [x[np.isfinite(x)] for x in (mine, theirs[what])]
        share.check(f"{name}: {what}, mean", means_p(*living))


@pytest.mark.parametrize("widths", SIZES, ids=str)
@pytest.mark.parametrize("sigma_b", [0.0, 0.6])
@pytest.mark.parametrize("act", SIGMA_W)
def test_normal_weights(act: str, sigma_b: float, widths: tuple[int, ...]) -> None:
    options = {"act": act, "sigma_w": SIGMA_W[act], "sigma_b": sigma_b}
    fast, dense, plain = (
        run(e, widths, seed=21, **options) for e in ("matrix-free", "dense", "reference")
    )
    check_pair(share, f"{act}, sigma_b {sigma_b}, {widths}", fast, dense)
    check_pair(share, f"{act}, sigma_b {sigma_b}, {widths}", fast, plain)


@pytest.mark.parametrize("widths", [(2,) * 4, (5,) * 4, (300,) * 4, (4, 9, 2, 6)], ids=str)
@pytest.mark.parametrize("sigma_b", [0.0, 0.6])
@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_orthogonal_weights(act: str, sigma_b: float, widths: tuple[int, ...]) -> None:
    options = {"act": act, "scheme": "orthogonal(1.4)", "sigma_b": sigma_b}
    fast, dense = (run(e, widths, seed=22, **options) for e in ("matrix-free", "dense"))
    name = f"orthogonal, {act}, sigma_b {sigma_b}, {widths}"
    check_pair(share, name, fast, dense)
    if max(widths) < 100:
        check_pair(share, name, fast, run("reference", widths, seed=22, **options))


@pytest.mark.parametrize("widths", SIZES, ids=str)
@pytest.mark.parametrize(
    ("scheme", "act"), [("he_uniform", "relu"), ("xavier_uniform", "tanh"), ("torch", "gelu")]
)
def test_uniform_weights(scheme: str, act: str, widths: tuple[int, ...]) -> None:
    engines = (run(e, widths, act=act, scheme=scheme, seed=23) for e in ("dense", "reference"))
    check_pair(share, f"{scheme}, {act}, {widths}", *engines)


def test_an_input_with_structure() -> None:
    """Uniform weights see more of an input than its length."""
    x = np.array([1000.0, 1.0, -2.0, 0.0, 0.5])
    options: dict[str, Any] = {"act": "tanh", "scheme": "torch", "x": x, "seed": 24}
    engines = (run(e, (5, 4, 4, 3), **options) for e in ("dense", "reference"))
    check_pair(share, "an input with structure", *engines)


def test_schemes_differ_where_they_should() -> None:
    """The tests have power: they tell three laws of one and the same variance apart."""
    options: dict[str, Any] = {"act": "tanh", "seed": 25}
    runs = [
        statistics(run(engine, (3,) * 4, scheme=scheme, **options))["log q"]
        for engine, scheme in (
            ("matrix-free", "lecun"), ("dense", "lecun_uniform"), ("matrix-free", "orthogonal"),
        )
    ]  # fmt: skip
    for one, other in combinations(runs, 2):
        assert stats.ks_2samp(one, other, method="asymp").pvalue < 1e-9
