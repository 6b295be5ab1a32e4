"""Where a sweep is kept: a Zarr store that xarray opens, at any moment of the sweep.

Every block of cells is one chunk of each array, written to a temporary file, moved to its place,
and sealed with a checksum. The array ``trials`` is written last: where it is not 0, the block is
complete. Of cells that are computed in several pieces the parts lie in the folder ``parts``, as
files that `varprop.load` reads, until the last one is there.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ._cached import cached_property
from .propagation import Propagation
from .resources import require_memory
from .storage import load
from .sweep_extra import require
from .sweep_grid import differences
from .sweep_pieces import Piece, Plan
from .sweep_template import ARRAYS, DEFINITION, labels, shape, write_template
from .sweep_work import PREDICTIONS, SUMMARIES, Sums

if TYPE_CHECKING:
    import xarray
    import zarr

_PART = re.compile(r"(\d+)-(\d+)-(\d+)\.varprop")


class Store:
    """The store of one sweep, open for writing by this process alone.

    Parameters
    ----------
    plan : Plan
        What there is to do.
    path : path-like, optional
        A folder, made if it is not there. Default: in memory.

    Raises
    ------
    ValueError
        When something else is there: another sweep's store (both definitions are shown), or none.
    OSError
        When it can't be made or written, or another process is writing it.
    MemoryError
        When there is no path, and memory does not hold the results.

    Examples
    --------
    >>> from varprop.sweep_grid import Grid
    >>> store = Store(Plan.of(Grid.of({"depth": 3, "sigma_w": [1.0, 2.0]}, trials=4)))
    >>> store.done(), store.dataset().trials.values
    (set(), array([0, 0]))
    """

    def __init__(self, plan: Plan, path: str | os.PathLike[str] | None = None) -> None:
        require("xarray", "zarr", "dask")
        import zarr
        from zarr.storage import MemoryStore

        self.plan = plan
        self.path = None if path is None else Path(path)
        self._lock: int | None = None
        # The parts there are: in memory themselves, else their files.
        self._parts: dict[int, dict[tuple[int, int], Propagation | Path]] = {}
        if self.path is None:
            numbers = plan.grid.size * len(plan.rows) * plan.depth * (len(ARRAYS) - 2)
            require_memory(
                2 * 8 * numbers,  # as chunks, and as arrays
                f"what is kept of {plan.grid.size:,} cells of {plan.depth} layers",
                'give a store, as in store="tanh.zarr"',
            )
            memory = MemoryStore()
            write_template(plan, memory)
            self._group = zarr.open_group(memory, mode="r+")
            return
        self._create(self.path)
        self._lock = _locked(self.path)
        try:
            self._check_definition(self.path)
            self._group = zarr.open_group(self.path, mode="r+")
            self._check_labels(self.path)
            self._sweep_up(self.path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def done(self) -> set[int]:
        """Numbers of the blocks that are complete; every one of their chunks is read and checked.

        Raises
        ------
        ValueError
            For a damaged chunk; says which file.
        """
        if self.path is None:
            return set()
        with ThreadPoolExecutor() as pool:
            there = pool.map(self._holds, range(self.plan.blocks))
            return {block for block, held in enumerate(there) if held}

    def parts_done(self, block: int) -> set[tuple[int, int]]:
        """Which ranges of the trials of a block are stored as parts."""
        return set(self._parts.get(block, ()))

    def put(self, block: int, sums: Sums) -> None:
        """Store a block, and then that it is there."""
        box, shape = self.plan.box(block), [s.stop - s.start for s in self.plan.box(block)]
        values: dict[str, Any] = dict(zip(SUMMARIES, sums.summaries, strict=True))
        values |= dict(zip(PREDICTIONS, sums.predictions, strict=True))
        values["dead"] = sums.dead
        with self._told():
            for name, array in values.items():
                lead, layers = array.shape[:-2], array.shape[-1]
                at = (slice(None),) * len(lead) + box
                self._arrays[name][at] = array.reshape(*lead, *shape, layers)
            self._harden(block, tuple(values))
            self._arrays["trials"][box] = np.full(shape, self.plan.grid.trials)
            self._harden(block, ("trials",))

    def put_part(self, piece: Piece, part: Propagation) -> None:
        """Store some trials of a block that is a single cell."""
        kept: Propagation | Path = part
        if self.path is not None:
            name = f"{piece.blocks[0]}-{piece.first}-{piece.stop}.varprop"
            kept = self.path / "parts" / name
            with self._told():
                kept.parent.mkdir(exist_ok=True)
                part.save(kept)
        self._parts.setdefault(piece.blocks[0], {})[piece.first, piece.stop] = kept

    def together(self, block: int) -> Propagation | None:
        """All trials of a block, if all its parts are there."""
        found = sorted(self._parts.get(block, ()))
        if sum(stop - first for first, stop in found) < self.plan.grid.trials:
            return None
        merged: Any = sum(self._part(block, part) for part in found)
        return cast(Propagation, merged)

    def drop_parts(self, block: int) -> None:
        """Remove the parts of a block, once the block itself is stored."""
        for kept in self._parts.pop(block, {}).values():
            if isinstance(kept, Path):
                kept.unlink()
        if self.path is not None and not self._parts:
            with suppress(OSError):  # not there, or something of another's in it
                (self.path / "parts").rmdir()

    def dataset(self) -> xarray.Dataset:
        """What is stored, labelled; read when used if it lies on disk."""
        import xarray

        # Without Dask's chunks: a cluster's workers may not see this folder.
        stored: xarray.Dataset
        if self.path is not None:
            stored = xarray.open_zarr(self.path, chunks=None)
        else:
            stored = xarray.open_zarr(self._group.store, chunks=None).load()
        return stored

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        import zarr

        # A chunk that is not there means "not computed", so those full of nan are written too.
        with zarr.config.set({"array.write_empty_chunks": True}):
            return {name: self._group[name] for name in ARRAYS}  # type: ignore[misc]

    def _create(self, path: Path) -> None:
        """Make an empty store, whole or not at all."""
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            return  # over an empty folder the store is moved as a whole
        if not path.resolve().parent.is_dir():
            raise FileNotFoundError(
                f"can't write {str(path)!r}: the folder {str(path.resolve().parent)!r} "
                "does not exist"
            )
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            write_template(self.plan, temporary)
            os.replace(temporary, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return  # another made it meanwhile: whose it is will be seen
            raise OSError(
                error.errno, f"can't make the store: {error.strerror or error}", str(path)
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _check_definition(self, path: Path) -> None:
        theirs = read_definition(path)
        ours = json.loads(json.dumps(self.plan.grid.definition()))
        found = differences(ours, theirs)
        if found:
            raise ValueError(
                f"{str(path)!r} holds another sweep. {'; '.join(found)}. Give another store, or "
                "the same arguments and version"
            )

    def _check_labels(self, path: Path) -> None:
        """Labels and shapes must be those defined: a label whose chunk is lost would read as 0."""
        wanted = labels(self.plan)
        for name in (*ARRAYS, *wanted):
            array: Any = None
            try:
                array = self._group[name]
                if name in ARRAYS:
                    same = array.shape == shape(self.plan, name)
                else:
                    same = np.array_equal(array[...], wanted[name])
                what = f"holds {array!r}" if name in ARRAYS else "holds other labels"
            except (LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
                same, what = False, str(error)
            if not same:
                raise ValueError(
                    f"{str(path / name)!r} is damaged ({what}). Put it back, or give another "
                    "store, whose cells are then all computed anew"
                )

    def _sweep_up(self, path: Path) -> None:
        """Remove what a killed process left: unfinished files, and parts of finished blocks."""
        for stale in path.rglob("*.partial"):
            stale.unlink(missing_ok=True)
        for file in path.glob("parts/*"):
            if file.name.startswith("."):
                file.unlink()
            elif match := _PART.fullmatch(file.name):
                block, first, stop = map(int, match.groups())
                self._parts.setdefault(block, {})[first, stop] = file
        for block in list(self._parts):
            if self._holds(block):
                self.drop_parts(block)

    def _holds(self, block: int) -> bool:
        box, path = self.plan.box(block), self.path
        if path is None or not all(f.exists() for f in self._files(block, ARRAYS)):
            return False
        for name, file in zip(ARRAYS, self._files(block, ARRAYS), strict=True):
            lead = (slice(None),) * ("quantity" in ARRAYS[name][0])
            try:
                values = self._arrays[name][lead + box]
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f"{str(file)!r} is damaged ({error}). Remove that file and run again: its "
                    "cells, and no others, are then computed anew"
                ) from error
        return bool((np.asarray(values) == self.plan.grid.trials).all())

    def _files(self, block: int, names: Sequence[str] | dict[str, Any]) -> list[Path]:
        """The chunk of a block in each of these arrays."""
        place, files = self.plan.place(block), []
        for name in names:
            dims = ARRAYS[name][0]
            index = (0,) * ("quantity" in dims) + place + (0,) * ("layer" in dims)
            key = self._arrays[name].metadata.encode_chunk_key(index)
            files.append(Path(self.path or "", name, key))
        return files

    def _harden(self, block: int, names: Sequence[str]) -> None:
        """Wait until the disk has the chunks of a block: what follows must not overtake them."""
        if self.path is not None:
            for file in self._files(block, names):
                with open(file, "rb") as written:
                    os.fsync(written.fileno())

    def _part(self, block: int, part: tuple[int, int]) -> Propagation:
        kept = self._parts[block][part]
        if not isinstance(kept, Path):
            return kept
        try:
            return load(kept)
        except ValueError as error:
            raise ValueError(f"{error}. Remove that file and run again") from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"can't write: {error.strerror or error}; the store keeps what it has: run again "
                "to continue",
                str(self.path),
            ) from error


def read_definition(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what sweep a store holds.

    Raises
    ------
    ValueError
        When it holds none.

    Examples
    --------
    >>> read_definition("/no/such.zarr")
    Traceback (most recent call last):
    ValueError: '/no/such.zarr' holds no sweep: give the store of one, or a new path
    """
    try:
        attributes = json.loads(Path(path, "zarr.json").read_text())["attributes"]
        definition: dict[str, Any] = json.loads(attributes[DEFINITION])
    except (OSError, LookupError, TypeError, ValueError):
        raise ValueError(
            f"{os.fspath(path)!r} holds no sweep: give the store of one, or a new path"
        ) from None
    return definition


def _locked(path: Path) -> int:
    """Take the folder's lock, which ends with this process, however that ends."""
    import fcntl

    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise BlockingIOError(
            11, "another process is writing this store: wait for it, or stop it", str(path)
        ) from None
    return handle
