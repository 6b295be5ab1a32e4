"""One file per result; each has a function `derivation()` that makes its Derivation."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from ..derivation import Derivation
from . import linear, relu

__all__ = ["derivations", "derive"]

_ROOMS: dict[str, Callable[[], Derivation]] = {
    "linear": linear.derivation,
    "relu": relu.derivation,
}


def derive(name: str) -> Derivation:
    """The derivation of that name.

    Parameters
    ----------
    name : str
        See `derivations`.

    Returns
    -------
    Derivation
        Not checked yet: `Derivation.check` and `Derivation.markdown` do that.

    Raises
    ------
    ValueError
        For an unknown name; the text lists the known ones.

    Examples
    --------
    >>> derive("relu").title
    "ReLU's factor of 2"
    """
    if name not in _ROOMS:
        near = difflib.get_close_matches(str(name).lower(), _ROOMS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown derivation {name!r}.{hint} Known: {', '.join(_ROOMS)}")
    return _ROOMS[name]()


def derivations() -> tuple[Derivation, ...]:
    """All derivations, in the order in which one would read them.

    Examples
    --------
    >>> [d.name for d in derivations()]
    ['linear', 'relu']
    """
    return tuple(make() for make in _ROOMS.values())
