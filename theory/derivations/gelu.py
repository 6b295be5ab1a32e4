"""GELU: closed maps by Stein's identity, and a critical point that attracts from one side."""

from __future__ import annotations

import numpy as np
import sympy
from sympy import Derivative, Limit, Rational, Subs, erf, exp, oo, pi, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..figure import Curve, Figure
from ..gaussian import K, gaussian_expectation, x
from ..maps import gradient_map, variance_map
from ..notation import NormalMean, Root, Rounded, SeriesOf
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

_CDF = (1 + erf(x / sqrt(2))) / 2
_BELL = exp(-(x**2) / 2) / sqrt(2 * pi)
_PHI = x * _CDF
_SLOPE = _CDF + x * _BELL
_Q = gaussian_expectation(_PHI**2)
_V = gaussian_expectation(_SLOPE**2)
_BEND = K * (2 + 3 * K - K**2) / (2 * pi * (1 + K) ** 2 * (1 + 2 * K) ** Rational(3, 2))
_POINT = (3 + sqrt(17)) / 2

_CLAIM = (
    r"GELU, $\varphi(x) = x\,\Phi(x)$ with the normal distribution function $\Phi$, has closed "
    r"maps. Variance and gradient are both kept at just one point, $K^\star = (3 + \sqrt{17})/2 = "
    r"3.56\ldots$, with weights $\sigma_w^2 = 1.983$ *and* biases $\sigma_b^2 = 0.173$; and that "
    r"point attracts from above only. He's $\sigma_w^2 = 2$ without biases looks nearly the same, "
    r"but lets every signal die, in the end by a factor of $\frac12$ per layer."
)
_MOTIVATION = (
    r"GELU is the activation of most transformers, and is usually started like a ReLU, because "
    r"for large $|x|$ it is one. How good is that? Far from 0 the two agree; near 0 a GELU is "
    r"$x/2$, a linear layer of half the slope. Which of the two a deep network sees depends on "
    r"where its variance goes, and that takes the maps."
)
_ASSUMPTIONS = (
    r"$\varphi(x) = x\,\Phi(x)$, where $\Phi(x) = \frac12 (1 + \operatorname{erf}(x/\sqrt2))$ has "
    r"the slope $p(x) = e^{-x^2/2}/\sqrt{2\pi}$. So $\varphi' = \Phi + x p$.",
    r"$K$ is the variance of a pre-activation $x$, normal: exact for Gaussian weights given the "
    r"layer below, the limit of wide layers for others.",
    r"$Q(K) = \operatorname{E} \varphi(x)^2$ and $V(K) = \operatorname{E} \varphi'(x)^2$; a layer "
    r"turns $K$ into $\sigma_b^2 + \sigma_w^2 Q(K)$ and multiplies the mean square of a gradient "
    r"by $\sigma_w^2 V(K)$.",
)


def _mean(expr: sympy.Expr) -> NormalMean:
    return NormalMean(expr, x, K)


def _maps() -> tuple[Step, ...]:
    return (
        Step(
            _mean(_CDF**2),
            gaussian_expectation(_CDF**2),
            r"$\Phi$ is $\frac12$ plus half an error function of $x/\sqrt2$. The cross term is odd "
            r"and drops out, and the square of erf has an arcsine for its expectation (derivation "
            r"`erf`, at $K/2$).",
            "The square of the distribution function",
        ),
        Step(
            _mean(x**2 * _CDF**2) - K**2 * _mean(2 * _BELL**2 - 2 * x * _BELL * _CDF),
            K * gaussian_expectation(_CDF**2),
            r"Stein's identity $\operatorname{E} x f(x) = K \operatorname{E} f'(x)$, used twice, "
            r"gives $\operatorname{E} x^2 f = K \operatorname{E} f + K^2 \operatorname{E} f''$. "
            r"Here $f = \Phi^2$, $f' = 2 p\,\Phi$, $f'' = 2 p^2 - 2 x p\,\Phi$."
            r" The first term is known:",
            "Stein's identity, twice",
        ),
        Step(
            _mean(_BELL**2),
            gaussian_expectation(_BELL**2),
            r"A bell under a normal density: a root.",
            "Two bells",
        ),
        Step(
            _mean(x * _BELL * _CDF),
            gaussian_expectation(x * _BELL * _CDF),
            r"A bell times the normal density is a normal density of variance $K/(1 + K)$. Under "
            r"that Stein's identity turns $x\,\Phi$ into $p$, and the last step applies.",
            "A bell and a distribution function",
        ),
        Step(
            _mean(_PHI**2),
            _Q,
            r"The three together are the variance map.",
            "The variance map",
        ),
        Step(
            _mean(_SLOPE**2),
            _V,
            r"The gradient map consists of the same parts, since $\varphi'^2 = \Phi^2 + 2 x "
            r"p\,\Phi + x^2 p^2$.",
            "The gradient map",
        ),
    )


def _he() -> tuple[Step, ...]:
    return (
        Step(
            _PHI**2 + _PHI.subs(x, -x) ** 2,
            x**2 - 2 * x**2 * _CDF * _CDF.subs(x, -x),
            r"$\Phi(x) + \Phi(-x) = 1$. For a ReLU the squares at $x$ and $-x$ add up to $x^2$; "
            r"for GELU they fall short, by a product of positive terms. So $2 Q(K) < K$ at every "
            r"$K$: with He's weights the variance falls in every layer.",
            "He's weights lose variance",
        ),
        Step(
            Limit(2 * _Q / K, K, oo),
            sympy.Integer(1),
            r"At large $K$ next to nothing is lost: there GELU is a ReLU.",
            "Large signals: a ReLU",
        ),
        Step(
            SeriesOf(_Q, K, 3),
            K / 4 + 3 * K**2 / (2 * pi),
            r"But since $K$ does fall, it comes to where GELU is $x/2$, and $Q = K/4$. There He's "
            r"factor of 2 leaves one half per layer, and the gradient's factor is the same.",
            "Small signals: half a linear layer",
        ),
    )


def _point() -> tuple[Step, ...]:
    return (
        Step(
            Derivative(_PHI, x, 2),
            _BELL * (2 - x**2),
            r"Now ask for a point at which both are kept. The heat equation, $\partial_K "
            r"\operatorname{E} f = \frac12 \operatorname{E} f''$, says $Q' = \operatorname{E} "
            r"\varphi'^2 + \operatorname{E} \varphi \varphi''$. The first is $V$, so it takes "
            r"$\operatorname{E} \varphi \varphi'' = 0$. A ReLU's bend sits at 0, where $\varphi$ "
            r"is 0, and the condition always holds. GELU bends elsewhere:",
            "The bend",
        ),
        Step(
            Derivative(_Q, K) - _V,
            _BEND,
            r"In closed form, from the two maps. For small $K$ the bend to the right of 0 wins and "
            r"this is positive; for large $K$ the outward bends beyond $\sqrt2$ win.",
            "Variance less gradient",
        ),
        Step(
            Root(2 + 3 * K - K**2, K, (0, oo)),
            _POINT,
            r"It vanishes where this factor of it does: at one positive $K$.",
            "The point",
        ),
        Step(
            Subs(1 / _V, K, _POINT),
            Rounded("1.98305826"),
            r"The gradient is kept there by $\sigma_w^2 = 1/V(K^\star)$, ...",
            "The weights",
        ),
        Step(
            Subs(K - _Q / _V, K, _POINT),
            Rounded("0.17292239"),
            r"... and $K^\star$ is a fixed point if $\sigma_b^2 = K^\star - \sigma_w^2 "
            r"Q(K^\star)$.",
            "The biases",
        ),
        Step(
            Subs(Derivative(_Q, K, 2) / _V, K, _POINT),
            Rounded("-0.00028725"),
            r"The curvature of the map there, $\sigma_w^2 Q''$, is negative: the map touches the "
            r"line $K' = K$ from below. A variance above $K^\star$ comes down to it, one below "
            r"drifts away: the point is half-stable. And the curvature is tiny, so that both take "
            r"thousands of layers.",
            "Half-stable",
        ),
    )


def _settings() -> tuple[tuple[str, float, float], ...]:
    v, q = gradient_map("gelu"), variance_map("gelu")
    at = float(_POINT)
    return (
        (r"He: $\sigma_w^2 = 2$", 2.0, 0.0),
        (r"unit variance: $\sigma_w^2 = 1/Q(1)$", 1 / q(1.0), 0.0),
        (r"critical: $1.983$, $\sigma_b^2 = 0.173$", 1 / v(at), at - q(at) / v(at)),
    )


def _networks() -> list[tuple[str, Network]]:
    return [
        (label, Network(100, width=1000, act="gelu", sigma_w=w**0.5, sigma_b=b**0.5))
        for label, w, b in _settings()
    ]


def _decay() -> Table:
    rows = [(label, predict(net).log_variance) for label, net in _networks()]
    return by_depth(
        "The variance $K$ after that many layers, for an input of mean square 1:",
        "weights and biases",
        rows,
        (1, 2, 5, 10, 50, 100),
    )


def _gradients() -> Table:
    rows = []
    for label, net in _networks():
        log = predict(net).log_gradient
        rows.append((label, log[0] - log))
    return by_depth(
        "What is left of a mean square gradient at that depth on its way back to layer 1:",
        "weights and biases",
        rows,
        (2, 5, 10, 50, 100),
    )


def _figure() -> Figure:
    k = np.geomspace(0.02, 50, 80)
    q = variance_map("gelu")(k)
    return Figure(
        "maps",
        r"What a layer makes of $K$, as a factor. He's weights (and ReLU's reputation) stay below "
        r"1 everywhere. The critical setting touches 1 at $K^\star$, so gently that over a "
        r"decade from $K = 1$ it stays within 2 % of 1.",
        "$K$",
        "$K'/K$",
        tuple(Curve.of(label, k, (b + w * q) / k) for label, w, b in _settings()),
        x_scale="log",
        y_scale="log",
    )


_PRACTICE = r"""- He's initialisation on a deep plain GELU network: two thirds of the signal are
  gone after ten layers, eleven digits after fifty, and of the gradient as much. Residual
  connections and normalisation hide this.
- `theory.critical("gelu")` gives $\sigma_w = 1.4082$, $\sigma_b = 0.4158$. An input of mean square
  1 enters below $K^\star$, stays near $K = 2.2$ for a hundred layers, and comes to rest at $K =
  3.03$, a second fixed point beside $K^\star$. Gradients lose 2 % per layer at the first and 0.6 %
  at the second: not critical to the letter, but a tenfold loss in a hundred layers is no
  catastrophe.
- Without biases there is no such point. Weights of $1/Q(1)$ keep a variance of 1, but the
  fixed point repels: $\sigma_w^2 Q'(1) > 1$. What is a little too large grows, what is a little
  too small dies.
- GELU's approximation by tanh (`gelu_tanh`) has slightly different maps, and no closed ones."""

_SOURCES = (
    "D. Hendrycks and K. Gimpel, *Gaussian Error Linear Units (GELUs)*, arXiv 1606.08415: the "
    "activation.",
    "R. Tsuchida, T. Pearce, C. van der Heide, F. Roosta and M. Gallagher, *Avoiding Kernel Fixed "
    "Points: Computing with ELU and GELU Infinite Networks*, AAAI 2021, arXiv 2002.08517: the "
    "closed kernel.",
    "D. A. Roberts, S. Yaida and B. Hanin, *The Principles of Deep Learning Theory*, Cambridge "
    "2022, arXiv 2106.10165, section 5.3.4: the half-stable point of GELU, $(0.17292239, "
    "1.98305826)$.",
    "C. Stein, *Estimation of the Mean of a Multivariate Normal Distribution*, Annals of "
    "Statistics 9(6), 1981: the identity behind step 2.",
)


def derivation() -> Derivation:
    """GELU: its maps, its half-stable critical point, and how He's weights let it down.

    Examples
    --------
    >>> derivation().result.right
    K**2/(pi*(K + 1)*sqrt(2*K + 1)) + K*asin(K/(K + 1))/(2*pi) + K/4
    """
    return Derivation(
        name="gelu",
        title="GELU: closed maps and a half-stable point",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_maps(), *_he(), *_point()),
        result=Step(
            _mean(_PHI**2),
            _Q,
            r"The variance map of GELU. A layer turns $K$ into $\sigma_b^2$ plus $\sigma_w^2$ "
            r"times",
            "The result",
        ),
        tables=(_decay(), _gradients()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
