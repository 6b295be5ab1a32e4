"""ln of a positive map by ln K, anywhere: panels in the middle, power laws outside."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .panels import Panels

__all__ = ["LogTable", "PowerLaw"]

Array = NDArray[np.float64]

_GOOD = 3e-13  # the last coefficients of a panel that may be used


class PowerLaw:
    """ln f = height + slope (u - start): what a map becomes towards K = 0 or infinity.

    Examples
    --------
    >>> PowerLaw(0.0, 0.5, 1.0)(3.0)
    3.5
    """

    def __init__(self, start: float, height: float, slope: float) -> None:
        self.start, self.height, self.slope = start, height, slope

    def __call__(self, u: Array | float) -> Array | float:
        """ln f at ln K = u."""
        return self.height + self.slope * (u - self.start)


class LogTable:
    """ln f(exp(u)) of a positive map f, for any finite u.

    Parameters
    ----------
    log_map : callable
        Array of ln K -> array of ln f, good to about 1e-15; asked within [start - 2, stop + 2].
    start, stop : float
        Where the power laws take over.
    name : str
        What the map is called in error messages.
    below : PowerLaw, optional
        The law below `start`, where it is known; by default it is measured.
    slack : float
        How far a measured slope may be from a multiple of 1/2.
    check_above : callable, optional
        Given the slope measured at `stop`; raises ValueError if it can't hold further out.

    Notes
    -----
    The slopes outside are measured at the two ends and must be multiples of 1/2, as they are
    for every activation that grows like a power; otherwise asking there raises ValueError.

    Examples
    --------
    >>> table = LogTable(lambda u: np.log1p(np.exp(u)), -80.0, 80.0, "1 + K")
    >>> abs(table.at(0.0) - math.log(2.0)) < 1e-14
    True
    >>> table(np.array([-2000.0, 2000.0])).round(12).tolist()
    [0.0, 2000.0]
    """

    def __init__(
        self,
        log_map: Callable[[Array], Array],
        start: float,
        stop: float,
        name: str,
        below: PowerLaw | None = None,
        slack: float = 1e-7,
        check_above: Callable[[float], None] | None = None,
    ) -> None:
        self._slack, self._check_above = slack, check_above
        self._log_map, self._start, self._stop, self._name = log_map, start, stop, name
        self._panels = Panels(lambda u: (log_map(u), np.zeros_like(u)), _GOOD, absolute=True)
        self._laws: dict[bool, PowerLaw] = {}
        self._below = below

    def _checked_below(self, law: PowerLaw) -> PowerLaw:
        """The known law, if it holds by the time it takes over."""
        found = float(self._log_map(np.array([self._start]))[0])
        expected = float(law(self._start))
        if not abs(found - expected) < 1e-6:
            raise ValueError(
                f"{self._name} has not come to its limit at 0 by ln K = {self._start:.4g} (it is "
                f"e^{found:.6g} there, its limit e^{expected:.6g}): the activation bends at a "
                "scale below 1e-18; rescale it, or use larger K"
            )
        return law

    def _law(self, above: bool) -> PowerLaw:
        if above not in self._laws and not above and self._below is not None:
            self._laws[above] = self._checked_below(self._below)
        if above not in self._laws:
            end = self._stop if above else self._start
            inner = end - 0.5 if above else end + 0.5
            near, far = (float(v) for v in self._log_map(np.array([inner, end])))
            slope = (far - near) / (end - inner)
            nearest = round(2 * slope) / 2 if math.isfinite(slope) else math.nan
            if not abs(slope - nearest) < self._slack:
                raise ValueError(
                    f"{self._name} follows no power of K {'above' if above else 'below'} "
                    f"ln K = {end:.4g} (its slope there is {slope:.6g}, not a multiple of 1/2); "
                    f"allowed are ln K from {self._start:.4g} to {self._stop:.4g}"
                )
            if above and self._check_above is not None:
                self._check_above(nearest)
            self._laws[above] = PowerLaw(end, far, nearest)
        return self._laws[above]

    def power(self, above: bool) -> float:
        """The power of K that f goes like beyond `stop` (or before `start`)."""
        return self._law(above).slope

    def at(self, u: float) -> float:
        """ln f at one ln K, the quick way; the same number as the array call gives."""
        if u > self._stop or u < self._start:
            return float(self._law(u > self._stop)(u))
        return self._panels.at(u)

    def __call__(self, log_k: Array) -> Array:
        """ln f at an array of finite ln K."""
        u = np.ravel(log_k)
        out = np.empty_like(u)
        outside = (u < self._start) | (u > self._stop)
        for above in (False, True):
            there = outside & ((u > self._stop) == above)
            if there.any():
                out[there] = self._law(above)(u[there])
        if not outside.all():
            out[~outside] = self._panels(u[~outside])[0]
        return out.reshape(np.shape(log_k))
