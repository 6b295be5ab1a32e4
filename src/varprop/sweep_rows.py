"""What a sweep keeps of every cell: a row for each quantity of each input, pair or tangent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from .pairs import pairs_of
from .propagation import Propagation
from .statistic import LayerStatistic


@dataclass(frozen=True)
class Quantity:
    """A quantity that a sweep keeps.

    Parameters
    ----------
    name : str
        Name of the `LayerStatistic` of a Propagation.
    axes : tuple of str
        What it has one of for each: "inputs" and "cotangents", "pairs", or "tangents".
    """

    name: str
    axes: tuple[str, ...]

    def measured(self, propagation: Propagation) -> LayerStatistic | None:
        """The statistic, or None where it was not measured."""
        rows = propagation.rows
        missing = {
            "cotangents": rows.log_gradient is None,
            "pairs": rows.log_gap is None,
            "tangents": rows.log_tangent is None if self.name == "tangent" else (
                rows.log_adjoint is None
            ),
        }  # fmt: skip
        if any(missing.get(axis, False) for axis in self.axes):
            return None
        statistic: LayerStatistic = getattr(propagation, self.name)
        return statistic


QUANTITIES = (
    *(Quantity(name, ("inputs",)) for name in ("variance", "preactivation", "activation")),
    Quantity("gradient", ("inputs", "cotangents")),
    *(Quantity(name, ("inputs",)) for name in ("relative_mean", "saturated", "zero")),
    *(Quantity(name, ("pairs",)) for name in ("correlation", "gap")),
    *(Quantity(name, ("tangents",)) for name in ("tangent", "adjoint")),
)


@dataclass(frozen=True)
class Shape:
    """How many there are of everything in a network, or at most in the cells of a sweep."""

    inputs: int
    cotangents: int
    tangents: int

    @classmethod
    def of(cls, propagation: Propagation) -> Shape:
        """That of a result."""
        rows = propagation.rows
        return cls(rows.inputs, rows.cotangents, rows.tangents)

    @property
    def pairs(self) -> int:
        """How many pairs of inputs."""
        return self.inputs * (self.inputs - 1) // 2

    def along(self, quantity: Quantity) -> tuple[int, ...]:
        """Lengths of the axes of a quantity."""
        return tuple(getattr(self, axis) for axis in quantity.axes)


@dataclass(frozen=True)
class Row:
    """One row: a quantity, and which input, cotangent, pair or tangent."""

    quantity: Quantity
    at: tuple[int, ...]
    label: str


def rows_of(shape: Shape) -> tuple[Row, ...]:
    """All rows of a sweep.

    Where a quantity has several, they are numbered as the axes of a `Propagation` are: "gradient"
    of one input and one cotangent, "gradient[1]", and "gradient[1,2]" of input 1 and cotangent 2.
    Pairs are named by both inputs, as in "gap[0,2]".

    Examples
    --------
    >>> [row.label for row in rows_of(Shape(2, 1, 0))][-5:]
    ['saturated[1]', 'zero[0]', 'zero[1]', 'correlation', 'gap']
    """
    return tuple(_rows(shape))


def _rows(shape: Shape) -> Iterator[Row]:
    pairs = pairs_of(shape.inputs)
    for quantity in QUANTITIES:
        # Without a gradient there still is the row, of nan, as theory may have one.
        lengths = [n or 1 if "inputs" in quantity.axes else n for n in shape.along(quantity)]
        for at in product(*map(range, lengths)):
            shown = [i for i, length in zip(at, lengths, strict=True) if length > 1]
            if quantity.axes == ("pairs",) and shown:
                shown = list(pairs[at[0]])
            numbers = f"[{','.join(map(str, shown))}]" if shown else ""
            yield Row(quantity, at, quantity.name + numbers)
