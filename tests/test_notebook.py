"""What results look like in a notebook: well-formed HTML with every number of the table."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from handmade import propagation, rows

import varprop
from varprop.html import html_text
from varprop.network import Network
from varprop.text import format_log


class Cells(HTMLParser):
    """The cells of all tables; every tag must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_a_propagation_shows_its_table() -> None:
    p = propagation(rows(9, 5, dead=2))
    text = p._repr_html_()
    cells = Cells(text).cells
    heads = cells[: cells.index("1")]
    assert heads == ["layer", "K", "q 10%", "q", "q 90%", "a", "mean/rms", "satur%", "zero%"]
    body = np.array(cells[len(heads) :]).reshape(5, len(heads))
    assert body[:, 3].tolist() == [format_log(v) for v in p.preactivation.log_median.filled()]
    assert "dead networks: 2 of 9" in text
    assert "depth 5, width 7, tanh, xavier" in text
    assert "q, a: mean squares of pre-activations and of activations;" in text  # not wrapped


def test_names_are_escaped() -> None:
    network = Network(2, width=7, act="x if x < 0 else 2*x")
    text = propagation(rows(2, 2), network=network)._repr_html_()
    assert "x if x &lt; 0" in text
    Cells(text)
    assert html_text("a\n  b\nc & d") == "<p>a b<br>c &amp; d</p>"


def test_a_comparison_shows_tests_and_verdict() -> None:
    found = varprop.simulate(depth=9, width=200, act="tanh", trials=50, seed=4).compare()
    text = found._repr_html_()
    cells = Cells(text).cells
    assert [test.name for test in found.tests] == [
        cell for cell in cells if any(cell == test.name for test in found.tests)
    ]
    assert f"{found.sigmas[8]:+.2f}" in cells
    assert f"{found.verdict}." in text
