"""``varprop activations``, ``schemes`` and ``info``: what there is, and what runs it."""

from __future__ import annotations

from typing import Any

import click

from .command_output import form_options, put


@click.command()
@form_options
def activations(form: str | None) -> None:
    """List the activations that have a name.

    \b
    Examples:
      varprop activations
      varprop activations --json | jq -r ".[].name"
    """
    from . import activations as table

    records = [
        {"name": str(act), "formula": act.formula.text if act.formula else ""} for act in table()
    ]
    _put_table(form, records, ["name", "formula"])


@click.command(short_help="List the initialisations that have a name.")
@form_options
def schemes(form: str | None) -> None:
    """List the initialisations that have a name, with their variances.

    \b
    Examples:
      varprop schemes
      varprop schemes --csv
    """
    from . import schemes as table
    from .text import text_table

    rows = table()

    def text() -> str:
        body = [
            [
                ", ".join((row.name, *row.aliases)),
                row.distribution,
                row.variance + ("" if row.bias == "0" else f"; biases: {row.bias}"),
            ]
            for row in rows
        ]
        return text_table(["name", "weights", "their variance"], body, left=3)

    records = [
        {
            "name": row.name, "aliases": " ".join(row.aliases), "weights": row.distribution,
            "variance": row.variance, "bias_variance": row.bias, "source": row.source,
        }
        for row in rows
    ]  # fmt: skip
    put(form, text, lambda: records, lambda: records)


@click.command(short_help="Say which versions run, and on how many threads.")
@form_options
def info(form: str | None) -> None:
    """Say which versions run, with which instruction set and on how many threads.

    \b
    Examples:
      varprop info
      varprop info --json
    """
    records = [{"name": name, "value": value} for name, value in facts().items()]
    if form == "json":
        put(form, str, facts, list)
    else:
        _put_table(form, records, ["name", "value"])


def facts() -> dict[str, Any]:
    """Versions, instruction sets, threads; None for an optional package that is missing.

    Examples
    --------
    >>> facts()["threads"] >= 1
    True
    """
    import platform
    from importlib import metadata

    from . import __version__
    from ._core import SIMD
    from ._core.build_info import LEVELS, OPENMP
    from .resources import available_memory, resolve_threads

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    memory = available_memory()
    packages = ("numpy", "scipy", "sympy", "matplotlib", "torch", "pandas", "xarray", "dask")
    return {
        "varprop": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "instruction_set": SIMD,
        "instruction_sets_built": " ".join(LEVELS),
        "openmp": bool(OPENMP),
        "threads": resolve_threads(),
        "memory_free_gb": None if memory is None else round(memory / 1e9, 1),
        **{name: version(name) for name in packages},
    }


def _put_table(form: str | None, records: list[dict[str, Any]], names: list[str]) -> None:
    from .text import text_table

    def text() -> str:
        body = [
            ["-" if record[name] is None else str(record[name]) for name in names]
            for record in records
        ]
        return text_table(names, body, left=len(names))

    put(form, text, lambda: records, lambda: records)
