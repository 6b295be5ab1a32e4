"""The kernel of an activation: E phi(u) phi(v) over two correlated normals."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from varprop._cached import cached_property
from varprop.activation import Activation

from . import gaussian
from .angle import checked_covariance, tilt_of_covariance
from .closed_pair import Angle, closed_pair
from .lattice import analytic, lattice_mean
from .maps import gradient_map, mean_map, variance_map
from .mehler import HermiteSeries
from .pairquad import Index, Pairs, integrate
from .quadrature import expectation

__all__ = ["Kernel", "kernel", "length_of", "reach_of"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
_REACHES = (9.5, 14.0, 20.0, 26.0, 32.0, 38.0)
_LATTICE = 1e-13  # error of a sum over a lattice, relative to |f|_a |f|_b
_STEEPEST = 700.0  # |tilt| beyond which e^|tilt| leaves float64


def length_of(act: Activation) -> float:
    """The length over which an activation varies near 0; inf if it has none of its own.

    Examples
    --------
    >>> length_of(Activation.parse("tanh")), length_of(Activation.parse("relu"))
    (1.0, inf)
    """
    if act.degree is not None:
        return np.inf
    return min(1.0, 1.0 / act.max_slope) if 0 < act.max_slope < np.inf else 1.0


def reach_of(f: Callable[[Array], Array], scales: Array, norms: Array) -> float:
    """How many standard deviations hold all of E f^2, where these have the given roots.

    Raises
    ------
    ValueError
        If f^2 times the normal density doesn't die away within 38 of them.

    Examples
    --------
    >>> reach_of(np.tanh, np.ones(1), np.ones(1)), reach_of(np.exp, np.full(1, 6.0), np.exp([36.0]))
    (9.5, 20.0)
    """
    z = np.arange(_REACHES[0], _REACHES[-1] + 2, 0.25)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        at = scales[:, None] * z
        logs = 2 * np.log(np.maximum(np.abs(f(-at)), np.abs(f(at))) / norms[:, None]) - z * z / 2
    tops = logs.max(axis=0)
    for reach in _REACHES:
        if tops[z > reach].max() < -34:
            return reach
    raise ValueError(
        "the expectation over a pair diverges or overflows float64 at variance "
        f"{float(scales.max()) ** 2:.6g}: the activation grows too fast"
    )


class Kernel:
    """E phi(u) phi(v) for (u, v) ~ N(0, [[a, k], [k, b]]), or of the derivatives.

    Made by `kernel`.

    Parameters
    ----------
    act : Activation
        The activation phi.
    derivative : bool
        Whether calling means E phi'(u) phi'(v).

    Examples
    --------
    >>> from varprop.theory.kernel import kernel
    >>> kernel("relu").kind, round(kernel("relu")(1.0, 1.0, 0.0), 12)
    ('closed', 0.159154943092)
    """

    def __init__(self, act: Activation, derivative: bool = False) -> None:
        self.act, self.derivative = act, derivative
        if derivative:
            self._check_derivative()

    def __repr__(self) -> str:
        return f"Kernel({str(self.act)!r}{', derivative=True' if self.derivative else ''})"

    def _check_derivative(self) -> None:
        if where := self.act.jumps:
            raise ValueError(
                f"the derivative of {self.act} is singular: it jumps at x = {where[0]:g}, so "
                "E phi'(u) phi'(v) is infinite at u = v; only the kernel of phi itself is given"
            )

    def _expression(self, derivative: bool) -> sympy.Expr:
        from .bivariate import pair_expectation

        formula = gaussian.exact(self.act.sympy())
        if not derivative:
            return pair_expectation(formula)
        self._check_derivative()
        return pair_expectation(gaussian.derivative(formula))

    @cached_property
    def expr(self) -> sympy.Expr:
        """The kernel in closed form, in the symbols a, b, k of `bivariate`, on |k| < sqrt(a b).

        Raises
        ------
        NotClosed
            Where no rule derives it.
        ValueError
            For a Python callable, which has no formula.
        """
        return self._expression(self.derivative)

    @cached_property
    def derivative_expr(self) -> sympy.Expr:
        """E phi'(u) phi'(v) in closed form; errors as for `expr`, and where phi jumps."""
        return self._expression(True)

    @cached_property
    def kind(self) -> str:
        """ "closed" where `expr` is derived, else "quadrature"."""
        try:
            self.expr  # noqa: B018
        except (gaussian.NotClosed, ValueError):
            return "quadrature"
        return "closed"

    def __call__(self, a: ArrayLike, b: ArrayLike, k: ArrayLike, derivative: bool = False) -> Any:
        """The kernel at each (a, b, k), which broadcast.

        Parameters
        ----------
        a, b : array_like
            Variances, finite and >= 0.
        k : array_like
            Covariances, |k| <= sqrt(a b).
        derivative : bool
            E phi'(u) phi'(v) instead.

        Returns
        -------
        float or ndarray
            A float for scalars. The error is below 1e-11 of sqrt(Q(a) Q(b)), also for inputs
            that are nearly parallel or opposite. Where a variance is 0 the limit of independent
            inputs: phi(0) times the mean.

        Raises
        ------
        ValueError
            For a or b negative, |k| > sqrt(a b), a value that is not finite, a derivative that
            is singular, or an expectation that diverges.

        Examples
        --------
        >>> from varprop.theory.kernel import kernel
        >>> kernel("sin")(1.0, 1.0, [0.0, 1.0]).round(12).tolist()
        [0.0, 0.432332358382]
        """
        return self._evaluate(a, b, k, derivative, bounded=False)[0]

    def bound(self, a: ArrayLike, b: ArrayLike, k: ArrayLike, derivative: bool = False) -> Any:
        """A bound on the absolute error of calling the kernel at these arguments."""
        return self._evaluate(a, b, k, derivative, bounded=True)[1]

    def _evaluate(
        self, a: ArrayLike, b: ArrayLike, k: ArrayLike, derivative: bool, bounded: bool
    ) -> tuple[Any, Any]:
        """Values and bounds; bounds that cost more than values are left out unless asked for."""
        derivative = derivative or self.derivative
        if derivative:
            self._check_derivative()
        u, v, w = checked_covariance(a, b, k)
        both = (u > 0) & (v > 0)
        if u.ndim == 1 and u.size and both.all():
            return self._inside(u, v, w, derivative, bounded)
        value, bound = np.empty(u.shape), np.empty(u.shape)
        if both.any():
            found = self._inside(u[both], v[both], w[both], derivative, bounded)
            value[both], bound[both] = found
        if not both.all():
            value[~both], bound[~both] = self._at_zero(u[~both], v[~both], derivative)
        if value.ndim == 0:
            return float(value), float(bound)
        return value, bound

    def _at_zero(self, a: Array, b: Array, derivative: bool) -> tuple[Array, Array]:
        """Where one of the inputs is always 0."""
        at_zero, left, right = self.act.at_zero
        here = (left + right) / 2 if derivative else at_zero
        other = np.maximum(a, b)
        mean = np.full(other.shape, here)
        some = other > 0
        if derivative and some.any():
            found = expectation(self.act.derivative, other[some], kinks=self.act.kinks)
            mean[some] = found.value
        elif some.any():
            mean[some] = mean_map(self.act)(other[some])
        return here * mean, 1e-12 * np.abs(here) * (1 + np.abs(mean))

    def _inside(
        self, a: Array, b: Array, k: Array, derivative: bool, bounded: bool
    ) -> tuple[Array, Array | float]:
        tilt = np.clip(tilt_of_covariance(a, b, k), -_STEEPEST, _STEEPEST)
        # A singular angle (c = 1 exactly) is as good as one of e^-350.
        square = gradient_map(self.act) if derivative else variance_map(self.act)
        forms = closed_pair(self.act)
        if forms is not None:
            with np.errstate(over="ignore"):
                value = (forms.slope if derivative else forms.kernel)(a, b, Angle(tilt))
            if np.isfinite(value).all() and not bounded:
                return value, math.nan
        left = np.sqrt(np.asarray(square(a)))  # or says what is too large
        norms = left, left if np.array_equal(a, b) else np.sqrt(np.asarray(square(b)))
        whole = norms[0] * norms[1]
        if forms is not None:
            return value, 32 * _EPS * whole
        value, bound = _product(self.act, derivative, (a, b), tilt, norms)
        return value * whole, bound * whole


def _product(
    act: Activation,
    derivative: bool,
    variances: tuple[Array, Array],
    tilt: Array,
    norms: tuple[Array, Array],
) -> tuple[Array, Array]:
    """E f(u) f(v) / (|f|_a |f|_b) by a series or quadrature, and a bound on its error."""
    f = act.derivative if derivative else act
    su, sv = (np.sqrt(each) for each in variances)
    norms = np.where(norms[0] > 0, norms[0], 1.0), np.where(norms[1] > 0, norms[1], 1.0)
    value, bound = _series(act, derivative)(*variances, Angle(tilt).cos, norms)
    if np.isfinite(bound).all():
        return value, bound
    over = [1 / norm for norm in norms]
    reach = max(reach_of(f, scale, norm) for scale, norm in zip((su, sv), norms, strict=True))
    length, alike = length_of(act), bool((su == sv).all())
    rest = np.isinf(bound)
    if alike and analytic(act):
        for i in np.flatnonzero(rest).tolist():
            scaled = partial(_of_both, f, float(over[0][i]))
            found = lattice_mean(scaled, float(su[i]), float(tilt[i]), length, reach, 1.0)
            if found:
                value[i], bound[i], rest[i] = found, _LATTICE, False
    if not rest.any():
        return value, bound
    over = [each[rest] for each in over]

    def integrand(point: Index, u: Array, v: Array, apart: Array) -> Array:
        left, right = (each[point][:, None] for each in over)
        return np.asarray((f(u) * left) * (f(v) * right))

    su, sv, tilt = su[rest], sv[rest], tilt[rest]
    pairs = Pairs(su, sv, su - sv, tilt, act.kinks, length, reach, symmetric=alike)
    value[rest], bound[rest] = integrate(integrand, pairs)
    return value, bound


@lru_cache(maxsize=256)
def _series(act: Activation, derivative: bool) -> HermiteSeries:
    f = act.derivative if derivative else act

    def reach(scale: float, norm: float) -> float:
        return reach_of(f, np.array([scale]), np.array([norm]))

    return HermiteSeries(f, length_of(act), reach)


def _of_both(f: Callable[[Array], Array], over: float, u: Array, v: Array) -> Array:
    return np.asarray((f(u) * over) * (f(v) * over))


@lru_cache(maxsize=1024)
def _made(act: Activation, derivative: bool) -> Kernel:
    return Kernel(act, derivative)


def kernel(act: Any, derivative: bool = False) -> Kernel:
    """The kernel of an activation: E phi(u) phi(v) over two correlated normals.

    Parameters
    ----------
    act : str, Activation or pair of callables
        A name, a name with parameters, a formula, or a record.
    derivative : bool
        The kernel of phi' instead.

    Returns
    -------
    Kernel

    Raises
    ------
    ValueError
        If the derivative is asked of an activation that jumps.

    Notes
    -----
    Closed for homogeneous activations (Cho and Saul, 2009), erf (Williams, 1997), the normal
    distribution function, sin, cos, exp(-x^2) and GELU (Tsuchida et al., arXiv 2002.08517).

    Examples
    --------
    >>> round(kernel("gelu")(1.7, 0.6, 0.45), 12)
    0.208058853204
    >>> round(kernel("gelu", derivative=True)(1.7, 0.6, 0.45), 12)
    0.328436915138
    """
    return _made(Activation.parse(act), bool(derivative))
