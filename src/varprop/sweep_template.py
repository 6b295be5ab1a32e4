"""The arrays of a sweep's store, empty: their dimensions, labels, chunks and meaning."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .engines import machine
from .sweep_pieces import Plan

if TYPE_CHECKING:
    import xarray

DEFINITION = "definition"
CELLS = "cells"  # stands for the axes of the grid

# The dimensions and the meaning of each array; `trials` is the last, for it says what is there.
ARRAYS = {
    "mean": (("quantity", CELLS, "layer"), "mean over networks; nan outside float64's range"),
    "stderr": (("quantity", CELLS, "layer"), "standard error of the mean"),
    "log_mean": (("quantity", CELLS, "layer"), "mean over networks of ln |value|, zeros left out"),
    "log_stderr": (("quantity", CELLS, "layer"), "standard error of log_mean"),
    "log_median": (("quantity", CELLS, "layer"), "ln |median over networks|; -inf for 0"),
    "log_of_mean": (("quantity", CELLS, "layer"), "ln |mean|; -inf for 0"),
    "log_of_stderr": (("quantity", CELLS, "layer"), "ln of the standard error of the mean"),
    "prediction": (("quantity", CELLS, "layer"), "the theory of infinite width"),
    "log_prediction": (("quantity", CELLS, "layer"), "ln |prediction|; -inf for 0"),
    "dead": ((CELLS, "layer"), "networks whose units all are 0 in this layer, for good"),
    "trials": ((CELLS,), "networks in these numbers; 0 where nothing is computed yet"),
}


def template(plan: Plan) -> xarray.Dataset:
    """An empty dataset, its arrays not in memory.

    Examples
    --------
    >>> from varprop.sweep_grid import Grid
    >>> dict(template(Plan.of(Grid.of({"depth": 3, "act": ["relu", "tanh"]}, 4))).sizes)
    {'quantity': 7, 'act': 2, 'layer': 3}
    """
    import dask.array
    import xarray

    grid = plan.grid
    lengths = {"quantity": len(plan.rows), "layer": plan.depth}
    lengths |= dict(zip((axis.name for axis in grid.axes), grid.shape, strict=True))
    variables = {}
    for name, (_, meaning) in ARRAYS.items():
        dims = dimensions(plan, name)
        fill = 0 if name == "trials" else np.nan
        empty = dask.array.full(  # type: ignore[no-untyped-call]
            tuple(lengths[d] for d in dims), fill, dtype=np.int64 if name == "trials" else float,
            chunks=chunks(plan, name),
        )  # fmt: skip
        variables[name] = (dims, empty, {"long_name": meaning})
    labels: dict[str, Any] = {axis.name: _labels(axis.labels) for axis in grid.axes}
    labels["quantity"] = _labels([row.label for row in plan.rows])
    labels["layer"] = np.arange(1, plan.depth + 1)
    facts = {"software": f"varprop {grid.definition()['version']}"} | machine()
    attributes = {DEFINITION: json.dumps(grid.definition(), allow_nan=False), **facts}
    return xarray.Dataset(variables, coords=labels, attrs=attributes)


def dimensions(plan: Plan, name: str) -> tuple[str, ...]:
    """Names of the dimensions of an array."""
    axes = [axis.name for axis in plan.grid.axes]
    return tuple(d for dim in ARRAYS[name][0] for d in (axes if dim == CELLS else [dim]))


def chunks(plan: Plan, name: str) -> tuple[int, ...]:
    """Shape of a chunk: a block of cells, and all else."""
    whole = {"quantity": (len(plan.rows),), "layer": (plan.depth,), CELLS: plan.block_shape}
    return tuple(length for dim in ARRAYS[name][0] for length in whole[dim])


def write_template(plan: Plan, store: Path | Any) -> None:
    """Make the store: everything but the chunks."""
    from zarr.codecs import ZstdCodec

    seal = ZstdCodec(level=0, checksum=True)
    encoding: dict[str, Any] = {}
    for name in ARRAYS:
        encoding[name] = {"chunks": chunks(plan, name), "compressors": [seal]}
        encoding[name]["fill_value"] = 0 if name == "trials" else np.nan
    with warnings.catch_warnings():
        # Others than zarr-python may have to list the folder; xarray opens it quicker this way.
        warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)
        template(plan).to_zarr(
            store, mode="w-", compute=False, encoding=encoding, zarr_format=3, consolidated=True
        )


def _labels(values: Any) -> Any:
    # Strings of any length have a place in the format, those of a fixed length have none.
    return np.array(values, dtype=object) if isinstance(values[0], str) else np.array(values)
