"""The scripts of this folder that measure one part in detail, each by its own `main`.

What a script says with `turns.say` is kept; of one that only prints, the text.
"""

from __future__ import annotations

import importlib
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import turns

HERE = Path(__file__).parents[1]
SYSTEM = {"instructions", "run", "worker"}  # have a `main` of another kind


def run(_quick: bool) -> dict[str, Any]:
    """All of them, one after the other; they have no quick form."""
    said, printed = {}, {}
    for path in sorted(HERE.glob("*.py")):
        if path.stem in SYSTEM or "\ndef main() -> None:" not in path.read_text():
            continue
        turns.said.clear()
        out = io.StringIO()
        with redirect_stdout(out):
            importlib.import_module(path.stem).main()
        print(out.getvalue(), flush=True)
        if turns.said:
            said[path.stem] = list(turns.said)
        else:
            printed[path.stem] = out.getvalue()
    return {"said": said, "printed": printed}
