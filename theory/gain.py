"""The gain of an activation: by what to scale its weights, and what published gains do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from varprop.activation import Activation
from varprop.scheme import Scheme
from varprop.text import wrapped

from .critical import Critical, critical
from .fixed_point import FixedPoint, NoFixedPoint, fixed_point
from .maps import mean_map, variance_map

__all__ = ["Gain", "PublishedGain", "gain"]

# torch.nn.init.calculate_gain; leaky_relu is computed from its slope.
_TORCH = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 3 / 4}
# google-deepmind/deepmind-research, nfnets/base.py; estimated there from samples.
_NFNETS = {
    "celu": 1.270926833152771,
    "elu": 1.2716004848480225,
    "gelu_tanh": 1.7015043497085571,
    "leaky_relu": 1.70590341091156,
    "relu": 1.7139588594436646,
    "relu6": 1.7131484746932983,
    "selu": 1.0008515119552612,
    "sigmoid": 4.803835391998291,
    "silu": 1.7881293296813965,
    "softplus": 1.9203323125839233,
    "softsign": 2.338853120803833,
    "tanh": 1.5939117670059204,
}


@dataclass(frozen=True)
class PublishedGain:
    """A gain that somebody uses, and what it does to a deep network.

    Attributes
    ----------
    source : str
        Who uses it.
    gain : float
        sigma_w = sqrt(fan_in Var W), at equal widths.
    does : str
        What becomes of signals and gradients, with i.i.d. weights and no biases.
    point : FixedPoint or None
        The fixed point; None where the variance grows without bound.

    Examples
    --------
    >>> gain("relu").published[0].does
    'critical: every variance is kept; squared gradients keep their size'
    """

    source: str
    gain: float
    does: str
    point: FixedPoint | None = field(repr=False)


@dataclass(frozen=True)
class Gain:
    """What to multiply weights of variance 1/fan_in by. ``float(g)`` is ``g.gain``.

    Attributes
    ----------
    act : Activation
    gain : float
        1/sqrt(Q(1)): with it a pre-activation of variance 1 has variance 1 in the next layer too.
    normalised : float or None
        1/sqrt(Q(1) - m(1)^2), which makes the activations' variance over units 1 (Brock et al.,
        arXiv 2101.08692); None for a constant activation.
    kumar : float or None
        1/(phi'(0) sqrt(1 + phi(0)^2)) (Kumar, arXiv 1704.08863); None without a slope at 0.
    critical : Critical
        The critical point; its sigma_w is a gain too.
    published : tuple of PublishedGain
        What frameworks use with this activation.

    Examples
    --------
    >>> round(float(gain("tanh")), 6)
    1.592537
    """

    act: Activation
    gain: float
    normalised: float | None
    kumar: float | None
    critical: Critical = field(repr=False)
    published: tuple[PublishedGain, ...] = field(repr=False)

    def __float__(self) -> float:
        return self.gain

    @property
    def rows(self) -> tuple[PublishedGain, ...]:
        """Every gain there is, the computed ones first, and what it does."""
        own = (
            ("unit variance", self.gain),
            ("normalised", self.normalised),
            ("Kumar", self.kumar),
        )
        computed = tuple(
            PublishedGain(name, value, *_effect(self.act, value))
            for name, value in own
            if value is not None
        )
        return computed + self.published

    def table(self) -> str:
        """The gains and what they do, without the critical point."""
        body = [[row.source, f"{row.gain:.6g}", row.does] for row in self.rows]
        width = max(len(row[0]) for row in body)
        told = "gains in use, sigma_w = sqrt(fan_in Var W), and what becomes of deep networks"
        lines = [wrapped(f"{self.act}: {told} with them, without biases", "  ")]
        for source, value, does in body:
            lines.append(wrapped(f"{source:<{width}} {value:>9} {does}", " " * (width + 11)))
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.table()}\n" + wrapped(
            "critical: " + " ".join(str(self.critical).split()), "  "
        )


def gain(act: Any) -> Gain:
    """The gain that keeps a variance of 1, beside those that are published.

    Parameters
    ----------
    act : str, Activation or pair of callables
        See `Activation.parse`.

    Returns
    -------
    Gain

    Raises
    ------
    ValueError
        For an unknown activation, one whose E phi^2 diverges, or one that is 0 everywhere.

    Examples
    --------
    >>> found = gain("relu")
    >>> round(found.gain**2, 12), round(found.normalised, 6)
    (2.0, 1.712859)
    """
    activation = Activation.parse(act)
    square, mean = float(variance_map(activation)(1.0)), float(mean_map(activation)(1.0))
    if square == 0:
        raise ValueError(f"{activation} is 0 everywhere, so no gain keeps its variance")
    spread = square - mean**2
    return Gain(
        activation,
        square**-0.5,
        spread**-0.5 if spread > 1e-14 * square else None,
        _kumar(activation),
        critical(activation),
        tuple(
            PublishedGain(source, value, *_effect(activation, value))
            for source, value in _published(activation)
        ),
    )


def _kumar(act: Activation) -> float | None:
    try:
        return math.sqrt(Scheme.named("kumar", act).scale)
    except ValueError:
        return None


def _published(act: Activation) -> list[tuple[str, float]]:
    """Source and sigma_w of every gain that is used with this activation."""
    rows = []
    if act.code >= 0:  # a callable may have any name
        if act.name == "leaky_relu":
            slope = act.parameters[0][1]
            rows.append(("torch calculate_gain", math.sqrt(2 / (1 + slope**2))))
        elif act.name in _TORCH:
            rows.append(("torch calculate_gain", _TORCH[act.name]))
        if act.name in _NFNETS and act == Activation.named(act.name):
            rows.append(("NF-nets gamma", _NFNETS[act.name]))
    return [
        *rows,
        ("he (Keras, JAX, torch)", math.sqrt(2.0)),
        ("lecun; glorot if square", 1.0),
        ("torch nn.Linear default", math.sqrt(1 / 3)),
    ]


def _effect(act: Activation, sigma_w: float) -> tuple[str, FixedPoint | None]:
    """What weights of this sigma_w do, without biases: in words, and the fixed point."""
    try:
        point = fixed_point(act, sigma_w=sigma_w)
    except NoFixedPoint as error:
        others = [
            f"; K = {rest.variance:.4g} is unstable" for rest in error.others if rest.variance
        ]
        return f"variances grow without bound, {error.growth}{''.join(others)}", None
    if point.stability == "neutral":
        what = "every variance is kept"
    elif point.variance > 0:
        what = f"variances go to {point.variance:.4g}"
    elif point.xi_k == math.inf:
        what = "variances go to 0, slower than exponentially"
    elif point.chi_k == 0:
        what = "variances go to 0, faster than exponentially"
    else:
        what = f"variances fall by a factor {point.chi_k:.4g} per layer"
    if point.chi1 is None:
        return f"{point.phase}: {what}; no gradient comes back through a jump", point
    verb = "grow" if point.phase == "chaotic" else "fall"
    grown = f"{verb} by a factor {_factor(point.chi1)} per layer"
    if point.phase == "critical":
        # On a slow way to K* = 0 the slopes are not yet those of K*.
        slow = point.variance == 0 and point.xi_k == math.inf
        grown = "change as slowly" if slow else "keep their size"
    elif point.chi1 == 0:
        grown = "fall faster than exponentially"
    return f"{point.phase}: {what}; squared gradients {grown}", point


def _factor(value: float) -> str:
    """Four digits, or what a factor is off 1."""
    off = value - 1
    return f"{value:.4g}" if abs(off) >= 5e-4 else f"1 {'+' if off > 0 else '-'} {abs(off):.1g}"
