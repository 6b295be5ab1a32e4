"""Formulas as MathML, made by pandoc while the site is built.

Browsers set MathML themselves: a page needs no script for it and no network.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pypandoc
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from varprop.theory.formats import spaced

_LOG = logging.getLogger(__name__)
_KINDS = {True: "DisplayMath", False: "InlineMath"}
_made: dict[tuple[str, bool], str] = {}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.connect("doctree-resolved", _convert_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _convert_page(_app: Sphinx, doctree: nodes.document, _name: str) -> None:
    """All formulas of a page at once: starting pandoc takes longer than a formula."""
    inline = [(node.astext(), False) for node in doctree.findall(nodes.math)]
    display = [(node.astext(), True) for node in doctree.findall(nodes.math_block)]
    _convert([key for key in dict.fromkeys(inline + display) if key not in _made])


def _convert(keys: list[tuple[str, bool]]) -> None:
    if not keys:
        return
    document = {
        "pandoc-api-version": _api_version(),
        "meta": {},
        "blocks": [
            {"t": "Para", "c": [{"t": "Math", "c": [{"t": _KINDS[display]}, spaced(text)]}]}
            for text, display in keys
        ],
    }
    page = pypandoc.convert_text(
        json.dumps(document), "html5", format="json", extra_args=["--mathml", "--wrap=none"]
    )
    found = re.findall(r"<p>(.*?)</p>", page, re.DOTALL)
    for key, text in zip(keys, found, strict=True):
        # What pandoc can't set comes back as it was.
        if text.startswith("<math"):
            # The LaTeX inside would be read aloud, searched and copied a second time.
            _made[key] = re.sub(r"<annotation.*?</annotation>", "", text, flags=re.DOTALL)


@cache
def _api_version() -> list[int]:
    empty = pypandoc.convert_text("", "json", format="markdown")
    version: list[int] = json.loads(empty)["pandoc-api-version"]
    return version


def _mathml(node: nodes.Element, display: bool) -> str:
    key = (node.astext(), display)
    if key not in _made:  # a title that is shown on other pages
        _convert([key])
    if key not in _made:
        _LOG.warning("pandoc can't set the formula %r", key[0], location=node)
    return _made.get(key, "")


def _visit_inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, False))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node, True)}</div>\n')
    raise nodes.SkipNode
