"""Inputs from files: one row of numbers, nothing guessed."""

from __future__ import annotations

import math
import os

import numpy as np

from .statistic import FloatArray


def read_input(path: str | os.PathLike[str]) -> FloatArray:
    """Read the one row of numbers that a file holds.

    Parameters
    ----------
    path : path-like
        A ``.npy`` file with an array of shape (n,) or (1, n), or a ``.csv`` file with one line of
        numbers between commas; there, empty lines and all from a ``#`` on are skipped.

    Returns
    -------
    array of float64, shape (n,)

    Raises
    ------
    ValueError
        When there is not exactly one row, or something is not a finite number; says where.
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
        where = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{name!r}: number {where + 1} is {values[where]}, not a finite number")
    return values


def _read_npy(name: str) -> FloatArray:
    try:
        with open(name, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"{name!r} is not a .npy file of numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name!r} holds {array.dtype}, not real numbers")
    if array.size == 0 or not (array.ndim == 1 or (array.ndim == 2 and len(array) == 1)):
        raise ValueError(
            f"{name!r} must hold exactly one row, shape (n,) or (1, n); its shape is {array.shape}"
        )
    return array.astype(np.float64).ravel()


def _read_csv(name: str) -> FloatArray:
    row: list[float] | None = None
    try:
        with open(name, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                content = line.split("#", 1)[0].strip()
                if not content:
                    continue
                if row is not None:
                    raise ValueError(
                        f"{name!r} must hold exactly one row, its numbers separated by commas; "
                        f"line {number} is one more"
                    )
                row = [_number(cell, name, number) for cell in content.split(",")]
    except UnicodeDecodeError:
        raise ValueError(f"{name!r} is not a text file") from None
    if row is None:
        raise ValueError(f"{name!r} holds no numbers; one row is needed")
    return np.array(row)


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
