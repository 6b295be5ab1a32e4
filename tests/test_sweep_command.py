"""``varprop sweep``: its options, resuming, and wrong usage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

import varprop
from varprop.cli import main

LINE = "sweep --act tanh --act relu --sigma-w 1:2:3 --sigma-b 0,0.5 --depth 4 --width 30 --trials 6"


def test_options_make_the_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "a.zarr")
    assert main([*LINE.split(), "--store", store, "--seed", "3", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 cells (act 2 x sigma_w 3 x sigma_b 2), 6 networks each, 4 layers" in out
    expected = varprop.sweep(
        act=["tanh", "relu"], sigma_w=[1.0, 1.5, 2.0], sigma_b=[0.0, 0.5], depth=4, width=30,
        trials=6, seed=3,
    )  # fmt: skip
    found = xarray.open_zarr(store)
    for name in expected.data_vars:
        there = found[name].transpose(*expected[name].dims)
        np.testing.assert_array_equal(there, expected[name])


def test_correlations_are_an_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "a.zarr")
    line = f"sweep --depth 3 --width 20 --trials 4 --correlation 0.2,0.9 --store {store}"
    assert main(line.split()) == 0
    assert "2 cells (correlation 2)" in capsys.readouterr().out
    expected = varprop.sweep(depth=3, width=20, trials=4, correlation=[0.2, 0.9])
    found = xarray.open_zarr(store)
    np.testing.assert_array_equal(found["mean"], expected["mean"])
    assert main(["sweep", "--store", store, "--resume"]) == 0


def test_resume_needs_no_other_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "a.zarr")
    line = [*LINE.split(), "--store", store]
    with monkeypatch.context() as patch:
        patch.setattr(varprop.sweep_work, "run_of", None)  # stops before the first piece
        with pytest.raises(TypeError):
            varprop.sweep(
                act=["tanh", "relu"], sigma_w=[1.0, 1.5, 2.0], depth=4, width=30, trials=6,
                store=store,
            )  # fmt: skip
    assert main(line) == 1
    assert "is there already: --resume goes on with it" in capsys.readouterr().err
    assert main(["sweep", "--store", store, "--resume"]) == 0
    assert "6 cells" in capsys.readouterr().out
    assert (xarray.open_zarr(store).trials == 6).all()
    assert main(["sweep", "--store", store, "--resume"]) == 0


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("sweep --depth 3", 2, "--store"),
        ("sweep --store {} --act tanh", 2, "--depth is missing"),
        ("sweep --store {} --depth 3 --sigma-w 1:2", 2, "no range such as 0.5:3:26"),
        ("sweep --store {} --depth 3 --sigma-w a,b", 2, "no list such as 1,2,5"),
        ("sweep --store {} --depth 1:4:5", 2, "not whole numbers"),
        ("sweep --store {} --depth 3,0", 1, "--depth 0: "),
        ("sweep --store {} --depth 3 --resume", 2, "leave out --depth"),
        ("sweep --store {} --resume", 1, "holds no sweep"),
    ],
)
def test_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, message: str
) -> None:
    assert main(line.format(tmp_path / "a.zarr").split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_store_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    for more in (["--depth", "3"], ["--resume"]):
        assert main(["sweep", "--store", str(tmp_path), *more]) == 1
        assert "holds no sweep: give the store of one, or a new path" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_only_python_knows_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "a.zarr"
    varprop.sweep(act=[(np.sin, np.cos)], depth=2, width=9, trials=3, store=store)
    assert main(["sweep", "--store", str(store), "--resume"]) == 1
    assert "call varprop.sweep with the same arguments again" in capsys.readouterr().err
