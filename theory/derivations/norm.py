"""LayerNorm and RMSNorm: mean squares of 1, and what a gradient pays for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Derivative, Heaviside, Limit, Max, Product, Subs, Sum, oo, sqrt

from varprop.architecture import Norm, Residual
from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..gaussian import K, x
from ..maps import gradient_map, variance_map
from ..notation import Mean, NormalMean
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

n, L = sympy.symbols("n L", integer=True, positive=True)
i, layer = sympy.symbols("i l", integer=True, positive=True)
q, r, g, Q, V, sigma = sympy.symbols("q r g Q V sigma_w", positive=True)
alpha, gamma, chi, k = sympy.symbols("alpha gamma chi k", positive=True)
z, y, t, m, S, delta, X, F, p = sympy.symbols("z y t m S delta X F p", real=True)
a = sympy.symbols("a0:3", real=True)
depth = sympy.Symbol("L", positive=True)  # the same L where a limit is taken

_ROOT = sqrt((z**2 + r) / n)  # the root mean square, r being the sum of the other squares
_HERMITE = (1, x, (x**2 - 1) / sqrt(2))
_PHI = sum(coefficient * h for coefficient, h in zip(a, _HERMITE, strict=True))

_CLAIM = (
    r"RMSNorm and LayerNorm make every layer's mean square 1, whatever the weights. The gradient "
    r"pays: it is divided by what the signal is divided by, so a layer without biases multiplies "
    r"it by $\rho = V/Q$ at variance 1, which no scale of the weights can change and which is "
    r"above 1 for every activation of mean 0 that is not linear. In front of the branch of a "
    r"residual network (pre-LN) the same $\rho$ is only the exponent of a power of the depth."
)
_MOTIVATION = (
    r"Why choose an initialisation at all, if a norm repairs the signal in every layer? Because a "
    r"norm looks at the signal alone. What it does to the gradient follows from the signal and "
    r"can't be chosen; and where in the layer the norm stands decides whether that adds up "
    r"exponentially or hardly at all."
)
_ASSUMPTIONS = (
    r"RMSNorm divides the $n$ pre-activations of a layer by their root mean square; LayerNorm "
    r"subtracts their mean first, and divides by their standard deviation. Neither has a gain, a "
    r"bias, or an $\varepsilon$.",
    r"Layers are wide and equally so; weights are independent, with mean 0 and variance "
    r"$\sigma_w^2/n$; there are no biases. $Q = \operatorname{E}\varphi(x)^2$ and $V = "
    r"\operatorname{E}\varphi'(x)^2$ are taken at $x \sim N(0, 1)$.",
    r"On the way back the arriving gradient is taken as independent of the weights it meets "
    r"(derivation `backward`) and of the direction of the signal. It is for $v \cdot z^L$ with a "
    r"random $v$.",
)


def _signal() -> tuple[Step, ...]:
    return (
        Step(
            Sum(q / q, (i, 1, n)) / n,
            sympy.Integer(1),
            r"Divided by the root of $q$, the mean square of $n$ numbers, each square is on "
            r"average 1. That holds for every network that is drawn, not only on average over "
            r"them.",
            "A mean square of 1",
        ),
        Step(
            Mean((z - (z + S) / n) ** 2, (z, 0, K), (S, 0, (n - 1) * K)),
            K * (1 - 1 / n),
            r"LayerNorm takes the mean out before. Of a unit's pre-activation and the sum $S$ of "
            r"the $n - 1$ others, all of mean 0 and variance $K$, that costs a share of $1/n$: "
            r"pre-activations have no mean worth speaking of, whatever the activations below "
            r"have. In wide layers the two norms are one.",
            "The mean that LayerNorm takes out",
        ),
        Step(
            Subs(z / _ROOT, (z, r), (k * z, k**2 * r)),
            z / _ROOT,
            r"A signal $k$ times as large comes out the same. So the size of the input is "
            r"forgotten in the first layer, and with it the scale of all weights before a norm.",
            "Sizes are forgotten",
        ),
    )


def _slopes() -> tuple[Step, ...]:
    size = sqrt((z**2 + y**2 + r) / n)
    return (
        Step(
            Derivative(z / _ROOT, z),
            (1 - (z / _ROOT) ** 2 / n) / _ROOT,
            r"How does a normalised unit depend on itself? In two ways: it is divided by "
            r"$\sqrt q$, and it is a part of that, with a share of $\hat z^2/n$.",
            "A unit's own slope",
        ),
        Step(
            Derivative(z / size, y),
            -(z / size) * (y / size) / (n * size),
            r"On other units it depends through $\sqrt q$ alone. Together: the Jacobian is "
            r"$(1 - \hat z \hat z^T/n)/\sqrt q$. It takes out the direction of the signal, in "
            r"which nothing can change any more, and divides the rest.",
            "Its slope towards another",
        ),
        Step(
            g / q * Sum(1 - 1 / n, (i, 1, n)) / n,
            g / q * (1 - 1 / n),
            r"A gradient of mean square $g$ that has nothing to do with that direction keeps $n - "
            r"1$ of its $n$ parts (LayerNorm: $n - 2$, since the mean is a direction too). In "
            r"wide layers all that is left is $1/q$.",
            "What a gradient pays",
        ),
    )


def _layers() -> tuple[Step, ...]:
    return (
        Step(
            Subs(sigma**2 * V / q, q, sigma**2 * Q),
            V / Q,
            r"A layer without skip connection: weights and slopes multiply by $\sigma_w^2 V$, the "
            r"norm divides by the variance it meets, $\sigma_w^2 Q$. The weights cancel: no "
            r"initialisation can do anything about this factor. It is the same whether the norm "
            r"belongs to what the activation reads (pre) or to what the layer hands on (post).",
            "A factor that can't be chosen",
        ),
        Step(
            NormalMean(_PHI**2, x, 1),
            a[0] ** 2 + a[1] ** 2 + a[2] ** 2,
            r"Is it above 1? Write the activation in Hermite polynomials, which are orthogonal "
            r"under the normal density; here the first three. Squares add up.",
            r"$Q$ in Hermite polynomials",
        ),
        Step(
            NormalMean(Derivative(_PHI, x).doit() ** 2, x, 1),
            a[1] ** 2 + 2 * a[2] ** 2,
            r"The derivative of the $k$-th is $\sqrt k$ times the one before, so the $k$-th square "
            r"counts $k$ times. Without a mean, $a_0 = 0$, it follows that $V \ge Q$, with "
            r"equality for a line alone: under a norm, gradients of bent activations of mean 0 "
            r"grow from the last layer to the first.",
            r"$V$ in Hermite polynomials",
        ),
        Step(
            NormalMean(Heaviside(x), x, K) / (NormalMean(Max(x, 0) ** 2, x, K) / K),
            sympy.Integer(1),
            r"A ReLU has a mean, $a_0^2 = 1/2\pi$, and it makes up exactly for what the bend "
            r"costs: $V = Q = \frac12$. So a normalised ReLU network keeps both.",
            "ReLU",
        ),
    )


def _residual() -> tuple[Step, ...]:
    return (
        Step(
            Mean((gamma * X + alpha * F) ** 2, (X, 0, q), (F, 0, sigma**2 * Q)),
            gamma**2 * q + alpha**2 * sigma**2 * Q,
            r"A skip connection adds $\gamma$ times the stream to $\alpha$ times the branch. With "
            r"the norm in front of the activation (pre-LN) the branch is as large in every layer, "
            r"whatever the stream. With $\gamma = 1$ the stream therefore gains $s = \alpha^2 "
            r"\sigma_w^2 Q$ per layer: $q$ grows like $l$.",
            "Pre-LN: the stream grows steadily",
        ),
        Step(
            Mean(
                (gamma * delta + alpha * p * S) ** 2,
                (delta, m, g),
                (p, t, V / q),
                (S, 0, sigma**2 * g),
            ),
            (gamma**2 + alpha**2 * sigma**2 * V / q) * g,
            r"Back through the branch a gradient is divided by $q$, the mean square of the stream "
            r"there, which is large further up. ($p$ is the slope of norm and activation.)",
            "Pre-LN: the way back",
        ),
        Step(
            Product(1 + 1 / (chi + layer), (layer, 0, L - 1)),
            (chi + L) / chi,
            r"For ReLU, $V = Q$: the factors are $1 + s/q$, and $q/s$ is $\chi$ in layer 1 and 1 "
            r"more in each. Over $L$ of them the product telescopes. The gradient of the first "
            r"layer is larger than that of the last by as much as the stream has grown, $q_L/q_1$.",
            "Pre-LN with ReLU",
        ),
        Step(
            Product(1 + 2 / layer, (layer, 1, L)),
            (L + 1) * (L + 2) / 2,
            r"If $\rho = V/Q$ is 2 instead of 1 (and $\chi = 1$), it grows like $L^2$. In general "
            r"like $L^\rho$: a power of the depth, where without skip connections it was the "
            r"power $\rho^L$.",
            r"Pre-LN: $\rho$ is an exponent",
        ),
        Step(
            Subs((gamma**2 + alpha**2 * sigma**2 * V) / q, q, gamma**2 + alpha**2 * sigma**2 * Q),
            (gamma**2 + alpha**2 * sigma**2 * V) / (gamma**2 + alpha**2 * sigma**2 * Q),
            r"With the norm behind the sum (post-LN), the stream is 1 in every layer and what the "
            r"norm divides by is the same everywhere. The factor is the same everywhere too: a "
            r"mixture of 1 and $\rho$.",
            "Post-LN",
        ),
        Step(
            Limit(((1 + V / depth) / (1 + Q / depth)) ** depth, depth, oo),
            sympy.exp(V - Q),
            r"So it is exponential again, if $V \ne Q$, unless the branches are made smaller with "
            r"depth. With $\alpha^2 \sigma_w^2 = 1/L$ the whole network multiplies by a bounded "
            r"factor, as in the derivation `residual`.",
            "Post-LN with small branches",
        ),
    )


_NAMES = ("linear", "relu", "gelu", "silu", "selu", "tanh", "erf", "sigmoid", "sin", "x**2", "x**3")


def _factors() -> Table:
    rows = []
    for name in _NAMES:
        size, slope = variance_map(name)(1.0), gradient_map(name)(1.0)
        log = math.log(slope / size)
        rows.append((f"`{name}`", f"{slope / size:.4f}", power_of_ten(50 * log)))
    return Table(
        r"What a normalised layer without biases multiplies the gradient's mean square by, and 50 "
        r"of them:",
        ("activation", r"$\rho = V/Q$", "50 layers"),
        tuple(rows),
    )


_PLACES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("norm, no skip connection", {"norm": "layer"}),
    ("pre-LN", {"norm": "layer", "residual": Residual()}),
    ("post-LN", {"norm": Norm("layer", "post"), "residual": Residual()}),
    (
        r"post-LN, branches $1/\sqrt{L}$",
        {"norm": Norm("layer", "post"), "residual": Residual("1/sqrt(depth)")},
    ),
)


def _placed(depth: int, act: str = "tanh") -> list[tuple[str, NDArray[np.float64]]]:
    """ln of the gradient that many layers below the last, by the norm's place."""
    made = []
    for label, extras in _PLACES:
        net = Network(depth + 1, act=act, sigma_w=1.0, **extras)
        made.append((label, predict(net, variance_map(act)(1.0)).log_gradient[-2::-1]))
    return made


def _places() -> Table:
    return by_depth(
        r"Tanh with $\sigma_w = 1$ ($\rho = 1.18$), 1000 layers: the mean square of the gradient "
        r"that many layers below the last, which has 1. (The input is as large as any layer's "
        r"activations.)",
        "place",
        _placed(1000),
        (1, 10, 100, 1000),
    )


def _picture() -> Figure:
    layers = np.arange(1, 101)
    return Figure(
        "places",
        r"The gradient below the last layer, tanh with $\sigma_w = 1$, by the place of the norm.",
        "layers below the last",
        "$g$",
        tuple(Curve.of(label, layers, np.exp(log)) for label, log in _placed(100)),
        x_scale="log",
        y_scale="log",
    )


_PRACTICE = r"""- Under a norm the scale of the weights in front of it makes no difference to signal
  or gradient. It still sets the size of a weight's own gradient, which is inversely proportional,
  and so the effective learning rate.
- Deep stacks with norms and without skip connections want $V = Q$: ReLU, not tanh. Biases help: a
  share of the variance that is bias divides the gradient without multiplying it.
- Pre-LN residual networks need no scale for their branches: signal and gradient change like powers
  of the depth. Late layers count for less and less, since the stream they add to has grown.
- Post-LN keeps all layers equally important, and pays with an exponential unless the branches are
  scaled down with depth."""

_SOURCES = (
    "J. L. Ba, J. R. Kiros and G. E. Hinton, *Layer Normalization*, arXiv 1607.06450.",
    "B. Zhang and R. Sennrich, *Root Mean Square Layer Normalization*, NeurIPS 2019, arXiv "
    "1910.07467.",
    "R. Xiong et al., *On Layer Normalization in the Transformer Architecture*, ICML 2020, arXiv "
    "2002.04745: pre-LN and post-LN.",
    "G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein and S. S. Schoenholz, *A Mean Field Theory "
    "of Batch Normalization*, ICLR 2019, arXiv 1902.08129: gradients explode under a norm, "
    "whatever the weights.",
)


def derivation() -> Derivation:
    """Norms: mean squares of 1, gradients of V/Q, and the places where a norm may stand.

    Examples
    --------
    >>> derivation().result.right
    V/Q
    """
    return Derivation(
        name="norm",
        title="LayerNorm and RMSNorm: the gradient pays",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_signal(), *_slopes(), *_layers(), *_residual()),
        result=Step(
            Subs(sigma**2 * V * (1 / q), q, sigma**2 * Q),
            V / Q,
            r"Under a norm, a layer without biases and skip connections multiplies the gradient's "
            r"mean square, whatever the scale of its weights, by",
            "The result",
        ),
        tables=(_factors(), _places()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_picture(),),
    )
