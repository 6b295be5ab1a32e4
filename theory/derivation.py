"""Step and Derivation: claims that check themselves.

A step says that two expressions are equal. `Step.check` proves it, by SymPy's own integration,
summation and simplification (not by the rules of `gaussian`, which a step may be about), or
compares both sides to 30 digits at random points, and says which of the two it did.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy
from sympy import Expr

from . import gaussian

__all__ = ["CheckError", "Derivation", "Mean", "NormalDensity", "Step", "Table"]

_DIGITS = 30
_POINTS = 5
_SWITCHES = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise)


class CheckError(ValueError):
    """Two sides of a step are not equal."""


class NormalDensity(sympy.Function):  # type: ignore[misc, unused-ignore]
    """The density of N(0, K) at a point: ``NormalDensity(x, K)``, written p_K(x).

    Examples
    --------
    >>> NormalDensity(0, 1).doit()
    sqrt(2)/(2*sqrt(pi))
    """

    nargs = 2

    def doit(self, **hints: Any) -> Expr:
        """The density as an expression."""
        return gaussian.density(self.args[0], self.args[1])

    def _latex(self, printer: Any) -> str:
        at, variance = (printer.doprint(arg) for arg in self.args)
        return rf"p_{{{variance}}}({at})"


class Mean(Expr):  # type: ignore[misc, unused-ignore]
    """E[expr] over independent random symbols of which only moments are known.

    Parameters
    ----------
    expr : sympy.Expr
        A polynomial in the random symbols.
    *laws : tuple
        (symbol, E symbol, E symbol^2, ...): as many moments as `expr` needs.

    Examples
    --------
    >>> w, v = sympy.symbols("w v")
    >>> Mean((1 + w) ** 2, (w, 0, v)).doit()
    v + 1
    """

    def __new__(cls, expr: Expr, *laws: tuple[Any, ...]) -> Mean:
        made: Mean = Expr.__new__(cls, sympy.sympify(expr), *(sympy.Tuple(*law) for law in laws))
        return made

    def doit(self, **hints: Any) -> Expr:
        """The expectation: linear, and a product over independent symbols."""
        symbols = [law[0] for law in self.args[1:]]
        moments = [(sympy.Integer(1), *law[1:]) for law in self.args[1:]]
        total = sympy.Integer(0)
        for powers, factor in sympy.Poly(self.args[0], *symbols).terms():
            for power, known in zip(powers, moments, strict=True):
                if power >= len(known):
                    raise ValueError(f"moment {power} is needed, {len(known) - 1} are given")
                factor *= known[power]
            total += factor
        return total

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{E}}\left[{printer.doprint(self.args[0])}\right]"


def _integrals_done(expr: Expr) -> Expr:
    """Do the integrals, splitting each integrand where it switches."""
    expr = expr.replace(NormalDensity, lambda at, variance: gaussian.density(at, variance))
    found = {}
    for integral in expr.atoms(sympy.Integral):
        (variable, lo, hi) = integral.limits[0]
        if variable == gaussian.x and integral.function.has(*_SWITCHES):
            parts = gaussian.pieces(integral.function, lo, hi)
        else:
            parts = iter([(lo, hi, integral.function)])
        found[integral] = sympy.Add(
            *(sympy.integrate(part, (variable, a, b), conds="none") for a, b, part in parts)
        )
    return expr.xreplace(found)


def _settled(expr: Expr) -> Expr:
    return _integrals_done(sympy.sympify(expr)).doit()


def _is_zero(expr: Expr) -> bool:
    """Whether SymPy proves that an expression vanishes (piece by piece where it has kinks)."""
    if expr.has(gaussian.x) and expr.has(*_SWITCHES):
        return all(_is_zero(part) for _, _, part in gaussian.pieces(expr))
    return bool(sympy.simplify(expr) == 0)


def _random_value(symbol: sympy.Symbol, chance: random.Random) -> Expr:
    if symbol.is_integer:
        return sympy.Integer(chance.randint(1, 12))
    size = sympy.Rational(chance.randint(1, 400), chance.randint(50, 150))
    return size if symbol.is_positive or chance.random() < 0.5 else -size


@dataclass(frozen=True)
class Step:
    """One equation of a derivation and the reason for it.

    Parameters
    ----------
    left, right : sympy.Expr
        The two sides; unevaluated integrals, sums, products, `Mean` and Subs are welcome.
    why : str
        The reason, as a teacher would give it (Markdown, LaTeX between ``$``).
    title : str
        A short heading.

    Examples
    --------
    >>> x, k = gaussian.x, gaussian.K
    >>> half = sympy.Integral(x**2 * NormalDensity(x, k), (x, 0, sympy.oo))
    >>> Step(half, k / 2, "symmetry").check()
    'proved'
    """

    left: Expr
    right: Expr
    why: str
    title: str = ""

    def check(self) -> str:
        """Prove the equation, or confirm it at random points.

        Returns
        -------
        str
            "proved", or "confirmed to 30 digits at 5 random points".

        Raises
        ------
        CheckError
            If the two sides differ; the text gives a point and both values.
        """
        left, right = _settled(self.left), _settled(self.right)
        if _is_zero(left - right):
            return "proved"
        chance = random.Random(20150206)  # the same points every time
        symbols = sorted((left - right).free_symbols, key=str)
        points = _POINTS if symbols else 1
        for _ in range(points):
            point = {s: _random_value(s, chance) for s in symbols}
            a, b = (side.subs(point).doit().evalf(2 * _DIGITS) for side in (left, right))
            if not (a.is_number and b.is_number):
                raise CheckError(f"{self._name()}: {self} can be neither proved nor evaluated")
            if not abs(a - b) <= sympy.Float(10) ** -_DIGITS * max(abs(a), abs(b)):
                raise CheckError(
                    f"{self._name()}: {self} is false: at {point} its sides are "
                    f"{sympy.N(a, 15)} and {sympy.N(b, 15)}"
                )
        return f"confirmed to {_DIGITS} digits at {points} random points"

    def _name(self) -> str:
        return f"step {self.title!r}" if self.title else "step"

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"

    def latex(self) -> str:
        """The equation in LaTeX."""
        return f"{sympy.latex(self.left)} = {sympy.latex(self.right)}"


@dataclass(frozen=True)
class Table:
    """A numeric table: column headings, rows of cells (Markdown), and what it shows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Derivation:
    """A claim, its assumptions, a chain of steps, a result, and what it means.

    Parameters
    ----------
    name, title : str
        The name `derive` knows it by, and a heading.
    claim, motivation : str
        What is derived, and why one would care (Markdown).
    assumptions : tuple of str
        What is assumed, one sentence each.
    steps : tuple of Step
        The chain.
    result : Step
        The equation to take away; checked like a step.
    tables : tuple of Table
        Numbers that show it.
    in_practice : str
        What follows for someone who trains networks.
    sources : tuple of str
        Where it was first said.

    Examples
    --------
    >>> from varprop.theory import derive
    >>> derive("relu").result.right
    K*n*v/2
    """

    name: str
    title: str
    claim: str
    motivation: str
    assumptions: tuple[str, ...]
    steps: tuple[Step, ...]
    result: Step
    tables: tuple[Table, ...]
    in_practice: str
    sources: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Derivation({self.name!r}, {len(self.steps)} steps)"

    def equations(self) -> Iterator[Step]:
        """The steps, then the result."""
        yield from self.steps
        yield self.result

    def check(self) -> tuple[str, ...]:
        """Check every step and the result; what each check did, in that order.

        Raises
        ------
        CheckError
            At the first equation that is false.
        """
        return tuple(step.check() for step in self.equations())

    def markdown(self) -> str:
        """The derivation as a document, every step checked on the way."""
        from .document import markdown

        return markdown(self)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the document to a file.

        Parameters
        ----------
        path : path-like
            A name that ends in ``.md``.

        Raises
        ------
        ValueError
            For any other ending.
        """
        target = Path(path)
        if target.suffix != ".md":
            raise ValueError(
                f"can't write {target.name!r}: documents are written as Markdown (.md) only"
            )
        target.write_text(self.markdown(), encoding="utf-8")
