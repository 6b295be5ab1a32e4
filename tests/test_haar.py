"""The dense engine's orthogonal matrices: their law, and both ways through them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p
from scipy import stats

from varprop import Network, Norm, Residual, reference, simulate
from varprop._core import kernels
from varprop.simulate import prepare
from varprop.sources import DenseSource

FloatArray = npt.NDArray[np.float64]

share = Share("haar")


def matrices(trials: int, units: int, fan_in: int, seed: int = 31) -> FloatArray:
    """Drawn matrices with orthonormal rows or columns, (trials, units, fan_in)."""
    net = Network(1, widths=(fan_in, units), act="linear", scheme="orthogonal")
    run = prepare(
        net, {}, x=None, trials=trials, first_trial=0, seed=seed, threads=1, engine="dense",
        saturated_below=0.05, backward=False,
    )  # fmt: skip
    drawn = np.stack([DenseSource(run, trial).weights(0) for trial in range(trials)])
    return drawn / np.sqrt(max(units, fan_in))


@pytest.mark.parametrize(("units", "steps"), [(1, 1), (5, 5), (40, 33), (37, 3), (18, 17)])
def test_it_is_the_product_of_householder_reflections(units: int, steps: int) -> None:
    """Each takes normals to a multiple of a unit vector; the signs of R are taken out."""
    vectors, signs = kernels.reflections(7, 3, 1, units, steps)
    product = np.eye(units)
    for k, (v, sign) in enumerate(zip(vectors, signs, strict=True)):
        start, place = k // 16 * 16, k % 4
        length = -(-units // 16) * 16 - start
        numbers = kernels.numbers(7, 3, 1, "weights", k // 4, 4 * length + 32)
        normals = np.zeros(units)
        normals[start:] = numbers[place * length :][: units - start]
        normals[:k] = 0
        assert sign == (-1 if normals[k] > 0 else 1)
        size = np.linalg.norm(normals)
        assert np.abs(v - (normals - sign * size * np.eye(units)[k])).max() < 1e-14 * size
        reflection = np.eye(units) - 2 * np.outer(v, v) / (v @ v)
        assert np.abs(reflection @ normals - sign * size * np.eye(units)[k]).max() < 1e-14 * size
        product = product @ reflection
        product[:, k] *= sign
    found = matrices(4, units, steps, seed=7)[3]
    assert np.abs(found - product[:, :steps]).max() < 1e-14


ARCHITECTURES: list[dict[str, Any]] = [
    {"scheme": "orthogonal(1.3)", "widths": (30, 30, 70, 20, 33)},
    {"scheme": ["orthogonal", "torch", "orthogonal(1.4)", "he"], "width": 30, "sigma_b": 0.3},
    {"scheme": "orthogonal", "width": 35, "residual": Residual(0.8, 0.7), "norm": "layer"},
    {"scheme": "orthogonal", "width": 35, "norm": Norm("rms", "post")},
]


@pytest.mark.parametrize("inputs", [1, 3, 21])
@pytest.mark.parametrize("parts", ARCHITECTURES, ids=str)
def test_both_ways_lead_through_these_matrices(
    parts: dict[str, Any], inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference, given the same matrices and cotangents, measures the same."""
    rng = np.random.default_rng(4)
    net = Network(4, act="tanh", **parts)
    options: dict[str, Any] = {
        "x": rng.standard_normal((inputs, net.widths[0])), "trials": 2, "seed": 8,
        "cotangents": rng.standard_normal((2, net.widths[-1])),
    }  # fmt: skip
    found = simulate(net, engine="dense", **options).rows
    monkeypatch.setattr(reference, "Source", DenseSource)
    expected = simulate(net, engine="reference", **options).rows
    for name in ("log_preactivation", "log_activation", "relative_mean", "log_gap", "log_gradient"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        if mine is not None:
            assert np.abs(mine - theirs).max() < 1e-11, name


@pytest.mark.parametrize(("units", "fan_in"), [(1, 1), (2, 2), (3, 3), (6, 6), (5, 3), (3, 5)])
def test_the_law_is_haars(units: int, fan_in: int) -> None:
    w = matrices(4000, units, fan_in)
    n, few = max(units, fan_in), min(units, fan_in)
    name = f"{units} x {fan_in}"
    small = w if units <= fan_in else np.swapaxes(w, 1, 2)
    assert np.abs(small @ np.swapaxes(small, 1, 2) - np.eye(few)).max() < 1e-13
    for i, j in {(0, 0), (units - 1, fan_in - 1), (0, fan_in - 1)}:
        entry = w[:, i, j]
        p = stats.binomtest(int((entry > 0).sum()), entry.size).pvalue
        share.check(f"{name}: sign of entry {i}, {j}", p)
        if n > 1:
            # its square is Beta(1/2, (n - 1)/2)
            p = stats.kstest(entry**2, stats.beta(0.5, (n - 1) / 2).cdf).pvalue
            share.check(f"{name}: entry {i}, {j}", p)
    if units != fan_in:
        return
    share.check(
        f"{name}: determinant",
        stats.binomtest(int((np.linalg.det(w) > 0).sum()), len(w)).pvalue,
    )
    trace = np.trace(w, axis1=1, axis2=2)
    share.check(f"{name}: trace", mean_p(trace, 0.0))
    if n > 1:
        share.check(f"{name}: square of the trace", mean_p(trace**2, 1.0))
        share.check(f"{name}: trace of the square", mean_p(np.einsum("tij,tji->t", w, w), 1.0))
        # E w11^2 w22^2 = (n + 1)/((n - 1) n (n + 2))
        both = w[:, 0, 0] ** 2 * w[:, 1, 1] ** 2
        share.check(f"{name}: a diagonal", mean_p(both, (n + 1) / ((n - 1) * n * (n + 2))))


def test_without_the_signs_it_would_be_another_law() -> None:
    w = np.linalg.qr(np.random.default_rng(1).standard_normal((4000, 3, 3)))[0]
    assert mean_p(np.trace(w, axis1=1, axis2=2), 0.0) < 1e-9


PEAK = """
import resource, sys, varprop
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
varprop.simulate(
    depth=2, width=6000, scheme=sys.argv[1], engine="dense", trials=1, threads=2,
    **eval(sys.argv[2]),
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("options", ["{}", "{'correlation': 0.5}"])
@pytest.mark.parametrize("scheme", ["orthogonal", "he"])
def test_a_wide_layer_takes_little_memory(scheme: str, options: str) -> None:
    """Up and back: a matrix of 6000 units alone would take 288 MB."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK, scheme, options], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 30_000
