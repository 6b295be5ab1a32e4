"""What the fuzzer feeds: one function of bytes for each parser and loader.

Each returns what became of its input, "refused" or "accepted"; anything else that a user could
meet (another exception, an empty or endless message, a value that is not a number) is a `Fault`.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import varprop
from varprop import storage
from varprop.activation import Activation
from varprop.formula import Formula, parse
from varprop.network import Network
from varprop.scheme import Scheme
from varprop.sweep_store import read_definition

_REFUSALS = (ValueError, TypeError, OverflowError)
_LONGEST = 1500  # characters of a message
_GRID = np.concatenate([np.linspace(-9.7, 9.7, 61), [-1e3, 1e3, 1e-9, -1e-9, 0.0]])
_SEAL = b"varprop sha256 "


class Fault(Exception):
    """Something that must never be."""


def _tried(what: Callable[[], Any], then: Callable[[Any], None]) -> str:
    try:
        made = what()
    except _REFUSALS as refusal:
        text = str(refusal)
        if not text or len(text) > _LONGEST:
            raise Fault(f"a message of {len(text)} characters: {text[:200]!r}") from refusal
        return "refused"
    then(made)
    return "accepted"


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def formula(data: bytes) -> str:
    """`varprop.formula.parse`, and what can be done with an accepted formula: few are evaluated,
    which takes a thousand times as long where they leave float64; `activation` evaluates all."""

    def used(made: Formula) -> None:
        for evaluate in (made.numpy, made.derivative_numpy) if len(data) % 32 == 0 else ():
            values = evaluate(_GRID)
            if values.shape != _GRID.shape or values.dtype != np.float64:
                raise Fault(f"{made.text!r} gave {values.dtype} of shape {values.shape}")
        if parse(str(made)) != made:
            raise Fault(f"{made.text!r} is not what it says")
        if len(data) % 16 == 0 and len(made.kinks) > 256:
            raise Fault(f"{made.text!r} has {len(made.kinks)} kinks")

    return _tried(lambda: parse(_text(data)), used)


def activation(data: bytes) -> str:
    """`Activation.parse`: an accepted one is a number everywhere."""

    def used(made: Activation) -> None:
        for values in (made(_GRID), made.derivative(_GRID)):
            if np.isnan(values).any():
                raise Fault(f"{str(made)!r} is nan at {_GRID[np.isnan(values)][0]}")

    return _tried(lambda: Activation.parse(_text(data)), used)


def scheme(data: bytes) -> str:
    """`Scheme.parse`: an accepted one has a variance, and says how to make it again."""
    tanh = Activation.named("tanh")

    def used(made: Scheme) -> None:
        variance = made.variance(30, 50)
        if not 0 < variance < np.inf:
            raise Fault(f"{made} has the variance {variance}")
        if Scheme.parse(str(made), tanh).variance(30, 50) != variance:
            raise Fault(f"{made} is not what it says")

    return _tried(lambda: Scheme.parse(_text(data), tanh), used)


def network(data: bytes) -> str:
    """`Network.from_dict` of any JSON."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"

    def used(made: Network) -> None:
        if Network.from_dict(made.to_dict()) != made:
            raise Fault(f"{made!r} is not what its dict says")

    return _tried(lambda: Network.from_dict(given), used)


def loader(data: bytes) -> str:
    """`varprop.load` of: bytes; bytes with a right seal; a right archive of wrong members."""
    kind, rest = (data[0] % 3, data[1:]) if data else (0, data)
    content = (rest, sealed(rest), rest)[kind]
    if kind == 2:
        cut = rest.find(b"\0\0\0")
        parts = (rest, b"") if cut < 0 else (rest[:cut], rest[cut + 3 :])
        content = archive({"propagation.json": parts[0], "zero.npy": parts[1]})
    with tempfile.NamedTemporaryFile(dir=_shared_memory()) as file:
        file.write(content)
        file.flush()
        return _tried(lambda: varprop.load(file.name), lambda made: None)


def definition(data: bytes) -> str:
    """`read_definition` of a store's zarr.json."""
    with tempfile.TemporaryDirectory(dir=_shared_memory()) as folder:
        Path(folder, "zarr.json").write_bytes(data)
        return _tried(lambda: read_definition(folder), lambda made: None)


TARGETS = {
    "formula": formula,
    "activation": activation,
    "scheme": scheme,
    "network": network,
    "loader": loader,
    "definition": definition,
}


def sealed(content: bytes) -> bytes:
    """Bytes that end as a saved result does, with a right checksum."""
    content += _SEAL
    return content + sha256(content).hexdigest().encode()


def archive(members: dict[str, bytes]) -> bytes:
    """A saved result with other members, its checksums right."""
    out = io.BytesIO(saved())
    with zipfile.ZipFile(out) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name, content in (kept | members).items():
            new.writestr(zipfile.ZipInfo(name), content)
        new.comment = _SEAL + b"0" * 64
    return sealed(out.getvalue()[: -64 - len(_SEAL)])


_saved = b""


def saved() -> bytes:
    """A saved result."""
    global _saved
    if not _saved:
        with tempfile.NamedTemporaryFile() as file:
            storage.save(varprop.simulate(depth=2, width=3, trials=2), file.name)
            _saved = Path(file.name).read_bytes()
    return _saved


def _shared_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
