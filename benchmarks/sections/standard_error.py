"""Seconds until E[log q] in the last layer is known to 0.01, of each contender of the headline."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import record

from varprop import simulate
from varprop.bench.tasks import DEPTH, FORWARD
from varprop.bench.turns import seconds

WIDTH, GOAL = 1000, 0.01


def run(quick: bool) -> dict[str, Any]:
    """varprop takes that long and is timed; the others' time is extrapolated from their rate."""
    headline = record.load("headline")
    if headline is None:
        raise FileNotFoundError("no headline to take rates from: run.py headline")
    pilot = _log_q(2000, first=0)
    needed = math.ceil((pilot.std(ddof=1) / GOAL) ** 2)
    reached = []
    times = [
        seconds(lambda turn=turn: reached.append(_log_q(needed, first=needed * (turn + 1))))
        for turn in range(2 if quick else 4)
    ]
    error = [float(each.std(ddof=1) / math.sqrt(each.size)) for each in reached]
    rates = headline["times"][FORWARD.name]
    return {
        "networks": needed,
        "standard_error": error,
        "estimates": [float(each.mean()) for each in reached],
        "measured": times,
        "extrapolated": {who: needed * statistics.median(each) for who, each in rates.items()},
        "rates_of": headline["machine"]["date"],
    }


def _log_q(trials: int, first: int) -> np.ndarray:
    found = simulate(
        depth=DEPTH, width=WIDTH, act="relu", scheme="he", trials=trials, first_trial=first,
        backward=False,
    )  # fmt: skip
    return found.preactivation.log[:, -1]
