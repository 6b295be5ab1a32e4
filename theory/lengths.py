"""Two inputs of different lengths: the gap between their activations.

With ln a - ln b = d the gap is that of equal lengths plus something like d^2, however small the
angle; both parts are kept with their digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .angle import tilt_of_gap
from .basemap import reach
from .closed_pair import Angle, closed_pair
from .difference import log_gap_apart
from .gap import FARTHEST, Gap
from .maps import variance_map

__all__ = ["Lengths"]

Array = NDArray[np.float64]

_PARALLEL = -600.0  # tilt of inputs with no angle between them
_FINITE = 0.3  # |ln a - ln b| above which logarithms may be subtracted
_LONGEST = 1200.0  # ln a - ln b beyond which it makes no difference
_PLAIN = 1e-3  # a gap that may be found by subtracting from 1
_SMALL = 1e-5
_NO_MATTER = 32.0  # how far ln (ln a - ln b)^2 may be below ln(1-c) to count
_ALIKE = 1e-9  # |ln a - ln b| below which its effect on the gap is a square
_T, _W = np.polynomial.legendre.leggauss(4)
_T, _W = (_T + 1) / 2, _W / 2


class Lengths:
    """The gap of one activation for inputs of different lengths.

    Parameters
    ----------
    gap : Gap
        That of equal lengths.

    Examples
    --------
    >>> from varprop.theory.gap import gap
    >>> round(Lengths(gap("relu")).log_at(0.0, 0.7, 0.0), 6)
    -0.38318
    """

    def __init__(self, gap: Gap) -> None:
        self.gap, self.act = gap, gap.act
        self._alike: tuple[float, float] = (math.nan, math.nan)

    def ratio(self, log_a: float, delta: float) -> float:
        """ln Q(a) - ln Q(a e^-delta), with all its digits for small delta."""
        q = variance_map(self.act)
        if abs(delta) > _FINITE:
            return q.log_at(log_a) - q.log_at(log_a - delta)
        slopes = np.asarray(q.log_slope(log_a - delta * _T))
        return float(delta * (slopes @ _W))

    def log_at(self, log_a: float, delta: float, log_gap: float) -> float:
        """ln of the gap for two inputs of variances a and b = a e^-delta.

        Parameters
        ----------
        log_a, delta : float
            ln a and ln a - ln b.
        log_gap : float
            ln(1-c) of the pre-activations; -inf for parallel ones.

        Returns
        -------
        float
            Accurate to about 1e-9.
        """
        if delta < 0:
            return self.log_at(log_a - delta, -delta, log_gap)
        alike = delta == 0 or 2 * math.log(delta) < log_gap - _NO_MATTER
        start, stop, _ = reach(self.act)
        if alike or self.act.degree is not None or log_a - delta > stop:
            return self.gap.log_at(log_a - delta / 2, log_gap)
        if delta < _ALIKE:
            by_length = self._by_length(log_a) + 2 * math.log(delta)
            return float(np.logaddexp(self.gap.log_at(log_a, log_gap), by_length))
        fall = min(0.0, log_a - start)
        over = max(0.0, log_a - stop)
        found = self._one_apart(log_a - fall - over, min(delta - over, _LONGEST), log_gap)
        return found + self.gap.power_below * fall if fall else found

    def _by_length(self, log_k: float) -> float:
        """ln of the gap of two parallel inputs, per square of a small ln a - ln b."""
        if not abs(log_k - self._alike[0]) < 1e-12:
            found = self._one_apart(log_k + _SMALL / 2, _SMALL, -math.inf) - 2 * math.log(_SMALL)
            self._alike = log_k, found
        return self._alike[1]

    def _one_apart(self, log_a: float, delta: float, log_gap: float) -> float:
        ratio, tilt = self.ratio(log_a, delta), max(float(tilt_of_gap(log_gap)), _PARALLEL)
        a, tilts = np.array([math.exp(log_a)]), np.array([min(tilt, FARTHEST)])
        forms = closed_pair(self.act)
        if forms is not None:
            q = variance_map(self.act)
            whole = math.exp(q.log_at(log_a) - ratio / 2)
            rest = 1 - float(forms.kernel(a, a * math.exp(-delta), Angle(tilts))[0]) / whole
            if rest > _PLAIN:
                return math.log(rest)
        found = log_gap_apart(
            self.act, np.array([log_a]), np.array([delta]), np.array([ratio]), tilts
        )
        return float(found[0])
