"""The log-normal law of deep networks: why the typical one is not the average one."""

from __future__ import annotations

import math

import numpy as np
import sympy
from sympy import (
    Derivative,
    Integer,
    Integral,
    Limit,
    Max,
    Rational,
    Subs,
    Sum,
    digamma,
    erfc,
    exp,
    gamma,
    log,
    oo,
    polygamma,
    sqrt,
)

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..finite_width import norm_law
from ..gaussian import x
from ..notation import Mean, NormalDensity, NormalMean, SeriesOf

__all__ = ["derivation"]

n, depth, layer = sympy.symbols("n L l", integer=True, positive=True)
m, q, s, t, beta, lam = sympy.symbols("m q s t beta lambda", positive=True)
y, d = sympy.symbols("y d", real=True)

_RELU = 2 * Max(x, 0) ** 2
_POWER = (2 / n) ** s * gamma(n / 2 + s) / gamma(n / 2)
_LOG = y - y**2 / 2 + y**3 / 3 - y**4 / 4
_LOG_SQUARE = y**2 - y**3 + Rational(11, 12) * y**4
_RELU_MOMENTS = (y, 0, 5 / n, 44 / n**2, 75 / n**2)

_CLAIM = (
    r"The mean square of a deep network's signal is a product of independent factors, so its "
    r"logarithm is a sum: close to a normal law $N(-\beta/2, \beta)$, with $\beta = 5L/n$ for ReLU "
    r"and $2L/n$ for linear layers at critical weights. The *mean* over networks stays 1; a "
    r"*typical* network has $e^{-\beta/2}$."
)
_MOTIVATION = (
    r"He's weights keep the mean square of the signal, on average. Draw one network of depth 500 "
    r"and width 100, and its output is nearly 0. Both are true: the average is held up by rare "
    r"networks with enormous signals. The log-normal law says how rare, and from which depth on an "
    r"average over networks stops describing any of them."
)
_ASSUMPTIONS = (
    r"As in the derivation `finite_width`: normal weights, critical ($\sigma_w^2 = 1$ linear, 2 "
    r"ReLU), no biases, width $n$ in every layer. A layer multiplies the mean square by an "
    r"independent $X$ with $\operatorname{E} X = 1$; linear: $n X$ is a $\chi^2$ number with $n$ "
    r"degrees of freedom, of density $x^{n/2 - 1} e^{-x/2}/(2^{n/2} \Gamma(n/2))$.",
    r"$\psi = \Gamma'/\Gamma$ is the digamma function, $\psi^{(1)}$ and $\psi^{(2)}$ are its "
    r"derivatives.",
    r"Expansions are for $n \to \infty$. A ReLU layer is dead with probability $2^{-n}$; "
    r"logarithms are those of living networks, which changes nothing in powers of $1/n$.",
    r"$\beta = 5L/n$ (or $2L/n$) may have any size: depth and width grow together.",
)


def _linear() -> tuple[Step, ...]:
    density = t ** (n / 2 - 1) * exp(-t / 2) / (2 ** (n / 2) * gamma(n / 2))
    return (
        Step(
            Integral((t / n) ** s * density, (t, 0, oo)),
            _POWER,
            r"A power of $X$ has an expectation in closed form, for any exponent $s$: Euler's "
            r"integral for $\Gamma$.",
            "Powers of one factor",
        ),
        Step(
            Subs(Derivative(log(_POWER), s), s, 0),
            digamma(n / 2) + log(2 / n),
            r"As $X^s = e^{s \ln X}$, these are all moments of $\ln X$ at once. The first "
            r"derivative of the logarithm at $s = 0$ is the mean of $\ln X$.",
            "The mean logarithm",
        ),
        Step(
            Subs(Derivative(log(_POWER), (s, 2)), s, 0),
            polygamma(1, n / 2),
            r"The second one is its variance.",
            "Its variance",
        ),
        Step(
            SeriesOf(digamma(n / 2) + log(2 / n), n, 3, oo),
            -1 / n - 1 / (3 * n**2),
            r"By Stirling's series: the mean logarithm is $-1/n$, half of $-\operatorname{Var} X$,",
            "For wide layers",
        ),
        Step(
            SeriesOf(polygamma(1, n / 2), n, 3, oo),
            2 / n + 2 / n**2,
            r"and the variance of $\ln X$ is that of $X$ itself, $2/n$, to first order.",
            "For wide layers, the variance",
        ),
    )


def _relu() -> tuple[Step, ...]:
    mean = NormalMean(_RELU**3, x, 1)
    return (
        Step(
            Subs(Mean((d - 1) ** 3, (d, 1, 6, m)), m, mean),
            Integer(44),
            r"A ReLU layer's $X$ is an average of $n$ numbers $Y = 2\,\mathrm{relu}(g)^2$, with "
            r"$\operatorname{E} Y = 1$, $\operatorname{E} Y^2 = 6$. Its third moment about the "
            r"mean is 44, that of $X$ therefore $44/n^2$; the second is $5/n$, and the fourth $3 "
            r"\cdot 25/n^2$ to leading order, as for any average.",
            "Moments of a ReLU factor",
        ),
        Step(
            SeriesOf(log(1 + y) ** 2, y, 5),
            _LOG_SQUARE,
            r"With $X = 1 + y$ one also needs the expansions of $\ln(1 + y) = y - \frac12 y^2 + "
            r"\frac13 y^3 - \frac14 y^4$ and of its square.",
            "The logarithm and its square",
        ),
        Step(
            Mean(_LOG, _RELU_MOMENTS),
            -5 / (2 * n) - Rational(49, 12) / n**2,
            r"Term by term: the mean logarithm of a ReLU layer,",
            "The mean logarithm under ReLU",
        ),
        Step(
            Mean(_LOG_SQUARE, _RELU_MOMENTS) - (5 / (2 * n)) ** 2,
            5 / n + Rational(37, 2) / n**2,
            r"and its variance: the mean square less the square of the mean (here to second "
            r"order).",
            "The variance under ReLU",
        ),
    )


def _limit() -> tuple[Step, ...]:
    density = NormalDensity(x, beta)
    return (
        Step(
            Sum(5 / n, (layer, 1, depth)),
            5 * depth / n,
            r"The factors of $L$ layers are independent: means and variances of the logarithms "
            r"add up. This is $\beta$, the variance of $\ln a^L$; its mean is $-\beta/2$. (With "
            r"unequal widths it is $5 \sum 1/n_l$.)",
            "Many layers",
        ),
        Step(
            Limit(n**2 * polygamma(2, n / 2), n, oo),
            Integer(-4),
            r"Is the sum normal? A sum of many small independent terms is, by the central limit "
            r"theorem. How soon is said by the third cumulant of $\ln X$, which in a linear layer "
            r"is $\psi^{(2)}(n/2)$, about $-4/n^2$.",
            "The third cumulant",
        ),
        Step(
            Subs(depth * y / (depth * q) ** Rational(3, 2), (y, q), (-4 / n**2, 2 / n)),
            -sqrt(2) / sqrt(depth * n),
            r"The skewness of the sum: it vanishes with the *product* of depth and width, while "
            r"$\beta$ is their ratio. So the normal law is good long before $\beta$ is large; even "
            r"a few layers will do if they are wide.",
            "How normal it is",
        ),
        Step(
            NormalMean(exp(x - beta / 2), x, beta),
            Integer(1),
            r"Now the point of it. With $\ln a^L = x - \beta/2$ and $x \sim N(0, \beta)$ the mean "
            r"of $a^L$ is 1, as it must be: drift and scatter balance exactly. That is why the "
            r"drift is half the variance.",
            "The mean is 1",
        ),
        Step(
            NormalMean(exp(2 * (x - beta / 2)), x, beta),
            exp(beta),
            r"The mean square grows exponentially with $\beta$;",
            "The mean square",
        ),
        Step(
            Limit((1 + 5 / n) ** (lam * n), n, oo),
            exp(5 * lam),
            r"and this is the limit of the exact $(1 + 5/n)^L$ when depth and width grow together, "
            r"$L = \lambda n$.",
            "The exact one agrees",
        ),
        Step(
            exp(x - beta / 2) * density,
            NormalDensity(x - beta, beta),
            r"Who makes the mean? Weigh each network by its $a^L$: the bell moves to the right by "
            r"$\beta$. The mean is made by networks with $\ln a^L$ around $+\beta/2$, while those "
            r"one meets are around $-\beta/2$: $\sqrt\beta$ standard deviations apart.",
            "Who makes the mean",
        ),
        Step(
            Integral(density, (x, beta / 2, oo)),
            erfc(sqrt(beta / 8)) / 2,
            r"The share of networks whose signal is at least the mean one, $x > \beta/2$. For "
            r"$\beta = 25$ it is 0.6 percent.",
            "How many are above the mean",
        ),
    )


def _networks() -> tuple[Network, ...]:
    return tuple(
        Network(depth_, width=100, act="relu", scheme="he") for depth_ in (5, 20, 50, 200, 500)
    )


def _values() -> Table:
    rows = []
    for net in _networks():
        law = norm_law(net)
        size = 5 * net.depth / 100
        limit = math.erfc(math.sqrt(size / 8)) / 2
        rows.append(
            (
                f"${net.depth}$",
                f"${size:g}$",
                f"{law.mean:.4f}",
                f"{law.variance:.4f}",
                power_of_ten(float(law.quantile(0.5))),
                f"{1 - law.cdf(0.0):.4f}",
                f"{limit:.4f}",
            )
        )
    return Table(
        r"ReLU, width 100, He's weights. The exact mean and variance of $\ln(a^L/a^0)$, the median "
        r"of $a^L/a^0$, and the share of networks above the mean 1, exactly and by the log-normal "
        r"law:",
        (
            "depth",
            r"$\beta$",
            r"$\operatorname{E}\ln$",
            r"$\operatorname{Var}\ln$",
            "median",
            "above 1",
            "log-normal",
        ),
        tuple(rows),
    )


def _averages() -> Table:
    rows = []
    for size in (0.1, 1.0, 2.5, 10.0, 25.0):
        needed = math.log(math.expm1(size) / 0.1**2)
        rows.append((f"${size:g}$", power_of_ten(-size / 2), power_of_ten(needed)))
    return Table(
        r"By $\beta$: a typical signal, and how many networks one must average for the mean to be "
        r"good to 10 percent (relative variance $e^\beta - 1$):",
        (r"$\beta$", "typical", "networks"),
        tuple(rows),
    )


def _picture() -> Figure:
    curves = []
    for net in _networks()[1:4]:
        size = 5 * net.depth / 100
        at = np.linspace(-size / 2 - 4 * math.sqrt(size), -size / 2 + 4 * math.sqrt(size), 81)
        bell = np.exp(-((at + size / 2) ** 2) / (2 * size)) / math.sqrt(2 * math.pi * size)
        curves += [
            Curve.of(f"depth {net.depth}", at, norm_law(net).pdf(at)),
            Curve.of(rf"$\beta = {size:g}$", at, bell),
        ]
    return Figure(
        "densities",
        r"Density of $\ln(a^L/a^0)$ over ReLU networks of width 100, exact, and the normal law "
        r"$N(-\beta/2, \beta)$ beside it.",
        r"$\ln a^L$",
        "density",
        tuple(curves),
    )


_PRACTICE = r"""- Compute $\beta = 5 \sum 1/n_l$ before you train a plain ReLU network. Below
  0.01 networks agree within 10 percent. At 1 they differ by factors of $e$, and at 10 the choice of
  the seed decides.
- Plot medians or mean logarithms of deep networks, not means: the mean of a hundred networks says
  little once $\beta$ exceeds 5 or so (second table).
- The gradient's length on its way back obeys the same law, with the same $\beta$.
- Widening helps by its ratio, $\beta = 5L/n$; a normalisation after each layer fixes the length
  and takes the scatter away."""

_SOURCES = (
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    r"Networks*, Communications in Mathematical Physics 2020, arXiv 1812.05994: the log-normal "
    r"limit, $\beta = 5 \sum 1/n_l$.",
    "D. Sussillo and L. F. Abbott, *Random Walk Initialization for Training Very Deep Feedforward "
    r"Networks*, arXiv 1412.6558: the random walk of $\ln a$, and a gain against its drift.",
    "B. Hanin, *Which Neural Net Architectures Give Rise to Exploding and Vanishing Gradients?*, "
    "NeurIPS 2018, arXiv 1801.03744.",
    "M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, 6.3 and 6.4: the "
    "digamma function and its series.",
)


def derivation() -> Derivation:
    """The log-normal law: mean and variance of the logarithm, and the typical network.

    Examples
    --------
    >>> derivation().result.right
    exp(-beta/2)
    """
    return Derivation(
        name="log_normal",
        title="The log-normal law of deep networks",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_linear(), *_relu(), *_limit()),
        result=Step(
            exp(NormalMean(x - beta / 2, x, beta)),
            exp(-beta / 2),
            r"The typical mean square, $e^{\operatorname{E} \ln a^L}$, which is also the median, "
            r"of networks whose average is 1:",
            "The result",
        ),
        tables=(_values(), _averages()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_picture(),),
    )
