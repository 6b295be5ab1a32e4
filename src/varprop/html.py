"""Results as HTML, for notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compare import Comparison
    from .propagation import Propagation

_CELL = ' style="text-align: {}; white-space: nowrap"'


def html_table(heads: Sequence[str], body: Sequence[Sequence[str]], *, left: int = 0) -> str:
    """A table; the first `left` columns are aligned left, the others right.

    Examples
    --------
    >>> html_table(["name", "x"], [["a<b", "1"]]).count("<td")
    2
    """

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{_CELL.format('left' if i < left else 'right')}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )

    rows = "".join(f"<tr>{line(row, 'td')}</tr>" for row in body)
    return f"<table><thead><tr>{line(heads, 'th')}</tr></thead><tbody>{rows}</tbody></table>"


def html_text(text: str) -> str:
    """Lines as a paragraph; what was only wrapped, by two spaces, is joined again.

    Examples
    --------
    >>> html_text("a < b\\n  and so on\\nc")
    '<p>a &lt; b and so on<br>c</p>'
    """
    return f"<p>{escape(re.sub(chr(10) + '  +', ' ', text)).replace(chr(10), '<br>')}</p>"


def propagation_html(propagation: Propagation) -> str:
    """What `varprop.table.propagation_table` says, for a notebook.

    Examples
    --------
    >>> import varprop
    >>> propagation_html(varprop.simulate(depth=3, width=50, trials=9)).count("<tr>")
    4
    """
    from .summary import HIGH, LOW, summarise
    from .table import chosen_layers, closing, header, layer_cells, legend

    spread = () if propagation.trials == 1 else (LOW, HIGH)
    rows = chosen_layers(propagation.network.depth) - 1
    columns = layer_cells(propagation, rows, spread, 3)
    table = html_table(list(columns), list(zip(*columns.values(), strict=True)))
    parts = (header(propagation), closing(propagation, summarise(propagation)))
    note = f"<small>{html_text(' '.join(legend(propagation).split()))}</small>"
    return html_text(parts[0]) + table + html_text(parts[1]) + note


def comparison_html(comparison: Comparison) -> str:
    """What a `Comparison` prints, for a notebook.

    Examples
    --------
    >>> import varprop
    >>> found = varprop.simulate(depth=3, width=50, act="tanh", trials=9).compare()
    >>> comparison_html(found).startswith("<p>")
    True
    """
    from .table import header

    heads, body = comparison.layer_table()
    parts = [html_text(header(comparison.propagation)), html_table(heads, body)]
    if comparison.tests:
        parts.append(html_table(*comparison.test_table(), left=1))
    if comparison.left_out:
        missing = ", ".join(comparison.left_out)
        parts.append(html_text(f"not tested, for too few units at work: {missing}."))
    parts += [html_text(f"{note}.") for note in comparison.notes]
    return "".join([*parts, f"<b>{html_text(f'{comparison.verdict}.')}</b>"])
