"""Derivation -> Jupyter notebook: our Markdown, and cells that do everything again."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["code_of", "notebook"]


def notebook(text: str, title: str, images: dict[str, Path], code: tuple[str, ...]) -> bytes:
    """A notebook in the format nbformat 4.5.

    Parameters
    ----------
    text : str
        Markdown; each heading begins a cell. Pictures are named ``attachment:...``.
    title : str
        Not used: the text has it.
    images : dict of str to Path
        The pictures, PNG.
    code : tuple of str
        Cells to run, placed before the last one.

    Examples
    --------
    >>> [cell["source"] for cell in json.loads(notebook("# A\\n\\n## B\\n", "A", {}, ()))["cells"]]
    [['# A'], ['## B']]
    """
    parts = re.split(r"^(?=#{1,3} |---$)", text, flags=re.MULTILINE)
    cells = [_cell(part.strip(), images) for part in parts if part.strip()]
    if code:
        cells[-1:-1] = [_cell("## Do it again", {}), *map(_code, code)]
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{number}"
    book = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _cell(text: str, images: dict[str, Path]) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}
    shown = {image.name: image for image in images.values() if f"attachment:{image.name}" in text}
    if shown:
        cell["attachments"] = {name: {"image/png": _encoded(i)} for name, i in shown.items()}
    return cell


def _code(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": _lines(text),
    }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def code_of(derivation: Derivation) -> tuple[str, ...]:
    """What a notebook runs to check the derivation and to simulate its figures again.

    Examples
    --------
    >>> from varprop.theory import derive
    >>> code_of(derive("linear"))[0].splitlines()[-1]
    'derivation.check()'
    """
    call = f"derivation = theory.derive({derivation.name!r})"
    check = f"from varprop import theory\n\n{call}\nderivation.check()"
    lead = "%matplotlib inline\nfrom varprop.derivation_figure import drawn\n\n"
    figures = (
        f"{'' if i else lead}drawn(derivation.figures[{i}])  # simulates, then draws"
        for i in range(len(derivation.figures))
    )
    return (check, *figures)
