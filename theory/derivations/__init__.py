"""One file per result; each has a function `derivation()` that makes its Derivation."""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib import import_module

from varprop.activation import Activation

from ..derivation import Derivation

__all__ = ["NAMES", "derivations", "derive"]

# In the order in which one would read them.
NAMES = (
    "linear",
    "uniform_range",
    "backward",
    "xavier",
    "relu",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "kumar",
    "erf",
    "gelu",
    "selu",
    "sin",
    "correlation",
    "edge_of_chaos",
    "finite_width",
    "log_normal",
    "spectrum",
    "residual",
    "norm",
    "dropout",
)


def derive(name: str) -> Derivation:
    """The derivation of that name; or what can be derived for an activation or a formula.

    Parameters
    ----------
    name : str
        One of `derivations`; else an activation ("silu", "elu(1.5)") or a formula in x
        ("x*tanh(x)"), whose maps are derived in closed form or expanded.

    Returns
    -------
    Derivation
        Not checked yet: `Derivation.check` and `Derivation.markdown` do that.

    Raises
    ------
    ValueError
        For what is none of these; the text lists the derivations. Also for a formula that is no
        function of x, and for one with an infinite expectation.

    Examples
    --------
    >>> derive("relu").title
    "ReLU's factor of 2"
    >>> derive("x*cos(x)").title
    'What x*cos(x) does to a signal'
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a derivation must be a str, not {type(name).__name__}")
    if name in NAMES:
        return _room(name)
    try:
        act = Activation.parse(name)
    except ValueError as error:
        if not name.isidentifier():
            raise
        near = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"unknown derivation {name[:60]!r}.{hint} Known: {', '.join(NAMES)}; or an "
            "activation, or a formula in x, such as 'x*tanh(x)'"
        ) from error
    from ._formula import derivation

    return derivation(act)


@lru_cache(maxsize=len(NAMES))
def _room(name: str) -> Derivation:
    made: Derivation = import_module(f"{__name__}.{name}").derivation()
    return made


def derivations() -> tuple[Derivation, ...]:
    """All derivations, in the order in which one would read them.

    Examples
    --------
    >>> [d.name for d in derivations()][0]
    'linear'
    """
    return tuple(map(derive, NAMES))
