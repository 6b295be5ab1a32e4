"""``varprop gain`` and ``varprop critical``: how to initialise, and why."""

from __future__ import annotations

from typing import Any

import click

from .command_output import form_options, put
from .options import complete_activation


@click.command(short_help="Say how to initialise for an activation.")
@click.argument("act", shell_complete=complete_activation)
@click.option(
    "--depth", type=click.IntRange(min=1), default=100, show_default=True,
    help="Depth to look ahead to.",
)  # fmt: skip
@form_options
def gain(act: str, depth: int, form: str | None) -> None:
    """Say what to write in PyTorch, Keras and JAX for the activation ACT, and why.

    ACT is a name, leaky_relu(0.2), or a formula in x. Below stand the gains that
    others use, and what becomes of a deep network with them:

    \b
      unit variance  keeps K = 1, of a layer that has it
      normalised     makes the variance of activations over units 1, if K = 1
      Kumar          is for K near 0, where only the slope there counts
      NF-nets gamma  is "normalised", estimated from samples
      the others     are what functions and laws of these names use

    \b
    Examples:
      varprop gain gelu
      varprop gain silu --depth 1000
      varprop gain "x*tanh(x)" --json
    """
    from .recipe import recipe

    found = recipe(act, depth)
    put(form, lambda: str(found), found.to_dict, found.gains)


@click.command(short_help="Find the critical point of an activation.")
@click.argument("act", shell_complete=complete_activation)
@click.option("--sigma-b", type=float, help="The edge of chaos at these biases.")
@form_options
def critical(act: str, sigma_b: float | None, form: str | None) -> None:
    """Find the weights and biases at which neither signal nor gradient fades.

    ACT is a name, leaky_relu(0.2), or a formula in x. Without --sigma-b it is the
    activation's own point; with it, the edge of chaos at these biases.

    \b
    Examples:
      varprop critical gelu
      varprop critical tanh --sigma-b 0.3
    """
    from . import theory

    point = theory.critical(act, sigma_b)
    facts: dict[str, Any] = {
        "act": str(point.act),
        "kind": point.kind,
        "sigma_w": point.sigma_w,
        "sigma_b": point.sigma_b,
        "variance": point.variance,
        "approach_of_variance": None if point.rate is None else str(point.rate.variance),
        "approach_of_correlation": None if point.rate is None else str(point.rate.correlation),
        "because": point.because,
    }

    def text() -> str:
        if point.sigma_w is None:
            return str(point)
        try:
            here = theory.fixed_point(act, sigma_w=point.sigma_w, sigma_b=point.sigma_b or 0.0)
        except theory.NoFixedPoint:  # which the point itself says
            return str(point)
        return f"{point}\n\nwhere depth leads from an input of mean square 1:\n{here}"

    put(form, text, lambda: facts, lambda: [facts])
