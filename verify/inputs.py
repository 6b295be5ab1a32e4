"""Bad input to every public function and command: ``python -m verify.inputs --examples 200``.

Every argument is replaced by every hostile value (sizes 0, 1 and huge; nan, inf, subnormal;
strided, read-only, object and wrong-typed arrays; foreign names), and, led by Hypothesis, several
at once. A call must work, or raise ValueError, TypeError, OverflowError, MemoryError or an OSError
with a message: never another exception, never a nan that nobody asked for, never more than some
seconds (a size may be huge and in order: it then must be interruptible).
"""

from __future__ import annotations

import argparse
import signal
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

import varprop
from varprop import theory
from varprop.activation import Activation
from varprop.scheme import Scheme
from verify.report import Report

REFUSALS = (ValueError, TypeError, OverflowError, MemoryError, OSError, theory.Diverges,
            theory.NoFixedPoint, theory.NotClosed)  # fmt: skip
_SECONDS = 60
_HUGE = 2**70

_locked = np.ones(8)
_locked.flags.writeable = False

HOSTILE: dict[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "1": 1,
    "-1": -1,
    "2**31": 2**31,
    "2**63": 2**63,
    "2**70": _HUGE,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "subnormal": 5e-324,
    "1e308": 1e308,
    "0.5": 0.5,
    "-0.0": -0.0,
    "complex": 1j,
    "numpy int": np.int8(3),
    "numpy float": np.float32(0.5),
    "long double": np.longdouble(1) / 3,
    "text": "relu",
    "empty text": "",
    "number as text": "3",
    "foreign text": "ψ\u202e☃\ud800\x00",
    "long text": "x" * 1000,
    "bytes": b"relu",
    "list": [1, 2, 3],
    "list of names": ["relu", "tanh"],
    "empty list": [],
    "ragged list": [[1], [2, 3]],
    "dict": {"depth": 3},
    "set": {1, 2},
    "object": object(),
    "type": int,
    "function": lambda x: x,
    "pair of functions": (lambda x: x, lambda x: x),
    "empty array": np.empty(0),
    "0-d array": np.array(2.0),
    "eight ones": np.ones(8),
    "eight zeros": np.zeros(8),
    "strided": np.ones(24)[::3],
    "reversed": np.arange(1.0, 9)[::-1],
    "read-only": _locked,
    "by columns": np.asfortranarray(np.random.default_rng(0).standard_normal((3, 8))),
    "big-endian": np.ones(8, dtype=">f8"),
    "half precision": np.ones(8, dtype=np.float16),
    "integers": np.ones((2, 8), dtype=np.int8),
    "booleans": np.ones(8, dtype=bool),
    "objects": np.array([1, None] * 4, dtype=object),
    "complex array": np.ones(8, dtype=complex),
    "text array": np.array(["1"] * 8),
    "dates": np.zeros(8, dtype="datetime64[s]"),
    "nan in it": np.array([1.0, np.nan] * 4),
    "inf in it": np.array([1.0, np.inf] * 4),
    "subnormals": np.full(8, 5e-324),
    "huge numbers": np.full(8, 1e308),
    "3-d": np.ones((2, 2, 8)),
    "structured": np.zeros(8, dtype=[("a", "f8")]),
    "masked": np.ma.masked_array(np.ones(8), mask=[True] + [False] * 7),
}  # fmt: skip

_SMALL = {"depth": 2, "width": 8}
_NET = varprop.Network(2, width=8)

# function, arguments that are in order, and those beside them that are optional
FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = {
    "simulate": (
        lambda **kw: varprop.simulate(**{"trials": 2, **kw}),
        {**_SMALL},
        ("network", "widths", "act", "scheme", "sigma_w", "sigma_b", "residual", "norm", "dropout",
         "x", "correlation", "log_gap", "trials", "first_trial", "seed", "threads", "engine",
         "saturated_below", "backward", "cotangents", "tangents", "histogram", "spectrum",
         "progress"),
    ),
    "spectrum": (
        lambda **kw: varprop.spectrum(**{"trials": 2, **kw}),
        {**_SMALL},
        ("network", "depths", "x", "trials", "seed", "first_trial", "act", "scheme", "norm",
         "progress"),
    ),
    "Network": (varprop.Network, {**_SMALL}, ("widths", "act", "scheme", "sigma_w", "sigma_b",
                "residual", "norm", "dropout")),
    "Network.from_dict": (lambda data: varprop.Network.from_dict(data), {"data": _NET.to_dict()},
                          ()),
    "Residual": (varprop.Residual, {"branch": 0.5, "skip": 1.0}, ()),
    "Norm": (varprop.Norm, {"kind": "rms", "place": "pre"}, ()),
    "Scheme": (Scheme, {"name": "mine", "distribution": "normal", "scale": 2.0, "mode": "fan_in",
               "shape": None, "bias_scale": 0.0, "bias_distribution": "normal"}, ()),
    "Scheme.parse": (lambda spec: Scheme.parse(spec), {"spec": "he"}, ()),
    "Activation.parse": (lambda spec: Activation.parse(spec), {"spec": "relu"}, ()),
    "Activation.named": (lambda name, **kw: Activation.named(name, **kw), {"name": "elu"},
                         ("alpha", "slope")),
    "Activation.from_callable": (
        Activation.from_callable,
        {"f": np.tanh, "derivative": lambda x: 1 / np.cosh(x) ** 2},
        ("name", "kinks"),
    ),
    "RandomMatrix": (varprop.RandomMatrix, {"n_out": 8, "n_in": 8, "sigma": 1.0},
                     ("law", "seed", "threads")),
    "RandomMatrix @": (lambda x: varprop.RandomMatrix(8, 8, 1.0).matvec(x), {"x": np.ones(8)}, ()),
    "RandomMatrix @ array": (lambda x: varprop.RandomMatrix(8, 8, 1.0).matmat(x),
                             {"x": np.ones((8, 2))}, ()),
    "Jacobian": (varprop.Jacobian, {"network": _NET}, ("x", "trial", "seed", "threads")),
    "LayerStatistic": (varprop.LayerStatistic, {"name": "q", "log": np.zeros((2, 3))},
                       ("sign", "values", "missing")),
    "load": (varprop.load, {"path": "/no/such/file"}, ()),
    "quantile": (lambda p: varprop.simulate(depth=2, width=8, trials=3).variance.quantile(p),
                 {"p": 0.5}, ()),
    "theory.predict": (theory.predict, {"network": _NET},
                       ("input_mean_square", "log_input_mean_square", "correlation", "log_gap")),
    "theory.fixed_point": (theory.fixed_point, {"act": "tanh", "sigma_w": 1.3}, ("sigma_b",)),
    "theory.critical": (theory.critical, {"act": "relu"}, ("sigma_b",)),
    "theory.gain": (theory.gain, {"act": "relu"}, ()),
    "theory.spectrum": (theory.spectrum, {"act": "relu", "depth": 3},
                        ("sigma_w", "sigma_b", "weights", "variance", "of")),
    "theory.lyapunov_exponents": (theory.lyapunov_exponents, {"width": 8}, ("sigma_w",)),
    "theory.jacobian_moments": (theory.jacobian_moments, {"network": _NET}, ("of",)),
    "theory.kernel": (theory.kernel, {"act": "relu"}, ("derivative",)),
    "theory.variance_map": (lambda act, k: theory.variance_map(act)(k), {"act": "relu", "k": 1.0},
                            ()),
    "theory.gradient_map": (lambda act, k: theory.gradient_map(act)(k), {"act": "relu", "k": 1.0},
                            ()),
    "theory.mean_map": (lambda act, k: theory.mean_map(act)(k), {"act": "relu", "k": 1.0}, ()),
    "theory.derive": (theory.derive, {"name": "linear"}, ()),
}  # fmt: skip


class Late(BaseException):
    """The call took longer than it may, and could be interrupted."""


@contextmanager
def limited(seconds: float) -> Any:
    """Raise `Late` in the block after so many seconds of CPU time."""

    def late(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(name: str, given: dict[str, Any]) -> str:
    """What became of a call: "worked", "refused" or "interrupted"; AssertionError for worse."""
    function, right, _ = FUNCTIONS[name]
    shown = {key: repr(value)[:60] for key, value in given.items()}
    try:
        with limited(_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(**(right | given))
    except REFUSALS as refusal:
        text = str(refusal)
        assert 0 < len(text) < 2000, f"{name} {shown}: message {text[:300]!r}"
        return "refused"
    except Late:
        large = any(isinstance(v, int | float) and abs(v) >= 2**31 for v in given.values())
        assert large, f"{name} {shown}: more than {_SECONDS} s"
        return "interrupted"
    except Exception as error:
        raise AssertionError(f"{name} {shown}: {error!r}") from error
    rows = getattr(found, "rows", None)
    for field in getattr(rows, "names", ()):
        values = getattr(rows, field)
        assert not np.isnan(values).any(), f"{name} {shown}: {field} has nan"
    return "worked"


def one_by_one(name: str) -> dict[str, int]:
    """Every argument replaced by every hostile value."""
    _, right, optional = FUNCTIONS[name]
    counts: dict[str, int] = {}
    for argument in (*right, *optional):
        for value in HOSTILE.values():
            became = outcome(name, {argument: value})
            counts[became] = counts.get(became, 0) + 1
    return counts


def several(name: str, examples: int) -> int:
    """Several arguments at once, led by Hypothesis; how many were tried."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    _, right, optional = FUNCTIONS[name]
    tried = 0

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.dictionaries(
            st.sampled_from((*right, *optional)),
            st.sampled_from(list(HOSTILE.values()))
            | st.floats(width=64)
            | st.integers(-10, 20)
            | st.text(max_size=20),
            min_size=1,
            max_size=4,
        )
    )
    def attempt(replaced: dict[str, Any]) -> None:
        nonlocal tried
        tried += 1
        outcome(name, replaced)

    attempt()
    return tried


def main() -> None:
    """All functions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="by Hypothesis, of each function")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    report = Report("inputs")
    for name in FUNCTIONS:
        if asked.only not in name:
            continue
        _, right, optional = FUNCTIONS[name]
        for argument in (*right, *optional):
            for key, value in HOSTILE.items():
                try:
                    report.count(outcome(name, {argument: value}))
                except AssertionError as fault:
                    report.fail(f"{argument} = {key}: {fault}")
        if asked.examples:
            try:
                report.count("several at once", several(name, asked.examples))
            except AssertionError as fault:
                report.fail(str(fault))
    report.close()


if __name__ == "__main__":
    main()
