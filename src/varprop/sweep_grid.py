"""The grid of a sweep: which parameters vary, what each cell is, and how a store knows it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core.build_info import VERSION
from .activation import Activation
from .architecture import Norm, Residual
from .engines import Run
from .propagation import input_label
from .scheme import Scheme
from .simulate import prepare, simulate

FORMAT = 2  # of the store
_NETWORK_PARTS = (
    "depth", "width", "widths", "act", "scheme", "sigma_w", "sigma_b", "residual", "norm",
    "dropout",
)  # fmt: skip
# What a sweep says itself, or what makes no difference to the numbers; what has no row.
_NOT_SWEPT = ("network", "trials", "first_trial", "threads", "progress", "histogram", "spectrum")
_ARRAYS = ("x", "cotangents")  # which are one value each

Label = str | int | float


@dataclass(frozen=True)
class Axis:
    """One parameter that varies: what is given to `simulate`, and how the axis is labelled."""

    name: str
    values: tuple[Any, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Grid:
    """All cells of a sweep, numbered as NumPy numbers the elements of an array of this shape.

    Parameters
    ----------
    fixed : dict
        Parameters of `simulate` that are the same in all cells.
    axes : tuple of Axis
        Those that vary, the last the fastest.
    trials : int
        Networks of each cell.

    Examples
    --------
    >>> grid = Grid.of({"depth": 3, "act": "tanh", "sigma_w": [1.0, 1.5]}, trials=10)
    >>> grid.shape, grid.arguments(1)
    ((2,), {'depth': 3, 'act': 'tanh', 'sigma_w': 1.5, 'trials': 10})
    """

    fixed: Mapping[str, Any]
    axes: tuple[Axis, ...]
    trials: int

    @classmethod
    def of(cls, parameters: Mapping[str, Any], trials: int) -> Grid:
        """Sort the parameters into axes and fixed ones.

        Raises
        ------
        TypeError
            For a parameter that `simulate` does not have.
        ValueError
            For an axis that is empty, or has a value twice.
        """
        known = [name for name in inspect.signature(simulate).parameters if name not in _NOT_SWEPT]
        fixed, axes = {}, []
        for name, value in parameters.items():
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
                raise TypeError(f"sweep has no parameter {name!r}{hint}")
            values = _axis_values(name, value)
            if values is not None:
                axes.append(_axis(name, values))
            elif value is not None:
                fixed[name] = value
        return cls(fixed, tuple(axes), trials)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def arguments(self, cell: int) -> dict[str, Any]:
        """What `simulate` is called with in a cell."""
        places = np.unravel_index(cell, self.shape) if self.axes else ()
        chosen = {a.name: a.values[i] for a, i in zip(self.axes, places, strict=True)}
        return {**self.fixed, **chosen, "trials": self.trials}

    def describe(self, cell: int) -> str:
        """Where a cell is, for messages."""
        places = np.unravel_index(cell, self.shape) if self.axes else ()
        pairs = zip(self.axes, places, strict=True)
        return ", ".join(f"{a.name}={a.labels[i]!r}" for a, i in pairs) or "the only cell"

    def run(self, cell: int) -> Run:
        """The run of a cell, checked.

        Raises
        ------
        ValueError, TypeError, NotImplementedError
            As `simulate`, with the cell named.
        """
        with naming(self.describe(cell)) if self.axes else nullcontext():
            return run_of({**self.arguments(cell), "threads": 1})

    def runs(self) -> tuple[npt.NDArray[np.object_], tuple[int, ...]]:
        """Check every cell; the runs of those that may differ in size, and their shape.

        Along an axis of numbers that make no difference to what else is allowed, and none to the
        cost, every value is checked once, and not in every cell: its length is 1 in the shape.

        Raises
        ------
        ValueError, TypeError, NotImplementedError
            As `simulate`, with the cell named.

        Examples
        --------
        >>> Grid.of({"depth": [3, 4], "sigma_w": [1.0, 1.5]}, trials=10).runs()[1]
        (2, 1)
        """
        apart = [_stands_apart(axis) for axis in self.axes]
        shape = tuple(1 if a else n for a, n in zip(apart, self.shape, strict=True))
        found = np.empty(math.prod(shape), dtype=object)
        for number, places in enumerate(np.ndindex(shape)):
            found[number] = self.run(self._cell(places))
        for along, length in enumerate(self.shape):
            for place in range(1, length) if apart[along] else ():
                self.run(self._cell([place if i == along else 0 for i in range(len(shape))]))
        return found, shape

    def _cell(self, places: Sequence[int]) -> int:
        return int(np.ravel_multi_index(tuple(places), self.shape)) if self.axes else 0

    def definition(self) -> dict[str, Any]:
        """Everything that decides the numbers, as plain JSON.

        Examples
        --------
        >>> Grid.of({"depth": 3, "act": ["tanh"]}, trials=10).definition()["parameters"]
        {'depth': 3, 'act': ['tanh']}
        """
        plain = {name: _plain(name, value) for name, value in self.fixed.items()}
        plain |= {axis.name: [_plain(axis.name, v) for v in axis.values] for axis in self.axes}
        return {
            "format": FORMAT,
            "version": VERSION,
            "parameters": plain,
            "axes": [axis.name for axis in self.axes],
            "trials": self.trials,
        }


@contextmanager
def naming(cell: str) -> Iterator[None]:
    """Say in an error which cell it is about.

    Examples
    --------
    >>> with naming("sigma_w=-1"):
    ...     raise ValueError("must be positive")
    Traceback (most recent call last):
    ValueError: sigma_w=-1: must be positive
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError, MemoryError, NotImplementedError) as error:
        raise type(error)(f"{cell}: {error}") from error


def run_of(arguments: Mapping[str, Any]) -> Run:
    """The run that `simulate` makes of its arguments.

    Examples
    --------
    >>> run_of({"depth": 3, "correlation": 0.5}).inputs
    2
    """
    given = dict(arguments)
    parts = {name: given.pop(name, None) for name in _NETWORK_PARTS}
    return prepare(None, parts, **{**_defaults(), **given})


@cache
def _defaults() -> dict[str, Any]:
    """What `prepare` is called with where `simulate` is not told."""
    known = inspect.signature(prepare).parameters
    return {
        name: parameter.default
        for name, parameter in inspect.signature(simulate).parameters.items()
        if name in known and name != "network"
    }


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Say where two definitions differ, with both values.

    Examples
    --------
    >>> differences({"trials": 5, "parameters": {}}, {"trials": 6, "parameters": {"seed": 1}})
    ['trials: 5 here, 6 in the store', 'seed: not given here, 1 in the store']
    """
    flat = [{**d.get("parameters", {}), **d} for d in (ours, theirs)]
    found = []
    for name in dict.fromkeys((*flat[0], *flat[1])):
        texts = [_short(d[name]) if name in d else "not given" for d in flat]
        if name != "parameters" and (
            texts[0] != texts[1] or flat[0].get(name) != flat[1].get(name)
        ):
            found.append(f"{name}: {texts[0]} here, {texts[1]} in the store")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]}"


def _stands_apart(axis: Axis) -> bool:
    """Whether its values have no bearing on what is allowed along other axes, and on cost."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in axis.values)
    return numbers and axis.name in ("sigma_w", "sigma_b", "seed")


def _axis_values(name: str, value: Any) -> tuple[Any, ...] | None:
    """The values along an axis; None for a single one."""
    if name in _ARRAYS:
        return None
    if hasattr(value, "__array__") and np.ndim(value) == 1:  # of NumPy, pandas or xarray
        return tuple(np.asarray(value).tolist())
    if not isinstance(value, list | tuple | range):
        return None
    if name == "widths" and not all(isinstance(v, list | tuple | range) for v in value):
        return None
    if name == "act" and len(value) == 2 and all(_callable(v) for v in value):
        return None
    return tuple(value)


def _callable(value: Any) -> bool:
    return callable(value) and not isinstance(value, Activation)


def _axis(name: str, values: tuple[Any, ...]) -> Axis:
    if not values:
        raise ValueError(f"{name} is an empty list: an axis needs a value or more")
    labels = [_label(name, value) for value in values]
    if any(isinstance(label, str) for label in labels):
        labels = [str(label) for label in labels]
    twice = [label for label in labels if labels.count(label) > 1] if len(labels) < 1000 else []
    if twice or len(set(labels)) < len(labels):
        raise ValueError(f"{name} has a value twice{f': {twice[0]!r}' if twice else ''}")
    return Axis(name, values, tuple(labels))


def _label(name: str, value: Any) -> Label:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, Residual | Norm):
        return repr(value)
    plain = _plain(name, value)
    if isinstance(plain, dict):
        return f"{plain['callable']} ({plain['fingerprint'][:8]})"
    if isinstance(plain, list):
        return ",".join(str(part) for part in plain)
    return str(plain)


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it; what can be, such that `sweep` takes it back."""
    if name in _ARRAYS and np.ndim(value):
        return input_label(np.asarray(value))
    if isinstance(value, np.generic):
        return _plain(name, value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if name == "act" and not isinstance(value, str | list):
        act = Activation.parse(value)
        if act.formula is None:
            return {"callable": act.name, "fingerprint": act.fingerprint}
        return str(act)
    if isinstance(value, Scheme):
        return str(value)
    if isinstance(value, Residual | Norm):
        return asdict(value)
    if isinstance(value, list | tuple | range | np.ndarray):
        return [_plain(name, part) for part in value]
    return value if isinstance(value, str | int | float | bool) or value is None else repr(value)
