"""How far one finite layer scatters about its mean: the relative variance of phi(x)^2.

In a layer of n units the mean square a has E[a | K] = Q(K) and Var[a | K] = (E phi^4 - Q^2) / n.
The difference of two nearly equal numbers is avoided: phi^2 is first shifted by its value at 0
(small K) or far out (large K), whichever it is near to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from varprop.activation import Activation

from . import gaussian
from .basemap import finite_logs
from .logtable import LogTable
from .maps import fourth_moment, variance_map
from .quadrature import expectation
from .tabulated import reach

__all__ = ["log_relative_variance", "relative_variance"]

Array = NDArray[np.float64]

_NEAR = 0.1  # |x| below which phi(x)^2 - phi(0)^2 is integrated, not subtracted
_FAR = 1e20


def _shifted(act: Activation, small: bool) -> tuple[Callable[[Array], Array], float]:
    """phi^2 minus the constant it is nearest to (at 0 for small K, else far out); the constant."""
    if not small:
        ends = np.square(act(np.array([-_FAR, _FAR])))
        flat = np.isfinite(ends).all() and math.isclose(ends[0], ends[1], rel_tol=1e-12)
        bounded = act.at_infinity == (0.0, 0.0) and not act.oscillates
        constant = float(ends[1]) if flat and bounded else 0.0
        return lambda x: np.square(act(x)) - constant, constant
    at_zero = float(act.at_zero[0])
    nodes, weights = np.polynomial.legendre.leggauss(8)
    nodes, weights = (nodes + 1) / 2, weights / 2
    exact = not any(0 < abs(kink) < _NEAR for kink in act.kinks)

    def difference(x: Array) -> Array:
        out = np.square(act(x)) - at_zero**2
        near = np.abs(x) < _NEAR
        if at_zero and exact and near.any():
            t = x[near][..., None] * nodes
            out[near] = (2 * act(t) * act.derivative(t)) @ weights * x[near]
        return out

    return difference, 0.0 if exact else at_zero**2


def _squared(g: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: np.square(g(x))


class _Scatter:
    """ln of the relative variance of one activation."""

    def __init__(self, act: Activation) -> None:
        self.act = act
        self.constant = self._constant()
        start, stop, slack = reach(act)
        name = f"relative variance of {act}"
        self.table = LogTable(self._log_values, start, stop, name, slack=slack)

    def _constant(self) -> float | None:
        """The relative variance where it is the same at every K."""
        if self.act.degree is not None:
            q, fourth = variance_map(self.act), fourth_moment(self.act)
            try:
                return float(sympy.simplify(fourth.expr / q.expr**2 - 1).subs(gaussian.K, 1))
            except (gaussian.NotClosed, ValueError):
                pass
        # phi^2 constant, as for a formula of sign(x): rounding alone would be left over.
        return 0.0 if self._values(np.array([1.0]))[0] < 1e-25 else None

    def _values(self, k: Array) -> Array:
        out = np.empty_like(k)
        for small in (True, False):
            some = (k < 1) == small
            if some.any() and self.act.oscillates and not small:
                # Waves have closed forms that cost nothing, and phi^2 is far from constant.
                q, fourth = variance_map(self.act)(k[some]), fourth_moment(self.act)(k[some])
                out[some] = fourth / np.square(q) - 1
            elif some.any():
                g, constant = _shifted(self.act, small)
                noise = 2 * float(np.finfo(float).eps) * constant
                kinks = self.act.kinks
                square = expectation(_squared(g), k[some], kinks=kinks)
                # Its square is a small part of the variance, so g's own rounding is good enough.
                mean = expectation(g, k[some], kinks=kinks, noise=noise)
                q = variance_map(self.act)(k[some])
                out[some] = (square.value - np.square(mean.value)) / np.square(q)
        return out

    def _log_values(self, log_k: Array) -> Array:
        values = self._values(np.exp(log_k))
        if not (values > 0).all():
            raise ValueError(
                f"the relative variance of {self.act} is lost in rounding at "
                f"ln K = {float(log_k[np.argmin(values)]):.6g}"
            )
        logs: Array = np.log(values)
        return logs

    def log(self, u: Array) -> Array:
        if self.constant is None:
            return self.table(u)
        return np.full(u.shape, math.log(self.constant) if self.constant else -math.inf)


@lru_cache(maxsize=256)
def _scatter(act: Activation) -> _Scatter:
    return _Scatter(act)


def log_relative_variance(act: str | Activation, log_k: ArrayLike) -> Any:
    """ln of (E phi^4 - Q^2) / Q^2 at K = exp(log_k).

    Parameters
    ----------
    act : str or Activation
        The activation phi.
    log_k : array_like
        ln K, any finite values.

    Returns
    -------
    float or ndarray
        Accurate to 1e-9 or better; -inf where phi^2 is constant (sign).

    Raises
    ------
    ValueError
        If log_k is not finite.

    Examples
    --------
    >>> round(log_relative_variance("sigmoid", -2000.0), 9)
    -2000.0
    """
    u = finite_logs(log_k)
    out = _scatter(Activation.parse(act)).log(u)
    return float(out) if u.ndim == 0 else out


def relative_variance(act: str | Activation, log_k: ArrayLike) -> Any:
    """(E phi^4 - Q^2) / Q^2 at K = exp(log_k): n times the relative variance of a layer.

    Parameters and accuracy as `log_relative_variance`. Where the value is below float64 it is 0.

    Raises
    ------
    OverflowError
        If a value exceeds float64; use `log_relative_variance`.

    Examples
    --------
    >>> relative_variance("relu", [-2000.0, 0.0, 2000.0]).tolist()
    [5.0, 5.0, 5.0]
    """
    logs = np.asarray(log_relative_variance(act, log_k))
    if (logs > 709.7).any():
        raise OverflowError(
            f"the relative variance of {Activation.parse(act)} exceeds float64 at ln K = "
            f"{float(np.max(np.asarray(log_k))):.6g}; use log_relative_variance"
        )
    constant = _scatter(Activation.parse(act)).constant
    out = np.exp(logs) if constant is None else np.full(logs.shape, constant)
    return float(out) if out.ndim == 0 else out
