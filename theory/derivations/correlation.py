"""Two inputs: Price's theorem, the arc-cosine kernel, and how ReLU makes all inputs alike."""

from __future__ import annotations

import math

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Derivative, Integral, Limit, Max, Rational, Subs, acos, asin, cos, pi, sin, sqrt

from ..derivation import Derivation, Step, Table
from ..figure import Curve, Figure
from ..gaussian import K, x
from ..notation import NormalMean, PairMean, SeriesOf
from ..pair import correlation_map, iterate_pair
from ..stack import Stack
from ._tables import by_depth

__all__ = ["derivation"]

u, v, k = sympy.symbols("u v k", real=True)
a, b, s, theta, eps = sympy.symbols("a b s theta varepsilon", positive=True)
c, t = sympy.symbols("c t", real=True)
layer = sympy.Symbol("l", integer=True, positive=True)

_INSIDE = ((k, -sqrt(a * b), sqrt(a * b)),)
_ANGLE = ((theta, 0, pi),)
_COSINE = ((c, -1, 1),)
_DET = a * b - k**2
_LOG_DENSITY = (
    -(b * u**2 - 2 * k * u * v + a * v**2) / (2 * _DET)
    - sympy.log(_DET) / 2
    - sympy.log(sympy.UnevaluatedExpr(2 * pi))
)
_SCORE = (b * u - k * v) * (a * v - k * u) / _DET**2 + k / _DET
_FLIP = acos(k / sqrt(a * b))
_KERNEL = (sqrt(_DET) + k * (pi - _FLIP)) / (2 * pi)
_MAP = (sqrt(1 - c**2) + c * (pi - acos(c))) / pi
_LOSS = 2 * sqrt(2) / (3 * pi)

_CLAIM = (
    r"For two jointly normal numbers $u, v$ the covariance of what an activation makes of them "
    r"obeys $\frac{\partial}{\partial k} \operatorname{E} \varphi(u) \psi(v) = \operatorname{E} "
    r"\varphi'(u) \psi'(v)$ (Price's theorem). For ReLU it gives the correlation one layer later, "
    r"$f(c) = \frac{1}{\pi} \left(\sqrt{1 - c^2} + c\,(\pi - \arccos c)\right)$, under which "
    r"every pair of inputs becomes alike: $1 - c \approx \frac{9\pi^2}{2 l^2}$ after $l$ layers."
)
_MOTIVATION = (
    r"A network whose signals keep their size may still be useless: if it maps all inputs to "
    r"nearly the same direction, nothing is left to tell them apart by. The correlation of two "
    r"inputs, layer by layer, measures that. It looks like a double integral; Price's theorem "
    r"turns it into something one can do by hand."
)
_ASSUMPTIONS = (
    r"Pre-activations $u, v$ of two inputs at one unit are jointly normal with mean 0, variances "
    r"$a, b$ and covariance $k$, $k^2 < ab$: exact for Gaussian weights given the layer below; in "
    r"the limit of wide layers $a$, $b$, $k$ are certain.",
    r"The density of the pair is $p(u, v) = \frac{1}{2\pi\sqrt{ab - k^2}} "
    r"\exp\left(-\frac{b u^2 - 2 k u v + a v^2}{2 (ab - k^2)}\right)$. At the ends $\varphi$ and "
    r"$\psi$ grow less than $p$ falls.",
    r"$\theta$ is the angle of the pair: $\cos\theta = c = k/\sqrt{ab}$ is its correlation.",
    r"For the map from layer to layer: both inputs have the same $K$, there are no biases, and "
    r"weights have variance $2/n$ (He), so that $K$ stays.",
)


def _price() -> tuple[Step, ...]:
    slopes = Derivative(_LOG_DENSITY, u) * Derivative(_LOG_DENSITY, v)
    return (
        Step(
            Derivative(_LOG_DENSITY, k),
            _SCORE,
            r"How does the density change when the covariance grows? Take its logarithm: the "
            r"derivative of $\ln p$ is $\frac{1}{p} \frac{\partial p}{\partial k}$.",
            "The density and the covariance",
            ranges=_INSIDE,
        ),
        Step(
            slopes + Derivative(_LOG_DENSITY, u, v),
            _SCORE,
            r"Now differentiate $p$ by $u$ and by $v$. With $p = e^{\ln p}$ the result over $p$ is "
            r"the product of the two slopes of $\ln p$ plus its mixed derivative, and it is the "
            r"same expression. So $\frac{\partial p}{\partial k} = \frac{\partial^2 p}{\partial u "
            r"\partial v}$: correlation spreads like heat.",
            "A heat equation",
            ranges=_INSIDE,
        ),
        Step(
            Derivative(PairMean(u**3 * v**3, (u, v), (a, b, k)), k),
            PairMean(3 * u**2 * 3 * v**2, (u, v), (a, b, k)),
            r"In $\int\!\int \varphi(u) \psi(v)\, \frac{\partial^2 p}{\partial u \partial v}\, "
            r"du\, dv$ integrate by parts, once in $u$ and once in $v$: two minus signs cancel, "
            r"and each activation gets a prime. That is Price's theorem. Here it is for two "
            r"cubes, worked out on both sides.",
            "Price's theorem",
            ranges=_INSIDE,
        ),
    )


def _kernel() -> tuple[Step, ...]:
    wave = cos(t) * cos(t - theta)
    return (
        Step(
            sympy.exp(Subs(_LOG_DENSITY, (u, v), (0, 0))),
            1 / (2 * pi * sqrt(_DET)),
            r"The second derivative of a ReLU is a spike $\delta$ at its kink. So "
            r"$\operatorname{E} \delta(u) \delta(v)$, the second derivative of ReLU's covariance "
            r"by $k$, is the density of the pair at the origin.",
            "Two spikes",
            ranges=_INSIDE,
        ),
        Step(
            Derivative((pi - _FLIP) / (2 * pi), k),
            1 / (2 * pi * sqrt(_DET)),
            r"Integrate once. $\operatorname{E} \theta(u) \theta(v)$, the probability that both "
            r"units are on, is $\frac14$ at $k = 0$, where the two are independent; so is "
            r"$(\pi - \arccos 0)/2\pi$, and the derivatives agree. Both are on with probability "
            r"$(\pi - \theta)/2\pi$.",
            "Both units are on",
            ranges=_INSIDE,
        ),
        Step(
            NormalMean(Max(x, 0), x, a) * NormalMean(Max(x, 0), x, b),
            Subs(_KERNEL, k, 0),
            r"For the second integration one needs the value at $k = 0$: there the expectation of "
            r"the product is the product of the expectations, $\sqrt{a/2\pi}\,\sqrt{b/2\pi}$.",
            "Where the second integral starts",
        ),
        Step(
            Derivative(_KERNEL, k),
            (pi - _FLIP) / (2 * pi),
            r"Integrate again: this function starts there and has the right derivative. It is "
            r"$\operatorname{E}\,\mathrm{relu}(u)\,\mathrm{relu}(v) = \frac{\sqrt{ab}}{2\pi} "
            r"\left(\sin\theta + (\pi - \theta) \cos\theta\right)$, Cho and Saul's arc-cosine "
            r"kernel of order 1.",
            "Integrate a second time",
            ranges=_INSIDE,
        ),
        Step(
            Integral(wave, (t, theta - pi / 2, pi / 2)) / pi,
            (sin(theta) + (pi - theta) * cos(theta)) / (2 * pi),
            r"The same without Price, by Cho and Saul's own way: $u = \varrho \cos t$, $v = "
            r"\varrho \cos(t - \theta)$ in units of the standard deviations, with $t$ uniform on "
            r"the circle and $\operatorname{E} \varrho^2 = 2$. Both are positive on one arc.",
            "A second proof",
            ranges=_ANGLE,
        ),
    )


def _correlations() -> tuple[Step, ...]:
    loss = eps - _LOSS * eps ** Rational(3, 2)
    return (
        Step(
            2 / K * Subs(_KERNEL, (a, b, k), (K, K, c * K)),
            _MAP,
            r"A layer with He's weights doubles the covariance and keeps the variance $K$. In "
            r"terms of the correlation $c = k/K$ nothing else is left: a map from one layer to the "
            r"next.",
            "The correlation map",
            ranges=_COSINE,
        ),
        Step(
            Derivative(_MAP, c),
            1 - acos(c) / pi,
            r"Its slope is positive, and below 1 for $c < 1$. As $f(1) = 1$, this means that "
            r"$f(c) > c$: correlations only grow.",
            "The slope",
            ranges=_COSINE,
        ),
        Step(
            Subs(1 - acos(c) / pi, c, 1),
            sympy.Integer(1),
            r"At $c = 1$ the slope is $\chi_1$, the factor of the gradient (put $u = v$ into "
            r"Price's theorem). It is exactly 1, so the approach to 1 is slower than any "
            r"exponential.",
            r"The slope at 1 is $\chi_1$",
        ),
        Step(
            SeriesOf(1 - _MAP.subs(c, 1 - eps), eps, 2),
            loss,
            r"Next order, with $c = 1 - \varepsilon$. Not $\varepsilon^2$ but "
            r"$\varepsilon^{3/2}$: that is the kink. The angle is $\theta \approx "
            r"\sqrt{2\varepsilon}$, the kink lies between the two inputs with a probability "
            r"proportional to it, and what it changes then is of order $\theta^2$.",
            "Near 1",
        ),
        Step(
            Limit(1 / sqrt(loss) - 1 / sqrt(eps), eps, 0),
            sqrt(2) / (3 * pi),
            r"Look at $1/\sqrt\varepsilon$: in every layer it grows by a constant, in the end. "
            r"After $l$ layers it is about $l$ times this.",
            "A quantity that grows steadily",
        ),
        Step(
            Limit((1 - 2 / pi * asin(1 - eps)) / sqrt(eps), eps, 0),
            2 * sqrt(2) / pi,
            r"For contrast, an activation that jumps. The sign has the kernel $\frac{2}{\pi} "
            r"\arcsin c$ (it is 4 times the probability of step 5, less 1), and $1 - c$ turns into "
            r"a multiple of its *root*. The slope at 1 is infinite: however close two inputs are, "
            r"a jump tears them apart.",
            "A jump does the opposite",
        ),
    )


_DEPTHS = (1, 10, 100, 1000, 10_000)
_STARTS = (-0.9, 0.0, 0.9, 0.999)


def _gaps(start: float, depth: int) -> NDArray[np.float64]:
    """ln(1 - c) of layers 1, 2, ... of a ReLU network with He's weights."""
    weight, none = [math.log(2.0)] * depth, [-math.inf] * depth
    return iterate_pair(Stack.plain("relu", weight, none), (0.0, 0.0), math.log1p(-start))[3]


def _values() -> Table:
    ways = tuple(correlation_map(act) for act in ("relu", "erf", "sign"))
    rows = tuple(
        (
            f"${at:g}$",
            *(f"{round(way(at), 6) + 0.0:.6f}" for way in ways),
            f"{ways[0].slope(at):.4f}",
        )
        for at in (-1.0, -0.5, 0.0, 0.5, 0.9, 0.99, 1.0)
    )
    return Table(
        r"One layer ($K = 1$, no biases): the new correlation under ReLU, under erf, which changes "
        r"it little, and under the sign, which pulls it to 0; and the slope of ReLU's map:",
        ("$c$", "ReLU", "erf", "sign", "slope (ReLU)"),
        rows,
    )


def _approach() -> Table:
    rows = [(f"$c = {start:g}$", _gaps(start, _DEPTHS[-1])) for start in _STARTS]
    law = math.log(4.5 * math.pi**2) - 2 * np.log(np.arange(1, _DEPTHS[-1] + 1))
    return by_depth(
        r"$1 - c$ of two inputs in that layer of a ReLU network, by the $c$ they start with, and "
        r"the law $9\pi^2/2l^2$. Logarithmic corrections make it a good one from 1000 layers on "
        r"only, but the power is there from 10 on:",
        "inputs",
        [*rows, (r"$9\pi^2/2l^2$", law)],
        _DEPTHS,
    )


def _pictures() -> tuple[Figure, ...]:
    at = np.linspace(-1, 1, 81)
    depths = np.unique(np.geomspace(1, 10_000, 40).astype(int))
    gaps = tuple(
        Curve.of(f"start {start:g}", depths, np.exp(_gaps(start, 10_000)[depths - 1]))
        for start in _STARTS
    )
    law = Curve.of(r"$9\pi^2/2l^2$", depths[14:], 4.5 * math.pi**2 / depths[14:] ** 2.0)
    return (
        Figure(
            "map",
            "The correlation a layer later. ReLU's curve lies above the diagonal and touches it at "
            "1; the sign's meets 1 with an infinite slope.",
            "$c$",
            "$f(c)$",
            (
                *(Curve.of(act, at, correlation_map(act)(at)) for act in ("relu", "erf", "sign")),
                Curve.of("unchanged", at, at),
            ),
        ),
        Figure(
            "approach",
            r"How far two inputs of a ReLU network are apart, $1 - c$, by depth: all come to the "
            r"same law.",
            "layer $l$",
            "$1 - c$",
            (*gaps, law),
            x_scale="log",
            y_scale="log",
        ),
    )


_PRACTICE = r"""- Thirty layers of ReLU under He's weights bring any two inputs to a correlation of
  about 0.97, and a hundred to 0.996. The signal's size says nothing about it: look at
  correlations too.
- It is slow, a power of the depth: networks of tens of layers still tell inputs apart. With
  smaller weights and biases $\chi_1 < 1$, and it is exponential; see `edge_of_chaos`.
- Leaky slopes slow it down by a constant factor (derivation `leaky_relu`); skip connections
  (derivation `residual`) by shortening the effective depth.
- Opposite inputs, $c = -1$, are uncorrelated after one ReLU layer: $f(-1) = 0$. The layer keeps
  no memory of a sign."""

_SOURCES = (
    "R. Price, *A Useful Theorem for Nonlinear Devices Having Gaussian Inputs*, IRE Transactions "
    "on Information Theory 4(2), 1958.",
    "Y. Cho and L. K. Saul, *Kernel Methods for Deep Learning*, NeurIPS 2009: the arc-cosine "
    r"kernels, equations (3) to (6); $J_1 = \sin\theta + (\pi - \theta) \cos\theta$.",
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, *Exponential Expressivity in "
    r"Deep Neural Networks through Transient Chaos*, NeurIPS 2016, arXiv 1606.05340: the "
    r"correlation map, equation (5), and its slope $\chi_1$.",
    "S. Hayou, A. Doucet and J. Rousseau, *On the Impact of the Activation Function on Deep Neural "
    r"Networks Training*, ICML 2019, arXiv 1902.06853: $1 - c \sim 9\pi^2/2l^2$ for ReLU.",
)


def derivation() -> Derivation:
    """Two inputs: Price's theorem and ReLU's correlation map.

    Examples
    --------
    >>> derivation().result.right
    9*pi**2/(2*l**2)
    """
    return Derivation(
        name="correlation",
        title="Two inputs and Price's theorem",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_price(), *_kernel(), *_correlations()),
        result=Step(
            Subs(1 / s**2, s, sqrt(2) * layer / (3 * pi)),
            9 * pi**2 / (2 * layer**2),
            r"So $s = 1/\sqrt\varepsilon$ is about $\sqrt2\, l/3\pi$ for large $l$, wherever it "
            r"started, and the distance $1 - c = 1/s^2$ of two inputs under ReLU is about",
            "The result",
        ),
        tables=(_values(), _approach()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=_pictures(),
    )
