"""Blocks of a page that run: `pycon` sessions and `console` commands with what they print."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def session(page: Path, folder: Path) -> doctest.TestResults:
    """Run all `pycon` blocks of a page as one session."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    # doctest ends an output at a blank line; here only a prompt or the block's end does
    text = "\n\n".join(
        re.sub(r"\n(?=\n)", "\n<BLANKLINE>", block.rstrip("\n")) for block in blocks(page, "pycon")
    )
    here = Path.cwd()
    os.chdir(folder)
    try:
        runner.run(parser.get_doctest(text, {}, page.name, str(page), 0))
    finally:
        os.chdir(here)
    return runner.summarize(verbose=False)


def commands(block: str) -> list[tuple[str, str]]:
    r"""Commands of a `console` block with their outputs; \ at its end continues a line."""
    parts = re.split(r"^\$ (.*(?:(?<=\\)\n.*)*)\n", block, flags=re.MULTILINE)[1:]
    joined = [command.replace("\\\n", "") for command in parts[::2]]
    return list(zip(joined, parts[1::2], strict=True))


def printed(command: str, folder: Path) -> str:
    """What a command of a `console` block prints, in a folder of its own."""
    program, *arguments = shlex.split(command)
    assert program == "varprop"
    run = subprocess.run(
        [sys.executable, "-m", "varprop", *arguments], capture_output=True, text=True, check=True,
        cwd=folder, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    return run.stdout.rstrip("\n")
