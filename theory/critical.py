"""Critical initialisation: the weights and biases at which neither signal nor gradient fades."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from varprop.activation import Activation
from varprop.scheme import Scheme
from varprop.text import wrapped

from .edge import Edge, edge
from .fixed_correlation import NEAR_ONE
from .flow import VarianceFlow
from .rate import Rate, on_the_edge, scale_invariant, towards_zero

__all__ = ["Critical", "critical"]

_SMALLEST_BIAS, _LARGEST_BIAS = 1e-8, 1e6


@dataclass(frozen=True)
class Critical:
    """A critical point, or why there is none.

    Attributes
    ----------
    act : Activation
    kind : str
        "scale-invariant" (every variance is kept), "zero" (K* = 0, reached slowly), "half-stable"
        (chi_1 = chi_K = 1 at K* > 0), "edge only" (chi_1 = 1 at a stable K*, but chi_K < 1),
        or "none".
    sigma_w, sigma_b : float or None
        Standard deviations, None for "none".
    variance : float or None
        K*; where every variance is kept, that of the first layer for an input of mean square 1.
    rate : Rate or None
        How variance and correlation approach.
    because : str
        What has to be known about the kind; for "none", which criticality is missing and why.

    Examples
    --------
    >>> point = critical("relu")
    >>> point.kind, round(point.sigma_w**2, 12), point.sigma_b
    ('scale-invariant', 2.0, 0.0)
    """

    act: Activation
    kind: str
    sigma_w: float | None
    sigma_b: float | None
    variance: float | None
    rate: Rate | None = field(repr=False)
    because: str = field(repr=False)

    @property
    def scheme(self) -> Scheme:
        """Its weights, to simulate with: ``simulate(scheme=c.scheme, sigma_b=c.sigma_b, ...)``.

        Raises
        ------
        ValueError
            For the kind "none".
        """
        if self.sigma_w is None:
            raise ValueError(f"{self.act} has no critical point to simulate: {self.because}")
        return Scheme.from_sigma_w(self.sigma_w)

    def __str__(self) -> str:
        text = f"{self.act}: none, because {self.because}"
        if self.kind != "none":
            text = (
                f"{self.act}: {self.kind}, sigma_w = {self.sigma_w:.10g}, "
                f"sigma_b = {self.sigma_b:.10g}, K* = {self.variance:.10g}; {self.rate}. "
                f"{self.because}"
            )
        return wrapped(text, "  ")


def critical(act: Any, sigma_b: float | None = None) -> Critical:
    """The critical point of an activation, or its edge of chaos at given biases.

    Parameters
    ----------
    act : str, Activation or pair of callables
        See `Activation.parse`.
    sigma_b : float, optional
        Standard deviation of the biases, 0 or 1e-8 to 1e6: asks for the edge of chaos there,
        chi_1 = sigma_w^2 V(K*) = 1 at a stable K*. By default the activation's own point: for
        activations of degree 1 the one where every variance is kept; else K* = 0, if it attracts
        at chi = 1; else the K* > 0 with chi_1 = chi_K = 1; else the edge at sigma_b = 0.

    Returns
    -------
    Critical
        Of kind "none", with the reason, where there is none.

    Raises
    ------
    ValueError
        For an unknown activation, or sigma_b out of range.

    Notes
    -----
    Solved by K = sigma_b^2 + Q/V, sigma_w^2 = 1/V (Poole et al., arXiv 1606.05340; Schoenholz et
    al., arXiv 1611.01232). The points with chi_1 = chi_K = 1 are those of Roberts, Yaida and Hanin,
    The Principles of Deep Learning Theory (arXiv 2106.10165), section 5.3.

    Examples
    --------
    >>> point = critical("tanh", sigma_b=0.05**0.5)
    >>> point.kind, round(point.variance, 9), round(point.sigma_w**2, 9)
    ('edge only', 0.570047882, 1.76095464)
    """
    activation = Activation.parse(act)
    if sigma_b is not None:
        _check(sigma_b)
    if where := activation.jumps:
        return _none(
            activation,
            f"it jumps at x = {where[0]:g}: E phi'^2 is infinite, so no sigma_w makes chi_1 = 1",
        )
    if activation.max_slope == 0:
        return _none(activation, "it is constant: no gradient passes it")
    if activation.degree == 1:
        return _of_degree_one(activation, sigma_b)
    curve = edge(activation)
    if not sigma_b:
        point = _at_zero(curve)
        if point is not None:
            return point
    if sigma_b is None:
        inside = curve.half_stable()
        return _point(curve, inside[0]) if inside else _on_edge(curve, 0.0)
    return _on_edge(curve, float(sigma_b))


def _check(sigma_b: Any) -> None:
    good = isinstance(sigma_b, int | float | np.integer | np.floating)
    if isinstance(sigma_b, bool) or not good:
        raise TypeError(f"sigma_b must be a number or None, not {sigma_b!r}")
    if sigma_b != 0 and not _SMALLEST_BIAS <= sigma_b <= _LARGEST_BIAS:
        raise ValueError(
            f"sigma_b must be 0 or from {_SMALLEST_BIAS:g} to {_LARGEST_BIAS:g}, got {sigma_b!r}"
        )


def _none(act: Activation, because: str) -> Critical:
    return Critical(act, "none", None, None, None, None, because)


def _of_degree_one(act: Activation, sigma_b: float | None) -> Critical:
    sigma_w = edge(act).sigma_w(1.0)
    if sigma_b:
        return _none(
            act,
            "chi_1 = 1 needs the sigma_w that keeps every variance, and then each layer adds "
            f"sigma_b^2 = {sigma_b**2:.6g} to it: the edge of chaos has sigma_b = 0",
        )
    because = "Every K is a fixed point, with chi_1 = chi_K = 1."
    return Critical(act, "scale-invariant", sigma_w, 0.0, sigma_w**2, scale_invariant(act), because)


def _at_zero(curve: Edge) -> Critical | None:
    """K* = 0, where it attracts although chi = 1."""
    act = curve.act
    value, left, right = act.at_zero
    if value or not 0 < left**2 + right**2 < math.inf:
        return None
    sigma_w = math.sqrt(2 / (left**2 + right**2))
    rests = VarianceFlow(act, sigma_w, 0.0).rests
    if not (rests and rests[0].stable):
        return None
    because = "K* = 0 attracts with chi_1 = chi_K = 1."
    return Critical(act, "zero", sigma_w, 0.0, 0.0, towards_zero(act), because)


def _on_edge(curve: Edge, sigma_b: float) -> Critical:
    """The stable point of the edge of chaos at these biases."""
    found = curve.variances(sigma_b)
    stable = [k for k in found if curve.chi_k(k) <= 1 + NEAR_ONE]
    if stable:
        return _point(curve, stable[0], sigma_b)
    return _none(curve.act, _missing(curve, sigma_b, found))


def _missing(curve: Edge, sigma_b: float, found: list[float]) -> str:
    """Why there is no edge of chaos at these biases."""
    if found:
        return (
            f"at sigma_b = {sigma_b:g} the only K with chi_1 = 1 is {found[0]:.6g}, and it repels: "
            f"chi_K = {curve.chi_k(found[0]):.6g} > 1"
        )
    margin = curve.log_margin(curve.grid)[1:-1]
    if (margin < 0).all():
        return (
            "it has no edge of chaos at any sigma_b, and so no point with chi_1 = chi_K = 1: "
            "K V(K) < Q(K) for every K, which makes chi_1 < 1 at every fixed point"
        )
    zero = ""
    if not sigma_b and curve.act.at_zero[0] == 0:
        zero = "; K = 0 " + (
            f"repels at the sigma_w where its chi_1 is 1, {curve.sigma_w(0.0):.6g}"
            if curve.v(0.0) > 0
            else "has chi_1 = 0, since phi has no slope there"
        )
    return (
        f"at sigma_b = {sigma_b:g} no K > 0 is on the edge of chaos (chi_1 = 1), that is, solves "
        f"K V(K) - Q(K) = sigma_b^2 V(K){zero}"
    )


def _point(curve: Edge, variance: float, sigma_b: float | None = None) -> Critical:
    """The point of the edge at this K; its sigma_b is computed unless it was given."""
    chi_k = curve.chi_k(variance)
    if sigma_b is None:
        sigma_b = math.sqrt(max(curve.sigma_b2(variance), 0.0))
    curvature = None
    if abs(chi_k - 1) <= NEAR_ONE:
        curvature = float(curve.q.curvature(variance))
        side = "above" if curvature < 0 else "below"
        kind = "half-stable"
        because = f"chi_1 = chi_K = 1; K* attracts from {side} only."
    else:
        kind = "edge only"
        because = f"chi_1 = 1 at a stable K*, where chi_K = {chi_k:.6g} is not 1."
    sigma_w = curve.sigma_w(variance)
    because += f" An input of mean square 1 {_where_to(curve.act, sigma_w, sigma_b, variance)}."
    rate = on_the_edge(curve.act, variance, curvature)
    return Critical(curve.act, kind, sigma_w, sigma_b, variance, rate, because)


def _where_to(act: Activation, sigma_w: float, sigma_b: float, variance: float) -> str:
    flow = VarianceFlow(act, sigma_w, sigma_b)
    rest = flow.reached(math.log(sigma_w**2 + sigma_b**2))
    if rest is None:
        return "moves away from it, and in the end grows without bound"
    if math.isclose(rest.variance, variance, rel_tol=1e-6):
        return "comes to it slowly" if rest.stability == "half-stable" else "comes to it"
    return f"goes to K = {rest.variance:.6g} instead"
