"""README: every example runs and prints what stands below it."""

import re
from pathlib import Path

import pytest
from blocks import blocks, commands, printed, session

import varprop

TREE = Path(__file__).parents[1]
README = TREE / "README.md"


def test_python_examples(tmp_path):
    results = session(README, tmp_path)
    assert results.attempted >= 8
    assert results.failed == 0


@pytest.mark.parametrize("block", blocks(README, "console"))
def test_commands(block, tmp_path):
    found = commands(block)
    assert found
    for command, expected in found:
        assert printed(command, tmp_path) == expected.rstrip("\n")


def test_targets_and_files_named_exist():
    text = README.read_text()
    makefile = (TREE / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (TREE / link).exists(), link


def test_the_numbers_in_the_text():
    q = varprop.simulate(depth=200, act="relu", scheme="he").preactivation
    assert f"below {q.median[-1]:.1f} at the end" in text_in_one_line()
    assert f"a tenth above {q.quantile(0.9)[-1]:.1f}" in text_in_one_line()


def text_in_one_line() -> str:
    return " ".join(README.read_text().split())
