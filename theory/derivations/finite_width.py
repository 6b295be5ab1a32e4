"""Finite width: how far single networks are from the average one, exactly and to first order."""

from __future__ import annotations

import math

import numpy as np
import sympy
from sympy import Integer, Max, Product, Rational, Subs, Sum, binomial, exp, tanh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..finite_width import dead_probability, predicted, vertex
from ..gaussian import K, x
from ..notation import Mean, NormalMean, SeriesOf
from ..scatter import relative_variance

__all__ = ["derivation"]

n, depth, layer, i, j = sympy.symbols("n L l i j", integer=True, positive=True)
s, t, f, c, V, F, Q, r = sympy.symbols("s t f c V F Q r", positive=True)
C = sympy.Symbol("sigma_w", positive=True) ** 2
y, d, e, G = sympy.symbols("y d e G", real=True)
slope, bend = sympy.symbols("q_1 q_2", real=True)

_RELU = 2 * Max(x, 0) ** 2  # a unit's square over its mean, at K = 1
_NOISE = C**2 * (F - Q**2)

_CLAIM = (
    r"At a finite width $n$ a layer multiplies the mean square by a *random* factor $X$ of mean 1 "
    r"(at critical weights), with $\operatorname{E} X^2 = 1 + 2/n$ for linear and $1 + 5/n$ for "
    r"ReLU layers. Over $L$ layers these multiply: $(1 + 5/n)^L$. Their logarithm drifts down, by "
    r"$1/n$ and $5/2n$ a layer. For any other activation the same is known to first order in $1/n$."
)
_MOTIVATION = (
    r"What the theory of wide networks predicts is an average over networks. One trains a single "
    r"network. Its signal may be far from the average if the network is deep and narrow, and what "
    r"counts is the ratio of depth to width. For linear and ReLU networks this can be followed "
    r"exactly, layer by layer, at any width."
)
_ASSUMPTIONS = (
    r"Weights are independent, normal, of variance $\sigma_w^2/n$; all layers have width $n$. "
    r"There are no biases up to step 10.",
    r"$a^l$ is the mean square over the units of layer $l$, in one network. Given the layer below, "
    r"the pre-activations are independent normals of variance $K = \sigma_w^2 a^{l-1}$.",
    r"For linear and ReLU layers $\varphi(\sqrt K g) = \sqrt K \varphi(g)$: with $g_i$ standard "
    r"normal, $a^l/a^{l-1} = X = \frac1n \sum_i Y_i$, where $Y = g^2$ (linear, $\sigma_w^2 = 1$) "
    r"or $Y = 2\,\mathrm{relu}(g)^2$ (ReLU, $\sigma_w^2 = 2$). These factors are independent of "
    r"each other, and of the input's direction.",
    r"Steps 10 to 17 are to first order in $1/n$, at a fixed depth.",
)


def _moments() -> tuple[Step, ...]:
    squares, pairs = Sum(f, (i, 1, n)), Sum(Sum(Integer(1), (j, 1, n - 1)), (i, 1, n))
    return (
        Step(
            (squares + pairs) / n**2,
            1 + (f - 1) / n,
            r"Let $f = \operatorname{E} Y^2$. In the square of $X = \frac1n \sum_i Y_i$ there are "
            r"$n$ squares and $n (n - 1)$ products of different, independent $Y$, of mean 1.",
            r"The square of an average",
        ),
        Step(
            Subs(1 + (f - 1) / n, f, NormalMean(x**4, x, 1)),
            1 + 2 / n,
            r"Linear: $Y = g^2$, and $\operatorname{E} g^4 = 3$.",
            "A linear layer",
        ),
        Step(
            Subs(1 + (f - 1) / n, f, NormalMean(_RELU**2, x, 1)),
            1 + 5 / n,
            r"ReLU: half of the units are 0, the others count twice, so $\operatorname{E} Y^2 = "
            r"\frac12 \cdot 4 \cdot 3 = 6$. Of the 5, 1 comes from *how many* units are on, and 4 "
            r"from how large they are.",
            "A ReLU layer",
        ),
        Step(
            Product(1 + (f - 1) / n, (layer, 1, depth)),
            (1 + (f - 1) / n) ** depth,
            r"The factors of different layers are independent: their mean squares multiply. That "
            r"is $\operatorname{E} (a^L)^2/(\operatorname{E} a^L)^2$, about $e^{(f - 1) L/n}$: "
            r"what counts is depth over width.",
            "Many layers",
        ),
        Step(
            Subs(f * NormalMean(x**4, x, 1), f, (1 + 5 / n) ** (layer - 1)),
            3 * (1 + 5 / n) ** (layer - 1),
            r"A pre-activation is $z = \sqrt K g$ with the random $K$ of the layer below, so "
            r"$\operatorname{E} z^4/(\operatorname{E} z^2)^2 = 3 \operatorname{E} "
            r"K^2/(\operatorname{E} K)^2$. Over many networks a unit is *not* normal: it has "
            r"heavy tails.",
            "The kurtosis of a unit",
        ),
    )


def _laws() -> tuple[Step, ...]:
    half = Rational(1, 2)
    drop = y - y**2 / 2
    return (
        Step(
            NormalMean(exp(-s * x**2), x, 1),
            (1 + 2 * s) ** (-half),
            r"The whole law. The Laplace transform of one square; its $n$-th power is that of a "
            r"sum of $n$: $n X$ is a $\chi^2$ number with $n$ degrees of freedom in a linear "
            r"layer.",
            "The law of a linear layer",
        ),
        Step(
            NormalMean(exp(-s * Max(x, 0) ** 2), x, 1),
            half + half * (1 + 2 * s) ** (-half),
            r"Of a ReLU unit: it is 0 with probability one half, and otherwise a square as before.",
            "A unit that is on or off",
        ),
        Step(
            Sum(binomial(n, j) * half**n * t**j, (j, 1, n)) + half**n,
            (half + half * t) ** n,
            r"The $n$-th power of that, with $t = (1 + 2s)^{-1/2}$, is a binomial mixture of "
            r"powers $t^j$: draw the number of active units $j$ by $n$ coins, then a $\chi^2$ "
            r"number with $j$ degrees of freedom. $\frac12 n X$ is distributed like that.",
            "The law of a ReLU layer",
        ),
        Step(
            Product(1 - half**n, (layer, 1, depth)),
            (1 - half**n) ** depth,
            r"The term with no active unit, $2^{-n}$, is a layer that is dead: it passes nothing, "
            r"for this input, ever. This is the probability that $L$ layers live.",
            "Networks that are dead",
        ),
        Step(
            Mean(drop, (y, 0, c / n)),
            -c / (2 * n),
            r"The logarithm. $X = 1 + y$ with a small $y$ of mean 0 and mean square $c/n$ ($c = "
            r"2$ or 5), and $\ln(1 + y) = y - \frac12 y^2 + \dots$: though $X$ is 1 on average, "
            r"its logarithm falls, by $1/n$ in a linear and $5/2n$ in a ReLU layer. A *typical* "
            r"network loses its signal slowly (derivation `log_normal`).",
            "The logarithm drifts down",
        ),
    )


def _first_order() -> tuple[Step, ...]:
    step = slope * d
    relu = (NormalMean(Max(x, 0) ** 4, x, K), NormalMean(Max(x, 0) ** 2, x, K))
    wave = (NormalMean(tanh(x) ** 4, x, K), NormalMean(tanh(x) ** 2, x, K))
    return (
        Step(
            Mean((C * step + e) ** 2, (d, 0, V / n), (e, 0, _NOISE / n)),
            (C**2 * slope**2 * V + _NOISE) / n,
            r"Any activation, with biases of variance $\sigma_b^2$: the next $K$ is $\sigma_b^2 + "
            r"\sigma_w^2 \frac1n \sum_i \varphi(\sqrt K g_i)^2$. *Given* $K$ its mean is "
            r"$\sigma_b^2 + \sigma_w^2 Q(K)$, exactly, and its variance $\sigma_w^4 (F - Q^2)/n$ "
            r"with $F = \operatorname{E} \varphi^4$: call the deviation $e$. If $K$ itself "
            r"deviates by $d$, of variance $V/n$, then $Q$ follows with its slope $q_1 = Q'$. So "
            r"$V' = \chi_\parallel^2 V + \sigma_w^4 (F - Q^2)$ with $\chi_\parallel = \sigma_w^2 "
            r"Q'$.",
            "The variance of the variance",
        ),
        Step(
            Mean(C * (step + bend * d**2 / 2), (d, G / n, V / n)),
            C * (slope * G + bend * V / 2) / n,
            r"The mean shifts too, by $G/n$: a curved $Q$ ($q_2 = Q''$) turns scatter into shift. "
            r"The two recursions are the four-point vertex and the next-to-leading metric of "
            r"Roberts, Yaida and Hanin.",
            "The mean shifts",
        ),
        Step(
            4 * (relu[0] - relu[1] ** 2),
            5 * K**2,
            r"Does it agree with the exact law? ReLU with $\sigma_w^2 = 2$ has $\chi_\parallel = "
            r"1$, so $V$ grows by this in every layer: $V = 5 (l - 1) K^2$ in layer $l$, starting "
            r"from 0 in the first.",
            "The noise of ReLU",
        ),
        Step(
            SeriesOf((1 + 5 * t) ** (layer - 1), t, 2),
            1 + 5 * (layer - 1) * t,
            r"And the exact $\operatorname{E} K^2/(\operatorname{E} K)^2$ is this, with $t = 1/n$.",
            "The exact law, to first order",
        ),
        Step(
            SeriesOf(wave[0] - wave[1] ** 2, K, 3),
            2 * K**2,
            r"Now tanh at its critical $\sigma_w = 1$, where $K \approx 1/2l$ is small. The noise "
            r"is that of a linear layer,",
            "The noise of tanh",
        ),
        Step(
            SeriesOf(((1 - 4 * K) * K / (K - 2 * K**2)) ** 2, K, 2),
            1 - 4 * K,
            r"but $Q = K - 2K^2$ bends: its slope is $1 - 4K$, while $K$ itself shrinks to $K - "
            r"2K^2$. The *relative* variance $r = V/K^2$ is multiplied by the square of $K Q'/Q$ "
            r"in a layer. With $K = 1/2l$ that is $1 - 2/l$.",
            "A restoring force",
        ),
        Step(
            Subs(r * (1 - 2 / layer) + 2, r, 2 * layer / 3),
            2 * (layer + 1) / 3,
            r"So $r' = (1 - 2/l)\, r + 2$, and $r = \frac23 l$ solves it. Saturation corrects "
            r"deviations: a tanh network of width $n$ scatters by $\frac23 l/n$ in layer $l$, "
            r"where a linear one scatters by $2l/n$.",
            "Tanh scatters a third as much",
        ),
    )


_ACTS = ("linear", "leaky_relu(0.2)", "relu", "tanh", "gelu", "selu")


def _scatters() -> Table:
    rows = []
    for act in _ACTS:
        scatter = relative_variance(act, 0.0)
        narrow, wide = (50 * math.log1p(scatter / width) for width in (10, 1000))
        deep = act in ("linear", "leaky_relu(0.2)", "relu")
        powers = tuple(power_of_ten(log) if deep else "—" for log in (narrow, wide))
        rows.append((f"`{act}`", f"{scatter:.4g}", *powers))
    return Table(
        r"The scatter $f - 1$ of one layer's mean square (times $1/n$; at $K = 1$), and for those "
        r"whose layers are independent $\operatorname{E} (a^L)^2/(\operatorname{E} a^L)^2$ after "
        r"50 layers:",
        ("activation", "$f - 1$", "width 10", "width 1000"),
        tuple(rows),
    )


def _deaths() -> Table:
    rows = []
    for width in (4, 8, 16, 32):
        net = Network(100, width=width, act="relu", scheme="he")
        log_norm = predicted(net).activation.mean_log
        dead = dead_probability(net)
        cells = (
            f"${at:.3g}$" if at > 1e-3 else power_of_ten(math.log(at)) for at in dead[[0, 9, 99]]
        )
        rows.append((f"${width}$", *cells, power_of_ten(float(log_norm[99]))))
    return Table(
        r"ReLU networks under He's weights, by width: the probability that they are dead by that "
        r"layer; and $e^{\operatorname{E}\ln a^{100}}$ of those that live, where the mean over all "
        r"networks is 1:",
        ("width", "layer 1", "layer 10", "layer 100", "typical $a^{100}$"),
        tuple(rows),
    )


def _picture() -> Figure:
    width, depth_ = 100, 60
    layers = np.arange(2, depth_ + 1)

    def scatter(act: str, sigma_w: float) -> Curve:
        net = Network(depth_, width=width, act=act, sigma_w=sigma_w)
        return Curve.of(act, layers, vertex(net).fluctuation[1:])

    exact = np.expm1((layers - 1) * math.log1p(5 / width))
    return Figure(
        "scatter",
        r"Relative variance of $K$ from network to network, width 100: first order in $1/n$, and "
        r"exactly for ReLU.",
        "layer $l$",
        "variance / mean$^2$",
        (
            scatter("relu", math.sqrt(2.0)),
            scatter("linear", 1.0),
            scatter("tanh", 1.0),
            Curve.of("relu, exact", layers, exact),
        ),
    )


_PRACTICE = r"""- Deviations are of the size $\sqrt{5 L/n}$: for ReLU at depth 50 and width 1000
  half of the signal, at width 100 more than all of it. Keep depth well below width, or normalise.
- One simulated network is no test of the theory of wide networks: average over several, and allow
  for this scatter. `theory.finite_width.predicted` says how much.
- A gain a little above $\sqrt 2$ keeps the *logarithm* of a ReLU network's signal instead of its
  mean: `theory.finite_width.log_norm_gain`.
- Dying needs all units of one layer to be off at once, $2^{-n}$. From width 30 on nobody will
  ever see it at initialisation.
- Saturating activations scatter less: they forget deviations of the length."""

_SOURCES = (
    "B. Hanin, *Which Neural Net Architectures Give Rise to Exploding and Vanishing Gradients?*, "
    r"NeurIPS 2018, arXiv 1801.03744; B. Hanin and D. Rolnick, *How to Start Training*, NeurIPS "
    r"2018, arXiv 1803.01719: depth over width, $\sum 1/n_l$.",
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    r"Networks*, arXiv 1812.05994: $5 \sum 1/n_l$ for ReLU.",
    "J. A. Zavatone-Veth and C. Pehlevan, *Exact Marginal Prior Distributions of Finite Bayesian "
    "Neural Networks*, NeurIPS 2021, arXiv 2104.11734: the law of a unit, and the binomial "
    "mixture.",
    "D. A. Roberts, S. Yaida and B. Hanin, *The Principles of Deep Learning Theory*, arXiv "
    "2106.10165, chapters 4 and 5: the four-point vertex, and 2/3 for tanh.",
)


def derivation() -> Derivation:
    """Finite width: factors of mean 1, their scatter and their drift.

    Examples
    --------
    >>> derivation().result.right
    (1 + 5/n)**L
    """
    return Derivation(
        name="finite_width",
        title="Finite width: 2/n and 5/n",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_moments(), *_laws(), *_first_order()),
        result=Step(
            Product(1 + (NormalMean(_RELU**2, x, 1) - 1) / n, (layer, 1, depth)),
            (1 + 5 / n) ** depth,
            r"Mean of the square over square of the mean, of a ReLU network's output, at any "
            r"width:",
            "The result",
        ),
        tables=(_scatters(), _deaths()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_picture(),),
    )
