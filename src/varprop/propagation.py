"""Propagation: what came out of a simulation; immutable, mergeable, printable."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .histogram import Histogram
from .measured import Measured
from .network import Network
from .pairs import pairs_of
from .rows import Rows, counted

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .compare import Comparison
    from .jacobian_spectrum import JacobianSpectrum
    from .plot_theory import Wanted

__all__ = ["Propagation", "Rows", "input_label"]


@dataclass(frozen=True, repr=False, eq=False)
class Propagation(Measured):
    """What happened to a signal in many random networks, layer by layer.

    `varprop.simulate` makes it. Print it for a table; add two of them to merge trials; every
    quantity is a `LayerStatistic`. With several inputs or cotangents its arrays have axes for
    them between trials and layers, and ``p[b]`` is the result of input b alone.

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
    input_mean_square_log : float, or tuple of float
        ln(|x|^2 / n_0), -inf for an input that is exactly 0; one for each of several inputs.
    input_label : str
        Which input: "standard", or a fingerprint of the given one (see `input_label`).
    saturated_below : float
        A unit counts as saturated where |phi'| is at most this fraction of its supremum.
    version : str
        Version of varprop that ran.
    provenance : dict
        Where it ran: versions, instruction set. Says nothing about the numbers.
    cotangent_label : str
        What was sent back: "random", or a fingerprint of the given cotangents.
    histogram : Histogram, optional
        Where pre-activations and activations lie, summed over trials and inputs.
    spectrum : JacobianSpectrum, optional
        All singular values of the networks' Jacobians.

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
    input_mean_square_log: float | tuple[float, ...]
    saturated_below: float
    version: str
    input_label: str = "standard"
    provenance: Mapping[str, str] = field(default_factory=dict)
    cotangent_label: str = "random"
    histogram: Histogram | None = None
    spectrum: JacobianSpectrum | None = None

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
        logs = np.atleast_1d(self.input_mean_square_log)
        if not (logs < np.inf).all():
            raise ValueError(
                f"input_mean_square_log must be finite or -inf, got {self.input_mean_square_log}"
            )
        if logs.shape != (self.inputs,):
            raise ValueError(
                f"input_mean_square_log has {counted(logs.size, 'number')}, the rows have "
                f"{counted(self.inputs, 'input')}"
            )
        if self.histogram is not None and self.histogram.depth != self.network.depth:
            raise ValueError(
                f"a histogram of {counted(self.histogram.depth, 'layer')} doesn't fit depth "
                f"{self.network.depth}"
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
    def inputs(self) -> int:
        """How many inputs every network was given."""
        return self.rows.inputs

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of inputs, in the order of their axis."""
        return pairs_of(self.inputs)

    def input(self, number: int) -> Propagation:
        """The result of one input alone, numbered from 0; also ``p[number]``.

        Tangents belong to the first input; histograms, to all together, are left out.

        Raises
        ------
        IndexError
            When there is no such input.
        """
        if not 0 <= number < self.inputs:
            raise IndexError(f"input {number} of {self.inputs}: they are numbered from 0")
        if self.inputs == 1:
            return self
        logs = self.input_mean_square_log
        return replace(
            self,
            rows=self.rows.of_input(number),
            input_mean_square_log=logs[number] if isinstance(logs, tuple) else logs,
            input_label=f"number {number} of {self.input_label}",
            histogram=None,
        )

    def __getitem__(self, number: int) -> Propagation:
        """The result of one input alone."""
        return self.input(number)

    @property
    def why_engine(self) -> str:
        """Why this engine ran, in words."""
        return self.provenance.get("why_engine", "")

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

    def to_pandas(self, *, pairs: bool = False) -> pandas.DataFrame:
        """One line per trial, input and layer, as a tidy pandas DataFrame.

        Columns: trial, input (where there are several), layer, log_preactivation, log_activation,
        log_variance (natural logarithms; missing where the quantity is exactly 0), relative_mean,
        saturated, zero, what else was measured, and dead (True from the layer on in which the
        network died). Several cotangents or tangents have a numbered column each; tangents are
        the first input's.

        Parameters
        ----------
        pairs : bool, default False
            One line per trial, pair and layer instead: trial, input, other, layer, log_gap and
            log_kernel_gap (missing where identical, inf where one of the two is exactly 0).

        Raises
        ------
        ImportError
            When pandas is not installed.
        ValueError
            When pairs are asked for and there is one input.
        """
        from . import frame

        return frame.of_pairs(self) if pairs else frame.of_layers(self)

    def compare(self) -> Comparison:
        """Hold the simulation against theory; see `varprop.compare.compare`."""
        from .compare import compare

        return compare(self)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from .html import propagation_html

        return propagation_html(self)

    @overload
    def plot(self, ax: None = None, prediction: Wanted = None) -> Figure: ...
    @overload
    def plot(self, ax: Axes, prediction: Wanted = None) -> Axes: ...
    @overload
    def plot(self, ax: Sequence[Axes], prediction: Wanted = None) -> Sequence[Axes]: ...
    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, prediction: Wanted = None
    ) -> Figure | Axes | Sequence[Axes]:
        """Draw signal, gradient and saturation by depth, and theory; see `varprop.plot.plot`.

        ``varprop.plot.save_figure(p.plot(), "figure.png")`` writes a file.
        """
        from .plot import plot

        return plot(self, ax, prediction=prediction)


def input_label(x: npt.NDArray[Any] | None, log_gap: float | None = None) -> str:
    """Name an input, so that results for different inputs are never merged.

    Parameters
    ----------
    x : array of shape (n,) or (inputs, n), or None
        The input or inputs; None stands for the standard one, of mean square 1.
    log_gap : float, optional
        ln(1 - c) of a pair that was asked for by it.

    Returns
    -------
    str
        "standard", or length and fingerprint (SHA-256 of the float64 values).

    Examples
    --------
    >>> input_label(None), input_label(np.ones(3))
    ('standard', '3 numbers, sha256 cc143326a2646c60')
    >>> input_label(np.eye(2))
    '2 x 2 numbers, sha256 7b38b86d9a7e6237'
    >>> input_label(np.ones((2, 9)), log_gap=-50.0)
    'a pair with ln(1 - c) = -50.0'
    >>> input_label(np.ones((2, 9)), log_gap=math.log1p(-0.3))
    'a pair with correlation 0.3'
    """
    if log_gap is not None:
        c = round(-math.expm1(log_gap), 12)
        if c < 1 and math.log1p(-c) == log_gap:
            return f"a pair with correlation {c!r}"
        return f"a pair with ln(1 - c) = {log_gap!r}"
    if x is None:
        return "standard"
    from hashlib import sha256

    values = np.ascontiguousarray(x, dtype="<f8")
    size = f"{len(values)} x " if values.ndim == 2 and len(values) > 1 else ""
    digest = sha256(values.tobytes()).hexdigest()[:16]
    return f"{size}{values.shape[-1]} numbers, sha256 {digest}"
