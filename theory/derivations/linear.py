"""Why 1/sqrt(n): the linear case."""

from __future__ import annotations

import sympy
from sympy import Integral, Product, Rational, Subs, Sum, UnevaluatedExpr, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..predict import predict
from ..proof import Mean

__all__ = ["derivation"]

n, L = sympy.symbols("n L", integer=True, positive=True)
v, q = sympy.symbols("v q", positive=True)
w, m, s = sympy.symbols("w m s", real=True)
S = sympy.Symbol("S", real=True)
j, layer = sympy.symbols("j l", integer=True)
h = sympy.IndexedBase("h", real=True)

_CLAIM = (
    r"A unit that adds up $n$ inputs, $z = \sum_{j=1}^n w_j h_j$, with independent weights of mean "
    r"0, has $\operatorname{Var} z = n \operatorname{Var} w \cdot q$, where $q$ is the mean square "
    r"of its inputs. The signal keeps its size if and only if $\operatorname{Var} w = 1/n$: a "
    r"standard deviation of $1/\sqrt n$."
)
_MOTIVATION = (
    r"Whatever a layer does to the size of its signal, the next layer does again. A factor of 0.9 "
    r"per layer looks harmless and leaves $10^{-9}$ of the signal after 200 layers; a factor of "
    r"1.1 makes it $10^{8}$ times as large. The only factor that survives depth is 1, so it is "
    r"worth knowing exactly where the factor comes from. Without an activation function the answer "
    r"takes a few lines, and almost everything of it carries over to the nonlinear case."
)
_ASSUMPTIONS = (
    r"The weights $w_j$ are independent, with mean 0 and variance $v$. Their law doesn't matter.",
    r"The weights are independent of the inputs $h_j$, as the fresh weights of a layer are "
    r"independent of what the layers below have computed. The inputs themselves may be anything; "
    r"they are held fixed here, and $q = \frac1n \sum_j h_j^2$ is their mean square. For "
    r"standardised inputs $q$ is 1 on average.",
    r"There are no biases. (A bias of variance $\sigma_b^2$ would add $\sigma_b^2$.)",
)


def _steps() -> tuple[Step, ...]:
    return (
        Step(
            Mean((w * h[1]) ** 2, (w, 0, v)),
            v * h[1] ** 2,
            r"Start with a single input. It is a given number, so it comes out of the expectation; "
            r"and since $w$ has mean 0, $\operatorname{E} w^2$ is the variance $v$.",
            "One weight",
        ),
        Step(
            Mean((S + w * h[n]) ** 2, (S, m, s), (w, 0, v)),
            s + v * h[n] ** 2,
            r"Now add an input to a sum $S$ that is there already, whose mean $m$ and mean square "
            r"$s = \operatorname{E} S^2$ may be anything. In $S^2 + 2 S w h_n + w^2 h_n^2$ the "
            r"middle term has expectation $2 m h_n \operatorname{E} w = 0$, because $w$ is "
            r"independent of $S$ and has mean 0. This is the heart of the matter: independent "
            r"errors don't add up, their *variances* do. So each further input adds its own "
            r"$v h_n^2$ and disturbs nothing.",
            "One input more",
        ),
        Step(
            Sum(v * h[j] ** 2, (j, 1, n)),
            n * v * UnevaluatedExpr(Sum(h[j] ** 2, (j, 1, n)) / n),
            r"Steps 1 and 2 are the beginning and the induction step of a proof by induction: "
            r"$\operatorname{Var} z = \sum_{j=1}^n v h_j^2$. Taking $v$ out of the sum, and "
            r"dividing and multiplying by $n$, shows the mean square $q$ of the inputs (in "
            r"brackets). $n$ is the number of terms, which is the number of **inputs** of the unit "
            r"(fan-in). How many units the layer has does not occur.",
            "All $n$ inputs",
        ),
        Step(
            Subs(n * v * q, v, 1 / n),
            q,
            r"The variance of $z$ equals the mean square of the inputs if $n v = 1$.",
            "The variance that keeps the signal",
        ),
        Step(
            Subs(sqrt(v), v, 1 / n),
            1 / sqrt(n),
            r"Initialisers are usually called with a standard deviation. That is the square root "
            r"of the variance, and this is where $1/\sqrt n$ comes from.",
            "As a standard deviation",
        ),
        Step(
            Product(n * v, (layer, 1, L)),
            (n * v) ** L,
            r"The next layer sees the $z$ of this one as its input, with fresh weights, so the "
            r"argument applies again: in expectation over all weights, $L$ layers multiply the "
            r"mean square by the same factor $L$ times. Here everything but $n v = 1$ is punished "
            r"exponentially.",
            "Through $L$ layers",
        ),
        Step(
            Subs((n * v) ** L, v, 1 / sqrt(n)),
            n ** (L / 2),
            r"A common slip is to take $1/\sqrt n$ for the *variance*. The mean square then grows "
            r"by $\sqrt n$ in every layer.",
            "The slip of a square root",
        ),
        Step(
            Integral(w**2 * sqrt(n) / 2, (w, -1 / sqrt(n), 1 / sqrt(n))),
            1 / (3 * n),
            r"Another is to draw the weights *uniformly* from $\pm 1/\sqrt n$. The density is "
            r"$\sqrt n / 2$, and the variance comes out three times too small. (A uniform law of "
            r"variance $1/n$ is the one on $\pm\sqrt{3/n}$.)",
            r"The range $\pm 1/\sqrt n$",
        ),
        Step(
            Subs((n * v) ** L, v, 1 / (3 * n)),
            Rational(1, 3) ** L,
            r"So a linear network initialised from $\pm 1/\sqrt n$ loses two thirds of its mean "
            r"square in every layer.",
            "What that range does",
        ),
    )


def _table() -> Table:
    width, depths = 1000, (1, 10, 50, 200)
    rows = [
        (r"variance $1/n$ (`lecun`)", "sigma_w=1"),
        (r"range $\pm 1/\sqrt n$: variance $1/(3n)$ (`rashid`)", "rashid"),
        (r"variance $1/\sqrt n$", f"sigma_w={width**0.25!r}"),
        (r"standard deviation 0.01 (`normal(0.01)`)", "normal(0.01)"),
        (r"range $\pm 1$ (`uniform(-1,1)`)", "uniform(-1,1)"),
    ]
    cells = []
    for label, scheme in rows:
        log = predict(Network(200, width=width, act="linear", scheme=scheme)).log_variance
        cells.append((label, *(power_of_ten(float(log[depth - 1])) for depth in depths)))
    return Table(
        f"The mean square of the signal of a linear network of width $n = {width}$, after that "
        "many layers, for an input of mean square 1:",
        ("weights", *(f"depth {depth}" for depth in depths)),
        tuple(cells),
    )


_PRACTICE = r"""- Use a variance of $1/n$, $n$ the fan-in (`scheme="lecun"` or `sigma_w=1`), if the
  activation is close to linear where the signal lives, as tanh is near 0. ReLU needs $2/n$: see
  the derivation `relu`.
- The same count on the way back adds up the *outputs* of a layer, so a gradient keeps its size per
  unit for a variance of 1/fan_out. Where fan-in and fan-out differ one can't have both; Glorot and
  Bengio's $2/(\text{fan\_in} + \text{fan\_out})$ (`scheme="xavier"`) is a compromise.
- The equality holds at every width, but it is one of *expectations*. In a single network the ratio
  of two layers' mean squares scatters, the more the narrower the network.
- Small constant weights such as a standard deviation of 0.01 are no safe choice: they are right
  for one fan-in ($n = 10^4$), fade below it and explode above it."""

_SOURCES = (
    "Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, *Efficient BackProp*, in Neural Networks: "
    r"Tricks of the Trade, Springer 1998 (a standard deviation of $m^{-1/2}$, $m$ the fan-in).",
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010 (forward, backward, and the compromise between them).",
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers*, ICCV 2015, "
    "arXiv 1502.01852 (the same argument with ReLU).",
)


def derivation() -> Derivation:
    """The linear case: Var z = n Var w, so Var w = 1/n and a standard deviation of 1/sqrt(n).

    Examples
    --------
    >>> derivation().result.right
    n*q*v
    """
    return Derivation(
        name="linear",
        title=r"Why 1/√n: the linear case",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=_steps(),
        result=Step(
            Sum(v * q, (j, 1, n)),
            n * v * q,
            r"With $q$ for the mean square of the inputs, the $n$ inputs contribute $v q$ each on "
            r"average, and $\operatorname{Var} z$ is",
            "The result",
        ),
        tables=(_table(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
