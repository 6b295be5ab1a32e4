"""``varprop spectrum``: its options, and what it prints and draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from .command_output import form_options, put

if TYPE_CHECKING:
    from .jacobian_spectrum import JacobianSpectrum

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
            click.option("--threads", type=int, help="Threads.  [default: all cores]"),
            click.option(
                "--depths", callback=_layers, metavar="L1,L2,...",
                help="Layers to look at.  [default: 1, 2, 4, ... and the last]",
            ),
            click.option(
                "-o", "--output", type=click.Path(dir_okay=False),
                help="Draw the last one's density (.png, .svg, .pdf).",
            ),
            click.option("--compare", is_flag=True, help="Hold the result against theory."),
            form_options,
        )
    ):  # fmt: skip
        command = option(command)
    return command


def measure(
    parts: dict[str, Any],
    output: str | None,
    progress: Callable[[float], None] | None,
    options: dict[str, Any],
) -> JacobianSpectrum:
    """Measure a spectrum, and draw it where wanted.

    Parameters
    ----------
    parts : dict
        The network.
    output : str or None
        Figure's file.
    progress : callable or None
    options : dict
        Other arguments of `varprop.spectrum`.

    Returns
    -------
    JacobianSpectrum
    """
    from .figure import save_figure
    from .singular import spectrum

    measured = spectrum(**parts, progress=progress, **options)
    if output is not None:
        save_figure(measured.plot(), output)
    return measured


def show(measured: JacobianSpectrum, compare: bool, form: str | None) -> None:
    """Print the table, and what the comparison with theory found; or JSON, or CSV."""
    found = str(measured.compare()) if compare else None
    put(
        form,
        lambda: "\n\n".join(filter(None, (str(measured), found))),
        lambda: {
            "network": measured.network.to_dict(),
            "seed": measured.seed,
            "ranges": measured.ranges,
            "layers": _records(measured),
            "comparison": found,
        },
        lambda: _records(measured),
    )


def _records(measured: JacobianSpectrum) -> list[dict[str, Any]]:
    """A record for each layer that was looked at; None stands for ln 0 and for no error."""
    records = []
    for at, depth in enumerate(measured.depths):
        logs = np.sort(measured.at(depth), axis=1)
        record: dict[str, Any] = {"layer": depth}
        for name, column in (("smallest", 0), ("median", logs.shape[1] // 2), ("largest", -1)):
            middle = np.sort(logs[:, column])[(len(logs) - 1) // 2]
            record[f"log_{name}"] = _finite(middle)
        for name in ("zero", "participation", "effective_rank"):
            over = getattr(measured, name)
            record[name] = {"mean": _finite(over.mean[at]), "stderr": _finite(over.stderr[at])}
        records.append(record)
    return records


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
