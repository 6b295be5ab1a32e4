"""Code blocks of Markdown pages: what they are, and how they are run and compared.

A page is run from top to bottom in an empty folder, all Python in one namespace:

- ``pycon`` and ``console`` (lines that begin with ``$``) must print what stands below them, where
  ``...`` stands for anything;
- ``python`` and ``sh`` must run;
- ``<!-- long: why -->`` on the line before: run by ``make verify`` alone;
- ``<!-- not run: why -->``: never run, because it can't be here.

Other languages are no code; directives that hold code are refused, for they would not be run.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest import mock

from varprop.cli import main

RUN = ("pycon", "console", "python", "sh")
PLAIN = ("", "text", "bibtex", "json", "toml", "yaml")
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<how>long|not run): (?P<why>[^\n]+) -->\n\n?)?"
    r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?P<language>[^`\n]*)\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, and how it is to be run ("", "long" or "not run")."""

    line: int
    language: str
    code: str
    how: str


def blocks(text: str) -> Iterator[Block]:
    """Code blocks of a page, those inside of directives too."""
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        language = found["language"].strip()
        if found["fence"].startswith(":") or language.startswith("{"):
            if re.match(r"\{(code|code-block|sourcecode|code-cell)\}", language):
                raise ValueError(f"line {line}: write ```python, ```console, ..., not {language}")
            for inner in blocks(found["code"]):
                yield Block(line + inner.line, inner.language, inner.code, inner.how)
        elif language in RUN:
            yield Block(line, language, dedent(found["code"]), found["how"] or "")
        elif language not in PLAIN:
            raise ValueError(f"line {line}: {language!r} is neither run nor known not to be code")


def failures(path: Path, text: str, *, long: bool) -> list[str]:
    """Run a page in the current folder; say where it printed something else."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    for block in blocks(text):
        if block.how == "not run" or (block.how == "long" and not long):
            continue
        place = f"{path}, line {block.line}"
        try:
            told = _DO[block.language](block, place, names)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        if told:
            found.append(f"{place}: {told}")
    return found


def _examples(block: Block, place: str, names: dict[str, Any]) -> str:
    # doctest ends an output at a blank line; here only a prompt or the block's end does
    code = re.sub(r"\n(?=\n)", "\n<BLANKLINE>", block.code.rstrip("\n")) + "\n"
    test = doctest.DocTestParser().get_doctest(code, names, place, place, block.line)
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    return "".join(told)


def _python(block: Block, place: str, names: dict[str, Any]) -> str:
    with redirect_stdout(io.StringIO()):
        exec(compile("\n" * block.line + block.code, place, "exec"), names)
    return ""


def _console(block: Block, place: str, names: dict[str, Any]) -> str:
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)\n", block.code, flags=re.MULTILINE)
    if parts[0] or len(parts) == 1:
        return "a console block begins with $"
    checker = doctest.OutputChecker()
    for command, wanted in zip(parts[1::2], parts[2::2], strict=True):
        got = _command(command).rstrip("\n") + "\n"
        example = doctest.Example(command, wanted.rstrip("\n") + "\n")
        if not checker.check_output(example.want, got, doctest.ELLIPSIS):
            return f"$ {command}\n{checker.output_difference(example, got, doctest.ELLIPSIS)}"
    return ""


def _shell(block: Block, place: str, names: dict[str, Any]) -> str:
    for command in re.sub(r"\\\n", " ", block.code).splitlines():
        if command.strip():
            _command(command)
    return ""


def _command(line: str) -> str:
    """What a command of varprop prints into a pipe, as if COLUMNS were 80."""
    program, *arguments = shlex.split(line.replace("\\\n", " "), comments=True)
    if program != "varprop" or {"|", ">", "<", "&&", ";"} & set(arguments):
        raise ValueError(f"only commands of varprop are run here, one at a time, not {line!r}")
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "80"}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main(arguments)
    if code != 0:
        raise RuntimeError(f"{line} ended with {code}: {err.getvalue()}")
    return out.getvalue()


_DO = {"pycon": _examples, "python": _python, "console": _console, "sh": _shell}
