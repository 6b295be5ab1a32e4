"""SELU: two constants that make mean 0 and variance 1 a fixed point."""

from __future__ import annotations

import math

import sympy
from sympy import Integral, Rational, Subs, erfc, exp, oo, pi, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..fixed_point import NoFixedPoint, fixed_point
from ..gaussian import x
from ..maps import gradient_map
from ..notation import NormalDensity, Root, Rounded
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

alpha, scale, n, v = sympy.symbols("alpha lambda n v", positive=True)

_ONE = sympy.Integer(1)
_LEFT, _RIGHT = (x, -oo, 0), (x, 0, oo)
_P = NormalDensity(x, _ONE)
_FIRST = (sqrt(sympy.E) * erfc(1 / sqrt(2)) - 1) / 2
_SECOND = (exp(2) * erfc(sqrt(2)) - 2 * sqrt(sympy.E) * erfc(1 / sqrt(2)) + 1) / 2
_ALPHA = -1 / (sqrt(2 * pi) * _FIRST)
_SCALE = 1 / sqrt(Rational(1, 2) + _ALPHA**2 * _SECOND)
_DECIMALS = sympy.Float("1.67326324235438"), sympy.Float("1.05070098735548")


def _halves(right: sympy.Expr, left: sympy.Expr) -> sympy.Expr:
    """What the two half lines make of an expectation, the constants put in as decimals."""
    both = Integral(right * _P, _RIGHT) + alpha**2 * Integral(left * _P, _LEFT)
    return Subs(scale**2 * both, (alpha, scale), _DECIMALS)


_CLAIM = (
    r"SELU is $\lambda x$ above 0 and $\lambda\alpha(e^x - 1)$ below. Its two constants, $\alpha = "
    r"1.6732\ldots$ and $\lambda = 1.0507\ldots$, follow from two demands: a standard normal "
    r"pre-activation shall give an activation of mean 0 and of mean square 1. Both have closed "
    r"forms. With weights of variance $1/n$ the variance 1 is then a stable fixed point; the "
    r"gradient, however, grows by 7 % per layer."
)
_MOTIVATION = (
    r"The constants look like magic numbers in every framework's source code. They are not fitted: "
    r"they are the solution of two equations with normal integrals, which this derivation solves. "
    r"It then asks what was promised and what was not: the variance comes back after a "
    r"disturbance, but a stable forward pass says nothing about the gradient."
)
_ASSUMPTIONS = (
    r"The weights into a unit are independent, with mean 0 and variance $1/n$ (`lecun`), and there "
    r"are no biases. So $K$ is the mean square of the activations below.",
    r"Pre-activations are normal: exact for Gaussian weights given the layer below, the limit of "
    r"wide layers for others. $p_1$ is the standard normal density.",
)


def _constants() -> tuple[Step, ...]:
    return (
        Step(
            Integral(x * _P, _RIGHT),
            1 / sqrt(2 * pi),
            r"The mean first. At $K = 1$ the right half contributes this much (times $\lambda$).",
            "The mean, right of 0",
        ),
        Step(
            Integral((exp(x) - 1) * _P, _LEFT),
            _FIRST,
            r"The left half contributes this much (times $\lambda\alpha$): completing the square "
            r"turns $e^x$ under the normal density into $\sqrt e$ times a tail of the normal law.",
            "The mean, left of 0",
        ),
        Step(
            Subs(-alpha * _FIRST, alpha, _ALPHA),
            1 / sqrt(2 * pi),
            r"The mean is 0 if the two cancel, which one linear equation decides: $\alpha$ is "
            r"minus the first over the second.",
            "The first constant",
        ),
        Step(
            _ALPHA,
            Rounded("1.67326324235"),
            r"In numbers, as printed in the paper and typed into every framework:",
            "The first constant in numbers",
        ),
        Step(
            Integral((exp(x) - 1) ** 2 * _P, _LEFT),
            _SECOND,
            r"Now the mean square. The right half gives $\frac12$, the left half $\alpha^2$ times "
            r"this: $e^{2x}$ needs the square completed once more.",
            "The mean square, left of 0",
        ),
        Step(
            Subs(scale**2 * (Rational(1, 2) + _ALPHA**2 * _SECOND), scale, _SCALE),
            _ONE,
            r"The mean square is 1 if $\lambda^2$ is one over the sum.",
            "The second constant",
        ),
        Step(
            _SCALE,
            Rounded("1.05070098736"),
            r"In numbers:",
            "The second constant in numbers",
        ),
    )


def _stability() -> tuple[Step, ...]:
    return (
        Step(
            Subs(n * v, v, 1 / n),
            _ONE,
            r"A layer of variance-$1/n$ weights makes $K' = n v\, Q(K) = Q(K)$. With $Q(1) = 1$ "
            r"the variance 1 is a fixed point, whatever the mean is: zero-mean weights don't "
            r"see it. (The mean of 0 matters to those who see it: biases that learn, and "
            r"correlations between inputs.)",
            "A fixed point",
        ),
        Step(
            _halves(x**2, x * (exp(x) - 1) * exp(x)),
            Rounded("0.7826"),
            r"Is it stable? The slope of the variance map, $\chi_K = Q'(1)$, equals "
            r"$\operatorname{E}\, x \varphi(x) \varphi'(x)$ by Stein's identity. It is below 1: a "
            r"disturbance of the variance shrinks by a fifth in every layer.",
            "The variance comes back",
        ),
        Step(
            _halves(_ONE, exp(2 * x)),
            Rounded("1.0716"),
            r"And the gradient? Its factor is $\chi_1 = V(1) = \operatorname{E} \varphi'(x)^2$. It "
            r"is above 1. So the fixed point lies on the chaotic side of the edge: gradients grow "
            r"by 7 % per layer, a thousandfold in a hundred layers, and nearby inputs drift apart.",
            "The gradient grows",
        ),
    )


def _disturbed() -> Table:
    rows = []
    for start in (0.25, 0.9, 1.1, 4.0):
        net = Network(50, width=1000, act="selu", scheme="lecun")
        rows.append((f"$K^1 = {start:g}$", predict(net, input_mean_square=start).log_variance))
    return by_depth(
        "The variance of a SELU network under `lecun` weights, for inputs that don't have variance "
        "1 to begin with:",
        "input",
        rows,
        (1, 2, 5, 10, 50),
    )


def _beside() -> Table:
    rows = []
    for label, gain in (
        ("1 (`lecun`, the paper's)", 1.0),
        ("3/4 (`torch.nn.init.calculate_gain`)", 0.75),
        (r"$\sqrt 2$ (`he`)", math.sqrt(2)),
    ):
        try:
            at = fixed_point("selu", sigma_w=gain).variance
            shown = f"${at:.4g}$"
        except NoFixedPoint:
            at, shown = 1e30, "none: it grows"  # a line on the right, a constant on the left
        chi = gain**2 * gradient_map("selu")(at)
        rows.append((label, shown, f"${chi:.4f}$", f"${chi**50:.3g}$"))
    return Table(
        r"What other gains do: the variance at which the network settles, the gradient's factor "
        r"there, and what it makes of a gradient in 50 layers:",
        (r"gain $\sigma_w$", r"$K^\star$", r"$\chi_1$", r"$\chi_1^{50}$"),
        tuple(rows),
    )


_PRACTICE = r"""- SELU's constants belong to weights of variance $1/n$ (`scheme="lecun"`). With He's
  $2/n$ there is no fixed point at all: the variance and the gradient both grow by 10 % per layer
  (second table).
- "Self-normalising" is a statement about the forward pass. At depth 100 the gradient of the first
  layers is a thousand times that of the last. `theory.critical("selu")` tells whether there is a
  better point, `theory.gain("selu")` what the frameworks' gains do.
- The stability is real: whatever the scale of the input, within ten layers the variance is 1."""

_SOURCES = (
    "G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, *Self-Normalizing Neural Networks*, "
    "NeurIPS 2017, arXiv 1706.02515: equations (1) to (5) and (14), the two constants and the map "
    "of mean and variance.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    r"Propagation*, ICLR 2017, arXiv 1611.01232: $\chi_1$ and what it decides.",
)


def derivation() -> Derivation:
    """SELU: its two constants in closed form, the stable variance and the growing gradient.

    Examples
    --------
    >>> derivation().result.right
    -sqrt(2)/(2*sqrt(pi)*(-1/2 + exp(1/2)*erfc(sqrt(2)/2)/2))
    """
    return Derivation(
        name="selu",
        title="SELU: where its two constants come from",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_constants(), *_stability()),
        result=Step(
            Root(1 / sqrt(2 * pi) + alpha * _FIRST, alpha, (1, 2)),
            _ALPHA,
            r"The constant at which the mean of a SELU unit vanishes is",
            "The result",
        ),
        tables=(_disturbed(), _beside()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
