"""A sweep cut into pieces of even cost: the same pieces whoever computes them.

The grid is cut into blocks, each one chunk of the store: boxes of neighbouring cells that cost at
most a second together, or one cell. A piece is a run of neighbouring blocks that cost a second
together, or, where one cell costs more, some of its trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ._cached import cached_property
from .engines import Run
from .resources import require_memory
from .sweep_grid import Grid
from .sweep_rows import Row, Shape, rows_of

GOAL = 2.0e8  # numbers drawn (0.5 to 1 s of one thread) in a piece
_MOST_NUMBERS = 2**20  # rows times layers times cells of a block: a chunk has 8 MB at most


_CELL_BYTES = 200  # of the plan, for a cell at most: its cost, its piece


@dataclass(frozen=True)
class Piece:
    """Some neighbouring blocks, or a range of the trials of a block that is a single cell."""

    blocks: Sequence[int]
    first: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """What there is to do in a sweep.

    Parameters
    ----------
    grid : Grid
        The sweep.
    costs : array, shape (cells,)
        What a trial of each cell costs, in numbers drawn.
    depth : int
        Layers of the deepest cell.
    rows : tuple of Row
        What is kept of a cell.

    Examples
    --------
    >>> grid = Grid.of({"depth": 9, "width": [10, 20], "sigma_w": [1.0, 2.0, 3.0]}, trials=4)
    >>> plan = Plan.of(grid)
    >>> plan.blocks, plan.pieces
    (1, (Piece(blocks=range(0, 1), first=0, stop=4),))
    >>> grid = Grid.of({"depth": 100, "width": 10**6}, trials=2)
    >>> Plan.of(grid).pieces[0]
    Piece(blocks=range(0, 1), first=0, stop=1)
    """

    grid: Grid
    costs: npt.NDArray[np.float64]
    depth: int
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, grid: Grid) -> Plan:
        """Check every cell, and count what it costs.

        Raises
        ------
        MemoryError
            When there are too many cells.
        """
        require_memory(
            _CELL_BYTES * grid.size, f"a grid of {grid.size:,} cells",
            "sweep over parts of it, with a store for each",
        )  # fmt: skip
        runs, shape = grid.runs()
        costs = np.array([_cost(run) for run in runs]).reshape(shape)
        depth, *most = (
            max(sizes)
            for sizes in zip(
                *((r.network.depth, r.inputs, r.gradients, r.tangents) for r in runs), strict=True
            )
        )
        rows = rows_of(Shape(*most))
        return cls(grid, np.broadcast_to(costs, grid.shape).ravel(), depth, rows)

    @cached_property
    def block_shape(self) -> tuple[int, ...]:
        """Cells of a block along each axis; as many as the costliest cell allows."""
        most = int(GOAL / (float(self.costs.max()) * self.grid.trials))
        left = max(1, min(most, _MOST_NUMBERS // (self.depth * len(self.rows))))
        shape = []
        for length in reversed(self.grid.shape):
            shape.append(min(length, left))
            # Whole rows of the axes to the right, or a single one: so a block is a run of cells.
            left = left // length if left >= length else 1
        return tuple(reversed(shape))

    @cached_property
    def _blocks_along(self) -> tuple[int, ...]:
        return tuple(-(-n // b) for n, b in zip(self.grid.shape, self.block_shape, strict=True))

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return math.prod(self._blocks_along)

    def place(self, block: int) -> tuple[int, ...]:
        """Where a block is in the grid of blocks."""
        if not self.grid.axes:
            return ()
        return tuple(int(i) for i in np.unravel_index(block, self._blocks_along))

    def box(self, block: int) -> tuple[slice, ...]:
        """Which cells a block has, along each axis."""
        whole = zip(self.place(block), self.block_shape, self.grid.shape, strict=True)
        return tuple(slice(i * b, min((i + 1) * b, n)) for i, b, n in whole)

    def cells(self, block: int) -> list[int]:
        """Numbers of the cells of a block."""
        if not self.grid.axes:
            return [0]
        box = [np.arange(part.start, part.stop) for part in self.box(block)]
        return [int(i) for i in np.ravel_multi_index(np.ix_(*box), self.grid.shape).ravel()]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, in order."""
        return tuple(self._pieces())

    def _pieces(self) -> Iterator[Piece]:
        trials, start, cost = self.grid.trials, 0, 0.0
        for block in range(self.blocks):
            cells = self.cells(block)
            more = float(self.costs[cells].sum()) * trials
            parts = min(trials, round(more / GOAL)) if len(cells) == 1 else 1
            if start < block and (parts > 1 or cost + more > GOAL):
                yield Piece(range(start, block), 0, trials)
                start, cost = block, 0.0
            if parts > 1:
                edges = np.linspace(0, trials, parts + 1).round().astype(int).tolist()
                for first, stop in pairwise(edges):
                    yield Piece(range(block, block + 1), first, stop)
                start = block + 1
            else:
                cost += more
        if start < self.blocks:
            yield Piece(range(start, self.blocks), 0, trials)


def _cost(run: Run) -> float:
    """What a trial costs, in numbers drawn for one input; columns are made orthogonal in pairs."""
    columns = run.inputs + run.tangents
    return run.cost * columns * (5 + 2 * columns) / 7
