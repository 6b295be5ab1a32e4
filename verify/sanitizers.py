"""The compiled engines under AddressSanitizer and UndefinedBehaviorSanitizer: the tests run clean.

``python -m verify.sanitizers [--levels baseline v3] [--folder F] [TESTS...]``. Any report ends the
process that made it, and so the test. Python itself and its libraries are not instrumented, so
leaks, which the interpreter has by design, are not looked for here (verify.soak does).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from verify.build import build
from verify.report import Report

# float-cast-overflow is not part of "undefined": (int)1e300 is, for the kernels, a fault
FLAGS = (
    "-fsanitize=address", "-fsanitize=undefined", "-fsanitize=float-cast-overflow",
    "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1",
)  # fmt: skip
TESTS = (
    "test_streams.py", "test_kernels.py", "test_engines.py", "test_backward.py",
    "test_batch.py", "test_batch_bits.py", "test_weights.py", "test_histogram.py",
    "test_several_inputs.py", "test_several_results.py", "test_random_matrix.py",
    "test_jacobian.py", "test_jacobian_spectrum.py", "test_simulate.py", "test_engines_agree.py",
    "test_activation_custom.py", "test_architectures_drawn.py", "test_engine_edges.py",
)  # fmt: skip


def main() -> None:
    """Build, run, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", nargs="+", default=["baseline", "v3"])
    parser.add_argument("--folder", type=Path, help="where to build; kept")
    # ctrl_c has a limit by the clock, which such a build exceeds
    parser.add_argument("--only", default="not ctrl_c", help="pytest's -k")
    parser.add_argument("tests", nargs="*", default=TESTS)
    asked = parser.parse_args()
    report = Report("sanitizers")
    with tempfile.TemporaryDirectory() as scratch:
        made = build(
            asked.folder or Path(scratch), levels=asked.levels, flags=FLAGS,
            options=["-Doptimization=1", "-Db_lundef=false"],
        )  # fmt: skip
        runtime = ":".join(_library(name) for name in ("libasan.so", "libubsan.so"))
        for level in asked.levels:
            run = made.run(
                ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist",
                 "-k", asked.only, *(f"tests/{name}" for name in asked.tests)],
                env={
                    "LD_PRELOAD": runtime,
                    "VARPROP_SIMD": level,
                    # asked for more memory than there is, malloc must answer as it does elsewhere
                    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:halt_on_error=1",
                    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
                },
            )  # fmt: skip
            passed = re.search(r"(\d+) passed", run.stdout)
            report.count(f"tests passed under both, {level}", int(passed[1]) if passed else 0)
            if run.returncode:
                report.fail(f"{level}:\n{run.stdout[-6000:]}")
    report.close()


def _library(name: str) -> str:
    return subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
