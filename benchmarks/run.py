"""Measures, keeps and writes up: `make bench`.

run.py [--quick] [SECTION ...]   measure these sections, or all; then write the page
run.py page                      write the page from what was measured
run.py check                     fail if a ratio to NumPy fell since the runs before
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

import default_blas  # noqa: F401  (first, before NumPy)
import history
import page
import record

SECTIONS = ("headline", "more_tasks", "scaling", "standard_error", "maps", "start_up", "kernels")
DETAILS = "scripts"  # only when asked for: they take long


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer turns; under 3 minutes")
    parser.add_argument("what", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; "
                        "scripts, page, check")  # fmt: skip
    given = parser.parse_args()
    if unknown := set(given.what) - {*SECTIONS, DETAILS, "page", "check"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(SECTIONS)}")
    if given.what == ["check"]:
        return history.check()
    for name in (*SECTIONS, DETAILS):
        if name in given.what or (not given.what and name != DETAILS):
            start = time.perf_counter()
            found = importlib.import_module(f"sections.{name}").run(given.quick)
            record.save(name, given.quick, found)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
            for who, why in found.get("failed", {}).items():
                print(f"  did not run: {who}: {why}", flush=True)
    if not given.what:
        history.add(given.quick)
    page.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
