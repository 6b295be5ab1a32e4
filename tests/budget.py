"""The false-alarm budget of all statistical tests together.

Their seeds are fixed, so a healthy tree always passes. But whoever changes a stream, a seed or a
number of trials draws again, and then at most TOTAL is the chance that healthy engines fail some
test. Each p-value gets an equal share (Bonferroni), and a room that takes more shares than it has
declared fails.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

TOTAL = 1e-3
DECLARED = {  # p-values a room may look at
    "laws": 470,
    "engines_agree": 2258,
    "engine_edges": 2,
    "compare": 290,
    "compare_beyond": 80,
    "backward": 130,
    "batch_agrees": 25,
    "haar": 60,
    "agreement": 174,
    "gradient_agreement": 168,
    "reference_laws": 91,
    "spectrum": 22,
    "architectures": 124,
    "weights": 289,
    "weight_laws": 690,
    "random_matrix": 12,
    "jacobian": 8,
    "torch": 70,
    "phase": 53,
    "growth": 41,
    "jacobian_spectrum": 60,
    "random_words": 180,
    "lyapunov": 30,
    "benchmarks": 12,
}
LEVEL = TOTAL / sum(DECLARED.values())  # below this p-value, a test fails


class Share:
    """What one room may spend; every p-value is taken by name."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.taken: set[str] = set()

    def take(self, name: str) -> float:
        """The level of one test, charged to this room."""
        self.taken.add(name)
        if len(self.taken) > DECLARED[self.room]:
            raise ValueError(
                f"{self.room} declared {DECLARED[self.room]} p-values and takes more ({name!r}); "
                "raise its number in tests/budget.py"
            )
        return LEVEL

    def check(self, name: str, p_value: float) -> None:
        """Fail unless the p-value is at least the level; nan fails."""
        level = self.take(name)
        assert p_value >= level, f"{name}: p = {p_value:.3g}, below the budget's {level:.3g}"


def two_sided(sigmas: float) -> float:
    """P-value of a deviation given in standard errors."""
    return math.erfc(abs(float(sigmas)) / math.sqrt(2))


def mean_p(values: npt.ArrayLike, expected: float, variance: float | None = None) -> float:
    """P-value of a mean, with the law's variance of one value, or else the sample's."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if variance is None:
        variance = float(numbers.var(ddof=1))
    return two_sided((numbers.mean() - expected) / math.sqrt(variance / numbers.size))


def uniform_p(values: npt.ArrayLike) -> float:
    """Kolmogorov-Smirnov p-value of numbers that should be uniform on (0, 1)."""
    return float(stats.kstest(np.ravel(values), "uniform").pvalue)
