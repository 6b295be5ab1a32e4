"""The arrays of a sweep's store, empty: their dimensions, labels, chunks and meaning."""

from __future__ import annotations

import base64
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .engines import machine
from .sweep_pieces import Plan

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

# How xarray is told that nan stands for what is missing.
_NAN = {"_FillValue": base64.b64encode(struct.pack("<d", np.nan)).decode()}


def labels(plan: Plan) -> dict[str, Any]:
    """Labels of each dimension.

    Examples
    --------
    >>> from varprop.sweep_grid import Grid
    >>> labels(Plan.of(Grid.of({"depth": 3, "act": ["relu", "tanh"]}, 4)))["act"]
    array(['relu', 'tanh'], dtype=object)
    """
    found: dict[str, Any] = {axis.name: _labels(axis.labels) for axis in plan.grid.axes}
    found["quantity"] = _labels([row.label for row in plan.rows])
    found["layer"] = np.arange(1, plan.depth + 1)
    return found


def shape(plan: Plan, name: str) -> tuple[int, ...]:
    """Shape of an array.

    Examples
    --------
    >>> from varprop.sweep_grid import Grid
    >>> shape(Plan.of(Grid.of({"depth": 3, "act": ["relu", "tanh"]}, 4)), "mean")
    (7, 2, 3)
    """
    lengths = {name: len(each) for name, each in labels(plan).items()}
    return tuple(lengths[dimension] for dimension in dimensions(plan, name))


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
    import xarray
    import zarr
    from zarr.codecs import ZstdCodec

    seal = ZstdCodec(level=0, checksum=True)
    definition = plan.grid.definition()
    made_by = {"software": f"varprop {definition['version']}"} | machine()
    attributes = {DEFINITION: json.dumps(definition, allow_nan=False), **made_by}
    with warnings.catch_warnings():
        # Others than zarr-python may have to list the folder; xarray opens it quicker this way.
        warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)
        xarray.Dataset(coords=labels(plan), attrs=attributes).to_zarr(
            store, mode="w-", zarr_format=3, consolidated=False
        )
        group = zarr.open_group(store, mode="r+", use_consolidated=False)
        # xarray could make these too, but takes three times as long, by way of Dask.
        for name, (_, meaning) in ARRAYS.items():
            whole = name == "trials"
            facts: dict[str, Any] = {"long_name": meaning} | ({} if whole else _NAN)
            group.create_array(
                name,
                shape=shape(plan, name),
                chunks=chunks(plan, name),
                dtype=np.int64 if whole else np.float64,
                fill_value=0 if whole else np.nan,
                compressors=[seal],
                dimension_names=dimensions(plan, name),
                attributes=facts,
            )
        zarr.consolidate_metadata(group.store)


def _labels(values: Any) -> Any:
    # Strings of any length have a place in the format, those of a fixed length have none.
    return np.array(values, dtype=object) if isinstance(values[0], str) else np.array(values)
