"""Two inputs' pre-activations, given the layer below: exact tests of their angle.

Unit by unit (z_a, z_b) is a normal pair of variances K_a, K_b and correlation rho. Along z_a, z_b
is normal about rho sqrt(K_b/K_a) |z_a|, across it chi-square with n - 1 degrees of freedom, both
of variance K_b (1 - rho²), independent of each other and of z_a. All that is made of q_a, q_b, c,
K_a, K_b and rho, in logarithms of 1 - c, however close the inputs are.
"""

from __future__ import annotations

import math

import numpy as np

from .compare_tests import Test, chi_square_test, normal_test, worst_of
from .pairs import pairs_of
from .propagation import Propagation
from .statistic import FloatArray

NAMES = ("c given K: across", "c given K: along")
_ANGLE = 1e-11  # over the relative difference of lengths: smaller angles have lost digits
_DIGITS = 1e-12  # what rounding leaves of a difference of two sizes of order 1


def pair_tests(p: Propagation) -> list[Test]:
    """The tests of all pairs of inputs; none where their law is not known."""
    gaps, kernel_gaps = (
        rows.reshape(p.trials, -1, p.network.depth)
        for rows in (p.rows.log_gap, p.rows.log_kernel_gap)
        if rows is not None
    )
    found: dict[str, list[Test]] = {name: [] for name in NAMES}
    for at, pair in enumerate(pairs_of(p.inputs)):
        q, k = (
            [rows[:, one] for one in pair]
            for rows in (p.rows.log_preactivation, p.rows.log_variance)
        )
        tests = _of_pair(p, q, k, gaps[:, at], kernel_gaps[:, at])
        for name, test in zip(NAMES, tests, strict=True):
            if test is not None:
                found[name].append(test)
    return [worst_of(tests, "pairs") for tests in found.values() if tests]


def _of_pair(
    p: Propagation,
    log_q: list[FloatArray],
    log_k: list[FloatArray],
    gap: FloatArray,
    kernel_gap: FloatArray,
) -> tuple[Test | None, Test | None]:
    n = np.broadcast_to(np.array(p.network.widths[1:], dtype=np.float64), gap.shape)
    apart = np.isfinite(gap) & np.isfinite(kernel_gap) & (kernel_gap < math.log(2) - 1e-9)
    # the angle of vectors of different lengths is known to rounding of that difference
    with np.errstate(invalid="ignore", divide="ignore"):
        stretch = np.abs(log_k[0] - log_k[1]) / 2
        apart &= kernel_gap > 2 * np.log(_ANGLE * stretch)
    n, gap, kernel_gap = n[apart], gap[apart], kernel_gap[apart]
    log_x, log_y = ((q[apart] - k[apart]) / 2 for q, k in zip(log_q, log_k, strict=True))
    # 1 - c² = (1 - c) (2 - (1 - c))
    log_across, log_left = (
        one + np.log(np.maximum(2 - np.exp(one), 1e-300)) for one in (gap, kernel_gap)
    )
    total = float((n * np.exp(2 * log_y + log_across - log_left)).sum())
    across = chi_square_test(NAMES[0], total, float((n - 1).sum()))
    exact = np.exp(log_left / 2) > _DIGITS * np.sqrt(n)
    if not exact.any():
        return across, None
    x, y = np.exp(log_x[exact]), np.exp(log_y[exact])
    along = (y - x) - np.exp(gap[exact]) * y + np.exp(kernel_gap[exact]) * x
    g = np.sqrt(n[exact]) * along / np.exp(log_left[exact] / 2)
    return across, normal_test(NAMES[1], float(g.sum()) / math.sqrt(g.size))
