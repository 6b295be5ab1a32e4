"""Writes docs/fast-and-right.md from the records in results/."""

from __future__ import annotations

import importlib
from pathlib import Path

import record

PAGE = Path(__file__).parents[1] / "docs" / "fast-and-right.md"
PARTS = ("top", "headline", "more_tasks", "standard_error", "scaling", "maps", "kernels",
         "start_up", "close", "again", "scripts", "code")  # fmt: skip


def write() -> None:
    """Parts whose section was not measured are left out, and the page says so."""
    records = {path.stem: record.load(path.stem) for path in record.RESULTS.glob("*.json")}
    written = [importlib.import_module(f"parts.{name}").write(records) for name in PARTS]
    PAGE.write_text("\n\n".join(part.strip() for part in written if part) + "\n")
    print(f"wrote {PAGE.relative_to(PAGE.parents[1])}", flush=True)
