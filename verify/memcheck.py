"""The C kernels under valgrind and the sanitizers: ``python -m verify.memcheck``.

lanes.c runs each of them on buffers of exactly the size that it may touch; valgrind watches every
load and store (baseline and AVX2; it knows no AVX-512), AddressSanitizer and
UndefinedBehaviorSanitizer the same in every instruction set that this machine has.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from varprop._core import cpu
from verify.build import TREE
from verify.report import Report
from verify.sanitizers import FLAGS

_LEVELS = {
    "baseline": (1, ()),
    "v3": (3, ("-march=x86-64-v3",)),
    "v4": (4, ("-march=x86-64-v4", "-mprefer-vector-width=512")),
}  # fmt: skip
_COMMON = ("-std=gnu11", "-O1", "-g", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
           "-w")  # fmt: skip


def compiled(folder: Path, level: str, flags: tuple[str, ...] = ()) -> Path:
    """lanes.c for one instruction set."""
    out = folder / "lanes"
    subprocess.run(
        ["gcc", *_COMMON, *_LEVELS[level][1], *flags, "-I", TREE / "src" / "varprop" / "_core",
         "-o", out, TREE / "verify" / "lanes.c", "-lm"], check=True,
    )  # fmt: skip
    return out


def main() -> None:
    """Both, at each level."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    report = Report("memcheck")
    sums = {}
    with tempfile.TemporaryDirectory() as scratch:
        for level, (needs, _) in _LEVELS.items():
            if needs > cpu.level():
                continue
            plain = compiled(Path(scratch), level)
            if level != "v4" and shutil.which("valgrind"):
                _held(report, f"valgrind, {level}", ["valgrind", "-q", "--error-exitcode=9", plain])
            sanitised = compiled(Path(scratch), level, FLAGS)
            sums[level] = _held(report, f"sanitizers, {level}", [sanitised])
    report.check(len(set(sums.values())) == 1, f"the instruction sets differ: {sums}")
    report.close()


def _held(report: Report, what: str, command: list[object]) -> str:
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    found = re.search(r"(\d+) kernel calls, sum (\S+)", run.stdout)
    if run.returncode or not found:
        report.fail(f"{what}: left with {run.returncode}\n{run.stderr[-3000:]}")
        return ""
    report.count(f"kernel calls, {what}", int(found[1]))
    return found[2]


if __name__ == "__main__":
    main()
