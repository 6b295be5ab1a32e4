"""The random words: ``python -m verify.streams --words 1e9 [--dieharder]``.

One stream in a row, and first words of many streams interleaved: over trials, layers, purposes,
blocks and adjacent seeds. Of each layout: every bit's mean, every byte's histogram, the number of
ones in a word and in two words that follow each other, and what follows what. Each layout gives 16
p-values; the least of all is held against a false-alarm budget of 1e-3 for the whole campaign.
With --dieharder the same words go through all tests of that suite (apt install dieharder).
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from varprop._core import kernels
from verify.report import Report

Words = npt.NDArray[np.uint64]

BUDGET = 1e-3
_PER_STREAM = 64
_CHUNK = 1 << 16
_PURPOSES = sorted(kernels.PURPOSES)


def _raw() -> Iterator[Words]:
    for block in itertools.count():
        yield kernels.words(1, 2, 3, "weights", block, _CHUNK)


def _interleaved(address: Callable[[int], tuple[Any, ...]]) -> Callable[[], Iterator[Words]]:
    """First words of stream 0, 1, 2, ...: word 0 of each, then word 1 of each, and so on."""

    def chunks() -> Iterator[Words]:
        many = _CHUNK // _PER_STREAM
        for start in itertools.count(0, many):
            first = [kernels.words(*address(start + i), _PER_STREAM) for i in range(many)]
            yield np.ascontiguousarray(np.stack(first).T).ravel()

    return chunks


LAYOUTS: dict[str, Callable[[], Iterator[Words]]] = {
    "one stream": _raw,
    "trials": _interleaved(lambda i: (7, i % 2**48, 1, "weights", 0)),
    "layers": _interleaved(lambda i: (7, i >> 32, i % 2**32, "weights", 0)),
    "purposes": _interleaved(
        lambda i: (7, i // len(_PURPOSES), 1, _PURPOSES[i % len(_PURPOSES)], 0)
    ),
    "blocks": _interleaved(lambda i: (7, i >> 32, 1, "cotangent", i % 2**32)),
    "adjacent seeds": _interleaved(lambda i: (i, 0, 1, "weights", 0)),
    "columns": _interleaved(lambda i: (7, i >> 14, 1, "weights", i % 2**14 << 18)),
}


class Tests:
    """Counts that grow with every chunk, and their p-values."""

    def __init__(self) -> None:
        self.words = 0
        self.bytes = np.zeros((8, 256), dtype=np.int64)
        self.weights = np.zeros((4, 65), dtype=np.int64)
        self.following = np.zeros((2, 65536), dtype=np.int64)

    def add(self, words: Words) -> None:
        """One more chunk."""
        self.words += words.size
        octets = words.view(np.uint8).reshape(-1, 8)
        for place in range(8):
            self.bytes[place] += np.bincount(octets[:, place], minlength=256)
        lagged = (words, words[1:] ^ words[:-1], words[8:] ^ words[:-8], words[64:] ^ words[:-64])
        for row, each in enumerate(lagged):
            self.weights[row] += np.bincount(np.bitwise_count(each), minlength=65)
        for row, shift in enumerate((56, 0)):
            part = (words >> np.uint64(shift)).astype(np.uint8).astype(np.int64)
            self.following[row] += np.bincount(part[1:] << 8 | part[:-1], minlength=65536)

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
            found[f"ones, lag {lag}"] = _chi_square(self.weights[row], binomial)
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


def tried(layout: str, words: int) -> Tests:
    """The tests of one layout over so many words."""
    tests = Tests()
    for chunk in LAYOUTS[layout]():
        tests.add(chunk)
        if tests.words >= words:
            return tests
    raise AssertionError("layouts never end")


def dieharder(layout: str, report: Report, which: list[str]) -> None:
    """All of dieharder's tests, or those numbered, on a layout, through a pipe."""
    for number in which or ["-a"]:
        chosen = [number] if number == "-a" else ["-d", number]
        with subprocess.Popen(
            ["dieharder", "-g", "200", *chosen], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            # what it prints fits into the pipe, so that it need not be read meanwhile
            words = _poured(layout, process.stdin)
            lines = process.stdout.read().decode().splitlines()
        report.count(f"dieharder, {layout}: 64-bit words", words)
        for verdict in ("PASSED", "WEAK", "FAILED"):
            found = [line for line in lines if line.rstrip().endswith(verdict)]
            report.count(f"dieharder, {layout}: {verdict}", len(found))
            for line in found if verdict == "FAILED" else ():
                report.fail(f"dieharder, {layout}: {line.strip()}")
            for line in found if verdict == "WEAK" else ():  # as one in a hundred is, by chance
                print(f"  {line.strip()}", flush=True)


def _poured(layout: str, into: IO[bytes]) -> int:
    words = 0
    try:
        for chunk in LAYOUTS[layout]():
            into.write(chunk.tobytes())
            words += chunk.size
    except BrokenPipeError:
        pass
    return words


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
    for layout in asked.layouts:
        if asked.dieharder:
            dieharder(layout, report, asked.which)
            continue
        tests = tried(layout, int(asked.words))
        found = tests.p_values()
        report.count(f"{layout}: words", tests.words)
        report.count("p-values", len(found))
        least = min(least, *((p, f"{layout}: {name}") for name, p in found.items()))
    if least[1]:
        number = report.counts["p-values"]
        print(f"  least of {number} p-values: {least[0]:.2g} ({least[1]})")
        report.check(least[0] >= BUDGET / number, f"{least[1]}: p = {least[0]:.2g}")
    report.close()


if __name__ == "__main__":
    main()
