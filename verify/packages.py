"""Packaging: ``python -m verify.packages [--only TEXT] [--python python3.12 ...]``.

The sdist holds every file of the tree that git knows; from it alone a wheel is built and installed
into empty environments: with the oldest dependencies that pyproject.toml allows, with the newest,
and for other Pythons, where a handful of tests must pass. pip-audit looks at what was installed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from verify.build import TREE
from verify.report import Report

TESTS = ("test_streams.py", "test_engines.py", "test_formula.py", "test_predict.py",
         "test_storage.py", "test_propagation.py", "test_statistic.py")  # fmt: skip


def oldest() -> list[str]:
    """The dependencies, at the lowest versions allowed."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    return [
        re.sub(r">=([\d.]+).*", r"==\1.*", requirement) for requirement in project["dependencies"]
    ]


def made_sdist(folder: Path, report: Report) -> Path:
    """The sdist, complete."""
    # what is not committed is not in an sdist: mesonpy takes the last commit
    _run([sys.executable, "-m", "pip", "install", "-q", "build"])
    _run([sys.executable, "-m", "build", "--sdist", "--outdir", folder, TREE])
    sdist = next(folder.glob("*.tar.gz"))
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    known = _run(["git", "-C", TREE, "ls-files"]).split()
    missing = sorted(set(known) - inside)
    report.count("files in the sdist", len(inside))
    report.check(not missing, f"not in the sdist: {missing[:20]}")
    return sdist


def tried(name: str, python: str, sdist: Path, folder: Path, report: Report,
          pins: list[str]) -> None:  # fmt: skip
    """Build and install from the sdist with these pins, and run the tests."""
    venv = folder / re.sub(r"\W+", "-", name)
    _run([python, "-m", "venv", venv])
    pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    _run([*pip, sdist, *pins])
    _run([*pip, "pytest"])
    source = venv / "unpacked"
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    root = next(source.iterdir())
    run = subprocess.run(
        [venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         *(f"tests/{test}" for test in TESTS)], cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", run.stdout)
    report.count(f"{name}: tests passed", int(passed[1]) if passed else 0)
    report.check(run.returncode == 0, f"{name}: {run.stdout[-2000:]}")
    frozen = _run([venv / "bin" / "python", "-m", "pip", "freeze"])
    print(f"  {name}: {' '.join(line for line in frozen.split() if '==' in line)}")


def audited(report: Report) -> None:
    """pip-audit of this environment; it asks a database over the network."""
    _run([sys.executable, "-m", "pip", "install", "-q", "pip-audit"])
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--skip-editable"], capture_output=True, text=True
    )
    report.count("environments audited")
    report.check(run.returncode == 0, f"pip-audit: {run.stdout[-1500:]}{run.stderr[-1500:]}")


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="oldest, newest, audit, or a Python")
    parser.add_argument("--python", nargs="*", default=["python3.12", "python3.13", "python3.14"])
    asked = parser.parse_args()
    report = Report("packages")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sdist = made_sdist(folder, report)
        cases = [("oldest", sys.executable, oldest()), ("newest", sys.executable, [])]
        cases += [(python, python, []) for python in asked.python]
        for name, python, pins in cases:
            if asked.only not in name:
                continue
            if shutil.which(python) is None:
                report.count(f"not there: {python}")
                continue
            tried(name, python, sdist, folder, report, pins)
        if asked.only in "audit":
            audited(report)
    report.close()


def _run(command: list[object]) -> str:
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))}\n{run.stdout[-2000:]}{run.stderr[-2000:]}"
        )
    return run.stdout


if __name__ == "__main__":
    main()
