"""Two inputs in mpmath: the derived kernels, and how to compare with logarithms."""

from __future__ import annotations

from functools import cache

import mpmath as mp
import sympy

from varprop.theory.bivariate import a as sym_a
from varprop.theory.bivariate import b as sym_b
from varprop.theory.bivariate import k as sym_k
from varprop.theory.kernel import kernel


def agrees(log_value, true, relative, log_scale=0.0):
    """Whether exp(log_value) is `true` but for `relative` and the rounding of logarithms."""
    rounding = 4e-16 * (abs(log_value) + abs(log_scale) + 1)
    return abs(mp.exp(mp.mpf(log_value)) / true - 1) < relative + 2 * rounding


@cache
def derived(name):
    return sympy.lambdify((sym_a, sym_b, sym_k), kernel(name).expr, "mpmath")
