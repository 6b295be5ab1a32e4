"""Statistics: the whole table of laws, engines, biases and architectures, in the long form.

``python -m verify.table --trials 100000``. Activation x law x bias: one-step residuals of every
engine that draws the law, by ``compare()`` for normal weights, and else the mean of a given K
against the theory's exact E phi^2 (which holds for any law in the first layer of a wide input).
Architectures: engines against each other by a two-sample test of ln q and ln a of the last layer,
ln g of the first, and what there is of pairs and tangents. Each p-value has an equal share of a
false-alarm budget of 1e-3.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

import varprop
from verify.report import Report

Array = npt.NDArray[np.float64]

BUDGET = 1e-3
LAWS = ("normal, 1/fan_in", "orthogonal", "uniform, 1/fan_in", "truncated_normal, 1/fan_in",
        "rademacher", "student_t(9)", "sparse(0.3)")  # fmt: skip
BIASES = (0.0, 0.5)
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "residual": {"residual": varprop.Residual(0.5, -0.9)},
    "layer norm": {"norm": "layer"},
    "rms norm, post": {"norm": varprop.Norm("rms", "post")},
    "dropout": {"dropout": 0.8},
    "all": {"residual": varprop.Residual(0.7), "norm": "layer", "dropout": 0.9},
    "two inputs": {"correlation": 0.3},
    "tangents": {"tangents": 2},
}  # fmt: skip
_DEPTH, _WIDTH = 3, 12
_DIGITS = 10  # of logarithms
# where each has come through all layers; a gradient begins at the last one, of length 1
_FAR = {"log_preactivation": -1, "log_activation": -1, "log_gradient": 0, "log_gap": -1,
        "log_tangent": -1, "log_adjoint": 0}  # fmt: skip


def acts() -> list[str]:
    """All that have a name, but those that jump (they have no gradient)."""
    return [str(act) for act in varprop.activations()]


def engines(law: str) -> tuple[str, ...]:
    """Those that draw this law; the reference draws all."""
    able = ["matrix-free"] if law.startswith(("normal", "orthogonal")) else []
    return (*able, *(["dense"] if law != "orthogonal" else []), "reference")


def residual_p(act: str, bias: float, engine: str, trials: int, seed: int) -> dict[str, float]:
    """P-values of the one-step residuals of normal weights."""
    p = varprop.simulate(
        depth=_DEPTH, width=_WIDTH, act=act, sigma_w=1.2, sigma_b=bias, engine=engine,
        trials=trials, seed=seed, backward=False,
    )  # fmt: skip
    return {test.name: float(test.p_value) for test in p.compare().tests}


def same_p(
    act: str, law: str, bias: float, architecture: dict[str, Any], trials: int, seed: int
) -> dict[str, float]:
    """P-values that two engines measure the same law, of all that can do it, two by two."""
    first, *others = engines(law)
    found: dict[str, float] = {}
    samples = {}
    for number, engine in enumerate((first, *others)):
        size = trials if engine != "reference" else max(200, trials // 50)
        p = varprop.simulate(
            depth=_DEPTH, width=_WIDTH, act=act, scheme=law, sigma_b=bias, engine=engine,
            trials=size, seed=seed + number, **architecture,
        )  # fmt: skip
        samples[engine] = {
            name: np.asarray(getattr(p.rows, name)).reshape(size, -1)[:, layer]
            for name, layer in _FAR.items()
            if name in p.rows.names
        }
    for engine in others:
        for name, values in samples[first].items():
            found[f"{first} and {engine}: {name}"] = alike(values, samples[engine][name])
    return found


def alike(one: Array, two: Array) -> float:
    """P-value that two samples have the same law; what differs by rounding alone is a tie."""
    ties = [np.round(each, _DIGITS) for each in (one, two)]
    return float(stats.ks_2samp(*ties, method="asymp").pvalue)


def p_values(trials: int, every: int = 1) -> Iterator[tuple[str, float]]:
    """All of the table, or every so many of its cells."""
    cells = [("residuals", act, "normal", bias, engine) for act, bias, engine in
             product(acts(), BIASES, ("matrix-free", "dense", "reference"))]  # fmt: skip
    cells += list(product(("engines",), acts(), LAWS, BIASES, ("plain",)))
    cells += list(product(("engines",), ("relu", "tanh", "gelu"), LAWS, BIASES, ARCHITECTURES))
    for seed, (kind, act, law, bias, last) in enumerate(cells):
        if seed % every:
            continue
        name = f"{act}, {law}, bias {bias:g}, {last}"
        if kind == "residuals":
            size = trials if last != "reference" else max(200, trials // 50)
            found = residual_p(act, bias, last, size, seed)
        else:
            found = same_p(act, law, bias, ARCHITECTURES[last], trials, 1000 * seed)
        for what, p in found.items():
            yield f"{name}: {what}", p


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000, help="reference: a fiftieth of it")
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    report = Report("table")
    found = dict(p_values(asked.trials, asked.every))
    report.count("p-values", len(found))
    for name in sorted(found, key=found.__getitem__)[:5]:
        print(f"  {found[name]:.2g}  {name}")
    for name, p in found.items():
        report.check(p >= BUDGET / len(found), f"{name}: p = {p:.2g}")
    report.close()


if __name__ == "__main__":
    main()
