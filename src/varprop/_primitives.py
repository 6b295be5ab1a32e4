"""The functions of the formula language, three times: for NumPy, for mpmath and for SymPy.

Each table maps a name to the function of one argument. SciPy, mpmath and SymPy are imported
when they are first needed: `import varprop` must stay quick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ALIASES = {"atan": "arctan", "asinh": "arcsinh"}


def _erf(u: Array) -> Array:
    from scipy import special

    values: Array = special.erf(u)
    return values


def _erfc(u: Array) -> Array:
    from scipy import special

    # exp * erfcx keeps the results that are subnormal, which special.erfc sets to 0.
    tail = np.exp(-u * u) * special.erfcx(np.maximum(u, 1.0))
    values: Array = np.where(u > 20.0, tail, special.erfc(u))
    return values


def _normal_cdf(u: Array) -> Array:
    from scipy import special

    tail = 0.5 * np.exp(-0.5 * u * u) * special.erfcx(-np.minimum(u, -1.0) / np.sqrt(2.0))
    values: Array = np.where(u < -20.0, tail, special.ndtr(u))
    return values


def _sigmoid(u: Array) -> Array:
    from scipy import special

    # special.expit gives 0 from -710 on; the exponential is right down to the subnormals.
    values: Array = np.where(u < -40.0, np.exp(u), special.expit(u))
    return values


NUMPY: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arctan": np.arctan,
    "arcsinh": np.arcsinh,
    "_hypot1": lambda u: np.hypot(1.0, u),
    "erf": _erf,
    "erfc": _erfc,
    "Phi": _normal_cdf,
    "sigmoid": _sigmoid,
    "softplus": lambda u: np.logaddexp(0.0, u),
    "softsign": lambda u: u / (1.0 + np.abs(u)),
    "abs": np.abs,
    "sign": np.sign,
    "heaviside": lambda u: np.heaviside(u, 0.5),
}

# Names a formula may use; those that start with "_" occur only in derivatives.
FUNCTIONS = tuple(name for name in NUMPY if not name.startswith("_"))


@functools.cache
def mpmath_functions() -> dict[str, Callable[[Any], Any]]:
    """The functions on mpmath numbers; results too large or small to matter are inf or 0."""
    from mpmath import mp

    limit = mp.mpf(2) ** 1030

    def exp(u: Any) -> Any:
        # Every float64 passes; nested exponentials would have exponents that fill the memory.
        return mp.exp(u) if abs(u) < limit else mp.inf if u > 0 else mp.zero

    def wave(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # Reducing a huge angle needs as many digits of pi as the angle has.
        return lambda u: function(u) if abs(u) < limit else mp.nan

    def settled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda u: function(max(min(u, mp.mpf(2) ** 32), -(mp.mpf(2) ** 32)))

    def sign(u: Any) -> Any:
        return mp.sign(u)

    return {
        "exp": exp,
        "log": lambda u: mp.log(u) if u > 0 else mp.nan,
        "sqrt": lambda u: mp.sqrt(u) if u >= 0 else mp.nan,
        "expm1": lambda u: mp.expm1(u) if abs(u) < 1 else exp(u) - 1,
        "log1p": lambda u: mp.log1p(u) if u > -1 else mp.nan,
        "sin": wave(mp.sin),
        "cos": wave(mp.cos),
        "tan": wave(mp.tan),
        "tanh": settled(mp.tanh),
        "sinh": lambda u: mp.sinh(u) if abs(u) < limit else mp.inf * sign(u),
        "cosh": lambda u: mp.cosh(u) if abs(u) < limit else mp.inf,
        "arctan": mp.atan,
        "arcsinh": mp.asinh,
        "_hypot1": lambda u: mp.hypot(1, u),
        "erf": settled(mp.erf),
        "erfc": settled(mp.erfc),
        "Phi": settled(mp.ncdf),
        "sigmoid": lambda u: 1 / (1 + exp(-u)),
        "softplus": lambda u: max(u, mp.zero) + mp.log1p(exp(-abs(u))),
        "softsign": lambda u: u / (1 + abs(u)) if mp.isfinite(u) else sign(u),
        "abs": abs,
        "sign": sign,
        "heaviside": lambda u: (1 + sign(u)) / 2,
    }


@functools.cache
def sympy_functions() -> dict[str, Callable[[Any], Any]]:
    """The functions on SymPy expressions, written in SymPy's own functions."""
    import sympy as sp

    half = sp.Rational(1, 2)
    return {
        "exp": sp.exp,
        "log": sp.log,
        "sqrt": sp.sqrt,
        "expm1": lambda u: sp.exp(u) - 1,
        "log1p": lambda u: sp.log(1 + u),
        "sin": sp.sin,
        "cos": sp.cos,
        "tan": sp.tan,
        "tanh": sp.tanh,
        "sinh": sp.sinh,
        "cosh": sp.cosh,
        "arctan": sp.atan,
        "arcsinh": sp.asinh,
        "_hypot1": lambda u: sp.sqrt(1 + u**2),
        "erf": sp.erf,
        "erfc": sp.erfc,
        "Phi": lambda u: (1 + sp.erf(u / sp.sqrt(2))) / 2,
        "sigmoid": lambda u: 1 / (1 + sp.exp(-u)),
        "softplus": lambda u: sp.log(1 + sp.exp(u)),
        "softsign": lambda u: u / (1 + sp.Abs(u)),
        "abs": sp.Abs,
        "sign": sp.sign,
        "heaviside": lambda u: sp.Heaviside(u, half),
    }
