"""A map that is never negative: its logarithm at any ln K, by a table and power laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from varprop._cached import cached_property

from .expectation_map import Map
from .logtable import LogTable, PowerLaw
from .moments import moment
from .quadrature import Expectation
from .quantity import QUANTITIES
from .tabulated import LOG_REACH, evaluated, reach, tabulated

__all__ = ["Map", "PositiveMap", "finite_logs", "reach"]

Array = NDArray[np.float64]

_LARGEST_LOG = math.log(np.finfo(float).max)
_FAR = 10.0 ** np.array([17.5, 20.0, 25.0, 30.0, 40.0, 60.0])  # beyond sqrt(K) of the tables


def finite_logs(log_k: ArrayLike) -> Array:
    """ln K as a float64 array; ValueError unless all finite.

    Examples
    --------
    >>> finite_logs(-2000)
    array(-2000.)
    """
    u = np.asarray(log_k, dtype=float)
    if not np.isfinite(u).all():
        raise ValueError(f"log_k must be finite, got {u[~np.isfinite(u)].ravel()[0]}")
    return u


class PositiveMap(Map):
    """A map that is never negative, so that its logarithm exists at any ln K."""

    @cached_property
    def _table(self) -> LogTable:
        start, stop, slack = reach(self.act)
        value = self._at_zero()
        slopes = [s * s for s in self.act.at_zero[1:]]
        below = None
        if self._exponent is None and math.isfinite(value) and value > 0:
            below = PowerLaw(0.0, math.log(value), 0.0)
        elif not QUANTITIES[self.quantity].of_derivative and 0 < sum(slopes) < math.inf:
            # phi ~ slope x: E phi^2 = (l^2 + r^2) K / 2 and E phi^4 = 3 (l^4 + r^4) K^2 / 2.
            half = QUANTITIES[self.quantity].power // 2
            factor = (1.0 if half == 1 else 3.0) * sum(s**half for s in slopes) / 2
            below = PowerLaw(0.0, math.log(factor), float(half))
        above = None if self.act.oscillates else self._check_growth
        return LogTable(self._log_values, start, stop, repr(self), below, slack, above)

    def _check_growth(self, slope: float) -> None:
        """The activation itself must go on as the power law measured at the table's end says."""
        asked = QUANTITIES[self.quantity]
        for side in (-1.0, 1.0):
            far = side * _FAR
            values = self.act.derivative(far) if asked.of_derivative else self.act(far)
            size = np.abs(values)
            if not size.any() or not np.isfinite(size).all():
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                growth = np.diff(np.log(size)) / np.diff(np.log(_FAR)) * asked.power / 2
            if not (np.ptp(growth) < 1e-6 and growth[0] < slope + 1e-6):
                raise ValueError(
                    f"{self!r} seems to go like K^{slope:g} at K = 1e36, but the activation has "
                    "not come to its limit there: it changes its law further out; rescale it"
                )

    def _log_values(self, log_k: Array) -> Array:
        values: Array = np.asarray(moment(self.act, self.quantity, np.exp(log_k)).value)
        if not (values > 0).all():
            worst = float(log_k[np.argmin(values)])
            raise ValueError(f"{self!r} is {values.min():g} at ln K = {worst:.6g}: no logarithm")
        logs: Array = np.log(values)
        return logs

    def _at_positive(self, k: Array) -> Expectation:
        if self._exponent is not None:
            return super()._at_positive(k)
        u = np.log(k)
        # sin at K = 1e8 is asked of the quadrature, which can, though its law is known there.
        inside = (u >= -LOG_REACH) & (u <= max(reach(self.act)[1], LOG_REACH / 4))
        value, bound = np.empty_like(k), np.empty_like(k)
        if inside.any():
            found = evaluated(self.act, self.quantity, k[inside])
            value[inside], bound[inside] = found.value, found.bound
        if not inside.all():
            logs = self._table(u[~inside])
            if (logs > _LARGEST_LOG).any():
                raise OverflowError(f"{self!r} exceeds float64 at such K; use .log(log_k)")
            value[~inside] = np.exp(logs)
            bound[~inside] = 1e-13 * (1 + np.abs(logs)) * value[~inside]
        return Expectation(value, bound)

    def log(self, log_k: ArrayLike) -> Any:
        """ln of the map at K = exp(log_k), for any finite log_k.

        Parameters
        ----------
        log_k : array_like
            ln K, finite; -2000 and 2000 are as good as 0.

        Returns
        -------
        float or ndarray
            Accurate to 1e-12 or better; made for arrays of 10^5 points and for single steps
            of a recursion alike. -inf where the map is exactly 0.

        Raises
        ------
        ValueError
            If log_k is not finite, or if the activation grows like no power of x and log_k is
            beyond the range where it is computed.

        Examples
        --------
        >>> from varprop.theory import variance_map
        >>> variance_map("tanh").log(-2000.0)
        -2000.0
        """
        if isinstance(log_k, float) and math.isfinite(log_k):
            return self.log_at(log_k)
        u = finite_logs(log_k)
        p = self._exponent
        out = self._table(u) if p is None else np.asarray(self._log_coefficient + p * u)
        return float(out) if u.ndim == 0 else out

    @cached_property
    def _log_coefficient(self) -> float:
        return math.log(self._coefficient) if self._coefficient > 0 else -math.inf

    def log_at(self, log_k: float) -> float:
        """`log` at one finite float, without the cost of arrays."""
        p = self._exponent
        return self._table.at(log_k) if p is None else self._log_coefficient + p * log_k

    def log_slope(self, log_k: ArrayLike) -> Any:
        """d ln M / d ln K at K = exp(log_k): the power of K that the map goes like there.

        Parameters
        ----------
        log_k : array_like
            ln K, finite.

        Returns
        -------
        float or ndarray
            Good to 1e-11; beyond K = 1e-36 and 1e36 the power of the law there.

        Raises
        ------
        ValueError
            As for `log`.

        Examples
        --------
        >>> from varprop.theory import variance_map
        >>> variance_map("tanh").log_slope([-2000.0, 0.0, 2000.0]).round(9)
        array([1.        , 0.46107083, 0.        ])
        """
        u = finite_logs(log_k)
        p = self._exponent
        if p is not None:
            out = np.full(u.shape, p)
        else:
            start, stop, _ = reach(self.act)
            flat = u.ravel()
            out = np.empty_like(flat)
            for above, there in enumerate((flat < start, flat > stop)):
                if there.any():
                    out[there] = self._table.power(bool(above))
            inside = (flat >= start) & (flat <= stop)
            panels = tabulated(self.act, self.quantity + " slope")
            out[inside] = panels(flat[inside])[0] * np.exp(-self._table(flat[inside]))
            out = out.reshape(u.shape)
        return float(out) if u.ndim == 0 else out
