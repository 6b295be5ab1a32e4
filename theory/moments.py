"""The expectations of an activation, each with an error bound.

`moment` asks the quadrature in float64. Where digits cancel (the mean of mish at K = 1e-8) it asks
the series at small and large K, then the closed form, then 40-digit arithmetic, and keeps what has
the smallest bound. Where many waves cancel (sin at K = 1e8) the closed form is asked first, and
where all digits cancel near 0 (x - tanh(x) at K = 1e-18, which float64 takes for 0) the series.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from .enclosure import enclose
from .expansions.ends import large_variance, small_variance
from .gaussian import NotClosed
from .precise import closed_form, precise
from .quadrature import Expectation, expectation
from .quantity import QUANTITIES, Quantity

__all__ = ["QUANTITIES", "asked", "moment"]

Array = NDArray[np.float64]

# Relative bounds beyond which the next source is asked: a cheap one soon, a slow one late.
_CHEAP = 5e-14
_SLOW = (5e-13, 1e-11, 3e-11)  # by the order of the derivative
_EPS = float(np.finfo(float).eps)
_SMALL = 1e-6  # K below which phi may be all noise
_TINY = 5e-324
_NOTHING = 1e-300  # no value is that small but where it falls off like exp(-K)


class _Found:
    """The best values so far, and where they are not good enough yet."""

    def __init__(self, variances: Array) -> None:
        self.variances = variances
        self.value = np.zeros_like(variances)
        self.bound = np.full_like(variances, np.inf)

    def wanting(self, good: float) -> NDArray[np.intp]:
        """Where the bound is worse than `good`, relative to the value."""
        return np.flatnonzero(~(self.bound <= good * np.abs(self.value) + _NOTHING))

    def improve(self, source: Callable[[Array], Expectation], where: NDArray[np.intp]) -> None:
        """Ask a source; of two values that agree, the one with the better bound wins."""
        if not len(where):
            return
        found = source(self.variances[where])
        value, bound = np.asarray(found.value), np.asarray(found.bound)
        agree = np.abs(value - self.value[where]) <= bound + self.bound[where]
        better = agree & (bound < self.bound[where])
        self.value[where[better]], self.bound[where[better]] = value[better], bound[better]


def asked(name: str) -> Quantity:
    """The quantity of that name; ValueError for an unknown one."""
    if name not in QUANTITIES:
        raise ValueError(f"unknown quantity {name!r}; allowed are {', '.join(QUANTITIES)}")
    return QUANTITIES[name]


@lru_cache(maxsize=256)
def _cancels(act: Activation) -> bool:
    """Whether phi near 0 may be a small difference of large numbers, as computed in float64."""
    value, *slopes = act.at_zero
    line = value + np.array(slopes) * [-1e-12, 1e-12]
    if not np.isfinite(line).all():
        return False
    bent = np.abs(act([-1e-12, 1e-12]) - line) > 1e-6 * np.abs(line)
    return bool((bent | ((line == 0) & (act([-1e-4, 1e-4]) != 0))).any())


def _closed(act: Activation, quantity: Quantity, k: Array) -> Expectation:
    try:
        return enclose(closed_form(act, quantity), k)
    except (NotClosed, ValueError):
        return Expectation(np.zeros_like(k), np.full_like(k, np.inf))


def _precise(act: Activation, quantity: Quantity, k: Array) -> Expectation:
    value, bound = np.zeros_like(k), np.full_like(k, np.inf)
    function = precise(act, quantity)
    if function is not None:
        for i, variance in enumerate(k):
            exact, error = function(float(variance))
            value[i] = float(exact)
            bound[i] = float(error) + _EPS * abs(float(exact)) + (_TINY if exact else 0.0)
    return Expectation(value, bound)


def _quadrature(act: Activation, quantity: Quantity, k: Array) -> Expectation:
    scale = min(1.0, 1.0 / act.max_slope) if 0 < act.max_slope < np.inf else 1.0
    f, weight = quantity.integrand(act), quantity.weight(act)
    return expectation(f, k, kinks=act.kinks, scale=scale, weight=weight)


def moment(act: Activation, quantity: str, variance: ArrayLike) -> Expectation:
    """One of the expectations of an activation over x ~ N(0, K), with an error bound.

    Parameters
    ----------
    act : Activation
        The activation phi.
    quantity : {"variance", "gradient", "mean", "fourth"}
        E phi^2, E phi'^2, E phi or E phi^4. With " slope" added: K times the derivative of it by
        K; with " curvature": K^2 times the second derivative.
    variance : array_like
        The variances K, finite and > 0.

    Returns
    -------
    Expectation
        Value and bound; the mean of an odd activation is exactly 0.

    Raises
    ------
    ValueError
        If the quantity is unknown, the gradient is singular or the expectation diverges.

    Examples
    --------
    >>> e = moment(Activation.parse("mish"), "mean", 1e-8)
    >>> bool(abs(e.value - 3.2e-9) < 1e-16) and bool(e.relative_bound < 1e-12)
    True
    """
    wanted = asked(quantity)
    if wanted.of_derivative and (where := act.jumps):
        raise ValueError(
            f"the derivative of {act} is singular: it jumps at x = {where[0]:g}, so "
            "E phi'^2 is infinite; gradient maps need an activation without jumps"
        )
    k = np.asarray(variance, dtype=float)
    if not (np.isfinite(k) & (k > 0)).all():
        raise ValueError(f"variance must be finite and > 0, got {variance!r}")
    found = _Found(k.ravel())
    if wanted.power == 1 and act.parity == "odd":
        found.bound[:] = 0.0
    slow = _SLOW[wanted.order]
    sources = [(_quadrature, slow), (small_variance, _CHEAP)]
    sources += [(large_variance, slow), (_closed, slow)]
    if act.oscillates:
        sources.insert(0, sources.pop())
    if _cancels(act):
        small = np.flatnonzero(found.variances < _SMALL)
        found.improve(partial(small_variance, act, wanted), small)
    for source, good in sources:
        found.improve(partial(source, act, wanted), found.wanting(good))
    lost = found.wanting(slow)
    if len(lost) and wanted.order:
        # A derivative may pass through 0; there it is enough to know it beside the map itself.
        size = np.abs(_quadrature(act, wanted.plain, found.variances[lost]).value)
        lost = lost[found.bound[lost] > slow * size]
    found.improve(partial(_precise, act, wanted), lost)
    if k.ndim == 0:
        return Expectation(float(found.value[0]), float(found.bound[0]))
    return Expectation(found.value.reshape(k.shape), found.bound.reshape(k.shape))
