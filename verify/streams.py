"""The random words: ``python -m verify.streams --words 1e9 [--dieharder]``.

One stream in a row, and first words of many streams interleaved: over trials, layers, purposes,
blocks and adjacent seeds. Of each layout: every bit's mean, every byte's histogram, the number of
ones in a word and in two words that follow each other, and what follows what. Each layout gives 16
p-values; the least of all is held against a false-alarm budget of 1e-3 for the whole campaign.
With --dieharder the same words go through all tests of that suite (apt install dieharder).
words.c makes and counts the words, in as many processes as there are processors; its counts are
those of `Tests.add`, which a test confirms.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from varprop._core import kernels
from verify.build import TREE
from verify.report import Report

Words = npt.NDArray[np.uint64]

BUDGET = 1e-3
CHUNK = 1 << 16  # words that are looked at together
_FIELDS = ("seed", "trial", "layer", "purpose", "block")
_PURPOSES = {code: name for name, code in kernels.PURPOSES.items()}


@dataclass(frozen=True)
class Layout:
    """Streams one after the other, and how many words are taken of each.

    `runs` is what runs on from stream to stream, by `step`; after `modulus` steps it begins again
    with the next trial (0: never). A chunk has word 0 of its streams, then word 1 of each, and so
    on.
    """

    runs: str
    modulus: int
    step: int = 1
    length: int = 64
    first: tuple[int, int, int, int, int] = (7, 0, 1, kernels.PURPOSES["weights"], 0)

    def chunks(self) -> Iterator[Words]:
        """All words, CHUNK at a time."""
        many = CHUNK // self.length
        for start in itertools.count(0, many):
            made = [self._words(number) for number in range(start, start + many)]
            yield np.ascontiguousarray(np.stack(made).T).ravel()

    def _words(self, number: int) -> Words:
        at = dict(zip(_FIELDS, self.first, strict=True))
        carry, place = divmod(number, self.modulus) if self.modulus else (0, number)
        at[self.runs] += self.step * place
        at["trial"] += carry
        words: Words = kernels.words(
            at["seed"], at["trial"], at["layer"], _PURPOSES[at["purpose"]], at["block"], self.length
        )
        return words

    def arguments(self) -> list[str]:
        """The same for words.c."""
        numbers = (*self.first, _FIELDS.index(self.runs), self.step, self.modulus, self.length)
        return [str(number) for number in numbers]


LAYOUTS = {
    "one stream": Layout("block", 2**32, length=CHUNK, first=(1, 2, 3, 1, 0)),
    "trials": Layout("trial", 0),
    "layers": Layout("layer", 2**32 - 1),
    "purposes": Layout("purpose", len(_PURPOSES), first=(7, 0, 1, 0, 0)),
    "blocks": Layout("block", 2**32, first=(7, 0, 1, kernels.PURPOSES["cotangent"], 0)),
    "adjacent seeds": Layout("seed", 0, first=(0, 0, 1, 1, 0)),
    "columns": Layout("block", 2**14, step=2**18),
}


class Tests:
    """Counts that grow with every chunk, and their p-values."""

    def __init__(self) -> None:
        self.words = 0
        self.bytes = np.zeros((8, 256), dtype=np.int64)
        self.ones = np.zeros((4, 65), dtype=np.int64)
        self.following = np.zeros((2, 65536), dtype=np.int64)

    def add(self, words: Words) -> None:
        """One more chunk."""
        self.words += words.size
        octets = words.view(np.uint8).reshape(-1, 8)
        for place in range(8):
            self.bytes[place] += np.bincount(octets[:, place], minlength=256)
        lagged = (words, words[1:] ^ words[:-1], words[8:] ^ words[:-8], words[64:] ^ words[:-64])
        for row, each in enumerate(lagged):
            self.ones[row] += np.bincount(np.bitwise_count(each), minlength=65)
        for row, shift in enumerate((56, 0)):
            part = (words >> np.uint64(shift)).astype(np.uint8).astype(np.int64)
            self.following[row] += np.bincount(part[1:] << 8 | part[:-1], minlength=65536)

    def merge(self, counts: bytes) -> None:
        """What words.c counted."""
        numbers = np.frombuffer(counts, dtype=np.int64)
        for array in (self.bytes, self.ones, self.following):
            array += numbers[: array.size].reshape(array.shape)
            numbers = numbers[array.size :]
        self.words = int(self.bytes[0].sum())

    def p_values(self) -> dict[str, float]:
        """By name; small ones are bad."""
        places = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
        ones = self.bytes @ places.astype(np.int64)
        sigmas = (ones - self.words / 2) / np.sqrt(self.words / 4)
        found = {
            "bits": float(stats.chi2.sf((sigmas**2).sum(), 64)),
            "worst bit": float(min(1.0, 128 * stats.norm.sf(np.abs(sigmas).max()))),
        }
        for place in range(8):
            found[f"byte {place}"] = _chi_square(self.bytes[place], np.full(256, 1 / 256))
        binomial = stats.binom.pmf(np.arange(65), 64, 0.5)
        for row, lag in enumerate((0, 1, 8, 64)):
            found[f"ones, lag {lag}"] = _chi_square(self.ones[row], binomial)
        for row, which in enumerate(("high", "low")):
            found[f"{which} byte after {which} byte"] = _chi_square(
                self.following[row], np.full(65536, 1 / 65536)
            )
        return found


def _chi_square(counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> float:
    """Two-sided, cells of few expected counts put together."""
    expected = counts.sum() * shares
    small = expected < 10
    observed, wanted = counts[~small].astype(float), expected[~small]
    if expected[small].sum() > 0:
        observed = np.append(observed, counts[small].sum())
        wanted = np.append(wanted, expected[small].sum())
    if len(wanted) < 2:
        return 1.0
    square = float(((observed - wanted) ** 2 / np.maximum(wanted, 1e-300)).sum())
    freedom = len(wanted) - 1
    return float(min(1.0, 2 * min(stats.chi2.sf(square, freedom), stats.chi2.cdf(square, freedom))))


def compiled(folder: Path) -> Path:
    """words.c for this machine."""
    out = folder / "words"
    subprocess.run(
        ["cc", "-std=gnu11", "-O3", "-march=native", "-I", TREE / "src" / "varprop" / "_core",
         "-o", out, TREE / "verify" / "words.c"], check=True,
    )  # fmt: skip
    return out


def counted(layout: Layout, words: int, program: Path, processes: int) -> Tests:
    """The tests of at least so many words of a layout."""
    tests = Tests()
    chunks = -(-words // CHUNK)
    bounds = [chunks * part // processes for part in range(processes + 1)]

    def part(start: int, stop: int) -> bytes:
        command = [program, *layout.arguments(), str(start), str(stop)]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    with ThreadPoolExecutor(processes) as pool:
        for counts in pool.map(part, bounds[:-1], bounds[1:]):
            tests.merge(counts)
    return tests


def dieharder(name: str, program: Path, report: Report, which: list[str]) -> None:
    """All of dieharder's tests, or those numbered, on a layout, through a pipe."""
    for number in which or ["-a"]:
        chosen = [number] if number == "-a" else ["-d", number]
        with subprocess.Popen(
            [program, *LAYOUTS[name].arguments(), "pour"], stdout=subprocess.PIPE
        ) as words:
            run = subprocess.run(
                ["dieharder", "-g", "200", *chosen], stdin=words.stdout, stdout=subprocess.PIPE
            )
            words.kill()
        lines = run.stdout.decode().splitlines()
        judged = sum(line.rstrip().endswith(("PASSED", "WEAK", "FAILED")) for line in lines)
        report.check(run.returncode == 0 and judged > 0, f"dieharder {number} judged nothing")
        for verdict in ("PASSED", "WEAK", "FAILED"):
            found = [line for line in lines if line.rstrip().endswith(verdict)]
            report.count(f"dieharder, {name}: {verdict}", len(found))
            for line in found if verdict == "FAILED" else ():
                report.fail(f"dieharder, {name}: {line.strip()}")
            for line in found if verdict == "WEAK" else ():  # as one in a hundred is, by chance
                print(f"  {line.strip()}", flush=True)


def main() -> None:
    """All layouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=float, default=1e9, help="of each layout")
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS), choices=list(LAYOUTS))
    parser.add_argument("--dieharder", action="store_true")
    parser.add_argument("--which", nargs="*", default=[], help="numbers of its tests")
    asked = parser.parse_args()
    report = Report("streams")
    least: tuple[float, str] = (1.0, "")
    with tempfile.TemporaryDirectory() as scratch:
        program = compiled(Path(scratch))
        for name in asked.layouts:
            if asked.dieharder:
                dieharder(name, program, report, asked.which)
                continue
            tests = counted(LAYOUTS[name], int(asked.words), program, os.cpu_count() or 1)
            found = tests.p_values()
            report.count(f"{name}: words", tests.words)
            report.count("p-values", len(found))
            least = min(least, *((p, f"{name}: {what}") for what, p in found.items()))
    if least[1]:
        number = report.counts["p-values"]
        print(f"  least of {number} p-values: {least[0]:.2g} ({least[1]})")
        report.check(least[0] >= BUDGET / number, f"{least[1]}: p = {least[0]:.2g}")
    report.close()


if __name__ == "__main__":
    main()
