"""Ways through the batch engine that must not matter: to the bit, or to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from varprop import Norm, Propagation, Residual, batch, simulate

ONE_INPUT: list[dict[str, Any]] = [
    {"act": "relu"},
    {"act": "tanh", "scheme": "lecun", "sigma_b": 0.3},
    {"act": "gelu", "scheme": "orthogonal(1.5)", "widths": (30, 50, 20, 20, 60, 10)},
    {"act": "relu", "scheme": "orthogonal", "sigma_b": 0.2},
    {"act": "tanh", "scheme": "normal(0.001)"},
    {"act": "x + sin(x)", "scheme": "lecun"},
    {"act": "tanh", "scheme": "torch"},
    {"act": "relu", "scheme": "uniform, 2/fan_in", "widths": (40, 1100, 33, 70, 5, 9)},
    {"act": "gelu", "scheme": "he", "engine": "dense"},
]


@pytest.mark.parametrize("options", ONE_INPUT, ids=str)
def test_one_input_is_what_the_engine_for_one_input_measures(options: dict[str, Any]) -> None:
    """The same network: the histogram alone sends it through the batch engine."""
    size = {} if "widths" in options else {"width": 60}
    plain = simulate(depth=5, **size, **options, trials=8, seed=5)
    counted = simulate(depth=5, **size, **options, trials=8, seed=5, histogram=8)
    assert plain.engine == counted.engine
    for name in plain.rows.names:
        mine, theirs = getattr(plain.rows, name), getattr(counted.rows, name)
        assert np.array_equal(np.isinf(mine), np.isinf(theirs)), name
        there = np.isfinite(mine)
        assert np.abs(mine[there] - theirs[there]).max(initial=0) < 2e-13, name


KEPT: list[dict[str, Any]] = [
    {"residual": Residual(0.5), "correlation": 0.5, "tangents": 2, "act": "tanh"},
    {"residual": Residual(0.5), "norm": "layer", "dropout": 0.8, "correlation": 0.3},
    {"scheme": "uniform", "correlation": 0.5, "norm": "rms", "tangents": 1, "act": "tanh"},
    {
        "scheme": "torch", "correlation": 0.5, "norm": Norm("layer", "post"), "act": "gelu",
        "residual": Residual(0.5), "dropout": 0.9,
    },
    {"scheme": ["lecun", "uniform", "orthogonal"] * 7 + ["he"] * 2, "correlation": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("options", KEPT, ids=str)
def test_layers_made_again_from_marks_are_those_that_were(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = simulate(depth=23, width=30, trials=4, seed=6, **options)
    monkeypatch.setattr(batch, "_KEPT", 0)
    assert simulate(depth=23, width=30, trials=4, seed=6, **options) == whole


@pytest.mark.parametrize("options", [*KEPT[:4], {"scheme": "orthogonal", "tangents": 2}], ids=str)
def test_threads_share_a_wide_layer(options: dict[str, Any]) -> None:
    def run(threads: int) -> Propagation:
        width = 25_000 if options.get("scheme") not in ("uniform", "torch") else 16_500
        return simulate(depth=2, width=width, trials=1, seed=7, threads=threads, **options)

    assert run(1) == run(2)
