"""Derivation -> Markdown with LaTeX: the document a person reads."""

from __future__ import annotations

import math
import platform
from importlib import metadata

from .derivation import Derivation, Step, Table

__all__ = ["markdown", "power_of_ten"]


def power_of_ten(log: float, digits: int = 3) -> str:
    """exp(log) for a table, also where float64 can't hold it.

    Examples
    --------
    >>> power_of_ten(-200 * math.log(2)), power_of_ten(0.0), power_of_ten(-math.inf)
    ('$6.22\\\\times 10^{-61}$', '$1$', '$0$')
    """
    if log == -math.inf:
        return "$0$"
    exponent = math.floor(log / math.log(10.0) + 1e-9)
    factor = round(math.exp(log - exponent * math.log(10.0)), digits - 1)
    if factor >= 10:
        factor, exponent = factor / 10, exponent + 1
    if -3 <= exponent <= 3:
        return f"${factor * 10.0**exponent:.{digits}g}$"
    return "$" + ("" if factor == 1 else rf"{factor:.{digits}g}\times ") + rf"10^{{{exponent}}}$"


def markdown(derivation: Derivation) -> str:
    """The document of a derivation; every equation in it is checked while it is written.

    Parameters
    ----------
    derivation : Derivation
        What to write up.

    Returns
    -------
    str
        Markdown; formulas are LaTeX between ``$$``.

    Raises
    ------
    CheckError
        If an equation is false.
    """
    parts = [
        f"# {derivation.title}",
        f"**Claim.** {derivation.claim}",
        "## Why one would care",
        derivation.motivation,
        "## What is assumed",
        "\n".join(f"{i}. {line}" for i, line in enumerate(derivation.assumptions, 1)),
        "## The derivation",
    ]
    for number, step in enumerate(derivation.steps, 1):
        parts += _step(f"### Step {number}. {step.title}", step)
    parts += _step("## The result", derivation.result)
    if derivation.tables:
        parts.append("## In numbers")
        for table in derivation.tables:
            parts += [table.caption, _table(table)]
    parts += ["## What it means in practice", derivation.in_practice, "## Sources"]
    parts.append("\n".join(f"- {source}" for source in derivation.sources))
    parts += ["---", _made_by(derivation)]
    return "\n\n".join(parts) + "\n"


def _step(heading: str, step: Step) -> list[str]:
    outcome = step.check()
    how = "Proved symbolically." if outcome == "proved" else f"{outcome.capitalize()}."
    return [heading, step.why, f"$$\n{step.latex()}\n$$", f"*{how}*"]


def _table(table: Table) -> str:
    rules = tuple("---:" if i else ":---" for i in range(len(table.header)))
    return "\n".join("| " + " | ".join(row) + " |" for row in (table.header, rules, *table.rows))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _made_by(derivation: Derivation) -> str:
    names = {"varprop": "varprop", "sympy": "SymPy", "mpmath": "mpmath", "numpy": "NumPy"}
    versions = ", ".join(f"{name} {_version(package)}" for package, name in names.items())
    return (
        f"Made by `varprop derive {derivation.name} -o {derivation.name}.md` with {versions} and "
        f"Python {platform.python_version()}. Every equation above was checked by machine when "
        "this page was written."
    )
