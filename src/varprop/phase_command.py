"""``varprop phase``: its options, and what is made of a diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .sweep_command import Command, Numbers

if TYPE_CHECKING:
    from .phase import PhaseDiagram


def phase_options(command: Command) -> Command:
    """Add the options of a phase diagram."""
    real = Numbers(float)
    for option in reversed(
        (
            click.option("--act", default="tanh", show_default=True, help="Activation."),
            click.option("--sigma-w", type=real, default="0.5:3:26", show_default=True,
                         help="Ascending; first, last, how many."),
            click.option("--sigma-b", type=real, default="0:1:11", show_default=True,
                         help="The same."),
            click.option("--depth", type=int, default=50, show_default=True, help="Layers."),
            click.option("--width", type=int, default=1000, show_default=True, help="Units."),
            click.option("--correlation", type=float, default=0.5, show_default=True,
                         help="Cosine of the two inputs."),
            click.option("--trials", type=click.IntRange(min=2), default=16, show_default=True,
                         help="Networks that every cell gets first."),
            click.option("--stderr", type=float, default=0.005, show_default=True,
                         help="Standard error of the growth per layer to reach."),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                         help="Seed."),
            click.option("--threads", type=int, help="Threads.  [default: all cores]"),
            click.option("-o", "--output", type=click.Path(dir_okay=False), required=True,
                         help="Figure (.png, .svg, .pdf)."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def draw_phases(output: str, options: dict[str, Any]) -> PhaseDiagram:
    """Measure and draw."""
    from . import phase_diagram
    from .figure import save_figure

    for name in ("sigma_w", "sigma_b"):
        options[name] = np.atleast_1d(options[name])
    diagram = phase_diagram(**options)
    save_figure(diagram.plot(), output)
    return diagram


def edge_table(diagram: PhaseDiagram) -> str:
    """Where growth is 0 at this depth, measured and by theory, and theory's edge of chaos."""
    from .text import text_table

    body = [
        ["none" if value is None else f"{value:.4g}" for value in row.values()]
        for row in _edges(diagram)
    ]
    at_depth = f"theory, depth {diagram.depth}"
    return text_table(["sigma_b", "edge: sigma_w", "+-", at_depth, "edge of chaos"], body)


def phase_document(diagram: PhaseDiagram) -> dict[str, Any]:
    """Everything in a diagram, for JSON."""
    found: dict[str, Any] = {
        name: getattr(diagram, name)
        for name in ("act", "depth", "width", "seed", "input_correlation")
    }
    arrays = ("sigma_w", "sigma_b", *_CELLS)
    return (
        found
        | {name: getattr(diagram, name).tolist() for name in arrays}
        | {"edge": _edges(diagram)}
    )


def phase_records(diagram: PhaseDiagram) -> list[dict[str, Any]]:
    """A row for each cell, for CSV."""
    return [
        {"sigma_b": sigma_b, "sigma_w": sigma_w}
        | {name: getattr(diagram, name)[row, column].item() for name in _CELLS}
        for row, sigma_b in enumerate(diagram.sigma_b.tolist())
        for column, sigma_w in enumerate(diagram.sigma_w.tolist())
    ]


_CELLS = (
    "growth", "growth_stderr", "predicted_growth", "correlation", "correlation_stderr",
    "log_variance", "log_variance_stderr", "trials",
)  # fmt: skip


def _edges(diagram: PhaseDiagram) -> list[dict[str, float | None]]:
    """For each sigma_b the edge, its error and theory's; None where growth has one sign."""
    from .phase_edge import edge_at_depth
    from .phase_theory import edge_of_chaos

    names = ("sigma_b", "sigma_w", "stderr", "predicted", "edge_of_chaos")
    theory = edge_at_depth(diagram), edge_of_chaos(diagram)
    columns = (diagram.sigma_b, *diagram.edge(), *theory)
    return [
        {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(names, row, strict=True)
        }
        for row in zip(*columns, strict=True)
    ]
