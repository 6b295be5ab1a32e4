"""Contenders that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
TURNS = 7


@dataclass(frozen=True)
class Spread:
    """A figure taken in several turns: its median, its smallest and its largest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value a turn.

        Examples
        --------
        >>> print(Spread.of([2.0, 1.0, 4.0]))
        2.00 (1.00 to 4.00)
        """
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:,.2f} ({self.low:,.2f} to {self.high:,.2f})"


def seconds(work: Work) -> float:
    """Wall-clock seconds of one call.

    Examples
    --------
    >>> seconds(lambda: None) < 1
    True
    """
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(
    contenders: Mapping[str, tuple[Work, float]], turns: int = TURNS, *, warm: bool = False
) -> dict[str, list[float]]:
    """Seconds per unit of work, every contender once in every turn.

    Parameters
    ----------
    contenders : mapping of name to (work, units)
        What is called, and how many units of work one call does.
    turns : int, default 7
        How often each is timed.
    warm : bool, default False
        Whether each has run before; else it is called once before the first turn, so that
        nothing is timed cold.

    Returns
    -------
    dict of name to list of float, one value a turn.

    Examples
    --------
    >>> {name: len(each) for name, each in measure({"nothing": (lambda: None, 1)}, 3).items()}
    {'nothing': 3}
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for work, _ in () if warm else contenders.values():
        work()
    for _ in range(turns):
        for name, (work, units) in contenders.items():
            times[name].append(seconds(work) / units)
    return times


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """How many times as long the first takes as the second, turn by turn.

    Examples
    --------
    >>> ratio([4.0, 6.0, 9.0], [2.0, 2.0, 3.0]).median
    3.0
    """
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])
