"""Who takes part, and races between them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from workers import ContenderFailed, Remote, Worker, python_of

from varprop.bench.tasks import Task
from varprop.bench.turns import measure

MATRIX_FREE = "varprop, matrix-free"
DENSE = "varprop, dense"
NUMPY = "NumPy, drawn"
IDEA = "NumPy, matrix-free"


@dataclass(frozen=True)
class Contender:
    """One that takes part in the tasks.

    Parameters
    ----------
    name : str
    module : str
        Where its functions are.
    portion : {"drawn", "matrix_free", "compiled", "sampled", "dense"}
        Which of the task's portions one call has.
    environment : str, optional
        The folder of its environment; None for the one varprop is in.
    tasks : tuple of str, optional
        Only these; default: all that it has a function for.
    options : dict
        More arguments of its functions.
    """

    name: str
    module: str
    portion: str = "drawn"
    environment: str | None = None
    tasks: tuple[str, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def size(self, task: Task) -> tuple[int, int] | None:
        """Layers and networks of one call; None where it does not take part."""
        if self.tasks is not None and task.name not in self.tasks:
            return None
        if self.portion == "sampled":  # compiled for a minute at full depth
            return 10, 2
        if self.portion == "dense":
            return task.layers, 6
        return getattr(task, self.portion)  # type: ignore[no-any-return]


DENSELY = ("forward", "uniform_weights")
CONTENDERS = (
    Contender(NUMPY, "varprop.bench.numpy_drawn"),
    Contender("NumPy, drawn, float32", "contenders.numpy_float32"),
    Contender("PyTorch, drawn", "contenders.pytorch"),
    Contender("JAX, drawn", "contenders.jax_jitted", environment="jax"),
    Contender(
        "neural-tangents, drawn", "contenders.neural_tangents_sampled", "sampled",
        "neural-tangents", ("forward",),
    ),
    Contender(IDEA, "varprop.bench.numpy_matrix_free", "matrix_free"),
    Contender(DENSE, "varprop.bench.compiled", "dense", None, DENSELY, {"engine": "dense"}),
    Contender(
        MATRIX_FREE, "varprop.bench.compiled", "compiled", None,
        ("forward", "both_ways", "pair", "batch", "orthogonal_weights"),
    ),
    Contender("varprop, spectrum", "varprop.bench.compiled", "compiled", None, ("spectrum",)),
)  # fmt: skip


class Arena:
    """Workers, one for each module of contenders, started when first needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._workers: dict[tuple[str | None, str], Worker] = {}
        self.failed: dict[str, str] = {}
        self.versions: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def make(self, who: Contender, function: str, **arguments: Any) -> Remote | None:
        """Give a callable that runs there, or None: the reason is then in `failed`."""
        python = python_of(who.environment)
        if python is None:
            self.failed[who.name] = f"environment {who.environment} not made (make bench-peers)"
            return None
        key = who.environment, who.module
        try:
            if key not in self._workers:
                self._workers[key] = self._stack.enter_context(Worker(python))
            if who.name not in self.versions:
                self.versions[who.name] = self._workers[key].packages(who.module)
            return self._workers[key].make(who.module, function, **arguments, **who.options)
        except ContenderFailed as error:
            self.failed[f"{who.name}, {function}"] = str(error)
            return None

    def race(self, task: Task, turns: int) -> dict[str, list[float]]:
        """Seconds for a network of `task.layers` layers, by contender, a value a turn."""
        works = {}
        for who in CONTENDERS:
            size = who.size(task)
            if size is None:
                continue
            work = self.make(who, task.name, depth=size[0], width=task.width, trials=size[1])
            if work is not None and self.runs(f"{who.name}, {task.name}", work):
                works[who.name] = work, task.networks(size)
        return measure(works, turns, warm=True)

    def runs(self, what: str, work: Remote) -> bool:
        """Run it once; where it fails, `failed` says why."""
        try:
            work()
        except ContenderFailed as error:
            self.failed[what] = str(error)
            return False
        return True
