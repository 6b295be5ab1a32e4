"""The way from a Run to the batch engine and back: several inputs, tangents, architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import batch
from ._core.plan import PlanHolder
from .batch_inputs import columns_of, pairs_moved, unit_rows
from .engines import Run, trouble, trouble_back
from .histogram import NO_SCALE, Counts, Histogram, uncountable
from .network import Network
from .plans import plan_of
from .rows import LAYER_FIELDS, without_ones

FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

_BLOCK = 4096  # units that threads can share out within a layer
_PIECE = 2e8  # multiply-adds and numbers drawn between two looks at Python
_KEPT = 6.4e7  # bytes of pre-activations that a trial may keep for the way back
_HELD = 8e6  # bytes that it may hold: reading them beats making them again
_SHARED = 6.4e7  # bytes of drawn numbers that it may hold for other networks
_NORMS = {"rms": 1, "layer": 2}


def measure(run: Run, progress: Callable[[float], object] | None = None) -> Arrays:
    """Measure `run.trials` networks: arrays named as in `Rows`, and the histogram's."""
    call = _Call([run])
    found = call.room()
    for start in range(0, run.trials, call.batch):
        call(found, start, min(start + call.batch, run.trials))
        if trouble := call.trouble(0):
            raise trouble
        if progress is not None:
            progress(min(start + call.batch, run.trials) / run.trials)
    return call.finish(found, 0)


def draws(run: Run) -> Hashable | None:
    """Equal for runs that draw the same numbers, which `measure_together` draws once; else None.

    They may differ in gains and activations.
    """
    network = run.network
    one = run.histogram is not None or run.tangents > 0 or run.engine != "matrix-free"
    if one or not run.needs_batch or network.distributions != ("normal",):
        return None
    if len(network.bias_distributions) > 1:
        return None
    given = run.cotangents
    return (
        network.widths, network.residual, network.norm, network.keep,
        network.bias_distributions, tuple((network.bias_std > 0).tolist()), network.last_source,
        None if run.x is None else run.x.tobytes(), run.inputs, run.log_gap,
        given if isinstance(given, int) else given.tobytes(), run.backward, run.first_alone,
        run.first_trial, run.trials, run.seed, run.threads, run.saturated_below,
    )  # fmt: skip


def measure_together(runs: Sequence[Run]) -> list[Arrays | Exception]:
    """The same of runs with equal `draws`: each gives the bits that it gives alone, or the error.

    At most half a second's work is best given at once, for it can't be interrupted in other
    threads than the first.

    Raises
    ------
    MemoryError
        Where what they draw and measure would not fit.
    """
    if len(runs) > 1 and (draws(runs[0]) is None or len({draws(run) for run in runs}) > 1):
        raise ValueError("runs that draw different numbers can't be measured together")
    runs[0].require_memory(len(runs))
    call = _Call(runs)
    found = call.room()
    try:
        for start in range(0, runs[0].trials, call.batch):
            call(found, start, min(start + call.batch, runs[0].trials))
    except Exception as error:  # of a callable, which has stopped all of them
        return [error] if len(runs) == 1 else [measure_together([run])[0] for run in runs]
    return [call.trouble(number) or call.finish(found, number) for number in range(len(runs))]


class _Call:
    """What does not change from one piece of the trials to the next."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.run = runs, runs[0]  # but for gains and activations they are all the same
        run = runs[0]
        if run.first_alone and run.reordered:
            raise ValueError("the first of several inputs is not carried first: it can't be alone")
        plans = [_plans(one.network, one.seed, one.saturated_below) for one in runs]
        self.holders = [holder for holders, _ in plans for holder in holders]
        firsts = np.cumsum([0] + [len(holders) for holders, _ in plans[:-1]])
        self.which = np.array(
            [first + which for first, (_, which) in zip(firsts, plans, strict=True)], dtype=np.int32
        )
        self.status = np.zeros(len(runs) * run.trials, dtype=np.int32)
        self.stopped_at = np.zeros(len(runs) * run.trials, dtype=np.int64)
        self.order, self.parent, self.x, self.log_x = columns_of(run)
        given = run.cotangents if isinstance(run.cotangents, np.ndarray) else None
        if given is None:
            self.given, self.log_given = np.empty((0, 1)), np.empty(0)
        else:
            self.given, self.log_given = unit_rows(given)
        self.counters = self._counters(run.threads)

    @property
    def batch(self) -> int:
        """Trials between two looks at Python."""
        return _piece(self.run, len(self.runs))

    def room(self) -> Arrays:
        """Where the results of all trials go."""
        run, depth = self.run, self.run.network.depth
        back = depth if run.backward else 0
        gradients = run.graded * run.gradients
        rows = len(self.runs) * run.trials
        found: Arrays = {
            name: np.empty((rows, count, layers))
            for name, count, layers in (
                ("log_gap", run.pairs, depth),
                ("log_kernel_gap", run.pairs, depth),
                ("log_gradient", gradients, back),
                ("log_sum_gradient", gradients, back * run.sums),
                ("log_tangent", run.tangents, depth),
                ("log_adjoint", run.tangents, back),
            )
        }
        found["rows"] = np.empty((len(LAYER_FIELDS), rows, run.inputs, depth))
        found["died"] = np.zeros((rows, run.inputs), dtype=np.int64)
        return found

    def __call__(self, found: Arrays, start: int, stop: int) -> None:
        """Run the trials start .. stop, numbered from the run's first, into `found`."""
        run, network, size = self.run, self.run.network, stop - start
        wide = run.shares_layers(size)
        threads = run.threads if wide else min(run.threads, size)
        for holder in self.holders:
            holder.move_to(run.first_trial + start)
        batch.run(
            self.holders,
            self.which,
            np.array(network.widths, dtype=np.int64),
            self.parent,
            self.x,
            self.log_x,
            self.given,
            self.log_given,
            _architecture(run, len(self.runs) > 1),
            run.first_trial,
            start,
            stop,
            run.graded,
            run.tangents,
            max(1, run.gradients),
            threads,
            wide,
            found["rows"],
            found["died"],
            found["log_gap"],
            found["log_kernel_gap"],
            found["log_gradient"],
            found["log_sum_gradient"],
            found["log_tangent"],
            found["log_adjoint"],
            *self.counters,
            self.status,
            self.stopped_at,
        )
        for holder in self.holders:
            if holder.error is not None:
                raise holder.error

    def _counters(self, threads: int) -> tuple[npt.NDArray[Any], ...]:
        """Edges, counts, exponents and values outside, one set for each thread and all trials."""
        depth, wanted = self.run.network.depth, self.run.histogram
        bins = 0 if wanted is None else wanted if isinstance(wanted, int) else len(wanted) - 1
        return (
            wanted if isinstance(wanted, np.ndarray) else np.empty(0),
            np.zeros((threads, 2, depth, bins), dtype=np.int64),
            np.full((threads, 2, depth), NO_SCALE, dtype=np.int64),
            np.zeros((threads, 2, depth, 2), dtype=np.int64),
        )

    def trouble(self, number: int) -> OverflowError | None:
        """What went wrong in one of the runs."""
        run = self.runs[number]
        status = self.status[number * run.trials : (number + 1) * run.trials]
        failed = np.flatnonzero(status)
        if not failed.size:
            return None
        layer, code = int(self.stopped_at[number * run.trials + failed[0]]), int(status[failed[0]])
        act = run.network.acts[layer - 1]
        back, code = divmod(code, batch.BACK_STATUS)
        if code == batch.LOST_STATUS:
            return OverflowError(
                f"in layer {layer} every value or slope of activation {str(act)!r} is below "
                "float64; only one input of a plain network is followed further than that: "
                "use another sigma_w, less depth, or backward=False"
            )
        if code == batch.UNCOUNTED_STATUS:
            return OverflowError(uncountable(layer))
        return OverflowError((trouble_back if back else trouble)(act, code, layer))

    def finish(self, everything: Arrays, number: int) -> Arrays:
        """Of one run, in the order of the inputs, axes of length 1 dropped, named as in `Rows`."""
        run = self.run
        mine = slice(number * run.trials, (number + 1) * run.trials)
        found = {name: array[mine] for name, array in everything.items() if name != "rows"}
        rows = everything["rows"][:, mine]
        back = np.argsort(self.order) if run.reordered else slice(None)
        arrays = dict(zip(LAYER_FIELDS, rows[:, :, back], strict=True))
        arrays["died"] = found["died"][:, back]
        for name in ("log_gradient", "log_sum_gradient"):
            shape = (run.trials, run.graded, run.gradients, found[name].shape[-1])
            if found[name].size:
                arrays[name] = found.pop(name).reshape(shape)[:, back]
        if run.pairs:
            moved = pairs_moved(self.order) if run.reordered else slice(None)
            for name in ("log_gap", "log_kernel_gap"):
                arrays[name] = found.pop(name)[:, moved]
        for name in ("log_tangent", "log_adjoint"):
            if found[name].size:
                arrays[name] = found[name]
        arrays = {name: without_ones(array) for name, array in arrays.items()}
        if run.histogram is not None:
            arrays |= self._histogram().arrays()
        return arrays

    def _histogram(self) -> Histogram:
        fixed = self.run.histogram if isinstance(self.run.histogram, np.ndarray) else None
        _, counts, exponents, outside = self.counters
        total: Histogram | None = None
        for thread in range(len(counts)):
            both = [
                Counts(counts[thread, i], exponents=exponents[thread, i])
                if fixed is None
                else Counts(counts[thread, i], fixed=fixed, outside=outside[thread, i])
                for i in range(2)
            ]
            one = Histogram(*both)
            total = one if total is None else total + one
        assert total is not None
        return total


def _plans(
    network: Network, seed: int, saturated_below: float
) -> tuple[list[PlanHolder], npt.NDArray[np.int32]]:
    """A plan for each kind of layer, and which one each layer has."""
    if network.alike:
        return [plan_of(network, seed, saturated_below)], np.zeros(network.depth, dtype=np.int32)
    kinds: dict[Any, int] = {}
    holders: list[PlanHolder] = []
    which = np.empty(network.depth, dtype=np.int32)
    for layer, kind in enumerate(zip(network.acts, network.schemes, strict=True)):
        found = next((number for one, number in kinds.items() if one == kind), None)
        if found is None:
            found = kinds[kind] = len(holders)
            holders.append(plan_of(network, seed, saturated_below, layer))
        which[layer] = found
    return holders, which


def _architecture(run: Run, together: bool) -> dict[str, Any]:
    network, level = run.network, _hold(run, together)[0]
    residual, norm = network.residual, network.norm
    return {
        "dense": run.engine == "dense",
        "step": _step(run),
        "holds": level,
        "shares": together and level > 0,
        "residual": residual is not None,
        "skip": 0.0 if residual is None else residual.skip,
        "branch": 1.0 if residual is None else residual.factor(network.depth),
        "norm": 0 if norm is None else _NORMS[norm.kind],
        "post": norm is not None and norm.place == "post",
        "keep": network.keep,
        "last_source": network.last_source,
    }


def _step(run: Run) -> int:
    """How many layers' pre-activations are at hand on the way back; of the others one in so many.

    Without skip connections and drawn weights none are kept: they are made again.
    """
    depth = run.network.depth
    if not run.backward:
        return 2
    return max(2, depth if depth * _frame(run) <= _KEPT else math.isqrt(depth - 1) + 1)


def _hold(run: Run, together: bool = False) -> tuple[int, int]:
    """What is held of the way up for the way back, and its bytes.

    0: nothing; 1: what is drawn; 2: activations and slopes, too. What several runs draw together
    is held for all of them.
    """
    network = run.network
    if run.engine == "dense" or not (run.backward or together):
        return 0, 0
    columns = run.inputs + run.tangents
    one = network.depth * (_frame(run) // columns)
    drawn = (columns + 1) * one
    layers = drawn + (columns + run.graded) * one
    limit = _HELD
    if together:
        back = run.graded * run.gradients * one
        drawn, layers, limit = drawn + back, layers + back, _SHARED
    plain = network.residual is None and network.norm is None
    if run.backward and plain and layers <= limit:
        return 2, int(layers)
    return (1, int(drawn)) if drawn <= limit else (0, 0)


def _frame(run: Run) -> int:
    """Bytes of a layer's pre-activations."""
    return 8 * (run.inputs + run.tangents) * (-(-max(run.network.widths) // 16) * 16 + 16)


def _piece(run: Run, networks: int = 1) -> int:
    """Trials between two looks at Python, of so many networks together."""
    sizes = np.array(run.network.widths, dtype=np.float64)
    columns = run.inputs + run.tangents
    work = float(sizes.sum()) * columns * (10 + 4 * columns) * (1 + 2 * run.backward)
    if run.engine == "dense":
        work += float((sizes[1:] * sizes[:-1]).sum()) * (2 + columns) * (1 + run.backward)
    return max(run.threads, min(run.trials, int(_PIECE * run.threads / (work * networks))))


def memory(run: Run, together: bool = False) -> int:
    """Bytes that the engine's vectors take, results aside."""
    piece = min(_piece(run), run.trials)
    last = run.trials % piece or piece  # may be so few that the threads share each layer
    return max(_memory(run, together, trials) for trials in (piece, last))


def _memory(run: Run, together: bool, trials: int) -> int:
    """The same while so many are at work."""
    columns, depth = run.inputs + run.tangents, run.network.depth
    gradients = run.graded * run.gradients + run.tangents * run.backward
    shared = run.shares_layers(trials)
    workers = 1 if shared else min(run.threads, trials)
    vectors = 4 * columns + run.inputs + 1
    vectors += (columns + run.graded + 2 * gradients) * run.backward
    each = vectors * _frame(run) // columns
    if run.network.residual is not None or run.engine == "dense":
        step = _step(run)
        each += (step + (depth // step) * run.backward) * _frame(run)
    each += _hold(run, together)[1]
    if run.engine == "dense":
        each += (16 if shared else 1) * gradients * _frame(run) // columns
    each += 8 * depth * columns * (columns + 5) * run.backward + 32 * (columns + gradients) ** 2
    counters = 0
    if run.histogram is not None:
        bins = run.histogram if isinstance(run.histogram, int) else len(run.histogram)
        counters = 16 * depth * (bins + 3)
    sums = counters * min(2, run.threads - 1)  # of those of several threads, and the one before
    if run.engine == "dense":
        counters += 8 * 16 * (max(run.network.widths) + 256)
    # and a second copy of the results, while they are put in order
    results = 8 * run.statistics * run.trials * depth * run.reordered
    return workers * each + run.threads * (counters + 40 * run.inputs * _BLOCK) + sums + results
