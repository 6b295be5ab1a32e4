"""The way from a Network to an engine's rows: which engine, in which pieces, what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ._core import dense, dense_back, kernels, matrix_free, matrix_free_back
from ._core.plan import PlanHolder
from .activation import Activation
from .network import Network
from .plans import plan_of
from .resources import require_memory
from .rows import BACKWARD, LAYER_FIELDS, Rows
from .scaled import shifted

FloatArray = npt.NDArray[np.float64]

ENGINES = ("auto", "matrix-free", "dense", "reference")
MATRIX_FREE_LAWS = ("normal", "orthogonal")

_BLOCK = 4096  # units that threads can share out within a layer
# Weights for each thread that are worth sharing out a layer of the dense engine, some milliseconds:
# where others use the processors too, threads of a layer wait for each other as long as that.
_SHARED = 1e7
_PIECE = 2.5e7  # number draws (about 0.05 s of one thread) between two looks at Python
_KEPT = 6.4e7  # bytes of pre-activations that a batch of trials may keep for the way back
_BACK = 2.0  # what a layer costs on the way back, over the way up
_RANGE = 1  # an engine's status: out of the range where phi is known; else an overflow


def choose_engine(network: Network, engine: str) -> str:
    """The engine by name, or for "auto" the matrix-free one where the law of the weights allows.

    Raises
    ------
    ValueError
        For an unknown name, or the matrix-free engine where it can't do this law of the weights.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is unknown; use {', '.join(map(repr, ENGINES))}")
    for scheme in network.distinct_schemes:
        law = scheme.distribution
        if engine == "matrix-free" and law not in MATRIX_FREE_LAWS:
            raise ValueError(
                "engine='matrix-free' needs rotation-invariant weights "
                f"({' or '.join(MATRIX_FREE_LAWS)}), not {law}; use engine='dense' or 'auto'"
            )
    if engine == "auto":
        free = all(law in MATRIX_FREE_LAWS for law in network.distributions)
        return "matrix-free" if free else "dense"
    return engine


def why_engine(network: Network, wish: str) -> str:
    """Why this engine, in words.

    Examples
    --------
    >>> why_engine(Network(2, scheme="torch"), "auto")
    'uniform weights are not rotation-invariant, so each of the n^2 of a layer is drawn'
    """
    if wish != "auto":
        return "asked for"
    drawn = [law for law in network.distributions if law not in MATRIX_FREE_LAWS]
    if not drawn:
        laws = " and ".join(network.distributions)
        return f"{laws} weights are rotation-invariant, so a layer costs n numbers, not n^2"
    return (
        f"{' and '.join(drawn)} weights are not rotation-invariant, so each of the n^2 of a layer "
        "is drawn"
    )


@dataclass(frozen=True, eq=False)
class Run:
    """One run of an engine: everything but the network's numbers."""

    network: Network
    engine: str
    x: FloatArray | None  # (inputs, n_0); None: the standard input, all ones
    first_trial: int
    trials: int
    seed: int
    threads: int
    saturated_below: float
    backward: bool
    log_gap: float | None = None  # of the pair x, ln(1 - c) with all digits: see `pairs.pair`
    cotangents: int | FloatArray = 1  # how many random ones, or given, (cotangents, n_L)
    tangents: int = 0
    why: str = "asked for"  # this engine
    histogram: int | FloatArray | None = None  # automatic bins, or the edges of fixed ones
    first_alone: bool = False  # gradients are measured of the first input only

    @property
    def inputs(self) -> int:
        """How many inputs."""
        return 1 if self.x is None else len(self.x)

    @property
    def reordered(self) -> bool:
        """Whether the batch engine carries the inputs in another order than theirs."""
        return self.inputs > 1 and self.log_gap is None

    @property
    def pairs(self) -> int:
        """How many pairs of inputs."""
        return self.inputs * (self.inputs - 1) // 2

    @property
    def gradients(self) -> int:
        """How many gradients are measured of each input."""
        if not self.backward:
            return 0
        return self.cotangents if isinstance(self.cotangents, int) else len(self.cotangents)

    @property
    def graded(self) -> int:
        """Of how many inputs gradients are measured."""
        return 1 if self.first_alone else self.inputs

    @property
    def sums(self) -> bool:
        """Whether gradients with respect to the sum before a norm are measured beside."""
        norm = self.network.norm
        return self.backward and norm is not None and norm.place == "post"

    @property
    def needs_batch(self) -> bool:
        """Whether more is asked than one input and one random gradient of a plain network."""
        given = not isinstance(self.cotangents, int) or self.cotangents > 1
        extra = self.inputs > 1 or given or self.tangents > 0 or self.histogram is not None
        return extra or not self.network.plain

    @property
    def statistics(self) -> int:
        """How many numbers are measured in each layer of a trial."""
        gradients = self.graded * self.gradients * (1 + self.sums)
        along = self.tangents * (1 + self.backward)
        return len(LAYER_FIELDS) * self.inputs + gradients + 2 * self.pairs + along

    def rows(self, progress: Callable[[float], object] | None = None) -> Rows:
        """Run, in pieces small enough for Ctrl-C and progress."""
        network, trials = self.network, self.trials
        self.require_memory()
        values = np.empty((self.statistics, trials, network.depth))
        died = np.zeros(trials, dtype=np.int64)
        plan = plan_of(network, self.seed, self.saturated_below)
        done, total = 0.0, self.cost * trials
        for start in range(0, trials, self._batch):
            batch = slice(start, min(start + self._batch, trials))
            size = batch.stop - batch.start
            plan.move_to(self.first_trial + start)
            state = np.full(size, self.log_inputs[0])
            extra: tuple[FloatArray, ...] = ()  # those of the piece before are given back first
            if self.engine == "dense":
                extra = self._vectors(size)
            wide = self.shares_layers(size)
            segments = list(self._segments(size))
            for first, last in segments:
                self._call(plan, values[:, batch], died[batch], state, first, last, wide, extra)
                done += float(self._cost[first:last].sum()) * size
                if progress is not None:
                    progress(done / total)
            along = np.zeros(size)
            for first, last in reversed(segments) if self.backward else ():
                self._call_back(plan, values[:, batch], along, first, last, wide, extra)
                done += _BACK * float(self._cost[first:last].sum()) * size
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
        self._check(plan, status, stopped_at, trouble)

    def _call_back(
        self,
        plan: PlanHolder,
        values: FloatArray,
        along: FloatArray,
        first: int,
        last: int,
        wide: bool,
        extra: tuple[FloatArray, ...],
    ) -> None:
        status = np.zeros(len(along), dtype=np.int32)
        stopped_at = np.zeros(len(along), dtype=np.int64)
        threads = self.threads if wide else min(self.threads, len(along))
        how = (first, last, threads, wide, status, stopped_at)
        if self.engine == "dense":
            dense_back.backward(plan, values, *extra, *how)
        else:
            matrix_free_back.backward(plan, values, along, self.log_inputs[0], *how)
        self._check(plan, status, stopped_at, trouble_back)

    def _check(
        self,
        plan: PlanHolder,
        status: npt.NDArray[np.int32],
        stopped_at: npt.NDArray[np.int64],
        explain: Callable[[Activation, int, int], str],
    ) -> None:
        if plan.error is not None:
            raise plan.error
        failed = np.flatnonzero(status)
        if failed.size:
            trial = int(failed[0])
            raise OverflowError(
                explain(self.network.act, int(status[trial]), int(stopped_at[trial]))
            )

    @property
    def log_inputs(self) -> tuple[float, ...]:
        """ln(|x|^2 / n_0) of each input; 0 for the standard one."""
        if self.x is None or self.log_gap is not None:
            return (0.0,) * self.inputs
        return tuple(log_mean_square(one) for one in self.x)

    @property
    def cost(self) -> float:
        """What one trial costs, the way back included, in numbers drawn."""
        return float(self._cost.sum()) * (1 + _BACK * self.backward)

    @property
    def _cost(self) -> FloatArray:
        """Numbers to draw in each layer of one trial."""
        sizes = np.array(self.network.widths, dtype=np.float64)
        drawn = sizes[:-1] * sizes[1:]
        return np.maximum(sizes[1:], 64.0) if self.engine == "matrix-free" else drawn

    @property
    def _batch(self) -> int:
        cheap = int(_PIECE * self.threads / float(self._cost.sum()))
        if self.engine == "dense" and self.backward:
            cheap = min(cheap, int(_KEPT / self._vector_bytes))
        return max(self.threads, min(self.trials, cheap))

    @property
    def _vector_bytes(self) -> float:
        """What the dense engine keeps of one trial."""
        return 8.0 * _padded(max(self.network.widths)) * (1 + self.network.depth * self.backward)

    def shares_layers(self, trials: int) -> bool:
        """Whether the threads share each layer, being more than there are trials."""
        if trials >= self.threads:
            return False
        if self.engine == "dense":
            return float(self._cost.max()) >= _SHARED * self.threads
        return max(self.network.widths[1:]) > (2 * self.threads - 1) * _BLOCK

    def _segments(self, trials: int) -> Iterator[tuple[int, int]]:
        """Runs of layers of about one piece of work each."""
        pieces = np.cumsum(self._cost) * trials / (_PIECE * self.threads)
        cuts = np.flatnonzero(np.diff(np.floor(pieces), prepend=0.0)) + 1
        edges = [0, *(int(cut) for cut in cuts if cut < self.network.depth), self.network.depth]
        return pairwise(edges)

    def _vectors(self, trials: int) -> tuple[FloatArray, FloatArray]:
        """The input, of a size near 1, for each trial, and room to keep pre-activations in.

        The signal's vector serves the gradient afterwards.
        """
        room = _padded(max(self.network.widths))
        signals = np.zeros((trials, room))
        signals[:, : self.network.widths[0]] = 1.0 if self.x is None else shifted(self.x[0])[0]
        return signals, np.empty((trials, self.network.depth * self.backward, room))

    def require_memory(self, together: int = 1) -> None:
        """Raise MemoryError where the results of so many such runs, and the vectors, don't fit."""
        results = 8 * together * (self.statistics * self.trials + 4) * self.network.depth
        vectors = 0
        if self.needs_batch and self.engine != "reference":
            from .batch import memory

            vectors = memory(self, together > 1)
        elif self.engine == "dense":
            widest = _padded(max(self.network.widths))
            vectors = int(self._vector_bytes) * min(self._batch, self.trials)
            vectors += 8 * widest * 17 * self.threads
        if self.engine == "reference":
            sizes = self.network.widths
            columns = self.inputs * (4 + self.gradients) + 4 * self.tangents
            vectors = 16 * max(a * b for a, b in pairwise(sizes))  # a matrix, and its making
            vectors += 8 * columns * sum(sizes)
        require_memory(
            results + vectors,
            f"{self.trials} trials of depth {self.network.depth} with the {self.engine} engine",
            "use fewer trials at a time (first_trial= and + put the parts together), or less depth",
        )


def rows_of(values: FloatArray, died: npt.NDArray[np.int64]) -> Rows:
    """Rows from an array (statistics, trials, layers): LAYER_FIELDS, then perhaps BACKWARD."""
    fields = (*LAYER_FIELDS, BACKWARD)[: len(values)]
    return Rows(**dict(zip(fields, values, strict=True)), died=died)


def log_mean_square(x: FloatArray) -> float:
    """ln of the mean square of a vector, -inf for zeros."""
    return float(kernels.log_mean_square(x)) if x.any() else -math.inf


def _padded(units: int) -> int:
    return -(-units // 32) * 32


def trouble(act: Activation, status: int, layer: int) -> str:
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


def trouble_back(act: Activation, status: int, layer: int) -> str:
    what = "squares of the slopes" if status == _RANGE else "logarithm of the gradient"
    return (
        f"on the way back, in layer {layer}, the {what} left float64 with activation "
        f"{str(act)!r}; use backward=False, less depth, or another sigma_w"
    )


def machine() -> dict[str, str]:
    """Versions and instruction set."""
    from ._core import SIMD

    return {"numpy": np.__version__, "simd": SIMD}
