"""The command line: what it prints, writes and returns, and that it finds out early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import propagation, rows

import varprop
from varprop.architecture import Norm, Residual
from varprop.cli import main
from varprop.inputs import read_input
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
        ("simulate", "--depth is missing"),
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


# ---- inputs


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
    tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str],
    name: str, content: str | bytes | np.ndarray, message: str,
) -> None:  # fmt: skip
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=message):
        read_input(path)
    assert main(["simulate", "--depth", "3", "--input", str(path)]) == 1
    assert calls == []
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


# ---- lists, derivations, the program itself


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


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "varprop", *arguments],
            capture_output=True, text=True, timeout=120, cwd=tmp_path,
        )  # fmt: skip

    return run


def test_the_real_thing_in_a_pipe(run: Run, tmp_path: Path) -> None:
    done = run(
        "simulate", "--depth", "12", "--width", "30", "--trials", "20", "--seed", "1",
        "--save", "a.varprop", "--plot", "a.png", "--compare",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "wrote a.varprop\nwrote a.png\n")
    assert done.stdout.startswith(str(load(tmp_path / "a.varprop")))
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"varprop {varprop.__version__}\n")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from varprop.cli import main; main(['--help']); main(['simulate', '--help'])\n"
        "print({'sympy','scipy','matplotlib','rich','pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.endswith("set()\n")
    assert "Examples:" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_ctrl_c_stops_the_run_and_leaves_no_file(tmp_path: Path) -> None:
    size = ["--depth", "200", "--width", "100000", "--trials", "3000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "varprop", "simulate", *size, "--save", "a", "--plot", "a.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        # A test run in the background may have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    time.sleep(4)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    # a second is what is promised; the rest is for a machine busy with other things
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "varprop: interrupted")
    assert os.listdir(tmp_path) == []
