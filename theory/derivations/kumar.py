"""Kumar's initialisation: any differentiable activation, by a tangent at 0; and its limits."""

from __future__ import annotations

import math

import numpy as np
import sympy
from sympy import Derivative, Rational, Subs, Sum, UnevaluatedExpr, exp, sqrt, tanh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure, Overlay
from ..gaussian import K, x
from ..notation import NormalMean, Rounded
from ..predict import predict

__all__ = ["derivation"]

n = sympy.Symbol("n", integer=True, positive=True)
v, c, d, s, m = sympy.symbols("v c d s m", positive=True)
b = sympy.Symbol("b", real=True)
j = sympy.Symbol("j", integer=True)

_SIGMOID = 1 / (1 + exp(-x))
_KUMAR = 1 / (n * d**2 * (1 + c**2))
_FIXED = sympy.Float("4.534976")  # the variance at which the exact map stands still

_CLAIM = (
    r"If an activation is replaced by its tangent at 0, $\varphi(x) \approx c + d x$ with "
    r"$c = \varphi(0)$ and $d = \varphi'(0)$, then outputs of variance 1 are kept by weights of "
    r"variance $\frac{1}{n\, d^2 (1 + c^2)}$. For tanh that is $1/n$; for the sigmoid it is "
    r"$12.8/n$, a standard deviation of about $3.6/\sqrt n$. The exact variance map shows what the "
    r"tangent misses: under these very weights a sigmoid's gradient still vanishes."
)
_MOTIVATION = (
    r"Xavier's argument is for units that act like $x$ itself, He's for ReLU. Kumar's covers every "
    r"activation that has a tangent, in one line; it is the shortest argument for why a sigmoid "
    r"needs larger weights than tanh. It is also a good lesson in what a linearisation can say, "
    r"because here the exact answer is available for comparison."
)
_ASSUMPTIONS = (
    r"The activation is differentiable at 0, and $d = \varphi'(0) \ne 0$; $c = \varphi(0)$. ReLU "
    r"is not differentiable there.",
    r"The $n$ weights into a unit are independent, with mean 0 and variance $v$; there are no "
    r"biases. Layers are wide, so that a pre-activation is normal with some variance $K$.",
    r"*The tangent*: $\varphi(x) = c + d x$, as if all pre-activations were small. The second half "
    r"of the derivation drops this.",
    r"$s$ is the variance of a unit's output (over the random weights), which Kumar wants to be 1.",
)


def _tangent() -> tuple[Step, ...]:
    line = c + d * x
    return (
        Step(
            NormalMean(line**2, x, K) - NormalMean(line, x, K) ** 2,
            d**2 * K,
            r"A unit whose pre-activation has mean 0 and variance $K$ gives, along the tangent, an "
            r"output of mean $c$ and variance $d^2 K$.",
            "Through the tangent",
        ),
        Step(
            Sum(v * (c**2 + s), (j, 1, n)),
            n * v * (c**2 + s),
            r"The next layer adds up $n$ outputs of mean $c$ and variance $s$. What counts is "
            r"their mean *square*, $c^2 + s$ (derivation `linear`): a constant output, too, is "
            r"multiplied by random weights.",
            "The next layer adds up mean squares",
        ),
        Step(
            Subs(d**2 * K, K, n * v * (c**2 + s)),
            d**2 * n * v * (c**2 + s),
            r"Together: an output variance of $s$ becomes this one.",
            "From layer to layer",
        ),
        Step(
            Subs(d**2 * n * v * (c**2 + s), (s, v), (1, _KUMAR)),
            sympy.Integer(1),
            r"Ask that 1 stays 1, and solve for the variance of the weights.",
            "The variance that keeps 1",
        ),
    )


def _examples() -> tuple[Step, ...]:
    return (
        Step(
            Subs(_SIGMOID, x, 0),
            Rational(1, 2),
            r"For the sigmoid, $c = \frac12$ ...",
            "The sigmoid at 0",
        ),
        Step(
            Subs(Derivative(_SIGMOID, x), x, 0),
            Rational(1, 4),
            r"... and $d = \frac14$.",
            "The sigmoid's slope at 0",
        ),
        Step(
            Subs(_KUMAR, (c, d), (Rational(1, 2), Rational(1, 4))),
            Rational(64, 5) / n,
            r"So $n v = 64/5 = 12.8$: a factor of 16 for the slope, less a fifth for the mean.",
            "The sigmoid's variance",
        ),
        Step(
            sqrt(Subs(n * _KUMAR, (c, d), (Rational(1, 2), Rational(1, 4)))),
            Rounded("3.5777"),
            r"As a standard deviation, $3.58/\sqrt n$; Kumar writes $3.6/\sqrt n$.",
            r"$3.6/\sqrt n$",
        ),
        Step(
            Subs(_KUMAR, (c, d), (Subs(tanh(x), x, 0), Subs(Derivative(tanh(x), x), x, 0))),
            1 / n,
            r"For tanh, with $c = 0$ and $d = 1$, it is the variance of the linear case, and of "
            r"Xavier on equal widths.",
            "tanh",
        ),
    )


def _limits() -> tuple[Step, ...]:
    curve = c + d * x + b * x**2 / 2
    gain = Rational(64, 5)
    q, slope = (NormalMean(f**2, x, K) for f in (_SIGMOID, exp(-x) / (1 + exp(-x)) ** 2))
    return (
        Step(
            NormalMean(curve**2, x, K),
            c**2 + (d**2 + c * b) * K + 3 * b**2 * K**2 / 4,
            r"Now what the tangent misses. Carry the expansion one term further, with $b = "
            r"\varphi''(0)$. Already at *first* order in $K$ there is a term $c\,b$ that a tangent "
            r"cannot see: it vanishes for activations that are odd, or odd about $c$ like the "
            r"sigmoid, but not for softplus, where $c\,b = 0.17$ against $d^2 = 0.25$.",
            "The curvature",
        ),
        Step(
            Subs(n * v * (c**2 + s), (s, v), (1, _KUMAR)),
            1 / d**2,
            r"How far is a pre-activation from 0, where the tangent was taken? Outputs of variance "
            r"1 need inputs of variance $1/d^2$. For the sigmoid that is 16: pre-activations of "
            r"$\pm 4$, where its slope is not $\frac14$ but less than $\frac1{50}$.",
            "Not small at all",
        ),
        Step(
            Rational(1, 4) - (m - m**2),
            (m - Rational(1, 2)) ** 2,
            r"And a sigmoid's outputs *cannot* have variance 1. They lie between 0 and 1, so their "
            r"squares are below themselves, and with a mean of $m$ their variance is below $m - "
            r"m^2$. The difference to $\frac14$ is a square: the variance is never above "
            r"$\frac14$. What is being kept does not exist.",
            "A variance that can't be",
        ),
        Step(
            gain * NormalMean(_SIGMOID**2, x, 4 * K),
            Rational(16, 5) * (1 + NormalMean(tanh(x) ** 2, x, K)),
            r"What happens instead is told by the exact map, $K' = n v \operatorname{E}"
            r"\varphi(x)^2$; with the sigmoid as a tanh on a pedestal (derivation `sigmoid`) it "
            r"lies between 3.2 and 6.4 whatever $K$.",
            "The exact map",
        ),
        Step(
            Subs(UnevaluatedExpr(gain) * q, K, _FIXED),
            Rounded("4.534976"),
            r"Its fixed point: at this $K$ the next layer has the same. Every input ends up here, "
            r"far from the 16 of the tangent and from any $K$ that would make a tangent good.",
            "The variance it settles at",
        ),
        Step(
            Subs(UnevaluatedExpr(gain) * slope, K, _FIXED),
            Rounded("0.35381"),
            r"There a gradient's mean square is multiplied, layer by layer, by $n v V(K)$, with "
            r"$V = \operatorname{E}\varphi'(x)^2$ (derivation `backward`). It is well below 1: "
            r"gradients vanish, by a factor of a billion in twenty layers.",
            "What becomes of the gradient",
        ),
    )


_NAMES = ("tanh", "erf", "sin", "sigmoid", "probit", "hardsigmoid", "softplus", "gelu", "silu")


def _table() -> Table:
    depth, rows = 50, []
    for name in _NAMES:
        net = Network(depth, width=1000, act=name, scheme="kumar")
        p = predict(net)
        at_zero, slope, _ = net.act.at_zero
        rows.append(
            (
                f"`{name}`",
                f"{at_zero:.4g}",
                f"{slope:.4g}",
                f"{math.sqrt(net.scheme.scale):.5g}",
                power_of_ten(float(p.log_variance[-1])),
                power_of_ten(float(p.log_gradient[0])),
            )
        )
    return Table(
        r"Fifty layers under Kumar's weights (an input of mean square 1, equal widths): the "
        r"variance of a pre-activation in the last layer, and the mean square of the gradient in "
        r"the first layer when it is 1 in the last, by the exact maps. The tangent promises a "
        r"variance of $1/d^2$, and keeps a gradient where $c = 0$:",
        ("activation", "$c$", "$d$", r"$\sigma_w$", "$K$ in layer 50", "gradient in layer 1"),
        tuple(rows),
    )


def _figure() -> Figure:
    net = Network(15, width=1000, act="sigmoid", scheme="kumar")
    layers = np.arange(1, net.depth + 1)
    return Figure(
        "settling",
        "The variance of a sigmoid network's pre-activations under Kumar's weights. The tangent "
        "promises 16; the exact map settles at 4.53 within a few layers.",
        "layer $l$",
        "$K^l$",
        (
            Curve.of("exact map", layers, predict(net).variance),
            Curve.of("tangent", layers, np.full(net.depth, 16.0)),
        ),
        (Overlay("simulated, width 1000", (net,), statistic="variance", trials=40),),
    )


_PRACTICE = r"""- For activations that are odd and nearly straight at 0 (tanh, erf, sin) the rule is
  right, $\sigma_w = 1/\varphi'(0)$: their signal shrinks only like $1/l$, and their gradient with
  it.
- For the sigmoid it is better than $\sigma_w = 1$, at which the gradient's factor is 0.056 per
  layer instead of 0.354; but no $\sigma_w$ below 7.5 keeps it (derivation `sigmoid`).
- For softplus, GELU, SiLU and their kin the tangent at 0 is a bad guide: for larger signals their
  slope is nearer to 1 than to $\varphi'(0)$, and the network explodes. Use `critical(act)` or
  `gain(act)`, which work with the exact map.
- Where there is no tangent (ReLU, leaky ReLU, SELU) the rule says nothing, and
  `scheme="kumar"` refuses; Kumar treats ReLU apart, and finds He's $2/n$.
- A linearisation at 0 answers questions about small signals. Ask first whether the signal is
  small."""

_SOURCES = (
    "S. K. Kumar, *On weight initialization in deep neural networks*, arXiv 1704.08863: the rule, "
    r"$1/(N g'(0)^2 (1 + g(0)^2))$, and $3.6/\sqrt N$ for the sigmoid.",
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: the linear case that it generalises.",
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, *Exponential Expressivity in "
    "Deep Neural Networks through Transient Chaos*, NeurIPS 2016, arXiv 1606.05340: the exact "
    "variance map and its fixed point.",
)


def derivation() -> Derivation:
    """Kumar's variance 1/(n phi'(0)^2 (1 + phi(0)^2)), and where it stops being right.

    Examples
    --------
    >>> derivation().result.right
    1/(d**2*n*(c**2 + 1))
    """
    return Derivation(
        name="kumar",
        title="Kumar's rule: a tangent at 0, and its limits",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_tangent(), *_examples(), *_limits()),
        result=Step(
            Subs(s / (n * d**2 * (c**2 + s)), s, 1),
            _KUMAR,
            r"The variance of weights that keeps an output variance $s$ along the tangent, for $s "
            r"= 1$:",
            "The result",
        ),
        tables=(_table(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
