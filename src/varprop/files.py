"""Output files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file lives in the same folder and has the same suffix. When the block raises
    (Ctrl-C included) it is removed, and a file that was at `path` before is left as it was.
    Pipes and devices, which can't be replaced, are written to directly.

    Parameters
    ----------
    path : path-like
        Where the finished file shall be. Symbolic links are followed.

    Raises
    ------
    OSError
        When the folder is missing or not writable, or `path` is a folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = pathlib.Path(folder, "note.txt")
    ...     with atomic_path(target) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print(target.read_text(), len(list(pathlib.Path(folder).iterdir())))
    whole 1
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"can't write {os.fspath(path)!r}: the folder {str(target.parent)!r} does not exist"
        )
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; give the name of a file")
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        yield target
        return
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(6)}{target.suffix}")
    # Created here, and not by `tempfile`, so that the user's umask decides who may read it.
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from None
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError now if `path` could not be written later; leave everything as it was.

    Parameters
    ----------
    path : path-like
        Where a file shall be written later.

    Raises
    ------
    OSError
        As `atomic_path` would, or when the file at `path` is write-protected.

    Examples
    --------
    >>> check_writable("/no/such/folder/figure.png")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: can't write '/no/such/folder/figure.png': the folder ... does not exist
    """
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(13, os.strerror(13), os.fspath(path))

    class Undo(Exception):
        """Leaves the block without moving anything."""

    with suppress(Undo), atomic_path(path):
        raise Undo
