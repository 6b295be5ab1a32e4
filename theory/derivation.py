"""Step and Derivation: claims that check themselves.

A step says that two expressions are equal. `Step.check` proves it or compares both sides to 30
digits at random points (see `proof`), and says which of the two it did.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy
from sympy import Expr

from .figure import Figure
from .latex import equation, latex
from .notation import Rounded, SeriesOf
from .proof import Range, compare_sides

if TYPE_CHECKING:
    from .formats import Painter

__all__ = ["CheckError", "Derivation", "Step", "Table"]


class CheckError(ValueError):
    """Two sides of a step are not equal."""


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
    ranges : tuple of (symbol, lo, hi)
        Where the equation holds, for symbols that may not be just anything: random points are
        drawn there.

    Examples
    --------
    >>> from varprop.theory.gaussian import K as k, x
    >>> from varprop.theory.proof import NormalDensity
    >>> half = sympy.Integral(x**2 * NormalDensity(x, k), (x, 0, sympy.oo))
    >>> Step(half, k / 2, "symmetry").check()
    'proved'
    """

    left: Expr
    right: Expr
    why: str
    title: str = ""
    ranges: tuple[Range, ...] = ()

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
        outcome = compare_sides(self.left, self.right, self.ranges)
        if isinstance(outcome, str):
            return outcome
        point, a, b = outcome
        name = f"step {self.title!r}" if self.title else "step"
        if a is None or b is None:
            raise CheckError(f"{name}: {self} can be neither proved nor evaluated")
        raise CheckError(
            f"{name}: {self} is false: at {point} its sides are {sympy.N(a, 15)} and "
            f"{sympy.N(b, 15)}"
        )

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"

    def latex(self) -> str:
        """The equation in LaTeX; a rounded right side has ≈, a series its O(...)."""
        sign = r"\approx" if isinstance(self.right, Rounded) else "="
        rest = ""
        if isinstance(self.left, SeriesOf):
            rest = rf" + O\left({latex(self.left.remainder())}\right)"
        return equation(self.left, self.right, sign=sign, rest=rest)


@dataclass(frozen=True)
class Table:
    """A numeric table: what it shows, column headings, and rows of cells (Markdown).

    Examples
    --------
    >>> len(Table("Powers", ("n", "n^2"), (("1", "1"), ("2", "4"))).rows)
    2
    """

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
    figures : tuple of Figure
        Pictures of it, as data.

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
    figures: tuple[Figure, ...] = ()

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

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.markdown()

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        draw: Painter | None = None,
        link: str | None = None,
    ) -> None:
        """Write the document to a file; parameters and errors as of `formats.write`.

        Examples
        --------
        >>> from varprop.theory import derive
        >>> derive("relu").write("relu.ipynb")
        """
        from .formats import write

        write(self, path, draw=draw, link=link)
