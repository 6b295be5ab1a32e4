"""Start-up: what a first call costs, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from workers import python_of

from varprop.bench.turns import Work, measure

CODES = {
    "Python alone": "pass",
    "import numpy": "import numpy",
    "import varprop": "import varprop",
    "varprop simulate, depth 200": "import sys; from varprop.cli import main; "
    "sys.exit(main(['simulate', '--depth', '200']))",
    "varprop.theory.variance_map('tanh')(1.0)": "import varprop; "
    "varprop.theory.variance_map('tanh')(1.0)",
    "varprop derive relu": "import sys; from varprop.cli import main; "
    "sys.exit(main(['derive', 'relu']))",
}
PEERS = {"import torch": (None, "import torch"), "import jax": ("jax", "import jax"),
         "import neural_tangents": ("neural-tangents", "import neural_tangents")}  # fmt: skip


def run(quick: bool) -> dict[str, Any]:
    works = {name: (_start(sys.executable, code), 1) for name, code in CODES.items()}
    for name, (environment, code) in PEERS.items():
        python = python_of(environment)
        if python is not None:
            works[name] = _start(str(python), code), 1
    return {"times": {"start-up": measure(works, 1 if quick else 5)}}


def _start(python: str, code: str) -> Work:
    return lambda: subprocess.run([python, "-c", code], check=True, capture_output=True)
