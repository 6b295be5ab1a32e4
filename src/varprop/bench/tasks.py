"""What contenders are asked to do, and in which portions they are timed."""

from __future__ import annotations

from dataclasses import dataclass

DEPTH = 200  # times are those of one network of so many layers


@dataclass(frozen=True)
class Task:
    """One thing to measure; contenders have a function of this name.

    Parameters
    ----------
    name, title : str
        The function, and what people call it.
    drawn, matrix_free, compiled : (depth, trials)
        How many layers and networks one call has, for contenders that draw their matrices, for
        NumPy with the matrix-free idea, and for varprop: portions of about 0.1 to 0.5 seconds.
        A layer takes the same time whatever their number, so `depth` may be less than `layers`.
    width : int, default 1000
        Units of every layer.
    layers : int, default 200
        Of the network whose time is stated.
    """

    name: str
    title: str
    drawn: tuple[int, int]
    matrix_free: tuple[int, int] | None
    compiled: tuple[int, int]
    width: int = 1000
    layers: int = DEPTH

    def networks(self, portion: tuple[int, int]) -> float:
        """Networks of `layers` layers that a portion makes up."""
        depth, trials = portion
        return depth * trials / self.layers


FORWARD = Task("forward", "one input, up", (40, 1), (200, 20), (200, 1000))
MORE = (
    Task("both_ways", "up and back", (20, 1), (200, 10), (200, 300)),
    Task("pair", "two inputs, up", (20, 1), (200, 10), (200, 300)),
    Task("batch", "64 inputs, up", (20, 1), (20, 1), (20, 4)),
    Task("uniform_weights", "uniform weights, up", (60, 1), None, (40, 2)),
    Task("orthogonal_weights", "orthogonal weights, up", (2, 1), (200, 20), (200, 300)),
    Task(
        "spectrum", "all singular values, width 200, depth 20",
        (20, 8), None, (20, 4), width=200, layers=20,
    ),
)  # fmt: skip
TASKS = (FORWARD, *MORE)
