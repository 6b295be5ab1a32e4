"""The benchmarks: contenders simulate the same law, turns are fair, the check notices a fall."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from budget import Share, two_sided

from varprop.bench import compiled, numpy_drawn, numpy_matrix_free
from varprop.bench.tasks import TASKS
from varprop.bench.turns import Spread, measure, ratio
from varprop.cli import main

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SHARE = Share("benchmarks")
MODULES = ("history", "record", "tables", "workers", "contestants")


@pytest.fixture(scope="module")
def room() -> Iterator[dict[str, ModuleType]]:
    """The modules of benchmarks/, which is no package."""
    sys.path.insert(0, str(BENCHMARKS))
    before = set(sys.modules)
    try:
        yield {name: __import__(name) for name in MODULES}
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in set(sys.modules) - before:
            if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


# ---- contenders


def last_layer(found: Any, depth: int, trials: int) -> np.ndarray:
    """One value a network, mean over inputs, from arrays whose axes come in any order."""
    found = np.asarray(found["log_q"] if isinstance(found, dict) else found)
    at = found.shape.index(depth)
    last = np.take(found, depth - 1, axis=at)
    over = tuple(i for i, n in enumerate(last.shape) if i != last.shape.index(trials))
    return np.asarray(last.mean(axis=over))


@pytest.mark.parametrize(
    "task", ["forward", "both_ways", "pair", "batch", "uniform_weights", "orthogonal_weights"]
)
def test_contenders_draw_the_same_law(task: str) -> None:
    """E[ln q] in layer 5 of width 30; a gain of 1.1 would be 6 standard errors."""
    depth, width, trials = 5, 30, 200
    more = {"inputs": 3} if task == "batch" else {}
    run = getattr(compiled, task)(depth, width, 5 * trials, **more)
    ours = last_layer(run(), depth, 5 * trials)
    for module in (numpy_drawn, numpy_matrix_free):
        make = getattr(module, task, None)
        if make is None:
            continue
        found = make(depth, width, trials, **more)()
        if task == "both_ways" and module is numpy_drawn:
            found = found[0]
        theirs = last_layer(found, depth, trials)
        error = np.hypot(theirs.std(ddof=1) / trials**0.5, ours.std(ddof=1) / ours.size**0.5)
        name = f"{task}, {module.__name__}"
        SHARE.check(name, two_sided((theirs.mean() - ours.mean()) / error))


def test_gradients_of_the_numpy_contenders() -> None:
    """ln of the gradient's mean square, layer 5 over layer 1, drawn and matrix-free."""
    depth, width, trials = 5, 30, 200
    drawn = numpy_drawn.both_ways(depth, width, trials)()[1]
    free = numpy_matrix_free.both_ways(depth, width, trials)()["log_g"].T
    growth = [found[:, 0] - found[:, -1] for found in (drawn, free)]
    error = np.hypot(*(each.std(ddof=1) / trials**0.5 for each in growth))
    SHARE.check("gradients", two_sided((growth[0].mean() - growth[1].mean()) / error))


def test_every_task_has_contenders(room: dict[str, ModuleType]) -> None:
    for task in TASKS:
        taking_part = [
            who.name for who in room["contestants"].CONTENDERS if who.size(task) is not None
        ]
        assert "NumPy, drawn" in taking_part
        assert any(name.startswith("varprop") for name in taking_part)


# ---- turns


def test_contenders_take_turns() -> None:
    order: list[str] = []
    works = {name: (lambda name=name: order.append(name), 2.0) for name in "ab"}
    times = measure(works, turns=3)
    assert order == list("ab" * 4)  # once to get warm
    assert {len(each) for each in times.values()} == {3}
    measure(works, turns=1, warm=True)
    assert order == list("ab" * 5)


def test_ratios_are_paired() -> None:
    assert ratio([2.0, 20.0, 200.0], [1.0, 10.0, 50.0]) == Spread(2.0, 2.0, 4.0)


# ---- workers


def test_a_worker_runs_what_it_is_told(room: dict[str, ModuleType]) -> None:
    with room["workers"].Worker(Path(sys.executable)) as worker:
        drawn = worker.make("varprop.bench.numpy_drawn", "forward", depth=2, width=5, trials=3)
        assert np.shape(drawn.value()) == (3, 2, 1)
        assert drawn.seconds(2) > 0
        with pytest.raises(room["workers"].ContenderFailed, match="no_such_task"):
            worker.make("varprop.bench.numpy_drawn", "no_such_task")
        assert worker.packages("contenders.numpy_float32") == {"numpy": np.__version__}


def test_what_a_contender_prints_is_no_answer(
    room: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy.py").write_text(
        "print('imported')\ndef task(n):\n    print('made')\n    return lambda: print('run') or n\n"
        "def fails():\n    return lambda: 1 / 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with room["workers"].Worker(Path(sys.executable)) as worker:
        assert worker.make("noisy", "task", n=7).value() == 7
        with pytest.raises(room["workers"].ContenderFailed, match="ZeroDivisionError"):
            worker.make("noisy", "fails")()
        assert worker.make("noisy", "task", n=8).value() == 8  # a failure ends nothing


def test_a_worker_does_nothing_between_its_turns(
    room: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "busy.py").write_text(
        "import itertools, threading, time\n"
        "def task():\n"
        "    rounds = itertools.count()\n"
        "    def on(): \n        for _ in rounds: time.sleep(1e-3)\n"
        "    threading.Thread(target=on, daemon=True).start()\n"
        "    return lambda: next(rounds)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with room["workers"].Worker(Path(sys.executable)) as worker:
        rounds = worker.make("busy", "task")
        first = rounds.value()
        time.sleep(1.0)
        assert rounds.value() - first < 500  # of a thousand, had its thread gone on


def test_environments_not_made_are_told(room: dict[str, ModuleType]) -> None:
    contestants = room["contestants"]
    nobody = contestants.Contender("nobody", "nothing", environment="no-such-environment")
    with contestants.Arena() as arena:
        assert arena.make(nobody, "forward") is None
    assert "make bench-peers" in arena.failed["nobody"]


# ---- history


def run(
    median: float, low: float, high: float, machine: str = "m", quick: bool = False, **more: float
) -> dict[str, Any]:
    ratios = {"a": {"median": median, "low": low, "high": high}}
    ratios |= {name: {"median": each, "low": each, "high": each} for name, each in more.items()}
    return {"machine": machine, "quick": quick, "ratios": ratios}


NORMAL = run(100.0, 90.0, 110.0)  # so 76.5 is the least allowed


@pytest.mark.parametrize(
    ("runs", "fallen"),
    [
        ([], 0),
        ([NORMAL], 0),
        ([NORMAL, run(77.0, 70.0, 80.0)], 0),
        ([NORMAL, run(76.0, 70.0, 120.0)], 1),  # the last run's own luck doesn't excuse it
        ([NORMAL, run(500.0, 400.0, 600.0)], 0),
        ([NORMAL, run(float("nan"), 90.0, 110.0)], 1),
        ([NORMAL, run(1.0, 1.0, 1.0, machine="another")], 0),
        ([NORMAL, run(1.0, 1.0, 1.0, quick=True)], 0),
        ([NORMAL, run(100.0, 90.0, 110.0, b=3.0), run(100.0, 90.0, 110.0)], 1),  # b is gone
        ([NORMAL, run(100.0, 90.0, 110.0, b=3.0), run(100.0, 90.0, 110.0, b=2.5)], 1),
        ([NORMAL, run(100.0, 90.0, 110.0, b=3.0), run(100.0, 90.0, 110.0, b=2.6)], 0),
        # one slow run among the earlier ones does not lower the bar
        ([NORMAL, NORMAL, run(20.0, 10.0, 30.0), run(70.0, 60.0, 80.0)], 1),
        # nor does what happened long ago count
        ([run(1000.0, 900.0, 1100.0)] + [NORMAL] * 5 + [run(95.0, 90.0, 100.0)], 0),
    ],
)  # fmt: skip
def test_falls(room: dict[str, ModuleType], runs: list[dict[str, Any]], fallen: int) -> None:
    assert len(room["history"].falls(runs)) == fallen


def test_check_fails_and_says_why(
    room: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    assert room["history"].check(path) == 1
    assert "make bench" in capsys.readouterr().err
    path.write_text("".join(json.dumps(each) + "\n" for each in (NORMAL, run(50.0, 45.0, 55.0))))
    assert room["history"].check(path) == 1
    assert "a: 50, below 76.5; was 100" in capsys.readouterr().out
    path.write_text("".join(json.dumps(each) + "\n" for each in (NORMAL, NORMAL)))
    assert room["history"].check(path) == 0
    assert "0 of 1 ratios fell; 1 earlier runs" in capsys.readouterr().out


def test_what_moved_since_the_run_before(room: dict[str, ModuleType]) -> None:
    outside = room["history"].outside
    assert outside(NORMAL, run(110.0, 1.0, 999.0)) == []
    assert outside(NORMAL, run(110.1, 1.0, 999.0)) == ["a"]
    assert outside(run(100.0, 90.0, 110.0, b=1.0), NORMAL) == []  # b is new


# ---- what people read


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (12345.0, "12,300"), (999.6, "1,000"), (9.996, "10.0"), (0.0123, "0.0123"),
        (1e-5, "1.00e-05"), (2e12, "2.00e+12"),
    ],
)  # fmt: skip
def test_numbers(room: dict[str, ModuleType], value: float, text: str) -> None:
    assert room["tables"].number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3e-9, "3.00 ns"), (2.5e-4, "250 µs"), (0.5, "500 ms"), (80.0, "80.0 s"), (100.0, "1.67 min"),
     (3 * 86400.0, "3.00 days")],
)  # fmt: skip
def test_durations(room: dict[str, ModuleType], seconds: float, text: str) -> None:
    assert room["tables"].duration(seconds) == text


def test_close_calls_name_who_wins(room: dict[str, ModuleType]) -> None:
    times = {"varprop": [1.0, 1.0], "close": [2.9, 2.0], "winner": [0.5, 0.5], "far": [9.0, 9.0]}
    found = room["tables"].close_calls(times, "varprop")
    assert [name for name, _ in found] == ["close", "winner"]


def test_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "nonsense"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "known: headline" in done.stderr


def test_bench_prints_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On one small task: what is printed, not how fast it is."""
    from varprop.bench import beside_numpy
    from varprop.bench.tasks import Task

    small = Task("forward", "one input, up", (2, 1), (2, 2), (2, 3), width=10, layers=2)
    monkeypatch.setattr(beside_numpy, "TASKS", (small,))
    assert main(["bench", "--turns", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["contender"] for row in found["rows"]] == [
        "NumPy, drawn", "NumPy, matrix-free", "varprop"
    ]  # fmt: skip
    assert found["rows"][-1]["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert {"cpu", "blas", "date", "numpy"} <= set(found["machine"])
    assert main(["bench", "--turns", "1"]) == 0
    text = capsys.readouterr().out
    assert "NumPy, matrix-free" in text
    assert max(map(len, text.splitlines())) <= 80
