"""Inputs from files: what the command line reads, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import varprop
from varprop.cli import main
from varprop.inputs import read_input
from varprop.propagation import input_label


def written(tmp_path: Path, name: str, content: str | bytes | np.ndarray) -> Path:
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "1,-2.5,3e2\n"),
        ("x.CSV", "# a, b, c\n\n  1 , -2.5 ,3e2 # the row\n#end\n"),
        ("x.csv", "\ufeff1,-2.5,300"),
        ("x.npy", np.array([1, -2.5, 300])),
        ("x.npy", np.array([[1, -2.5, 300]], dtype=np.float32)),
        ("x.npy", np.array([1, -2.5, 300]).astype(">f8")),
    ],
)
def test_inputs_are_read(tmp_path: Path, name: str, content: str | np.ndarray) -> None:
    x = read_input(written(tmp_path, name, content))
    assert x.dtype == np.float64
    assert x.tolist() == [1, -2.5, 300]


def test_rows_are_inputs(tmp_path: Path) -> None:
    wanted = [[1, 2, 3], [-4, 5, 0.5]]
    for name, content in (
        ("x.csv", "1,2,3\n# more\n\n-4,5,0.5\n"),
        ("x.npy", np.array(wanted, dtype=np.float32)),
    ):
        x = read_input(written(tmp_path, name, content))
        assert x.dtype == np.float64
        assert x.tolist() == wanted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "1,2\n3\n", "line 2 has 1 number, the first row has 2"),
        ("x.csv", "# nothing\n\n", "no numbers"),
        ("x.csv", "age,height\n1,2\n", "line 1: 'age' is not a number"),
        ("x.csv", "1,,2", "line 1: '' is not a number"),
        ("x.csv", "1,nan", "'nan' is not a finite number"),
        ("x.csv", "1,1e999", "not a finite number"),
        ("x.csv", b"\xff\xfe\x00", "not a text file"),
        ("x.npy", np.zeros((2, 3, 4)), r"one input.*\(2, 3, 4\)"),
        ("x.npy", np.zeros(()), "must hold one input"),
        ("x.npy", np.zeros(0), "must hold one input"),
        ("x.npy", np.array([1, np.inf]), "number 2 is inf"),
        ("x.npy", np.array([[1, 2], [np.nan, 3]]), "row 2, number 1 is nan"),
        ("x.npy", np.array([1j]), "complex128, not real numbers"),
        ("x.npy", np.array(["a"]), "not real numbers"),
        ("x.npy", np.array([{}]), "not a .npy file of numbers"),
        ("x.npy", b"\x93NUMPY\x01", "not a .npy file of numbers"),
        ("x.txt", "1,2", "must be a .npy or .csv file"),
    ],
)
def test_bad_inputs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, content: str | bytes | np.ndarray, message: str,
) -> None:  # fmt: skip
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=message):
        read_input(path)
    monkeypatch.setattr(varprop, "simulate", None)  # it is not called
    assert main(["simulate", "--depth", "3", "--input", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_input_reaches_the_first_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path, "x.csv", "1,2,3"))
    common = ["--trials", "2", "--input", path, "--json"]
    for size, widths in (
        ("--depth 2 --width 5", [3, 5, 5]),
        ("--depth 1", [3, 1000]),
        ("--widths 3,4", [3, 4]),
    ):
        assert main(["simulate", *size.split(), *common]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["network"]["widths"] == widths
        assert document["log_input_mean_square"] == pytest.approx(np.log(14 / 3))
        assert document["input"] == input_label(np.array([1.0, 2.0, 3.0]))
    assert main(["simulate", "--widths", "2,4", *common]) == 1
    assert "3 numbers" in capsys.readouterr().err
