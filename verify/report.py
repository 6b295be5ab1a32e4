"""What a campaign prints: counts, and what gave way."""

from __future__ import annotations

import sys
import time


class Report:
    """Counts of one campaign; leaves with an exit code when it is closed.

    Examples
    --------
    >>> report = Report("files")
    >>> report.count("truncations", 3)
    >>> report.failures
    []
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []
        self._start = time.monotonic()

    def count(self, what: str, number: int = 1) -> None:
        """So many more of these were tried."""
        self.counts[what] = self.counts.get(what, 0) + number

    def fail(self, what: str) -> None:
        """Something gave way; shown at once."""
        self.failures.append(what)
        print(f"  FAILED  {what}", flush=True)

    def check(self, held: bool, what: str) -> None:
        """One check, that must hold."""
        self.count("checks")
        if not held:
            self.fail(what)

    def close(self) -> None:
        """Print all counts, and leave."""
        taken = time.monotonic() - self._start
        print(f"{self.name}: {'FAILED' if self.failures else 'held'} in {taken:.0f} s")
        for what, number in self.counts.items():
            print(f"  {number:>16,}  {what}")
        sys.exit(1 if self.failures else 0)
