"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _widths(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        widths = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list such as 784,1000,10") from None
    if len(widths) < 2:
        raise click.BadParameter(
            f"{value!r} is one number; give the input's size and that of every layer, as in "
            "784,1000,10"
        )
    return widths


def _branch(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | str | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return value  # a rule such as 1/sqrt(depth), which the record checks


def complete_activation(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[str]:
    """Names of activations for the shell to complete."""
    from ._activation_table import TABLE

    return [row.name for row in TABLE if row.name.startswith(typed)]


def complete_scheme(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Names of schemes for the shell to complete."""
    from ._scheme_table import NAMES

    return [name for name in NAMES if name.startswith(typed)]


def network_options(command: Command) -> Command:
    """Add the options that say which network; `network_parts` collects them."""
    for option in reversed(
        (
            click.option("--depth", type=int, help="Layers, 1 or more."),
            click.option("--width", type=int, help="Units in every layer.  [default: 1000]"),
            click.option(
                "--widths", callback=_widths, metavar="N0,N1,...",
                help="Units layer by layer, the input's size first; instead of --width.",
            ),
            click.option(
                "--act", default="relu", show_default=True, shell_complete=complete_activation,
                help="Activation: a name, leaky_relu(0.2), or a formula in x.",
            ),
            click.option(
                "--scheme", shell_complete=complete_scheme,
                help="Initialisation: a name, or such as normal(0.01).  [default: he]",
            ),
            click.option("--sigma-w", type=float, help="Var W = sigma_w^2/fan_in; no --scheme."),
            click.option("--sigma-b", type=float, help="Standard deviation of the biases."),
            click.option(
                "--residual", metavar="BRANCH", callback=_branch,
                help="Skip connections; factor of the branch: a number, or 1/sqrt(depth).",
            ),
            click.option(
                "--skip", type=float, help="Factor of the skip connections.  [default: 1]"
            ),
            click.option(
                "--norm", type=click.Choice(["layer", "rms"]), help="LayerNorm or RMSNorm."
            ),
            click.option(
                "--norm-place", type=click.Choice(["pre", "post"]),
                help="Before the activation, or of the sum.  [default: pre]",
            ),
            click.option("--dropout", type=float, help="Share of units that are kept."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def trial_options(command: Command) -> Command:
    """Add the options of drawing networks, named as the parameters of `varprop.simulate`."""
    engines = click.Choice(["auto", "matrix-free", "dense", "reference"])
    for option in reversed(
        (
            click.option(
                "--trials", type=click.IntRange(min=1), default=100, show_default=True,
                help="Networks.",
            ),
            click.option(
                "--first-trial", type=click.IntRange(min=0), default=0, show_default=True,
                help="Number of the first network; continue a run with it.",
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed."
            ),
            click.option("--threads", type=int, help="Threads.  [default: all cores]"),
            click.option("--engine", type=engines, default="auto", show_default=True),
            click.option(
                "--backward/--no-backward", default=None,
                help="Measure gradients too.  [default: yes, unless the activation jumps]",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def run_options(command: Command) -> Command:
    """Add the options of drawing networks, and those of what else to measure."""
    for option in reversed(
        (
            click.option(
                "--correlation", type=float, help="Two inputs with this cosine; no --input."
            ),
            click.option(
                "--log-gap", type=float, help="Two inputs with this ln(1 - cosine), from -1e6."
            ),
            click.option(
                "--cotangents", type=click.IntRange(min=1), default=1, show_default=True,
                help="Random gradients to send back.",
            ),
            click.option(
                "--tangents", type=click.IntRange(min=0), default=0, show_default=True,
                help="Perturbations to follow: Lyapunov exponents.",
            ),
            click.option(
                "--histogram", type=int, metavar="BINS",
                help="Count units in so many bins (even).  [default: none]",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return trial_options(command)


def network_parts(options: dict[str, Any]) -> dict[str, Any]:
    """Take the network's options out of `options`, and check that they make a Network.

    Parameters
    ----------
    options : dict
        What the command was called with; the network's options are removed from it.

    Returns
    -------
    dict
        Arguments of `Network` and of `varprop.simulate`, which fits the first width to an input.

    Raises
    ------
    click.UsageError
        When the options don't make a network.
    """
    from .architecture import Norm, Residual
    from .network import Network

    names = ("depth", "width", "widths", "act", "scheme", "sigma_w", "sigma_b", "dropout")
    parts = {name: options.pop(name) for name in names}
    branch, skip = options.pop("residual"), options.pop("skip")
    kind, place = options.pop("norm"), options.pop("norm_place")
    if skip is not None and branch is None:
        raise click.UsageError("--skip goes with --residual")
    if place is not None and kind is None:
        raise click.UsageError("--norm-place goes with --norm")
    try:
        parts["residual"] = (
            None if branch is None else Residual(branch, 1.0 if skip is None else skip)
        )
        parts["norm"] = None if kind is None else Norm(kind, place or "pre")
        Network(**parts)
    except (ValueError, TypeError) as error:
        context = click.get_current_context(silent=True)
        command = None if context is None else context.command
        raise click.UsageError(in_options(str(error), command)) from None
    return parts


# What the library calls some options.
_ALIASES = {"branch": "residual", "kind": "norm", "place": "norm_place", "x": "input_file"}


def in_options(message: str, command: click.Command | None) -> str:
    """A message of the library in the words of a command's options.

    Examples
    --------
    >>> command = click.Command("c", params=[click.Option(["--sigma-w"]), click.Option(["--act"])])
    >>> in_options("sigma_w must be > 0, not -1", command)
    '--sigma-w must be > 0, not -1'
    >>> in_options("act='relu' and sigma_w=2 do not agree", command)
    '--act relu and --sigma-w 2 do not agree'
    >>> command = click.Command("c", params=[click.Option(["--backward/--no-backward"])])
    >>> in_options("it has no slope; use backward=False", command)
    'it has no slope; use --no-backward'
    """
    given = [one for one in (command.params if command else ()) if isinstance(one, click.Option)]
    options = {one.name: max(one.opts, key=len) for one in given}
    off = {one.name: one.secondary_opts[0] for one in given if one.secondary_opts}
    options |= {name: options[of] for name, of in _ALIASES.items() if of in options}
    if "bins" in options:
        options["histogram"] = options["bins"]
    names = "|".join(sorted(map(re.escape, filter(None, options)), key=len, reverse=True))
    if not names:
        return message
    before = r"(?<![\w'\"=./-])"
    message = re.sub(
        rf"{before}({'|'.join(off) or '(?!)'})=(True|False)\b",
        lambda m: options[m[1]] if m[2] == "True" else off[m[1]],
        message,
    )
    message = re.sub(
        rf"{before}({names})=('?)(?:\(([\d, ]+)\)|([^\s',:]+))\2",
        lambda m: f"{options[m[1]]} {m[4] or m[3].replace(' ', '')}",
        message,
    )
    return re.sub(
        rf"{before}({names})(?:\[(\d+)\])?(?= (?:must|is|needs)\b)",
        lambda m: options[m[1]] + (f" (number {int(m[2]) + 1})" if m[2] else ""),
        message,
    )
