"""The same bits from other builds: ``python -m verify.bits [--folder F]``.

Builds the engines with gcc and clang, without optimisation and with, and compares the results of
every golden case (tests/test_engines.py and tests/test_batch_bits.py: all engines, architectures,
chunkings and thread counts) by way of the tests themselves, which hold them against the record.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from varprop._core import cpu
from verify.build import build
from verify.report import Report

BUILDS = {
    "gcc, no optimisation": ("gcc", ("-Doptimization=0",)),
    "gcc, -O1, no OpenMP": ("gcc", ("-Doptimization=1", "-Dopenmp=disabled")),
    "gcc": ("gcc", ()),
    "clang": ("clang-14", ()),
}
_LEVELS = [
    name for name, needs in {"baseline": 1, "v3": 3, "v4": 4}.items() if needs <= cpu.level()
]


def main() -> None:
    """Every build, every instruction set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to build; kept")
    parser.add_argument("--levels", nargs="+", default=_LEVELS)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    report = Report("bits")
    with tempfile.TemporaryDirectory() as scratch:
        for name, (compiler, options) in BUILDS.items():
            if asked.only not in name:
                continue
            if shutil.which(compiler) is None:
                report.count(f"not there: {compiler}")
                continue
            folder = (asked.folder or Path(scratch)) / re.sub(r"\W+", "-", name)
            made = build(folder, levels=asked.levels, compiler=compiler, options=options)
            for level in asked.levels:
                run = made.run(
                    ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k",
                     "golden or threads or chunks or parts or words_are", "tests/test_streams.py",
                     "tests/test_engines.py", "tests/test_batch_bits.py", "tests/test_weights.py",
                     "tests/test_random_matrix.py", "tests/test_jacobian.py"],
                    env={"VARPROP_SIMD": level},
                )  # fmt: skip
                passed = re.search(r"(\d+) passed", run.stdout)
                report.count(f"{name}, {level}", int(passed[1]) if passed else 0)
                if run.returncode:
                    report.fail(f"{name}, {level}:\n{run.stdout[-3000:]}")
    report.close()


if __name__ == "__main__":
    main()
