"""Markdown tables of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from varprop.bench.turns import Spread, ratio

Times = Mapping[str, Sequence[float]]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def number(value: float, digits: int = 3) -> str:
    """So many significant digits, thousands set apart, no exponent from 1e-3 to 1e9."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.{max(0, digits - 1 - _magnitude(rounded))}f}"


def _magnitude(value: float) -> int:
    return int(f"{abs(value):e}".split("e")[1])


def duration(seconds: float) -> str:
    """In the unit that people would use."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3),
                       ("µs", 1e-6)):  # fmt: skip
        if seconds >= 1.5 * size or (size <= 1 and seconds >= size):
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 1e-9)} ns"


def spread(value: Spread) -> str:
    return f"{number(value.median)} ({number(value.low)} to {number(value.high)})"


def race(times: Times, ours: str, what: str = "a network") -> str:
    """A row for each contender: its time, its rate, and how many times as long as ours it takes."""
    rows = []
    for who, each in sorted(times.items(), key=lambda item: -statistics.median(item[1])):
        median = statistics.median(each)
        compared = "1" if who == ours else spread(ratio(each, times[ours]))
        rows.append([who, duration(median), number(1 / median), compared])
    return table(["contender", f"time for {what}", "per second", f"time over {ours}"], rows)


def close_calls(times: Times, ours: str, within: float = 3.0) -> list[tuple[str, Spread]]:
    """Contenders, not ours, that take less than so many times as long as ours."""
    found = []
    for who, each in times.items():
        if not who.startswith("varprop"):
            compared = ratio(each, times[ours])
            if compared.median < within:
                found.append((who, compared))
    return found
