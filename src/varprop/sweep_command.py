"""``varprop sweep``: its options, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import numpy as np

from .architecture import Norm, Residual

Command = TypeVar("Command", bound=Callable[..., Any])


class Numbers(click.ParamType[Any]):
    """One number; some, "1,2,5"; or evenly spaced ones, "0.5:3:26"."""

    name = "numbers"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, or a list of them for an axis."""
        try:
            if ":" in value:
                first, last, count = value.split(":")
                spaced = np.linspace(float(first), float(last), int(count)).tolist()
                if self.kind is int and any(number != int(number) for number in spaced):
                    self.fail(f"{value!r} gives {spaced}, which are not whole numbers", param, ctx)
                return [self.kind(number) for number in spaced]
            if "," in value:
                return [self.kind(part) for part in value.split(",")]
            return self.kind(value)
        except ValueError:
            self.fail(
                f"{value!r} is no number, no list such as 1,2,5 and no range "
                "such as 0.5:3:26 (first, last, how many)",
                param, ctx,
            )  # fmt: skip


def sweep_options(command: Command) -> Command:
    """Add the options of a sweep."""
    whole, real = Numbers(int), Numbers(float)
    engines = click.Choice(["auto", "matrix-free", "dense", "reference"])
    for option in reversed(
        (
            click.option("--depth", type=whole, help="Layers."),
            click.option("--width", type=whole, help="Units in every layer.  [default: 1000]"),
            click.option("--act", multiple=True, help="Activation.  [default: relu]"),
            click.option("--scheme", multiple=True, help="Initialisation.  [default: he]"),
            click.option("--sigma-w", type=real, help="Var W = sigma_w^2/fan_in; no --scheme."),
            click.option("--sigma-b", type=real, help="Standard deviation of the biases."),
            click.option("--correlation", type=real, help="Two inputs with this cosine."),
            click.option("--seed", type=whole, help="Seed.  [default: 0]"),
            click.option("--trials", type=click.IntRange(min=1), help="Networks.  [default: 100]"),
            click.option("--engine", type=engines, help="[default: auto]"),
            click.option("--backward/--no-backward", default=None, help="Measure gradients too."),
            click.option("--store", type=click.Path(), required=True, help="Folder of results."),
            click.option("--resume", is_flag=True, help="Go on with the sweep in --store."),
            click.option("--threads", type=int, help="Threads; with --dask, of each worker."),
            click.option("--dask", metavar="ADDRESS", help="Scheduler of Dask workers to use."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def parameters(options: Mapping[str, Any], store: str, resume: bool) -> dict[str, Any]:
    """Arguments of `sweep` from the options given, or from the store.

    Raises
    ------
    click.UsageError
        For options that don't go together.
    ValueError
        When a store can't be resumed, or is there although nothing should be resumed.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if resume:
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise click.UsageError(f"--resume takes everything from the store; leave out {names}")
        return stored_parameters(store)
    if os.path.exists(store):
        stored_parameters(store)  # or it says that this is no sweep
        raise ValueError(f"{store!r} is there already: --resume goes on with it")
    if "depth" not in given:
        raise click.UsageError("--depth is missing")
    for name in ("act", "scheme"):
        if name in given:
            given[name] = list(given[name]) if len(given[name]) > 1 else given[name][0]
    return given


def stored_parameters(store: str) -> dict[str, Any]:
    """Arguments of `sweep` that made a store."""
    from .sweep_store import read_definition

    definition = read_definition(store)
    given = {**definition["parameters"], "trials": definition["trials"]}
    found: dict[str, Any] = {}
    for name, value in given.items():
        read = _READ.get(name, lambda part: part)
        values = value if isinstance(value, list) else [value]
        if name == "x" or any(_only_python(name, part) for part in values):
            raise ValueError(
                f"the sweep in {store!r} has an input or an activation that only Python knows: "
                "call varprop.sweep with the same arguments again"
            )
        found[name] = [read(part) for part in value] if isinstance(value, list) else read(value)
    return found


def _only_python(name: str, value: Any) -> bool:
    """Whether the store has a fingerprint instead of the value."""
    if name == "act":
        return any(isinstance(a, dict) for a in (value if isinstance(value, list) else [value]))
    return name == "cotangents" and isinstance(value, str)


def _of_dict(record: type[Any]) -> Callable[[Any], Any]:
    return lambda value: record(**value) if isinstance(value, dict) else value


# How to read what JSON has no form for; -inf is a text there.
_READ: dict[str, Callable[[Any], Any]] = {
    "residual": _of_dict(Residual),
    "norm": _of_dict(Norm),
    "log_gap": lambda value: float(value) if isinstance(value, str) else value,
}


def run(
    store: str, threads: int | None, dask: str | None, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Sweep, and give what there is now."""
    from . import sweep

    if dask is None:
        dataset = sweep(store=store, threads=threads, **arguments)
    else:
        from .sweep_extra import require

        require("distributed")
        from distributed import Client

        with Client(dask, timeout="10s") as client:  # type: ignore[no-untyped-call]
            dataset = sweep(store=store, threads=threads, executor=client, **arguments)
    return {
        "store": store,
        "axes": dict(dataset["trials"].sizes),
        "cells": int(dataset["trials"].size),
        "trials": int(dataset["trials"].max()),
        "layers": int(dataset.sizes["layer"]),
    }


def told(done: Mapping[str, Any]) -> str:
    """What `run` found, in two lines."""
    sizes = " x ".join(f"{name} {size}" for name, size in done["axes"].items())
    return (
        f"{done['cells']} cells ({sizes or 'no axes'}), {done['trials']} networks each, "
        f"{done['layers']} layers\nxarray.open_zarr({done['store']!r}) opens it"
    )
