"""Phase diagrams: theory's edge met, trials where they are needed, any executor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import Share, two_sided

import varprop
from varprop import phase_cell
from varprop.cli import main
from varprop.phase import phase_diagram, predicted_edge
from varprop.theory import critical, predict

SHARE = Share("phase")
SMALL: dict[str, Any] = {
    "sigma_w": [0.8, 1.2, 1.6, 2.0], "sigma_b": [0.1, 0.5], "depth": 20, "width": 100,
}  # fmt: skip


@pytest.mark.parametrize("act", ["tanh", "erf", "relu", "gelu"])
def test_the_growth_at_the_edge_is_that_of_theory(act: str) -> None:
    """At width n growth is off by about 1/n, which the error measured here leaves far below."""
    edge = {"tanh": 1.5354, "erf": 1.3575, "relu": 2**0.5, "gelu": 1.4029}[act]
    # Near gelu's edge at small biases two fixed points of K meet, and 1/n is no small number.
    for row, sigma_b in enumerate((0.6, 0.9) if act == "gelu" else (0.3, 0.6)):
        found = phase_diagram(
            act, sigma_w=[edge - 0.1, edge, edge + 0.1], sigma_b=[sigma_b], width=2000, depth=40,
            stderr=0.002, seed=100 + row,
        )  # fmt: skip
        assert (found.growth_stderr <= 0.002).all()
        sigmas = (found.growth - found.predicted_growth) / found.growth_stderr
        for i, value in enumerate(sigmas[0]):
            SHARE.check(f"growth {act} {sigma_b} {i}", two_sided(value))


def test_the_measured_edge_is_that_of_theory() -> None:
    found = phase_diagram(
        "tanh", sigma_w=np.linspace(1.3, 1.8, 11), sigma_b=[0.3, 0.5], width=2000, stderr=0.002,
        seed=7,
    )  # fmt: skip
    edge, stderr = found.edge()
    for value, error, sigma_b in zip(edge, stderr, found.sigma_b, strict=True):
        SHARE.check(
            f"edge {sigma_b}", two_sided((value - critical("tanh", sigma_b).sigma_w) / error)
        )


def test_theorys_edge_is_the_critical_line() -> None:
    found = phase_diagram("tanh", **(SMALL | {"depth": 200, "stderr": 1.0}))
    line = [critical("tanh", sigma_b).sigma_w for sigma_b in found.sigma_b]
    np.testing.assert_allclose(predicted_edge(found), line, rtol=1e-4)


def test_cells_are_those_of_simulate() -> None:
    found = phase_diagram("tanh", **SMALL, stderr=0.02)
    trials = int(found.trials[1, 2])
    p = varprop.simulate(
        act="tanh", sigma_w=1.6, sigma_b=0.5, depth=20, width=100, trials=trials, correlation=0.5
    )
    assert found.correlation[1, 2] == pytest.approx(p.correlation.mean[-1], rel=1e-14)
    assert found.correlation_stderr[1, 2] == pytest.approx(p.correlation.stderr[-1], rel=1e-12)
    p = p.input(0)
    assert found.log_variance[1, 2] == p.variance.log_mean[-1]
    ratios = p.gradient.trials[:, 10] / p.gradient.trials[:, -1]
    assert found.growth[1, 2] == pytest.approx(np.log(ratios.mean()) / 9, rel=1e-12)
    relative = ratios.std(ddof=1) / np.sqrt(trials) / ratios.mean()
    assert found.growth_stderr[1, 2] == pytest.approx(relative / 9, rel=1e-12)


def test_trials_go_where_the_error_is() -> None:
    found = phase_diagram("tanh", **SMALL, stderr=0.006)
    assert (found.growth_stderr <= 0.006).all()
    assert found.trials.min() < found.trials.max()
    few = phase_diagram("tanh", **SMALL, stderr=0.006, most_trials=17)
    assert few.trials.max() == 17


def test_same_bits_from_any_executor() -> None:
    expected = phase_diagram("tanh", **SMALL, threads=1)
    with ThreadPoolExecutor(3) as pool:
        found = phase_diagram("tanh", **SMALL, executor=pool)
    for field in fields(found):
        assert np.array_equal(getattr(found, field.name), getattr(expected, field.name))


def test_correlations_are_those_of_theory() -> None:
    """At width n, c is off by about 1/n."""
    found = phase_diagram(
        "erf", sigma_w=[0.8, 1.8], sigma_b=[0.3], depth=12, width=4000, correlation=-0.2, trials=64,
        stderr=None, seed=3,
    )  # fmt: skip
    assert (found.trials == 64).all()
    for i, sigma_w in enumerate(found.sigma_w):
        net = varprop.Network(12, act="erf", sigma_w=sigma_w, sigma_b=0.3)
        expected = predict(net, correlation=-0.2).correlation[-1]
        sigmas = (found.correlation[0, i] - expected) / found.correlation_stderr[0, i]
        SHARE.check(f"correlation {i}", two_sided(sigmas))


def test_where_pairs_are_lost_one_input_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(**arguments: Any) -> varprop.Propagation:
        if arguments["sigma_w"] < 1 and arguments["correlation"] is not None:
            raise OverflowError("in layer 3 every value is below float64")
        return varprop.simulate(**arguments)

    monkeypatch.setattr(phase_cell, "simulate", simulate)
    found = phase_diagram(
        "tanh", sigma_w=[0.5, 1.5], sigma_b=[0.1, 0.2], depth=9, width=50, stderr=None
    )
    assert np.isnan(found.correlation).tolist() == [[True, False]] * 2
    one = varprop.simulate(act="tanh", sigma_w=0.5, sigma_b=0.1, depth=9, width=50, trials=16)
    assert found.log_variance[0, 0] == one.variance.log_mean[-1]
    assert len(found.plot().axes) == 6  # three panels, each with its colours


def test_progress_counts_cells() -> None:
    seen: list[tuple[int, int]] = []
    phase_diagram(
        "relu", **SMALL, stderr=0.02, progress=lambda done, cells: seen.append((done, cells))
    )
    assert seen == [(done, 8) for done in range(9)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigma_w": [2.0, 1.0]}, "sigma_w must be a list of ascending numbers"),
        ({"sigma_b": []}, "sigma_b must be a list of ascending numbers"),
        ({"sigma_b": [-1.0]}, "sigma_b"),
        ({"depth": 3}, "depth must be from 4"),
        ({"stderr": 0}, "stderr must be a number above 0, or None, got 0"),
        ({"most_trials": 15}, "most_trials must be from 16"),
        ({"trials": 1}, "trials must be from 2"),
        ({"correlation": 2}, "correlation is a cosine"),
        ({"act": "sign"}, "jumps"),
    ],
)
def test_bad_arguments_stop_before_the_work(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(phase_cell, "simulate", None)
    with pytest.raises(ValueError, match=message):
        phase_diagram(**(SMALL | parameters))


def test_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    line = "phase --sigma-w 0.8:2:4 --sigma-b 0.1,0.3 --depth 20 --width 100 --stderr 0.02 -o"
    assert main([*line.split(), str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == f"wrote {path}\n"
    assert out.splitlines()[0].split() == ["sigma_b", "edge:", "sigma_w", "+-", "theory"]
    assert path.read_bytes().startswith(b"\x89PNG")
    assert main(["phase", "--act", "tanh", "-o", str(tmp_path / "a.txt")]) == 1
    assert "must end in .png" in capsys.readouterr().err
