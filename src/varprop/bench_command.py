"""``varprop bench``: how fast varprop is beside NumPy, on this machine."""

from __future__ import annotations

from typing import Any

import click

from .command_output import form_options, progress_bar, put


@click.command(short_help="Time varprop beside NumPy.")
@click.option(
    "--turns", type=click.IntRange(min=1), default=5, show_default=True,
    help="How often each contender is timed.",
)  # fmt: skip
@form_options
def bench(turns: int, form: str | None) -> None:
    """Time varprop beside NumPy, with drawn matrices and with the matrix-free idea.

    Networks are of width 1000 and depth 200, ReLU and He, unless said otherwise.
    Contenders take turns, so that a busy machine slows all of them alike. It takes
    about half a minute.

    \b
    Examples:
      varprop bench
      varprop bench --turns 3 --csv

    --json prints one object: machine, and rows. A row, also of --csv: task,
    contender, seconds for a network, and its ratio to varprop's (median, low, high,
    over the turns).
    """
    from .bench.beside_numpy import compare
    from .bench.machine import facts

    with progress_bar("tasks") as progress:
        rows = compare(turns, progress)
    machine = facts()
    put(
        form,
        lambda: _text(machine, rows),
        lambda: {"machine": machine, "rows": rows},
        lambda: rows,
    )


def _text(machine: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    from .text import text_table, wrapped

    body, last = [], None
    for row in rows:
        median, low, high = (_number(row["ratio"][each]) for each in ("median", "low", "high"))
        task = "" if row["task"] == last else row["task"]
        time = _number(1e3 * row["seconds"])
        body.append([task, row["contender"], time, median, f"{low} - {high}"])
        last = row["task"]
    heads = ["task", "contender", "ms a network", "x varprop", "least - most"]
    told = (
        f"{machine['cpu']}, {machine['threads']} threads, {machine['instruction_set']}; "
        f"NumPy {machine['numpy']}, {machine['blas']}; varprop {machine['varprop']}; "
        f"{machine['date']}. Medians over the turns, from the smallest to the largest ratio."
    )
    return f"{text_table(heads, body, left=2)}\n\n{wrapped(told)}"


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
