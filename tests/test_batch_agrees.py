"""The batch engine has the law of drawn matrices: moments and products of all it measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, two_sided
from effort import LONG

from varprop import Norm, Propagation, Residual, simulate

FloatArray = npt.NDArray[np.float64]

share = Share("batch_agrees")

X = np.array([[1.0, -0.5, 2.0, 0.3, 1.1], [1.2, -0.4, 1.9, 0.0, 1.0], [-1.0, 1.0, 0.2, 0.5, -3.0]])
CASES: dict[str, dict[str, Any]] = {
    "a pair": {"act": "tanh", "sigma_w": 1.5, "sigma_b": 0.4, "correlation": 0.5},
    "three inputs of different lengths": {
        "act": "relu", "widths": (5, 3, 6, 2, 4), "sigma_b": 0.3, "x": X * [[1], [4], [0.1]],
        "cotangents": 2,
    },
    "more inputs than units": {"act": "tanh", "widths": (5, 2, 1, 3, 2), "x": X, "tangents": 1},
    "orthogonal": {
        "act": "gelu", "scheme": "orthogonal(1.5)", "widths": (5, 3, 6, 4, 4), "x": X,
        "tangents": 2, "cotangents": 2,
    },
    "orthogonal, more inputs than units": {
        "act": "tanh", "scheme": "orthogonal(1.5)", "widths": (5, 2, 3, 2, 4), "x": X,
        "sigma_b": 0.2,
    },
    "tangents": {"act": "tanh", "sigma_w": 2.0, "width": 4, "tangents": 4},
    "skips": {
        "act": "gelu", "sigma_w": 1.5, "residual": Residual(0.8, 0.7), "correlation": 0.3,
        "sigma_b": 0.2,
    },
    "skips, with signs": {
        "act": "relu", "scheme": "orthogonal(1.2)", "residual": Residual(-0.8, -1.1),
        "correlation": -0.9, "tangents": 1,
    },
    "LayerNorm": {"act": "relu", "norm": "layer", "x": X, "widths": (5, 4, 4, 3, 5)},
    "RMSNorm, skips": {
        "act": "tanh", "sigma_w": 2.0, "norm": "rms", "residual": Residual("1/sqrt(depth)"),
        "correlation": 0.6, "tangents": 2,
    },
    "LayerNorm after the sum": {
        "act": "gelu", "sigma_w": 2.0, "sigma_b": 0.3, "norm": Norm("layer", "post"),
        "residual": Residual(0.5, 1.2), "correlation": 0.6, "tangents": 2,
    },
    "RMSNorm after the sum": {
        "act": "relu", "norm": Norm("rms", "post"), "scheme": "orthogonal", "x": X,
        "widths": (5, 4, 3, 4, 4), "cotangents": 2,
    },
    "dropout": {"act": "relu", "dropout": 0.7, "correlation": 0.9, "sigma_b": 0.2},
    "dropout, skips, LayerNorm": {
        "act": "tanh", "sigma_w": 2.0, "dropout": 0.8, "residual": Residual(0.7),
        "norm": "layer", "correlation": 0.5, "tangents": 1,
    },
    "layers that differ": {
        "act": ["tanh", "relu", "x+sin(x)", "gelu"],
        "scheme": ["he", "orthogonal(1.3)", "lecun", "he"], "correlation": 0.5,
    },
    "drawn, a pair": {
        "act": "tanh", "scheme": "uniform, 2/fan_in", "correlation": 0.5, "sigma_b": 0.3,
    },
    "drawn, three inputs, skips, LayerNorm": {
        "act": "gelu", "scheme": "rademacher, 3/fan_in", "widths": (5, 3, 3, 3, 3), "x": X,
        "residual": Residual(0.8, 0.7), "norm": "layer", "tangents": 2, "cotangents": 2,
    },
    "drawn beside orthogonal, dropout, RMSNorm": {
        "act": "tanh", "scheme": ["torch", "orthogonal(1.3)", "sparse(0.5)", "he"],
        "dropout": 0.8, "norm": Norm("rms", "post"), "correlation": 0.5, "tangents": 1,
    },
}  # fmt: skip
LOGS = (
    "log_preactivation", "log_activation", "log_variance", "log_gradient", "log_sum_gradient",
    "log_gap", "log_kernel_gap", "log_tangent", "log_adjoint",
)  # fmt: skip
SHARES = ("relative_mean", "saturated", "zero")
DRAWN = 1500  # networks of the reference


def run(case: dict[str, Any], engine: str, trials: int, seed: int) -> Propagation:
    size = {} if "width" in case or "widths" in case else {"width": 4}
    return simulate(depth=4, **size, **case, engine=engine, trials=trials, seed=seed, threads=1)


def numbers(p: Propagation) -> FloatArray:
    """One row a network: everything measured, tails of logarithms cut."""
    columns = []
    for name in (*LOGS, *SHARES):
        array = getattr(p.rows, name)
        if array is not None:
            flat = array.reshape(len(array), -1)
            columns.append(np.clip(flat, -9.0, 4.0) if name in LOGS else flat)
    return np.concatenate(columns, axis=1)


def worst(one: Propagation, other: Propagation) -> float:
    """The smallest p-value of means, squares and products, corrected for their number."""
    mine, theirs = numbers(one), numbers(other)
    centre = theirs.mean(axis=0)
    pairs = np.random.default_rng(0).integers(mine.shape[1], size=(2, 200))
    features = []
    for values in (mine, theirs):
        moved = values - centre
        features.append(np.hstack([moved, moved**2, moved[:, pairs[0]] * moved[:, pairs[1]]]))
    gap = features[0].mean(axis=0) - features[1].mean(axis=0)
    error = np.hypot(*(f.std(axis=0) / len(f) ** 0.5 for f in features))
    p_values = [
        1.0 if abs(g) < 1e-9 else two_sided(g / e) if e else 0.0
        for g, e in zip(gap, error, strict=True)
    ]
    return min(1.0, min(p_values) * len(p_values))


# Together they have every part; the others have fewer at a time.
SHORT = (
    "three inputs of different lengths", "more inputs than units", "orthogonal", "tangents",
    "skips, with signs", "LayerNorm after the sum", "dropout, skips, LayerNorm",
    "layers that differ", "drawn, three inputs, skips, LayerNorm",
    "drawn beside orthogonal, dropout, RMSNorm",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES if LONG else SHORT)
def test_law_is_that_of_drawn_matrices(name: str) -> None:
    fast = run(CASES[name], "auto", 20_000, 61)
    drawn = run(CASES[name], "reference", DRAWN, 61)
    share.check(name, worst(fast, drawn))


@pytest.mark.parametrize(
    "name",
    [
        "three inputs of different lengths", "orthogonal", "orthogonal, more inputs than units",
        "skips, with signs", "RMSNorm after the sum", "dropout", "tangents",
    ],
)  # fmt: skip
def test_dense_and_matrix_free_agree(name: str) -> None:
    fast, drawn = run(CASES[name], "matrix-free", 20_000, 63), run(CASES[name], "dense", 20_000, 64)
    share.check(f"dense: {name}", worst(fast, drawn))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("skips", {"residual": Residual(0.8, 0.77)}),
        ("dropout", {"dropout": 0.8}),
        ("a pair", {"correlation": 0.6}),
    ],
)
def test_the_test_has_power(name: str, change: dict[str, Any]) -> None:
    """Another skip (0.77 for 0.7), keep rate (0.8 for 0.7) or correlation is seen."""
    wrong = run(CASES[name] | change, "matrix-free", 20_000, 62)
    assert worst(wrong, run(CASES[name], "reference", DRAWN, 62)) < 1e-9
