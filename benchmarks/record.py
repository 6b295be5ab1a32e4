"""What was measured, as JSON files: one a section, and the history of ratios beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from varprop.bench.machine import facts

RESULTS = Path(__file__).parent / "results"


def save(section: str, quick: bool, found: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    record = {"section": section, "quick": quick, "machine": facts(), **found}
    path = RESULTS / f"{section}.json"
    path.write_text(json.dumps(_rounded(record), indent=1, ensure_ascii=False) + "\n")


def load(section: str) -> dict[str, Any] | None:
    """A section's record; None where it was not measured."""
    path = RESULTS / f"{section}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
