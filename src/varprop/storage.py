"""Results in files: a zip archive of arrays and JSON, sealed with a SHA-256 checksum.

The file is an ordinary ``.npz`` (``numpy.load`` opens it) with one more member,
``propagation.json``, and an archive comment that holds the SHA-256 of every byte before it. Equal
results give equal files. Nothing in it is pickled, so reading one never executes anything.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import struct
import zipfile
from dataclasses import replace
from hashlib import sha256
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from . import histogram
from .files import atomic_path
from .jacobian_spectrum import JacobianSpectrum
from .network import Network
from .propagation import Propagation
from .rows import LAYER_FIELDS, OPTIONAL, Rows

FORMAT = 1
_SEAL = b"varprop sha256 "
_SEAL_LENGTH = len(_SEAL) + 64
# What reading a file with a right checksum but other content may raise.
_UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)
_PLAIN = (
    "seed",
    "engine",
    "input_label",
    "cotangent_label",
    "saturated_below",
    "version",
    "provenance",
)
_SPECTRUM = "log_singular_values"
_OPTIONAL = (*OPTIONAL, *histogram.ARRAYS, _SPECTRUM)


def save(propagation: Propagation, path: str | os.PathLike[str]) -> None:
    """Write a result to a file that `load` reads back bit for bit.

    The file appears whole or not at all: it is written beside its place and moved there.

    Parameters
    ----------
    propagation : Propagation
        What to save. Of an activation that is a Python callable only the name is kept.
    path : path-like
        Where to; the name is taken as it is, with no suffix added.

    Raises
    ------
    OSError
        When the file can't be written.

    Examples
    --------
    >>> import tempfile, varprop
    >>> p = varprop.simulate(depth=2, width=9, trials=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(p, f"{folder}/run.varprop")
    ...     print(load(f"{folder}/run.varprop") == p)
    True
    """
    with atomic_path(path) as temporary, open(temporary, "wb+") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            # A ZipInfo without a date keeps the file the same whenever it is written.
            with archive.open(zipfile.ZipInfo("propagation.json"), "w") as member:
                member.write(_metadata(propagation))
            for name, array in _arrays(propagation).items():
                little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                info = zipfile.ZipInfo(f"{name}.npy")
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, little, version=(1, 0), allow_pickle=False)
            archive.comment = _SEAL + b"0" * 64
        size = file.seek(0, os.SEEK_END)
        digest = _digest(file, size - 64)
        file.seek(size - 64)
        file.write(digest)


def load(path: str | os.PathLike[str]) -> Propagation:
    """Read a result that `Propagation.save` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Propagation
        Equal to the saved one.

    Raises
    ------
    ValueError
        When it is no such file, is truncated or damaged, or of another format version.
    OSError
        When it can't be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".varprop") as file:
    ...     load(file.name)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ... is empty, not a saved varprop result
    """
    name = repr(os.fspath(path))
    with open(path, "rb") as file:
        _check_seal(file, name)
        try:
            return _read(file)
        except (*_UNREADABLE, OSError) as error:
            # all bytes could be read a moment ago; an offset before the first one is no place
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            reason = str(error)[:200]  # which may quote the file
            raise ValueError(f"{name} is no saved varprop result: {reason}") from error


def _arrays(propagation: Propagation) -> dict[str, npt.NDArray[Any]]:
    rows, counts = propagation.rows, propagation.histogram
    found = {name: getattr(rows, name) for name in rows.names}
    if counts is not None:
        found |= counts.arrays()
    if propagation.spectrum is not None:
        found[_SPECTRUM] = propagation.spectrum.log
    return found


def _metadata(propagation: Propagation) -> bytes:
    meta: dict[str, Any] = {"kind": "varprop.Propagation", "format": FORMAT}
    meta["network"] = propagation.network.to_dict()
    meta["ranges"] = propagation.ranges
    # JSON has no infinity: null stands for ln 0.
    logs = np.ravel(propagation.input_mean_square_log).tolist()
    logs = [None if log == -np.inf else log for log in logs]
    meta["input_mean_square_log"] = logs if propagation.inputs > 1 else logs[0]
    meta.update((key, getattr(propagation, key)) for key in _PLAIN)
    if propagation.spectrum is not None:
        meta["spectrum_depths"] = propagation.spectrum.depths
    return json.dumps(meta, allow_nan=False, indent=1).encode()


def _read(file: BinaryIO) -> Propagation:
    with zipfile.ZipFile(file) as archive:
        # Stored and never packed, so that no small file can unfold into a huge one.
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("its members are compressed, which varprop never does")
        meta = json.loads(archive.read("propagation.json"))
        if meta["kind"] != "varprop.Propagation" or meta["format"] != FORMAT:
            raise ValueError(
                f"it holds {meta['kind']} in format {meta['format']}, written by varprop "
                f"{meta.get('version')}; this version reads varprop.Propagation in format {FORMAT}"
            )
        there = set(archive.namelist())
        names = (*LAYER_FIELDS, "died", *(n for n in _OPTIONAL if f"{n}.npy" in there))
        arrays = {name: _array(name, archive.read(f"{name}.npy")) for name in names}
    counts = histogram.Histogram.of_arrays(
        {name: arrays.pop(name) for name in histogram.ARRAYS if name in arrays}
    )
    logs = meta["input_mean_square_log"]
    logs = [-np.inf if log is None else log for log in (logs if isinstance(logs, list) else [logs])]
    singular = arrays.pop(_SPECTRUM, None)
    propagation = Propagation(
        network=Network.from_dict(meta["network"]),
        rows=Rows(**arrays),
        ranges=tuple((first, stop) for first, stop in meta["ranges"]),
        input_mean_square_log=tuple(logs) if len(logs) > 1 else logs[0],
        histogram=counts,
        **{key: meta[key] for key in _PLAIN},
    )
    return propagation if singular is None else _with_spectrum(propagation, singular, meta)


def _array(name: str, content: bytes) -> npt.NDArray[Any]:
    """An array in .npy form, of exactly the size that its header claims."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name}.npy is in another version of the .npy format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    size = len(content) - stream.tell()
    if by_columns or dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"{name}.npy holds no plain array")
    if size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}.npy claims the shape {shape}, but holds {size} bytes")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape)


def _with_spectrum(
    propagation: Propagation, singular: npt.NDArray[Any], meta: dict[str, Any]
) -> Propagation:
    same = ("network", "seed", "ranges", "input_label", "input_mean_square_log", "version")
    spectrum = JacobianSpectrum(
        log=singular,
        depths=tuple(meta["spectrum_depths"]),
        **{name: getattr(propagation, name) for name in same},
    )
    return replace(propagation, spectrum=spectrum)


def _check_seal(file: BinaryIO, name: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(4)
    if not start:
        raise ValueError(f"{name} is empty, not a saved varprop result")
    if start != b"PK\x03\x04":
        raise ValueError(f"{name} is not a saved varprop result, or its first bytes are damaged")
    file.seek(max(0, size - _SEAL_LENGTH))
    seal = file.read(_SEAL_LENGTH)
    if not seal.startswith(_SEAL):
        raise ValueError(
            f"{name} does not end in varprop's checksum: it is truncated, or not a saved result"
        )
    if seal[len(_SEAL) :] != _digest(file, size - 64):
        raise ValueError(f"{name} is damaged: its content does not match its SHA-256 checksum")


def _digest(file: BinaryIO, length: int) -> bytes:
    """Hexadecimal SHA-256 of the file's first `length` bytes."""
    hasher = sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        hasher.update(block)
        length -= len(block)
    return hasher.hexdigest().encode()
