"""The built-in activations: one row each, in the order of the compiled kernels.

What a row says about slopes and limits is written down here, not computed, and the tests
confirm it from the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Parameters = Mapping[str, float]
Triple = tuple[float, float, float]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One family of activations; what depends on its parameter is a function of it."""

    name: str
    formula: str
    at_zero: Triple | Callable[[float], Triple]
    at_infinity: Pair | Callable[[float], Pair] | None
    max_slope: float | Callable[[float], float]
    kinks: tuple[float, ...] = ()
    degree: int | None = None
    parity: str | None = None
    oscillates: bool = False
    defaults: Parameters = field(default_factory=dict)
    positive: bool = False  # whether the parameter must be > 0
    aliases: tuple[str, ...] = ()


INF = float("inf")
# Klambauer et al., Self-Normalizing Neural Networks, arXiv 1706.02515: lambda and alpha.
_SELU_SCALE = 1.0507009873554805
_SELU_SLOPE = 1.7580993408473768
_GELU_TANH = "x*sigmoid(2*sqrt(2/pi)*(x + 0.044715*x**3))"

TABLE: tuple[Row, ...] = (
    Row(
        "linear",
        "x",
        (0.0, 1.0, 1.0),
        (1.0, 1.0),
        1.0,
        degree=1,
        parity="odd",
        aliases=("identity",),
    ),
    Row("relu", "max(x, 0)", (0.0, 0.0, 1.0), (0.0, 1.0), 1.0, (0.0,), degree=1),
    Row(
        "leaky_relu",
        "x if x > 0 else slope*x",
        lambda slope: (0.0, slope, 1.0),
        lambda slope: (slope, 1.0),
        lambda slope: max(1.0, abs(slope)),
        (0.0,),
        degree=1,
        defaults={"slope": 0.01},
    ),
    Row("abs", "abs(x)", (0.0, -1.0, 1.0), (-1.0, 1.0), 1.0, (0.0,), degree=1, parity="even"),
    Row(
        "elu",
        "x if x > 0 else alpha*expm1(x)",
        lambda alpha: (0.0, alpha, 1.0),
        (0.0, 1.0),
        lambda alpha: max(1.0, alpha),
        (0.0,),
        defaults={"alpha": 1.0},
        positive=True,
    ),
    Row(
        "selu",
        "1.0507009873554805*(x if x > 0 else 1.6732632423543772*expm1(x))",
        (0.0, _SELU_SLOPE, _SELU_SCALE),
        (0.0, _SELU_SCALE),
        _SELU_SLOPE,
        (0.0,),
    ),
    Row(
        "celu",
        "x if x > 0 else alpha*expm1(x/alpha)",
        (0.0, 1.0, 1.0),
        (0.0, 1.0),
        1.0,
        (0.0,),
        defaults={"alpha": 1.0},
        positive=True,
    ),
    Row("relu6", "min(max(x, 0), 6)", (0.0, 0.0, 1.0), (0.0, 0.0), 1.0, (0.0, 6.0)),
    Row("squared_relu", "max(x, 0)**2", (0.0, 0.0, 0.0), None, INF, (0.0,), degree=2),
    Row(
        "hardtanh",
        "min(max(x, -1), 1)",
        (0.0, 1.0, 1.0),
        (0.0, 0.0),
        1.0,
        (-1.0, 1.0),
        parity="odd",
    ),
    Row(
        "hardsigmoid",
        "min(max(x/6 + 1/2, 0), 1)",
        (0.5, 1 / 6, 1 / 6),
        (0.0, 0.0),
        1 / 6,
        (-3.0, 3.0),
    ),
    Row(
        "hardswish",
        "x*min(max(x/6 + 1/2, 0), 1)",
        (0.0, 0.5, 0.5),
        (0.0, 1.0),
        1.5,
        (-3.0, 3.0),
    ),
    Row("tanh", "tanh(x)", (0.0, 1.0, 1.0), (0.0, 0.0), 1.0, parity="odd"),
    Row("sigmoid", "sigmoid(x)", (0.5, 0.25, 0.25), (0.0, 0.0), 0.25),
    Row("softplus", "softplus(x)", (0.6931471805599453, 0.5, 0.5), (0.0, 1.0), 1.0),
    # |x| makes the second derivative jump at 0.
    Row("softsign", "softsign(x)", (0.0, 1.0, 1.0), (0.0, 0.0), 1.0, (0.0,), parity="odd"),
    Row(
        "arctan",
        "arctan(x)",
        (0.0, 1.0, 1.0),
        (0.0, 0.0),
        1.0,
        parity="odd",
        aliases=("atan",),
    ),
    Row(
        "erf",
        "erf(x)",
        (0.0, 1.1283791670955126, 1.1283791670955126),
        (0.0, 0.0),
        1.1283791670955126,
        parity="odd",
    ),
    Row(
        "probit",
        "Phi(x)",
        (0.5, 0.3989422804014327, 0.3989422804014327),
        (0.0, 0.0),
        0.3989422804014327,
    ),
    Row("sin", "sin(x)", (0.0, 1.0, 1.0), (0.0, 0.0), 1.0, parity="odd", oscillates=True),
    Row("cos", "cos(x)", (1.0, 0.0, 0.0), (0.0, 0.0), 1.0, parity="even", oscillates=True),
    Row("gaussian", "exp(-x**2)", (1.0, 0.0, 0.0), (0.0, 0.0), 0.8577638849607068, parity="even"),
    Row("sign", "sign(x)", (0.0, 0.0, 0.0), (0.0, 0.0), 0.0, (0.0,), degree=0, parity="odd"),
    Row("heaviside", "heaviside(x)", (0.5, 0.0, 0.0), (0.0, 0.0), 0.0, (0.0,), degree=0),
    Row("gelu", "x*Phi(x)", (0.0, 0.5, 0.5), (0.0, 1.0), 1.1289041451851547),
    Row("gelu_tanh", _GELU_TANH, (0.0, 0.5, 0.5), (0.0, 1.0), 1.1289930686587717),
    Row(
        "silu",
        "x*sigmoid(x)",
        (0.0, 0.5, 0.5),
        (0.0, 1.0),
        1.099839320128867,
        aliases=("swish",),
    ),
    Row("mish", "x*tanh(softplus(x))", (0.0, 0.6, 0.6), (0.0, 1.0), 1.088498161251728),
)

NAMES: dict[str, int] = {
    name: code for code, row in enumerate(TABLE) for name in (row.name, *row.aliases)
}
