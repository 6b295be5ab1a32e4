"""What a layer may do beside weights and φ: a skip connection, a norm, dropout.

All three act on the stream of pre-activations, z^0 being absent (layer 1 reads the input):

    z^l = N_post( skip z^(l-1) + branch (W^l h^(l-1) + b^l) )
    h^l = mask^l φ(N_pre(z^l)) / keep
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("layer", "rms")
PLACES = ("pre", "post")
_BRANCHES = {"1/sqrt(depth)": lambda depth: depth**-0.5, "1/depth": lambda depth: 1 / depth}


@dataclass(frozen=True)
class Residual:
    """Skip connections: z^l = skip z^(l-1) + branch (W^l h^(l-1) + b^l), from layer 2 on.

    Layer 1 reads the input and has neither. All layers then have the same width; the input's may
    differ.

    Parameters
    ----------
    branch : float or str, default 1.0
        Factor of the branch, 1e-100 to 1e100; or "1/sqrt(depth)" or "1/depth".
    skip : float, default 1.0
        Factor of the skip connection, 1e-100 to 1e100 in absolute value.

    Raises
    ------
    ValueError, TypeError
        For anything outside these ranges.

    References
    ----------
    Hayou et al., arXiv 2010.12859 (branch 1/sqrt(depth)); Roberts, Yaida and Hanin, The Principles
    of Deep Learning Theory, 2022, appendix B (skip and branch).

    Examples
    --------
    >>> from varprop import Residual
    >>> Residual("1/sqrt(depth)").factor(100)
    0.1
    """

    branch: float | str = 1.0
    skip: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.branch, str):
            if self.branch.replace(" ", "") not in _BRANCHES:
                raise ValueError(
                    f"branch must be a number, {' or '.join(map(repr, _BRANCHES))}, "
                    f"not {self.branch!r}"
                )
            object.__setattr__(self, "branch", self.branch.replace(" ", ""))
        else:
            object.__setattr__(self, "branch", _factor("branch", self.branch))
        object.__setattr__(self, "skip", _factor("skip", self.skip))

    def factor(self, depth: int) -> float:
        """The branch's factor in a network of that depth."""
        if isinstance(self.branch, str):
            return float(_BRANCHES[self.branch](depth))
        return self.branch


@dataclass(frozen=True)
class Norm:
    """LayerNorm or RMSNorm, without gain, bias or epsilon.

    Parameters
    ----------
    kind : {"layer", "rms"}
        z -> (z - mean) / std over the layer's units, or z -> z / root mean square.
    place : {"pre", "post"}, default "pre"
        "pre": φ reads the normalised pre-activations, and a skip connection carries on those that
        are not (pre-LN). "post": the pre-activations themselves, the skip connection included,
        are normalised, and what follows reads those (post-LN).

    Raises
    ------
    ValueError
        For other names.

    References
    ----------
    Ba, Kiros and Hinton, arXiv 1607.06450 (LayerNorm); Zhang and Sennrich, arXiv 1910.07467
    (RMSNorm); Xiong et al., arXiv 2002.04745 (pre and post).

    Examples
    --------
    >>> from varprop import Norm
    >>> Norm("rms")
    Norm(kind='rms', place='pre')
    """

    kind: str
    place: str = "pre"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"norm must be {' or '.join(map(repr, KINDS))}, not {self.kind!r}")
        if self.place not in PLACES:
            raise ValueError(
                f"a norm's place must be {' or '.join(map(repr, PLACES))}, not {self.place!r}"
            )

    @property
    def fewest_units(self) -> int:
        """On fewer units the normalised signal is the same whatever the input."""
        return 3 if self.kind == "layer" else 2


def checked_residual(residual: Any, sizes: set[int]) -> Residual | None:
    """The record, fit for layers of these sizes (the input's not among them)."""
    if residual is None or isinstance(residual, Residual):
        if residual is not None and len(sizes) > 1:
            raise ValueError(
                f"{residual} adds layer to layer, so all must have one width; widths[1:] has "
                f"{', '.join(map(str, sorted(sizes)[:5]))}"
            )
        return residual
    raise TypeError(f"residual must be a Residual, as in Residual(branch=0.5), not {residual!r}")


def checked_norm(norm: Any, sizes: set[int]) -> Norm | None:
    """The record, from itself or a kind's name, fit for layers of these sizes."""
    if norm is None:
        return None
    if isinstance(norm, str):
        norm = Norm(norm)
    if not isinstance(norm, Norm):
        raise TypeError(f"norm must be 'layer', 'rms' or a Norm, not {norm!r}")
    if min(sizes) < norm.fewest_units:
        raise ValueError(
            f"{norm} of {min(sizes)} unit{'s' * (min(sizes) > 1)} gives the same whatever the "
            f"input: it needs layers of {norm.fewest_units} units or more"
        )
    return norm


def checked_keep(dropout: Any) -> float:
    """The keep rate; 1.0 for None."""
    if dropout is None:
        return 1.0
    if not _is_number(dropout):
        raise TypeError(f"dropout must be a number (the share of units kept), not {dropout!r}")
    if not 1e-9 <= dropout <= 1:
        raise ValueError(
            f"dropout is the share of units that are kept, from 1e-9 to 1 (1 drops none), not "
            f"{dropout!r}"
        )
    return float(dropout)


def _factor(what: str, value: Any) -> float:
    if not _is_number(value):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not math.isfinite(value) or not 1e-100 <= abs(value) <= 1e100:
        raise ValueError(f"{what} must be from 1e-100 to 1e100 in absolute value, not {value!r}")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
