"""Fuzzing of the parsers and loaders: ``python -m verify.fuzz formula --runs 1e6``.

With atheris installed the inputs are led by coverage of varprop's own code; without it they are
mutated blindly from the same corpus, and the report says so. No input may crash, take more than
five seconds of CPU time or two gigabytes, or execute anything: an audit hook watches.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from verify.build import TREE
from verify.report import Report

NAMES = ("formula", "activation", "scheme", "network", "loader", "definition")
ATTACKS = TREE / "tests" / "data" / "attacks.txt"
_SECONDS = 5  # of CPU time
_HANGS = 300  # seconds by the clock, which other work may slow down
_WORDS = (
    b"x if x<1 else 2", b"**", b"max(x,0)", b"sigmoid(", b"Phi(x)", b"1e308", b"5e-324", b"(", b")",
    b"heaviside(", b"-", b"0.5", b"uniform(-1,1)", b"student_t(5)", b", 2/fan_in", b"fan_avg",
    b"orthogonal(", b"sigma_w=", b"bias_normal", b"sparse(0.1)", b"{", b"}", b"\"depth\":", b"null",
    b"[", b"]", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"varprop sha256 ", b"nan", b"Infinity",
    b"__class__", b"lambda", b"\xc2\xb2", b"\xed\xa0\x80", b"\x00",
)  # fmt: skip
_FORBIDDEN = ("exec", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen",
              "socket.", "pickle.find_class", "marshal.loads", "ctypes.")  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """What the inputs are mutated from."""
    import varprop
    from verify import fuzz_targets

    found = [line.encode("utf-8", "surrogatepass") for line in attacks()]
    if name in ("formula", "activation"):
        for act in varprop.activations():
            found += [str(act).encode(), act.formula.text.encode()]
        found += [b"x*sigmoid(1.702*x)", b"x if x > 0 else 0.2*x", b"min(max(x/6 + 1/2, 0), 1)"] * 9
    if name == "scheme":
        found += [row.name.encode() for row in varprop.schemes()] * 4
        found += [b"student_t(5), 2/fan_in", b"uniform(-0.1, 0.1)", b"orthogonal(1.5)"] * 9
    if name == "loader":
        whole = fuzz_targets.saved()
        found += [b"\0" + whole, b"\1" + whole[:-79], b'\2{"kind": 1}\0\0\0\x93NUMPY']
    if name == "network":
        for given in ({"depth": 2}, {"depth": 2, "widths": [3, 4, 5], "act": ["relu", "x*x"]},
                      {"depth": 3, "norm": "rms", "residual": varprop.Residual(0.5)}):  # fmt: skip
            found.append(json.dumps(varprop.Network(**given).to_dict()).encode())
    if name == "definition":
        found.append(b'{"attributes": {"varprop": "{}"}}')
    return found


def attacks() -> list[str]:
    """The corpus: one input a line, escapes as in Python's strings, # for comments."""
    lines = ATTACKS.read_text("ascii").splitlines()
    return [
        line.encode().decode("unicode_escape")
        for line in lines
        if line and not line.startswith("#")
    ]


def guard() -> Callable[[bool], None]:
    """Watch for execution; the function returned says whether an input is being tried."""
    watching = [False]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event.startswith(_FORBIDDEN) and not _importing():
            watching[0] = False
            from verify.fuzz_targets import Fault

            raise Fault(f"an input led to {event} {arguments!r}"[:500])

    sys.addaudithook(hook)

    def switch(on: bool) -> None:
        watching[0] = on

    return switch


def _importing() -> bool:
    """Whether this is Python loading one of varprop's own modules, for the first time."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def mutations(corpus: list[bytes], seed: int) -> Iterator[bytes]:
    """Endless inputs: pieces of the corpus, joined, cut, doubled, with bytes changed."""
    rng = random.Random(seed)
    while True:
        data = bytearray(rng.choice(corpus))
        for _ in range(rng.randint(1, 6)):
            at = rng.randint(0, len(data))
            match rng.randint(0, 5):
                case 0:
                    data[at:at] = rng.choice(_WORDS)
                case 1:
                    data[at:at] = bytes([rng.choice(b"x+-*/().,0123456789e \xff\x00")])
                case 2:
                    del data[at : at + rng.randint(1, 8)]
                case 3 if data:
                    data[at % len(data)] ^= 1 << rng.randint(0, 7)
                case 4:
                    other = rng.choice(corpus)
                    data[at:] = other[rng.randint(0, len(other)) :]
                case _:
                    data[at:at] = data[at : at + rng.randint(1, 20)] * rng.randint(1, 3)
        yield bytes(data[:4096])


def blindly(
    name: str, runs: int, seed: int = 0, watch: Callable[[bool], None] = lambda on: None
) -> dict[str, int]:
    """Try so many inputs in this process; returns how many were refused and accepted."""
    from verify.fuzz_targets import TARGETS

    target, corpus = TARGETS[name], seeds(name)
    counts: dict[str, int] = {}
    made = mutations(corpus, seed)
    before = signal.signal(signal.SIGPROF, _late)
    inputs = (*corpus, *(next(made) for _ in range(runs - len(corpus))))
    try:
        for number, one in enumerate(inputs):
            signal.setitimer(signal.ITIMER_PROF, _SECONDS)
            watch(number >= len(corpus))  # what is imported late is imported by the corpus
            try:
                outcome = target(one)
            except Exception as error:
                raise RuntimeError(f"{name}: {one!r}: {error!r}") from error
            finally:
                watch(False)
                signal.setitimer(signal.ITIMER_PROF, 0)
            counts[outcome] = counts.get(outcome, 0) + 1
    finally:
        signal.signal(signal.SIGPROF, before)
    return counts


def _late(*_: object) -> None:
    from verify.fuzz_targets import Fault

    raise Fault(f"took more than {_SECONDS} s")


def _led(name: str, runs: int, watch: Callable[[bool], None]) -> None:
    """By coverage, until so many runs are done; atheris leaves the process itself."""
    import atheris

    with atheris.instrument_imports(include=["varprop"], enable_loader_override=False):
        from verify.fuzz_targets import TARGETS

    target = TARGETS[name]

    def one(data: bytes) -> None:
        watch(True)
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        try:
            target(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            watch(False)

    with tempfile.TemporaryDirectory() as folder:
        for i, seed in enumerate(seeds(name)):
            Path(folder, str(i)).write_bytes(seed)
        words = Path(folder + ".dict")
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in _WORDS))
        for seed in seeds(name):  # what is imported late is imported now
            target(seed)
        signal.signal(signal.SIGPROF, _late)
        atheris.Setup([sys.argv[0], f"-runs={runs}", "-max_len=4096", f"-timeout={_HANGS}",
                       "-rss_limit_mb=2048", f"-artifact_prefix={folder}/", f"-dict={words}",
                       "-print_final_stats=1", folder],
                      one)  # fmt: skip
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> None:
    """One process for each target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--runs", type=float, default=1e6, help="inputs for each target")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        watch = guard()
        if importlib.util.find_spec("atheris") is None:
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            counts = blindly(asked.names[0], int(asked.runs), watch=watch)
            print("blind", json.dumps(counts))
            return
        _led(asked.names[0], int(asked.runs), watch)
        return
    report = Report("fuzz")
    for name in asked.names:
        run = subprocess.run(
            [sys.executable, "-m", "verify.fuzz", name, "--child", "--runs", str(asked.runs)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        led = re.search(r"stat::number_of_executed_units:\s*(\d+)", run.stdout)
        blind = re.search(r"^blind (.*)$", run.stdout, re.MULTILINE)
        if led:
            report.count(f"{name}, led by coverage", int(led[1]))
        elif blind:
            for what, number in json.loads(blind[1]).items():
                report.count(f"{name}, not led by coverage, {what}", number)
        if run.returncode or not (led or blind):
            report.fail(f"{name}:\n{run.stdout[-1500:]}")
    report.close()


if __name__ == "__main__":
    main()
