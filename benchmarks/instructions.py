"""Instructions of the kernels and engines, counted by callgrind: no clock, so no noise.

Run with `make bench-instructions`; needs valgrind, which knows instruction sets up to AVX2.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

RESULT = Path(__file__).parent / "results" / "instructions.json"
WIDTH, DEPTH, TRIALS = 1000, 50, 4
MANY = 256 * 800
INSIDE = "VARPROP_INSIDE_CALLGRIND"


def works() -> dict[str, tuple[Callable[[], object], int]]:
    """Name -> what is counted, and over how many numbers (units of layers, or weights)."""
    import varprop
    from varprop._core import kernels
    from varprop.activation import Activation

    z = np.random.default_rng(1).standard_normal(MANY)

    def fill(n: int, law: str, single: bool) -> tuple[Callable[[], object], int]:
        return lambda: kernels.fill_repeatedly(MANY // n, n, law, single=single), MANY // n * n

    def engine(act: str, **more: object) -> tuple[Callable[[], object], int]:
        options = {"depth": DEPTH, "width": WIDTH, "trials": TRIALS, "scheme": "he"} | more
        units = int(options["depth"]) * int(options["width"]) * int(options["trials"])
        return lambda: varprop.simulate(act=act, threads=1, **options), units

    def weights(law: str) -> tuple[Callable[[], object], int]:
        work, units = engine("relu", depth=4, trials=1, scheme=law, engine="dense", backward=False)
        return work, units * WIDTH

    found = {
        "normals, float64": fill(256, "normal", False),
        "normals, float32": fill(1024, "normal", True),
        "uniforms, float32": fill(1024, "uniform", True),
    }
    for name in ("relu", "tanh", "erf", "gelu", "sigmoid", "softplus"):
        code = Activation.parse(name).code
        found[f"{name} and its slope"] = (lambda code=code: kernels.activate(code, z), MANY)
    for act in ("relu", "tanh", "gelu"):
        found[f"up, {act}"] = engine(act, backward=False)
    found["up and back, relu"] = engine("relu")
    found["a pair, up, relu"] = engine("relu", correlation=0.5, backward=False)
    found["dense, normal weights"] = weights("he")
    found["dense, uniform weights"] = weights("uniform, 2/fan_in")
    return found


def inside() -> None:
    """Under callgrind: the counts of each work go to a dump of their own."""

    def control(*what: str) -> None:
        done = subprocess.run(
            ["callgrind_control", *what, str(os.getpid())], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr or done.stdout)

    units = {}
    for name, (work, n) in works().items():
        work()
        control("-z")
        work()
        control(f"--dump={name}")
        units[name] = n
    Path("units.json").write_text(json.dumps(units))


def counted(dump: str) -> int:
    """Instructions in the compiled core, of the functions' own and not of what they call."""
    total, ours, names, skip = 0, False, {}, False
    for line in dump.splitlines():
        if match := re.match(r"ob=\((\d+)\)(?: (.*))?", line):
            if match[2]:
                names[match[1]] = match[2]
            ours = "/_core/" in names[match[1]]
        elif match := re.match(r"cob=\((\d+)\) (.*)", line):
            names[match[1]] = match[2]
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+\-*\d]", line):
            if ours and not skip:
                total += int(line.split()[1])
            skip = False
    return total


def main() -> None:
    if os.environ.get(INSIDE):
        inside()
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=out", sys.executable,
             Path(__file__).resolve()],
            cwd=folder, env={**os.environ, INSIDE: "1"}, check=True,
        )  # fmt: skip
        units = json.loads((Path(folder) / "units.json").read_text())
        each = {}
        for path in Path(folder).glob("out.*"):
            text = path.read_text()
            name = re.search(r"^desc: Trigger: (.*)$", text, re.MULTILINE)
            hint = name and re.search(r"(?:Hint|hint)[: ]*(.*)$", name[1])
            for known in units:
                if (hint and known == hint[1].strip()) or (name and known in name[1]):
                    each[known] = counted(text) / units[known]
    found = {name: round(each[name], 2) for name in units}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name:<30}{value:8.2f} instructions")


if __name__ == "__main__":
    main()
