"""The batch engine's bits: the same for any threads, pieces, instruction set, and what is held."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from batch_cases import CASES, bits, simulate
from levels import require_same_bits

import varprop
from varprop import batch, engines, load
from varprop.engines import Run
from varprop.simulate import prepare


@pytest.mark.parametrize("name", CASES)
def test_threads(name: str) -> None:
    one = bits(simulate(name, threads=1))
    for threads in (2, 3):
        assert bits(simulate(name, threads=threads)) == one


@pytest.mark.parametrize("name", CASES)
def test_threads_that_share_each_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bits(simulate(name, trials=1, threads=1))
    monkeypatch.setattr(engines, "_SHARED", 1.0)  # any layer is worth it
    monkeypatch.setattr(engines, "_BLOCK", 1)
    for threads in (2, 3):
        assert bits(simulate(name, trials=1, threads=threads)) == one


@contextmanager
def holding(most: int) -> Iterator[None]:
    """No more than this is held for the way back: nothing, what is drawn, or layers, too."""
    usual = batch._hold

    def hold(run: Run, together: bool = False) -> tuple[int, int]:
        level, size = usual(run, together)
        return min(level, most), size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_hold", hold)
        yield


@pytest.mark.parametrize("name", CASES)
def test_made_again_or_held(name: str) -> None:
    held = bits(simulate(name))
    for most in (0, 1):
        with holding(most):
            assert bits(simulate(name)) == held


def test_all_that_can_be_held_is() -> None:
    levels = {
        name: batch._hold(prepared(**{"depth": 5, **CASES[name]}))[0]
        for name in ("a pair", "skips", "drawn", "a callable")
    }
    assert levels == {"a pair": 2, "skips": 1, "drawn": 0, "a callable": 2}


@pytest.mark.parametrize("most", [0, 1, 2])
def test_slopes_below_float64(most: int) -> None:
    """Exact zeros are gradients of 0; those of a tail are not followed, whatever is held."""
    net: dict[str, Any] = {
        "depth": 5, "width": 20, "sigma_w": 1e5, "sigma_b": 1.0, "correlation": 0.5, "trials": 9,
    }  # fmt: skip
    with holding(most):
        p = varprop.simulate(act="hardtanh", **net)
        assert p.rows.log_gradient is not None
        assert (p.rows.log_gradient[..., :-1] == -np.inf).mean() > 0.9
        with pytest.raises(OverflowError, match="every value or slope of activation 'tanh'"):
            varprop.simulate(act="tanh", **net)


def prepared(**options: Any) -> Run:
    """The run of a call of `simulate`."""
    names = ("depth", "width", "widths", "act", "scheme", "sigma_w", "sigma_b", "residual", "norm",
             "dropout")  # fmt: skip
    given: dict[str, Any] = {
        "x": None, "trials": 7, "first_trial": 3, "seed": 12, "threads": 2, "engine": "auto",
        "saturated_below": 0.05, "backward": True,
    }  # fmt: skip
    given |= {name: value for name, value in options.items() if name not in names}
    return prepare(None, {name: options.get(name) for name in names}, **given)


def test_memory_covers_a_network_left_over() -> None:
    """Two threads share its layers, with a sum over rows for each of sixteen parts."""
    options = {"width": 7000, "depth": 3, "scheme": "torch", "cotangents": 30}
    needed = [batch.memory(prepared(trials=trials, **options)) for trials in (1, 2, 3)]
    assert needed[1] < needed[0] <= needed[2] < 1.1 * needed[0]


TOGETHER: dict[str, dict[str, Any]] = {
    "a pair": {"width": 50, "depth": 6, "correlation": 0.5, "sigma_b": 0.3},
    "two gradients each": {"width": 30, "depth": 5, "correlation": -0.2, "cotangents": 2},
    "up alone": {"widths": (9, 30, 70, 5), "depth": 3, "log_gap": -1e5, "backward": False},
    "skips": {"width": 30, "depth": 4, "correlation": 0.9, "residual": varprop.Residual(0.5)},
    "LayerNorm, dropout": {
        "width": 30, "depth": 4, "correlation": 0.9, "norm": "layer", "dropout": 0.8,
    },
    "several blocks": {"width": 9000, "depth": 2, "correlation": 0.3, "trials": 1, "threads": 3},
}  # fmt: skip


@pytest.mark.parametrize("first_alone", [True, False])
@pytest.mark.parametrize("name", TOGETHER)
def test_networks_measured_together_give_what_each_gives_alone(
    name: str, first_alone: bool
) -> None:
    """Also after one that has failed on its way up, or on its way back."""
    options = TOGETHER[name]
    plain = name in ("a pair", "two gradients each")
    nets = [("tanh", 1.5), ("gelu", 0.9), ("tanh", 0.3)]
    if plain:
        nets = [("tanh", 1e5), ("x+x**2", 1e140), *nets]
    runs = []
    for act, sigma_w in nets:
        run = prepared(act=act, sigma_w=sigma_w, **options)
        runs.append(replace(run, first_alone=first_alone))
    found = batch.measure_together(runs)
    assert [isinstance(one, OverflowError) for one in found] == (len(runs) - 3) * [True] + 3 * [
        False
    ]
    for run, together in zip(runs, found, strict=True):
        if isinstance(together, OverflowError):
            with pytest.raises(OverflowError, match=re.escape(str(together))):
                batch.measure(run)
        else:
            alone = batch.measure(run)
            assert set(together) == set(alone)
            for key in alone:
                assert np.array_equal(together[key], alone[key]), key


def test_a_callable_that_fails_takes_no_other_with_it() -> None:
    def act(z: Any) -> Any:
        if ((z > 3.126) & (z < 3.149)).any():
            raise ValueError("too near pi")
        return np.tanh(z)

    pair = (act, lambda z: 1 - np.tanh(z) ** 2)
    runs = [
        prepared(act=pair, width=50, depth=3, correlation=0.5, sigma_w=sigma_w)
        for sigma_w in (0.1, 9.0, 0.2)
    ]
    found = batch.measure_together(runs)
    assert str(found[1]) == "too near pi"
    for i in (0, 2):
        assert np.array_equal(found[i]["log_gradient"], batch.measure(runs[i])["log_gradient"])


@pytest.mark.parametrize(
    "changed",
    [{"scheme": "orthogonal"}, {"seed": 4}, {"width": 21}, {"histogram": 8}, {"sigma_b": 0.1}],
    ids=str,
)
def test_what_draws_other_numbers_is_not_measured_together(changed: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"width": 20, "depth": 3, "correlation": 0.5}
    others = [prepared(**(usual | changed)), prepared(**usual)]
    if "scheme" in changed or "histogram" in changed:
        others[1] = others[0]  # nothing at all goes together with these
    with pytest.raises(ValueError, match="draw different numbers"):
        batch.measure_together(others)


def test_the_first_of_reordered_inputs_is_not_alone() -> None:
    run = prepared(widths=(3, 9, 9), depth=2, x=np.eye(3))
    with pytest.raises(ValueError, match="is not carried first"):
        batch.measure(replace(run, first_alone=True))


def test_gradients_of_the_first_input_alone_are_those_of_both() -> None:
    run = prepared(act="tanh", width=50, depth=6, correlation=0.5, sigma_w=1.4)
    both, alone = batch.measure(run), batch.measure(replace(run, first_alone=True))
    assert alone["log_gradient"].shape == (7, 6)
    assert np.array_equal(alone["log_gradient"], both["log_gradient"][:, 0])


@pytest.mark.parametrize("name", CASES)
def test_pieces_parts_and_files(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    whole = simulate(name)
    trials = whole.trials
    parts = simulate(name, trials=1), simulate(name, trials=trials - 1, first_trial=1)
    assert parts[1] + parts[0] == whole
    assert bits(parts[1] + parts[0]) == bits(whole)
    whole.save(tmp_path / "run")
    assert bits(load(tmp_path / "run")) == bits(whole)
    monkeypatch.setattr(batch, "_PIECE", 1.0)
    assert bits(simulate(name)) == bits(whole)


def test_instruction_sets() -> None:
    require_same_bits("batch_cases")


FILLED = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
import batch_cases
perturb = ctypes.CDLL(None).mallopt
for name in batch_cases.CASES:
    found = set()
    for byte in (0, 1, 256):
        perturb(-6, byte)  # what malloc hands out is filled with its complement: 256 makes nan
        found.add(batch_cases.bits(batch_cases.simulate(name, threads=1)))
    assert len(found) == 1, name
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt belongs to the GNU C library")
def test_nothing_is_read_that_was_not_written() -> None:
    folder = os.path.dirname(__file__)
    run = subprocess.run(
        [sys.executable, "-c", FILLED, folder], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", CASES)
def test_golden_results(name: str, golden: Any) -> None:
    """Results that a release must not change unannounced: the last layer of the first trial."""
    rows = simulate(name, trials=1).rows
    for field in rows.names:
        golden(f"batch: {name}: {field}", np.atleast_1d(getattr(rows, field)[0])[..., -1:])
