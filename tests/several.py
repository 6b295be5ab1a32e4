"""One small network with all that several inputs can ask for, by the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from varprop import Norm, Propagation, Residual, simulate

NET: dict[str, Any] = {"depth": 3, "width": 8, "act": "tanh", "sigma_b": 0.1, "seed": 4}
X = np.random.default_rng(1).normal(size=(3, 8))
FULL: dict[str, Any] = NET | {
    "x": X, "cotangents": 2, "tangents": 2, "histogram": True, "dropout": 0.8,
    "residual": Residual(0.5), "norm": Norm("rms", "post"),
}  # fmt: skip


def run(**options: Any) -> Propagation:
    return simulate(**{"trials": 4, **options}, engine="reference")
