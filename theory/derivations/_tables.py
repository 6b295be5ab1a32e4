"""Tables that several derivations share: a quantity at a few depths, one row per setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..derivation import Table
from ..document import power_of_ten

__all__ = ["by_depth"]


def by_depth(
    caption: str, heading: str, rows: Iterable[tuple[str, Any]], depths: Sequence[int]
) -> Table:
    """A table of e^(log[depth - 1]) for every row (label, log) and every depth.

    Examples
    --------
    >>> by_depth("Powers of e:", "base", [("e", [1.0, 2.0, 3.0])], (1, 3)).rows
    (('e', '$2.72$', '$20.1$'),)
    """
    return Table(
        caption,
        (heading, *(f"depth {depth}" for depth in depths)),
        tuple(
            (label, *(power_of_ten(float(log[depth - 1])) for depth in depths))
            for label, log in rows
        ),
    )
