"""Rows: what an engine hands over, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .statistic import FloatArray

LOGS = ("log_preactivation", "log_activation", "log_variance")
SHARES = ("relative_mean", "saturated", "zero")
LAYER_FIELDS = LOGS + SHARES
BACKWARD = "log_gradient"  # measured only on the way back


@dataclass(frozen=True, eq=False)
class Rows:
    """What an engine measures: one row per trial, one column per layer.

    Parameters
    ----------
    log_preactivation, log_activation, log_variance : array, shape (trials, layers)
        ln q, ln a and ln K of the glossary; -inf where exactly 0.
    relative_mean : array, shape (trials, layers)
        mean(h) / sqrt(a), in [-1, 1]; 0 where a = 0.
    saturated, zero : array, shape (trials, layers)
        Shares of units, in [0, 1].
    died : integer array, shape (trials,)
        First layer whose units are all exactly 0 in a network that can't recover; 0 if it lives.
    log_gradient : array, shape (trials, layers), optional
        ln g; -inf where exactly 0. None where nothing was sent back.

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

    def __post_init__(self) -> None:
        shape = np.shape(self.log_preactivation)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"rows must have the shape (trials, layers), got {shape}")
        for name in self.names:
            dtype = np.int64 if name == "died" else np.float64
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype).view()
            expected = shape[:1] if name == "died" else shape
            if array.shape != expected:
                raise ValueError(f"{name} must have the shape {expected}, got {array.shape}")
            _check_range(name, array, shape[1])
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays that are there, those of (trials, layers) first."""
        back = () if self.log_gradient is None else (BACKWARD,)
        return (*LAYER_FIELDS, *back, "died")

    @property
    def shape(self) -> tuple[int, int]:
        """(trials, layers)."""
        trials, layers = self.log_preactivation.shape
        return trials, layers

    def __repr__(self) -> str:
        trials, layers = self.shape
        return f"<Rows: {counted(trials, 'trial')} x {counted(layers, 'layer')}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]


def _check_range(name: str, array: npt.NDArray[Any], layers: int) -> None:
    lowest, highest = array.min(), array.max()  # both nan if there is one
    if name in LOGS or name == BACKWARD:
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
