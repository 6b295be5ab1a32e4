"""Sweeps: labelled as asked, the numbers of simulate() in every cell, whoever computes them."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from queue import LifoQueue
from typing import Any

import numpy as np
import pytest

import varprop
from varprop import batch, sweep_pieces
from varprop.engines import Run
from varprop.simulate import measured as usual
from varprop.sweep_grid import Grid, differences
from varprop.sweep_pieces import Plan
from varprop.sweep_rows import Shape, rows_of
from varprop.sweep_work import PREDICTIONS, SUMMARIES

SMALL: dict[str, Any] = {"depth": 6, "width": 40, "trials": 12}
GRID: dict[str, Any] = {
    "act": ["tanh", "relu", "sign"], "sigma_w": np.array([0.01, 1.5]), "depth": [1, 3, 60],
    "width": 40, "trials": 12,
}  # fmt: skip


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few milliseconds: cells put together and cells cut into trials."""
    monkeypatch.setattr(sweep_pieces, "GOAL", 2e4)


def test_labels_and_shape() -> None:
    ds = varprop.sweep(**GRID)
    assert dict(ds["mean"].sizes) == {
        "quantity": 7, "act": 3, "sigma_w": 2, "depth": 3, "layer": 60
    }  # fmt: skip
    assert ds.act.values.tolist() == GRID["act"]
    assert ds.sigma_w.values.tolist() == [0.01, 1.5]
    assert ds.layer.values.tolist() == list(range(1, 61))
    assert (ds.trials == 12).all()
    assert {*SUMMARIES, *PREDICTIONS, "dead", "trials"} == set(ds.data_vars)
    assert "varprop" in ds.attrs["software"]
    assert {"numpy", "simd", "definition"} <= set(ds.attrs)


@pytest.mark.parametrize("goal", [2e8, 2e4])
def test_every_cell_has_the_bits_of_simulate(monkeypatch: pytest.MonkeyPatch, goal: float) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", goal)
    ds = varprop.sweep(**GRID)
    for act in GRID["act"]:
        for sigma_w in GRID["sigma_w"]:
            for depth in GRID["depth"]:
                p = varprop.simulate(act=act, sigma_w=sigma_w, depth=depth, width=40, trials=12)
                cell = ds.sel(act=act, sigma_w=sigma_w, depth=depth)
                assert cell["dead"][:depth].values.tolist() == [
                    int(((p.died > 0) & (p.died <= layer)).sum()) for layer in range(1, depth + 1)
                ]
                for row in rows_of(Shape(1, 1, 0)):
                    found = cell.sel(quantity=row.label)
                    if row.label == "gradient" and not p.backward:
                        assert np.isnan(found["log_mean"]).all()
                        continue
                    statistic = getattr(p, row.label)
                    for name in ("log_mean", "log_median", "log_of_mean", "log_stderr"):
                        expected = getattr(statistic, name)
                        values = np.ma.masked_invalid(found[name].values[:depth])
                        assert np.array_equal(values.filled(7), expected.filled(7)), name
                    assert np.isnan(found["log_mean"].values[depth:]).all()
                    try:
                        mean = statistic.mean
                    except OverflowError:
                        assert np.isnan(found["mean"].values[:depth]).any()
                    else:
                        assert np.array_equal(found["mean"].values[:depth], mean)
                        assert np.array_equal(found["stderr"].values[:depth], statistic.stderr)


def test_predictions_are_those_of_the_theory() -> None:
    from varprop.theory import predict

    ds = varprop.sweep(act=["tanh", "sign"], sigma_b=[0.0, 0.3], **SMALL)
    p = predict(varprop.Network(6, 40, act="tanh", sigma_b=0.3))
    cell = ds["log_prediction"].sel(act="tanh", sigma_b=0.3)
    assert np.array_equal(cell.sel(quantity="variance"), p.log_variance)
    assert np.array_equal(cell.sel(quantity="gradient"), p.log_gradient)
    assert np.isnan(cell.sel(quantity="zero")).all()
    assert np.isnan(ds["log_prediction"].sel(act="sign", quantity="gradient")).all()
    assert np.isfinite(ds["log_prediction"].sel(act="sign", quantity="variance")).all()


def test_one_network_has_no_standard_error() -> None:
    ds = varprop.sweep(seed=[0, 1], depth=3, width=9, trials=1)
    assert np.isnan(ds["stderr"]).all()
    assert np.isfinite(ds["mean"]).all()


def test_no_axis_at_all() -> None:
    ds = varprop.sweep(**SMALL)
    assert ds["mean"].dims == ("quantity", "layer")
    assert int(ds.trials) == 12


def test_same_bits_from_any_executor(many_pieces: None) -> None:
    expected = varprop.sweep(**GRID, threads=1)
    assert varprop.sweep(**GRID, threads=2).identical(expected)
    with ThreadPoolExecutor(3) as pool:
        assert varprop.sweep(**GRID, executor=pool).identical(expected)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert varprop.sweep(**GRID, executor=pool).identical(expected)
        assert varprop.sweep(**GRID, executor=pool, threads=2).identical(expected)


def test_the_order_of_arrival_makes_no_difference(many_pieces: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool._work_queue = LifoQueue()  # the last submitted comes first
        assert varprop.sweep(**GRID, executor=pool).identical(varprop.sweep(**GRID, threads=1))


def test_pieces_cover_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {"depth": [2, 50], "width": [10, 3000], "sigma_w": list(np.linspace(1, 2, 7))}
    for goal in (1e3, 1e5, 1e6, 1e9):
        monkeypatch.setattr(sweep_pieces, "GOAL", goal)
        plan = Plan.of(Grid.of(parameters, trials=9))
        seen = np.zeros((plan.grid.size, 9), dtype=int)
        for piece in plan.pieces:
            for block in piece.blocks:
                seen[plan.cells(block), piece.first : piece.stop] += 1
            cells = [cell for block in piece.blocks for cell in plan.cells(block)]
            cost = plan.costs[cells].sum() * (piece.stop - piece.first)
            one_trial = plan.costs[cells].max()
            assert cost <= max(1.5 * goal, 1.5 * one_trial), (goal, piece)
        assert (seen == 1).all()


def test_blocks_are_boxes_of_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_pieces, "GOAL", 64 * 3 * 2 * 5 * 3)
    plan = Plan.of(Grid.of({"depth": 2, "width": 9, "seed": [1, 2, 3], "sigma_w": [1.0, 2.0]}, 5))
    numbers = np.arange(6).reshape(3, 2)
    for block in range(plan.blocks):
        assert numbers[plan.box(block)].ravel().tolist() == plan.cells(block)


def test_progress_counts_pieces(many_pieces: None) -> None:
    seen: list[tuple[int, int]] = []
    varprop.sweep(**GRID, progress=lambda done, pieces: seen.append((done, pieces)))
    pieces = seen[0][1]
    assert seen == [(i, pieces) for i in range(pieces + 1)]
    assert pieces > 20


def test_a_bar_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    varprop.sweep(**SMALL, progress=True)
    assert "1/1" in capsys.readouterr().err
    varprop.sweep(**SMALL)
    assert capsys.readouterr().err == ""


def own(x: Any) -> Any:
    return np.tanh(2 * x)


def own_slope(x: Any) -> Any:
    return 2 / np.cosh(2 * x) ** 2


def test_activations_of_ones_own(many_pieces: None) -> None:
    both = varprop.sweep(act=["tanh(2*x)", (own, own_slope)], sigma_w=[1.0, 1.5], **SMALL)
    assert str(both.act.values[1]).startswith("own (")
    one = varprop.sweep(act=(own, own_slope), sigma_w=[1.0, 1.5], **SMALL)
    np.testing.assert_array_equal(one["log_mean"], both["log_mean"][:, 1])
    near = both["log_mean"].sel(quantity="variance")
    np.testing.assert_allclose(near[0], near[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"sigma_v": [1.0]}, TypeError, "no parameter 'sigma_v'; did you mean 'sigma_w'"),
        ({"first_trial": 3}, TypeError, "no parameter 'first_trial'"),
        ({"sigma_w": []}, ValueError, "sigma_w is an empty list"),
        ({"sigma_w": [1.0, 1.0]}, ValueError, "sigma_w has a value twice: 1.0"),
        ({"sigma_w": [1.0, -1.0]}, ValueError, r"sigma_w=-1\.0: .*sigma_w"),
        ({"act": ["tanh", "tnah"]}, ValueError, "act='tnah': .*tanh"),
        ({"width": [10, 0]}, ValueError, "width=0: "),
        ({"trials": 0}, ValueError, "trials must be from 1"),
        ({"trials": 2.5}, TypeError, "trials must be an integer"),
        ({"threads": 0}, ValueError, "threads=0"),
        ({"executor": "dask"}, TypeError, "executor must be None"),
        ({"depth": None}, ValueError, "depth is missing"),
        ({"sigma_w": [1.0, np.nan]}, ValueError, "sigma_w=nan: .*not nan"),
        ({"sigma_w": np.ones((2, 2))}, ValueError, "sigma_w must be a number"),
        ({"correlation": [0.5, 1.5]}, ValueError, r"correlation=1\.5: correlation is a cosine"),
        ({"histogram": True}, TypeError, "no parameter 'histogram'"),
        ({"spectrum": True}, TypeError, "no parameter 'spectrum'"),
    ],
)
def test_bad_arguments_stop_before_the_work(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], error: type[Exception],
    message: str,
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr(varprop.sweep_work, "run_of", fail)
    with pytest.raises(error, match=message):
        varprop.sweep(**(SMALL | parameters))


def test_an_error_in_a_cell_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(run: Run) -> varprop.Propagation:
        if run.network.sigma_w[0] == 10:
            raise OverflowError("in layer 3 the signal left the range")
        return usual(run)

    monkeypatch.setattr(varprop.sweep_work, "measured", measured)
    with pytest.raises(OverflowError, match=r"^sigma_w=10\.0: in layer 3 the signal left"):
        varprop.sweep(sigma_w=[1.0, 10.0], **SMALL)


def test_cells_that_draw_the_same_numbers_draw_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bits that each has alone; the seeds, depths and biases of others are others."""
    groups: list[int] = []

    def together(runs: list[Run]) -> list[Any]:
        groups.append(len(runs))
        return batch.measure_together(runs)

    monkeypatch.setattr(varprop.sweep_work, "measure_together", together)
    axes: dict[str, Any] = {
        "act": ["tanh", "relu", "sigmoid"], "sigma_w": [0.9, 1.5], "sigma_b": [0.0, 0.1, 0.3],
        "seed": [0, 1],
    }  # fmt: skip
    fixed: dict[str, Any] = {"depth": 4, "width": 20, "trials": 5, "correlation": 0.5}
    ds = varprop.sweep(**fixed, **axes)
    # without biases sigmoid(0) is a source of signal where tanh and relu have none
    assert sorted(groups) == [2, 2, 4, 4, 12, 12]
    for act, sigma_w, sigma_b, seed in product(*axes.values()):
        one = varprop.simulate(act=act, sigma_w=sigma_w, sigma_b=sigma_b, seed=seed, **fixed)
        cell = ds["mean"].sel(act=act, sigma_w=sigma_w, sigma_b=sigma_b, seed=seed)
        found = cell.sel(quantity="correlation").values
        assert np.array_equal(found, one.correlation.mean)


def strict(z: Any) -> Any:
    if ((z > 3.126) & (z < 3.149)).any():
        raise ValueError("too near pi")
    return np.tanh(z)


def strict_slope(z: Any) -> Any:
    return 1 - np.tanh(z) ** 2


def test_an_error_of_a_callable_in_a_cell_measured_with_others_names_it() -> None:
    with pytest.raises(ValueError, match=r"^sigma_w=9\.0: too near pi"):
        varprop.sweep(
            sigma_w=[0.1, 9.0], act=(strict, strict_slope), depth=3, width=50, trials=4,
            correlation=0.5,
        )  # fmt: skip


def test_means_of_narrow_layers_are_those_of_simulate() -> None:
    """Where some networks are dead, to the last bit: cells are summed up beside each other."""
    fixed: dict[str, Any] = {"act": "relu", "depth": 4, "trials": 20}
    ds = varprop.sweep(**fixed, width=[2, 3, 5], seed=list(range(6)), sigma_w=[1.5, 1.0])
    for width, seed, sigma_w in product([2, 3, 5], range(6), [1.5, 1.0]):
        p = varprop.simulate(**fixed, width=width, seed=seed, sigma_w=sigma_w)
        cell = ds.sel(width=width, seed=seed, sigma_w=sigma_w)
        for quantity in ("variance", "activation", "gradient", "zero"):
            for name, value in getattr(p, quantity).summaries().items():
                found = cell[name].sel(quantity=quantity).values
                assert np.array_equal(found, value, equal_nan=True), (quantity, name)


def test_an_error_in_a_cell_measured_with_others_names_it() -> None:
    with pytest.raises(OverflowError, match=r"^sigma_w=1e\+140: in layer \d the signal left"):
        varprop.sweep(
            sigma_w=[1.0, 1e140, 2.0], act="x+x**2", depth=4, width=20, trials=2, correlation=0.5,
            backward=False,
        )  # fmt: skip


def test_differences_name_both_values() -> None:
    ours = Grid.of({"depth": 3, "sigma_w": [1.0, 2.0]}, 5).definition()
    theirs = Grid.of({"depth": 3, "sigma_w": [1.0, 2.5]}, 5).definition()
    assert differences(ours, ours) == []
    assert differences(ours, theirs) == ["sigma_w: [1.0, 2.0] here, [1.0, 2.5] in the store"]


def test_missing_packages_are_named() -> None:
    code = (
        "import sys; sys.modules['zarr'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'zarr' else find(name)\n"
        "import varprop\n"
        "try: varprop.sweep(depth=3)\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == 'sweeps need zarr: pip install "varprop[sweep]"\n'


def test_import_brings_none_of_them() -> None:
    code = (
        "import sys, varprop; print({'xarray', 'zarr', 'dask', 'distributed'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
