"""What the page is, and what it was measured on."""

from __future__ import annotations

import textwrap

import tables

from . import Records

INTRODUCTION = """
# Fast and right

A claim of speed is a table that anyone can make again. This page is written by `make bench`: every
contender in one run, in turns, so that a busy machine slows all of them alike; each figure is the
median over the turns, with the smallest and the largest value. Compare ratios, not seconds: they
carry over to other machines. `varprop bench` measures the rows that need nothing but NumPy.

Contenders are written as their own users would write them well: compiled or jitted, in single
precision where that is their habit, all threads, memory used again, warm before the first turn.
Between its turns a process is stopped, lest its waiting threads slow the next one.
[The code is below](#the-contenders).
"""


def write(records: Records) -> str:
    measured = {name: each for name, each in records.items() if each and "machine" in each}
    if not measured:
        return INTRODUCTION + "\nNothing has been measured yet."
    first = measured.get("headline") or next(iter(measured.values()))
    machine = first["machine"]
    versions = {
        package: version
        for each in measured.values()
        for packages in each.get("versions", {}).values()
        for package, version in packages.items()
        if package not in ("jax", "jaxlib")
    }
    for each in measured.values():  # two releases of JAX take part
        for who, packages in each.get("versions", {}).items():
            if "jax" in packages:
                versions[f"jax ({who.split(',')[0]})"] = packages["jax"]
    dates = sorted({each["machine"]["date"] for each in measured.values()})
    rows = [
        ["processor", f"{machine['cpu']}, {machine['threads']} threads used"],
        ["instruction set of varprop", machine["instruction_set"]],
        ["system", f"{machine['system']}, Python {machine['python']}"],
        ["varprop, NumPy", f"{machine['varprop']}, {machine['numpy']}"],
        ["NumPy's BLAS", machine["blas"]],
        ["peers", ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))],
        ["date", " to ".join(dict.fromkeys((dates[0], dates[-1])))],
    ]
    text = INTRODUCTION + "\n" + tables.table(["", ""], rows).replace("---:", "---")
    quick = sorted(name for name, each in measured.items() if each.get("quick"))
    if quick:
        text += f"\n\nMeasured in the quick form, with few turns: {', '.join(quick)}."
    failed = {k: v for each in measured.values() for k, v in each.get("failed", {}).items()}
    if failed:
        text += "\n\nDid not run:\n\n"
        text += "\n".join(textwrap.shorten(f"- {k}: {v}", 160) for k, v in failed.items())
    return text
