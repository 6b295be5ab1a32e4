"""Derivation -> Markdown with LaTeX: the document a person reads."""

from __future__ import annotations

import math
import platform
import re
import shlex
from collections.abc import Mapping
from importlib import metadata

import varprop

from .derivation import Derivation, Step, Table

__all__ = ["file_stem", "markdown", "power_of_ten", "version"]


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
    if -3 <= exponent < digits:
        return f"${factor * 10.0**exponent:.{digits}g}$"
    return "$" + ("" if factor == 1 else rf"{factor:.{digits}g}\times ") + rf"10^{{{exponent}}}$"


def markdown(
    derivation: Derivation,
    *,
    suffix: str = "md",
    tools: tuple[str, ...] = (),
    images: Mapping[str, str] | None = None,
) -> str:
    """The document of a derivation; every equation in it is checked while it is written.

    Parameters
    ----------
    derivation : Derivation
        What to write up.
    suffix : str
        Ending of the file it is for, named in its last lines.
    tools : tuple of str
        What else will have a hand in it ("pandoc 3.9"), named there too.
    images : mapping of str to str, optional
        Where the picture of each figure is, by the figure's name: a path or a data URI. A figure
        without one is left out.

    Returns
    -------
    str
        Markdown; formulas are LaTeX between ``$$``.

    Raises
    ------
    CheckError
        If an equation is false.
    """
    assumptions = (f"{i}. {line}" for i, line in enumerate(derivation.assumptions, 1))
    parts = [
        f"# {derivation.title}",
        f"**Claim.** {derivation.claim}",
        f"## Why one would care\n\n{derivation.motivation}",
        "## What is assumed\n\n" + "\n".join(assumptions),
        "## The derivation",
    ]
    for number, step in enumerate(derivation.steps, 1):
        parts.append(_step(f"### Step {number}. {step.title}", step))
    parts.append(_step("## The result", derivation.result))
    if derivation.tables:
        tables = (f"{table.caption}\n\n{_table(table)}" for table in derivation.tables)
        parts.append("\n\n".join(["## In numbers", *tables]))
    pictures = [
        f"{figure.caption}\n\n![{figure.y_label} against {figure.x_label}]({images[figure.name]})"
        for figure in derivation.figures
        if images and figure.name in images
    ]
    if pictures:
        parts.append("\n\n".join(["## In a picture", *pictures]))
    parts.append(f"## What it means in practice\n\n{derivation.in_practice}")
    parts.append("## Sources\n\n" + "\n".join(f"- {source}" for source in derivation.sources))
    parts.append(f"---\n\n{_made_by(derivation, suffix, tools)}")
    return "\n\n".join(parts) + "\n"


def file_stem(name: str) -> str:
    """A file name for a derivation's name, which may be a formula.

    Examples
    --------
    >>> file_stem("relu"), file_stem("x*Phi(1.7*x)")
    ('relu', 'x-Phi-1.7-x')
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "formula"


def _step(heading: str, step: Step) -> str:
    outcome = step.check()
    how = "Proved symbolically." if outcome == "proved" else f"{outcome.capitalize()}."
    return "\n\n".join([heading, step.why, f"$$\n{step.latex()}\n$$", f"*{how}*"])


def _table(table: Table) -> str:
    columns = zip(*table.rows, strict=True)
    rules = tuple(":---" if not i or _is_prose(c) else "---:" for i, c in enumerate(columns))
    return "\n".join("| " + " | ".join(row) + " |" for row in (table.header, rules, *table.rows))


def _is_prose(cells: tuple[str, ...]) -> bool:
    """Whether a column holds words, not numbers."""
    return any(re.search(r"[A-Za-z]{3}", re.sub(r"\$[^$]*\$", "", cell)) for cell in cells)


def version(package: str) -> str:
    """The version of an installed package, for the last lines of a document.

    Examples
    --------
    >>> version("no-such-package")
    '(not installed)'
    """
    if package == "varprop":
        return varprop.__version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _made_by(derivation: Derivation, suffix: str, tools: tuple[str, ...]) -> str:
    names = {"varprop": "varprop", "sympy": "SymPy", "mpmath": "mpmath", "numpy": "NumPy"}
    versions = [f"{name} {version(package)}" for package, name in names.items()]
    used = ", ".join([*versions, *tools])
    name = derivation.name
    command = f"varprop derive {shlex.quote(name)} -o {file_stem(name)}.{suffix}"
    return (
        f"Made by `{command}` with {used} and Python {platform.python_version()}. Every equation "
        "above was checked by machine when this page was written."
    )
