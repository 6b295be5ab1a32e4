"""The range of 1/sqrt(n): a uniform law's variance is a third of its range squared."""

from __future__ import annotations

import numpy as np
import sympy
from sympy import Integral, Max, Product, Rational, Subs, Sum, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..figure import Curve, Figure, Overlay
from ..gaussian import K, x
from ..notation import NormalMean
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

n, L = sympy.symbols("n L", integer=True, positive=True)
r, v, q, alpha = sympy.symbols("r v q alpha", positive=True)
w = sympy.Symbol("w", real=True)
j, layer = sympy.symbols("j l", integer=True)

_THIRD = "uniform, 0.3333333333333333/fan_in"

_CLAIM = (
    r"Numbers drawn uniformly from $\pm r$ have variance $r^2/3$. The range $\pm 1/\sqrt n$ "
    r"therefore gives weights of variance $1/(3n)$, not $1/n$: a linear layer keeps a third of its "
    r"signal's mean square, a ReLU layer a sixth. The range that gives variance $1/n$ is "
    r"$\pm\sqrt 3/\sqrt n$; the one that suits ReLU is $\pm\sqrt 6/\sqrt n$."
)
_MOTIVATION = (
    r"'Initialise with $1/\sqrt n$' is advice with two readings. As a *standard deviation* it is "
    r"right for a linear network (derivation `linear`). As a *range* it is the rule of textbooks, "
    r"the heuristic that Glorot and Bengio found in common use, and to this day the default of "
    r"PyTorch's `nn.Linear`. The two differ by a factor of $\sqrt 3$, which sounds harmless, and "
    r"is one before it is taken to the power of the depth."
)
_ASSUMPTIONS = (
    r"The weights are independent and uniform between $-r$ and $r$: the density is $1/(2r)$ there "
    r"and 0 elsewhere.",
    r"$n$ is the number of inputs of a layer (fan-in), and $q$ their mean square. The weights are "
    r"independent of the inputs.",
    r"There are no biases, except where they are mentioned.",
    r"The ReLU steps take a pre-activation $x$ as normal with variance $K$; the factor $\frac12$ "
    r"they find needs only symmetry (derivation `relu`).",
)


def _variance() -> tuple[Step, ...]:
    density = 1 / (2 * r)
    return (
        Step(
            Integral(density, (w, -r, r)),
            sympy.Integer(1),
            r"The density must be $1/(2r)$: a rectangle of width $2r$ and area 1.",
            "The density of a uniform law",
        ),
        Step(
            Integral(w * density, (w, 0, r)),
            -Integral(w * density, (w, -r, 0)),
            r"Right of 0 and left of 0 contribute equal amounts of opposite sign to the mean. So "
            r"the mean is 0, and the variance is simply the mean square.",
            "The mean is 0",
        ),
        Step(
            Integral(w**2 * density, (w, -r, r)),
            r**2 / 3,
            r"Most of the numbers lie well inside the range, and small numbers have even smaller "
            r"squares: on average a square is a third of the largest one.",
            "The variance",
        ),
        Step(
            Subs(r**2 / 3, r, 1 / sqrt(n)),
            1 / (3 * n),
            r"So the range $\pm 1/\sqrt n$ gives a third of the variance that its $1/\sqrt n$ "
            r"seems to promise. This is Glorot and Bengio's equation (15).",
            r"The range $\pm 1/\sqrt n$",
        ),
        Step(
            Subs(r**2 / 3, r, sqrt(3 * v)),
            v,
            r"Read the other way round: to get the variance $v$, draw from $\pm\sqrt{3v}$.",
            "The range for a given variance",
        ),
        Step(
            Subs(sqrt(3 * v), v, 1 / n),
            sqrt(3) / sqrt(n),
            r"A linear network wants $v = 1/n$ (derivation `linear`), that is this range.",
            r"The range for variance $1/n$",
        ),
    )


def _layers() -> tuple[Step, ...]:
    relu = NormalMean(Max(x, 0) ** 2, x, K)
    torch_bound = sqrt(3) * sqrt(2 / (1 + alpha**2)) / sqrt(n)
    return (
        Step(
            Subs(Sum(v * q, (j, 1, n)), v, 1 / (3 * n)),
            q / 3,
            r"Now a layer. Its $n$ inputs contribute $v q$ each to the variance of a "
            r"pre-activation (derivation `linear`). With the range $\pm 1/\sqrt n$ two thirds of "
            r"the mean square are lost.",
            "One linear layer",
        ),
        Step(
            Product(Rational(1, 3), (layer, 1, L)),
            Rational(1, 3) ** L,
            r"The next layer does the same again, and so on: 10 layers leave less than a "
            r"fifty-thousandth.",
            r"$L$ linear layers",
        ),
        Step(
            Subs(n * v * relu, v, 1 / (3 * n)),
            K / 6,
            r"A ReLU halves the mean square on top of that.",
            "One ReLU layer",
        ),
        Step(
            Product(Rational(1, 6), (layer, 1, L)),
            Rational(1, 6) ** L,
            r"Sixfold less in every layer: in 10 layers the mean square falls by a factor of more "
            r"than sixty million. The gradient suffers the same factor per layer on its way back "
            r"(derivation `backward`), so it does not make good for it.",
            r"$L$ ReLU layers",
        ),
        Step(
            Subs(sqrt(3 * v), v, 2 / n),
            sqrt(6) / sqrt(n),
            r"ReLU wants weights of variance $2/n$ (derivation `relu`). As a range that is He's "
            r"uniform initialisation.",
            "The range for ReLU",
        ),
        Step(
            Subs(torch_bound, alpha, sqrt(5)),
            1 / sqrt(n),
            r"PyTorch's `nn.Linear` initialises itself by `kaiming_uniform_(weight, a=sqrt(5))`. "
            r"That function takes $a$ for the negative slope of a leaky ReLU, computes the gain "
            r"$\sqrt{2/(1 + a^2)}$ and draws from $\pm\sqrt 3\,\text{gain}/\sqrt n$. Nobody means "
            r"a leaky ReLU of slope $\sqrt 5$: the value was chosen to reproduce the older "
            r"default, which is the range of step 4.",
            "PyTorch's default",
        ),
        Step(
            Subs(1 / (3 * n) + K / 6, K, 2 / (5 * n)),
            2 / (5 * n),
            r"PyTorch also draws biases from $\pm 1/\sqrt n$, of variance $1/(3n)$. A ReLU layer "
            r"then makes $1/(3n) + K/6$ out of $K$, and that has a fixed point: $K = 2/(5n)$. So "
            r"the signal does not vanish; but what is left of it after a few layers is *made of "
            r"the biases*, and knows next to nothing of the input.",
            "What biases do about it",
        ),
    )


def _table() -> Table:
    depth, width = 50, 1000
    rows = [
        (r"linear, $\pm 1/\sqrt n$", "linear", _THIRD),
        (r"linear, $\pm\sqrt 3/\sqrt n$ (`lecun_uniform`)", "linear", "lecun_uniform"),
        (r"tanh, $\pm 1/\sqrt n$", "tanh", _THIRD),
        (r"ReLU, $\pm 1/\sqrt n$", "relu", _THIRD),
        (r"ReLU, $\pm 1/\sqrt n$ with biases (`torch`)", "relu", "torch"),
        (r"ReLU, $\pm\sqrt 6/\sqrt n$ (`he_uniform`)", "relu", "he_uniform"),
    ]
    return by_depth(
        "The mean square of the pre-activations, for an input of mean square 1 and a width of "
        f"$n = {width}$ in every layer:",
        "activation, range of the weights",
        (
            (label, predict(Network(depth, width=width, act=act, scheme=scheme)).log_variance)
            for label, act, scheme in rows
        ),
        (1, 2, 5, 10, 50),
    )


def _figure() -> Figure:
    layers = np.arange(1, 16)
    settings = (
        (r"ReLU, $\pm 1/\sqrt{n}$", "relu", _THIRD),
        (r"ReLU, $\pm 1/\sqrt{n}$ with biases", "relu", "torch"),
        (r"linear, $\pm 1/\sqrt{n}$", "linear", _THIRD),
        (r"ReLU, $\pm\sqrt{6}/\sqrt{n}$", "relu", "he_uniform"),
    )
    nets = [Network(len(layers), width=200, act=act, scheme=scheme) for _, act, scheme in settings]
    return Figure(
        "decay",
        "The mean square of the pre-activations by layer; points are networks of width 200. With "
        "PyTorch's biases the signal levels off where it consists of nothing but biases.",
        "layer $l$",
        "$q^l$",
        tuple(
            Curve.of(label, layers, predict(net).preactivation)
            for (label, _, _), net in zip(settings, nets, strict=True)
        ),
        tuple(Overlay("simulated", (net,), trials=50) for net in nets[:2]),
        y_scale="log",
    )


_PRACTICE = r"""- A *range* wants a factor of $\sqrt 3$ that a *standard deviation* does not:
  $\pm\sqrt{3/n}$ for a linear network or tanh near 0 (`scheme="lecun_uniform"`), $\pm\sqrt{6/n}$
  for ReLU (`scheme="he_uniform"`).
- With PyTorch's default a plain ReLU network of ten layers hardly sees its input. Either
  initialise explicitly, `torch.nn.init.kaiming_uniform_(weight, nonlinearity="relu")`, or have
  normalisation layers repair the scale, which is what hides the default in most networks.
- Shallow networks don't mind: the factor of one or two layers is made good for by a few steps of
  training. That is why the rule survives in textbooks.
- Mind which $n$. The variance of a sum counts the *inputs* of a unit. A program that takes the
  number of units of the layer itself (`scheme="rashid"`) draws the range $\pm 1/\sqrt{n}$ for a
  wrong $n$ unless all layers are equally wide."""

_SOURCES = (
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    r"networks*, AISTATS 2010: equation (1) the heuristic $\pm 1/\sqrt n$, equation (15) its "
    r"$n \operatorname{Var} w = \frac13$ and what follows from it.",
    "T. Rashid, *Make Your Own Neural Network*, 2016: the rule for beginners, a range of about one "
    "over the square root of the number of links into a node. (The book's program draws normal "
    "numbers of that *standard deviation*, which is three times the variance.)",
    "PyTorch, `torch.nn.Linear.reset_parameters` and `torch.nn.init.kaiming_uniform_`; the choice "
    r"of $a = \sqrt 5$ is discussed in issues 15314 and 57109 of its repository.",
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers*, ICCV 2015, "
    "arXiv 1502.01852: equation (10), the variance that ReLU wants.",
)


def derivation() -> Derivation:
    """The range of 1/sqrt(n) has variance 1/(3n): a third of the signal per linear layer.

    Examples
    --------
    >>> derivation().result.right
    1/(3*n)
    """
    return Derivation(
        name="uniform_range",
        title="The range ±1/√n: a factor of 3",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_variance(), *_layers()),
        result=Step(
            Integral(w**2 * sqrt(n) / 2, (w, -1 / sqrt(n), 1 / sqrt(n))),
            1 / (3 * n),
            r"The variance of weights drawn uniformly from $\pm 1/\sqrt n$ is",
            "The result",
        ),
        tables=(_table(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
