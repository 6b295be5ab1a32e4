"""Runs of the batch engine of every kind, and their bits."""

from __future__ import annotations

from typing import Any

import numpy as np

import varprop
from varprop import Norm, Propagation, Residual

X = np.array([[1.0, -0.5, 2.0], [1.2, -0.4, 1.9], [-1.0, 3.0, 0.2], [1.0, -0.5, 2.0]])
CASES: dict[str, dict[str, Any]] = {
    "a pair": {"act": "tanh", "width": 50, "sigma_w": 1.5, "sigma_b": 0.3, "correlation": 0.5},
    "four inputs": {
        "act": "relu", "widths": (3, 40, 2, 30, 7, 5), "x": X * [[1], [1], [1e200], [1]],
        "cotangents": 2,
    },
    "a very close pair": {"act": "gelu", "width": 30, "sigma_w": 1.5, "log_gap": -1e5},
    "tangents, a histogram": {
        "act": "tanh", "width": 20, "sigma_w": 2.0, "tangents": 3, "histogram": 8,
    },
    "skips": {
        "act": "gelu", "width": 30, "residual": Residual(0.5, -1.1), "correlation": 0.3,
        "sigma_b": 0.2, "histogram": np.linspace(-2, 2, 9),
    },
    "skips, one input, tangents": {
        "act": "softplus", "width": 30, "residual": Residual(0.5, 0.7), "tangents": 2,
        "dropout": 0.9,
    },
    "LayerNorm, dropout": {
        "act": "relu", "width": 30, "norm": "layer", "dropout": 0.8, "correlation": 0.9,
    },
    "RMSNorm after the sum": {
        "act": "tanh", "width": 30, "norm": Norm("rms", "post"), "x": np.eye(2, 30) + 1,
        "residual": Residual("1/sqrt(depth)"), "tangents": 1,
    },
    "layers that differ": {
        "widths": (9, 30, 70, 20, 5, 40), "act": ["tanh", "relu", "x+sin(x)", "gelu", "x**2"],
        "scheme": ["he", "orthogonal(1.3)", "lecun", "he", "orthogonal"], "correlation": 0.5,
    },
    "orthogonal": {
        "act": "tanh", "widths": (3, 20, 4, 30, 3, 6), "scheme": "orthogonal(1.5)", "x": X,
        "tangents": 2, "cotangents": np.arange(12.0).reshape(2, 6),
    },
    "drawn": {
        "act": "gelu", "widths": (3, 20, 40, 1030, 3, 6), "x": X, "tangents": 2, "cotangents": 2,
        "scheme": ["torch", "he", "orthogonal(1.3)", "rademacher, 1/fan_in", "sparse(0.5)"],
    },
    "drawn, orthogonal": {
        "act": "tanh", "widths": (3, 20, 4, 30, 33, 6), "scheme": "orthogonal(1.5)", "x": X,
        "tangents": 2, "cotangents": np.arange(12.0).reshape(2, 6), "engine": "dense",
    },
    "drawn, nineteen inputs": {
        "act": "relu", "width": 40, "scheme": "he", "x": np.eye(19, 40) + 0.1, "engine": "dense",
    },
    "a callable": {
        "act": (np.arctan, lambda x: 1 / (1 + x * x)), "width": 5000, "correlation": 0.5,
        "trials": 2, "depth": 2,
    },
    "several blocks": {
        "act": "gelu", "width": 17_000, "correlation": 0.9, "norm": "layer", "dropout": 0.5,
        "residual": Residual(0.5), "histogram": True, "trials": 2, "depth": 3,
    },
    "several blocks, orthogonal": {
        "act": "tanh", "widths": (17_000, 9000, 17_000), "scheme": "orthogonal", "tangents": 2,
        "trials": 2, "depth": 2, "cotangents": 2,
    },
}  # fmt: skip


def simulate(name: str, **more: Any) -> Propagation:
    return varprop.simulate(**{"depth": 5, "seed": 12, "trials": 7, **CASES[name], **more})


def bits(p: Propagation) -> bytes:
    arrays = [getattr(p.rows, name) for name in p.rows.names]
    arrays += [] if p.histogram is None else p.histogram.arrays().values()
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
