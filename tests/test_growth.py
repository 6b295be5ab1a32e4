"""How gradients, correlations and tangents grow with depth: simulated, beside the theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import Share
from scipy import stats

from varprop import Network, Propagation, simulate
from varprop.statistic import FloatArray
from varprop.theory import fixed_point, lyapunov_exponents, predict

share = Share("growth")

TRIALS, WIDTH = (
    16,
    20_000,
)  # what infinite width neglects, of order depth/width, is below our errors


def check(name: str, found: FloatArray, expected: float) -> None:
    """The mean of one number a network, by Student's t."""
    share.check(name, float(stats.ttest_1samp(found, expected).pvalue))


def at_rest(**options: Any) -> tuple[Propagation, float]:
    """Networks of tanh that begin at their fixed point, and ln chi_1 there."""
    sigma_w, sigma_b = options["sigma_w"], options["sigma_b"]
    point = fixed_point("tanh", sigma_w=sigma_w, sigma_b=sigma_b)
    size = np.sqrt((point.variance - sigma_b**2) / sigma_w**2)
    pair = size * np.array([np.ones(WIDTH), np.tile([1.0, -1.0], WIDTH // 2)])
    x = {} if "log_gap" in options else {"x": pair[:1]}
    return simulate(width=WIDTH, act="tanh", trials=TRIALS, seed=71, **x, **options), np.log(
        point.chi1
    )


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(0.9, 0.3), (1.6, 0.1)], ids=["order", "chaos"])
def test_gradients_and_tangents_grow_by_chi_1(sigma_w: float, sigma_b: float) -> None:
    p, log_chi = at_rest(sigma_w=sigma_w, sigma_b=sigma_b, depth=30, tangents=1)
    assert (log_chi > 0) == (sigma_w > 1)
    rows = p.rows
    assert rows.log_gradient is not None
    assert rows.log_tangent is not None
    assert rows.log_adjoint is not None
    for name, found in (
        ("gradient", rows.log_gradient[:, 0] - rows.log_gradient[:, -1]),
        ("tangent", rows.log_tangent[:, -1] - rows.log_tangent[:, 0]),
        ("adjoint", rows.log_adjoint[:, 0]),
    ):
        check(f"chi_1, {sigma_w}, {name}", found, 29 * log_chi)


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b", "gap", "depth"),
    [(0.7, 0.5, -2.0, 260), (4.0, 0.1, -270.0, 400)],
    ids=["order", "chaos"],
)
def test_a_gap_shrinks_or_grows_over_100_decades(
    sigma_w: float, sigma_b: float, gap: float, depth: int
) -> None:
    """1 - c is multiplied by chi_1 = exp(-1/xi_c) in every layer."""
    p, log_chi = at_rest(sigma_w=sigma_w, sigma_b=sigma_b, depth=depth, log_gap=gap, backward=False)
    log_gap = p.rows.log_gap
    assert log_gap is not None
    first = 20  # from here on K is at its fixed point
    near = np.flatnonzero(p.gap.log_mean < -8)
    last = int(near[near > first].max())
    decades = abs(float(p.gap.log_mean[last] - p.gap.log_mean[first])) / np.log(10)
    assert decades > 90
    # next to c = 1 the map is a line but for terms of order 1 - c
    start = first + int(np.argmax(p.gap.log_mean[first:] < -14))
    stop = int(near[p.gap.log_mean[near] < -14].max())
    check(f"xi_c, {sigma_w}", log_gap[:, stop] - log_gap[:, start], (stop - start) * log_chi)


@pytest.mark.parametrize(
    ("act", "options"),
    [
        ("relu", {"scheme": "he"}),
        ("tanh", {"sigma_w": 1.0}),
        ("tanh", {"sigma_w": 2.5, "sigma_b": 0.3}),
        ("gelu", {"sigma_w": 1.5, "sigma_b": 0.2}),
    ],
    ids=str,
)
def test_sizes_and_gaps_are_those_predicted(act: str, options: dict[str, Any]) -> None:
    depth = 40
    p = simulate(depth=depth, width=WIDTH, act=act, correlation=0.5, trials=TRIALS, seed=72,
                 backward=False, **options)  # fmt: skip
    theory = predict(p.network, correlation=0.5)
    log_gap, log_q = p.rows.log_gap, p.rows.log_preactivation
    assert log_gap is not None
    for layer in (1, depth // 2, depth - 1):
        name = f"{act}, {options}, layer {layer + 1}"
        check(f"{name}: gap", log_gap[:, layer], theory.log_gap[layer])
        check(f"{name}: size", log_q[:, 0, layer], theory.log_preactivation[layer])


def test_powers_of_the_depth_at_the_edge() -> None:
    """K of tanh ends as 1/(2l), and 1 - c of ReLU as 9 pi^2/(2l^2)."""
    depth = 300
    p = simulate(depth=depth, width=WIDTH, act="tanh", sigma_w=1.0, trials=TRIALS, seed=73,
                 backward=False)  # fmt: skip
    check("K of tanh", p.rows.log_variance[:, -1], predict(p.network).log_variance[-1])
    q = simulate(depth=depth, width=WIDTH, act="relu", correlation=0.0, trials=TRIALS, seed=73,
                 backward=False)  # fmt: skip
    theory = predict(q.network, correlation=0.0)
    assert q.rows.log_gap is not None
    check("1 - c of relu", q.rows.log_gap[:, -1], theory.log_gap[-1])
    # and those predictions tend to the powers: what is missing is of order ln(l)/l
    far = 10**5
    tanh, relu = Network(far, act="tanh", sigma_w=1.0), Network(far, act="relu", scheme="he")
    assert 2 * far * predict(tanh).variance[-1] == pytest.approx(1, rel=1e-3)
    gap = np.exp(predict(relu, correlation=0.0).log_gap[-1])
    assert 2 * far**2 * gap / (9 * np.pi**2) == pytest.approx(1, rel=1e-3)


def test_chaos_ends_at_the_correlation_of_its_fixed_point() -> None:
    """c* from two sides: from near inputs and from opposite ones."""
    sigmas = {"sigma_w": 2.5, "sigma_b": 0.3}
    end = fixed_point("tanh", **sigmas).correlation
    for correlation in (0.99, -0.9):
        p = simulate(act="tanh", **sigmas, depth=100, width=WIDTH, correlation=correlation,
                     trials=TRIALS, seed=74, backward=False)  # fmt: skip
        check(f"c*, from {correlation}", p.correlation.trials[:, -1], end)


def test_a_linear_network_has_the_known_exponents() -> None:
    depth, width = 400, 5
    p = simulate(depth=depth, width=width, act="linear", scheme="lecun", tangents=width,
                 trials=60, seed=75)  # fmt: skip
    # per layer, of lengths; the first layer is left out, for its input is not at rest
    assert p.rows.log_tangent is not None
    found = (p.rows.log_tangent[..., -1] - p.rows.log_tangent[..., 0]) / (2 * (depth - 1))
    expected = lyapunov_exponents(width)
    for number in range(width):
        check(f"exponent {number}", found[:, number], expected[number])
