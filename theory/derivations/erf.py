"""The error function: a sigmoid shape whose every map is an arcsine or a root."""

from __future__ import annotations

import math

import sympy
from sympy import Derivative, Limit, Product, Rational, Subs, asin, erf, exp, oo, pi, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..gaussian import K, gaussian_expectation, x
from ..maps import gradient_map, variance_map
from ..notation import NormalMean, PairMean, SeriesOf
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

u, w, k = sympy.symbols("u v k", real=True)
a, b, s = sympy.symbols("a b sigma_w", positive=True)
layer, depth = sympy.symbols("l L", integer=True, positive=True)

_INSIDE = ((k, -sqrt(a * b), sqrt(a * b)),)
_BELL = 2 / sqrt(pi) * exp(-(x**2))
_DETERMINANT = (1 + 2 * a) * (1 + 2 * b) - 4 * k**2
_KERNEL = 2 / pi * asin(2 * k / sqrt((1 + 2 * a) * (1 + 2 * b)))

_CLAIM = (
    r"For $\varphi = \operatorname{erf}$ every map of the theory has a closed form: "
    r"$Q(K) = \frac{2}{\pi}\arcsin\frac{2K}{1 + 2K}$ forward, "
    r"$V(K) = \frac{4}{\pi\sqrt{1 + 4K}}$ backward, an arcsine for two inputs. Small signals keep "
    r"their size for $\sigma_w^2 = \pi/4$."
)
_MOTIVATION = (
    r"The error function looks like tanh: odd, smooth, saturating at $\pm 1$. But while tanh's "
    r"maps are known only as series and integrals, those of erf are exact. What one can see here "
    r"line by line (a critical variance, saturation, the decay in between) holds for tanh with "
    r"other constants. And with $\Phi(x) = \frac12 (1 + \operatorname{erf}(x/\sqrt 2))$ it is "
    r"what GELU is made of."
)
_ASSUMPTIONS = (
    r"$\varphi(x) = \operatorname{erf}(x) = \frac{2}{\sqrt\pi}\int_0^x e^{-t^2}\,dt$, with slope "
    r"$\varphi'(x) = \frac{2}{\sqrt\pi} e^{-x^2}$.",
    r"Pre-activations $u, v$ of two inputs are jointly normal with variances $a, b$ and covariance "
    r"$k$, $k^2 < ab$: exact for Gaussian weights given the layer below, and the limit of wide "
    r"layers for others.",
    r"$K$ is the variance of a pre-activation of one input, $\sigma_w^2 = n \operatorname{Var} w$.",
)


def _kernel() -> tuple[Step, ...]:
    slopes = _BELL.subs(x, u) * _BELL.subs(x, w)
    return (
        Step(
            PairMean(slopes, (u, w), (a, b, k)),
            4 / (pi * sqrt(_DETERMINANT)),
            r"Price's theorem (derivation `correlation`): the derivative of "
            r"$\operatorname{E} \varphi(u) \varphi(v)$ by the covariance $k$ puts a prime on each "
            r"factor. The slopes of erf are bells, and two bells under a normal density make a "
            r"normal integral again; what is left is the ratio of two determinants.",
            "Two slopes",
            ranges=_INSIDE,
        ),
        Step(
            Derivative(_KERNEL, k),
            4 / (pi * sqrt(_DETERMINANT)),
            r"An arcsine has this derivative. At $k = 0$ the two inputs are independent and erf is "
            r"odd, so the expectation is 0 there, and so is the arcsine: the two agree for every "
            r"$k$. This is Williams' kernel of a network with infinitely many hidden units.",
            "Integrate back",
            ranges=_INSIDE,
        ),
        Step(
            PairMean(erf(u) * erf(w), (u, w), (a, b, k)),
            _KERNEL,
            r"So this is the kernel. As a check, the double integral itself, in numbers:",
            "The kernel of two inputs",
            ranges=_INSIDE,
        ),
    )


def _maps() -> tuple[Step, ...]:
    q = gaussian_expectation(erf(x) ** 2)
    return (
        Step(
            Subs(_KERNEL, (a, b, k), (K, K, K)),
            q,
            r"An input and itself: $a = b = k = K$. That is the variance map $Q$.",
            "One input",
        ),
        Step(
            NormalMean(_BELL**2, x, K),
            gaussian_expectation(_BELL**2),
            r"The square of the slope is a bell of half the width, and its expectation a root: the "
            r"gradient map $V$. It is 4/pi at $K = 0$ and falls like $1/\sqrt K$: a saturated "
            r"layer passes little back.",
            "The gradient map",
        ),
        Step(
            Limit(q, K, oo),
            sympy.Integer(1),
            r"Far out every unit sits at $\pm 1$, and the mean square tends to 1.",
            "Saturation",
        ),
    )


def _criticality() -> tuple[Step, ...]:
    q = gaussian_expectation(erf(x) ** 2)
    return (
        Step(
            Limit(s**2 * q / K, K, 0),
            4 * s**2 / pi,
            r"For small signals erf is a straight line of slope $2/\sqrt\pi$, and a layer "
            r"multiplies $K$ by $4\sigma_w^2/\pi$. It is 1 for $\sigma_w^2 = \pi/4$: below it "
            r"signals die out exponentially, above it they settle at a finite $K$.",
            "The critical variance",
        ),
        Step(
            SeriesOf(pi / 4 * q, K, 4),
            K - 2 * K**2 + Rational(14, 3) * K**3,
            r"At the critical variance the linear terms cancel, and what is left is a slow decay: "
            r"each layer takes away $2K^2$.",
            "At the critical point",
        ),
        Step(
            Limit(1 / (K - 2 * K**2) - 1 / K, K, 0),
            sympy.Integer(2),
            r"Seen through its inverse: $1/K$ grows by 2 in every layer. So after $l$ layers it "
            r"is about $2l$, wherever it started.",
            "The inverse grows steadily",
        ),
        Step(
            SeriesOf(pi / 4 * gaussian_expectation(_BELL**2), K, 2),
            1 - 2 * K,
            r"The gradient's factor at the critical variance, $\chi_1 = \sigma_w^2 V(K)$, "
            r"approaches 1 from below by the same $2K$. With $K = 1/(2l)$ it is $1 - 1/l$ in layer "
            r"$l$.",
            "The gradient on the way",
        ),
        Step(
            Product(1 - 1 / (layer + 1), (layer, 1, depth - 1)),
            1 / depth,
            r"The product over $L$ layers falls only like $1/L$: a power of the depth, not an "
            r"exponential. That is what being critical means.",
            "A power of the depth",
        ),
    )


def _values() -> Table:
    q, v = variance_map("erf"), gradient_map("erf")
    rows = tuple(
        (f"${at:g}$", f"{q(at):.6f}", f"{v(at):.6f}", f"{math.pi / 4 * v(at):.4f}")
        for at in (0.01, 0.1, 1.0, 10.0, 100.0)
    )
    return Table(
        r"The two maps, and $\chi_1$ at the critical $\sigma_w^2 = \pi/4$:",
        ("$K$", "$Q(K)$", "$V(K)$", r"$\frac{\pi}{4} V(K)$"),
        rows,
    )


def _decay() -> Table:
    rows = []
    for label, squared in (("0.7", 0.7), (r"\pi/4", math.pi / 4), ("0.9", 0.9)):
        net = Network(1000, width=1000, act="erf", sigma_w=math.sqrt(squared))
        rows.append((rf"$\sigma_w^2 = {label}$", predict(net).log_variance))
    return by_depth(
        r"The variance $K$ after that many layers, for an input of mean square 1: exponential "
        r"decay below $\pi/4$, $1/(2l)$ at it, a fixed point above:",
        "weights",
        rows,
        (1, 10, 100, 1000),
    )


_PRACTICE = r"""- Use `sigma_w` $= \sqrt{\pi}/2 \approx 0.886$ for erf (`theory.critical("erf")`),
  where tanh takes 1: the ratio is the slope at 0.
- A handy stand-in for tanh: $\operatorname{erf}(\sqrt\pi x/2)$ has the same slope at 0 and the
  same limits, and its maps are exact. It is not the same function: the variance maps differ by up
  to 0.03.
- Nothing explodes here: $Q \le 1$, so a layer's $K$ is at most $\sigma_w^2$ plus the bias. What
  large weights do is saturate, and then $\chi_1 = \sigma_w^2 V(K)$ decides about the gradient."""

_SOURCES = (
    "C. K. I. Williams, *Computing with Infinite Networks*, NeurIPS 1996: the arcsine kernel, "
    "equation (11).",
    "R. Price, *A Useful Theorem for Nonlinear Devices Having Gaussian Inputs*, IRE Transactions "
    "on Information Theory 4(2), 1958: the theorem behind step 1.",
    "D. A. Roberts, S. Yaida and B. Hanin, *The Principles of Deep Learning Theory*, "
    r"arXiv 2106.10165: the class of activations with $K^\star = 0$ and their $1/l$ decay.",
)


def derivation() -> Derivation:
    """The error function: its arcsine kernel, its maps, and sigma_w^2 = pi/4.

    Examples
    --------
    >>> derivation().result.right
    2*asin(2*K/(2*K + 1))/pi
    """
    return Derivation(
        name="erf",
        title="The error function: everything in closed form",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_kernel(), *_maps(), *_criticality()),
        result=Step(
            NormalMean(erf(x) ** 2, x, K),
            gaussian_expectation(erf(x) ** 2),
            r"The variance map of an erf layer. A layer turns $K$ into $\sigma_w^2$ times",
            "The result",
        ),
        tables=(_values(), _decay()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
