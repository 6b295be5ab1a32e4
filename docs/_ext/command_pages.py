"""The command line's reference: what every `--help` says, set as a page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from made import rewrite
from sphinx.application import Sphinx

from varprop.cli import cli

_TOP = """# Commands

Every command prints text, JSON (`--json`) or CSV (`--csv`); figures go to PNG, SVG or PDF by the
ending of the file's name. `varprop COMMAND --help` says the same in a terminal.
"""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    parts = [_TOP, *_described(cli)]
    for name, command in sorted(cli.commands.items()):
        parts += [f"## varprop {name}", *_described(command)]
        parts += ["**Options**", *_options(command)]
    rewrite(Path(app.srcdir) / "reference" / "commands.md", "\n\n".join(parts) + "\n")


def _described(command: click.Command) -> Iterator[str]:
    """Paragraphs of a help text; what must keep its lines (after a \\b) as it is."""
    for part in inspect.cleandoc(command.help or "").split("\n\n"):
        if part.startswith("\b\n"):
            yield f"```text\n{part[2:]}\n```"
        else:
            yield _escaped(" ".join(part.split()))


def _options(command: click.Command) -> Iterator[str]:
    context = click.Context(command, parent=click.Context(cli, **cli.context_settings))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:  # an argument: the text above speaks of it
            record = (parameter.make_metavar(context), "")
        written, said = record
        yield f"`{written}`\n: {_escaped(' '.join(said.split())) or 'See above.'}"


def _escaped(text: str) -> str:
    """Plain text in Markdown."""
    for letter in "\\`*_[]<>$|#{}":
        text = text.replace(letter, f"\\{letter}")
    return text
