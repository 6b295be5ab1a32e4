"""Rows: what an engine hands over, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .statistic import FloatArray

LOGS = ("log_preactivation", "log_activation", "log_variance")
SHARES = ("relative_mean", "saturated", "zero")
LAYER_FIELDS = LOGS + SHARES
BACKWARD = "log_gradient"  # measured only on the way back
GRADIENTS = (BACKWARD, "log_sum_gradient")
GAPS = ("log_gap", "log_kernel_gap")
TANGENTS = ("log_tangent", "log_adjoint")
OPTIONAL = GRADIENTS + GAPS + TANGENTS
_LOG_OF_TWO = math.log(2) + 1e-9  # 1 - c is 2 at most, give or take its last bits


@dataclass(frozen=True, eq=False)
class Rows:
    """What an engine measures: one row per trial, one column per layer.

    Between the axes of trials and layers there may be others: one for the inputs, one for the
    cotangents, the pairs (in the order of `itertools.combinations`) or the tangents. An axis of
    length 1 is not there.

    Parameters
    ----------
    log_preactivation, log_activation, log_variance : array, shape (trials, [inputs,] layers)
        ln q, ln a and ln K of the glossary; -inf where exactly 0.
    relative_mean : array, shape (trials, [inputs,] layers)
        mean(h) / sqrt(a), in [-1, 1]; 0 where a = 0.
    saturated, zero : array, shape (trials, [inputs,] layers)
        Shares of units, in [0, 1].
    died : integer array, shape (trials, [inputs])
        First layer whose units are all exactly 0 in a network that can't recover; 0 if it lives.
    log_gradient : array, shape (trials, [inputs,] [cotangents,] layers), optional
        ln g; -inf where exactly 0. None where nothing was sent back.
    log_sum_gradient : array of the same shape, optional
        The same with respect to what a norm after the sum ("post") reads; only there.
    log_gap, log_kernel_gap : array, shape (trials, [pairs,] layers), optional
        ln(1 - c) of the pre-activations, and of their kernel given the layer below; -inf where
        two are identical, +inf where one is exactly 0 and has no direction.
    log_tangent, log_adjoint : array, shape (trials, [tangents,] layers), optional
        ln of the mean-square stretch of tangents of the first input, pushed forward, and of
        cotangents pulled back; -inf where the direction is lost.

    Raises
    ------
    ValueError
        When shapes don't fit together or a value is outside its range (nan included).

    Examples
    --------
    >>> one = np.zeros((1, 2))
    >>> Rows(one, one, one, one, one, one, np.zeros(1, dtype=np.int64))
    <Rows: 1 trial x 2 layers>
    """

    log_preactivation: FloatArray
    log_activation: FloatArray
    log_variance: FloatArray
    relative_mean: FloatArray
    saturated: FloatArray
    zero: FloatArray
    died: npt.NDArray[np.int64]
    log_gradient: FloatArray | None = None
    log_sum_gradient: FloatArray | None = None
    log_gap: FloatArray | None = None
    log_kernel_gap: FloatArray | None = None
    log_tangent: FloatArray | None = None
    log_adjoint: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.log_preactivation)
        if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[1] == 1):
            raise ValueError(
                "rows must have the shape (trials, layers), or (trials, inputs, layers) with "
                f"several inputs, got {shape}"
            )
        for name in self.names:
            dtype = np.int64 if name == "died" else np.float64
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype).view()
            _check_shape(name, array.shape, shape)
            _check_range(name, array, shape[-1])
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.log_sum_gradient is not None:
            _check_same(self, "log_sum_gradient", "log_gradient")
        if self.log_adjoint is not None and self.log_tangent is not None:
            _check_same(self, "log_adjoint", "log_tangent")

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays that are there, `died` last."""
        there = (name for name in OPTIONAL if getattr(self, name) is not None)
        return (*LAYER_FIELDS, *there, "died")

    @property
    def shape(self) -> tuple[int, int]:
        """(trials, layers)."""
        return len(self.log_preactivation), self.log_preactivation.shape[-1]

    @property
    def inputs(self) -> int:
        """How many inputs."""
        return 1 if self.log_preactivation.ndim == 2 else self.log_preactivation.shape[1]

    @property
    def cotangents(self) -> int:
        """How many gradients of each input; 0 where nothing was sent back."""
        if self.log_gradient is None:
            return 0
        extra = self.log_gradient.ndim > self.log_preactivation.ndim
        return self.log_gradient.shape[-2] if extra else 1

    @property
    def tangents(self) -> int:
        """How many tangents."""
        if self.log_tangent is None:
            return 0
        return 1 if self.log_tangent.ndim == 2 else self.log_tangent.shape[1]

    def of_input(self, number: int) -> Rows:
        """The rows of one input alone; tangents are those of the first."""
        arrays = {}
        for name in self.names:
            if name in GAPS or (name in TANGENTS and number):
                continue
            array = getattr(self, name)
            of_all = name in TANGENTS or self.inputs == 1
            arrays[name] = array if of_all else array[:, number]
        return Rows(**arrays)

    def __repr__(self) -> str:
        trials, layers = self.shape
        inputs = f" x {self.inputs} inputs" if self.inputs > 1 else ""
        return f"<Rows: {counted(trials, 'trial')}{inputs} x {counted(layers, 'layer')}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]


def _check_shape(name: str, got: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Against that of the first array, which says how many inputs there are."""
    if name in LAYER_FIELDS or name == "died":
        expected = shape[:-1] if name == "died" else shape
    elif name in GAPS:
        inputs = shape[1] if len(shape) == 3 else 1
        pairs = inputs * (inputs - 1) // 2
        if not pairs:
            raise ValueError(f"{name} needs two inputs or more")
        expected = (shape[0], *((pairs,) if pairs > 1 else ()), shape[-1])
    else:
        # one more axis is free, and isn't there when it has length 1
        start = shape[:-1] if name in GRADIENTS else shape[:1]
        free = got[len(start) : -1]
        extra = free if len(free) == 1 and free[0] > 1 else ()
        expected = (*start, *extra, shape[-1])
    if got != expected:
        raise ValueError(f"{name} must have the shape {expected}, got {got}")


def _check_same(rows: Rows, name: str, other: str) -> None:
    ours, theirs = (getattr(rows, field) for field in (name, other))
    if theirs is None or ours.shape != theirs.shape:
        shape = None if theirs is None else theirs.shape
        raise ValueError(f"{name} must have the shape of {other}, {shape}, got {ours.shape}")


def _check_range(name: str, array: npt.NDArray[Any], layers: int) -> None:
    lowest, highest = array.min(), array.max()  # both nan if there is one
    if name in GAPS:
        highest = array.max(initial=-np.inf, where=array != np.inf)
        fits, allowed = highest <= _LOG_OF_TWO, "at most ln 2, -inf for identical inputs, or inf"
    elif name in LOGS or name in OPTIONAL:
        fits, allowed = highest < np.inf, "finite, or -inf for an exact 0"
    elif name == "died":
        fits, allowed = lowest >= 0 and highest <= layers, f"layer numbers 1..{layers}, or 0"
    else:
        least = -1 if name == "relative_mean" else 0
        fits, allowed = lowest >= least and highest <= 1, f"in [{least}, 1]"
    if not fits:
        raise ValueError(f"{name} must be {allowed}; got values from {lowest} to {highest}")


def counted(number: int, noun: str) -> str:
    """Number and noun, "1 trial" or "2 trials"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def without_ones(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Without the axes of length 1 but for the trials' and, of floats, the layers'.

    Examples
    --------
    >>> without_ones(np.zeros((1, 1, 3, 1))).shape
    (1, 3, 1)
    >>> without_ones(np.zeros((4, 1), dtype=np.int64)).shape
    (4,)
    """
    last = 1 if array.dtype.kind == "f" else 0  # integers say when a trial died: no layers
    ends = array.shape[array.ndim - last :]
    between = array.shape[1 : array.ndim - last]
    return array.reshape(array.shape[0], *(size for size in between if size > 1), *ends)
