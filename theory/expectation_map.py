"""A Gaussian expectation of an activation as a function of the variance K.

Each map is a number at any variance K (exact for homogeneous activations, by `moments` for the
others), a slope, an expansion at either end, and, where the rules of `gaussian` reach, an
expression.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from varprop._cached import cached_property
from varprop.activation import Activation

from . import gaussian, series
from .expansions.record import Expansion
from .moments import moment
from .quadrature import Expectation
from .quantity import QUANTITIES
from .tabulated import evaluated, few

__all__ = ["Map"]

Array = NDArray[np.float64]

_FEW = 12  # values that are quicker found one by one
_LEAST, _MOST = 1e-35, 1e8  # K between which no map has become a power law
_STEEPEST, _LARGEST = 4.0, 1e200  # powers of K, and sizes at K = 1, that stay within float64 there


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

    @cached_property
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

    @property
    def kind(self) -> str:
        """How the map is known.

        "closed" where `expr` is derived, else "series + quadrature"; "quadrature" for a Python
        callable.
        """
        if self.act.formula is None:
            return "quadrature"
        try:
            return "closed" if self.expr is not None else ""
        except (gaussian.NotClosed, ValueError):
            return "series + quadrature"

    def series(self, order: int = 4) -> Expansion:
        """The expansion at small K, in powers of K (of sqrt(K) where the activation bends at 0).

        Parameters
        ----------
        order : int
            The highest power of K, from 0 to 20. Default 4.

        Returns
        -------
        Expansion
            With its status: exact, convergent, asymptotic, or none and why.

        Examples
        --------
        >>> from varprop.theory import variance_map
        >>> variance_map("tanh").series(3).expr
        17*K**3/3 - 2*K**2 + K
        """
        return series.small(self.act, QUANTITIES[self.quantity], order)

    def large(self, order: int = 2) -> Expansion:
        """The expansion at large K: what the limits at infinity give, and `order` corrections.

        Parameters
        ----------
        order : int
            How many powers of 1/K follow the leading term of the activation's inner part, from 0
            to 20. Default 2.

        Returns
        -------
        Expansion
            With its status: exact, convergent, asymptotic, or none and why.

        Examples
        --------
        >>> from varprop.theory import variance_map
        >>> variance_map("tanh").large(0).expr
        1 - sqrt(2)/(sqrt(pi)*sqrt(K))
        """
        return series.large(self.act, QUANTITIES[self.quantity], order)

    def _at_zero(self) -> float:
        asked = QUANTITIES[self.quantity]
        value, left, right = self.act.at_zero
        try:
            return float((left**2 + right**2) / 2 if asked.of_derivative else value**asked.power)
        except OverflowError:
            raise OverflowError(f"{self!r} exceeds float64 at K = 0") from None

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
            return evaluated(self.act, self.quantity, k)
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
        k = np.asarray(variance, dtype=float)
        if k.size <= _FEW and all(_LEAST < one < _MOST for one in k.ravel().tolist()):
            p = self._exponent
            value = None
            if p is None:
                value = few(self.act, self.quantity, k)
            elif p <= _STEEPEST and abs(self._coefficient) < _LARGEST:
                value = self._coefficient * k**p
            if value is not None:
                return float(value) if k.ndim == 0 else value
        return self._evaluate(variance).value

    def bound(self, variance: ArrayLike) -> Any:
        """A bound on the absolute error of calling the map at these variances."""
        return self._evaluate(variance).bound

    def slope(self, variance: ArrayLike) -> Any:
        """dM/dK, the derivative of the map by the variance.

        Parameters
        ----------
        variance : array_like
            Variances K, finite and > 0.

        Returns
        -------
        float or ndarray
            Good to 1e-11, relative to itself and to M/K, whichever is smaller.

        Raises
        ------
        ValueError
            For K that is not finite and > 0.

        Examples
        --------
        >>> from varprop.theory import variance_map
        >>> variance_map("tanh").slope([1e-8, 1.0]).round(9)
        array([0.99999996, 0.18179769])
        """
        return self._derived(1, variance)

    def _derived(self, order: int, variance: ArrayLike) -> Any:
        k = np.asarray(variance, dtype=float)
        if not (np.isfinite(k) & (k > 0)).all():
            raise ValueError(f"variance K must be finite and > 0, got {variance!r}")
        flat = k.ravel()
        p = self._exponent
        with np.errstate(over="ignore"):
            if p is None:
                suffix = ("", " slope", " curvature")[order]
                value = np.asarray(evaluated(self.act, self.quantity + suffix, flat).value)
                for _ in range(order):
                    value = value / flat
            else:
                factor = self._coefficient * math.prod(p - i for i in range(order))
                value = factor * flat ** (p - order) if factor else np.zeros_like(flat)
        if not np.isfinite(value).all():
            raise OverflowError(f"a derivative of {self!r} exceeds float64 at such K")
        value = value.reshape(k.shape)
        return float(value) if k.ndim == 0 else value
