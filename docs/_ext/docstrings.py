"""Docstrings are plain text with numpydoc's sections: in them |x| is an absolute value."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _escape(
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    example = False
    for i, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            # reStructuredText would put a substitution between two bars; code keeps them
            parts = re.split(r"(`[^`]*`)", line)
            lines[i] = "".join(
                part if part.startswith("`") else part.replace("|", r"\|") for part in parts
            )
