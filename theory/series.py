"""Expansions of the maps at small and at large variances."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from varprop.activation import Activation

from .expansions.large import large as _large
from .expansions.record import Expansion
from .expansions.small import small as _small
from .quantity import Quantity

__all__ = ["Expansion", "large", "small"]

_HIGHEST = 20
_small_once = lru_cache(maxsize=512)(_small)
_large_once = lru_cache(maxsize=512)(_large)


def _checked(order: Any) -> int:
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= _HIGHEST:
        raise ValueError(f"order must be a whole number from 0 to {_HIGHEST}, got {order!r}")
    return order


def small(act: Activation, quantity: Quantity, order: int) -> Expansion:
    """The expansion of an expectation at K = 0, up to K^order.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> small(Activation.parse("arctan"), QUANTITIES["variance"], 3).expr
    23*K**3/3 - 2*K**2 + K
    """
    return _small_once(act, quantity, _checked(order))


def large(act: Activation, quantity: Quantity, order: int) -> Expansion:
    """The expansion of an expectation at large K, with `order` corrections.

    Examples
    --------
    >>> from varprop.theory.quantity import QUANTITIES
    >>> large(Activation.parse("silu"), QUANTITIES["mean"], 0).expr
    sqrt(2)*sqrt(K)/(2*sqrt(pi)) - sqrt(2)*pi**(3/2)/(12*sqrt(K))
    """
    return _large_once(act, quantity, _checked(order))
