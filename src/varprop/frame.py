"""Results as pandas frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .rows import GAPS, LAYER_FIELDS, OPTIONAL, TANGENTS

if TYPE_CHECKING:
    import pandas

    from .propagation import Propagation


def of_layers(propagation: Propagation) -> pandas.DataFrame:
    """One line per trial, input and layer: see `Propagation.to_pandas`."""
    frame = _pandas().DataFrame
    rows, inputs = propagation.rows, propagation.inputs
    trials, layers = rows.shape
    shape = (trials, inputs, layers)
    columns = _index(propagation, ["input"] if inputs > 1 else [], [range(inputs)])
    for name in (*LAYER_FIELDS, *(n for n in OPTIONAL if n not in GAPS and n in rows.names)):
        array = getattr(rows, name)
        if name in TANGENTS:
            # of the first input alone
            several = array.reshape(trials, -1, layers)
            spread = np.full((*several.shape[:2], inputs, layers), np.nan)
            spread[:, :, 0] = several
            parts = np.moveaxis(spread, 1, 0)
        elif name in LAYER_FIELDS:
            parts = array.reshape(1, *shape)
        else:
            parts = np.moveaxis(array.reshape(trials, inputs, -1, layers), 2, 0)
        for number, part in enumerate(parts):
            label = name if len(parts) == 1 else f"{name}_{number}"
            columns[label] = _missing_if_zero(part.ravel())
    died = rows.died.reshape(trials, inputs, 1)
    layer = np.arange(1, layers + 1)
    columns["dead"] = ((died > 0) & (layer >= died)).ravel()
    made: pandas.DataFrame = frame(columns)
    return made


def of_pairs(propagation: Propagation) -> pandas.DataFrame:
    """One line per trial, pair and layer: see `Propagation.to_pandas`."""
    frame = _pandas().DataFrame
    if propagation.inputs == 1:
        raise ValueError("there is one input, so there are no pairs")
    one, other = zip(*propagation.pairs, strict=True)
    columns = _index(propagation, ["input", "other"], [one, other])
    for name in GAPS:
        columns[name] = _missing_if_zero(getattr(propagation.rows, name).ravel())
    made: pandas.DataFrame = frame(columns)
    return made


def _index(propagation: Propagation, names: list[str], between: list[Any]) -> dict[str, Any]:
    """Columns that say of which trial, input and layer a line is, trials slowest."""
    trials, layers = propagation.rows.shape
    size = len(between[0])
    columns = {"trial": np.repeat(propagation.trial_numbers, size * layers)}
    for name, values in zip(names, between, strict=False):
        columns[name] = np.tile(np.repeat(np.asarray(values, dtype=np.int64), layers), trials)
    return columns | {"layer": np.tile(np.arange(1, layers + 1), trials * size)}


def _missing_if_zero(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(values == -np.inf, np.nan, values)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError('to_pandas() needs pandas: pip install "varprop[pandas]"') from None
    return pandas
