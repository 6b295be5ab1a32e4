"""ReLU's factor of 2."""

from __future__ import annotations

import math

import sympy
from sympy import Integral, Max, Product, Rational, Subs, Sum, oo, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..gaussian import K, x
from ..predict import predict
from ..proof import Mean, NormalDensity

__all__ = ["derivation"]

n, N, L = sympy.symbols("n N L", integer=True, positive=True)
v, g, a = sympy.symbols("v g a", positive=True)
p, f = sympy.symbols("p f", positive=True)
r, t = sympy.symbols("r t", real=True)
j, layer = sympy.symbols("j l", integer=True)

_CLAIM = (
    r"A ReLU halves the mean square of its input: $\operatorname{E}\,\mathrm{relu}(z)^2 = \frac12 "
    r"\operatorname{Var} z$ for every $z$ whose law is symmetric about 0. A ReLU network therefore "
    r"keeps its signal with weights of variance $2/n$, twice what a linear one needs (He's "
    r"initialisation), and with the same factor of 2 it keeps its gradient."
)
_MOTIVATION = (
    r"With weights of variance $1/n$, right for a linear network, a ReLU network of 30 layers is "
    r"left with a billionth of its signal's mean square. The cure is a factor of 2 under a square "
    r"root, $\sqrt{2/n}$ for $\sqrt{1/n}$; its discovery in 2015 is what made plain networks of 30 "
    r"layers trainable. It is also a rare case in which a nonlinear network can be followed "
    r"exactly, at any width and any depth."
)
_ASSUMPTIONS = (
    r"The weights of a layer are independent of each other and of the layers below, with a law "
    r"that is symmetric about 0 and has variance $v$. There are no biases.",
    r"$n$ is the number of inputs of a layer (fan-in), $K$ the variance of a pre-activation $z$ "
    r"given the layer below; $z$ is symmetric about 0, because its weights are.",
    r"Where a density is needed it is the normal one of variance $K$, $p_K(x) = e^{-x^2/2K} / "
    r"\sqrt{2 \pi K}$: exact for Gaussian weights, and the limit of large $n$ for the others. The "
    r"factor $\frac12$ itself needs only the symmetry (steps 1 and 2).",
    r"For the way back: the gradient that arrives from above is taken as independent of the signs "
    r"of the pre-activations it meets.",
)


def _forward() -> tuple[Step, ...]:
    normal = NormalDensity(x, K)
    return (
        Step(
            Max(x, 0) ** 2 + Max(-x, 0) ** 2,
            x**2,
            r"Let $x$ be a value of $z$, and $\mathrm{relu}(x) = \max(0, x)$. A number is positive "
            r"or negative: one of $\mathrm{relu}(x)$ and $\mathrm{relu}(-x)$ is 0, the other is "
            r"$|x|$. So their squares share $x^2$ between them.",
            "Split a square in two",
        ),
        Step(
            Subs(2 * a, a, K / 2),
            K,
            r"Take expectations. If $z$ is symmetric about 0, then $z$ and $-z$ have the same law, "
            r"and the two squares have the same expectation, say $a$. Step 1 becomes $2 a = "
            r"\operatorname{E} z^2 = K$, so $a$ is half the variance. Nothing was assumed about "
            r"the law but its symmetry.",
            "Symmetry makes the two parts equal",
        ),
        Step(
            Integral(Max(x, 0) ** 2 * normal, (x, -oo, oo)),
            K / 2,
            r"The same for a normal law, by integration: the negative half line contributes "
            r"nothing, the positive one half of the second moment.",
            "The integral, for a normal law",
        ),
        Step(
            Subs(Sum(v * a, (j, 1, n)), a, K / 2),
            n * v * K / 2,
            r"The next layer adds up $n$ such units. By the linear case (derivation `linear`) its "
            r"variance is $n v$ times the mean square of its inputs, which step 2 has just given.",
            "The next layer",
        ),
        Step(
            Subs(n * v * K / 2, v, 2 / n),
            K,
            r"The variance stays what it was if $\frac12 n v = 1$, which is equation (10) of He et "
            r"al.: $v = 2/n$.",
            "The variance that keeps the signal",
        ),
        Step(
            Subs(sqrt(v), v, 2 / n),
            1 / sqrt(sympy.UnevaluatedExpr(n / 2)),
            r"As a standard deviation: draw standard normal numbers and divide by $\sqrt{n/2}$ "
            r"where a linear layer would divide by $\sqrt n$. One may read it so: on average half "
            r"of the $n$ inputs are 0, and only the other $n/2$ count.",
            "As a standard deviation",
        ),
        Step(
            Product(Subs(n * v / 2, v, 1 / n), (layer, 1, L)),
            Rational(1, 2) ** L,
            r"With $v = 1/n$ instead (LeCun's, or on equal widths Xavier's initialisation) every "
            r"layer loses one half.",
            r"What $1/n$ does over $L$ layers",
        ),
    )


def _backward_and_scatter() -> tuple[Step, ...]:
    normal = NormalDensity(x, K)
    slope = sympy.Heaviside(x, Rational(1, 2))
    ratio = (p**2 + (f - p**2) / n) / p**2
    return (
        Step(
            Integral(slope**2 * normal, (x, -oo, oo)),
            Rational(1, 2),
            r"Now the way back. A gradient that passes a ReLU is multiplied by its slope, the "
            r"step function $\theta$: 1 where $z > 0$, 0 where $z < 0$. Its mean square, again, is "
            r"one half.",
            "The slope's mean square",
        ),
        Step(
            Subs(Sum(v * g * a, (j, 1, N)), a, Rational(1, 2)),
            N * v * g / 2,
            r"Each unit collects the gradients, of mean square $g$, of the $N$ units it feeds: $N$ "
            r"is the number of *outputs* of the layer (fan-out), and the factor of a step back is "
            r"$\frac12 N v$.",
            "One layer back",
        ),
        Step(
            Subs(N * v / 2, v, 2 / n),
            N / n,
            r"He's weights give a factor of $N/n$ per layer. On equal widths it is 1. On unequal "
            r"ones the fan-out of a layer is the fan-in of the next, so the product over many "
            r"layers telescopes to the ratio of the last and the first width: bounded, however "
            r"deep the network. That is why fan-in is good enough for both directions.",
            "The gradient under He's weights",
        ),
        Step(
            Integral(Max(x, 0) ** 4 * normal, (x, -oo, oo)),
            3 * K**2 / 2,
            r"How far does a single network scatter about these means? That is asked of the fourth "
            r"moment: half of the normal law's $3K^2$.",
            "The fourth moment",
        ),
        Step(
            Mean((n * r**2 + n * (n - 1) * r * t) / n**2, (r, p, f), (t, p, f)),
            p**2 + (f - p**2) / n,
            r"The mean square of a layer is the average of $n$ independent values "
            r"$\mathrm{relu}(z)^2$, each of mean $p$ and mean square $f$. Squaring the average "
            r"gives $n$ products of a value $r$ with itself and $n(n-1)$ products of two different "
            r"ones, $r$ and $t$.",
            "The square of an average",
        ),
        Step(
            Subs(ratio, (p, f), (K / 2, 3 * K**2 / 2)),
            1 + 5 / n,
            r"So in one layer the mean of the square exceeds the square of the mean by this "
            r"factor.",
            "One layer of one network",
        ),
        Step(
            Product(1 + 5 / n, (layer, 1, L)),
            (1 + 5 / n) ** L,
            r"For Gaussian weights the factor is the same whatever $K$ the layers below have made, "
            r"so with equal widths $n$ the factors of $L$ layers multiply: what counts is depth "
            r"over width.",
            "All layers of one network",
        ),
    )


def _means() -> Table:
    width, depths = 1000, (10, 50, 200)
    rows = [
        (r"$2/n$ (`he`)", "he"),
        (r"$1/n$ (`lecun`; on equal widths also `xavier`)", "lecun"),
        (r"$1/(3n)$ (PyTorch's default, without its biases)", "uniform, 0.3333333333333333/fan_in"),
        (r"$2.2/n$ (10 % too much)", f"sigma_w={math.sqrt(2.2)!r}"),
    ]
    cells = []
    for label, scheme in rows:
        net = Network(200, width=width, act="relu", scheme=scheme)
        log = predict(net, 1.0).log_activation
        cells.append((label, *(power_of_ten(float(log[depth - 1])) for depth in depths)))
    return Table(
        f"The expected mean square of a ReLU layer's output, for an input of mean square 1 and "
        f"equal widths (it does not depend on the width; computed at $n = {width}$):",
        ("variance of the weights", *(f"depth {depth}" for depth in depths)),
        tuple(cells),
    )


def _scatter() -> Table:
    depths = (10, 50, 200)
    cells = [
        (f"$n = {n}$", *(power_of_ten(depth * math.log1p(5 / n)) for depth in depths))
        for n in (50, 200, 1000, 10000)
    ]
    return Table(
        r"The scatter under He's weights: $(1 + 5/n)^L$, the mean of the square over the square of "
        "the mean. Near 1 all networks do the same; far above 1 the mean is made by a few "
        "networks with a huge signal, and a typical one is far below it:",
        ("width", *(f"depth {depth}" for depth in depths)),
        tuple(cells),
    )


_PRACTICE = r"""- With ReLU use `scheme="he"`: variance 2/fan_in. At depth 10 the factor 1 costs
  three digits, at depth 50 fifteen, at depth 200 sixty. In float32 the mean square is 0 from
  depth 150 on.
- Ten per cent too much is no small matter either: the factor is taken to the power of the depth.
- The result is one about *means*. At a depth that is not small against the width, a single network
  scatters widely (second table), and its typical signal lies below the mean. So `compare()` tests
  each layer against the one before, where the statement is exact at any width.
- The mean of $\mathrm{relu}(z)$ is not 0, and a mean square is not a variance: it is the mean
  square that the next layer sees, which is why it is the one to keep.
- A leaky ReLU of slope $\alpha$ halves less: by the same two lines its factor is
  $\frac12 (1 + \alpha^2)$. Smooth relatives such as GELU and SiLU halve only large signals and
  quarter small ones, so He's factor of 2 is wrong for them."""

_SOURCES = (
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers: Surpassing Human-Level "
    "Performance on ImageNet Classification*, ICCV 2015, arXiv 1502.01852: equation (10) forward, "
    "equation (14) backward.",
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: the linear argument that this one extends.",
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    "Networks*, arXiv 1812.05994: the scatter of a single network, governed by the sum of $5/n$ "
    "over the layers.",
)


def derivation() -> Derivation:
    """ReLU's factor of 2: E relu(z)^2 = Var z / 2, so Var w = 2/n; backward too.

    Examples
    --------
    >>> derivation().result.right
    K*n*v/2
    """
    return Derivation(
        name="relu",
        title="ReLU's factor of 2",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_forward(), *_backward_and_scatter()),
        result=Step(
            n * v * Integral(Max(x, 0) ** 2 * NormalDensity(x, K), (x, -oo, oo)),
            n * v * K / 2,
            r"The variance map of a ReLU layer: weights of variance $v$ and fan-in $n$ turn a "
            r"pre-activation variance $K$ into",
            "The result",
        ),
        tables=(_means(), _scatter()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
