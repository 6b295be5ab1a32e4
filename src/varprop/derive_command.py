"""What ``varprop derive`` does: documents, with simulated points over their figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .theory.derivation import Derivation

__all__ = ["checked", "derive_all", "first_sentence", "listing", "names", "show", "write_documents"]

_INDEX = """# Derivations

What happens to a signal, and to its gradient, on the way through a deep random network: every
result derived step by step, and every step checked by machine.

"""


def listing() -> str:
    """The derivations there are, one a line.

    Examples
    --------
    >>> "relu" in listing()
    True
    """
    from .text import text_table

    return text_table(["name", "title"], [list(row.values()) for row in names()], left=2)


def names() -> list[dict[str, str]]:
    """Name and title of each derivation there is.

    Examples
    --------
    >>> names()[0]["name"]
    'linear'
    """
    from . import theory

    return [{"name": each.name, "title": each.title} for each in theory.derivations()]


def checked(name: str) -> dict[str, Any]:
    """A derivation as text, every equation with the outcome of its check.

    Parameters
    ----------
    name : str
        A derivation, an activation or a formula.
    """
    found = _derived(name)
    return {
        "name": found.name,
        "title": found.title,
        "claim": found.claim,
        "assumptions": list(found.assumptions),
        "equations": [
            {
                "title": step.title,
                "left": str(step.left),
                "right": str(step.right),
                "latex": step.latex(),
                "why": step.why,
                "outcome": step.check(),
            }
            for step in found.equations()
        ],
        "in_practice": found.in_practice,
        "sources": list(found.sources),
    }


def write_documents(name: str, outputs: Sequence[str]) -> None:
    """Write one derivation to files, each in the format that its ending names.

    Parameters
    ----------
    name : str
        A derivation, an activation or a formula.
    outputs : sequence of str
        Files; all are found to be writable before the work begins.
    """
    from .files import check_writable
    from .theory.formats import check_format

    for output in outputs:
        check_format(output)
        check_writable(output)
    derivation = _derived(name)
    for output in outputs:
        _write(derivation, Path(output))


def derive_all(folder: str, suffix: str) -> None:
    """Write every derivation into a folder, and an index that links to them.

    Parameters
    ----------
    folder : str
        Made if it isn't there (its parent must be).
    suffix : str
        One of the formats: "md", "html", "tex", "ipynb" or "pdf".
    """
    from . import theory
    from .files import check_writable
    from .theory.formats import check_format

    place = Path(folder)
    check_format(f"index.{suffix}")
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(f"{folder!r} is a file; --all needs a folder")
    if not place.resolve().parent.is_dir():
        raise FileNotFoundError(f"can't make {folder!r}: the folder above it does not exist")
    place.mkdir(exist_ok=True)
    check_writable(place / f"index.{suffix}")
    lines = []
    for derivation in theory.derivations():
        path = place / f"{derivation.name}.{suffix}"
        _write(derivation, path, link=suffix)
        lines.append(f"- [{derivation.title}]({path.name}): {first_sentence(derivation.claim)}")
    _write_index(place, suffix, lines)


def show(name: str) -> None:
    """Print a derivation: Markdown in a pipe, set for reading in a terminal.

    Parameters
    ----------
    name : str
        A derivation, an activation or a formula.
    """
    text = _derived(name).markdown()
    if not sys.stdout.isatty():
        click.echo(text)
        return
    from .terminal import print_markdown

    print_markdown(text)


def _derived(name: str) -> Derivation:
    from . import theory

    try:
        return theory.derive(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _write(derivation: Derivation, path: Path, link: str | None = None) -> None:
    from .derivation_figure import paint

    derivation.write(path, draw=paint, link=link)
    click.echo(f"wrote {path}", err=True)


def first_sentence(text: str) -> str:
    """Up to the first full stop that a capital letter follows.

    Examples
    --------
    >>> first_sentence("ReLU halves $K$. So\\nweights need 2/n.")
    'ReLU halves $K$.'
    """
    import re

    return re.split(r"(?<=\.) (?=[A-Z$])", " ".join(text.split()), maxsplit=1)[0]


def _write_index(place: Path, suffix: str, lines: list[str]) -> None:
    from .theory.formats import write_page

    path = place / f"index.{suffix}"
    write_page(_INDEX + "\n".join(lines) + "\n", "Derivations", path)
    click.echo(f"wrote {path}", err=True)
