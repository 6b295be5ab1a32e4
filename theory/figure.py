"""Figures as pure data: curves of the theory, and what a simulation would put over them.

The theory neither draws nor simulates. Who can do both is handed a `Figure`, runs the networks
that its overlays name, and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from varprop.network import Network

__all__ = ["Curve", "Figure", "Overlay"]

_STATISTICS = ("variance", "preactivation", "activation")
_SCALES = ("linear", "log")


@dataclass(frozen=True)
class Curve:
    """A line of a figure.

    Parameters
    ----------
    label : str
        What it is, for the legend (LaTeX between ``$``).
    x, y : tuple of float
        Finite, equally many.

    Examples
    --------
    >>> Curve.of("$K/2$", [1.0, 2.0], [0.5, 1.0]).y
    (0.5, 1.0)
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not np.all(np.isfinite([self.x, self.y])):
            raise ValueError(f"curve {self.label!r} needs as many finite x as y")

    @classmethod
    def of(cls, label: str, x: ArrayLike, y: ArrayLike) -> Curve:
        """A curve of two arrays."""
        return cls(label, *(tuple(np.asarray(t, dtype=float).tolist()) for t in (x, y)))


@dataclass(frozen=True)
class Overlay:
    """What a simulation would put over the curves: means over trials, with standard errors.

    Parameters
    ----------
    label : str
        For the legend.
    networks : tuple of Network
        What to simulate: one network, whose layers 1, 2, ... are the x; or one for each of `at`,
        of which the last layer counts.
    at : tuple of float
        The x of each network.
    statistic : {"variance", "preactivation", "activation"}
        What to average over the trials.
    trials : int
        Networks to draw; choose them such that a figure costs less than a second.

    Examples
    --------
    >>> Overlay("width 300", (Network(20, width=300, act="relu"),)).statistic
    'preactivation'
    """

    label: str
    networks: tuple[Network, ...]
    at: tuple[float, ...] = ()
    statistic: str = "preactivation"
    trials: int = 100

    def __post_init__(self) -> None:
        if len(self.networks) != max(1, len(self.at)):
            raise ValueError(f"overlay {self.label!r} needs one network, or one for each x")
        if self.statistic not in _STATISTICS:
            raise ValueError(f"statistic must be one of {_STATISTICS}, not {self.statistic!r}")


@dataclass(frozen=True)
class Figure:
    """A figure: curves, overlays, axes and a caption.

    Parameters
    ----------
    name : str
        Short, unique within a derivation, fit for a file name.
    caption : str
        What one sees (Markdown).
    x_label, y_label : str
        Axis labels (LaTeX between ``$``).
    curves : sequence of Curve
        At most six.
    overlays : sequence of Overlay
        What a simulation would add.
    x_scale, y_scale : {"linear", "log"}
        Axis scales.

    Examples
    --------
    >>> line = Curve.of("$K/2$", [1.0, 2.0], [0.5, 1.0])
    >>> Figure("map", "The map of ReLU.", "$K$", "$Q(K)$", (line,)).x_scale
    'linear'
    """

    name: str
    caption: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    overlays: Sequence[Overlay] = ()
    x_scale: str = "linear"
    y_scale: str = "linear"

    def __post_init__(self) -> None:
        for scale, axis in ((self.x_scale, "x"), (self.y_scale, "y")):
            if scale not in _SCALES:
                raise ValueError(f"a scale must be linear or log, not {scale!r}")
            if scale == "log" and any(min(getattr(c, axis)) <= 0 for c in self.curves):
                raise ValueError(f"figure {self.name!r}: a log scale needs values above 0")
