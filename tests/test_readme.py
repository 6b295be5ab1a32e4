"""README: every example runs and prints what stands below it."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import varprop

TREE = Path(__file__).parents[1]
README = TREE / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_python_examples():
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    # doctest ends an output at a blank line; here only a prompt or the block's end does
    text = "\n\n".join(
        re.sub(r"\n(?=\n)", "\n<BLANKLINE>", block.rstrip("\n")) for block in blocks("pycon")
    )
    runner.run(parser.get_doctest(text, {}, "README.md", str(README), 0))
    results = runner.summarize(verbose=False)
    assert results.attempted >= 8
    assert results.failed == 0


@pytest.mark.parametrize("block", blocks("console"))
def test_commands(block):
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    assert parts
    for command, expected in zip(parts[::2], parts[1::2], strict=True):
        program, *arguments = shlex.split(command)
        assert program == "varprop"
        run = subprocess.run(
            [sys.executable, "-m", "varprop", *arguments],
            capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"},
        )  # fmt: skip
        assert run.stdout.rstrip("\n") == expected.rstrip("\n")


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
