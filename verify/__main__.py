"""All campaigns, in their long forms: ``python -m verify [NAMES]``; they take a day or two."""

from __future__ import annotations

import subprocess
import sys

CAMPAIGNS = {
    "memcheck": [],
    "sanitizers": [],
    "processes": ["--times", "20"],
    "interrupts": [],
    "inputs": ["--examples", "2000"],
    "fuzz": ["--runs", "1e6"],
    "files": [],
    "mutants": [],
    "streams": ["--words", "1e11"],
    "normals": ["--numbers", "1e10"],
    "table": ["--trials", "100000"],
    "memory": [],
    "soak": ["--minutes", "60"],
    "bits": [],
    "packages": [],
}


def main() -> None:
    """One after the other; all are run, whatever becomes of one."""
    wanted = sys.argv[1:] or list(CAMPAIGNS)
    unknown = set(wanted) - set(CAMPAIGNS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CAMPAIGNS)}")
    failed = [
        name
        for name in wanted
        if subprocess.run([sys.executable, "-m", f"verify.{name}", *CAMPAIGNS[name]]).returncode
    ]
    sys.exit(f"gave way: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
