"""The numbers made of random words: ``python -m verify.normals --numbers 1e9``.

Means of powers up to the eighth of normals (both precisions) and of every law of weights, each
within its own standard error, and how often |x| passes 1, 2, ... 5. The least p-value is held
against a false-alarm budget of 1e-3 for the whole campaign.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy import stats

from varprop._core import kernels
from verify.report import Report

BUDGET = 1e-3
_CHUNK = 1 << 20
_ORDERS = range(1, 9)
_RANGE = stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
_CUT = stats.truncnorm(-2, 2)
# name -> (law, single precision, shape, E x^k for k = 0..16, P(|x| > t) or None)
_CUT_STD = math.sqrt(_CUT.var())
LAWS = {
    "normal, double": ("normal", False, 0.0, stats.norm().moment, 1.0),
    "normal, single": ("normal", True, 0.0, stats.norm().moment, 1.0),
    "uniform, double": ("uniform", False, 0.0, _RANGE.moment, 0.0),
    "uniform, single": ("uniform", True, 0.0, _RANGE.moment, 0.0),
    "truncated": ("truncated_normal", True, 0.0, lambda k: _CUT.moment(k) / _CUT_STD**k, 0.0),
    "rademacher": ("rademacher", True, 0.0, lambda k: 1.0 - k % 2, 0.0),
    "sparse(0.1)": ("sparse", True, 0.1, lambda k: stats.norm().moment(k) / 0.1 ** (k / 2 - 1)
                    if k else 1.0, 0.0),
}  # fmt: skip


def p_values(name: str, numbers: int, seed: int = 0) -> dict[str, float]:
    """Of moments and tails, over so many numbers."""
    law, single, shape, moment, tails = LAWS[name]
    total, done = np.zeros(9), 0
    beyond = np.zeros(5, dtype=np.int64)
    for block in range(-(-numbers // _CHUNK)):
        x = kernels.numbers(seed, 5, 1, "probe", block, _CHUNK, law, single, shape)
        power = np.ones(x.size)
        wide = x.astype(np.float64)
        for order in _ORDERS:
            power *= wide
            total[order] += power.sum()
        if tails:
            beyond += [(np.abs(x) > t).sum() for t in range(1, 6)]
        done += x.size
    found = {}
    for order in _ORDERS:
        mean = float(moment(order))
        variance = float(moment(2 * order)) - mean**2
        off = abs(total[order] / done - mean)
        if variance < 1e-12:  # signs: every power is known, to the rounding of the sum
            found[f"E x^{order}"] = 1.0 if off < 1e-9 else 0.0
        else:
            found[f"E x^{order}"] = math.erfc(off / math.sqrt(2 * variance / done))
    for t, count in zip(range(1, 6), beyond, strict=True):
        if tails:
            law_of_count = stats.binom(done, 2 * stats.norm.sf(t))
            found[f"|x| > {t}"] = min(
                1.0, 2 * min(law_of_count.cdf(count), law_of_count.sf(count - 1))
            )
    return found


def main() -> None:
    """All laws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=float, default=1e9, help="of each law")
    asked = parser.parse_args()
    report = Report("normals")
    found = {}
    for name in LAWS:
        found |= {f"{name}: {k}": p for k, p in p_values(name, int(asked.numbers)).items()}
        report.count(f"{name}: numbers", int(asked.numbers))
    report.count("p-values", len(found))
    worst = min(found, key=found.__getitem__)
    print(f"  least of {len(found)} p-values: {found[worst]:.2g} ({worst})")
    report.check(found[worst] >= BUDGET / len(found), f"{worst}: p = {found[worst]:.2g}")
    report.close()


if __name__ == "__main__":
    main()
