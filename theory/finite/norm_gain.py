"""Gains that keep the mean logarithm of a norm, and not its mean, from layer to layer."""

from __future__ import annotations

import math

from varprop.activation import Activation
from varprop.network import MAX_WIDTH

from .two_slope import TwoSlope

__all__ = ["log_norm_gain", "sussillo_abbott_fit"]


def _checked_width(width: int) -> int:
    if isinstance(width, bool) or not hasattr(width, "__index__"):
        raise TypeError(f"width must be an int, not {width!r}")
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"width must be from 1 to {MAX_WIDTH}, got {width}")
    return int(width)


def log_norm_gain(width: int, act: str | Activation = "relu") -> float:
    """The sigma_w at which E ln(a^l/a^(l-1)) = 0 for living layers of n units.

    At sigma_w^2 = 1/E phi(g)^2 (He's 2 for ReLU) the mean square is kept on average, but its
    logarithm falls by about 5/(2n) a layer; exactly, this gain is larger by exp(-m/2), m the mean
    logarithm of one step. Sussillo and Abbott, arXiv 1412.6558, who fit it by simulation.

    Parameters
    ----------
    width : int
        Units n, 1 to 2^30.
    act : str or Activation
        Two slopes (linear, relu, leaky_relu, abs). Default "relu".

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For a width out of range or any other activation.

    Examples
    --------
    >>> round(log_norm_gain(100), 9), round(log_norm_gain(100) / 2**0.5, 9)
    (1.432303565, 1.012791564)
    """
    slopes = TwoSlope.of(act)
    mean = float(slopes.log_moments(_checked_width(width))[0])
    return math.exp(-mean / 2) / math.sqrt(slopes.scale)


def sussillo_abbott_fit(width: int) -> float:
    """The published fit to that gain for ReLU, sqrt(2) exp(1.2/(max(n, 6) - 2.4)).

    Sussillo and Abbott, arXiv 1412.6558. `log_norm_gain` is the exact value.

    Parameters, Raises
        As for `log_norm_gain`.

    Examples
    --------
    >>> round(sussillo_abbott_fit(100), 9)
    1.431708766
    """
    return math.sqrt(2.0) * math.exp(1.2 / (max(_checked_width(width), 6) - 2.4))
