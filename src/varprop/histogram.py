"""Histogram: how pre-activations and activations are spread in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .statistic import FloatArray

IntArray = npt.NDArray[np.int64]

QUANTITIES = ("preactivation", "activation")
EDGES = "histogram_edges"
ARRAYS = (
    *(f"{q}_{name}" for q in QUANTITIES for name in ("counts", "exponents", "outside")),
    EDGES,
)
DEFAULT_BINS, MOST_BINS = 64, 65536
MOST_LOG = 1e9  # |ln| of values up to which float64 knows what is left beside a power of two
NO_SCALE = -(2**62)  # exponent of a layer whose values are all exactly 0: any width would do


@dataclass(frozen=True, eq=False, repr=False)
class Counts:
    """How many values of one quantity fall in each bin, layer by layer.

    A bin holds its left edge and not its right one. Automatic bins have the width 2^e with one
    integer e for each layer, and lie symmetrically around 0; e is the smallest with which all
    values fit, however far outside float64 they are. Counts of two runs then add up exactly to
    those of one: neighbouring bins of the finer one are joined first.

    Parameters
    ----------
    counts : integer array, shape (depth, bins)
    exponents : integer array, shape (depth,), optional
        e of each layer, for automatic bins.
    fixed : array, shape (bins + 1,), optional
        The edges, for fixed bins.
    outside : integer array, shape (depth, 2), optional
        Values below the first and above the last edge, for fixed bins.

    Raises
    ------
    ValueError
        When they don't fit together.

    Examples
    --------
    >>> c = Counts(np.array([[1, 2, 3, 4]]), exponents=np.array([-1]))
    >>> c.edges(1)
    array([-1. , -0.5,  0. ,  0.5,  1. ])
    >>> c.density(1)
    array([0.2, 0.4, 0.6, 0.8])
    >>> (c + Counts(np.array([[0, 0, 1, 0]]), exponents=np.array([0]))).counts
    array([[0, 3, 8, 0]])
    """

    counts: IntArray
    exponents: IntArray | None = None
    fixed: FloatArray | None = None
    outside: IntArray | None = None

    def __post_init__(self) -> None:
        if (self.exponents is None) == (self.fixed is None):
            raise ValueError("give the exponents of automatic bins, or the edges of fixed ones")
        if (self.fixed is None) != (self.outside is None):
            raise ValueError("values outside are counted with fixed bins, and only there")
        shape = np.shape(self.counts)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"counts must have the shape (depth, bins), got {shape}")
        depth, bins = shape
        expected = {"counts": shape, "exponents": (depth,), "outside": (depth, 2)}
        for name, wanted in expected.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = np.ascontiguousarray(value, dtype=np.int64).view()
            if array.shape != wanted:
                raise ValueError(f"{name} must have the shape {wanted}, got {array.shape}")
            if name != "exponents" and array.min() < 0:
                raise ValueError(f"{name} must not be negative, got {array.min()}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.fixed is None:
            if bins % 2:
                raise ValueError(f"the number of automatic bins must be even, got {bins}")
            return
        edges = np.ascontiguousarray(self.fixed, dtype=np.float64).view()
        if edges.shape != (bins + 1,) or not (np.diff(edges) > 0).all():
            raise ValueError(f"fixed must be {bins + 1} ascending edges, got {edges}")
        edges.flags.writeable = False
        object.__setattr__(self, "fixed", edges)

    @property
    def bins(self) -> int:
        """Number of bins."""
        return int(self.counts.shape[1])

    @property
    def depth(self) -> int:
        """Number of layers."""
        return int(self.counts.shape[0])

    @property
    def totals(self) -> IntArray:
        """Number of values in each layer, those outside fixed bins included; shape (depth,)."""
        inside: IntArray = self.counts.sum(axis=1)
        return inside if self.outside is None else inside + self.outside.sum(axis=1)

    def edges(self, layer: int) -> FloatArray:
        """The edges of the bins of a layer, 1 to depth; shape (bins + 1,).

        Raises
        ------
        OverflowError
            When they are outside float64: bin i then begins at (i - bins/2) 2^exponents[layer-1].
        ValueError
            When all values of the layer are exactly 0 and nothing sets a width.
        """
        row = self._row(layer)
        if self.exponents is None:
            assert self.fixed is not None
            return self.fixed
        edges: FloatArray = np.arange(self.bins + 1, dtype=np.float64) - self.bins // 2
        return edges * self._width(row)

    def density(self, layer: int) -> FloatArray:
        """Share of a layer's values in each bin, over the bin's width; shape (bins,).

        With fixed bins it integrates to the share of values within them. Raises as `edges`.
        """
        row = self._row(layer)
        share: FloatArray = self.counts[row] / max(1, int(self.totals[row]))
        if self.exponents is None:
            return share / np.diff(self.edges(layer))
        return share / self._width(row)

    def __repr__(self) -> str:
        return f"<Counts: {int(self.totals.sum())} values in {_described(self)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        names = ("counts", "exponents", "fixed", "outside")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Counts) -> Counts:
        """The values of both together; ValueError when the bins are of another kind."""
        if not isinstance(other, Counts):
            return NotImplemented
        same = self.counts.shape == other.counts.shape and np.array_equal(self.fixed, other.fixed)  # type: ignore[arg-type]
        if not same:
            raise ValueError(
                f"histograms of other bins don't add up: {_described(self)} and {_described(other)}"
            )
        if self.exponents is None or other.exponents is None:
            return Counts(
                self.counts + other.counts,
                fixed=self.fixed,
                outside=self.outside + other.outside,  # type: ignore[operator]
            )
        exponents = np.maximum(self.exponents, other.exponents)
        counts = np.zeros_like(self.counts)
        for one in (self, other):
            for layer, doublings in enumerate(exponents - one.exponents):
                counts[layer] += coarsened(one.counts[layer], doublings)
        return Counts(counts, exponents=exponents)

    def _row(self, layer: int) -> int:
        if not 1 <= layer <= self.depth:
            raise ValueError(f"layer must be from 1 to {self.depth}, got {layer!r}")
        return layer - 1

    def _width(self, row: int) -> float:
        assert self.exponents is not None
        exponent = int(self.exponents[row])
        if exponent == NO_SCALE:
            raise ValueError(f"all values of layer {row + 1} are exactly 0: its bins have no width")
        if not -1021 <= exponent <= 1023 - self.bins.bit_length():
            raise OverflowError(
                f"the bins of layer {row + 1} are 2^{exponent} wide, outside float64; use .counts "
                "and .exponents"
            )
        return 2.0**exponent


@dataclass(frozen=True, repr=False)
class Histogram:
    """Where pre-activations z and activations h lie, summed over trials and inputs.

    Parameters
    ----------
    preactivation, activation : Counts

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=2, width=50, act="relu", trials=4, histogram=8,
    ...                      engine="reference")
    >>> p.histogram.activation.totals
    array([200, 200])
    """

    preactivation: Counts
    activation: Counts

    def __post_init__(self) -> None:
        if self.preactivation.depth != self.activation.depth:
            raise ValueError(
                f"histograms of {self.preactivation.depth} and {self.activation.depth} layers"
            )

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.preactivation.depth

    def __repr__(self) -> str:
        pre, post = self.preactivation, self.activation
        return (
            f"<Histogram: {int(pre.totals.sum())} pre-activations in {_described(pre)}, as many "
            f"activations in {_described(post)}>"
        )

    def __add__(self, other: Histogram) -> Histogram:
        """The values of both together."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return Histogram(
            self.preactivation + other.preactivation, self.activation + other.activation
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays by name, of which `of_arrays` makes it again."""
        found = {}
        for quantity in QUANTITIES:
            counts = getattr(self, quantity)
            for name in ("counts", "exponents", "outside"):
                if getattr(counts, name) is not None:
                    found[f"{quantity}_{name}"] = getattr(counts, name)
        if self.preactivation.fixed is not None:
            found[EDGES] = self.preactivation.fixed
        return found

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Histogram | None:
        """The histogram of arrays named as by `arrays`; None where there are none."""
        if "preactivation_counts" not in arrays:
            return None
        edges = arrays.get(EDGES)
        return cls(
            *(
                Counts(
                    arrays[f"{quantity}_counts"],
                    exponents=arrays.get(f"{quantity}_exponents"),
                    fixed=edges,
                    outside=arrays.get(f"{quantity}_outside"),
                )
                for quantity in QUANTITIES
            )
        )


def coarsened(counts: IntArray, doublings: int) -> IntArray:
    """The same values in bins that are 2^doublings times as wide.

    Examples
    --------
    >>> coarsened(np.array([1, 2, 3, 4]), 1)
    array([0, 3, 7, 0])
    """
    half = len(counts) // 2
    wider = np.zeros_like(counts)
    # a bin's number, counted from 0, is the floor of value / width: so it halves with a floor
    place = (np.arange(len(counts)) - half) >> min(int(doublings), 62)
    np.add.at(wider, place + half, counts)
    return wider


def _described(counts: Counts) -> str:
    kind = "automatic" if counts.fixed is None else "fixed"
    return f"{counts.bins} {kind} bins of {counts.depth} layers"


def uncountable(layer: int) -> str:
    """Why the values of a layer can't be counted in automatic bins."""
    return (
        f"in layer {layer} values are beyond e^(+-{MOST_LOG:g}), where automatic bins have no "
        "width; give the edges of fixed ones (histogram=[...]), histogram=None, or less depth"
    )
