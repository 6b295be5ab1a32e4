"""What commands have in common: forms of output, files, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Record = Mapping[str, Any]
FIGURE = click.Path(dir_okay=False)


def form_options(command: Command) -> Command:
    """Add --json and --csv: the parameter `form` is "json", "csv" or None."""

    @wraps(command)
    def with_form(*arguments: Any, json: bool, csv: bool, **options: Any) -> Any:
        if json and csv:
            raise click.UsageError("--json and --csv are two forms of the output: give one")
        return command(*arguments, form="json" if json else "csv" if csv else None, **options)

    for form, what in (("csv", "CSV, a heading first"), ("json", "JSON")):
        click.option(f"--{form}", is_flag=True, help=f"Print {what}, in place of the text.")(
            with_form
        )
    return cast(Command, with_form)


def put(
    form: str | None,
    text: Callable[[], str],
    document: Callable[[], Any],
    records: Callable[[], Sequence[Record]],
) -> None:
    """Print a result in the form that was asked for.

    Parameters
    ----------
    form : {None, "json", "csv"}
    text, document, records : callable
        Of which one is called: text for people, an object for JSON, or the rows of a table.

    Examples
    --------
    >>> put("csv", str, dict, lambda: [{"layer": 1, "q": {"mean": 0.5, "log": [1.0, None]}}])
    layer,q.mean,q.log.0,q.log.1
    1,0.5,1.0,
    """
    if form == "json":
        import json

        click.echo(json.dumps(document(), allow_nan=False))
    elif form == "csv":
        click.echo(_csv(records()), nl=False)
    else:
        click.echo(text())


def _csv(records: Sequence[Record]) -> str:
    import csv
    from io import StringIO

    flat = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for record in flat for name in record))
    out = StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers inside a record, each with the path to it."""
    if isinstance(value, Mapping):
        inside: Any = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    else:
        yield name, value
        return
    for key, part in inside:
        yield from _flat(part, f"{name}.{key}" if name else str(key))


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float], None] | None]:
    """Give a function to call with the share done, or None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda done: bar.update(task, completed=done)


def check_outputs(plot_file: str | None, save_file: str | None = None) -> None:
    """Find out before the work, not after it, that a file can't be written."""
    from .files import check_writable

    if plot_file is not None:
        from .figure import check_format

        check_format(plot_file)
        check_writable(plot_file)
    if save_file is not None:
        check_writable(save_file)
    if plot_file and save_file and os.path.realpath(plot_file) == os.path.realpath(save_file):
        raise click.UsageError("--plot and --save name the same file")


def wrote(path: str) -> None:
    """Say so on stderr, where it is in no pipe's way."""
    click.echo(f"wrote {path}", err=True)
