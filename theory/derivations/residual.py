"""Residual networks: why L branches want a scale of 1/sqrt(L)."""

from __future__ import annotations

import math

import numpy as np
import sympy
from sympy import Derivative, Heaviside, Limit, Max, Product, Rational, Subs, log, oo, pi, sqrt

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..gaussian import K, x
from ..maps import gradient_map, variance_map
from ..notation import Mean, NormalMean

__all__ = ["derivation"]

n, N, L = sympy.symbols("n N L", integer=True, positive=True)
alpha, g, q, u, v, b = sympy.symbols("alpha g q u v b", positive=True)
gamma, sigma, G, V = sympy.symbols("gamma sigma_w G V", positive=True)
X, F, m, y, delta, p, S, t = sympy.symbols("X F m y delta p S t", real=True)
layer = sympy.Symbol("l", integer=True, positive=True)
depth = sympy.Symbol("L", positive=True)  # the same L where a limit is taken

_CLAIM = (
    r"A residual block $x \mapsto x + \alpha F(x)$ multiplies mean squares by $1 + \alpha^2 g$, "
    r"where $g$ is the gain of its branch $F$. $L$ blocks make $(1 + \alpha^2 g)^L$: that explodes "
    r"for a fixed $\alpha$, and tends to the harmless $e^g$ for $\alpha = 1/\sqrt L$. A larger "
    r"scale explodes with depth, a smaller one makes the branches disappear."
)
_MOTIVATION = (
    r"Skip connections are said to cure vanishing gradients, and they do: a block's factor is "
    r"never below 1. But it is not 1 either, and $2^L$ is no better than $2^{-L}$. Residual "
    r"networks of hundreds of layers are trainable because something else keeps their branches "
    r"small: batch normalisation, by accident, or an initial scale, on purpose. The size that is "
    r"needed follows from the oldest limit of analysis."
)
_ASSUMPTIONS = (
    r"A block adds $\alpha$ times a branch to its input: $x' = x + \alpha F(x)$, $F(x) = W_2\, "
    r"\varphi(W_1 x)$. $W_1$ has $n$ inputs and variance $v$, $W_2$ has $N$ inputs and variance "
    r"$u$; all weights are independent, with laws symmetric about 0. There are no biases.",
    r"$q$ is the mean square of the components of $x$. For ReLU the statements about $q$ are exact "
    r"in expectation, at any width; for tanh the $N$ hidden pre-activations are taken as normal "
    r"(wide layers).",
    r"On the way back the arriving gradient is taken as independent of the weights it meets "
    r"(derivation `backward`).",
)


def _block() -> tuple[Step, ...]:
    return (
        Step(
            Mean((X + alpha * F) ** 2, (X, m, q), (F, 0, b)),
            q + alpha**2 * b,
            r"The weights $W_2$ are fresh and have mean 0, so whatever the input, a component of "
            r"the branch has mean 0, and the mixed term $2 \alpha X F$ vanishes on average. The "
            r"mean squares add up. ($b$ is that of the branch.)",
            "Signal and branch add up in the square",
        ),
        Step(
            Subs(N * u * NormalMean(Max(x, 0) ** 2, x, K), K, n * v * q),
            n * N * u * v / 2 * q,
            r"What is $b$? $W_1$ makes pre-activations of variance $n v q$, a ReLU halves it "
            r"(derivation `relu`), $W_2$ adds up $N$ of them. So $b = g q$, with the gain $g = "
            r"\frac12 n N u v$.",
            "The gain of a ReLU branch",
        ),
        Step(
            Subs(n * N * u * v / 2, (v, u), (2 / n, 1 / N)),
            sympy.Integer(1),
            r"For instance He's weights in front of the ReLU and LeCun's behind it: a branch of "
            r"gain 1, as large as its input.",
            "A branch of gain 1",
        ),
        Step(
            Product(Subs(1 + alpha**2 * b / q, b, g * q), (layer, 1, L)),
            (1 + alpha**2 * g) ** L,
            r"The factor of one block does not depend on $q$, so $L$ blocks multiply by its power.",
            r"$L$ blocks",
        ),
        Step(
            n * N * u * v * NormalMean(Heaviside(x), x, K),
            n * N * u * v / 2,
            r"A gradient on its way back meets the same weights in the other order: $W_2$ and its "
            r"$n$ outputs, the slope's mean square of $\frac12$, and $W_1$ with its $N$ outputs. "
            r"The gain is the same $g$, and so is all that follows: signal and gradient share "
            r"their fate.",
            "The way back",
        ),
    )


def _scale() -> tuple[Step, ...]:
    total = 1 + alpha**2 * g
    return (
        Step(
            Subs(total**L, (alpha, g), (1, 1)),
            2**L,
            r"Without a scale, $\alpha = 1$, a branch of gain 1 doubles the mean square in every "
            r"block. A hundred blocks make $10^{30}$.",
            "No scale",
        ),
        Step(
            Limit(Subs(total**depth, alpha, 1 / sqrt(depth)), depth, oo),
            sympy.exp(g),
            r"With $\alpha = 1/\sqrt L$ each block adds a share of $g/L$, and the product is the "
            r"limit that defines the exponential function: bounded, however many blocks.",
            r"The scale $1/\sqrt L$",
        ),
        Step(
            Limit(depth * (g - depth * log(1 + g / depth)), depth, oo),
            g**2 / 2,
            r"It is reached from below and quickly: the logarithm of the factor is $g - g^2/2L$ "
            r"and smaller terms. At $L = 10$ and $g = 1$ it is 2.59, at $L = 100$ 2.70, in the "
            r"limit $e = 2.718$.",
            "How close that is",
        ),
        Step(
            Limit(log(Subs(total, alpha, depth ** Rational(-1, 4))) * sqrt(depth), depth, oo),
            g,
            r"A larger scale won't do. For $\alpha = L^{-1/4}$ the logarithm of a block's factor "
            r"is about $g/\sqrt L$, so that of $L$ blocks is $g \sqrt L$, which has no bound.",
            "Larger scales explode",
        ),
        Step(
            Limit(log(Subs(total, alpha, 1 / depth)) * depth**2, depth, oo),
            g,
            r"A smaller one is safe, and useless: for $\alpha = 1/L$ the logarithm over all blocks "
            r"is $g/L$. In the limit the whole network does nothing but hand on its input. Of the "
            r"powers of $L$, only $1/\sqrt L$ gives all branches together a share that is neither "
            r"everything nor nothing.",
            "Smaller scales switch the branches off",
        ),
    )


def _one_matrix() -> tuple[Step, ...]:
    gain = gamma**2 + alpha**2 * sigma**2 / 2
    return (
        Step(
            Mean(
                (gamma * X + alpha * F) ** 2,
                (X, m, q),
                (F, 0, sigma**2 * NormalMean(Max(x, 0) ** 2, x, q)),
            ),
            (gamma**2 + alpha**2 * sigma**2 / 2) * q,
            r"The leanest block has one matrix and weighs its skip connection too: $z' = \gamma z "
            r"+ \alpha W \varphi(z)$, with weights of variance $\sigma_w^2/n$. The stream is then "
            r"one of pre-activations. For ReLU $\alpha^2 g$ is now $\alpha^2 \sigma_w^2/2$, and "
            r"the skip connection's 1 is $\gamma^2$. (This one is for wide layers: the stream "
            r"keeps the signs of its components, so in narrow ones $\frac12$ is not exact.)",
            "One matrix, and a factor on the skip connection",
        ),
        Step(
            Mean(
                (gamma * delta + alpha * p * S) ** 2, (delta, m, G), (p, t, V), (S, 0, sigma**2 * G)
            ),
            (gamma**2 + alpha**2 * sigma**2 * V) * G,
            r"On the way back the gradient $\delta$ arrives by two roads: as it is, and through "
            r"weights and slopes, as $S = W^T \delta$ with $\operatorname{E} S = 0$. The mixed "
            r"term vanishes again.",
            "Two roads back",
        ),
        Step(
            Subs(gain, (gamma, sigma), (sqrt(1 - alpha**2), sqrt(2))),
            sympy.Integer(1),
            r"Now a block can be neutral: He's weights and $\gamma^2 + \alpha^2 = 1$ keep signal "
            r"and gradient at any depth. But the skip connection then fades like $\gamma^L$, and "
            r"with it what it was good for, unless $\alpha^2$ is again of order $1/L$.",
            "A neutral block",
            ranges=((alpha, 0, 1),),
        ),
        Step(
            Limit(Subs(gamma**depth, gamma, sqrt(1 - 1 / depth)), depth, oo),
            sympy.exp(-Rational(1, 2)),
            r"With $\alpha = 1/\sqrt L$ and $\gamma^2 = 1 - 1/L$, a share of $e^{-1/2}$ of the "
            r"input's own values arrives at the end.",
            "What is left of the input",
        ),
    )


def _saturating() -> tuple[Step, ...]:
    return (
        Step(
            sympy.Integral(1, (y, -1, 1)),
            sympy.Integer(2),
            r"Is a bounded activation not enough? Take a tanh branch of unit weights ($n v = N u = "
            r"1$) and $\alpha = 1$. It adds $\operatorname{E}\tanh^2 = 1 - \operatorname{E}(1 - "
            r"\tanh^2)$. The area under $1 - \tanh^2$, with $y = \tanh x$, $dy = (1 - y^2)\,dx$, "
            r"is 2, and a normal density is nowhere above $1/\sqrt{2\pi q}$: for large $q$ a block "
            r"adds $1 - \sqrt{2/\pi q}$ or more, that is nearly 1. So $q$ grows like $l$, not like "
            r"$2^l$.",
            "A branch that saturates",
        ),
        Step(
            sympy.Integral(1 - y**2, (y, -1, 1)),
            Rational(4, 3),
            r"The gradient's factor is $1 + V(q)$ with $V = \operatorname{E}(1 - \tanh^2)^2$. By "
            r"the same substitution the area is $\frac43$, and for large $q$, where the density is "
            r"flat over it, $V(q) \approx \frac43 / \sqrt{2\pi q}$.",
            "Its slopes",
        ),
        Step(
            Derivative(8 * sqrt(depth) / (3 * sqrt(2 * pi)), depth),
            Rational(4, 3) / sqrt(2 * pi * depth),
            r"With $q = L$ after $L$ blocks, the next one multiplies the gradient by $1 + V(L)$, "
            r"and the logarithm of all factors grows by about $V(L)$, the right side. What grows "
            r"so is $\frac{8}{3\sqrt{2\pi}} \sqrt L$: the gradient's mean square grows like "
            r"$e^{1.06 \sqrt L}$, much slower than $2^L$, faster than any power, and still "
            r"without a bound.",
            r"A gradient of $e^{\sqrt L}$",
        ),
        Step(
            Product(1 + 1 / layer, (layer, 1, L)),
            L + 1,
            r"A branch that *normalises* its input (LayerNorm or BatchNorm in front of a branch of "
            r"gain 1) adds 1 to $q$ in every block, whatever $q$: after $l - 1$ blocks, from $q = "
            r"1$, it is $l$. Dividing by $\sqrt q$ divides its slopes, too, so the gradient's "
            r"factor is about $1 + 1/l$, and over $L$ blocks it telescopes. That is how "
            r"normalisation makes unscaled residual networks trainable: late blocks count for "
            r"little.",
            "What normalisation does",
        ),
    )


_DEPTHS = (10, 100, 1000)
_SCALES = (
    (r"$\alpha = 1$", 0.0),
    (r"$\alpha = L^{-1/4}$", 0.25),
    (r"$\alpha = 1/\sqrt{L}$", 0.5),
    (r"$\alpha = 1/L$", 1.0),
)


def _log_factor(blocks: float, power: float) -> float:
    """ln (1 + alpha^2)^L for alpha = L^-power and a branch of gain 1."""
    return blocks * math.log1p(blocks ** (-2 * power))


def _scales() -> Table:
    return Table(
        r"What $L$ blocks multiply the mean square of signal and gradient by, for ReLU branches of "
        r"gain $g = 1$:",
        ("scale of the branches", *(f"$L = {blocks}$" for blocks in _DEPTHS)),
        tuple(
            (label, *(power_of_ten(_log_factor(blocks, power)) for blocks in _DEPTHS))
            for label, power in _SCALES
        ),
    )


def _tanh_blocks(blocks: int) -> tuple[float, float]:
    """Mean square of the signal, and ln of the gradient's growth, over tanh blocks from q = 1."""
    signal, slopes = variance_map("tanh"), gradient_map("tanh")
    size, growth = 1.0, 0.0
    for _ in range(blocks):
        growth += math.log1p(slopes(size))
        size += signal(size)
    return size, growth


def _tanh() -> Table:
    rows = []
    for blocks in (10, 50, 250):
        size, growth = _tanh_blocks(blocks)
        rows.append(
            (
                f"$L = {blocks}$",
                f"{size:.5g}",
                power_of_ten(growth),
                f"{growth:.4g}",
                f"{8 / (3 * math.sqrt(2 * math.pi)) * math.sqrt(blocks):.4g}",
            )
        )
    return Table(
        r"Tanh branches without a scale, from $q = 1$, by the exact maps: the signal's mean "
        r"square, the growth of the gradient's, its logarithm, and the leading term found above:",
        ("blocks", "$q$", "gradient", "its logarithm", r"$8\sqrt L/3\sqrt{2\pi}$"),
        tuple(rows),
    )


def _figure() -> Figure:
    curves = []
    for label, power in _SCALES:
        blocks = np.unique(np.geomspace(1, 1000, 60).round())
        size = np.exp(np.minimum([_log_factor(number, power) for number in blocks], 10))
        shown = size < 1e3
        curves.append(Curve.of(label, blocks[shown], size[shown]))
    return Figure(
        "scales",
        r"The mean square after $L$ residual blocks, input 1, ReLU branches of gain 1. Only "
        r"$1/\sqrt L$ is bounded and still does something.",
        "number of blocks $L$",
        "mean square",
        tuple(curves),
        x_scale="log",
        y_scale="log",
    )


_PRACTICE = r"""- Scale the branches of a plain residual network of $L$ blocks by $1/\sqrt L$, or
  multiply the variance of the last weights of each branch by $1/L$. The network then has a signal
  and a gradient within a factor of $e$ at any depth.
- For layers of one matrix with skip connections from one to the next (`Residual`) the gain to scale
  is $\sigma_w^2/2$: `residual=Residual("1/sqrt(depth)")` with He's weights.
- What counts is the *sum* of the branches' gains: with shares $a_l$ the factor is $\prod (1 + a_l)
  \le e^{\sum a_l}$. Not all need the same scale; a few strong blocks and many weak ones are as
  good.
- Starting the branches at 0 (Fixup's last layers, SkipInit's and ReZero's factors) is the extreme
  case: the network begins as the identity, and training chooses the scales.
- Normalisation layers inside the branches replace the exponential by a power of the depth. They
  don't make it 1.
- A residual ReLU network also scatters less from one draw to the next, since in each block only
  a share of $1/L$ is random: at $\alpha = 1/\sqrt L$ it does not get worse with depth."""

_SOURCES = (
    "K. He, X. Zhang, S. Ren and J. Sun, *Deep Residual Learning for Image Recognition*, CVPR "
    "2016, arXiv 1512.03385: residual blocks.",
    "B. Hanin and D. Rolnick, *How to Start Training: The Effect of Initialization and "
    "Architecture*, NeurIPS 2018, arXiv 1803.01719: in residual networks the sum of the branches' "
    "scales must stay bounded.",
    "S. Hayou, E. Clerico, B. He, G. Deligiannidis, A. Doucet and J. Rousseau, *Stable ResNet*, "
    r"AISTATS 2021, arXiv 2010.12859: the scale $1/\sqrt L$.",
    "G. Yang and S. S. Schoenholz, *Mean Field Residual Networks: On the Edge of Chaos*, NeurIPS "
    r"2017, arXiv 1712.08969: tanh branches, gradients of $e^{\Theta(\sqrt L)}$.",
    "M. Taki, *Deep Residual Networks and Weight Initialization*, arXiv 1709.02956: variances of "
    "order $1/L$.",
    "S. De and S. L. Smith, *Batch Normalization Biases Residual Blocks Towards the Identity "
    "Function in Deep Networks*, NeurIPS 2020, arXiv 2002.10444: normalisation as a scale.",
)


def derivation() -> Derivation:
    """Residual blocks: (1 + alpha^2 g)^L, and why alpha = 1/sqrt(L).

    Examples
    --------
    >>> derivation().result.right
    exp(g)
    """
    return Derivation(
        name="residual",
        title="Residual networks: why 1/√L",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_block(), *_scale(), *_one_matrix(), *_saturating()),
        result=Step(
            Limit((1 + g / depth) ** depth, depth, oo),
            sympy.exp(g),
            r"$L$ blocks with branches of gain $g$, scaled by $1/\sqrt L$, multiply mean squares "
            r"by a factor that stays bounded:",
            "The result",
        ),
        tables=(_scales(), _tanh()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
