"""The history of ratios to NumPy: a line of JSON for each full run, and what it must not do.

A ratio is NumPy's time over varprop's in the same turn of the same run, so that runs on busy and
on quiet machines can be held against each other. Only runs on the same kind of machine are.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import record
from contestants import DENSE, IDEA, MATRIX_FREE, NUMPY

from varprop.bench.turns import ratio

PATH = record.RESULTS / "history.jsonl"
FALL = 0.15  # this share, beyond the spread, is too much
BEFORE = 5  # as many earlier runs say what is normal
SECTIONS = ("headline", "more_tasks")

Run = dict[str, Any]


def ratios() -> dict[str, dict[str, float]]:
    """Tracked ratios of the last run: name -> median, low, high over its turns."""
    found = {}
    for section in SECTIONS:
        measured = record.load(section)
        for task, times in (measured or {"times": {}})["times"].items():
            for ours in (MATRIX_FREE, DENSE, "varprop, spectrum"):
                for numpy in (NUMPY, IDEA):
                    if ours in times and numpy in times:
                        found[f"{task}: {numpy} / {ours}"] = vars(ratio(times[numpy], times[ours]))
    return found


def add(quick: bool) -> None:
    """Append the last run."""
    headline = record.load("headline")
    if headline is None:
        raise FileNotFoundError("no headline to add to the history: run.py headline")
    machine = headline["machine"]
    run = {
        "date": machine["date"],
        "varprop": machine["varprop"],
        "machine": ", ".join(
            str(machine[key]) for key in ("cpu", "threads", "instruction_set", "blas")
        ),
        "quick": quick,
        "ratios": ratios(),
    }
    with PATH.open("a") as file:
        file.write(json.dumps(run, ensure_ascii=False) + "\n")


def read(path: Path = PATH) -> list[Run]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def falls(runs: Sequence[Run]) -> list[str]:
    """What fell too far in the last run; an earlier ratio that is gone counts as fallen.

    The smallest value that is allowed is 85 % of the low end of the earlier runs' spread, the
    median of the last few on the same kind of machine and of the same form, quick or not.
    """
    if not runs:
        return []
    last = runs[-1]
    earlier = comparable(runs)[-BEFORE:]
    names = {name for run in earlier for name in run["ratios"]}
    found = []
    for name in sorted(names):
        floor = (1 - FALL) * _middle(earlier, name, "low")
        now: Mapping[str, float] | None = last["ratios"].get(name)
        if now is None:
            found.append(f"{name}: measured before, not in the last run")
        elif not now["median"] >= floor:
            normal = _middle(earlier, name, "median")
            found.append(f"{name}: {now['median']:,.4g}, below {floor:,.4g}; was {normal:,.4g}")
    return found


def comparable(runs: Sequence[Run]) -> list[Run]:
    """Runs before the last, on the same kind of machine and of the same form."""
    kind = runs[-1]["machine"], runs[-1]["quick"]
    return [run for run in runs[:-1] if (run["machine"], run["quick"]) == kind]


def outside(last: Run, before: Run) -> list[str]:
    """Ratios whose median in the run before lies outside the last run's spread."""
    return [
        name
        for name, now in last["ratios"].items()
        if name in before["ratios"]
        and not now["low"] <= before["ratios"][name]["median"] <= now["high"]
    ]


def _middle(runs: Sequence[Run], name: str, which: str) -> float:
    return statistics.median(run["ratios"][name][which] for run in runs if name in run["ratios"])


def check(path: Path = PATH) -> int:
    """Say what fell; the exit code."""
    runs = read(path)
    if not runs:
        print(f"no runs in {path.name} yet: make bench", file=sys.stderr)
        return 1
    fallen = falls(runs)
    for line in fallen:
        print(line)
    same = len(comparable(runs))
    print(f"{len(fallen)} of {len(runs[-1]['ratios'])} ratios fell; {same} earlier runs compare")
    return 1 if fallen else 0
