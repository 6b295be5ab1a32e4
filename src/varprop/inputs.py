"""Inputs from files: rows of numbers, nothing guessed."""

from __future__ import annotations

import math
import os

import numpy as np

from .rows import counted
from .statistic import FloatArray


def read_input(path: str | os.PathLike[str]) -> FloatArray:
    """Read the rows of numbers that a file holds, one for each input.

    Parameters
    ----------
    path : path-like
        A ``.npy`` file with an array of shape (n,) or (inputs, n), or a ``.csv`` file with one
        line of numbers between commas for each input; there, empty lines and all from a ``#`` on
        are skipped.

    Returns
    -------
    array of float64, shape (n,) for one input, else (inputs, n)

    Raises
    ------
    ValueError
        When there is no row, rows differ in length, or something is not a finite number; says
        where.
    OSError
        When the file can't be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "x.csv")
    ...     _ = file.write_text("# height, age\\n0.5, -1.25\\n")
    ...     read_input(file)
    array([ 0.5 , -1.25])
    """
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix == ".npy":
        values = _read_npy(name)
    elif suffix == ".csv":
        values = _read_csv(name)
    else:
        raise ValueError(f"{name!r}: an input must be a .npy or .csv file")
    if not np.isfinite(values).all():
        row, column = (int(at[0]) for at in np.nonzero(~np.isfinite(values)))
        which = f"row {row + 1}, " if len(values) > 1 else ""
        value = values[row, column]
        raise ValueError(f"{name!r}: {which}number {column + 1} is {value}, not a finite number")
    return values[0] if len(values) == 1 else values


def _read_npy(name: str) -> FloatArray:
    try:
        with open(name, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"{name!r} is not a .npy file of numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name!r} holds {array.dtype}, not real numbers")
    if array.size == 0 or array.ndim not in (1, 2):
        raise ValueError(
            f"{name!r} must hold one input, shape (n,), or several, shape (inputs, n); its shape "
            f"is {array.shape}"
        )
    return np.atleast_2d(array.astype(np.float64))


def _read_csv(name: str) -> FloatArray:
    rows: list[list[float]] = []
    try:
        with open(name, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                content = line.split("#", 1)[0].strip()
                if not content:
                    continue
                rows.append([_number(cell, name, number) for cell in content.split(",")])
                if len(rows[-1]) != len(rows[0]):
                    raise ValueError(
                        f"{name!r}: line {number} has {counted(len(rows[-1]), 'number')}, the "
                        f"first row has {len(rows[0])}; every row is one input"
                    )
    except UnicodeDecodeError:
        raise ValueError(f"{name!r} is not a text file") from None
    if not rows:
        raise ValueError(f"{name!r} holds no numbers; one row is needed for each input")
    return np.array(rows)


def _number(cell: str, name: str, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        shown = cell.strip()[:40]
        raise ValueError(
            f"{name!r}, line {line}: {shown!r} is not a number; separate numbers by commas, and "
            "begin a line of text with #"
        ) from None
    if not math.isfinite(value):
        raise ValueError(f"{name!r}, line {line}: {cell.strip()!r} is not a finite number")
    return value
