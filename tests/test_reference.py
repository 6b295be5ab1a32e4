"""The reference of the documentation: every public name is in it, and nothing else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
# Rooms whose public names are listed whole, and those of which only some are for everybody.
WHOLE = (
    "varprop",
    "varprop.plot",
    "varprop.theory",
    "varprop.theory.finite_width",
    "varprop.torch",
)
IN_PART = {
    "varprop.compare": {"Comparison", "Test", "compare"},
    "varprop.reference": {"simulate"},
    "varprop.spectrum_plot": {"degrees_of_freedom"},
}


def listed() -> list[tuple[str, str]]:
    """Module and name of every entry, in all lists of all pages."""
    found = []
    for page in sorted(REFERENCE.glob("*.md")):
        module = ""
        for line in page.read_text().splitlines():
            if told := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
                module = told[1]
            elif told := re.fullmatch(r"   (\w+)", line):
                found.append((module, told[1]))
    return found


def public(name: str) -> set[str]:
    module = importlib.import_module(name)
    things = {each: getattr(module, each) for each in module.__all__}
    return {each for each, thing in things.items() if not isinstance(thing, ModuleType)}


def test_each_name_is_listed_once():
    assert len(listed()) == len(set(listed()))


@pytest.mark.parametrize("module", WHOLE)
def test_no_public_name_is_missing(module):
    assert {name for room, name in listed() if room == module} == public(module)


def test_names_of_other_rooms():
    assert {room for room, _ in listed()} == {*WHOLE, *IN_PART}
    for module, names in IN_PART.items():
        assert {name for room, name in listed() if room == module} == names
        for name in names:
            assert getattr(importlib.import_module(module), name).__doc__


def test_every_page_is_in_the_table_of_contents():
    contents = re.findall(r"^(\w+)$", (REFERENCE / "index.md").read_text(), re.MULTILINE)
    made = {"commands"}  # by the build
    assert set(contents) | {"index"} == {page.stem for page in REFERENCE.glob("*.md")} | made
