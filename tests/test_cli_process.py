"""The program in a process of its own: pipes, signals, what it loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import varprop
from varprop.storage import load

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
