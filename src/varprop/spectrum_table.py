"""A measured spectrum as text."""

from __future__ import annotations

import numpy as np

from .jacobian_spectrum import JacobianSpectrum
from .merge import describe_ranges
from .table import describe_network
from .text import format_log, format_share, text_table, wrapped


def table(spectrum: JacobianSpectrum) -> str:
    """Singular values by depth: quantiles over networks and units, and how many count.

    Examples
    --------
    >>> import varprop
    >>> s = varprop.spectrum(depth=2, width=9, act="linear", scheme="orthogonal", trials=3)
    >>> print(table(s))
    Singular values of dz/dx: depth 2, width 9, linear, orthogonal
    trials 0-2, seed 0
    <BLANKLINE>
    depth  largest  median  smallest  zero %  particip.  +-  eff. rank  +-
    ------ -------- ------- --------- ------- ---------- --- ---------- --
        1     1.00    1.00      1.00       0      1.000   0      1.000   0
        2     1.00    1.00      1.00       0      1.000   0      1.000   0
    <BLANKLINE>
    largest, median, smallest: medians over networks. participation (tr M)²/(n_0 tr
      M²), M = J Jᵀ, and effective rank e^entropy/n_0: means over networks, +-
      standard errors.
    """
    participation, rank, zero = spectrum.participation, spectrum.effective_rank, spectrum.zero
    body = []
    for at, depth in enumerate(spectrum.depths):
        logs = spectrum.at(depth)
        middle = np.sort(logs, axis=1)[:, logs.shape[1] // 2]
        body.append(
            [
                str(depth),
                *(format_log(_median(v)) for v in (logs[:, 0], middle, logs[:, -1])),
                format_share(float(zero.mean[at])),
                f"{participation.mean[at]:.3f}" if participation.mean[at] > 0.01
                else f"{participation.mean[at]:.2g}",
                _error(participation.stderr[at]),
                f"{rank.mean[at]:.3f}" if rank.mean[at] > 0.01 else f"{rank.mean[at]:.2g}",
                _error(rank.stderr[at]),
            ]
        )  # fmt: skip
    heads = [
        "depth", "largest", "median", "smallest", "zero %", "particip.", "+-", "eff. rank", "+-",
    ]  # fmt: skip
    note = (
        "largest, median, smallest: medians over networks. participation (tr M)²/(n_0 tr M²), "
        "M = J Jᵀ, and effective rank e^entropy/n_0: means over networks, +- standard errors."
    )
    head = wrapped(f"Singular values of dz/dx: {describe_network(spectrum.network)}", "  ")
    run = f"{describe_ranges(spectrum.ranges)}, seed {spectrum.seed}"
    return "\n\n".join([f"{head}\n{run}", text_table(heads, body), wrapped(note, "  ")])


def _median(logs: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The lower median, which may be -inf."""
    return float(np.sort(logs)[(len(logs) - 1) // 2])


def _error(stderr: float) -> str:
    return "-" if np.isnan(stderr) else f"{stderr:.1g}" if stderr > 1e-9 else "0"
