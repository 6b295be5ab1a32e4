"""Several inputs, tangents and architectures at any size: exact cases, bad input."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from batch_cases import CASES, simulate

import varprop
from varprop import Residual


@pytest.mark.parametrize("name", CASES)
def test_k_is_made_of_what_lies_below(name: str) -> None:
    """K = skip^2 q + branch^2 (Var b + sigma_w^2 a): exact, in every layer of every trial."""
    p = simulate(name)
    net, rows = p.network, p.rows
    branch, skip = (1.0, 0.0) if net.residual is None else (
        net.residual.factor(net.depth), net.residual.skip
    )  # fmt: skip
    with np.errstate(divide="ignore"):
        log_b, log_w = 2 * np.log(net.bias_std[1:]), 2 * np.log(net.sigma_w[1:])
        log_skip = 2 * np.log(abs(skip))
    made = np.logaddexp(log_b, log_w + rows.log_activation[..., :-1]) + 2 * np.log(abs(branch))
    made = np.logaddexp(made, log_skip + rows.log_preactivation[..., :-1])
    found, alive = rows.log_variance[..., 1:], made > -np.inf
    assert np.array_equal(found > -np.inf, alive)
    assert found[alive] == pytest.approx(made[alive], rel=1e-12, abs=1e-11)


# ---- exact answers


@pytest.mark.parametrize("extra", [{}, {"residual": Residual(0.5)}, {"norm": "layer"}], ids=str)
@pytest.mark.parametrize("scheme", ["he", "orthogonal"])
def test_identical_inputs_stay_identical(scheme: str, extra: dict[str, Any]) -> None:
    x = np.array([[0.5, 2.0, -1.0]] * 2)
    for inputs in ({"x": x}, {"correlation": 1.0}, {"log_gap": -np.inf}):
        size = {"width": 8} if "x" not in inputs else {"widths": (3, *(8,) * 6)}
        p = varprop.simulate(depth=6, scheme=scheme, act="tanh", trials=4, **size, **extra,
                             **inputs)  # fmt: skip
        assert (p.rows.log_gap == -np.inf).all()
        assert (p.rows.log_kernel_gap == -np.inf).all()
        assert (p.correlation.mean == 1).all()
        assert p.gap.log.mask.all()
        for name in ("log_preactivation", "log_activation"):
            both = getattr(p.rows, name)
            assert np.array_equal(both[:, 0], both[:, 1])
        assert p.rows.log_gradient is not None
        assert p.rows.log_gradient[:, 0] == pytest.approx(p.rows.log_gradient[:, 1], abs=1e-11)


def test_opposite_inputs_of_an_odd_network_stay_opposite() -> None:
    p = varprop.simulate(depth=9, width=20, act="tanh", sigma_w=2.0, correlation=-1.0, trials=4)
    assert p.correlation.trials == pytest.approx(np.full((4, 9), -1.0), abs=1e-13)


def test_multiples_of_an_input_stay_multiples_through_relu() -> None:
    x = np.array([[0.3, -1.0, 2.0], [0.6, -2.0, 4.0], [0.3e200, -1e200, 2e200]])
    p = varprop.simulate(depth=30, widths=(3, *(50,) * 30), act="relu", x=x, trials=4)
    q = p.rows.log_preactivation
    assert q[:, 1] - q[:, 0] == pytest.approx(np.full((4, 30), np.log(4)), abs=1e-10)
    assert q[:, 2] - q[:, 0] == pytest.approx(np.full((4, 30), np.log(1e200) * 2), rel=1e-12)
    assert (p.rows.log_gap <= np.log(1e-13)).all()


def test_a_zero_input_reads_biases_only() -> None:
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    p = varprop.simulate(depth=3, widths=(2, 30, 30, 30), act="tanh", sigma_w=1.2, sigma_b=0.5,
                         x=x, trials=4)  # fmt: skip
    assert p.rows.log_variance[:, 0, 0] == pytest.approx(np.full(4, 2 * np.log(0.5)))
    assert p.input_mean_square_log[0] == -np.inf
    # rho of the first kernel: the bias alone is common
    rho = 0.25 / np.sqrt(0.25 * (0.25 + 1.44 * 2.5))
    assert np.exp(p.rows.log_kernel_gap[:, 0]) == pytest.approx(np.full(4, 1 - rho))


def test_an_input_that_dies_leaves_the_other_alone() -> None:
    p = varprop.simulate(depth=8, width=2, act="relu", correlation=-0.9, trials=300, seed=3)
    died = p.rows.died
    alone = (died[:, 0] > 0) & (died[:, 1] == 0)
    assert alone.any()
    assert (p.rows.log_preactivation[alone, 0, -1] == -np.inf).all()
    assert np.isfinite(p.rows.log_preactivation[alone, 1]).all()
    assert (p.rows.log_gap[alone, -1] == np.inf).all()  # no direction, no angle
    assert (p.rows.log_gradient[alone, 0, 0] == -np.inf).all()
    assert p.correlation.mean.mask.sum() == 0
    assert np.ma.count_masked(p.correlation.trials[alone, -1]) == alone.sum()


def test_more_inputs_than_units_span_no_more_than_the_units() -> None:
    """Of a linear network the pre-activations are a linear image: the Gram matrix has rank 2."""
    x = np.random.default_rng(0).standard_normal((6, 5))
    p = varprop.simulate(depth=3, widths=(5, 2, 4, 3), act="linear", scheme="lecun", x=x, trials=5)
    k = p.kernel.trials[..., -1]
    values = np.linalg.eigvalsh(k)
    assert (abs(values[:, :-2]) < 1e-12 * values[:, -1:]).all()
    assert (values[:, -2] > 1e-9 * values[:, -1]).all()


def test_as_many_tangents_as_units_make_up_the_volume() -> None:
    """Of a linear network: |det W| forward equals |det W| back, and the sum of all exponents."""
    p = varprop.simulate(depth=6, width=4, act="linear", scheme="lecun", tangents=4, trials=5)
    up = p.rows.log_tangent[..., -1].sum(axis=1) - p.rows.log_tangent[..., 0].sum(axis=1)
    down = p.rows.log_adjoint[..., 0].sum(axis=1)
    assert down == pytest.approx(up, rel=1e-9)


@pytest.mark.parametrize("gap", [-1e5, -500.0, -50.0])
def test_a_linear_network_keeps_close_inputs_close(gap: float) -> None:
    p = varprop.simulate(depth=20, width=200, act="linear", scheme="lecun", log_gap=gap, trials=20)
    # 1 - c over its first value is |W d|^2 across over |W x|^2: of order 1 whatever the gap
    assert (abs(p.rows.log_gap - gap) < 3).all()
    other = varprop.simulate(
        depth=20, width=200, act="linear", scheme="lecun", log_gap=gap - 100, trials=20
    )
    assert other.rows.log_gap + 100 == pytest.approx(p.rows.log_gap, rel=1e-12)


def test_logarithms_where_float64_ends() -> None:
    for sigma, depth in ((1e-140, 30), (1e140, 30)):
        for act in ("relu", "linear", "leaky_relu(0.2)"):
            p = varprop.simulate(depth=depth, width=30, act=act, sigma_w=sigma, correlation=0.5,
                                 trials=3, tangents=2)  # fmt: skip
            for name in ("log_preactivation", "log_gradient", "log_tangent"):
                assert np.isfinite(getattr(p.rows, name)).all()
            size = 2 * np.log(sigma) * (depth - 1)
            assert p.rows.log_gradient[..., 0] == pytest.approx(np.full((3, 2), size), rel=0.01)
    with pytest.raises(OverflowError, match=r"layer 1 .* activation 'tanh' is below float64"):
        varprop.simulate(depth=3, act=["tanh", "relu", "relu"], width=3, sigma_w=1e140,
                         correlation=-1.0)  # fmt: skip


def test_a_ladder_that_dropout_breaks() -> None:
    """With as many tangents as units, those that a dropped unit takes away are lost, not wrong."""
    p = varprop.simulate(depth=4, width=3, act="tanh", scheme="orthogonal(1.4)", dropout=0.7,
                         tangents=3, trials=200)  # fmt: skip
    assert p.rows.log_tangent is not None
    assert p.rows.log_adjoint is not None
    dropped = p.rows.zero[:, :-1].sum(axis=1) > 0
    assert dropped.any()
    assert np.array_equal(np.isneginf(p.rows.log_tangent[:, -1, -1]), dropped)
    assert np.array_equal(np.isneginf(p.rows.log_adjoint[:, -1, 0]), dropped)


def test_standard_errors_of_enormous_logarithms() -> None:
    p = varprop.simulate(depth=2, width=5, act="tanh", x=np.full(5, 1e200), trials=9)
    assert np.isfinite(p.gradient.log_stderr).all()
    pair = varprop.simulate(depth=2, width=2, act="relu", correlation=-1.0, trials=30, seed=1)
    assert pair.activation.log_mean.shape == pair.activation.log_stderr.shape == (2, 2)
    assert np.isfinite(pair.preactivation.log_mean).all()


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correlation": 1.2}, "a cosine, from -1 to 1, got 1.2"),
        ({"correlation": float("nan")}, "a cosine, from -1 to 1, got nan"),
        ({"correlation": 0.5, "x": np.ones(4)}, "x and correlation all say which inputs"),
        ({"correlation": 0.5, "width": 1}, "two inputs of one number"),
        ({"log_gap": 0.8}, "from -1e[+]06 to ln 2"),
        ({"x": np.zeros((2, 4))}, r"x\[0\] is all zeros and the network has no biases"),
        ({"x": [[1, 2, 3, 4], [0, 0, 0, 0]]}, r"x\[1\] is all zeros"),
        ({"x": [[1.0, np.nan]]}, r"x must be finite, but x\[0, 1\] is nan"),
        ({"x": np.ones((2, 3, 4))}, "x must be one input"),
        ({"x": np.ones((1025, 4))}, "1 to 1024 inputs, got 1025"),
        ({"cotangents": np.ones(5)}, "the last layer has 4 units; got shape"),
        ({"cotangents": np.zeros(4)}, r"cotangents\[0\] is all zeros"),
        ({"cotangents": 0}, "cotangents must be from 1"),
        ({"cotangents": 2, "backward": False}, "needs backward=True"),
        ({"tangents": 5}, "from 0 to 4, the units of the narrowest layer, got 5"),
        ({"tangents": -1}, "tangents must be from 0"),
        ({"x": np.ones((1024, 4)), "cotangents": 17}, "17408 gradients a layer, and at most 16384"),
        ({"tangents": 16385, "width": 20000}, "16386 vectors a layer, and at most 16384"),
        ({"tangents": 1, "act": "sign"}, "it has no slope"),
        ({"widths": (4, 4, 5), "residual": Residual()}, "all must have one width"),
        ({"dropout": 0}, "dropout.* 0"),
        ({"dropout": 1.5}, "dropout.* 1.5"),
        ({"width": 1, "norm": "layer"}, "of 1 unit gives the same whatever the input"),
        ({"width": 1, "norm": "rms"}, "needs layers of 2 units or more"),
        ({"norm": "batch"}, "norm must be"),
        ({"histogram": 7}, "even number of bins, got 7"),
        ({"histogram": [0.0, 0.0, 1.0]}, "must ascend"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_input(options: dict[str, Any], message: str) -> None:
    size = {} if "widths" in options or "width" in options else {"width": 4}
    with pytest.raises(ValueError, match=message):
        varprop.simulate(depth=2, **size, **options)


def test_memory_is_asked_for_before_it_is_taken() -> None:
    for options in (
        {"x": np.random.default_rng(0).standard_normal((1024, 3)), "width": 50_000_000},
        {"width": 100_000_000, "depth": 100_000, "residual": Residual()},
        {"width": 20, "depth": 1_000_000, "correlation": 0.5, "trials": 10_000},
    ):
        with pytest.raises(MemoryError, match=r"GiB of memory, .* are available"):
            varprop.simulate(**{"depth": 2, "trials": 1, **options})


INTERRUPTED = """
import varprop
print("ready", flush=True)
try:
    varprop.simulate({}, act="tanh", trials=1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "options",
    [
        "depth=100_000, width=200_000, correlation=0.5",
        "depth=10_000_000, width=30, correlation=0.5, backward=False",
        "depth=1000, width=20_000, tangents=300",
        "depth=100_000, width=200_000, correlation=0.5, threads=2",
        "depth=1000, width=7000, correlation=0.5, engine='dense', threads=2",
        "depth=1000, width=3000, tangents=60, scheme='orthogonal', engine='dense'",
    ],
)
def test_one_long_trial_is_interrupted_within_seconds(options: str) -> None:
    if "threads" not in options:
        options += ", threads=1"
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(options)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        begin = time.monotonic()
        try:
            out, _ = child.communicate(timeout=30)
        finally:
            child.kill()
        assert out == "interrupted\n"
        assert time.monotonic() - begin < 5
