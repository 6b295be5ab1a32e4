"""Files: what is saved comes back bit for bit, and no damage goes unnoticed."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import propagation, rows

import varprop.storage
from varprop.activation import Activation
from varprop.files import atomic_path, check_writable
from varprop.network import Network
from varprop.storage import load, save


def reseal(content: bytes) -> bytes:
    """Give changed content a right checksum."""
    return content[:-64] + sha256(content[:-64]).hexdigest().encode()


def rewritten(path: Path, change: Callable[[dict[str, bytes]], Any], packing: int = 0) -> None:
    """Change members of a saved result and seal it again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        comment = archive.comment
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    path.write_bytes(reseal(out.getvalue()))


def replacing(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    """A change that puts other content in a member's place."""
    return lambda members: members.update({name: content})


def with_metadata(path: Path, **changes: Any) -> None:
    def change(members: dict[str, bytes]) -> None:
        meta = json.loads(members["propagation.json"]) | changes
        members["propagation.json"] = json.dumps(meta).encode()

    rewritten(path, change)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.varprop"
    propagation(rows(2, 3, dead=1)).save(path)
    return path


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"ranges": ((3, 5), (2**40, 2**40 + 2))},
        {"seed": 2**200, "input_mean_square_log": -np.inf, "provenance": {}},
        {"input_mean_square_log": 0.1 + 0.2, "input_label": "µ ☃", "saturated_below": 1 / 3},
        {"network": Network(3, widths=[5, 9, 2, 4], act="leaky_relu(0.2)", scheme="torch")},
        {"network": Network(3, act="x*sigmoid(1.702*x)", sigma_w=1.1, sigma_b=0.3)},
    ],
)
@pytest.mark.parametrize("made", [{"dead": 1}, {"back": True}])
def test_round_trip(tmp_path: Path, other: dict[str, Any], made: dict[str, Any]) -> None:
    p = propagation(rows(4, 3, drift=-900.0, **made), **other)
    p.save(tmp_path / "a")
    back = load(tmp_path / "a")
    assert back == p
    assert back.provenance == p.provenance
    assert back.ranges == p.ranges
    for name in p.rows.names:
        ours, theirs = getattr(p.rows, name), getattr(back.rows, name)
        assert ours.tobytes() == theirs.tobytes()
        assert ours.dtype == theirs.dtype
        assert not theirs.flags.writeable
    assert str(back) == str(p)


def test_equal_results_make_equal_files(tmp_path: Path) -> None:
    propagation().save(tmp_path / "a")
    propagation().save(str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_merging_goes_on_after_loading(tmp_path: Path) -> None:
    propagation().save(tmp_path / "a")
    assert load(tmp_path / "a") + propagation(first=4) == propagation() + propagation(first=4)


def test_a_callable_activation_keeps_its_name(tmp_path: Path) -> None:
    act = Activation.from_callable(lambda x: 2 * x, lambda x: 0 * x + 2, name="double")
    propagation(network=Network(3, act=act)).save(tmp_path / "a")
    assert load(tmp_path / "a").network.act.name == "double"


def test_numpy_reads_the_file_without_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["zero"], load(saved).rows.zero)


def test_every_truncation_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"truncated|empty|not a saved|first bytes"):
            load(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="truncated"):
        load(saved)


@pytest.mark.parametrize("flip", [0xFF, 0x20, "one random bit"])
def test_every_flipped_byte_is_noticed(saved: Path, flip: int | str) -> None:
    content = saved.read_bytes()
    bits = 1 << np.random.default_rng(0).integers(0, 8, len(content))
    damaged = bytearray(content)
    for place in range(len(content)):
        damaged[place] ^= int(bits[place]) if isinstance(flip, str) else flip
        saved.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged|truncated") as caught:
            load(saved)
        assert str(saved) in str(caught.value)
        damaged[place] = content[place]
    saved.write_bytes(damaged)
    assert load(saved) == propagation(rows(2, 3, dead=1))


def test_another_format_is_named(saved: Path) -> None:
    with_metadata(saved, format=2, version="9.9")
    with pytest.raises(ValueError, match=r"format 2, written by varprop 9\.9; .* in format 1"):
        load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "varprop.Sweep"},
        {"ranges": [[0, 1]]},
        {"ranges": 3},
        {"network": {"depth": 3}},
        {"network": []},
        {"input_mean_square_log": "x"},
        {"provenance": 4},
    ],
)
def test_sealed_nonsense_is_a_value_error(saved: Path, changes: dict[str, Any]) -> None:
    with_metadata(saved, **changes)
    with pytest.raises(ValueError, match="no saved varprop result"):
        load(saved)


class Trap:
    """Unpickling this would leave a mark."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "sprung", True)


def test_nothing_is_ever_unpickled(saved: Path) -> None:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array([Trap()], dtype=object), allow_pickle=True)
    for content in (out.getvalue(), pickle.dumps(Trap())):
        rewritten(saved, replacing("zero.npy", content))
        with pytest.raises(ValueError, match="no saved varprop result"):
            load(saved)
    assert not Trap.sprung


def test_packed_and_incomplete_archives_are_refused(saved: Path) -> None:
    rewritten(saved, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        load(saved)
    propagation().save(saved)
    rewritten(saved, lambda members: members.pop("died.npy"))
    with pytest.raises(ValueError, match="died"):
        load(saved)


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,)}"), "claims"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "no plain array"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + b"x", "no plain array"),
        (header("{'descr': '<f8', 'fortran_order': True, 'shape': (0,)}"), "no plain array"),
        (b"\x93NUMPY\x03\x00" + bytes(20), "another version"),
        (b"\x93NUMPY\x01\x00", "no saved varprop result"),
    ],
)
def test_arrays_that_claim_more_than_they_hold(saved: Path, content: bytes, message: str) -> None:
    """Before memory is taken for what a header claims."""
    rewritten(saved, replacing("zero.npy", content))
    with pytest.raises(ValueError, match=message):
        load(saved)


def test_an_archive_whose_members_begin_nowhere(saved: Path) -> None:
    content = saved.read_bytes()
    start = len(varprop.storage._SEAL) + 64 + 22  # of the end record: 22 bytes and the comment
    record = bytearray(content[-start:-64])
    record[16:20] = (1 << 30).to_bytes(4, "little")  # where the directory is said to begin
    moved = content[:-start] + record
    saved.write_bytes(reseal(moved + bytes(64)))
    with pytest.raises(ValueError, match="no saved varprop result"):
        load(saved)


def test_a_header_of_another_name_is_not_quoted_in_full(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    assert content[:2] == b"PK"
    content[26:28] = (1500).to_bytes(2, "little")  # the length of the first member's name
    saved.write_bytes(reseal(bytes(content)))
    with pytest.raises(ValueError, match="is no saved varprop result: File name in") as refused:
        load(saved)
    assert len(str(refused.value)) < 300 + len(str(saved))


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", zero=np.zeros(3))
    (tmp_path / "text").write_text("hello")
    for name, message in (("plain.npz", "not a saved result"), ("text", "not a saved")):
        with pytest.raises(ValueError, match=message):
            load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")


# ---- whole or not at all


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_save_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(varprop.storage, "_digest", fail)
    with pytest.raises(error):
        save(propagation(rows(9, 9)), saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_the_users_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        propagation().save(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    propagation().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "there" / "file") == propagation()


def test_devices_are_written_to_and_never_replaced() -> None:
    with atomic_path(os.devnull) as path:
        path.write_bytes(b"x")
    check_writable(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_unwritable_paths_are_found_out_early(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="nowhere/new"):
        check_writable(tmp_path / "nowhere" / "new")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path)
    (tmp_path / "kept").write_text("old")
    check_writable(tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "old"


def test_long_names_can_be_written(tmp_path: Path) -> None:
    propagation().save(tmp_path / ("n" * 250))
    assert load(tmp_path / ("n" * 250)) == propagation()
