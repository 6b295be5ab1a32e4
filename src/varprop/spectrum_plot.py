"""Figures of singular values: their density, and how many directions a deep network keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .figure import BLACK, BLUE, GREY, SKY, VERMILION, dress, legend, new_figure, require_result
from .jacobian_spectrum import JacobianSpectrum
from .network import Network
from .table import describe_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .statistic import FloatArray
    from .theory.spectrum import Spectrum

_MOST_LOG = 690.0  # singular values beyond are shown as logarithms
_WIDE = 4.0  # so many e-folds between their 10% and 90% quantiles: too many for a plain axis
_CASES = (  # label, activation, scheme, colour, marker
    ("linear, orthogonal", "linear", "orthogonal", BLACK, "o"),
    ("tanh, orthogonal", "tanh", "orthogonal", VERMILION, "o"),
    ("ReLU, orthogonal", "relu", "orthogonal(1.4142135623730951)", BLUE, "o"),
    ("linear, Gaussian", "linear", "lecun", BLACK, "s"),
    ("tanh, Gaussian", "tanh", "lecun", VERMILION, "s"),
    ("ReLU, Gaussian", "relu", "he", BLUE, "s"),
)


def spectrum(
    measured: JacobianSpectrum, ax: Axes | None = None, *, depth: int | None = None
) -> Axes:
    """Draw a histogram of singular values, with theory's density of large width where there is one.

    Of singular values beyond e^690, or spread over more than e^4, the histogram of ln.

    Parameters
    ----------
    measured : JacobianSpectrum
        From `varprop.spectrum`.
    ax : Axes, optional
        Where to draw. Default: a new figure.
    depth : int, optional
        Which of the layers that were looked at. Default: the last.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For a layer that was not looked at, or when all its singular values are 0.

    Examples
    --------
    >>> import varprop
    >>> s = varprop.spectrum(depth=2, width=50, act="linear", scheme="lecun", trials=5)
    >>> spectrum(s).get_xlabel()
    'singular value of $\\\\partial z/\\\\partial x$'
    """
    from .spectrum_compare import limits_of

    require_result(measured, JacobianSpectrum)
    chosen = measured.depths[-1] if depth is None else depth
    logs = measured.at(chosen)
    live = logs[np.isfinite(logs)]
    if live.size == 0:
        raise ValueError(f"all singular values at depth {chosen} are 0: there is nothing to draw")
    logarithmic = bool(np.quantile(live, 0.9) - np.quantile(live, 0.1) > _WIDE)
    logarithmic |= bool(np.abs(live).max() > _MOST_LOG)
    ax = new_figure().subplots() if ax is None else ax
    heights, edges = measured.density(chosen, 50, logarithmic)
    label = f"{measured.trials} networks" if measured.trials > 1 else "one network"
    ax.stairs(heights, edges, fill=True, color=SKY, alpha=0.5, label=label)
    if measured.trials > 1:
        error = _stderr(logs if logarithmic else np.exp(logs), edges)
        ax.errorbar(
            (edges[1:] + edges[:-1]) / 2, heights, error, fmt="none", ecolor=BLUE, elinewidth=1.1,
            label="standard error",
        )  # fmt: skip
    right = float(edges[-1])
    limits = limits_of(measured)
    if limits is not None:
        limit = limits[measured.depths.index(chosen)]
        if limit.log_edge < 2 * _MOST_LOG:
            edge = limit.log_edge / 2 if logarithmic else np.exp(limit.log_edge / 2)
            right = max(right, edge)
        _draw_theory(ax, limit, edges[0], right, logarithmic, heights.max())
    zero = float(np.isneginf(logs).mean())
    dress(ax, 1, "density")
    ax.set_xlabel(
        r"ln of singular value of $\partial z/\partial x$" if logarithmic
        else r"singular value of $\partial z/\partial x$",
        fontsize=12,
    )  # fmt: skip
    from matplotlib.ticker import AutoLocator

    ax.xaxis.set_major_locator(AutoLocator())
    ax.set_xlim(edges[0], right + 0.02 * (right - edges[0]))
    ax.set_ylim(0, None)
    title = f"{describe_network(measured.network)}: layer {chosen}"
    if zero:
        title += f"  ({100 * zero:.3g}% are 0)"
    ax.set_title(title, loc="left", fontsize=12, color=BLACK, wrap=True)
    legend(ax, loc="best")
    return ax


def _stderr(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Standard error of the density: networks are independent, singular values of one are not."""
    each = np.array([np.histogram(row, edges)[0] for row in values])
    density = each / values.shape[1] / np.diff(edges)
    error: FloatArray = density.std(axis=0, ddof=1) / np.sqrt(len(values))
    return error


def _draw_theory(
    ax: Axes, limit: Spectrum, left: float, right: float, logarithmic: bool, highest: float
) -> None:
    for value, share in limit.atoms:
        if value > 0:
            at = np.log(value) / 2 if logarithmic else np.sqrt(value)
            label = f"theory: {100 * share:.3g}% here"
            ax.axvline(at, color=BLACK, linewidth=1.6, linestyle=(0, (5, 2.5)), label=label)
    points = np.linspace(left, max(right, left + 1e-9), 402)[1:-1]
    s = np.exp(points) if logarithmic else points
    try:
        density = limit.singular_density(s)
    except ValueError:  # where singular values are slopes themselves, or too near 0 to resolve
        return
    if not density.any():
        return
    density = density * s if logarithmic else density
    density = np.where(density > 0, density, np.nan)
    label = "theory, large width"
    ax.plot(points, density, color=BLACK, linewidth=1.6, linestyle=(0, (5, 2.5)), label=label)
    ax.set_ylim(0, min(float(np.nanmax(density)), 1.6 * highest) * 1.05)


def degrees_of_freedom(
    depths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    width: int = 200,
    trials: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many directions of its input a deep network keeps, by weights and activation.

    Participation ratios of ∂z^l/∂x, theory's lines of large width under simulated points.

    Parameters
    ----------
    depths : sequence of int
    width, trials : int
        Of the simulated networks.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes
    """
    from . import singular
    from .spectrum_compare import limits_of

    ax = new_figure(5.4).subplots() if ax is None else ax
    for label, act, scheme, colour, shape in _CASES:
        network = Network(max(depths), width=width, act=act, scheme=scheme)
        measured = singular.spectrum(network, trials=trials, depths=depths)
        limits = limits_of(measured)
        assert limits is not None
        free = [limit.effective_rank for limit in limits]
        dash = "-" if shape == "o" else (0, (5, 2.5))
        ax.plot(measured.depths, free, color=colour, linestyle=dash, linewidth=1.6)
        share = measured.participation
        ax.errorbar(
            measured.depths, share.mean, share.stderr, color=colour, linestyle="", marker=shape,
            markersize=6, markerfacecolor=colour if shape == "o" else "white",
        )  # fmt: skip
        ax.plot(
            [], [], color=colour, linestyle=dash, marker=shape, label=label,
            markerfacecolor=colour if shape == "o" else "white",
        )  # fmt: skip
    dress(ax, max(depths), "participation ratio of $\\partial z^l/\\partial x$")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlim(min(depths) / 1.15, max(depths) * 1.15)
    from matplotlib.ticker import FixedLocator, ScalarFormatter

    for axis, ticks in ((ax.xaxis, list(depths)), (ax.yaxis, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1])):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(FixedLocator([]))
    ax.tick_params(color=GREY)
    ax.set_title(
        f"Directions that survive: theory of large width, and {trials} networks of width {width}",
        loc="left", fontsize=12,
    )  # fmt: skip
    legend(ax, loc="lower left")
    return ax
