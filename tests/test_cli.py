"""The command line: what it prints, writes and returns, and that it finds out early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from handmade import propagation, rows

import varprop
from varprop.architecture import Norm, Residual
from varprop.cli import main
from varprop.network import Network
from varprop.propagation import input_label
from varprop.storage import load

Calls = list[dict[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Put a simulation made by hand in the engine's place, and record how it is called."""
    made: Calls = []

    def simulate(**options: Any) -> varprop.Propagation:
        parts = ["depth", "width", "widths", "act", "scheme", "sigma_w", "sigma_b"]
        parts += ["residual", "norm", "dropout"]
        network = Network(**{name: options.pop(name) for name in parts})
        made.append({"network": network} | options)
        if options["progress"] is not None:
            options["progress"](1.0)
        return propagation(
            rows(options["trials"], network.depth, dead=options["trials"] // 4),
            first=options["first_trial"], network=network, seed=options["seed"],
            input_label=input_label(options["x"]),
        )  # fmt: skip

    monkeypatch.setattr(varprop, "simulate", simulate)
    return made


def test_the_table_is_on_stdout(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--depth", "12", "--act", "tanh", "--trials", "8"]) == 0
    out, err = capsys.readouterr()
    assert "8 random networks: depth 12, width 1000, tanh, he" in out
    assert "dead networks: 2 of 8" in out
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80


def test_options_reach_the_simulation(calls: Calls) -> None:
    line = "--depth 3 --width 9 --act elu(0.5) --sigma-w 1.5 --sigma-b 0.2 --trials 5"
    more = "--first-trial 7 --seed 3 --threads 2 --engine dense"
    assert main(["simulate", *line.split(), *more.split()]) == 0
    (call,) = calls
    assert call.pop("network") == Network(3, 9, act="elu(0.5)", sigma_w=1.5, sigma_b=0.2)
    assert call == {
        "x": None, "progress": None, "trials": 5, "first_trial": 7, "seed": 3, "threads": 2,
        "engine": "dense", "backward": None, "correlation": None, "log_gap": None, "cotangents": 1,
        "tangents": 0, "histogram": None,
    }  # fmt: skip


def test_architectures_and_what_is_measured_reach_the_simulation(calls: Calls) -> None:
    line = "--depth 9 --residual 1/sqrt(depth) --skip 0.9 --norm rms --norm-place post"
    more = "--dropout 0.8 --correlation 0.5 --cotangents 3 --tangents 2 --histogram 16"
    assert main(["simulate", *line.split(), *more.split()]) == 0
    call = calls[0]
    assert call["network"] == Network(
        9, residual=Residual("1/sqrt(depth)", 0.9), norm=Norm("rms", "post"), dropout=0.8
    )
    wanted = {"correlation": 0.5, "cotangents": 3, "tangents": 2, "histogram": 16}
    assert {name: call[name] for name in wanted} == wanted
    assert main(["simulate", "--depth", "9", "--residual", "0.25", "--norm", "layer"]) == 0
    assert calls[1]["network"] == Network(9, residual=Residual(0.25), norm="layer")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--skip 2", "--skip goes with --residual"),
        ("--norm-place post", "--norm-place goes with --norm"),
        ("--residual half", "--residual must be a number"),
        ("--residual 0", "--residual must be from"),
        ("--norm batch", "'batch' is not one of"),
        ("--dropout 0", "share of units that are kept"),
        ("--cotangents 0", "--cotangents"),
    ],
)
def test_wrong_architectures_are_wrong_usage(
    line: str, message: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--depth", "9", *line.split()]) == 2
    assert message in capsys.readouterr().err
    assert calls == []


def test_widths_imply_the_depth(calls: Calls) -> None:
    assert main(["simulate", "--widths", "4,5,6", "--scheme", "xavier"]) == 0
    assert calls[0]["network"] == Network(2, widths=[4, 5, 6], scheme="xavier")


def test_json_is_finite_and_complete(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    for trials in ("1", "4", "8"):
        assert main(["simulate", "--depth", "12", "--trials", trials, "--json"]) == 0
        document = json.loads(capsys.readouterr().out, parse_constant=refuse)
        assert [layer["layer"] for layer in document["layers"]] == list(range(1, 13))
        assert document["dead"] == int(trials) // 4
        assert document["network"]["depth"] == 12
    p = propagation(rows(8, 12, dead=2))
    last = document["layers"][-1]
    assert last["preactivation"]["log_median"] == p.preactivation.log_median[-1]
    assert last["activation"]["log_mean"] == p.activation.log_mean[-1]
    assert last["variance"]["log_p90"] == p.variance.log_quantile(0.9)[-1]
    assert last["variance"]["log_p10"] is None
    assert last["saturated"]["mean"] == p.saturated.mean[-1]
    assert last["zero"]["stderr"] == p.zero.stderr[-1]
    assert document["first_death"] == 7


def test_json_schema_is_in_the_help(capsys: pytest.CaptureFixture[str], calls: Calls) -> None:
    main(["simulate", "--depth", "2", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert main(["simulate", "--help"]) == 0
    text = capsys.readouterr().out
    layer = document["layers"][0]
    names = {*document, *layer, *layer["variance"], *layer["zero"], *document["network"]}
    assert [name for name in names if name not in text] == []
    assert max(map(len, text.splitlines())) <= 80


def test_files_are_written(
    calls: Calls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figure, saved = tmp_path / "a.png", tmp_path / "a.varprop"
    arguments = ["simulate", "--depth", "5", "--plot", str(figure), "--save", str(saved)]
    assert main(arguments) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert load(saved).network == Network(5)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "a.varprop"]
    assert capsys.readouterr().err == f"wrote {saved}\nwrote {figure}\n"


@pytest.mark.parametrize(
    ("option", "name", "code", "message"),
    [
        ("--plot", "nowhere/a.png", 1, "does not exist"),
        ("--plot", "a.docx", 1, "must end in .png, .svg or .pdf"),
        ("--save", "nowhere/a", 1, "does not exist"),
        ("--save", ".", 2, "is a directory"),
    ],
)
def test_bad_output_paths_stop_before_the_work(
    calls: Calls, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    option: str, name: str, code: int, message: str,
) -> None:  # fmt: skip
    assert main(["simulate", "--depth", "5", option, str(tmp_path / name)]) == code
    assert calls == []
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert os.listdir(tmp_path) == []


def test_one_file_cannot_be_both(calls: Calls, tmp_path: Path) -> None:
    both = str(tmp_path / "a.png")
    assert main(["simulate", "--depth", "5", "--plot", both, "--save", both]) == 2
    assert calls == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("simulate", "--depth is missing: how many layers? As in --depth 200, or --widths 100,50"),
        ("simulate --depth 0", "--depth must be from 1"),
        ("simulate --widths 5", "Invalid value for '--widths': '5' is one number"),
        ("simulate --widths 5,0", "--widths (number 2) must be from 1"),
        ("simulate --depth x", "not a valid integer"),
        ("simulate --depth 3 --act rleu", "relu"),
        ("simulate --depth 3 --scheme hee", "he"),
        (
            "simulate --depth 3 --scheme he --sigma-w 1",
            "--scheme he and --sigma-w 1.0 both set the weights",
        ),
        ("simulate --depth 3 --width 4 --widths 1,2,3,4", "give --width 4 or --widths"),
        ("simulate --widths 1,2,x", "not a list such as"),
        ("simulate --depth 3 --sigma-b nan", "--sigma-b must"),
        ("simulate --depth 3 --trials 0", "trials"),
        ("simulate --depth 3 --engine fast", "matrix-free"),
        ("simulate --depth 3 --input missing.csv", "does not exist"),
        ("simulate --depth 3 --wdith 3", "--width"),
        ("simulate extra --depth 3", "extra"),
        ("derive", "--list"),
        ("derive relu --list", "--list"),
        ("frobnicate", "frobnicate"),
    ],
)
def test_wrong_usage_is_2(
    calls: Calls, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert calls == []


@pytest.mark.filterwarnings("default:.*fourth moment:RuntimeWarning")
def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--depth", "2", "--width", "9", "--scheme", "student_t(3)"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("varprop: warning: scheme 'student_t(3)': the fourth moment")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ValueError("needs 3 TB\nbut 1 is free"), MemoryError(), OSError(28, "No space")]
)
def test_errors_are_one_line_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(varprop, "simulate", fail)
    assert main(["simulate", "--depth", "3"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("varprop: error: ")
    assert err.count("\n") == 1
    assert len(err) > len("varprop: error: \n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--correlation 2", "--correlation is a cosine"),
        ("--log-gap 5", "--log-gap is ln(1 - c)"),
        ("--threads 0", "--threads 0 gives 0 threads"),
        ("--histogram 7", "--histogram must be an even number"),
    ],
)
def test_errors_of_the_library_speak_of_options(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--depth", "3", "--width", "9", *line.split()]) == 1
    assert capsys.readouterr().err.startswith(f"varprop: error: {message}")


def test_a_reader_who_has_seen_enough_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "varprop", "schemes"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        assert run.stderr.read() == b""
    assert run.returncode == 1


def test_ctrl_c_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(varprop, "simulate", interrupt)
    assert main(["simulate", "--depth", "3", "--save", str(tmp_path / "a")]) == 130
    assert capsys.readouterr().err.strip() == "varprop: interrupted"
    assert os.listdir(tmp_path) == []


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(varprop, "simulate", fail)
    with pytest.raises(ZeroDivisionError):
        main(["simulate", "--depth", "3"])


def test_progress_only_on_a_terminal(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["simulate", "--depth", "3"]) == 0
    assert calls[0]["progress"] is not None
    assert "random networks" in capsys.readouterr().out


# ---- lists, derivations


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["activations"]) == 0
    out = capsys.readouterr().out
    for act in varprop.activations():
        assert str(act) in out
    assert main(["schemes"]) == 0
    out += capsys.readouterr().out
    for row in varprop.schemes():
        assert row.name in out
    assert max(map(len, out.splitlines())) <= 80


def test_derivations(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["derive", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "linear" in listed
    assert "relu" in listed
    path = tmp_path / "linear.md"
    assert main(["derive", "linear", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert capsys.readouterr() == ("", f"wrote {path}\n")
    assert main(["derive", "linear"]) == 0
    assert capsys.readouterr().out.startswith("# ")
    assert main(["derive", "linear", "-o", str(tmp_path / "linear.docx")]) == 1
    assert main(["derive", "linnear"]) == 2
    assert main(["derive", "linear", "-o", str(tmp_path / "no" / "linear.md")]) == 1
    assert os.listdir(tmp_path) == ["linear.md"]
