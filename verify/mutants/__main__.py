"""Plant every fault in a scratch copy and run the tests that must see it: ``make mutants``.

``python -m verify.mutants [--only TEXT] [--folder F] [--skip-healthy]``. First each group of tests
must pass without a fault (or its failing would prove nothing); then a fault is caught if the group
fails. Where engines must be built it is for the baseline only and without optimisation, which
changes no bit.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from verify.build import TREE, Build, borrowed, build
from verify.report import Report

from . import Mutant, every

_TEST_SECONDS = 3600
_HEAVY = ("pytest", "numpy", "scipy.stats", "scipy.sparse.linalg", "scipy.optimize", "sympy",
          "mpmath")  # fmt: skip


def main() -> None:
    """Plant, test, mend; list survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a file's name, or of a fault")
    parser.add_argument("--python", action="store_true", help="only faults that need no compiler")
    parser.add_argument("--folder", type=Path, help="where to build; kept, and used again")
    parser.add_argument("--skip-healthy", action="store_true")
    asked = parser.parse_args()
    report = Report("mutants")
    chosen = [one for one in every() if asked.only in f"{one.file} {one.old} {one.new}"
              and not (asked.python and one.compiled)]  # fmt: skip
    for one in chosen:
        require_anchor(one)
    for name in _HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        compiled = any(one.compiled for one in chosen)
        made = build(folder, options=["-Doptimization=0"]) if compiled else borrowed(folder)
        log = made.folder / "outcomes.jsonl"
        sick = set() if asked.skip_healthy else _sick(made, chosen, report)
        for number, one in enumerate(chosen):
            if one.tests in sick:
                continue
            start = time.monotonic()
            verdict = "caught" if _caught(made, one) else "SURVIVED"
            report.count("planted")
            report.count(verdict.lower())
            if verdict == "SURVIVED":
                report.fail(f"survived: {one.file}: {one.old!r} -> {one.new!r} ({one.tests})")
            line = {"file": one.file, "old": one.old, "new": one.new, "verdict": verdict}
            with log.open("a") as out:
                out.write(json.dumps(line) + "\n")
            print(f"{number + 1}/{len(chosen)} {verdict} in {time.monotonic() - start:.0f} s: "
                  f"{one.file}: {one.new.strip()[:60]}", flush=True)  # fmt: skip
    report.close()


def require_anchor(one: Mutant) -> None:
    """Raise ValueError unless the fault's place is in the file exactly once."""
    found = (TREE / one.file).read_text().count(one.old)
    if found != 1:
        raise ValueError(
            f"{one.file} has {one.old!r} {found} times, not once: the source has changed, so "
            "change the table in verify/mutants with it"
        )


def _sick(made: Build, chosen: list[Mutant], report: Report) -> set[str]:
    """Groups of tests that fail without a fault."""
    sick = set()
    for group in dict.fromkeys(one.tests for one in chosen):
        if not _passes(made, group):
            report.fail(f"fails without a fault: {group}")
            sick.add(group)
    return sick


def _caught(made: Build, one: Mutant) -> bool:
    """Plant one, run its tests, and take it out again."""
    path = made.source / one.file
    whole = (TREE / one.file).read_text()
    inside = made.installed / one.file.removeprefix("src/varprop/")
    try:
        path.write_text(whole.replace(one.old, one.new))
        if one.compiled:
            _compile(made)
        else:
            shutil.copy(path, inside)
        return not _passes(made, one.tests)
    finally:
        path.write_text(whole)
        if one.compiled:
            _compile(made)
        else:
            shutil.copy(path, inside)


def _compile(made: Build) -> None:
    ninja = made.make()
    if ninja.returncode:
        raise RuntimeError(f"does not compile:\n{ninja.stdout[-3000:]}")


def _passes(made: Build, group: str) -> bool:
    """Run a group of tests in a fork of this process, which has imported all but varprop."""
    files, _, wanted = group.partition(":")
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore",
                 *(["-k", wanted] if wanted else []),
                 *(f"tests/test_{name}.py" for name in files.split())]  # fmt: skip
    log = made.folder / "tests.log"
    child = os.fork()
    if child == 0:
        _become(made, log)
        import pytest

        os._exit(int(pytest.main(arguments)))
    code = _waited(child)
    if code not in (0, 1):  # 5: no test was chosen
        raise RuntimeError(f"{group}: pytest left with {code}\n{log.read_text()[-2000:]}")
    return code == 0


def _become(made: Build, log: Path) -> None:
    """Stand in the copy, import from there, and write to a file."""
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.chdir(made.source)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    sys.meta_path[:] = [one for one in sys.meta_path if "editable" not in type(one).__module__]
    sys.path.insert(0, str(made.installed.parent))
    assert "varprop" not in sys.modules


def _waited(child: int) -> int:
    """The exit code; a child that takes too long is a fault that was noticed."""
    end = time.monotonic() + _TEST_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return 1 if code < 0 else code  # a crash is noticed, too
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


if __name__ == "__main__":
    main()
