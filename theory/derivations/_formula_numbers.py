"""The numbers of a formula's derivation: gain, critical point, tables and a figure."""

from __future__ import annotations

import math
import re

import numpy as np
import sympy
from sympy import Expr, Piecewise, Subs, sqrt

from varprop.activation import Activation
from varprop.network import Network

from ..basemap import Map
from ..critical import Critical
from ..derivation import Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure, Overlay
from ..gain import Gain
from ..gaussian import x
from ..maps import gradient_map, mean_map, variance_map
from ..notation import NormalMean, Rounded

__all__ = ["Pieces", "critical_steps", "gain_step", "joined", "map_figure", "practice", "tables"]

Pieces = list[tuple[Expr, Expr, Expr]]

_VARIANCES = (0.01, 0.1, 1.0, 10.0, 100.0)


def joined(parts: Pieces) -> Expr:
    """Pieces as one expression."""
    if len(parts) == 1:
        return parts[0][2]
    *first, (_, _, last) = parts
    return Piecewise(*((expr, x < hi) for _, hi, expr in first), (last, True))


def gain_step(f: Expr, found: Gain) -> Step:
    """sigma_w that keeps a variance of 1."""
    return Step(
        1 / sqrt(NormalMean(f**2, x, 1)),
        Rounded(_digits(found.gain)),
        r"A network without biases turns $K = 1$ into $\sigma_w^2 Q(1)$. The variance 1 is kept "
        r"if $\sigma_w = 1/\sqrt{Q(1)}$, the *gain* of the activation.",
        "The gain",
    )


def _slope_at_zero(sloped: Pieces) -> Expr:
    """Root mean square of the slopes on the two sides of 0."""
    right = next(Subs(expr, x, 0) for lo, hi, expr in sloped if lo <= 0 < hi)
    left = next(Subs(expr, x, 0) for lo, hi, expr in sloped if lo < 0 <= hi)
    return sympy.Abs(right) if right == left else sqrt((right**2 + left**2) / 2)


def critical_steps(f: Expr, sloped: Pieces, point: Critical) -> list[Step]:
    """That chi_1 is 1 at the critical point, and chi_K where the kind says so."""
    slope = joined(sloped)
    if point.sigma_w is None or point.variance is None:
        return []
    if point.kind == "zero":
        return [
            Step(
                1 / _slope_at_zero(sloped),
                Rounded(_digits(point.sigma_w)),
                r"At small $K$ only the slopes on the two sides of 0 count; let $s^2$ be their "
                r"mean square: $Q(K) \approx s^2 K$ and $V(K) \approx s^2$. Signal and gradient "
                r"both keep their size for $\sigma_w = 1/s$; the variance then falls to 0, but "
                "slower than exponentially.",
                "The critical point",
            )
        ]
    if point.kind == "scale-invariant":
        return [
            Step(
                1 / sqrt(NormalMean(slope**2, x, 1)),
                Rounded(_digits(point.sigma_w)),
                r"$V$ is the same for every $K$, and $Q(K) = K V$: with $\sigma_w = 1/\sqrt V$ "
                "every variance and every gradient keeps its size.",
                "The critical point",
            )
        ]
    at = Rounded(f"{point.variance:.12g}")
    steps = [
        Step(
            1 / sqrt(NormalMean(slope**2, x, at)),
            Rounded(_digits(point.sigma_w)),
            r"A gradient keeps its size where $\chi_1 = \sigma_w^2 V(K^*) = 1$ at the variance "
            f"$K^* = {_digits(point.variance)}$ that "
            + (r"$\sigma_w$ and $\sigma_b$ make a fixed point" if point.sigma_b else "is fixed")
            + ".",
            "The critical point",
        )
    ]
    if point.kind == "half-stable":
        steps.append(
            Step(
                NormalMean(f * slope * x, x, at) / (at * NormalMean(slope**2, x, at)),
                Rounded("1.000000"),
                r"There a small departure of the variance is neither damped nor amplified: "
                r"$\chi_K = \sigma_w^2 Q'(K^*) = 1$ as well, with $\sigma_w^2 = 1/V(K^*)$.",
                "The variance at the critical point",
            )
        )
    return steps


def _digits(value: float) -> str:
    """Six digits, as a decimal number."""
    places = max(0, 5 - math.floor(math.log10(abs(value)))) if value else 6
    return f"{value:.{places}f}"


def tables(act: Activation, found: Gain) -> tuple[Table, ...]:
    """The maps at a few variances; what weights in use do."""
    columns: list[tuple[str, Map]] = [("$Q(K)$", variance_map(act))]
    if not act.jumps:
        columns.append(("$V(K)$", gradient_map(act)))
    body = [
        (_short(k), *(_short(float(column(k))) for _, column in columns), _short(float(m)))
        for k, m in zip(_VARIANCES, mean_map(act)(_VARIANCES), strict=True)
    ]
    return (
        Table(
            "The maps at a few variances; $m(K)$ is the mean of the activation:",
            ("$K$", *(name for name, _ in columns), "$m(K)$"),
            tuple(body),
        ),
        Table(
            "What becomes of signals and gradients under weights in use, without biases "
            r"($\sigma_w^2 = \text{fan-in} \cdot \operatorname{Var} W$):",
            ("weights", r"$\sigma_w$", "what they do"),
            tuple((row.source, f"{row.gain:.4g}", row.does) for row in found.published),
        ),
    )


def _short(value: float) -> str:
    if value == 0:
        return "$0$"
    sign = "-" if value < 0 else ""
    shown = power_of_ten(math.log(abs(value)), 5)
    return f"$-{shown[1:]}" if sign else shown


def map_figure(act: Activation) -> Figure:
    """Q and V over K, with single layers simulated."""
    k = np.geomspace(0.01, 100.0, 121)
    few = tuple(np.geomspace(0.01, 100.0, 9).tolist())
    curves = [Curve.of("$Q(K)$, theory", k, variance_map(act)(k))]
    if not act.jumps:
        curves.append(Curve.of("$V(K)$, theory", k, gradient_map(act)(k)))
    networks = tuple(Network(1, width=1000, act=act, sigma_w=math.sqrt(at)) for at in few)
    positive = all(min(curve.y) > 0 for curve in curves)
    return Figure(
        "maps",
        "The maps, and the mean square of the activations of a simulated layer of 1000 units "
        "whose pre-activations have variance $K$:",
        "$K$",
        "$Q(K)$, $V(K)$",
        tuple(curves),
        (Overlay("$Q(K)$, simulated", networks, few, "activation", 20),),
        x_scale="log",
        y_scale="log" if positive else "linear",
    )


def _typeset(text: str) -> str:
    """Names of quantities as formulas: a star would be Markdown's."""
    text = re.sub(r"\bchi_([1K])", r"$\\chi_\1$", text)
    text = re.sub(r"\bsigma_([wb])(\^2)?", r"$\\sigma_\1\2$", text)
    return text.replace("K*", "$K^*$")


def practice(act: Activation, found: Gain) -> str:
    """What follows, in a list."""
    point = found.critical
    lines = [
        f"To keep a variance of 1 take $\\sigma_w = {found.gain:.6g}$: weights of variance "
        f"${found.gain**2:.6g}/n$ (`sigma_w={found.gain:.6g}`)."
    ]
    if found.normalised is not None and not math.isclose(found.normalised, found.gain):
        lines.append(
            "To make the variance *over the units* of a layer 1, its mean taken off (as networks "
            f"with standardised weights need it), the gain is ${found.normalised:.6g}$."
        )
    if point.kind == "none":
        lines.append(f"There is no critical point: {_typeset(point.because)}.")
    else:
        biases = f" and $\\sigma_b = {point.sigma_b:.6g}$" if point.sigma_b else ", no biases"
        lines.append(
            f"The critical point is $\\sigma_w = {point.sigma_w:.6g}${biases} (kind: "
            f"{point.kind}). {_typeset(point.because)}"
        )
    lines.append(
        "Hold it against networks: "
        f'`varprop simulate --depth 50 --act "{act}" --sigma-w {found.gain:.6g} --compare`.'
    )
    return "\n".join(f"- {line}" for line in lines)
