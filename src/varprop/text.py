"""Plain text for people: numbers of any size, tables and paragraphs within 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

WIDTH = 80
_MOST_EXPONENT = 10**12  # beyond it less than 3 digits of log10 are left behind the point


def format_log(log: float, digits: int = 3) -> str:
    """A few digits of exp(log), for any log; "0" for -inf.

    Parameters
    ----------
    log : float
        Natural logarithm of the number; finite, or -inf.
    digits : int, default 3
        Significant digits; numbers from 1e-3 to 1e5 are not written with an exponent.

    Examples
    --------
    >>> [format_log(v) for v in (0.0, math.log(0.0123), math.log(12345.0), -2000.0, 1e5)]
    ['1.00', '0.0123', '12345', '2.58e-869', '2.81e+43429']
    >>> format_log(-2000.0, 2)
    '2.6e-869'

    Where a float64 no longer knows the leading digit, it is not written:

    >>> format_log(-2.57e29)
    '10^-1.12e+29'
    """
    if log == -math.inf:
        return "0"
    log10 = log / math.log(10)
    exponent = math.floor(log10)
    if abs(exponent) > _MOST_EXPONENT:
        return f"10^{log10:.3g}"
    mantissa = round(10 ** (log10 - exponent), digits - 1)
    if mantissa >= 10:
        mantissa, exponent = 1.0, exponent + 1
    if -3 <= exponent < 5:
        return f"{math.exp(log):.{max(0, digits - 1 - exponent)}f}"
    return f"{mantissa:.{digits - 1}f}e{exponent:+d}"


def format_share(share: float) -> str:
    """A share as per cent, that is "0" or "100" only where it is exactly that.

    Examples
    --------
    >>> [format_share(v) for v in (0.0, 1e-6, 0.5, 0.99999, 1.0)]
    ['0', '<0.1', '50.0', '>99.9', '100']
    """
    if share in (0, 1):
        return f"{100 * share:.0f}"
    if share < 0.0005:
        return "<0.1"
    return ">99.9" if share >= 0.9995 else f"{100 * share:.1f}"


def text_table(heads: Sequence[str], body: Sequence[Sequence[str]], *, left: int = 0) -> str:
    """Set a table with rich, as plain ASCII text of at most 80 columns.

    Parameters
    ----------
    heads : sequence of str
        One per column.
    body : sequence of rows of str
        The cells.
    left : int, default 0
        This many columns, from the left, are aligned left and may wrap; the others right.

    Examples
    --------
    >>> print(text_table(["name", "value"], [["a", "1.5"], ["bc", "12.5"]], left=1))
    name  value
    ----- -----
    a       1.5
    bc     12.5
    """
    from io import StringIO

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rule = box.Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)
    # Two spaces between columns, one where the numbers are so long that two would be too many.
    wide = table_width(heads, body, 2) > WIDTH
    gap = 1 if wide and (not left or table_width(heads, body, 1) <= WIDTH) else 2
    table = Table(
        box=rule, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), header_style=""
    )
    for i, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if i < left else "right", no_wrap=i >= left)
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    out = StringIO()
    console = Console(
        file=out, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def table_width(heads: Sequence[str], body: Sequence[Sequence[str]], gap: int) -> int:
    """Columns that a table needs, with `gap` spaces between its own columns."""
    columns = zip(heads, *body, strict=True)
    return sum(max(map(len, column)) for column in columns) + gap * (len(heads) - 1)


def shortened(name: str, room: int) -> str:
    """A name of at most `room` letters, whose middle gives way: both ends tell.

    Examples
    --------
    >>> shortened("encoder.layers.0.linear1", 17)
    'enco..s.0.linear1'
    """
    if len(name) <= room:
        return name
    tail = (2 * room) // 3
    return f"{name[: max(1, room - tail - 2)]}..{name[-tail:]}"


def wrapped(text: str, indent: str = "") -> str:
    """Break a text into lines of at most 80 columns, all but the first indented."""
    return fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
