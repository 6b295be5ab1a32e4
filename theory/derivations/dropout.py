"""Dropout: 1/keep for every input alone, and identical inputs that part."""

from __future__ import annotations

import math

import numpy as np
import sympy
from scipy.optimize import brentq
from sympy import Heaviside, Max, Product, Rational, Subs, acos, cos, pi, sin, sqrt, tan

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..gaussian import K, x
from ..notation import Mean, NormalMean, Root, Rounded, SeriesOf
from ..pair import correlation_map
from ..predict import predict

__all__ = ["derivation"]

n, L = sympy.symbols("n L", integer=True, positive=True)
rho, v, Q, V, g, d = sympy.symbols("rho v Q V g d", positive=True)
sigma, tau = sympy.symbols("sigma_w sigma_b", positive=True)
M, N, P, h, m, S, s, t = sympy.symbols("M N P h m S s t", real=True)
c, k = sympy.symbols("c k", real=True)
theta = sympy.Symbol("theta", positive=True)
layer = sympy.Symbol("l", integer=True, positive=True)

_KEPT = (M, rho, rho)  # 0 or 1: all moments are the same
_KEPT_TOO = (N, rho, rho)
_MAP = (sqrt(1 - c**2) + c * (pi - acos(c))) / pi

_CLAIM = (
    r"Dropout that keeps a share $\rho$ of the units and divides by $\rho$ leaves means and "
    r"covariances as they are and multiplies every *mean square* by $1/\rho$: forward, and in the "
    r"same way backward. Two inputs have masks of their own, so even identical ones part: $c = 1$ "
    r"is no fixed point. With ReLU and weights of variance $2\rho/n$ the correlation map is "
    r"$\rho f(c)$, with $f$ that of the network without dropout."
)
_MOTIVATION = (
    r"Dividing by the keep rate is called the correction that makes dropout harmless: the mean of "
    r"a unit stays. But a signal is measured by its mean square, and that grows: $2^L$ at the "
    r"usual keep rate of one half. The same noise does something to *pairs* of inputs that no "
    r"choice of weights can undo. It removes the edge of chaos, and with it the slow decay that "
    r"lets very deep networks tell inputs apart."
)
_ASSUMPTIONS = (
    r"Each unit of each layer is kept with probability $\rho$, independently of everything else "
    r"and for each input anew, and then divided by $\rho$: $h = M \varphi(z)/\rho$ with $M$ = 1 or "
    r"0. The input itself is not masked.",
    r"$Q = \operatorname{E}\varphi^2$ and $V = \operatorname{E}\varphi'^2$ are taken at the "
    r"variance that the pre-activations have. Weights are independent, of mean 0 and variance "
    r"$v = \sigma_w^2/n$, biases of variance $\sigma_b^2$; layers are equally wide.",
    r"On the way back the arriving gradient is taken as independent of weights, slopes and masks "
    r"(derivation `backward`).",
)


def _alone() -> tuple[Step, ...]:
    return (
        Step(
            Mean(M * h / rho, _KEPT, (h, m)),
            m,
            r"The division makes up for the units that are missing: the mean stays what it is.",
            "The mean",
        ),
        Step(
            Mean((M * h / rho) ** 2, _KEPT, (h, m, Q)),
            Q / rho,
            r"The mean square does not. A mask is its own square, so $\operatorname{E} M^2$ is "
            r"$\rho$ and not $\rho^2$: one factor of $1/\rho$ is left.",
            "The mean square",
        ),
        Step(
            n * v * NormalMean(Max(x, 0) ** 2, x, K) / rho,
            n * v * K / (2 * rho),
            r"Into the next layer's variance (derivation `relu`) it goes as it is. A ReLU halves, "
            r"dropout at $\rho = \frac12$ doubles.",
            "A ReLU layer",
        ),
        Step(
            Product(Subs(n * v / (2 * rho), v, 2 / n), (layer, 1, L)),
            rho**-L,
            r"Under He's weights every layer multiplies by $1/\rho$. Fifty layers that keep 90 % "
            r"make a factor of 194, fifty that keep one half $10^{15}$.",
            "He's weights with dropout",
        ),
        Step(
            Subs(n * v * K / (2 * rho), v, 2 * rho / n),
            K,
            r"The remedy: weights of variance $2\rho/n$ (Pretorius and others).",
            "Weights that count only what is kept",
        ),
        Step(
            Mean((M * t * S / rho) ** 2, _KEPT, (t, m, V), (S, s, sigma**2 * g)),
            sigma**2 * V * g / rho,
            r"A gradient passes the same mask on its way back, and the slope $t = \varphi'(z)$. "
            r"Its mean square has the same $1/\rho$.",
            "The way back",
        ),
        Step(
            Subs(n * v / rho * NormalMean(Heaviside(x), x, K), v, 2 * rho / n),
            sympy.Integer(1),
            r"So for a ReLU one choice of the weights keeps both directions, with dropout as "
            r"without.",
            "ReLU: both at once",
        ),
    )


def _together() -> tuple[Step, ...]:
    return (
        Step(
            Mean(M * N * P / rho**2, _KEPT, _KEPT_TOO, (P, k)),
            k,
            r"Two inputs: $P$ is the product of what a unit makes of them, $k$ its mean. Both "
            r"masks are needed, each with probability $\rho$, and both divisions make up for it. "
            r"The covariance stays, as the mean did.",
            "Masks of their own",
        ),
        Step(
            Mean(M**2 * P / rho**2, _KEPT, (P, k)),
            k / rho,
            r"If both inputs met the *same* mask it would grow with the variances, and the "
            r"correlation would not notice dropout. In training each example draws its own.",
            "A mask for both",
        ),
        Step(
            1 - (tau**2 + sigma**2 * Q) / (tau**2 + sigma**2 * Q / rho),
            (1 - rho) / rho * sigma**2 * Q / (tau**2 + sigma**2 * Q / rho),
            r"Two identical inputs, $k = Q$: a layer later the variance is $\sigma_b^2 + "
            r"\sigma_w^2 Q/\rho$, and the covariance lacks the $1/\rho$. They are not identical "
            r"any more: $c = 1$ is a fixed point without dropout alone.",
            "Identical inputs part",
        ),
        Step(
            Subs(n * v * K / 2 * _MAP / (n * v * K / (2 * rho)), v, 2 * rho / n),
            rho * _MAP,
            r"ReLU, with the weights from above: the covariance is multiplied by the map $f$ of "
            r"the derivation `correlation`, the variance stays only because $1/\rho$ helps it.",
            "The correlation map",
            ranges=((c, -1, 1),),
        ),
        Step(
            Subs(rho * _MAP, c, 1),
            rho,
            r"$f(1) = 1$, so identical inputs have the correlation $\rho$ a layer later. At $c = "
            r"0$ the map is positive. In between it crosses the diagonal.",
            "One layer later",
        ),
        Step(
            Root(Rational(9, 10) * _MAP - c, c, (0, 1)),
            Rounded("0.627146"),
            r"Keeping 90 %: where all pairs of inputs end, identical or not.",
            "A fixed point below 1",
        ),
        Step(
            Subs(
                Rational(9, 10) * (1 - acos(c) / pi), c, Root(Rational(9, 10) * _MAP - c, c, (0, 1))
            ),
            Rounded("0.644199"),
            r"The slope of $\rho f$ there (that of $f$ is $1 - \arccos(c)/\pi$). Each layer leaves "
            r"this share of a pair's distance from the fixed point: after $\xi = -1/\ln 0.644 = "
            r"2.3$ layers it is down to $1/e$. Without dropout it falls like $1/l^2$.",
            "Exponential forgetting",
        ),
    )


def _little() -> tuple[Step, ...]:
    rate = pi * cos(theta) / (sin(theta) + (pi - theta) * cos(theta))
    return (
        Step(
            1 - rate,
            (tan(theta) - theta) / (pi + tan(theta) - theta),
            r"How little dropout is harmless? In terms of the angle, $c = \cos\theta$ and $f = "
            r"(\sin\theta + (\pi - \theta)\cos\theta)/\pi$. A fixed point at $\theta$ needs $\rho "
            r"= c/f$; so this is the share of units to drop for pairs to end at that angle.",
            "The angle of the fixed point",
            ranges=((theta, 0, pi / 2),),
        ),
        Step(
            SeriesOf((tan(theta) - theta) / (pi + tan(theta) - theta), theta, 4),
            theta**3 / (3 * pi),
            r"The tangent exceeds its argument by $\theta^3/3$. So a small share $d = 1 - \rho$ "
            r"makes an angle of $(3\pi d)^{1/3}$: one unit in a thousand, 12 degrees.",
            "Little dropout",
        ),
        Step(
            SeriesOf(1 - rate * (1 - theta / pi), theta, 2),
            theta / pi,
            r"The slope of $\rho f$ there is $\rho (1 - \theta/\pi)$, below 1 by $\theta/\pi$ in "
            r"leading order: dropout counts by the angle it makes, not by itself. A pair's "
            r"distance from the fixed point decays like $e^{-l/\xi}$ with $\xi \approx "
            r"\pi/\theta$.",
            "The depth scale",
        ),
    )


_RATES = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)


def _fixed_point(rate: float) -> tuple[float, float]:
    """Where rho f comes to rest, and the depth scale there."""
    way = correlation_map("relu")
    at = brentq(lambda cosine: rate * way(cosine) - cosine, 0.0, 1.0, xtol=1e-14)
    return at, -1 / math.log(rate * way.slope(at))


def _scales() -> Table:
    rows = []
    for rate in _RATES:
        at, scale = _fixed_point(rate)
        law = (math.pi**2 / (3 * (1 - rate))) ** (1 / 3)
        lost = power_of_ten(-50 * math.log(rate))
        rows.append((f"${rate:g}$", lost, f"{at:.4f}", f"{scale:.3g}", f"{law:.3g}"))
    return Table(
        r"ReLU: what 50 layers multiply the mean square by under He's weights; and, under weights "
        r"of variance $2\rho/n$, where pairs of inputs end, the depth scale $\xi$, and its law for "
        r"little dropout:",
        (r"$\rho$", "50 layers of He's", "fixed point", r"$\xi$", "law"),
        tuple(rows),
    )


def _picture() -> Figure:
    depth = 40
    curves = []
    for rate in (1.0, 0.99, 0.8):
        net = Network(depth, act="relu", sigma_w=math.sqrt(2 * rate), dropout=rate)
        for start in (1.0, 0.0):
            label = f"keep {rate:g}, start {start:g}"
            found = predict(net, correlation=start).correlation
            curves.append(Curve.of(label, np.arange(1, depth + 1), found))
    return Figure(
        "pairs",
        "The correlation of two inputs, identical or uncorrelated, under ReLU. Without dropout the "
        "first stay identical and the second approach them slowly; with it both soon forget which "
        "they were.",
        "layer $l$",
        "$c$",
        tuple(curves),
    )


_PRACTICE = r"""- Give a ReLU layer that keeps a share $\rho$ weights of variance $2\rho/n$, not
  $2/n$, if you want the signal of training mode at depth: `sigma_w=(2 * keep) ** 0.5`.
- At test time, without masks, the same network shrinks every mean square by $\rho$ per layer. What
  is right for one mode is wrong for the other; skip connections and norms make it matter less.
- Dropout limits the depth to which a network can tell inputs apart, and the limit falls steeply:
  dropping one unit in a hundred leaves a depth scale of about 7 layers (table).
- Rather drop units in the last layers alone, as most vision models do, or whole branches of a
  residual network (stochastic depth), whose skip connections carry the correlation on."""

_SOURCES = (
    "N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, *Dropout: A "
    "Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    "Propagation*, ICLR 2017, arXiv 1611.01232: dropout takes the fixed point at 1 away, and the "
    "critical point with it.",
    "A. Pretorius, E. van Biljon, S. Kroon and H. Kamper, *Critical initialisation for deep signal "
    r"propagation in noisy rectifier neural networks*, NeurIPS 2018, arXiv 1811.00293: $2\rho/n$.",
)


def derivation() -> Derivation:
    """Dropout: 1/rho on the diagonal alone, and how soon pairs of inputs are forgotten.

    Examples
    --------
    >>> derivation().steps[1].right
    Q/rho
    """
    return Derivation(
        name="dropout",
        title="Dropout: identical inputs part",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_alone(), *_together(), *_little()),
        result=Step(
            Subs(pi / theta, theta, (3 * pi * d) ** Rational(1, 3)),
            (pi**2 / (3 * d)) ** Rational(1, 3),
            r"A ReLU network with a small share $d$ of its units dropped in every layer forgets "
            r"how alike two inputs were within a number of layers of about",
            "The result",
        ),
        tables=(_scales(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_picture(),),
    )
