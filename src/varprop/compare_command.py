"""``varprop compare``: schemes or activations side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .command_output import FIGURE, check_outputs, form_options, progress_bar, put, wrote
from .options import network_options, network_parts, trial_options

if TYPE_CHECKING:
    from .propagation import Propagation
    from .statistic import FloatArray

_DEPTH = 50
_NAME = 22  # letters of a network's name in the table


def _names(_context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """A list of names, at commas outside brackets."""
    if value is None:
        return []
    names = [part.strip() for part in re.split(r",(?![^(]*\))", value)]
    if not all(names):
        raise click.BadParameter(f"{value!r} has an empty name", param=parameter)
    return names


@click.command(short_help="Hold schemes or activations side by side.")
@network_options
@trial_options
@click.option(
    "--schemes", metavar="A,B,...", callback=_names, help="Initialisations; not --scheme."
)
@click.option("--acts", metavar="A,B,...", callback=_names, help="Activations; not --act.")
@click.option("-o", "--output", type=FIGURE, help="Draw a figure (.png, .svg, .pdf).")
@form_options
def compare(
    schemes: list[str],
    acts: list[str],
    output: str | None,
    form: str | None,
    **options: Any,
) -> None:
    """Hold schemes or activations side by side, with theory beside the simulation.

    --schemes and --acts are lists; with both, every activation meets every scheme.
    The depth is 50, unless --depth or --widths say otherwise.

    \b
    Examples:
      varprop compare --act tanh --schemes "normal(0.01),normal(1),xavier,he"
      varprop compare --acts relu,gelu,silu --scheme he --depth 100 -o acts.png
      varprop compare --acts tanh,erf --schemes xavier,orthogonal --csv

    --json prints a list with one object for each network, as varprop simulate
    --json does, and in it theory: log_variance, log_activation, log_gradient of
    each layer, null where there is none. --csv prints a row for each layer of each.
    """
    if schemes and (options["scheme"] or options["sigma_w"] is not None):
        raise click.UsageError("--schemes stands in place of --scheme and --sigma-w; not both")
    source = click.get_current_context().get_parameter_source("act")
    if acts and source is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--acts stands in place of --act; not both")
    if options["depth"] is None and options["widths"] is None:
        options["depth"] = _DEPTH
    pairs = list(product(acts or [options["act"]], schemes or [options["scheme"]]))
    parts = [network_parts(options | {"act": act, "scheme": scheme}) for act, scheme in pairs]
    run = {name: options[name] for name in _RUN}
    check_outputs(output)
    if output is not None and len(parts) > _most():
        raise click.UsageError(f"a figure tells {_most()} networks apart, not {len(parts)}")
    from . import simulate

    results = []
    with progress_bar(f"{len(parts)} kinds of networks") as progress:
        for i, part in enumerate(parts):
            results.append(simulate(**part, x=None, progress=None, **run))
            if progress is not None:
                progress((i + 1) / len(parts))
    if output is not None:
        _draw(results, output)
        wrote(output)
    put(form, lambda: table(results), lambda: _documents(results), lambda: _records(results))


_RUN = ("trials", "first_trial", "seed", "threads", "engine", "backward")


def _most() -> int:
    from .figure import COLOURS

    return len(COLOURS)


def _draw(results: Sequence[Propagation], output: str) -> None:
    from . import plot
    from .figure import new_figure

    if not all(result.backward for result in results):
        plot.save_figure(plot.compare(results), output)
        return
    figure = new_figure(6.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    plot.compare(results, upper)
    plot.compare(results, lower, statistic="gradient").set_title("", loc="left")
    told = lower.get_legend()
    if told is not None:
        told.remove()
    upper.set_xlabel("")
    plot.save_figure(figure, output)


def table(results: Sequence[Propagation]) -> str:
    """One row for each result, and the theory of infinite width beside the simulation.

    Examples
    --------
    >>> from varprop import simulate
    >>> print(table([simulate(depth=9, width=50, act="linear", scheme=s, trials=9)
    ...              for s in ("lecun", "he")]).splitlines()[0])
    9 networks each: depth 9, width 50, linear
    """
    from .plot_compare import told_apart
    from .plot_theory import predicted_logs, prediction_for
    from .rows import counted
    from .text import format_log, format_share, shortened, text_table, wrapped

    common, labels = told_apart(results)
    back = all(result.backward for result in results)
    zeros = any(result.zero.mean[-1] > 0 for result in results)
    deaths = any(result.dead for result in results)
    body = []
    for result, label in zip(results, labels, strict=True):
        depth = result.network.depth
        prediction = prediction_for(result, None)
        q, g = _medians(result, "preactivation"), _medians(result, "gradient") if back else None
        in_theory = [
            predicted_logs(prediction, name, depth) for name in ("preactivation", "gradient")
        ]
        cells = [shortened(label, _NAME), format_log(q[0]), format_log(q[-1])]
        cells.append("-" if in_theory[0] is None else format_log(in_theory[0][-1]))
        if g is not None:
            cells.append(format_log(g[0]))
            cells.append("-" if in_theory[1] is None else format_log(in_theory[1][0]))
        cells.append(format_share(result.saturated.mean[-1]))
        cells += [format_share(result.zero.mean[-1])] if zeros else []
        cells += [str(result.dead)] if deaths else []
        body.append(cells)
    heads = ["network", "q first", "q last", "theory"]
    heads += [*(["g first", "theory"] if back else []), "satur%"]
    heads += [*(["zero%"] if zeros else []), *(["dead"] if deaths else [])]
    note = (
        "q: mean square of pre-activations in the first and the last layer; "
        + ("g: of a gradient that comes back from the last layer (1 there) to the first; " * back)
        + "medians over networks. theory: the limit of infinite width. satur%: units of the last "
        "layer with a slope of at most 5% of the largest"
        + ("; zero%: units that are exactly 0." if zeros else ".")
        + (" dead: networks whose units all are 0." if deaths else "")
    )
    title = wrapped(f"{counted(results[0].trials, 'network')} each: {common}", "  ")
    return f"{title}\n\n{text_table(heads, body, left=1)}\n\n{wrapped(note)}"


def _medians(result: Propagation, name: str) -> FloatArray:
    logs: FloatArray = getattr(result, name).log_median.filled(-np.inf)
    return logs


def _documents(results: Sequence[Propagation]) -> list[dict[str, Any]]:
    from .plot_theory import predicted_logs, prediction_for
    from .summary import as_dict

    documents = []
    for result in results:
        prediction = prediction_for(result, None)
        theory: dict[str, Any] = {}
        for name in ("variance", "activation", "gradient"):
            logs = predicted_logs(prediction, name, result.network.depth)
            theory[f"log_{name}"] = (
                None if logs is None else [v if v > -np.inf else None for v in logs.tolist()]
            )
        documents.append(as_dict(result) | {"theory": theory})
    return documents


def _records(results: Sequence[Propagation]) -> list[dict[str, Any]]:
    records = []
    for result, document in zip(results, _documents(results), strict=True):
        network, theory = result.network, document["theory"]
        for i, layer in enumerate(document["layers"]):
            there = {f"theory.{key}": logs[i] if logs else None for key, logs in theory.items()}
            named = {"act": str(network.act), "scheme": str(network.scheme)}
            records.append(named | layer | there)
    return records
