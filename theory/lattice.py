"""E h(u, v) over a correlated Gaussian pair of one variance, by sums over a lattice.

For an integrand that is analytic in a strip the trapezoidal rule errs by exp(-2 pi d/step), so
with half the step by the square of what it did: the difference of the two says how good the finer
one is. It needs a tenth of the points of `pairquad`, which is asked where this is not good.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

__all__ = ["analytic", "lattice_mean"]

Array = NDArray[np.float64]

_STEP = 0.25  # standard deviations, or scales of phi
_FINER = 0.7  # the step of the next try, as a part of the last
_TRIES = 4
_MOST = 40_000  # points; beyond it panels are as quick
_AGREE = 1e-9  # so far may the two sums differ; its square leaves room for chance agreement


def analytic(act: Activation) -> bool:
    """Whether phi is given by a formula without corners, jumps and waves.

    Examples
    --------
    >>> analytic(Activation.parse("tanh")), analytic(Activation.parse("softsign"))
    (True, False)
    """
    return not (act.formula is None or act.kinks or act.jumps or act.oscillates)


def lattice_mean(
    function: Callable[[Array, Array], Array], scale: float, tilt: float, length: float,
    reach: float, whole: float,
) -> float | None:  # fmt: skip
    """E h(u, v) for standard deviations `scale` and an angle; None where it is not good to 1e-13.

    Parameters
    ----------
    function : callable
        h of arrays, with h(u, v) = h(v, u).
    scale, tilt : float
        Standard deviation of u and v, and the angle between them, see `angle`.
    length : float
        The length over which h varies.
    reach : float
        Standard deviations beyond which nothing is left.
    whole : float
        What the error is relative to, where it is above |E h|.

    Examples
    --------
    >>> found = lattice_mean(lambda u, v: np.cos(u) * np.cos(v), 1.0, 0.0, 1.0, 9.0, 1.0)
    >>> abs(found - math.exp(-1)) < 1e-13
    True
    """
    away = 1 / math.sqrt(1 + math.exp(-tilt))  # sin and cos of half the angle
    along = 1 / math.sqrt(1 + math.exp(tilt))
    steps = [_STEP / max(1.0, scale * part / length) for part in (along, away)]
    for _ in range(_TRIES):
        counts = [2 * math.ceil(reach / step / 2) for step in steps]
        if 2 * counts[0] * counts[1] > _MOST:
            return None
        x = steps[0] * np.arange(-counts[0], counts[0] + 1)
        y = steps[1] * np.arange(counts[1] + 1)
        sides = np.where(np.arange(len(y)) == 0, 1.0, 2.0)  # h is the same for y and -y
        u = scale * (along * x[:, None] + away * y)
        v = scale * (along * x[:, None] - away * y)
        heights = np.exp(-x * x / 2)[:, None] * function(u, v) * (sides * np.exp(-y * y / 2))
        cell = steps[0] * steps[1] / (2 * math.pi)
        fine, coarse = cell * float(heights.sum()), 4 * cell * float(heights[::2, ::2].sum())
        if abs(fine - coarse) <= _AGREE * max(abs(fine), whole):
            return fine
        steps = [step * _FINER for step in steps]
    return None
