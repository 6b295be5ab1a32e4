"""``varprop spectrum``: its options, and what it prints and draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _layers(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[int] | None:
    try:
        return None if value is None else [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of layers such as 1,2,5") from None


def spectrum_options(command: Command) -> Command:
    """Add the options of a spectrum, but for the network's."""
    for option in reversed(
        (
            click.option(
                "--trials", type=click.IntRange(min=1), default=20, show_default=True,
                help="Networks.",
            ),
            click.option(
                "--first-trial", type=click.IntRange(min=0), default=0, show_default=True,
                help="Number of the first network.",
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed."
            ),
            click.option(
                "--depths", callback=_layers, metavar="L1,L2,...",
                help="Layers to look at.  [default: 1, 2, 4, ... and the last]",
            ),
            click.option(
                "-o", "--output", type=click.Path(dir_okay=False),
                help="Draw the last one's density (.png, .svg, .pdf).",
            ),
            click.option("--compare", is_flag=True, help="Hold the result against theory."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def run(
    parts: dict[str, Any],
    output: str | None,
    compare: bool,
    progress: Callable[[float], None] | None,
    options: dict[str, Any],
) -> str:
    """Measure a spectrum, draw it where wanted, and say what came out.

    Parameters
    ----------
    parts : dict
        The network.
    output : str or None
        Figure's file.
    compare : bool
    progress : callable or None
    options : dict
        Other arguments of `varprop.spectrum`.

    Returns
    -------
    str
        The table, and what the comparison found.
    """
    from .figure import save_figure
    from .singular import spectrum

    measured = spectrum(**parts, progress=progress, **options)
    if output is not None:
        save_figure(measured.plot(), output)
    said = str(measured)
    return f"{said}\n\n{measured.compare()}" if compare else said
