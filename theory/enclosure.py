"""Closed forms in float64 that know their own error.

A closed form may be exact and yet useless in float64: (1 - exp(-2K))/2 has no digits left at
K = 1e-17, exp(2K) erfc(sqrt(2K)) overflows at K = 400. Here every step carries a bound on its
error, so such a value is told from a good one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import special

from .gaussian import K
from .quadrature import Expectation

__all__ = ["enclose"]

Array = NDArray[np.float64]
Pair = tuple[Array, Array]

_EPS = float(np.finfo(float).eps)
_TINY = 1e-307  # what may be lost where floats end

_MONOTONE: dict[type[sympy.Function], Callable[[Array], Array]] = {
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.erf: special.erf,
    sympy.erfc: special.erfc,
    sympy.asin: np.arcsin,
    sympy.acos: np.arccos,
    sympy.atan: np.arctan,
    sympy.sinh: np.sinh,
    sympy.tanh: np.tanh,
}
_WAVES = {sympy.sin: np.sin, sympy.cos: np.cos}


def _settled(value: Array, error: Array) -> Pair:
    """A value with the rounding of one operation added to its error."""
    return value, error + 4 * _EPS * np.abs(value) + _TINY


def _product(a: Pair, b: Pair) -> Pair:
    error = np.abs(a[0]) * b[1] + np.abs(b[0]) * a[1] + a[1] * b[1]
    return _settled(a[0] * b[0], error)


def _power(base: Pair, exponent: float) -> Pair:
    value = base[0] ** exponent
    ends = [np.abs((base[0] + side * base[1]) ** exponent - value) for side in (-1, 1)]
    error = np.where(base[1] < 0.5 * np.abs(base[0]), np.maximum(*ends), np.inf)
    return _settled(value, np.where((base[0] == 0) & (base[1] == 0) & (exponent > 0), 0, error))


def _function(kind: type[sympy.Function], at: Pair) -> Pair:
    if kind in _WAVES:
        return _settled(_WAVES[kind](at[0]), np.minimum(at[1], 2))
    f = _MONOTONE[kind]
    value = f(at[0])
    ends = [at[0] + side * at[1] for side in (-1, 1)]
    if kind in (sympy.asin, sympy.acos):
        ends = [np.clip(end, -1.0, 1.0) for end in ends]
    return _settled(value, np.maximum(*(np.abs(f(end) - value) for end in ends)))


def _walk(expr: sympy.Expr, k: Array) -> Pair:
    if expr == K:
        return k, np.zeros_like(k)
    if not expr.has(K):
        value = np.full_like(k, float(expr))
        return value, np.zeros_like(k) if expr.is_Integer else _EPS * np.abs(value)
    if isinstance(expr, sympy.Pow) and not expr.exp.has(K):
        return _power(_walk(expr.base, k), float(expr.exp))
    parts = [_walk(arg, k) for arg in expr.args]
    if isinstance(expr, sympy.Add):
        size = np.sum([np.abs(value) for value, _ in parts], axis=0)
        total = np.sum([value for value, _ in parts], axis=0)
        return total, np.sum([error for _, error in parts], axis=0) + len(parts) * _EPS * size
    if isinstance(expr, sympy.Mul):
        out = parts[0]
        for part in parts[1:]:
            out = _product(out, part)
        return out
    return _function(type(expr), parts[0])


def enclose(expr: sympy.Expr, variances: Array) -> Expectation:
    """A closed form in `gaussian.K` at an array of K, with a bound on the rounding.

    Parameters
    ----------
    expr : sympy.Expr
        Built from K, numbers, sums, products, constant powers and elementary functions.
    variances : ndarray
        K > 0.

    Returns
    -------
    Expectation
        The bound is inf where float64 can't hold a step, or a function is not known here.

    Examples
    --------
    >>> found = enclose((1 - sympy.exp(-2 * K)) / 2, np.array([1e-17, 1.0]))
    >>> float(found.value[1].round(12)), (found.bound < 5e-15).tolist()
    (0.432332358382, [True, True])
    """
    known = (sympy.Add, sympy.Mul, sympy.Pow, sympy.Symbol, *_MONOTONE, *_WAVES)
    nodes = (node for node in sympy.preorder_traversal(expr) if node.has(K))
    if not all(isinstance(node, known) for node in nodes):
        return Expectation(np.zeros_like(variances), np.full_like(variances, np.inf))
    with np.errstate(all="ignore"):
        value, error = _walk(expr, variances)
    good = np.isfinite(value) & np.isfinite(error)
    return Expectation(np.where(good, value, 0.0), np.where(good, error, np.inf))
