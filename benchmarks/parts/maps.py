"""Theory: error beside time."""

from __future__ import annotations

import statistics
from typing import Any

import figures
import tables

from . import Records

TITLES = {
    "variance": "Variance maps, E φ(√K z)²",
    "gradient": "Gradient maps, E φ′(√K z)²",
    "correlation": "Correlation maps, E φ(√K u) φ(√K v) at correlation 0.5",
}


def write(records: Records) -> str:
    record = records.get("maps")
    if record is None:
        return ""
    parts = [
        "## Theory: right, and fast",
        "Largest relative error over K in {0.01, 1, 10, 100}, against mpmath to 30 digits, and the "
        "time for a value when asked for these four at once, warm. neural-tangents is in float64 "
        "and jitted. AnyInit has variance maps only; dks has no public maps, so the integrals it "
        "solves with are used, and not its two-dimensional one, which takes minutes. `quad` is "
        "SciPy's, over Python's own functions. 0 means that no digit was wrong. varprop's maps are "
        "tabulated in ln K on the way, and its kernels of tanh, silu and elu are sums over "
        "coefficients that are kept for each K: the first call takes some milliseconds.",
    ]
    for name, title in TITLES.items():
        parts += [f"### {title}", _table(record, name)]
    parts += [
        f"![Error and time of the variance map]({figures.maps(record)})",
        "### Ten thousand values",
        "The variance map of 10,000 different K, 0.01 to 100, at once; the first call has to find "
        "out how to compute it.",
        _many(record),
    ]
    return "\n\n".join(parts)


def _table(record: dict[str, Any], name: str) -> str:
    keys = [key for key in record["errors"] if key.startswith(f"{name}, ")]
    who = list(dict.fromkeys(each for key in keys for each in record["errors"][key]))
    rows = []
    for each in who:
        row = [each]
        for key in keys:
            if each not in record["errors"][key]:
                row.append("-")
                continue
            seconds = statistics.median(record["times"][key][each]) / 4
            error = record["errors"][key][each]
            row.append(f"{'0' if error == 0 else f'{error:.0e}'}; {tables.duration(seconds)}")
        rows.append(row)
    return tables.table(["", *(key.split(", ")[1] for key in keys)], rows)


def _many(record: dict[str, Any]) -> str:
    acts = [key for key in record["times"] if key.startswith("variance of")]
    who = list(dict.fromkeys(each for key in acts for each in record["times"][key]))
    rows = [[each, *(_median(record["times"][key].get(each)) for key in acts)] for each in who]
    return tables.table(["", *(key.split(", ")[1] for key in acts)], rows)


def _median(times: list[float] | None) -> str:
    """A dash for who has no such map."""
    return "-" if times is None else tables.duration(statistics.median(times))
