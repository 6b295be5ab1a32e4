"""The engines' promises on bits: threads, chunks and instruction sets change nothing."""

import os
import subprocess
import sys

import numpy as np
import pytest
from levels import require_same_bits

import varprop
from varprop import engines

CASES = {
    "relu": {"act": "relu", "width": 100},
    "tanh with biases": {"act": "tanh", "width": 100, "sigma_w": 1.3, "sigma_b": 0.4},
    "several blocks": {"act": "gelu", "width": 9001, "sigma_w": 1.5, "sigma_b": 0.1},
    "orthogonal": {"act": "tanh", "width": 100, "scheme": "orthogonal"},
    "orthogonal, unequal": {"widths": [30, 5000, 20, 20, 400], "scheme": "orthogonal"},
    "sin, huge": {"act": "sin", "width": 50, "sigma_w": 1e8},
    "rescued tails": {"act": "silu", "width": 2, "sigma_w": 1e4},
    "dying": {"act": "relu", "width": 2, "scheme": "he"},
    "formula": {"act": "x*sigmoid(1.702*x)", "width": 5000, "sigma_w": 1.5},
    "dense": {"act": "tanh", "width": 100, "sigma_b": 0.3, "engine": "dense"},
    "dense, narrow": {"act": "gelu", "widths": [3, 2, 700, 33], "engine": "dense"},
    "dense, uniform": {"act": "relu", "width": 300, "scheme": "torch"},
    "dense, truncated": {"act": "gelu", "width": 100, "scheme": "keras_he"},
    "dense, signs": {"act": "selu", "widths": [3, 2, 700, 1100, 33], "scheme": "rademacher"},
    "dense, heavy": {"act": "relu", "width": 100, "scheme": "student_t(5), 2/fan_in"},
    "dense, sparse": {"act": "tanh", "widths": [9, 2, 700, 33], "scheme": "sparse(0.1)"},
    "dense, orthogonal": {"act": "tanh", "width": 100, "scheme": "orthogonal", "engine": "dense"},
    "dense, orthogonal, unequal": {
        "act": "relu", "widths": [30, 600, 20, 20, 1, 7], "scheme": "orthogonal",
        "sigma_b": 0.3, "engine": "dense",
    },
}  # fmt: skip


def simulate(name: str, **more) -> varprop.Propagation:
    case = dict(CASES[name])
    depth = len(case["widths"]) - 1 if "widths" in case else 6
    return varprop.simulate(depth=depth, **{"seed": 11, "trials": 9, **case, **more})


def bits(p: varprop.Propagation) -> bytes:
    rows = p.rows
    return b"".join(getattr(rows, name).tobytes() for name in rows.names)


@pytest.mark.parametrize("name", CASES)
def test_threads(name):
    one = bits(simulate(name, threads=1))
    for threads in (2, 4, 7):
        assert bits(simulate(name, threads=threads)) == one


@pytest.mark.parametrize("name", CASES)
def test_threads_that_share_each_layer(name, monkeypatch):
    one = bits(simulate(name, threads=1, trials=1))
    monkeypatch.setattr(engines, "_SHARED", 1.0)  # any layer is worth it
    monkeypatch.setattr(engines, "_BLOCK", 1)
    for threads in (2, 4, 7):
        assert bits(simulate(name, threads=threads, trials=1)) == one


@pytest.mark.parametrize("name", CASES)
def test_chunks(name, monkeypatch):
    whole = bits(simulate(name))
    for piece in (1.0, 3e3, 1e5):
        monkeypatch.setattr(engines, "_PIECE", piece)
        assert bits(simulate(name)) == whole


@pytest.mark.parametrize("name", CASES)
def test_parts_add_up_to_the_whole(name):
    first = simulate(name, trials=4)
    rest = simulate(name, trials=5, first_trial=4)
    assert bits(first + rest) == bits(rest + first) == bits(simulate(name))


def test_trials_seeds_and_layers_differ():
    p, q = simulate("relu"), simulate("relu", seed=12)
    logs = np.concatenate([p.variance.log[:, 1:], q.variance.log[:, 1:]])
    assert np.unique(logs).size == logs.size


def test_instruction_sets():
    require_same_bits("test_engines")


@pytest.mark.parametrize("wish", ["v9", "AVX", "v4 "])
def test_unknown_instruction_set(wish):
    run = subprocess.run(
        [sys.executable, "-c", "import varprop"],
        env={**os.environ, "VARPROP_SIMD": wish},
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "is not an instruction set" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", CASES)
def test_golden_results(name, golden):
    """Results that a release must not change unannounced."""
    p = simulate(name, trials=2)
    rows = p.rows
    golden(f"result: {name}", np.concatenate([rows.log_activation, rows.relative_mean]))
    golden(f"gradient: {name}", rows.log_gradient)
