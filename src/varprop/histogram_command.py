"""``varprop histogram``: where the units of each layer lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .command_output import FIGURE, check_outputs, form_options, progress_bar, put, wrote
from .options import network_options, network_parts, trial_options

if TYPE_CHECKING:
    from .propagation import Propagation

_DEPTH, _COLUMNS = 10, 41
_BARS = " .:-=+*#%@"


@click.command(short_help="Draw histograms of the units of each layer.")
@network_options
@trial_options
@click.option(
    "--bins", type=click.IntRange(min=2), default=128, show_default=True, help="Bins (even)."
)
@click.option(
    "--quantity", type=click.Choice(["activation", "preactivation"]), default="activation",
    show_default=True, help="Of what.",
)  # fmt: skip
@click.option("-o", "--output", type=FIGURE, help="Draw a figure (.png, .svg, .pdf).")
@form_options
def histogram(
    bins: int, quantity: str, output: str | None, form: str | None, **options: Any
) -> None:
    """Draw where the units of each layer lie, as a grid of histograms.

    The depth is 10, unless --depth or --widths say otherwise.

    \b
    Examples:
      varprop histogram --act tanh --scheme "normal(0.01)" --depth 10 -o tanh.png
      varprop histogram --act relu --scheme he --quantity preactivation
      varprop histogram --act tanh --csv

    --json prints what varprop simulate --histogram --json does. --csv prints a row
    for each bin: layer, left and right edge (nothing beyond float64), count.
    """
    if options["depth"] is None and options["widths"] is None:
        options["depth"] = _DEPTH
    parts = network_parts(options)
    check_outputs(output)
    from . import simulate
    from .summary import as_dict

    label = f"{options['trials']} networks of depth {parts['depth']}"
    with progress_bar(label) as progress:
        result = simulate(**parts, x=None, histogram=bins, progress=progress, **options)
    if output is not None:
        from .plot import histograms, save_figure

        save_figure(histograms(result, quantity=quantity), output)
        wrote(output)
    put(
        form,
        lambda: table(result, quantity),
        lambda: as_dict(result),
        lambda: _records(result, quantity),
    )


def table(result: Propagation, quantity: str) -> str:
    """A line for each layer: root mean square, shares, and a histogram in letters.

    Examples
    --------
    >>> from varprop import simulate
    >>> p = simulate(depth=3, width=50, act="tanh", trials=9, histogram=64)
    >>> print(table(p, "activation").splitlines()[3].split()[:4])
    ['layer', 'rms', 'satur%', 'zero%']
    """
    from .plot_histograms import bounds, drawn_layer, drawn_range
    from .plot_signal import first_of
    from .table import chosen_layers, header
    from .text import format_log, format_share, text_table, wrapped

    assert result.histogram is not None  # it was asked for
    counts = getattr(result.histogram, quantity)
    layers = chosen_layers(result.network.depth)
    reach = bounds(result.network, quantity)
    unit, power, (low, high) = drawn_range(counts, layers, reach)
    rms = first_of(result, quantity).log_median.filled(-np.inf) / 2
    columns = np.linspace(low, high, _COLUMNS + 1)
    body = []
    for layer in layers:
        edges, heights = drawn_layer(counts, int(layer), unit, reach[layer - 1])
        below = np.append(0.0, np.cumsum(heights * np.diff(edges)))
        share = np.diff(np.interp(columns, edges, below))
        # Square roots: tails are seen beside a peak.
        level = np.sqrt(share / share.max()) if share.max() > 0 else share
        bars = "".join(_BARS[round(9 * float(v))] for v in level)
        body.append(
            [
                str(layer),
                format_log(rms[layer - 1]),
                format_share(result.saturated.mean[layer - 1]),
                format_share(result.zero.mean[layer - 1]),
                f"|{bars}|",
            ]
        )
    scale = f" x 2^{power}" if power else ""
    ends = f"{low:.3g}".ljust((_COLUMNS - len(scale)) // 2) + scale
    heads = [
        "layer",
        "rms",
        "satur%",
        "zero%",
        ends + f"{high:.3g}".rjust(_COLUMNS + 2 - len(ends)),
    ]
    note = (
        f"rms: root mean square of {quantity}s, median over networks. The darker a letter of "
        f"'{_BARS.strip()}', the more units lie there (square root)."
    )
    return f"{header(result)}\n\n{text_table(heads, body)}\n\n{wrapped(note)}"


def _records(result: Propagation, quantity: str) -> list[dict[str, Any]]:
    assert result.histogram is not None  # it was asked for
    counts = getattr(result.histogram, quantity)
    records = []
    for layer in range(1, counts.depth + 1):
        try:
            edges: list[float | None] = counts.edges(layer).tolist()
        except (OverflowError, ValueError):  # beyond float64; all exactly 0
            edges = [None] * (counts.bins + 1)
        for i, count in enumerate(counts.counts[layer - 1].tolist()):
            place = {"layer": layer, "left": edges[i], "right": edges[i + 1]}
            records.append(place | {"count": count})
    return records
