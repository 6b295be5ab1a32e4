"""Propagation: what came out of a simulation; immutable, mergeable, printable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .network import Network
from .rows import Rows, counted
from .statistic import FloatArray, LayerStatistic

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .compare import Comparison
    from .plot import LayerLogs

__all__ = ["Propagation", "Rows", "input_label"]


@dataclass(frozen=True, repr=False, eq=False)
class Propagation:
    """What happened to a signal in many random networks, layer by layer.

    `varprop.simulate` makes it. Print it for a table; add two of them to merge trials; every
    quantity is a `LayerStatistic`.

    Parameters
    ----------
    network : Network
        What was simulated.
    rows : Rows
        What was measured, rows in the order of their trial numbers.
    seed : int
        Seed of the run.
    ranges : tuple of (first, stop)
        Which trials these are: ascending, disjoint, none empty.
    engine : str
        "matrix-free", "dense" or "reference".
    input_mean_square_log : float
        ln(|x|^2 / n_0); -inf for an input that is exactly 0.
    input_label : str
        Which input: "standard", or a fingerprint of the given one (see `input_label`).
    saturated_below : float
        A unit counts as saturated where |phi'| is at most this fraction of its supremum.
    version : str
        Version of varprop that ran.
    provenance : dict
        Where it ran: versions, instruction set. Says nothing about the numbers.

    Raises
    ------
    ValueError
        When rows, ranges and network don't fit together.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=3, width=50, act="tanh", trials=4, seed=1)
    >>> p.preactivation.mean.shape
    (3,)
    >>> q = varprop.simulate(depth=3, width=50, act="tanh", trials=6, first_trial=4, seed=1)
    >>> p + q == varprop.simulate(depth=3, width=50, act="tanh", trials=10, seed=1)
    True
    """

    network: Network
    rows: Rows
    seed: int
    ranges: tuple[tuple[int, int], ...]
    engine: str
    input_mean_square_log: float
    saturated_below: float
    version: str
    input_label: str = "standard"
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges = tuple((int(first), int(stop)) for first, stop in self.ranges)
        before = 0
        for first, stop in ranges:
            if not before <= first < stop:
                raise ValueError(f"ranges must be ascending, disjoint and not empty, got {ranges}")
            before = stop
        expected = (sum(stop - first for first, stop in ranges), self.network.depth)
        if self.rows.shape != expected:
            raise ValueError(
                f"rows of shape {self.rows.shape} don't fit (trials, depth) = {expected}"
            )
        if not self.input_mean_square_log < np.inf:
            raise ValueError(
                f"input_mean_square_log must be finite or -inf, got {self.input_mean_square_log}"
            )
        object.__setattr__(self, "ranges", ranges)
        object.__setattr__(self, "provenance", dict(self.provenance))

    @property
    def trials(self) -> int:
        """How many networks were drawn."""
        return self.rows.shape[0]

    @property
    def trial_numbers(self) -> npt.NDArray[np.int64]:
        """Number of the trial in each row."""
        return np.concatenate([np.arange(a, b, dtype=np.int64) for a, b in self.ranges])

    @property
    def dead(self) -> int:
        """How many networks died: all units exactly 0 in a layer, with no way back."""
        return int(np.count_nonzero(self.rows.died))

    @property
    def died(self) -> npt.NDArray[np.int64]:
        """First dead layer of every trial, 0 where the network lives."""
        return self.rows.died

    @cached_property
    def preactivation(self) -> LayerStatistic:
        """q: mean over units of the squared pre-activations."""
        return LayerStatistic("preactivation", self.rows.log_preactivation)

    @cached_property
    def activation(self) -> LayerStatistic:
        """a: mean over units of the squared activations."""
        return LayerStatistic("activation", self.rows.log_activation)

    @cached_property
    def variance(self) -> LayerStatistic:
        """K: variance of a pre-activation given the layer below."""
        return LayerStatistic("variance", self.rows.log_variance)

    @cached_property
    def activation_mean(self) -> LayerStatistic:
        """Mean over units of the activations; a signed quantity."""
        relative = self.rows.relative_mean
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(relative)) + self.rows.log_activation / 2
        return LayerStatistic("activation_mean", log, sign=np.sign(relative))

    @cached_property
    def relative_mean(self) -> LayerStatistic:
        """Mean of the activations over their root mean square, in [-1, 1]."""
        return LayerStatistic.of_values("relative_mean", self.rows.relative_mean)

    @cached_property
    def saturated(self) -> LayerStatistic:
        """Share of units whose slope is at most `saturated_below` times the largest slope."""
        return LayerStatistic.of_values("saturated", self.rows.saturated)

    @cached_property
    def zero(self) -> LayerStatistic:
        """Share of units that are exactly 0."""
        return LayerStatistic.of_values("zero", self.rows.zero)

    @property
    def backward(self) -> bool:
        """Whether gradients were measured."""
        return self.rows.log_gradient is not None

    @cached_property
    def gradient(self) -> LayerStatistic:
        """g: mean over units of the squared gradient with respect to their pre-activations.

        Of v . z^L, v a random direction with mean square 1: so g is 1 in the last layer.
        """
        return LayerStatistic("gradient", self._log_gradient)

    @cached_property
    def weight_gradient(self) -> LayerStatistic:
        """Squared norm of the gradient with respect to a layer's weight matrix."""
        below = np.empty_like(self.rows.log_activation)
        below[:, 0] = self.input_mean_square_log
        below[:, 1:] = self.rows.log_activation[:, :-1]
        log_fans = np.log(np.array(self.network.widths, dtype=np.float64))
        log = self._log_gradient + below + log_fans[1:] + log_fans[:-1]
        return LayerStatistic("weight_gradient", log)

    @cached_property
    def bias_gradient(self) -> LayerStatistic:
        """Squared norm of the gradient with respect to a layer's biases."""
        log_units = np.log(np.array(self.network.widths[1:], dtype=np.float64))
        return LayerStatistic("bias_gradient", self._log_gradient + log_units)

    @property
    def _log_gradient(self) -> FloatArray:
        if self.rows.log_gradient is None:
            raise ValueError("no gradient was measured: simulate with backward=True")
        return self.rows.log_gradient

    def __repr__(self) -> str:
        return (
            f"<Propagation: {counted(self.trials, 'trial')} of {self.network!r}, "
            f"engine {self.engine}, seed {self.seed}>"
        )

    def __str__(self) -> str:
        from .table import propagation_table

        return propagation_table(self)

    def __eq__(self, other: object) -> bool:
        """Equal when the same thing ran and gave the same bits; provenance may differ."""
        if not isinstance(other, Propagation):
            return NotImplemented
        return all(
            getattr(self, f.name) == getattr(other, f.name)
            for f in fields(self)
            if f.name != "provenance"
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Propagation) -> Propagation:
        """Merge disjoint trials of one and the same simulation.

        Raises
        ------
        ValueError
            When trials overlap or anything else differs; names it, with both values.
        """
        if not isinstance(other, Propagation):
            return NotImplemented
        from .merge import merge

        return merge(self, other)

    def __radd__(self, other: object) -> Propagation:
        # sum([p1, p2]) begins with 0.
        return self if other == 0 else NotImplemented

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file; `varprop.load` reads it. See `varprop.storage.save`."""
        from .storage import save

        save(self, path)

    def to_pandas(self) -> pandas.DataFrame:
        """One line per trial and layer, as a tidy pandas DataFrame.

        Columns: trial, layer, log_preactivation, log_activation, log_variance (natural
        logarithms; missing where the quantity is exactly 0), relative_mean, saturated, zero and
        dead (True from the layer on in which the network died).

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError('to_pandas() needs pandas: pip install "varprop[pandas]"') from None
        trials, layers = self.rows.shape
        layer = np.tile(np.arange(1, layers + 1), trials)
        died = np.repeat(self.died, layers)
        columns: dict[str, Any] = {"trial": np.repeat(self.trial_numbers, layers), "layer": layer}
        for name in self.rows.names[:-1]:
            values = getattr(self.rows, name).ravel()
            columns[name] = np.where(values == -np.inf, np.nan, values)
        columns["dead"] = (died > 0) & (layer >= died)
        return pandas.DataFrame(columns)

    def compare(self) -> Comparison:
        """Hold the simulation against theory; see `varprop.compare.compare`."""
        from .compare import compare

        return compare(self)

    def plot(
        self, ax: Axes | tuple[Axes, Axes] | None = None, prediction: LayerLogs | None = None
    ) -> Figure:
        """Draw the signal by depth; see `varprop.plot.plot`.

        Theory's line comes with ``prediction=varprop.theory.predict(p.network)``, and a file with
        ``varprop.plot.save_figure(p.plot(), "figure.png")``.
        """
        from .plot import plot

        return plot(self, ax, prediction=prediction)


def input_label(x: npt.NDArray[Any] | None) -> str:
    """Name an input, so that results for different inputs are never merged.

    Parameters
    ----------
    x : array or None
        The input; None stands for the standard one, of mean square 1.

    Returns
    -------
    str
        "standard", or length and fingerprint (SHA-256 of the float64 values).

    Examples
    --------
    >>> input_label(None), input_label(np.ones(3))
    ('standard', '3 numbers, sha256 cc143326a2646c60')
    """
    if x is None:
        return "standard"
    from hashlib import sha256

    values = np.ascontiguousarray(x, dtype="<f8").ravel()
    return f"{values.size} numbers, sha256 {sha256(values.tobytes()).hexdigest()[:16]}"
