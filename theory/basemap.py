"""What every map of an activation has in common.

Each map is a number at any variance K (exact for homogeneous activations, by `moments` for the
others), a logarithm at any ln K, and, where the rules of `gaussian` reach, an expression.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from . import gaussian
from .logtable import LogTable, PowerLaw
from .moments import QUANTITIES, moment
from .quadrature import Expectation

__all__ = ["Map", "PositiveMap", "finite_logs", "reach"]

Array = NDArray[np.float64]

_LOG_REACH = 36 * math.log(10.0)  # beyond K = 1e-36 and 1e36 the maps are power laws to 1e-16
_LOG_WAVES = 6 * math.log(10.0)  # where waves added to something that grows are left out
_LARGEST_LOG = math.log(np.finfo(float).max)


@lru_cache(maxsize=1024)
def reach(act: Activation) -> tuple[float, float, float]:
    """The range of ln K in which an activation's maps are computed; outside they are power laws.

    Returns
    -------
    start, stop, slack : float
        The two ends, and how exact the power law must be there.

    Examples
    --------
    >>> [round(end, 1) for end in reach(Activation.parse("tanh"))[:2]]
    [-82.9, 82.9]
    """
    start, stop, slack = -_LOG_REACH, _LOG_REACH, 1e-7
    if not act.oscillates or act.at_infinity is None:
        return start, stop, slack
    if act.at_infinity != (0.0, 0.0):
        return start, _LOG_WAVES, 1e-5  # x + sin(x): waves far out cost time and weigh nothing
    try:
        squares = [(a, b, e**2) for a, b, e in gaussian.pieces(gaussian.exact(act.sympy()))]
        closed = gaussian.gaussian_expectation(squares)
    except (gaussian.NotClosed, ValueError):
        return start, stop, slack
    # sin, cos: beyond the slowest exp(-rate K) everything is averaged.
    rates = [-(wave.args[0] / gaussian.K) for wave in closed.atoms(sympy.exp)]
    slowest = min((float(r) for r in rates if r.is_number and r > 0), default=1.0)
    return start, min(stop, math.log(60.0 / slowest)), slack


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


class Map:
    """A Gaussian expectation of an activation as a function of the variance K.

    Parameters
    ----------
    act : Activation
        The activation phi.

    Examples
    --------
    >>> from varprop.theory import variance_map
    >>> variance_map("relu")(3.0), variance_map("relu").expr
    (1.5, K/2)
    """

    quantity = ""

    def __init__(self, act: Activation) -> None:
        self.act = act

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.act)!r})"

    @property
    def _exponent(self) -> float | None:
        """p where the map is c K^p exactly, None for other activations."""
        if self.act.degree is None:
            return None
        asked = QUANTITIES[self.quantity]
        return (self.act.degree - asked.of_derivative) * asked.power / 2

    @cached_property
    def _coefficient(self) -> float:
        try:
            return float(self.expr.subs(gaussian.K, 1))
        except (gaussian.NotClosed, ValueError):
            return float(moment(self.act, self.quantity, 1.0).value)

    @cached_property
    def expr(self) -> sympy.Expr:
        """The map in closed form, in ``Symbol("K", positive=True)``, derived from the formula.

        Raises
        ------
        NotClosed
            Where no rule of `gaussian` derives it (yet).
        ValueError
            For a Python callable, which has no formula.
        """
        formula = gaussian.exact(self.act.sympy())
        asked = QUANTITIES[self.quantity]
        whole = gaussian.derivative(formula) if asked.of_derivative else gaussian.pieces(formula)
        return gaussian.gaussian_expectation([(a, b, e**asked.power) for a, b, e in whole])

    def _at_zero(self) -> float:
        asked = QUANTITIES[self.quantity]
        value, left, right = self.act.at_zero
        if asked.of_derivative:
            return float((left**2 + right**2) / 2)
        return float(value**asked.power)

    def _evaluate(self, variance: ArrayLike) -> Expectation:
        k = np.asarray(variance, dtype=float)
        if not (np.isfinite(k) & (k >= 0)).all():
            raise ValueError(f"variance K must be finite and >= 0, got {variance!r}")
        value = np.full(k.shape, self._at_zero())
        bound = np.full(k.shape, abs(self._at_zero()) * np.finfo(float).eps)
        some = k > 0
        if some.any():
            found = self._at_positive(k[some])
            value[some], bound[some] = found.value, found.bound
        if k.ndim == 0:
            return Expectation(float(value), float(bound))
        return Expectation(value, bound)

    def _at_positive(self, k: Array) -> Expectation:
        p = self._exponent
        if p is None:
            return moment(self.act, self.quantity, k)
        with np.errstate(over="ignore"):
            value = self._coefficient * k**p
        if np.isinf(value).any():
            raise OverflowError(f"{self!r} exceeds float64 at such K; use .log(log_k)")
        return Expectation(value, 4 * np.finfo(float).eps * np.abs(value))

    def __call__(self, variance: ArrayLike) -> Any:
        """The map at each variance.

        Parameters
        ----------
        variance : array_like
            Variances K, finite and >= 0. At 0 the limit from above is given.

        Returns
        -------
        float or ndarray
            A float for a scalar.

        Raises
        ------
        ValueError
            For K that is negative or not finite, or where the expectation diverges.
        """
        return self._evaluate(variance).value

    def bound(self, variance: ArrayLike) -> Any:
        """A bound on the absolute error of calling the map at these variances."""
        return self._evaluate(variance).bound


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
        return LogTable(self._log_values, start, stop, repr(self), below, slack)

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
        inside = (u >= -_LOG_REACH) & (u <= max(reach(self.act)[1], _LOG_REACH / 4))
        value, bound = np.empty_like(k), np.empty_like(k)
        if inside.any():
            found = moment(self.act, self.quantity, k[inside])
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
