"""Integrals by SymPy, where SymPy is quick and sure: independent of the rules of `gaussian`."""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Expr, oo
from sympy.simplify.fu import TR8

from . import gaussian

__all__ = ["SWITCHES", "integrated", "split"]

SWITCHES = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)
_QUICK = (sympy.exp, sympy.sin, sympy.cos, sympy.erf, *SWITCHES)


def _elementary(expr: Expr, variable: Expr) -> bool:
    """Whether SymPy integrates this quickly: polynomials times exp, sin and cos, or times erf."""
    functions = [f for f in expr.atoms(sympy.Function) if f.has(variable)]
    if {sympy.erf, sympy.exp} <= {f.func for f in functions}:
        return False
    powers = [p for p in expr.atoms(sympy.Pow) if p.has(variable) and p.base != sympy.E]
    return all(isinstance(f, _QUICK) for f in functions) and all(
        p.exp.is_integer and p.exp.is_positive for p in powers
    )


def _of_gamma_kind(expr: Expr, variable: Expr, lo: Expr, hi: Expr) -> bool:
    """Whether this is x**power * exp(-c x) on the half line, which SymPy knows too."""
    if (lo, hi) != (0, oo) or expr.has(*SWITCHES):
        return False
    factors = sympy.Mul.make_args(expr)
    powers = [f for f in factors if f.as_base_exp()[0] == variable]
    waves = [f for f in factors if isinstance(f, sympy.exp) and f.has(variable)]
    rest = [f for f in factors if f not in powers and f not in waves]
    return (
        len(waves) == 1
        and sympy.degree(waves[0].exp, variable) == 1
        and not any(f.has(variable) for f in rest)
    )


def split(expr: Expr, variable: Expr, lo: Expr, hi: Expr) -> tuple[tuple[Expr, Expr, Expr], ...]:
    """The pieces (lo, hi, expr) of an integrand between its kinks.

    Raises
    ------
    NotClosed
        If it switches where no polynomial says.

    Examples
    --------
    >>> t = sympy.Symbol("t", real=True)
    >>> split(sympy.Max(t, 0), t, -oo, oo)
    ((-oo, 0, 0), (0, oo, t))
    """
    if not any(node.has(variable) for node in expr.atoms(*SWITCHES)):
        return ((lo, hi, expr),)
    parts = gaussian.pieces(expr.xreplace({variable: gaussian.x}), lo, hi)
    return tuple((a, b, part.xreplace({gaussian.x: variable})) for a, b, part in parts)


def _single_waves(expr: Expr) -> tuple[Expr, ...]:
    """The summands, without products of sines and cosines: SymPy takes minutes over those."""
    if not expr.has(sympy.sin, sympy.cos):
        return (expr,)
    terms: tuple[Expr, ...] = sympy.Add.make_args(sympy.expand(TR8(sympy.expand(expr))))
    return terms


@lru_cache(maxsize=1024)
def integrated(expr: Expr, variable: Expr, lo: Expr, hi: Expr) -> Expr | None:
    """The definite integral, or None where SymPy would take long or not find it.

    Parameters
    ----------
    expr : sympy.Expr
        The integrand; kinks in `variable` are allowed.
    variable : sympy.Symbol
        What to integrate over.
    lo, hi : sympy.Expr
        From where to where.

    Examples
    --------
    >>> t = sympy.Symbol("t", real=True)
    >>> integrated(sympy.Max(t, 0) * sympy.exp(-(t**2)), t, -oo, oo)
    1/2
    >>> integrated(sympy.tanh(t) * sympy.exp(-t), t, 0, oo)
    """
    if not (_elementary(expr, variable) or _of_gamma_kind(expr, variable, lo, hi)):
        return None
    total = sympy.Integer(0)
    for a, b, part in split(expr, variable, lo, hi):
        for term in _single_waves(part):
            total += sympy.integrate(term, (variable, a, b), conds="none")
    return None if total.has(sympy.Integral) else total
