"""Results as plain text, at most 80 columns wide: the same in a terminal, a pipe or a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .merge import describe_ranges
from .rows import counted
from .summary import HIGH, LOW, Summary, summarise
from .text import WIDTH, format_log, format_share, table_width, text_table, wrapped

if TYPE_CHECKING:
    from .activation import Activation
    from .network import Network
    from .propagation import Propagation
    from .scheme import Scheme
    from .statistic import FloatArray, LayerStatistic

IntArray = npt.NDArray[np.int64]
# Steps between the shown layers of a deep network, times a power of ten.
_ROUND_STEPS = (1, 2, 3, 4, 5, 6, 8)
_MOST_STEPS = 20
SHARES = ("mean/rms", "satur%", "zero%")  # what gives way where numbers are long


def propagation_table(propagation: Propagation) -> str:
    """Say what ran, what happened layer by layer, and what it comes to.

    Medians, because at depth the mean over trials may rest on a few networks; the closing lines
    give the mean of the last layer as well.

    Parameters
    ----------
    propagation : Propagation
        The result.

    Returns
    -------
    str
        Lines of at most 80 columns in ASCII (a user's own names may hold other letters).
    """
    head = header(propagation)
    end = closing(propagation, summarise(propagation))
    return f"{head}\n\n{_layers_table(propagation)}\n\n{legend(propagation)}\n\n{end}"


def _layers_table(propagation: Propagation) -> str:
    """The shown layers, with as many digits and quantiles as 80 columns can hold."""
    rows = chosen_layers(propagation.network.depth) - 1
    spread = () if propagation.trials == 1 else (LOW, HIGH)
    for digits, quantiles, shares in (
        (3, spread, True),
        (2, spread, True),
        (2, (), True),
        (2, (), False),
    ):
        columns = layer_cells(propagation, rows, quantiles, digits)
        columns = {name: cells for name, cells in columns.items() if shares or name not in SHARES}
        heads, body = list(columns), list(zip(*columns.values(), strict=True))
        if table_width(heads, body, 1) <= WIDTH:
            break
    return text_table(heads, body)


def layer_cells(
    propagation: Propagation, rows: IntArray, spread: tuple[float, ...], digits: int
) -> dict[str, list[str]]:
    """The cells of a table of layers, column by column; `rows` counts layers from 0."""
    columns = _columns(propagation.input(0), rows, spread, digits)
    return columns | _further_columns(propagation, rows, digits)


def _columns(
    propagation: Propagation, rows: IntArray, spread: tuple[float, ...], digits: int
) -> dict[str, list[str]]:
    """The cells of the table, column by column."""

    def quantile(statistic: LayerStatistic, p: float) -> list[str]:
        return [format_log(v, digits) for v in statistic.log_quantile(p).filled()[rows]]

    def share(statistic: LayerStatistic) -> list[str]:
        return [format_share(v) for v in statistic.mean[rows]]

    q = propagation.preactivation
    columns = {"layer": [str(row + 1) for row in rows], "K": quantile(propagation.variance, 0.5)}
    for p in sorted((0.5, *spread)):
        columns["q" if p == 0.5 else f"q {100 * p:.0f}%"] = quantile(q, p)
    columns["a"] = quantile(propagation.activation, 0.5)
    if propagation.backward:
        columns["g"] = _medians(propagation.gradient, rows, digits)
    columns["mean/rms"] = [
        f"{v:.3f}".replace("-0.000", "0.000") for v in propagation.relative_mean.median[rows]
    ]
    return columns | {"satur%": share(propagation.saturated), "zero%": share(propagation.zero)}


def _further_columns(propagation: Propagation, rows: IntArray, digits: int) -> dict[str, list[str]]:
    """Of the first pair and the first tangent, where there are any."""
    columns = {}
    if propagation.inputs > 1:
        c = _of_first(propagation.correlation.median)[rows]
        columns["c"] = [
            "-" if gone else f"{v:.{digits}f}"
            for v, gone in zip(np.ma.getdata(c), np.ma.getmaskarray(c), strict=True)
        ]
        columns["1-c"] = [
            "-" if cell == "-" else text
            for cell, text in zip(
                columns["c"], _medians(propagation.gap, rows, digits), strict=True
            )
        ]
    if propagation.rows.tangents:
        columns["t"] = _medians(propagation.tangent, rows, digits)
    return columns


def _medians(statistic: LayerStatistic, rows: IntArray, digits: int) -> list[str]:
    logs = _of_first(statistic.log_median.filled())[rows]
    return [format_log(v, digits) for v in logs]


def _of_first(values: FloatArray) -> FloatArray:
    """The layers of the first cotangent, pair or tangent."""
    first: FloatArray = values.reshape(-1, values.shape[-1])[0]
    return first


def header(propagation: Propagation) -> str:
    """Say what ran, in lines of at most 80 columns."""
    network = propagation.network
    which = describe_ranges(propagation.ranges)
    log_input = float(np.ravel(propagation.input_mean_square_log)[0])
    inputs = f"{propagation.inputs} inputs" if propagation.inputs > 1 else "input"
    size = "mean square" if propagation.inputs == 1 else "mean square of the first"
    return "\n".join(
        wrapped(line)
        for line in (
            f"{counted(propagation.trials, 'random network')}: {describe_network(network)}",
            f"engine {propagation.engine}, seed {propagation.seed}, {which}; "
            f"{inputs}: {propagation.input_label}, {size} {format_log(log_input)}",
        )
    )


def describe_network(network: Network) -> str:
    """Depth, width or widths, activation, scheme and bias in a few words.

    Examples
    --------
    >>> from varprop.network import Network
    >>> describe_network(Network(depth=3, width=50, act="tanh", scheme="xavier"))
    'depth 3, width 50, tanh, xavier'
    """
    return ", ".join(part for part in network_features(network) if part)


def network_features(network: Network) -> tuple[str, ...]:
    """What tells networks apart, each in a few words: depth, width, ...; empty where absent.

    Examples
    --------
    >>> from varprop.network import Network
    >>> network_features(Network(depth=3, width=50, act="tanh", sigma_b=0.1))[:5]
    ('depth 3', 'width 50', 'tanh', 'he', 'sigma_b=0.1')
    """
    widths = network.widths if network.width is None else (network.width,)
    if len(widths) == 1:
        width = f"width {network.width}"
    elif len(set(widths[1:])) == 1:
        width = f"width {widths[0]} then {widths[1]}"
    else:
        shown = [str(width) for width in widths]
        if len(shown) > 8:
            shown[4:-2] = ["..."]
        width = f"widths {'-'.join(shown)}"
    # None stands for the scheme's own biases, which its name implies.
    schemes = network.distinct_schemes
    own = network.sigma_b == 0 and all(scheme.bias_scale == 0 for scheme in schemes)
    bias = "" if network.sigma_b is None or own else f"sigma_b={network.sigma_b:g}"
    names = (_joined(each) for each in (network.distinct_acts, schemes))
    return (f"depth {network.depth}", width, *names, bias, *_extras(network))


def _joined(each: tuple[Activation, ...] | tuple[Scheme, ...]) -> str:
    """One name, or those of all layers, abridged."""
    shown = [str(one) for one in each]
    if len(shown) > 6:
        shown[3:-2] = ["..."]
    return " - ".join(shown)


def _extras(network: Network) -> tuple[str, str, str]:
    residual, norm = "", ""
    if network.residual is not None:
        residual = f"residual branch {network.residual.branch}"
        residual += f" skip {network.residual.skip:g}" if network.residual.skip != 1 else ""
    if network.norm is not None:
        norm = f"{network.norm.kind} norm ({network.norm.place})"
    return residual, norm, f"dropout keeps {network.keep:g}" if network.keep != 1 else ""


def chosen_layers(depth: int) -> IntArray:
    """Layers to show of a deep network: first, last, and round numbers between, 21 at most.

    Examples
    --------
    >>> chosen_layers(100)[[0, 1, 2, -1]]
    array([  1,   5,  10, 100])
    """
    step = next(
        s * 10**power
        for power in range(20)
        for s in _ROUND_STEPS
        if depth <= _MOST_STEPS * s * 10**power
    )
    between = np.arange(step, depth, step, dtype=np.int64)
    return np.unique(np.concatenate([[1], between, [depth]]))


def legend(propagation: Propagation) -> str:
    """What the columns of the table mean."""
    below = f"{100 * propagation.saturated_below:g}%"
    back = propagation.backward
    lines = [
        "K: variance of a pre-activation; q, a: mean squares of pre-activations and of",
        f"activations; satur%: units with a slope of at most {below} of the largest;",
        "zero%: units that are exactly 0.",
    ]
    if back:
        lines[-1] += " g: mean square of a gradient on its way back."
    pairs, tangents = propagation.inputs > 1, propagation.rows.tangents > 0
    if propagation.rows.cotangents > 1:
        lines.append(f"g: of the first of {propagation.rows.cotangents} cotangents.")
    if pairs:
        lines.append("All of the first input; c: cosine of the first two inputs' pre-activations.")
    if tangents:
        lines.append("t: mean-square growth of a perturbation of the first input.")
    if propagation.trials > 1:
        logs = ", ".join(
            ["K, q, a", *["g"] * back, "mean/rms", *["c, 1-c"] * pairs, *["t"] * tangents]
        )
        lines.append(f"{logs}: medians over networks; satur%, zero%: means.")
    return "\n".join(lines)


def closing(propagation: Propagation, facts: Summary) -> str:
    """What it comes to, a fact a line."""
    depth, trials = propagation.network.depth, propagation.trials
    lines = []
    if facts.log_growth_per_layer is not None and facts.log_growth is not None:
        line = f"growth of q, median: {_rate(facts.log_growth_per_layer)} a layer"
        if facts.log_late_growth_per_layer is not None:
            line += f" ({_rate(facts.log_late_growth_per_layer)} in the second half)"
        line += f", x{format_log(facts.log_growth)} from layer 1 to {depth}"
        lines.append(line + _pace(facts.log_growth_per_layer))
    if facts.log_gradient_growth is not None:
        rate = _rate(facts.log_gradient_growth / (depth - 1))
        whole = f"x{format_log(facts.log_gradient_growth)} from layer {depth} to 1"
        lines.append(f"growth of g on its way back: {rate} a layer, {whole}")
    if propagation.rows.tangents:
        lines.append(f"Lyapunov exponents: {_exponents(propagation)} a layer")
    if facts.log_last_mean is not None and trials > 1:
        lines.append(f"q in layer {depth}: {_tail(facts, facts.log_last_mean)}")
    death = f", the first in layer {facts.first_death}" if facts.first_death else ""
    rest = "; growth is that of the others" if 0 < facts.dead < trials else ""
    lines.append(f"dead networks: {facts.dead} of {trials}{death}{rest}")
    return "\n".join(wrapped(line, "  ") for line in lines)


def _exponents(propagation: Propagation) -> str:
    """The first few, with their standard errors."""
    shown = [
        "lost" if value is None else f"{value:+.4g}" for value in propagation.lyapunov.tolist()
    ]
    if propagation.trials > 1:
        errors = propagation.lyapunov_stderr.tolist()
        shown = [
            text if error is None else f"{text} +- {error:.2g}"
            for text, error in zip(shown, errors, strict=True)
        ]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:6], "..."])


def _rate(log: float) -> str:
    """A factor as per cent where it is near 1."""
    percent = 100 * math.expm1(log) if log < 1 else math.inf
    return f"{percent:+#.2g}%" if abs(percent) < 10 else f"x{format_log(log)}"


def _pace(log_growth: float) -> str:
    """In how many layers q changes by a factor of 10, where that is quick enough to matter."""
    layers = math.log(10) / abs(log_growth) if log_growth else math.inf
    verb = "rises" if log_growth > 0 else "falls"
    return f"; {verb} tenfold every {layers:.3g} layers" if layers <= 100 else ""


def _tail(facts: Summary, log_mean: float) -> str:
    """Mean and median side by side, and which of them to trust."""
    percent = 100 * (facts.last_relative_stderr or 0.0)
    error = f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}"
    text = f"mean {format_log(log_mean)} +- {error}%"
    if facts.log_last_median is None:
        return f"{text}, median 0"
    text += f", median {format_log(facts.log_last_median)}"
    if facts.log_last_low is None or facts.log_last_high is None:
        return text
    ratio = facts.log_last_high - facts.log_last_low
    text += f", 90% over 10% quantile x{format_log(ratio)}"
    heavy = log_mean > facts.log_last_high or ratio > math.log(20)
    return f"{text} (heavy tail: trust the median, not the mean)" if heavy else text
