"""The variance map of a layer, the diagonal, and the way of a signal between the two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import BLACK, BLUE, GREY, VERMILION, new_figure
from .text import format_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .statistic import FloatArray

_STEPS = 40


def variance_map(
    act: Any, ax: Axes | None = None, *, sigma_w: float | None = None, sigma_b: float = 0.0
) -> Axes:
    """Draw K of a layer over K of the layer below, and a cobweb from layer to layer.

    The curve is sigma_b^2 + sigma_w^2 Q(K), with Q the variance map of the activation; where it
    meets the diagonal a variance is kept. Cobwebs begin on both sides of the fixed point.

    Parameters
    ----------
    act : str, Activation or pair of callables
        See `Activation.parse`.
    ax : Axes, optional
        Where to draw. Default: a new figure.
    sigma_w : float, optional
        sqrt(fan_in Var W). Default: the gain that keeps a variance of 1, `varprop.theory.gain`.
    sigma_b : float, default 0
        Standard deviation of the biases.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown activation, or a number out of range.

    Examples
    --------
    >>> ax = variance_map("tanh", sigma_w=1.5)
    >>> ax.get_ylabel()
    '$K$ of the next layer'
    """
    from . import theory

    if sigma_w is None:
        sigma_w = theory.gain(act).gain
    try:
        point: theory.FixedPoint | None = theory.fixed_point(act, sigma_w=sigma_w, sigma_b=sigma_b)
        others = () if point is None else point.others
    except theory.NoFixedPoint as error:
        point, others = None, error.others
    square = theory.variance_map(act)

    def onward(variance: FloatArray | float) -> FloatArray:
        k = np.asarray(variance, dtype=np.float64)
        return sigma_b**2 + sigma_w**2 * np.asarray(square(k))

    fixed: list[Any] = [*others, *([point] if point is not None else [])]
    neutral = point is not None and point.stability == "neutral"
    # What comes last is where the signal goes, or else the largest that repels.
    about = [rest for rest in fixed if rest.variance > 0]
    scale = about[-1].variance if about else sigma_b**2 + sigma_w**2
    repels = bool(about) and about[-1].stability == "unstable"
    starts = [scale * factor for factor in ((0.8, 1.25) if repels else (0.08, 2.5))]
    top = 2.8 * scale
    ax = new_figure(5.4).subplots() if ax is None else ax
    k = np.linspace(0, top, 400)
    ax.plot([0, top], [0, top], color=GREY, linewidth=1.1, linestyle=(0, (5, 2.5)),
            label="every variance is kept" if neutral else "a variance is kept")  # fmt: skip
    ax.plot(k, onward(k), color=BLUE, linewidth=2.4, label=_formula(sigma_b))
    for start, label in zip(starts, ("layer by layer", None), strict=True):
        x, y = _cobweb(onward, start, top)
        ax.plot(x, y, color=VERMILION, linewidth=1.1, label=label, zorder=2.5)
        ax.plot(x[:1], y[:1], "o", color=VERMILION, markersize=4.5, zorder=3)
    for rest in () if neutral else fixed:
        solid = rest.stability == "stable"
        ax.plot(
            [rest.variance], [rest.variance], "o", markersize=9, zorder=3.5, clip_on=False,
            markerfacecolor=BLACK if solid else "white", markeredgecolor=BLACK, linestyle="none",
            label=f"K* = {_short(rest.variance)}, {rest.stability}",
        )  # fmt: skip
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    ax.set_aspect("equal")
    ax.set_xlabel("$K$ of a layer", fontsize=12)
    ax.set_ylabel("$K$ of the next layer", fontsize=12)
    ax.tick_params(labelsize=10.5, color=GREY)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    bias = f", $\\sigma_b$ = {sigma_b:.4g}" if sigma_b else ""
    name = square.act
    ax.set_title(f"{name}, $\\sigma_w$ = {sigma_w:.4g}{bias}", loc="left", fontsize=12)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=10.5)
    return ax


def _short(variance: float) -> str:
    return format_log(math.log(variance) if variance else -math.inf)


def _formula(sigma_b: float) -> str:
    return (r"$\sigma_b^2 + $" if sigma_b else "") + r"$\sigma_w^2\, Q(K)$"


def _cobweb(onward: Any, start: float, top: float) -> tuple[list[float], list[float]]:
    """Up to the curve, across to the diagonal, and so on, while it stays in the figure."""
    x, y = [start], [start]
    for _ in range(_STEPS):
        reached = float(onward(x[-1]))
        x += [x[-1], reached]
        y += [reached, reached]
        if reached > 2 * top:
            break
    return x, y
