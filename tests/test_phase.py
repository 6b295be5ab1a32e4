"""Phase diagrams: theory's edge met, trials where they are needed, any executor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import Share, two_sided

import varprop
from varprop import batch, phase_cell
from varprop.cli import main
from varprop.engines import Run
from varprop.phase import phase_diagram
from varprop.phase_edge import edge_at_depth
from varprop.phase_theory import correlation_rates, edge_of_chaos
from varprop.theory import NoFixedPoint, critical, fixed_point, predict

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


@pytest.mark.parametrize("act", ["tanh", "erf", "relu", "gelu"])
def test_edges_agree_with_theory_within_their_errors(act: str) -> None:
    """That of the same depth; and where K has come to rest in it, the edge of chaos."""
    biases = [0.6, 0.7, 0.8, 0.9, 1.0] if act == "gelu" else [0.0, 0.1, 0.2, 0.3, 0.6, 0.9]
    found = phase_diagram(
        act, sigma_w=np.linspace(0.85, 1.95, 12), sigma_b=biases, width=1000, seed=21
    )
    edge, error = found.edge()
    assert (error < (0.02 if act == "gelu" else 0.03)).all()
    expected = edge_at_depth(found)
    sigmas = (edge - expected) / error
    for value, sigma_b in zip(sigmas, biases, strict=True):
        SHARE.check(f"edge {act} {sigma_b}", two_sided(value))
    # Rows have networks of their own: what all edges share would be a bias.
    SHARE.check(f"edges {act}", two_sided(sigmas.sum() / len(biases) ** 0.5))
    off = edge_of_chaos(found) - expected
    still = {"tanh": 1, "erf": 1, "relu": 0, "gelu": 0}[act]  # without biases K falls as 1/l
    most = 0.006 if act == "gelu" else 1e-4
    assert (np.abs(off[still:]) < most).all()
    assert (off[:still] < -0.04).all()


def test_the_error_of_an_edge_is_that_of_its_row() -> None:
    """All cells of a row are off together, by one standard error each."""
    found = phase_diagram(
        "tanh", sigma_w=np.linspace(1.2, 1.8, 5), sigma_b=[0.3], depth=20, width=200, stderr=None
    )
    moved = replace(found, growth=found.growth + found.growth_stderr)
    assert found.edge()[1][0] == pytest.approx(found.edge()[0][0] - moved.edge()[0][0], rel=0.1)


def test_the_error_of_an_edge_has_what_lies_between_cells() -> None:
    """Even where growth is exactly theory's: the bend of tanh at its edge without biases."""
    found = phase_diagram(
        "tanh", sigma_w=[0.9, 1.1, 1.3], sigma_b=[0.0, 0.5], depth=50, width=50, stderr=None
    )
    exact = replace(
        found, growth=found.predicted_growth, growth_stderr=np.zeros(found.growth.shape)
    )
    edge, error = exact.edge()
    off = abs(edge - edge_at_depth(exact))
    assert off[0] > 0.005
    np.testing.assert_allclose(error, off, rtol=1e-6)
    assert np.isnan(edge[1])
    assert np.isnan(edge_of_chaos(exact)[1])


def test_theorys_edge_of_chaos_is_the_critical_line() -> None:
    biases = [0.0, 1e-3, 0.1, 0.5]
    for act in ("tanh", "erf"):
        found = phase_diagram(act, **(SMALL | {"sigma_b": biases, "stderr": None}))
        line = [critical(act, sigma_b).sigma_w for sigma_b in biases]
        np.testing.assert_allclose(edge_of_chaos(found), line, rtol=1e-6)
    # gelu's K grows for ever beyond its edge at small biases, and relu's at all.
    axes = {"sigma_w": [1.2, 1.6], "sigma_b": [0.0, 0.3], "width": 50, "depth": 9, "stderr": None}
    np.testing.assert_allclose(edge_of_chaos(phase_diagram("relu", **axes)), 2**0.5, rtol=1e-6)
    edges = edge_of_chaos(phase_diagram("gelu", **axes))
    for sigma_w, sigma_b in zip(edges, axes["sigma_b"], strict=True):
        assert fixed_point("gelu", sigma_w=sigma_w - 1e-4, sigma_b=sigma_b).phase == "ordered"
        with pytest.raises(NoFixedPoint):
            fixed_point("gelu", sigma_w=sigma_w + 1e-4, sigma_b=sigma_b)


def test_depth_scales_of_correlations_are_those_of_fixed_points() -> None:
    found = phase_diagram("tanh", **(SMALL | {"stderr": None}))
    sigma_w, sigma_b, rates = correlation_rates(found)
    assert (sigma_w.tolist(), sigma_b.tolist()) == (SMALL["sigma_w"], SMALL["sigma_b"])
    for (row, column), rate in np.ndenumerate(rates):
        point = fixed_point("tanh", sigma_w=sigma_w[column], sigma_b=sigma_b[row])
        assert abs(1 / rate) == pytest.approx(point.xi_c, rel=1e-9)
        assert (rate > 0) == (point.phase == "chaotic")
    many = replace(found, act="relu", sigma_b=np.linspace(0.1, 0.5, 100), growth=np.ones((100, 4)))
    assert correlation_rates(many)[1][[0, 1, -1]].tolist() == many.sigma_b[[0, 2, -1]].tolist()


def test_cells_are_those_of_simulate() -> None:
    found = phase_diagram("tanh", **SMALL, stderr=0.02, most_trials=50)
    trials = int(found.trials[1, 2])
    net: dict[str, Any] = {
        "act": "tanh", "sigma_w": 1.6, "sigma_b": 0.5, "depth": 20, "width": 100,
        "first_trial": 50, "trials": trials,
    }  # fmt: skip
    pair = varprop.simulate(**net, correlation=0.5)
    assert found.correlation[1, 2] == pytest.approx(pair.correlation.mean[-1], rel=1e-14)
    assert found.correlation_stderr[1, 2] == pytest.approx(pair.correlation.stderr[-1], rel=1e-12)
    p = varprop.simulate(**net)
    assert found.log_variance[1, 2] == pytest.approx(p.variance.log_mean[-1], abs=1e-12)
    gradient = varprop.simulate(**net, correlation=0.5, backward=True).gradient.trials[:, 0]
    ratios = gradient[:, 10] / gradient[:, -1]
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
    def together(runs: list[Run]) -> list[Any]:
        lost = OverflowError("in layer 3 every value is below float64")
        low = [run.network.distinct_schemes[0].scale < 1 for run in runs]
        found = batch.measure_together(runs)
        return [lost if below else one for below, one in zip(low, found, strict=True)]

    monkeypatch.setattr(phase_cell, "measure_together", together)
    found = phase_diagram(
        "tanh", sigma_w=[0.5, 1.5], sigma_b=[0.1, 0.2], depth=9, width=50, stderr=None
    )
    assert np.isnan(found.correlation).tolist() == [[True, False]] * 2
    one = varprop.simulate(act="tanh", sigma_w=0.5, sigma_b=0.1, depth=9, width=50, trials=16)
    assert found.log_variance[0, 0] == one.variance.log_mean[-1]
    assert len(found.plot().axes) == 6  # three panels, each with its colours


def test_an_error_names_the_cell() -> None:
    with pytest.raises(OverflowError, match=r"^sigma_b=0\.0, sigma_w=1e\+140: in layer 1 the"):
        phase_diagram("x+x**2", sigma_w=[1, 1e140], sigma_b=[0], depth=5, width=9, trials=2)


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
    monkeypatch.setattr(phase_cell, "measure_together", None)
    with pytest.raises(ValueError, match=message):
        phase_diagram(**(SMALL | parameters))


def test_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    line = "phase --sigma-w 0.8:2:4 --sigma-b 0.1,0.3 --depth 20 --width 100 --stderr 0.02 -o"
    assert main([*line.split(), str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == f"wrote {path}\n"
    titles = "sigma_b  edge: sigma_w  +-  theory, depth 20  edge of chaos"
    assert out.splitlines()[0].split() == titles.split()
    assert path.read_bytes().startswith(b"\x89PNG")
    assert main(["phase", "--act", "tanh", "-o", str(tmp_path / "a.txt")]) == 1
    assert "must end in .png" in capsys.readouterr().err
