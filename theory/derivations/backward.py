"""The way back: how a gradient's mean square passes a layer."""

from __future__ import annotations

import math

import sympy
from sympy import Derivative, Heaviside, Rational, Subs, Sum, cos, exp, sqrt

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..gaussian import K, x
from ..maps import gradient_map, variance_map
from ..notation import Mean, NormalDensity, NormalMean

__all__ = ["derivation"]

n, N = sympy.symbols("n N", integer=True, positive=True)
v, g, G, V, a, s, sigma, rho = sympy.symbols("v g G V a s sigma_w rho", positive=True)
w, S, m, t, r, p, c = sympy.symbols("w S m t r p c", real=True)
delta = sympy.Symbol("delta", real=True)
i, j, layer, depth = sympy.symbols("i j l L", integer=True)
width = sympy.IndexedBase("n", positive=True)

_CLAIM = (
    r"Let $g^l$ be the mean square of the gradient with respect to the pre-activations of layer "
    r"$l$. One layer back, $g^l = n_{l+1} \operatorname{Var} W^{l+1}\, V(K^l)\, g^{l+1}$ with "
    r"$V(K) = \operatorname{E}\varphi'(x)^2$, $x \sim N(0, K)$: the weights count with the number "
    r"of *outputs* $n_{l+1}$, the activation with the mean square of its *slope*."
)
_MOTIVATION = (
    r"A network learns from its gradients, so it is not enough that the signal survives: what is "
    r"sent back must survive too. The two are often treated as one question. They are not: forward "
    r"a layer multiplies by $\operatorname{E}\varphi^2$ and counts inputs, backward by "
    r"$\operatorname{E}\varphi'^2$ and counts outputs. Only for linear and ReLU-like layers do "
    r"both agree, and it is worth seeing why, and what exactly is assumed."
)
_ASSUMPTIONS = (
    r"A layer has $n$ units, the layer above it $N$; the $N \times n$ weights between them are "
    r"independent, with mean 0 and variance $v$.",
    r"The gradient $\delta_i$ with respect to a pre-activation of the layer above has mean square "
    r"$g$.",
    r"$K$ is the variance of the pre-activations of the layer itself, which are normal: "
    r"$p_K(x) = e^{-x^2/2K}/\sqrt{2\pi K}$.",
    r"*Gradient independence*: the weights and the slopes $\varphi'$ that a gradient meets are "
    r"taken as independent of the gradient that arrives. The last five steps say what that costs.",
)


def _one_layer() -> tuple[Step, ...]:
    return (
        Step(
            Mean((w * delta) ** 2, (w, 0, v), (delta, m, g)),
            v * g,
            r"By the chain rule the gradient of a unit's output is $\sum_i w_i \delta_i$: what the "
            r"units above received, sent back through the same weights. Start with one of them.",
            "One weight",
        ),
        Step(
            Mean((S + w * delta) ** 2, (S, t, s), (w, 0, v), (delta, m, g)),
            s + v * g,
            r"One more unit above adds its own $v g$ to whatever mean square $s$ the sum $S$ had: "
            r"the mixed term vanishes, because the weight has mean 0. This is the argument of the "
            r"forward pass (derivation `linear`), read in the other direction.",
            "One output more",
        ),
        Step(
            Sum(v * g, (i, 1, N)),
            N * v * g,
            r"So all $N$ units above contribute alike. $N$ is the number of **outputs** of the "
            r"weight matrix (fan-out), where the forward pass counts inputs.",
            "All $N$ outputs",
        ),
        Step(
            Mean((p * S) ** 2, (p, t, V), (S, m, N * v * g)),
            N * v * V * g,
            r"To get from the unit's output to its pre-activation the gradient is multiplied by "
            r"the slope $p = \varphi'(z)$, whose mean square is $V = V(K)$.",
            "Through the activation",
        ),
    )


def _fans() -> tuple[Step, ...]:
    return (
        Step(
            Subs(N * v * V * g, v, sigma**2 / N),
            sigma**2 * V * g,
            r"Weights of variance $\sigma_w^2/\text{fan-out}$ pass the mean square back with "
            r"factor $\sigma_w^2 V$, whatever the widths.",
            "Weights scaled by fan-out",
        ),
        Step(
            Subs(N * v * V * g, v, sigma**2 / n),
            N / n * sigma**2 * V * g,
            r"Weights of variance $\sigma_w^2/\text{fan-in}$ leave the ratio of the two widths. On "
            r"equal widths the factor is $\sigma_w^2 V$, the number called $\chi_1$.",
            "Weights scaled by fan-in",
        ),
        Step(
            Subs(g * width[layer + 1] / width[layer], g, width[depth] / width[layer + 1]),
            width[depth] / width[layer],
            r"These ratios telescope. If the layers above $l$ have collected $n_L/n_{l+1}$, one "
            r"layer more makes it $n_L/n_l$: every width in between cancels. So fan-in costs a "
            r"*bounded* factor, however deep the network.",
            "The ratios telescope",
        ),
        Step(
            Subs(n * (N * v * V * g), g, G / N),
            n * v * V * G,
            r"It costs nothing at all if one asks for the whole vector instead of one unit. Let "
            r"$G = N g$ be the squared length of the gradient above; that of the layer itself is "
            r"$n$ times its mean square. Now the **inputs** are counted again.",
            "The length of the gradient",
        ),
        Step(
            Subs(n * v * V * G, (v, V), (2 / n, Rational(1, 2))),
            G,
            r"For ReLU ($V = \frac12$) and He's weights ($v = 2/n$): the same weights that keep "
            r"the signal's mean square per unit keep the gradient's length, in expectation and "
            r"whatever the widths.",
            "He's weights",
        ),
        Step(
            Sum(Sum(g * a, (j, 1, n)), (i, 1, N)),
            N * g * n * a,
            r"What training uses is the gradient of the weights, $\delta_i h_j$. With $a$ for the "
            r"mean square of the $n$ inputs $h_j$, its squared length over the whole matrix is "
            r"$N g$, the squared length of the gradient, times $n a$, that of the input. With He's "
            r"weights both factors are kept, so equally wide layers learn at the same rate.",
            "The gradient of the weights",
        ),
        Step(
            NormalMean(cos(2 * x), x, K),
            exp(-2 * K),
            r"Forward a layer multiplies by $Q/K$, with $Q = \operatorname{E}\varphi^2$; backward "
            r"by $V$. Where the slope depends on the sign alone, $\varphi(x)^2 = x^2 "
            r"\varphi'(x)^2$, and the two are the same. Otherwise they are not. For a sine $V + Q "
            r"= 1$ and $V - Q = \operatorname{E}\cos 2x$, which vanishes for large $K$: then $V$ "
            r"is $\frac12$ and $Q/K$ is nearly 0. Weights that keep such a signal blow its "
            r"gradient up (first table).",
            "Forward and backward are two questions",
        ),
    )


def _independence() -> tuple[Step, ...]:
    given = v + c**2 * (x**2 - K)
    return (
        Step(
            Mean((c * x + r) ** 2, (r, 0, v - c**2 * K)),
            given,
            r"What does independence cost? The pre-activation $z = \sum_k w_k h_k$ of a unit above "
            r"and the weight $w$ in it are not independent. For Gaussian weights, $w = c z + r$ "
            r"with $c = \operatorname{Cov}(w, z)/\operatorname{Var} z = v h/K$ and a rest $r$ that "
            r"*is* independent of $z$. Given $z = x$, the weight's mean square is this.",
            "A weight, given what it made",
        ),
        Step(
            Subs(given, c, sqrt(rho * v / K)),
            v * (1 + rho * (x**2 / K - 1)),
            r"Since $K = v \sum_k h_k^2$, the ratio $\rho = v h^2/K = h^2/\sum_k h_k^2$ is the "
            r"share of this input in the squared length of all; on average over the inputs it is "
            r"$1/n$. In terms of it $c^2 = \rho v/K$.",
            "A share of the length",
        ),
        Step(
            Derivative(NormalDensity(x, K), K),
            (x**2 / K - 1) / (2 * K) * NormalDensity(x, K),
            r"Multiply by the squared slope and take the expectation over $z$. The factor $x^2/K - "
            r"1$ is one that the normal density produces itself when its variance grows, so "
            r"$\operatorname{E}\varphi'(x)^2 (x^2/K - 1) = 2 K V'(K)$. The exact factor of a "
            r"step back is $v (V + 2 \rho K V')$ instead of $v V$: independence is wrong by a "
            r"share of $2 K V'/(n V)$, which vanishes for wide layers.",
            "Where that share comes from",
        ),
        Step(
            NormalMean(Heaviside(x) * x**2 / K, x, K),
            Rational(1, 2),
            r"For a linear unit $V = 1$, and for a ReLU the squared slope is the step function "
            r"$\theta$, which knows the sign of $z$ but nothing of its size: with and without the "
            r"factor $x^2/K$ its mean is $\frac12$. $V' = 0$ in both cases: nothing is lost, at "
            r"any width.",
            "Nothing is lost for ReLU",
        ),
        Step(
            Heaviside(x) + Heaviside(-x),
            sympy.Integer(1),
            r"That is no accident of second moments. Flip the signs of all weights into a unit: "
            r"equally likely, and it turns the unit off if it was on. So whether a unit is on is a "
            r"fair coin, independent of its weights up to a common sign; and the signs can be "
            r"absorbed into the next, symmetric, weights. In law, the Jacobian of a ReLU network "
            r"*is* a product of matrices with independent random masks, up to signs.",
            "ReLU's masks are fair coins",
        ),
    )


_NAMES = ("linear", "relu", "leaky_relu(0.2)", "tanh", "erf", "sigmoid", "gelu", "selu", "sin")


def _factors() -> Table:
    rows = []
    for name in _NAMES:
        q, slope = variance_map(name)(1.0), gradient_map(name)(1.0)
        ratio = math.log(slope / q)
        rows.append(
            (f"`{name}`", f"{q:.4f}", f"{slope:.4f}", f"{slope / q:.4f}", power_of_ten(50 * ratio))
        )
    return Table(
        r"Forward and backward at $K = 1$. With $\sigma_w^2 = 1/Q$ the variance stays exactly 1, "
        r"and the gradient's mean square is multiplied by $V/Q$ in every layer (equal widths, no "
        r"biases):",
        ("activation", "$Q$", "$V$", "$V/Q$", "after 50 layers"),
        tuple(rows),
    )


def _costs() -> Table:
    rows = []
    for name in _NAMES:
        cost = 2 * gradient_map(name).log_slope(0.0)
        rows.append((f"`{name}`", *(f"{100 * cost / units:.3g} %" for units in (10, 100, 1000))))
    return Table(
        "What gradient independence is wrong by in one step back at $K = 1$, $2 K V'/(n V)$ in the "
        "mean square:",
        ("activation", "$n = 10$", "$n = 100$", "$n = 1000$"),
        tuple(rows),
    )


_PRACTICE = r"""- Choose fan-in or fan-out as you like, but one for all layers: either keeps one
  direction exactly and the other within the ratio of two widths.
- A gain that keeps the *signal* of a smooth activation does not keep its *gradient* (first
  table): in a network of 50 tanh layers with $\sigma_w^2 = 1/Q(1)$ they grow some
  thousandfold. What keeps both is a point where $\sigma_w^2 V = 1$: see the derivation
  `edge_of_chaos`.
- Gradients explode where $\chi_1 = \sigma_w^2 V > 1$ and vanish where it is below 1. At the edge
  it is 1.
- Gradient independence is a matter of *wide* layers, not of belief (second table); it needs an
  output layer that is drawn independently with mean 0, and weights that are used once. For linear
  and ReLU layers it is exact.
- The mean square of one weight's gradient is $g a$: it takes a large input *and* a large gradient
  for a layer to move fast."""

_SOURCES = (
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: the backward argument for nearly linear layers.",
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers*, ICCV 2015, "
    "arXiv 1502.01852: equation (14), and that fan-in or fan-out alone suffices.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    r"Propagation*, ICLR 2017, arXiv 1611.01232: $\chi_1$, and independence as an assumption.",
    "G. Yang, *Scaling Limits of Wide Neural Networks with Weight Sharing*, arXiv 1902.04760: when "
    "gradient independence holds in the limit of wide layers.",
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    "Networks*, arXiv 1812.05994: ReLU's independent masks.",
)


def derivation() -> Derivation:
    """The gradient's recursion: g^l = n_(l+1) Var W V(K^l) g^(l+1).

    Examples
    --------
    >>> derivation().result.right
    N*V*g*v
    """
    return Derivation(
        name="backward",
        title="The way back: slopes and fan-out",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_one_layer(), *_fans(), *_independence()),
        result=Step(
            V * Sum(v * g, (i, 1, N)),
            N * v * V * g,
            r"A layer whose slopes have mean square $V$ receives, from $N$ units above with "
            r"gradients of mean square $g$ and through weights of variance $v$, gradients of mean "
            r"square",
            "The result",
        ),
        tables=(_factors(), _costs()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
