"""simulate() as a user meets it: what it returns, what it refuses, and at which sizes it holds."""

import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import varprop
from varprop import resources

SMALL = {"depth": 3, "width": 20, "trials": 2}


def test_the_headline_call():
    p = varprop.simulate(depth=200, act="relu", scheme="he")
    assert (p.trials, p.engine, p.seed, p.network.width) == (100, "matrix-free", 0, 1000)
    assert p.compare().consistent


@pytest.mark.parametrize("sigma", [0.01, 1.0])
@pytest.mark.parametrize("act", varprop.activations(), ids=str)
def test_depth_1000_stays_finite(act, sigma):
    p = varprop.simulate(depth=1000, width=1000, act=act, scheme=f"normal({sigma})", trials=1)
    for name in ("log_preactivation", "log_activation", "log_variance"):
        assert np.isfinite(getattr(p.rows, name)).all()
    assert p.dead == 0


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
@pytest.mark.parametrize(
    ("act", "sigma_w"),
    [("tanh", 1e-3), ("relu", 30.0), ("silu", 100.0), ("gaussian", 1e5), ("sigmoid", 1e4)],
)
def test_narrow_and_far_out(engine, act, sigma_w):
    """Where all of a layer's few units underflow, the logarithms go on."""
    p = varprop.simulate(
        depth=300, width=4, act=act, sigma_w=sigma_w, trials=30, engine=engine, seed=3
    )
    alive = p.died == 0
    assert np.isfinite(p.rows.log_activation[alive]).all()
    if act != "relu":
        assert alive.all()


def test_engines_agree_in_the_tails():
    """A single unit: both engines must find ln of e^-1000-sized activations alike."""
    kw = {"depth": 1, "width": 1, "act": "sigmoid", "sigma_w": 2000.0, "trials": 4000, "seed": 9}
    for engine in ("matrix-free", "dense"):
        log_a = varprop.simulate(engine=engine, **kw).rows.log_activation[:, 0]
        low = np.sort(log_a)[: len(log_a) // 2]  # the half where z < 0: ln a = 2 z
        # half-normal with sd 4000: its mean is 4000 sqrt(2/pi), its sd 4000 sqrt(1 - 2/pi)
        error = (low.mean() + 4000 * math.sqrt(2 / math.pi)) / (4000 * 0.6028 / math.sqrt(2000))
        assert abs(error) < 5


def test_input_scale_is_exact():
    x = np.array([3.0, -4.0, 12.0])
    small = varprop.simulate(**SMALL, act="relu", x=x * 1e-200)
    large = varprop.simulate(**SMALL, act="relu", x=x * 1e200)
    assert np.allclose(
        large.rows.log_activation - small.rows.log_activation, 800 * math.log(10), rtol=1e-13
    )
    assert small.network.widths == (3, 20, 20, 20)


@pytest.mark.parametrize("engine", ["matrix-free", "dense", "reference"])
def test_callables_and_formulas_run_like_the_built_in(engine):
    slope = varprop.Activation.named("tanh").derivative
    kw = {**SMALL, "engine": engine, "seed": 4, "sigma_b": 0.2}
    built_in = varprop.simulate(act="tanh", **kw).rows
    for act in ("tanh(1*x)", (np.tanh, slope)):
        other = varprop.simulate(act=act, **kw).rows
        assert np.allclose(other.log_activation, built_in.log_activation, rtol=1e-13, atol=1e-13)
        assert np.array_equal(other.saturated, built_in.saturated)


def test_dead_networks_are_counted():
    p = varprop.simulate(depth=100, width=2, act="relu", scheme="he", trials=50)
    assert p.dead > 40
    row = int(np.flatnonzero(p.died)[0])
    layer = p.died[row] - 1
    assert np.isfinite(p.rows.log_preactivation[row, : layer + 1]).all()
    assert (p.rows.log_activation[row, layer:] == -np.inf).all()
    assert (p.rows.zero[row, layer:] == 1).all()
    # a bias brings them back, and so does an activation that is not 0 at 0
    assert varprop.simulate(depth=100, width=2, sigma_b=0.1, trials=50).dead == 0
    kw = {"depth": 100, "width": 1, "act": "hardsigmoid", "sigma_w": 1e3, "trials": 50}
    p = varprop.simulate(**kw)
    assert p.dead == 0
    assert np.isneginf(p.rows.log_activation).any()


def test_progress_rises_to_one():
    seen: list[float] = []
    varprop.simulate(depth=20, width=2000, trials=5000, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert len(seen) > 3


BAD = [
    ({"depth": 0}, ValueError, "depth must be from 1"),
    ({"depth": -3}, ValueError, "-3"),
    ({"depth": 2.5}, TypeError, "depth must be an int"),
    ({"depth": True}, TypeError, "depth"),
    ({}, ValueError, "depth is missing"),
    ({"depth": 2, "width": 0}, ValueError, "width must be from 1"),
    ({"depth": 2, "width": 10**12}, ValueError, "width"),
    ({"depth": 2, "widths": [3, 4]}, ValueError, "depth \\+ 1 = 3"),
    ({"depth": 2, "act": "rleu"}, ValueError, "relu"),
    ({"depth": 2, "act": "x.__class__"}, ValueError, "formula|attribute"),
    ({"depth": 2, "act": "(" * 10000 + "x" + ")" * 10000}, ValueError, "long|1000"),
    ({"depth": 2, "act": "x**1e9"}, ValueError, "exponent"),
    ({"depth": 2, "act": "__import__('os').system('true')"}, ValueError, "formula|allowed"),
    ({"depth": 2, "act": (lambda x: x[:1], lambda x: x)}, ValueError, "shape"),
    ({"depth": 2, "act": (lambda x: x * np.nan, lambda x: x)}, ValueError, "finite|nan"),
    ({"depth": 2, "scheme": "hee"}, ValueError, "he"),
    ({"depth": 2, "scheme": "he", "sigma_w": 1.0}, ValueError, "both"),
    ({"depth": 2, "scheme": "normal(nan)"}, ValueError, "normal"),
    ({"depth": 2, "scheme": "uniform(0,1)"}, ValueError, "symmetric"),
    ({"depth": 2, "sigma_w": math.nan}, ValueError, "sigma_w"),
    ({"depth": 2, "sigma_b": math.inf}, ValueError, "sigma_b"),
    ({"depth": 2, "sigma_b": -1.0}, ValueError, "sigma_b"),
    ({"depth": 2, "scheme": "keras_he", "engine": "matrix-free"}, ValueError, "truncated_normal"),
    ({"depth": 2, "scheme": "student_t(2)"}, ValueError, "> 2"),
    ({"depth": 2, "scheme": "torch", "engine": "matrix-free"}, ValueError, "rotation-invariant"),
    ({"depth": 2, "engine": "gpu"}, ValueError, "'matrix-free'"),
    ({"depth": 2, "trials": 0}, ValueError, "trials"),
    ({"depth": 2, "trials": 1.0}, TypeError, "trials"),
    ({"depth": 2, "first_trial": -1}, ValueError, "first_trial"),
    ({"depth": 2, "seed": -1}, ValueError, "seed"),
    ({"depth": 2, "seed": 2**64}, ValueError, "seed"),
    ({"depth": 2, "seed": "1"}, TypeError, "seed"),
    ({"depth": 2, "seed": None}, TypeError, "seed"),
    ({"depth": 2, "threads": 0}, ValueError, "threads"),
    ({"depth": 2, "threads": 10**6}, ValueError, "threads"),
    ({"depth": 2, "threads": "two"}, TypeError, "threads"),
    ({"depth": 2, "saturated_below": 1.5}, ValueError, "saturated_below"),
    ({"depth": 2, "saturated_below": math.nan}, ValueError, "saturated_below"),
    ({"depth": 2, "x": [1.0, math.nan]}, ValueError, "x\\[1\\] is nan"),
    ({"depth": 2, "x": []}, ValueError, "shape"),
    ({"depth": 2, "x": np.ones((2, 3, 1))}, ValueError, "shape"),
    ({"depth": 2, "x": ["a"]}, TypeError, "real numbers"),
    ({"depth": 2, "x": [1j]}, TypeError, "real numbers"),
    ({"depth": 2, "x": [object()]}, TypeError, "real numbers"),
    ({"depth": 2, "x": np.zeros(5)}, ValueError, "all zeros"),
    ({"depth": 2, "x": np.ones(5), "widths": [4, 4, 4]}, ValueError, "widths\\[0\\] = 4"),
    ({"network": "relu"}, TypeError, "Network"),
    ({"network": varprop.Network(2), "act": "tanh"}, ValueError, "not both"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_is_refused_before_work_starts(arguments, error, text, monkeypatch):
    def started(*_args: object) -> None:
        raise AssertionError("work started")

    monkeypatch.setattr(varprop.engines.Run, "rows", started)
    with pytest.raises(error, match=text) as caught:
        varprop.simulate(arguments.pop("network", None), **arguments)
    assert len(str(caught.value)) < 600


def test_more_memory_than_there_is():
    with pytest.raises(MemoryError, match=r"needs .* GiB of memory, .* are available"):
        varprop.simulate(depth=10**6, trials=10**7)
    with pytest.raises(MemoryError, match="dense engine needs"):
        varprop.simulate(depth=1, width=2**30, trials=10**4, scheme="torch")


def test_threads_from_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert resources.resolve_threads() == 3
    assert resources.resolve_threads(5) == 5
    for absurd in ("100000", "9" * 5000):
        monkeypatch.setenv("OMP_NUM_THREADS", absurd)
        assert resources.resolve_threads() == resources.MOST_THREADS
    for nonsense in ("0", "-3", "two", "³", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert 1 <= resources.resolve_threads() <= (os.cpu_count() or 1)
    assert resources.resolve_threads(-1) >= 1


def test_a_formula_that_overflows_says_where():
    with pytest.raises(OverflowError, match=r"φ must be finite"):
        varprop.simulate(depth=20, width=50, act="exp(x)", sigma_w=2000.0, trials=2)


def test_a_formula_without_asymptotes_says_so():
    with pytest.raises(OverflowError, match="signal left the range"):
        varprop.simulate(depth=200, width=50, act="x**2 + x**3", sigma_w=0.1, trials=1)
    with pytest.raises(OverflowError, match="layer"):
        varprop.simulate(depth=20, width=50, act="x + x**3", sigma_w=3.0, trials=1)


def test_an_error_in_a_callable_is_the_users_own():
    calls = []

    def fails_later(x):
        calls.append(1)
        if len(calls) > 40:
            raise RuntimeError("mine")
        return np.tanh(x)

    with pytest.raises(RuntimeError, match="mine"):
        varprop.simulate(
            depth=200, width=50, act=(fails_later, lambda x: 1 - np.tanh(x) ** 2), trials=50
        )


def test_python_threads_may_call_at_once():
    expected = varprop.simulate(depth=50, width=300, act="tanh", trials=20)
    results = []
    workers = [
        threading.Thread(
            target=lambda: results.append(
                varprop.simulate(depth=50, width=300, act="tanh", trials=20)
            )
        )
        for _ in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(result == expected for result in results)


INTERRUPTED = """
import sys, time
import varprop
print("ready", flush=True)
try:
    varprop.simulate({arguments})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        "depth=200, width=1000, trials=10**6, act='tanh'",
        "depth=10**5, width=10**6, trials=1",
        "depth=1000, width=20000, trials=1, engine='dense'",
        "depth=2, width=2**20, trials=1, scheme='torch'",
        "depth=1000, width=1000, trials=10**5, act='x*sigmoid(1.5*x)'",
        "depth=100, width=500, trials=1000, engine='reference'",
    ],
)
def test_ctrl_c(arguments):
    code = INTERRUPTED.format(arguments=arguments)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        # a test run in the background may have been told to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            # a second is what is promised; the rest is for a machine busy with other things
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert out == "interrupted\n"


def test_a_forked_child_does_not_wait_for_threads_that_are_gone():
    code = (
        "import os, varprop\n"
        "kw = dict(depth=20, width=300, act='tanh', trials=50, threads=2)\n"
        "expected = varprop.simulate(**kw)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if varprop.simulate(**kw) == expected else 3)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_a_matrix_made_before_a_fork_answers_after_it():
    code = (
        "import os, numpy as np, varprop\n"
        "W = varprop.RandomMatrix(30000, 20000, sigma=1.0, threads=2)\n"
        "x = np.ones(20000)\n"
        "expected = W @ x\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if np.allclose(W @ x, expected) and (W.T @ expected).any() else 3)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_a_faint_elu_is_followed_into_its_tail(engine):
    kw = {"depth": 1, "width": 1, "sigma_w": 3.0, "trials": 200, "engine": engine}
    faint = varprop.simulate(act="elu(1e-10)", **kw).rows.log_activation
    plain = varprop.simulate(act="elu", **kw).rows.log_activation
    negative = faint < -35
    assert 50 < negative.sum() < 150
    assert np.allclose(faint[~negative], plain[~negative], rtol=1e-13)
    assert np.allclose(faint[negative], plain[negative] - 20 * math.log(10), rtol=1e-13)


def test_an_activation_beyond_float64_is_refused_or_told():
    with pytest.raises(ValueError, match="1e-10 to 1e\\+10"):
        varprop.simulate(depth=2, act="leaky_relu(1e200)")
    steep = varprop.simulate(depth=3, width=20, act="leaky_relu(1e10)", trials=3)
    assert np.isfinite(steep.rows.log_activation).all()
    with pytest.raises(OverflowError):
        varprop.simulate(depth=2, width=20, act="1e200*max(x, 0)", trials=1)


FAR_SCALES = [  # (act, sigma_w, ln a of a wide layer by mpmath)
    ("tanh(1e20*x)", 1e-19, -0.0893),
    ("x/(1+exp(-1e20*x))", 1e-19, -88.193),
    ("x if x > 0 else -1e30", 1e19, 137.462),
    ("x + 1e30*tanh(x)", 1e20, 138.155),
    ("sign(x)*sqrt(abs(x))", 1e-19, -43.975),
]


@pytest.mark.parametrize(("act", "sigma_w", "log_a"), FAR_SCALES)
def test_scales_far_from_one(act, sigma_w, log_a):
    """An activation acts by its slopes only where it truly has become straight."""
    for engine in ("matrix-free", "dense", "reference"):
        p = varprop.simulate(depth=1, act=act, sigma_w=sigma_w, trials=2, engine=engine)
        assert p.activation.log_mean[0] == pytest.approx(log_a, abs=0.2)


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_a_formula_dies_no_sooner_than_the_built_in(engine):
    kw = {"depth": 60, "width": 3, "sigma_w": 3.0, "trials": 100, "engine": engine}
    formula = varprop.simulate(act="x*sigmoid(x)", **kw)
    built_in = varprop.simulate(act="silu", **kw)
    assert formula.dead == built_in.dead == 0
    assert np.allclose(formula.rows.log_activation, built_in.rows.log_activation, rtol=1e-9)
    # while one that truly is 0 there dies
    assert varprop.simulate(act="max(x, 0) + 0*x", **kw).dead > 90


def test_far_out_zeros_are_those_of_phi():
    kw = {"depth": 1, "width": 1000, "sigma_w": 1e130, "trials": 2}
    assert varprop.simulate(act="elu", **kw).zero.mean[0] == 0
    assert varprop.simulate(act="hardswish", **kw).zero.mean[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("engine", ["matrix-free", "dense", "reference"])
def test_an_input_of_zeros_with_biases(engine):
    p = varprop.simulate(depth=2, act="tanh", sigma_b=0.5, x=np.zeros(5), engine=engine, trials=3)
    assert p.variance.log_mean[0] == pytest.approx(2 * math.log(0.5))
    assert np.isfinite(p.rows.log_activation).all()


def test_the_reference_counts_its_matrix():
    with pytest.raises(MemoryError, match="reference engine"):
        varprop.simulate(depth=1, width=10**6, trials=1, engine="reference")


def test_widths_say_how_deep() -> None:
    p = varprop.simulate(widths=[10, 20, 5], trials=2)
    assert (p.network.depth, p.network.widths) == (2, (10, 20, 5))
    with pytest.raises(ValueError, match="widths"):
        varprop.simulate(widths=[10])
    with pytest.raises(ValueError, match=r"widths.* 0"):
        varprop.simulate(widths=[10, 0, 3])
    with pytest.raises((TypeError, ValueError), match="widths"):
        varprop.simulate(widths="10,20")
