"""The way from a Network to an engine's rows: which engine, in which pieces, what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import dense, kernels, matrix_free
from ._core.plan import PlanHolder
from .activation import Activation
from .formula import Formula
from .network import Network
from .resources import require_memory
from .rows import LAYER_FIELDS, Rows

FloatArray = npt.NDArray[np.float64]

ENGINES = ("auto", "matrix-free", "dense", "reference")
MATRIX_FREE_LAWS = ("normal", "orthogonal")
DENSE_LAWS = ("normal", "uniform")

_STATISTICS = len(LAYER_FIELDS)
_BLOCK = 4096  # units that threads can share out within a layer
_PIECE = 2.5e7  # number draws (about 0.05 s of one thread) between two looks at Python
_RANGE = 1  # an engine's status: out of the range where phi is known; else an overflow


def choose_engine(network: Network, engine: str) -> str:
    """The engine by name, or for "auto" the matrix-free one where the law of the weights allows.

    Raises
    ------
    ValueError
        For an unknown name, or an engine that can't do this law of the weights.
    NotImplementedError
        For laws that no engine draws yet.
    """
    law = network.scheme.distribution
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is unknown; use {', '.join(map(repr, ENGINES))}")
    if law not in MATRIX_FREE_LAWS + DENSE_LAWS:
        raise NotImplementedError(
            f"scheme {str(network.scheme)!r}: no engine draws {law} weights yet; "
            f"the laws that can be simulated are {', '.join(MATRIX_FREE_LAWS)} and uniform"
        )
    if engine == "matrix-free" and law not in MATRIX_FREE_LAWS:
        raise ValueError(
            "engine='matrix-free' needs rotation-invariant weights "
            f"({' or '.join(MATRIX_FREE_LAWS)}), not {law}; use engine='dense' or 'auto'"
        )
    if engine == "dense" and law not in DENSE_LAWS:
        raise ValueError(
            f"engine='dense' draws {' and '.join(DENSE_LAWS)} weights, not {law}; "
            "use engine='matrix-free' or 'auto'"
        )
    if engine == "auto":
        return "matrix-free" if law in MATRIX_FREE_LAWS else "dense"
    return engine


@dataclass(frozen=True)
class Run:
    """One run of an engine: everything but the network's numbers."""

    network: Network
    engine: str
    x: FloatArray | None  # None: the standard input, all ones
    first_trial: int
    trials: int
    seed: int
    threads: int
    saturated_below: float

    def rows(self, progress: Callable[[float], object] | None = None) -> Rows:
        """Run, in pieces small enough for Ctrl-C and progress."""
        network, trials = self.network, self.trials
        self.require_memory()
        values = np.empty((_STATISTICS, trials, network.depth))
        died = np.zeros(trials, dtype=np.int64)
        plan = self._plan()
        done, total = 0.0, float(self._cost.sum()) * trials
        for start in range(0, trials, self._batch):
            batch = slice(start, min(start + self._batch, trials))
            size = batch.stop - batch.start
            plan.move_to(self.first_trial + start)
            state = np.full(size, log_input(self.x))
            extra = (self._signals(size),) if self.engine == "dense" else ()
            wide = size < self.threads and self._most_blocks >= 2 * self.threads
            for first, last in self._segments(size):
                self._call(plan, values[:, batch], died[batch], state, first, last, wide, extra)
                done += float(self._cost[first:last].sum()) * size
                if progress is not None:
                    progress(done / total)
        return rows_of(values, died)

    def _call(
        self,
        plan: PlanHolder,
        values: FloatArray,
        died: npt.NDArray[np.int64],
        state: FloatArray,
        first: int,
        last: int,
        wide: bool,
        extra: tuple[FloatArray, ...],
    ) -> None:
        status = np.zeros(len(state), dtype=np.int32)
        stopped_at = np.zeros(len(state), dtype=np.int64)
        forward = dense.forward if self.engine == "dense" else matrix_free.forward
        threads = self.threads if wide else min(self.threads, len(state))
        forward(plan, values, died, state, first, last, threads, wide, status, stopped_at, *extra)
        if plan.error is not None:
            raise plan.error
        failed = np.flatnonzero(status)
        if failed.size:
            trial = int(failed[0])
            raise OverflowError(
                _trouble(self.network.act, int(status[trial]), int(stopped_at[trial]))
            )

    @property
    def _cost(self) -> FloatArray:
        """Numbers to draw in each layer of one trial."""
        sizes = np.array(self.network.widths, dtype=np.float64)
        return sizes[:-1] * sizes[1:] if self.engine == "dense" else np.maximum(sizes[1:], 64.0)

    @property
    def _batch(self) -> int:
        cheap = int(_PIECE * self.threads / float(self._cost.sum()))
        return max(self.threads, min(self.trials, cheap))

    @property
    def _most_blocks(self) -> int:
        return -(-max(self.network.widths[1:]) // _BLOCK)

    def _segments(self, trials: int) -> Iterator[tuple[int, int]]:
        """Runs of layers of about one piece of work each."""
        pieces = np.cumsum(self._cost) * trials / (_PIECE * self.threads)
        cuts = np.flatnonzero(np.diff(np.floor(pieces), prepend=0.0)) + 1
        edges = [0, *(int(cut) for cut in cuts if cut < self.network.depth), self.network.depth]
        return pairwise(edges)

    def _signals(self, trials: int) -> FloatArray:
        """The input of mean square 1 for each trial, with room for the widest layer."""
        signals = np.zeros((trials, _padded(max(self.network.widths))))
        signals[:, : self.network.widths[0]] = 1.0 if self.x is None else _unit(self.x)
        return signals

    def _plan(self) -> PlanHolder:
        network, act = self.network, self.network.act
        parameters = [*(value for _, value in act.parameters), 0.0, 0.0]
        facts = (
            act.code,
            -1 if act.degree is None else act.degree,
            *parameters[:2],
            *act.at_zero,
            act.at_infinity,
            _far_zeros(act),
            self.saturated_below * act.max_slope if math.isfinite(act.max_slope) else 0.0,
        )
        return PlanHolder(
            facts,
            network.widths,
            network.sigma_w,
            network.bias_std,
            self.seed,
            haar=network.scheme.distribution == "orthogonal",
            uniform_weights=network.scheme.distribution == "uniform",
            uniform_bias=network.bias_distribution == "uniform",
            callback=None if act.code >= 0 else _callback(act),
            log_value=None if act.code >= 0 or act.formula is None else _log_value(act.formula),
        )

    def require_memory(self) -> None:
        """Raise MemoryError where the result and the vectors would not fit."""
        results = 8 * (_STATISTICS * self.trials + 4) * self.network.depth
        vectors = 0
        if self.engine == "dense":
            widest = _padded(max(self.network.widths))
            vectors = 8 * widest * (min(self._batch, self.trials) + self.threads)
        if self.engine == "reference":
            sizes = self.network.widths
            vectors = 16 * max(a * b for a, b in pairwise(sizes))  # a matrix, and its making
        require_memory(
            results + vectors,
            f"{self.trials} trials of depth {self.network.depth} with the {self.engine} engine",
            "use fewer trials at a time (first_trial= and + put the parts together), or less depth",
        )


def rows_of(values: FloatArray, died: npt.NDArray[np.int64]) -> Rows:
    """Rows from an array of shape (statistics, trials, layers), in the order of LAYER_FIELDS."""
    return Rows(**dict(zip(LAYER_FIELDS, values, strict=True)), died=died)


def log_input(x: FloatArray | None) -> float:
    """ln(|x|^2 / n_0); 0 for the standard input."""
    if x is None:
        return 0.0
    return float(kernels.log_mean_square(x)) if x.any() else -math.inf


def _unit(x: FloatArray) -> FloatArray:
    if not x.any():
        return x
    # by the largest entry first: the mean square itself may overflow or underflow
    scaled = x / np.abs(x).max()
    root: FloatArray = scaled / math.sqrt(kernels.exp([kernels.log_mean_square(scaled)])[0])
    return root


def _padded(units: int) -> int:
    return -(-units // 32) * 32


def _callback(act: Activation) -> Callable[[FloatArray, FloatArray, FloatArray], None]:
    def evaluate(z: FloatArray, h: FloatArray, d: FloatArray) -> None:
        with np.errstate(all="ignore"):
            h[...] = act(z)
            d[...] = act.derivative(z)
        bad = ~np.isfinite(h) | np.isnan(d)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise OverflowError(
                f"activation {str(act)!r} gave φ({z[at]!r}) = {h[at]!r} with slope {d[at]!r}; "
                "φ must be finite wherever the signal goes"
            )

    return evaluate


def _far_zeros(act: Activation) -> bool:
    """Whether φ is exactly 0 on a side where its far slope is."""
    if act.at_infinity is None:
        return False
    with np.errstate(all="ignore"):
        ends = act(np.array([-1e130, 1e130]))
    return any(s == 0 and v == 0 for s, v in zip(act.at_infinity, ends, strict=True))


def _log_value(formula: Formula) -> Callable[[float, float], tuple[float, float]]:
    def evaluate(z: float, log_k: float) -> tuple[float, float]:
        import mpmath

        with mpmath.workdps(30):
            value = formula.mpmath(mpmath.mpf(z) * mpmath.exp(mpmath.mpf(log_k) / 2))
            log = float(mpmath.log(abs(value))) if value else -math.inf
        if log < -1.7e308:
            return -math.inf, 0.0
        return log, math.copysign(1.0, value)

    return evaluate


def _trouble(act: Activation, status: int, layer: int) -> str:
    if status == _RANGE:
        return (
            f"in layer {layer} the signal left the range (about 1e-120 to 1e120) in which "
            f"activation {str(act)!r} can be evaluated; it has no known straight-line limit "
            "out there; use less depth, or another sigma_w"
        )
    return (
        f"in layer {layer} the logarithm of the signal itself left float64 (|ln| > 1.7e308) "
        f"with activation {str(act)!r}; use less depth"
    )


def provenance() -> dict[str, Any]:
    """Where a result came from, beyond what decides its numbers."""
    from ._core import SIMD

    return {"numpy": np.__version__, "simd": SIMD}
