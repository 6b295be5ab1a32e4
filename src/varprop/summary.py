"""The facts that a reader of a result asks for first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .propagation import Propagation
    from .statistic import FloatArray, LayerStatistic

QUANTITIES = ("variance", "preactivation", "activation")
PAIRS = ("gap", "kernel_gap")
TANGENTS = ("tangent", "adjoint")
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Summary:
    """What became of the signal, in a few numbers; logarithms are natural.

    Growth is that of q from the first to the last layer, "late" growth that of the second half;
    the gradient's is that of g from the last layer to the first.
    Each is None where it is not defined: in a network of one layer, or where q is exactly 0. Of
    several inputs and cotangents it is about the first.

    Examples
    --------
    >>> import varprop
    >>> s = summarise(varprop.simulate(depth=20, width=50, act="relu", scheme="he", trials=3))
    >>> s.dead, s.first_death
    (0, None)
    """

    log_growth_per_layer: float | None
    log_late_growth_per_layer: float | None
    log_growth: float | None
    log_gradient_growth: float | None
    log_last_median: float | None
    log_last_low: float | None
    log_last_high: float | None
    log_last_mean: float | None
    last_relative_stderr: float | None
    dead: int
    first_death: int | None


def summarise(propagation: Propagation) -> Summary:
    """Find the facts of a result; growth is the median over the trials that live.

    Parameters
    ----------
    propagation : Propagation
        The result.

    Returns
    -------
    Summary
    """
    propagation = propagation.input(0)
    q = propagation.preactivation
    depth = propagation.network.depth
    growth = _growth(propagation, 0)
    late = _growth(propagation, depth // 2) if depth >= 10 else None
    mean = _last(q.log_of_mean)
    error = _last(q.log_of_stderr) if propagation.trials > 1 else None
    return Summary(
        log_growth_per_layer=None if growth is None else growth / (depth - 1),
        log_late_growth_per_layer=None if late is None else late / (depth - 1 - depth // 2),
        log_growth=growth,
        log_gradient_growth=_gradient_growth(propagation),
        log_last_median=_last(q.log_median),
        log_last_low=_last(q.log_quantile(LOW)),
        log_last_high=_last(q.log_quantile(HIGH)),
        log_last_mean=mean,
        last_relative_stderr=None if mean is None or error is None else float(np.exp(error - mean)),
        dead=propagation.dead,
        first_death=int(propagation.died[propagation.died > 0].min()) if propagation.dead else None,
    )


def as_dict(propagation: Propagation) -> dict[str, Any]:
    """Everything the table says, for every layer, as JSON-able numbers (see `varprop simulate`).

    Parameters
    ----------
    propagation : Propagation
        The result.

    Returns
    -------
    dict
        All numbers finite; None where one is not defined (ln of 0, standard error of one trial).
        With several inputs, pairs, cotangents or tangents the numbers of a layer are lists.

    Examples
    --------
    >>> import varprop
    >>> d = as_dict(varprop.simulate(depth=2, width=9, trials=3))
    >>> [layer["layer"] for layer in d["layers"]]
    [1, 2]
    """
    facts, rows = summarise(propagation), propagation.rows
    names = [*QUANTITIES, *(("gradient",) if propagation.backward else ())]
    names += [name for name in (*PAIRS, *TANGENTS) if f"log_{name}" in rows.names]
    columns = {name: _of_logs(getattr(propagation, name)) for name in names}
    shares = ["relative_mean", "saturated", "zero"]
    shares += ["correlation"] if propagation.inputs > 1 else []
    columns |= {name: _of_values(getattr(propagation, name)) for name in shares}
    logs = [
        log if log > -np.inf else None
        for log in np.ravel(propagation.input_mean_square_log).tolist()
    ]
    document = {
        "varprop": propagation.version,
        "network": propagation.network.to_dict(),
        "engine": propagation.engine,
        "seed": propagation.seed,
        "trials": propagation.trials,
        "ranges": [list(r) for r in propagation.ranges],
        "input": propagation.input_label,
        "log_input_mean_square": logs if propagation.inputs > 1 else logs[0],
        "saturated_below": propagation.saturated_below,
        "dead": facts.dead,
        "first_death": facts.first_death,
        "log_growth_per_layer": facts.log_growth_per_layer,
        "log_late_growth_per_layer": facts.log_late_growth_per_layer,
        "log_gradient_growth": facts.log_gradient_growth,
        "layers": [
            {"layer": i + 1}
            | {name: {key: c[i] for key, c in group.items()} for name, group in columns.items()}
            for i in range(propagation.network.depth)
        ],
    }
    if propagation.inputs > 1:
        document["pairs"] = [list(pair) for pair in propagation.pairs]
    if rows.tangents:
        document["lyapunov"] = propagation.lyapunov.tolist()
    if propagation.histogram is not None:
        arrays = propagation.histogram.arrays()
        document["histogram"] = {name: array.tolist() for name, array in arrays.items()}
    return document


def _of_logs(statistic: LayerStatistic) -> dict[str, list[Any]]:
    """Summaries of a quantity of any size, layer by layer."""
    several = len(statistic.log) > 1
    return {
        "log_median": _finite(statistic.log_median),
        "log_p10": _finite(statistic.log_quantile(LOW)),
        "log_p90": _finite(statistic.log_quantile(HIGH)),
        "log_mean": _finite(statistic.log_mean),
        "log_stderr": _finite(statistic.log_stderr if several else _none(statistic)),
    }


def _of_values(statistic: LayerStatistic) -> dict[str, list[Any]]:
    several = len(statistic.log) > 1
    return {
        "mean": _finite(statistic.mean),
        "stderr": _finite(statistic.stderr if several else _none(statistic)),
    }


def _none(statistic: LayerStatistic) -> np.ma.MaskedArray:
    shape = statistic.log.shape[1:]
    return np.ma.MaskedArray(np.zeros(shape), mask=np.ones(shape, dtype=bool))


def _growth(propagation: Propagation, start: int) -> float | None:
    """Median of ln q of the last layer minus ln q of another, over trials that have both."""
    log = propagation.rows.log_preactivation
    both = (log[:, start] > -np.inf) & (log[:, -1] > -np.inf)
    if start == log.shape[1] - 1 or not both.any():
        return None
    return float(np.median(log[both, -1] - log[both, start]))


def _gradient_growth(propagation: Propagation) -> float | None:
    """Median of ln g in the first layer (it is 0 in the last), over trials where there is any."""
    if not propagation.backward or propagation.network.depth == 1:
        return None
    logs = propagation.gradient.log.reshape(propagation.trials, -1, propagation.network.depth)
    log = logs[:, 0, 0].compressed()
    return float(np.median(log)) if log.size else None


def _finite(values: np.ma.MaskedArray | FloatArray) -> list[Any]:
    """Python numbers, layers first; None where masked."""
    result: list[Any] = values.transpose(-1, *range(values.ndim - 1)).tolist()
    return result


def _last(values: np.ma.MaskedArray) -> float | None:
    return None if np.ma.getmaskarray(values)[-1] else float(values.data[-1])
