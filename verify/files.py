"""Files under damage: ``python -m verify.files``.

A saved result: cut at every byte, every bit flipped, extended, of a wrong version, behind and
through symbolic links, on a full disk, written by several processes at once. A sweep's store: every
file of it cut at every byte and removed, garbage in the place of any file. Loading must give the
saved result or raise ValueError (OSError for what can't be read); an audit hook watches that
nothing is executed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import varprop
from verify.fuzz import guard
from verify.report import Report


def damaged_results(report: Report, folder: Path, every: int = 1) -> None:
    """Cuts, flips, additions; each `every`th place."""
    watch = guard()
    path = folder / "run.varprop"
    whole = varprop.simulate(depth=2, width=5, trials=3)
    whole.save(path)
    content = path.read_bytes()
    assert varprop.load(path) == whole  # and what is imported late is imported now
    cuts = (content[:length] for length in range(0, len(content), every))
    flips = (
        content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
        for bit in range(0, 8 * len(content), every)
    )
    more = (content + bytes([byte]) for byte in range(256))
    doubled = (content + content, content[::-1], b"", b"PK\x03\x04", b"\0" * 10_000)
    for what, cases in (("cuts", cuts), ("flipped bits", flips), ("additions", more),
                        ("nonsense", doubled)):  # fmt: skip
        for case in cases:
            path.write_bytes(case)
            report.count(what)
            watch(True)
            try:
                varprop.load(path)
            except ValueError as refusal:
                if str(path) not in str(refusal):
                    report.fail(f"{what}: the message does not name the file: {refusal}")
            except Exception as error:
                report.fail(f"{what}: {error!r}")
            else:
                report.fail(f"{what}: loaded without complaint")
            finally:
                watch(False)


def damaged_stores(report: Report, folder: Path, every: int = 1) -> None:
    """Each file of a sweep's store: cut, replaced, removed."""
    grid: dict[str, Any] = {"depth": 2, "width": 5, "sigma_w": [1.0, 2.0], "trials": 3}
    clean = folder / "clean.zarr"
    expected = varprop.sweep(store=clean, **grid)
    for file in sorted(p for p in clean.rglob("*") if p.is_file()):
        content = file.read_bytes()
        cases = [content[:length] for length in range(0, len(content), every)]
        cases += [b"\xff" * len(content), b"{}", b"null", b"[]", None]  # type: ignore[list-item]
        for case in cases:
            store = folder / "damaged.zarr"
            shutil.copytree(clean, store)
            target = store / file.relative_to(clean)
            if case is None:
                target.unlink()
            else:
                target.write_bytes(case)
            report.count("damaged stores")
            try:
                found = varprop.sweep(store=store, **grid)
            except (ValueError, OSError) as refusal:
                report.check(len(str(refusal)) > 10, f"{target.name}: {refusal!r}")
            except Exception as error:
                report.fail(f"{target.relative_to(store)} as {str(case)[:40]}: {error!r}")
            else:
                same = all(
                    np.array_equal(found[name].values, expected[name].values,
                                   equal_nan=expected[name].dtype.kind == "f")
                    for name in expected.variables
                )  # fmt: skip
                report.check(
                    same, f"{target.relative_to(store)} as {str(case)[:40]}: other numbers"
                )
            shutil.rmtree(store)


def links(report: Report, folder: Path) -> None:
    """Symbolic links: followed, and refused where they lead nowhere or in a circle."""
    result = varprop.simulate(depth=2, width=5, trials=2)
    result.save(folder / "there")
    (folder / "link").symlink_to("there")
    report.check(varprop.load(folder / "link") == result, "a link")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    (folder / "folder").mkdir()
    for name in ("dangling", "circle", "folder", "there/below"):
        try:
            varprop.load(folder / name)
            report.fail(f"{name} was loaded")
        except OSError:
            report.count("places that hold no file")
    result.save(folder / "dangling")
    report.check(varprop.load(folder / "nowhere") == result, "saving through a dangling link")


_FULL = """
import sys, varprop
p = varprop.simulate(depth=200, width=5, trials=2000)
try:
    p.save(sys.argv[1])
except OSError as error:
    print("refused", error)
"""


def full_disk(report: Report, folder: Path) -> None:
    """A disk of 1 MiB, where this machine lets one be mounted; else a limit on files' size."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True
    ).returncode
    try:
        old = varprop.simulate(depth=2, width=5, trials=2)
        old.save(disk / "run")
        limit = [] if mounted else ["sh", "-c", 'ulimit -f 1024; trap "" XFSZ; exec "$@"', "sh"]
        run = subprocess.run(
            [*limit, sys.executable, "-c", _FULL, disk / "run"], capture_output=True, text=True
        )
        report.count("full disks" if mounted else "limits on files' size")
        report.check(
            run.stdout.startswith("refused"), f"full disk: {run.stdout}{run.stderr[-300:]}"
        )
        report.check(varprop.load(disk / "run") == old, "the old file was lost")
        report.check(os.listdir(disk) == ["run"], f"left behind: {os.listdir(disk)}")
    finally:
        if mounted:
            subprocess.run(["umount", disk], check=True)


def _write(path: Path, seed: int) -> None:
    for _ in range(30):
        varprop.simulate(depth=2, width=5, trials=2, seed=seed).save(path)


def writers(report: Report, folder: Path) -> None:
    """Four processes that write one file, while it is read again and again."""
    path = folder / "contested"
    possible = [varprop.simulate(depth=2, width=5, trials=2, seed=seed) for seed in range(4)]
    possible[0].save(path)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_write, args=(path, seed)) for seed in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        report.count("reads while four processes write")
        report.check(varprop.load(path) in possible, "a mixture was read")
    for worker in workers:
        worker.join()
        report.check(worker.exitcode == 0, "a writer failed")
    report.check(not [p for p in folder.iterdir() if p.name.startswith(".contested")], "leftovers")


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="of the places, so many are passed")
    asked = parser.parse_args()
    report = Report("files")
    for campaign in (damaged_results, damaged_stores):
        with tempfile.TemporaryDirectory() as folder:
            campaign(report, Path(folder), asked.every)
    for other in (links, full_disk, writers):
        with tempfile.TemporaryDirectory() as folder:
            other(report, Path(folder))
    report.close()


if __name__ == "__main__":
    main()
