"""Tanh: no closed form, but series, exact identities, and the slow decay at sigma_w = 1."""

from __future__ import annotations

import math

import numpy as np
import sympy
from sympy import Integral, Rational, Subs, cosh, erfc, exp, oo, pi, sqrt, tanh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..figure import Curve, Figure, Overlay
from ..gaussian import K, x
from ..identities import mean_sech_squared
from ..maps import gradient_map, variance_map
from ..notation import InfiniteSum, NormalDensity, NormalMean, PairMean, SeriesOf
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

j, layer, depth = sympy.symbols("j l L", integer=True, positive=True)
rate, s = sympy.symbols("lambda sigma_w", positive=True)
u, w, c = sympy.symbols("u v c", real=True)

_T = tanh(x)
_Q = NormalMean(_T**2, x, K)
_V = NormalMean((1 - _T**2) ** 2, x, K)
_TERMS = K - 2 * K**2 + Rational(17, 3) * K**3
_KERNEL = c * K - 2 * c * K**2 + (5 * c + Rational(2, 3) * c**3) * K**3

_CLAIM = (
    r"tanh has no closed maps, but all one needs follows: $Q(K) = K - 2K^2 + \frac{17}{3}K^3 - "
    r"\ldots$ for small variances, $Q = 1 - \sqrt{2/\pi K}\,(1 - \ldots)$ for large ones, an exact "
    r"series between. The critical point is $\sigma_w = 1$ without biases. There a signal fades "
    r"like $K = 1/(2l)$, a gradient like a power of the depth, and the angle between two inputs "
    r"comes to a halt."
)
_MOTIVATION = (
    r"tanh is the classic activation and the model of a whole class: odd, smooth, straight near "
    r"0. Each of them (sin, arctan, erf) does the same with other numbers. It is also where the "
    r"usual advice is least clear: Xavier keeps small signals, frameworks recommend a gain of "
    r"$\frac53$. The maps say what both do to a deep network."
)
_ASSUMPTIONS = (
    r"$\varphi(x) = \tanh x$, with slope $\varphi' = 1 - \varphi^2 = \operatorname{sech}^2 x$.",
    r"$K$ is the variance of a pre-activation $x$, which is normal with density $p_K$: exact for "
    r"Gaussian weights given the layer below, the limit of wide layers for others.",
    r"$Q(K) = \operatorname{E} \varphi(x)^2$ and $V(K) = \operatorname{E} \varphi'(x)^2$. A layer "
    r"makes $\sigma_w^2 Q(K)$ of $K$, with $\sigma_w^2 = n \operatorname{Var} w$, and there are no "
    r"biases.",
)


def _small() -> tuple[Step, ...]:
    return (
        Step(
            SeriesOf(_Q, K, 4),
            _TERMS,
            r"For small signals expand, $\tanh^2 x = x^2 - \frac23 x^4 + \frac{17}{45} x^6 - "
            r"\ldots$, and take the moments of a normal law: $K$, $3K^2$, $15K^3$. tanh has poles "
            r"off the real axis, so the series is asymptotic: good for small $K$, divergent in the "
            r"end.",
            "The variance map near 0",
        ),
        Step(
            SeriesOf(_V, K, 3),
            1 - 2 * K + 7 * K**2,
            r"The same for the square of the slope: the gradient map, which starts at 1.",
            "The gradient map near 0",
        ),
        Step(
            sympy.Derivative(_Q, K),
            NormalMean((1 - _T**2) * (1 - 3 * _T**2), x, K),
            r"For any $K$, an expectation over $N(0, K)$ obeys the heat equation, $\partial_K "
            r"\operatorname{E} f = \frac12 \operatorname{E} f''$. With $f = \tanh^2$ the right "
            r"side is $V(K) - 2 \operatorname{E} \tanh^2 x \operatorname{sech}^2 x$. So $Q' < V$ "
            r"at every $K > 0$: variance and gradient can both be kept only at $K = 0$.",
            "The heat equation",
        ),
    )


def _everywhere() -> tuple[Step, ...]:
    term = (-1) ** (j - 1) * j
    return (
        Step(
            4 * InfiniteSum(term * exp(-2 * j * x), j, 1),
            1 - _T**2,
            r"For $x > 0$, $\operatorname{sech}^2 x = 4 e^{-2x}/(1 + e^{-2x})^2$ is a series in "
            r"powers of $e^{-2x}$.",
            "The slope as exponentials",
            ranges=((x, Rational(1, 10), 3),),
        ),
        Step(
            NormalMean(exp(-rate * sympy.Abs(x)), x, K),
            exp(rate**2 * K / 2) * erfc(rate * sqrt(K / 2)),
            r"An exponential of $|x|$ has this expectation: complete the square.",
            "One exponential",
            ranges=((rate, 0, 2),),
        ),
        Step(
            4 * InfiniteSum(term * exp(2 * j**2 * K) * erfc(j * sqrt(2 * K)), j, 1),
            1 - _Q,
            r"Put in $\lambda = 2j$ and add up: an exact formula for $Q = 1 - \operatorname{E} "
            r"\operatorname{sech}^2 x$ at every $K$. (The terms alternate and tend to a constant; "
            r"the sum is that of Abel or Euler, the mean of neighbouring partial sums.)",
            "An exact series",
            ranges=((K, Rational(1, 2), 4),),
        ),
        Step(
            SeriesOf(sqrt(2 * pi * K) * NormalDensity(x, K), K, 2, oo),
            1 - x**2 / (2 * K),
            r"For large $K$ the density is flat where $\operatorname{sech}^2 x$ is not 0.",
            "A flat density",
        ),
        Step(
            Integral((1 - x**2 / (2 * K)) / cosh(x) ** 2, (x, 0, oo)),
            1 - pi**2 / (24 * K),
            r"So two integrals count, of $\operatorname{sech}^2 x$ and of $x^2 "
            r"\operatorname{sech}^2 x$. Twice this (both halves), over $\sqrt{2\pi K}$, is $1 - Q$ "
            r"for large $K$. A saturated tanh is a sign, but for a share $\sim 1/\sqrt K$ of the "
            r"units.",
            "The variance map far out",
        ),
        Step(
            Integral(1 / cosh(x) ** 4, (x, 0, oo)),
            Rational(2, 3),
            r"Likewise $V \approx \frac43/\sqrt{2\pi K}$. With large weights $K$ is nearly "
            r"$\sigma_w^2$, and the gradient's factor $\sigma_w^2 V$ grows like $0.53\,\sigma_w$.",
            "The slope squared",
        ),
    )


def _critical() -> tuple[Step, ...]:
    start = (2 - Rational(5, 3) * K).subs(K, 1 / (2 * layer))
    return (
        Step(
            SeriesOf(s**2 * _Q, K, 2),
            s**2 * K,
            r"Small signals see a line of slope 1: a layer multiplies $K$ by $\sigma_w^2$. Below "
            r"$\sigma_w = 1$ signals die out exponentially, above it they settle at a finite $K$.",
            "The critical weights",
        ),
        Step(
            SeriesOf(1 / _TERMS - 1 / K, K, 2),
            2 - Rational(5, 3) * K,
            r"At $\sigma_w = 1$ a layer makes $Q(K)$ of $K$. Look at the inverse: $1/K$ grows by "
            r"nearly 2 in every layer, so after $l$ layers it is about $2l$, whatever the input.",
            "The inverse grows by 2",
        ),
        Step(
            sympy.Sum(start, (layer, 1, depth)),
            2 * depth - Rational(5, 6) * sympy.harmonic(depth),
            r"Better: put $K = 1/(2l)$ into the small term and add up. The harmonic number is $\ln "
            r"L$ and a constant, so $1/K = 2L - \frac56 \ln L + C$, and only $C$ knows the input.",
            "The next term",
        ),
        Step(
            sympy.Product(1 - 1 / (layer + 1), (layer, 1, depth - 1)),
            1 / depth,
            r"The gradient's factor is $V = 1 - 2K = 1 - 1/l$ in layer $l$, by step 2. Over the "
            r"layers that makes a power of the depth, $1/L$ up to a constant, and no exponential.",
            "The gradient",
        ),
    )


def _angle() -> tuple[Step, ...]:
    def cut(t: sympy.Expr) -> sympy.Expr:
        return t - t**3 / 3 + Rational(2, 15) * t**5

    product = sympy.expand(cut(u) * cut(w))
    low = sum(t for t in sympy.Add.make_args(product) if sympy.Poly(t, u, w).total_degree() <= 6)
    return (
        Step(
            PairMean(low, (u, w), (K, K, c * K)),
            _KERNEL,
            r"Two inputs of the same size, at correlation $c$: multiply the two expansions, keep "
            r"degree 6, and take moments (Isserlis' theorem). At $c = 1$ it is $Q$ again.",
            "Two inputs",
            ranges=((c, -1, 1),),
        ),
        Step(
            SeriesOf(_KERNEL / _TERMS, K, 3),
            c - Rational(2, 3) * c * (1 - c**2) * K**2,
            r"The correlation after a layer is one over the other. Its change is of second order "
            r"in $K$: the first cancels, because to that order the layer is linear but for a "
            r"factor both inputs share.",
            "The correlation hardly moves",
        ),
        Step(
            InfiniteSum(Rational(2, 3) * Subs(K**2, K, 1 / (2 * j)), j, 1),
            pi**2 / 36,
            r"Once $K = 1/(2l)$, add up over all layers to come. The sum is finite: $\ln c$ "
            r"changes by less than that, however deep the network. The angle freezes at some "
            r"$c < 1$, while the size of either input is forgotten.",
            "The angle freezes",
        ),
    )


def _values() -> Table:
    q, v = variance_map("tanh"), gradient_map("tanh")
    series = sympy.lambdify(K, _TERMS)
    rows = tuple(
        (
            f"${at:g}$",
            f"{q(at):.8f}",
            f"{1 - mean_sech_squared(at):.8f}",
            f"{series(at):.8f}" if at < 0.2 else "",
            f"{1 - math.sqrt(2 / (math.pi * at)) * (1 - math.pi**2 / (24 * at)):.8f}"
            if at > 2
            else "",
            f"{v(at):.8f}",
        )
        for at in (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    )
    return Table(
        r"The variance map in four ways (by integration, by the exact series, by three terms for "
        r"small $K$, by two for large $K$), and the gradient map:",
        ("$K$", "$Q$", "exact series", "small $K$", "large $K$", "$V$"),
        rows,
    )


def _decay() -> Table:
    rows = []
    for label, sigma_w in (("0.9", 0.9), ("1", 1.0), ("1.1", 1.1), ("5/3", 5 / 3)):
        p = predict(Network(1000, width=1000, act="tanh", sigma_w=sigma_w))
        rows.append((rf"$K$, $\sigma_w = {label}$", p.log_variance))
        rows.append((rf"gradient, $\sigma_w = {label}$", p.log_gradient[0] - p.log_gradient))
    return by_depth(
        r"After that many layers, for an input of mean square 1: the variance $K$, and what a mean "
        r"square gradient at that depth has become on its way back to layer 1:",
        "",
        rows,
        (1, 10, 100, 1000),
    )


def _figure() -> Figure:
    layers = np.arange(1, 101)
    net = Network(100, width=200, act="tanh", sigma_w=1.0)
    curves = [Curve.of("$1/(2l)$", layers, 1 / (2 * layers))]
    for sigma_w in (0.9, 1.0, 1.1):
        found = predict(Network(100, width=200, act="tanh", sigma_w=sigma_w)).log_variance
        curves.append(Curve.of(rf"$\sigma_w = {sigma_w:g}$", layers, np.exp(found)))
    return Figure(
        "decay",
        r"The variance by layer, for an input of mean square 1: exponential decay, $1/(2l)$, or a "
        r"fixed point. At the critical $\sigma_w = 1$ also 40 networks of width 200.",
        "layer $l$",
        "$K$",
        tuple(curves),
        overlays=(Overlay(r"simulated, $\sigma_w = 1$", (net,), trials=40),),
        x_scale="log",
        y_scale="log",
    )


_PRACTICE = r"""- For deep tanh networks without biases use `sigma_w=1` (LeCun; Xavier where the
  widths are equal). Nothing vanishes or explodes exponentially; with biases see `edge_of_chaos`.
- The frameworks' gain of $\frac53$ (`calculate_gain('tanh')`) keeps the signal at a finite $K$,
  but gradients grow exponentially there (last row): it suits a few layers, not a hundred.
- At $\sigma_w = 1$ the decay is slow but real: in layer 100 $K$ is about $\frac1{200}$ and the
  network nearly linear. Layers at the top use less of the nonlinearity than those below.
- Networks of width $n$ scatter around it: $\operatorname{Var} K/K^2$ is about $\frac23 l/n$, a
  third of a linear network's (derivation `finite_width`)."""

_SOURCES = (
    "D. A. Roberts, S. Yaida and B. Hanin, *The Principles of Deep Learning Theory*, Cambridge "
    r"2022, arXiv 2106.10165, section 5.3: the $K^\star = 0$ class, its $1/l$ decay.",
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: tanh as a line of slope 1, and Xavier's initialisation.",
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, *Exponential expressivity in "
    "deep neural networks through transient chaos*, NeurIPS 2016, arXiv 1606.05340: the maps of "
    "tanh and their phases.",
)


def derivation() -> Derivation:
    """Tanh: its maps for small, large and all variances, and what happens at sigma_w = 1.

    Examples
    --------
    >>> derivation().result.right
    -62*K**4/3 + 17*K**3/3 - 2*K**2 + K
    """
    return Derivation(
        name="tanh",
        title="Tanh: the slow decay at the critical point",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_small(), *_everywhere(), *_critical(), *_angle()),
        result=Step(
            SeriesOf(_Q, K, 5),
            _TERMS - Rational(62, 3) * K**4,
            r"The variance map of tanh for small $K$, from which the decay at $\sigma_w = 1$ "
            r"follows:",
            "The result",
        ),
        tables=(_values(), _decay()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
