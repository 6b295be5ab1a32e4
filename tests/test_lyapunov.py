"""Lyapunov exponents of Gaussian products of a thousand layers, to four digits.

Given the layers below, the i-th tangent of a linear network grows by |R_ii|, n R_ii² being
chi-square with n - i + 1 degrees of freedom, in every layer alike: the mean of ln |R_ii| is the
exponent at any depth, without a transient. Plain means over networks would need 10^10 layers for
four digits of the smallest exponent; so powers of |R_ii| of known mean are taken off as control
variates. They hide an error of scale, and are therefore tested by themselves.

`make verify` runs VARPROP_EXPONENTS=9000 networks; a hundred suffice for all but the last ones.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from budget import Share, mean_p
from scipy.special import gammaln

from varprop import simulate
from varprop.theory import lyapunov_exponents

WIDTH, DEPTH, POWERS = 10, 1000, np.arange(1, 7)
NETWORKS = int(os.environ.get("VARPROP_EXPONENTS", "100"))
AT_ONCE = 100
# relative standard error: four digits, when there are enough networks for that
PRECISION = 5e-5 if NETWORKS >= 9000 else 5e-4

share = Share("lyapunov")


def freedom(number: int) -> int:
    return WIDTH - number


def moments(number: int) -> np.ndarray:
    """E |R_ii|^p for all powers p."""
    half = freedom(number) / 2
    log = gammaln(half + POWERS / 2) - gammaln(half) + POWERS / 2 * math.log(2 / WIDTH)
    return np.exp(log)


def coefficients(number: int) -> np.ndarray:
    """Of the powers that are nearest to ln |R_ii| in mean square."""
    r = (np.arange(40_000) + 0.5) / 10_000
    density = np.exp(((freedom(number) - 1) * np.log(r) - WIDTH * r**2 / 2) / 2)  # its root
    powers = np.stack([np.ones_like(r), *(r**p for p in POWERS)], axis=1)
    return np.linalg.lstsq(powers * density[:, np.newaxis], np.log(r) * density)[0][1:]


@pytest.fixture(scope="module")
def measured() -> dict[str, np.ndarray]:
    """Means over the layers of every network: (networks, exponents)."""
    known = np.stack([moments(i) for i in range(WIDTH)])
    weights = np.stack([coefficients(i) for i in range(WIDTH)])
    found: dict[str, list[np.ndarray]] = {"plain": [], "controlled": [], "square": []}
    for first in range(0, NETWORKS, AT_ONCE):
        p = simulate(
            depth=DEPTH, width=WIDTH, act="linear", scheme="lecun", tangents=WIDTH, seed=90,
            first_trial=first, trials=min(AT_ONCE, NETWORKS - first), backward=False,
        )  # fmt: skip
        logs = np.diff(p.rows.log_tangent, axis=2, prepend=0.0) / 2
        r = np.exp(logs)
        control = np.zeros_like(r)
        for column in weights.T[::-1]:  # Horner
            control = (control + column[:, np.newaxis]) * r
        control -= (weights * known).sum(axis=1)[:, np.newaxis]
        found["plain"].append(logs.mean(axis=2))
        found["controlled"].append((logs - control).mean(axis=2))
        found["square"].append((r**2).mean(axis=2))
        assert np.allclose(found["plain"][-1].mean(axis=0), p.lyapunov, rtol=0, atol=1e-12)
    return {name: np.concatenate(values) for name, values in found.items()}


@pytest.mark.parametrize("number", range(WIDTH))
def test_exponents_to_four_digits(measured: dict[str, np.ndarray], number: int) -> None:
    exponent = float(lyapunov_exponents(WIDTH)[number])
    error = measured["controlled"][:, number].std(ddof=1) / math.sqrt(NETWORKS)
    assert error < PRECISION * abs(exponent)
    for name in ("plain", "controlled"):
        p = mean_p(measured[name][:, number], exponent)
        share.check(f"{name}, exponent {number + 1}", p)
    square = freedom(number) / WIDTH
    share.check(f"square, exponent {number + 1}", mean_p(measured["square"][:, number], square))
