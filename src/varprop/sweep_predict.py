"""What the theory of infinite width says of the rows of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .log_numbers import HIGHEST_LOG, LOWEST_LOG, FloatArray
from .network import Network
from .pair_prediction import predicted_log_gap
from .propagation import Propagation
from .sweep_rows import Row

_NAMES = ("variance", "preactivation", "activation", "gradient")  # "log_" + these in a Prediction


def predicted(propagation: Propagation, rows: Sequence[Row], depth: int) -> FloatArray:
    """Theory's values and their logarithms, (2, rows, depth); nan where it says nothing.

    Examples
    --------
    >>> import varprop
    >>> from varprop.sweep_rows import Shape, rows_of
    >>> p = varprop.simulate(depth=2, width=9, act="relu", trials=2)
    >>> predicted(p, rows_of(Shape(1, 1, 0)), 3)[0, 0]
    array([ 2.,  2., nan])
    """
    found = np.full((2, len(rows), depth), np.nan)
    layers = propagation.network.depth
    log_inputs = np.ravel(propagation.input_mean_square_log).tolist()
    of_inputs = [_layers(propagation.network, log_input) for log_input in log_inputs]
    gaps: dict[int, FloatArray | None] = {}
    for number, row in enumerate(rows):
        name, at = row.quantity.name, row.at
        if name in _NAMES and at[0] < len(of_inputs):
            log = of_inputs[at[0]].get(name)
            if log is None:
                continue
            if name == "gradient":
                log = log + _log_cotangent(propagation, at)
            found[1, number, :layers] = log
            there = (log >= LOWEST_LOG) & (log <= HIGHEST_LOG)
            values = np.exp(np.where(there, log, 0.0))
            found[0, number, :layers] = np.where(there, values, np.where(log < -1e308, 0, np.nan))
        elif row.quantity.axes == ("pairs",) and at[0] < len(propagation.pairs):
            if at[0] not in gaps:  # of which there are two rows
                gaps[at[0]] = predicted_log_gap(propagation, at[0])
            gap = gaps[at[0]]
            if gap is not None:
                with np.errstate(divide="ignore"):
                    value = np.exp(gap) if name == "gap" else -np.expm1(gap)
                    found[0, number, :layers] = value
                    found[1, number, :layers] = gap if name == "gap" else np.log(np.abs(value))
    return found


@lru_cache(maxsize=64)
def _layers(network: Network, log_input: float) -> dict[str, FloatArray]:
    """Logarithms by name; what can't be said is not there."""
    from .theory import predict

    prediction = _or_none(lambda: predict(network, log_input_mean_square=log_input))
    found = {}
    for name in _NAMES if prediction is not None else ():
        log = _or_none(partial(getattr, prediction, f"log_{name}"))
        if log is not None:
            found[name] = log
    return found


def _log_cotangent(propagation: Propagation, at: tuple[int, ...]) -> float:
    """ln of the mean square of what was sent back, which is g of the last layer."""
    log = propagation.rows.log_gradient
    if log is None:
        return 0.0
    return float(log[0, ..., -1].reshape(propagation.inputs, -1)[at])


def _or_none(of: Callable[[], Any]) -> Any:
    """None where theory has no answer: a map that diverges, an activation that jumps."""
    try:
        return of()
    except (ValueError, OverflowError, NotImplementedError):
        return None
