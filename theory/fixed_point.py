"""The fixed point of a network's recursion: variance, correlation, depth scales and phase."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from varprop.activation import Activation

from .fixed_correlation import NEAR_ONE, chi1_at, fixed_correlation
from .flow import Rest, VarianceFlow

__all__ = ["FixedPoint", "NoFixedPoint", "fixed_point"]

_SMALLEST, _LARGEST = 1e-150, 1e150


class NoFixedPoint(ValueError):
    """The variance of an input of mean square 1 grows for ever.

    Attributes
    ----------
    growth : str
        How fast, as in "by a factor that tends to 2 per layer".
    others : tuple of Rest
        The fixed points that exist, but are not reached from there.
    """

    def __init__(self, message: str, growth: str, others: tuple[Rest, ...]) -> None:
        super().__init__(message)
        self.growth, self.others = growth, others


def _scale(chi: float) -> float:
    """-1/ln|chi|, the layers in which a departure falls by e; negative where it grows."""
    if abs(abs(chi) - 1) <= NEAR_ONE:
        return math.inf
    return -1 / math.log(abs(chi)) if chi else 0.0


@dataclass(frozen=True)
class FixedPoint:
    """Where depth leads: the fixed point that an input of mean square 1 comes to.

    Attributes
    ----------
    act : Activation
    sigma_w, sigma_b : float
        Standard deviations.
    variance : float
        K*. Where every variance is kept, that of the first layer for an input of mean square 1.
    stability : str
        "stable", "half-stable" or "neutral" (every variance is kept).
    chi_k : float
        sigma_w^2 Q'(K*), the slope of the variance map.
    chi1 : float or None
        sigma_w^2 V(K*), the growth of a squared gradient per layer and the slope of the
        correlation map at c = 1; None for an activation that jumps, where it is infinite.
    correlation : float or None
        c*, the correlation that two inputs at K* come to; None where it depends on the inputs,
        and `notes` says why.
    correlation_slope : float or None
        Slope of the correlation map at c*.
    others : tuple of Rest
        The other fixed points of the variance, with ``variance``, ``chi_k`` and ``stability``.
    notes : tuple of str
        What has to be said about this point.

    Examples
    --------
    >>> point = fixed_point("relu", sigma_w=1.0, sigma_b=1.0)
    >>> point.variance, point.phase, round(point.xi_g, 6)
    (2.0, 'ordered', 1.442695)
    """

    act: Activation
    sigma_w: float
    sigma_b: float
    variance: float
    stability: str
    chi_k: float
    chi1: float | None
    correlation: float | None
    correlation_slope: float | None
    others: tuple[Rest, ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)

    @property
    def phase(self) -> str:
        """ "ordered" (chi_1 < 1), "critical" (|chi_1 - 1| <= 1e-9) or "chaotic"."""
        if self.chi1 is None or self.chi1 > 1 + NEAR_ONE:
            return "chaotic"
        return "ordered" if self.chi1 < 1 - NEAR_ONE else "critical"

    @property
    def xi_k(self) -> float:
        """Depth scale of the variance, -1/ln|chi_K|; inf at chi_K = 1."""
        return _scale(self.chi_k)

    @property
    def xi_c(self) -> float | None:
        """Depth scale of the correlation, -1/ln of the correlation map's slope at c*."""
        slope = self.correlation_slope
        return None if slope is None else _scale(slope)

    @property
    def xi_g(self) -> float | None:
        """Depth scale of the squared gradient, -1/ln chi_1; negative where gradients grow."""
        return None if self.chi1 is None else _scale(self.chi1)

    def __str__(self) -> str:
        def shown(value: float | None) -> str:
            return "none" if value is None else f"{value:.8g}"

        lines = [
            f"{self.act}, sigma_w = {self.sigma_w:.8g}, sigma_b = {self.sigma_b:.8g}: {self.phase}",
            f"K* = {shown(self.variance)} ({self.stability}), c* = {shown(self.correlation)}",
            f"chi_1 = {shown(self.chi1)}, chi_K = {shown(self.chi_k)}",
            f"xi_K = {shown(self.xi_k)}, xi_c = {shown(self.xi_c)}, xi_g = {shown(self.xi_g)}",
        ]
        lines += [f"also K = {r.variance:.8g} ({r.stability})" for r in self.others]
        return "\n".join([*lines, *self.notes])


def fixed_point(act: Any, *, sigma_w: float, sigma_b: float = 0.0) -> FixedPoint:
    """The fixed point of K -> sigma_b^2 + sigma_w^2 Q(K), and what happens around it.

    Of several fixed points it is the one that an input of mean square 1 comes to, which begins
    at K = sigma_b^2 + sigma_w^2. The others are listed beside it.

    Parameters
    ----------
    act : str, Activation or pair of callables
        See `Activation.parse`.
    sigma_w : float
        sqrt(fan_in Var W), 1e-150 to 1e150.
    sigma_b : float
        Standard deviation of the biases, 0 (default) or 1e-150 to 1e150.

    Returns
    -------
    FixedPoint

    Raises
    ------
    NoFixedPoint
        A ValueError: where that input's variance grows for ever, and how fast.
    ValueError
        For an unknown activation or a number out of range.
    OverflowError
        If a fixed point is beyond float64.

    Notes
    -----
    All fixed points are found: the excess ln K' - ln K is followed on a fine grid in ln K, and its
    extrema are located, so a double (half-stable) point isn't missed (Poole et al., arXiv
    1606.05340; Schoenholz et al., arXiv 1611.01232; Roberts et al., arXiv 2106.10165).

    Examples
    --------
    >>> point = fixed_point("tanh", sigma_w=1.5)
    >>> point.phase, round(point.variance, 9), point.correlation
    ('chaotic', 0.793354043, 0.0)
    >>> [(rest.variance, rest.stability) for rest in point.others]
    [(0.0, 'unstable')]
    """
    activation = Activation.parse(act)
    weights = _checked("sigma_w", sigma_w, "")
    biases = _checked("sigma_b", sigma_b, "0 or ")
    flow = VarianceFlow(activation, weights, biases)
    reached = flow.reached(float(np.logaddexp(flow.log_weight, flow.log_bias)))
    if reached is None:
        raise _growing(flow)
    at = flow.sharpened(reached)
    angle = fixed_correlation(activation, weights, biases, at.variance)
    chi1 = chi1_at(activation, weights, at.variance)
    return FixedPoint(
        activation,
        weights,
        biases,
        at.variance,
        at.stability,
        at.chi_k,
        chi1,
        angle.value,
        angle.slope,
        tuple(flow.sharpened(rest) for rest in flow.rests if rest is not reached),
        tuple(_notes(flow, at, chi1, angle.note)),
    )


def _checked(name: str, value: Any, zero: str) -> float:
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number:
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not (zero and value == 0) and not _SMALLEST <= value <= _LARGEST:
        raise ValueError(f"{name} must be {zero}from {_SMALLEST:g} to {_LARGEST:g}, got {value!r}")
    return float(value)


def _growing(flow: VarianceFlow) -> NoFixedPoint:
    known = ", ".join(f"{r.variance:.6g} ({r.stability})" for r in flow.rests)
    growth = flow.growth()
    message = (
        f"{flow.act} with sigma_w = {flow.sigma_w:.8g}, sigma_b = {flow.sigma_b:.8g} has no fixed "
        f"point that an input of mean square 1 comes to: its variance grows without bound, {growth}"
        + (f"; there are fixed points at K = {known}" if known else "")
    )
    return NoFixedPoint(message, growth, flow.rests)


def _notes(flow: VarianceFlow, at: Rest, chi1: float | None, about_angle: str) -> list[str]:
    notes = []
    if at.stability == "neutral":
        notes.append("every K is a fixed point; this one is that of an input of mean square 1")
    if at.stability == "half-stable":
        notes.append("chi_K = 1: K* attracts from one side only, and as slowly as 1/l")
    if at.variance == 0 and abs(at.chi_k - 1) <= NEAR_ONE:
        notes.append("chi_K = 1 at K* = 0: the variance falls to 0 slower than any exponential")
    if chi1 is None:
        notes.append("phi jumps, so E phi'^2 and chi_1 are infinite: near inputs are driven apart")
    return notes + ([about_angle] if about_angle else [])
