"""The equations of a derivation by their titles, and published values."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from varprop.theory import derive as made

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
derive = lru_cache(made)


def step(name, title):
    """The equation of that title."""
    (found,) = (s for s in derive(name).equations() if s.title == title)
    return found


def value(expr, **values):
    """An expression with its symbols given by name, as a float."""
    symbols = {s.name: s for s in expr.free_symbols}
    assert set(symbols) == set(values)
    return float(expr.subs({symbols[name]: v for name, v in values.items()}).doit())
