"""Xavier: the compromise between the fan-in that a signal wants and the fan-out of a gradient."""

from __future__ import annotations

import sympy
from sympy import Derivative, Integral, Max, Product, Rational, Subs, Sum, sqrt, tanh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..gaussian import K, x
from ..notation import NormalMean
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

n, N, L = sympy.symbols("n N L", integer=True, positive=True)
v, q, g, r, t = sympy.symbols("v q g r t", positive=True)
w = sympy.Symbol("w", real=True)
i, j, layer = sympy.symbols("i j l", integer=True)

_XAVIER = 2 / (n + N)

_CLAIM = (
    r"A linear layer of $n$ inputs and $N$ outputs keeps its signal if its weights have variance "
    r"$1/n$, and its gradient if they have variance $1/N$. Xavier's initialisation takes the "
    r"harmonic mean of the two, $2/(n + N)$: then the factors of the two directions, "
    r"$2n/(n+N)$ and $2N/(n+N)$, average to 1."
)
_MOTIVATION = (
    r"It is the default of Keras and the initialisation that most textbooks name. Where all layers "
    r"are equally wide it is just $1/n$. Where they are not, it is a compromise, and a compromise "
    r"deserves a bill: what exactly does each direction pay, and does it add up with depth?"
)
_ASSUMPTIONS = (
    r"The weights of a layer of $n$ inputs (fan-in) and $N$ outputs (fan-out) are independent, "
    r"with mean 0 and variance $v$, and independent of the inputs.",
    r"The layer is linear, or its activation acts on the small values it meets by a slope of 1, as "
    r"tanh does near 0. There are no biases.",
    r"$q$ is the mean square of the inputs, $g$ that of the gradients that come back to the "
    r"outputs.",
)


def _compromise() -> tuple[Step, ...]:
    return (
        Step(
            Sum(v * q, (j, 1, n)),
            n * v * q,
            r"Forward, each of the $N$ units adds up $n$ inputs (derivation `linear`): the factor "
            r"is $n v$.",
            "Forward: inputs are added up",
        ),
        Step(
            Sum(v * g, (i, 1, N)),
            N * v * g,
            r"Backward, each of the $n$ inputs collects the gradients of the $N$ units it feeds "
            r"(derivation `backward`): the factor is $N v$.",
            "Backward: outputs are added up",
        ),
        Step(
            Subs(n * v, v, 1 / N),
            n / N,
            r"One wants $v = 1/n$, the other $v = 1/N$. What is right for the gradient makes the "
            r"signal wrong by the ratio of the widths. Unless the layer is square one can't have "
            r"both.",
            "Both can't be had",
        ),
        Step(
            Subs((n * v + N * v) / 2, v, _XAVIER),
            sympy.Integer(1),
            r"Glorot and Bengio's way out, their equation (12): let the two factors be 1 *on "
            r"average*.",
            "The compromise",
        ),
        Step(
            Subs(2 / (1 / r + 1 / t), (r, t), (1 / n, 1 / N)),
            _XAVIER,
            r"That is the harmonic mean of the two variances one would like to have.",
            "A harmonic mean",
        ),
        Step(
            Subs(sqrt(3 * v), v, _XAVIER),
            sqrt(6) / sqrt(n + N),
            r"Drawn uniformly, a variance $v$ needs the range $\pm\sqrt{3 v}$ (derivation "
            r"`uniform_range`). This is where the famous $\sqrt 6$ comes from: equation (16).",
            r"Where $\sqrt 6$ comes from",
        ),
    )


def _bill() -> tuple[Step, ...]:
    pair = 4 * n * N / (n + N) ** 2
    return (
        Step(
            Subs(n * v, v, _XAVIER),
            2 * n / (n + N),
            r"Now the bill. Forward: a layer that narrows ($n > N$) enlarges the signal, by at "
            r"most 2; one that widens shrinks it.",
            "What the signal pays",
        ),
        Step(
            Subs(N * v, v, _XAVIER),
            2 * N / (n + N),
            r"Backward the other way round. The two factors add up to 2.",
            "What the gradient pays",
        ),
        Step(
            Subs(n * v, v, _XAVIER) * Subs(N * v, v, _XAVIER),
            pair,
            r"And it does add up with depth. Take layers that alternate between widths $n$ and "
            r"$N$, as bottlenecks do. A pair of them, $n \to N \to n$, multiplies the signal by "
            r"the product of the two factors, and so it does with the gradient on its way back. "
            r"The product is below 1 for every $N \ne n$, because $(n + N)^2$ exceeds $4 n N$ by "
            r"$(n - N)^2$: both directions lose.",
            "A bottleneck pays twice",
        ),
        Step(
            Product(Subs(pair, N, 4 * n), (layer, 1, L)),
            Rational(16, 25) ** L,
            r"With a bottleneck of one quarter of the width, each pair keeps 64 % in both "
            r"directions. Fifty pairs keep $2\times 10^{-10}$.",
            r"$L$ bottlenecks of a quarter",
        ),
        Step(
            Subs(N * v, v, 1 / n) * Subs(n * v, v, 1 / N),
            sympy.Integer(1),
            r"With fan-in alone the signal is kept in every layer, and the gradient's factors "
            r"$N/n$ and $n/N$ cancel over the pair. They always do: they telescope (derivation "
            r"`backward`). So at depth the compromise is worse than either side of it.",
            "Fan-in does not",
        ),
        Step(
            Subs(n * v, v, 1 / sqrt(n * N)),
            sqrt(n) / sqrt(N),
            r"There is a compromise that costs nothing with depth: the *geometric* mean of $1/n$ "
            r"and $1/N$. Both factors are square roots of ratios of widths, so both telescope, "
            r"and both directions end up with the same bounded error.",
            "The geometric mean",
        ),
    )


def _activations() -> tuple[Step, ...]:
    return (
        Step(
            Subs(Derivative(tanh(x), x), x, 0),
            sympy.Integer(1),
            r"What about activations? tanh has slope 1 at 0, so small signals pass as through a "
            r"linear layer.",
            "tanh near 0",
        ),
        Step(
            Subs(n * v * NormalMean(Max(x, 0) ** 2, x, K), v, _XAVIER),
            K * n / (n + N),
            r"A ReLU halves the mean square, and Xavier's variance does nothing about it: on equal "
            r"widths the factor is $\frac12$ per layer (derivation `relu`).",
            "ReLU needs twice as much",
        ),
    )


def _table() -> Table:
    depth, widths = 100, [1000, 250] * 50 + [1000]
    rows = []
    for label, scheme in (
        (r"$1/n$, fan-in (`lecun`)", "lecun"),
        (r"$1/N$, fan-out (`normal, 1/fan_out`)", "normal, 1/fan_out"),
        (r"$2/(n + N)$ (`xavier`)", "xavier"),
    ):
        p = predict(Network(depth, widths=widths, act="linear", scheme=scheme))
        back = [*p.log_gradient[-2::-1], p.log_input_gradient]
        rows += [(f"{label}: signal", p.log_variance), (f"{label}: gradient", back)]
    return by_depth(
        "Layers that alternate between widths of 1000 and 250, linear, 100 of them: the mean "
        "square of the signal that many layers up, and of the gradient that many layers down from "
        "the last one; both are 1 at the start:",
        "variance of the weights",
        rows,
        (1, 2, 10, 50, 100),
    )


_PRACTICE = r"""- On equal widths Xavier is $1/n$ and as good as that: right for linear layers and
  for tanh, half of what ReLU needs.
- On unequal widths prefer fan-in for every layer (`scheme="lecun"`, `scheme="he"`): exact
  forward, and the gradient is off by no more than the ratio of two widths. The compromise loses in
  *both* directions, by a factor per layer.
- For a network of two or three layers the difference is a factor of 2 at most, and hardly worth a
  thought.
- `scheme="xavier_uniform"` draws from $\pm\sqrt 6/\sqrt{n + N}$, `scheme="xavier"` normal numbers
  of the same variance; `keras_glorot` cuts them off at two standard deviations and rescales."""

_SOURCES = (
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: equations (10) and (11) the two wishes, (12) the compromise, (16) "
    "the uniform law.",
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers*, ICCV 2015, "
    "arXiv 1502.01852: either wish alone is enough, section 2.2.",
    "A. Defazio and L. Bottou, *Beyond Folklore: A Scaling Calculus for the Design and "
    "Initialization of ReLU Networks*, arXiv 1906.04267: the geometric mean of the fans.",
)


def derivation() -> Derivation:
    """Xavier's 2/(fan_in + fan_out), and what the compromise costs.

    Examples
    --------
    >>> derivation().result.right
    2/(N + n)
    """
    edge = sqrt(6) / sqrt(n + N)
    return Derivation(
        name="xavier",
        title="Xavier's compromise: 2/(fan-in + fan-out)",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_compromise(), *_bill(), *_activations()),
        result=Step(
            Integral(w**2 / (2 * edge), (w, -edge, edge)),
            _XAVIER,
            r"Weights drawn uniformly from $\pm\sqrt 6/\sqrt{n + N}$ have the variance",
            "The result",
        ),
        tables=(_table(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
