"""The sigmoid: why its gradient vanishes."""

from __future__ import annotations

import numpy as np
import sympy
from sympy import Derivative, Integral, Product, Rational, Subs, cosh, exp, pi, sinh, sqrt, tanh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..figure import Curve, Figure
from ..gaussian import K, x
from ..maps import gradient_map, variance_map
from ..notation import NormalMean, Rounded, SeriesOf
from ..predict import predict

__all__ = ["derivation"]

L = sympy.Symbol("L", integer=True, positive=True)
layer = sympy.Symbol("l", integer=True)
y, sigma = sympy.symbols("y sigma_w", positive=True)

_PHI = 1 / (1 + exp(-x))
_SLOPE = exp(-x) / (1 + exp(-x)) ** 2

_CLAIM = (
    r"The sigmoid $\varphi(x) = 1/(1 + e^{-x})$ has a slope of at most $\frac14$, so a layer "
    r"multiplies a gradient's mean square by $\sigma_w^2 V$ with $V < \frac1{16}$. Larger weights "
    r"don't help as they should: because its outputs have mean $\frac12$, they also drive the "
    r"units into saturation, where $V$ is smaller still. Gradients vanish for every $\sigma_w$ "
    r"below $3\sqrt{2\pi} \approx 7.5$, whatever the biases."
)
_MOTIVATION = (
    r"The vanishing gradient was discovered on networks of sigmoids, and for twenty years it kept "
    r"people from training deep ones. It is usually explained by the $\frac14$. That is half of "
    r"the story: tanh is a rescaled sigmoid, and can be initialised well. The other half is the "
    r"mean of $\frac12$, and the two together have a price that can be computed."
)
_ASSUMPTIONS = (
    r"Layers are wide; a pre-activation is normal with variance $K$, $x \sim N(0, K)$.",
    r"The weights into a unit have mean 0 and variance $\sigma_w^2/n$, $n$ the number of inputs; "
    r"biases have variance $\sigma_b^2$. So a layer makes $\sigma_b^2 + \sigma_w^2 Q(K)$ out of "
    r"$K$, with $Q(K) = \operatorname{E}\varphi(x)^2$.",
    r"Gradients pass a layer with the factor $\sigma_w^2 V(K)$, $V(K) = \operatorname{E}"
    r"\varphi'(x)^2$ (derivation `backward`, equal widths).",
)


def _identities() -> tuple[Step, ...]:
    return (
        Step(
            Derivative(_PHI, x),
            _PHI - _PHI**2,
            r"Differentiate, and express the result, $e^{-x}/(1 + e^{-x})^2$, by $\varphi$ itself.",
            r"The slope is $\varphi(1 - \varphi)$",
        ),
        Step(
            Rational(1, 4) - (_PHI - _PHI**2),
            (_PHI - Rational(1, 2)) ** 2,
            r"A square is never negative, so the slope is never above $\frac14$; and it is "
            r"$\frac14$ at a single point, $x = 0$.",
            r"It is at most $\frac14$",
        ),
        Step(
            _PHI,
            Rational(1, 2) + tanh(x / 2) / 2,
            r"The sigmoid is a tanh, at half the height and half the speed, on a pedestal of "
            r"$\frac12$. Around the pedestal it is odd, so its mean over a law symmetric about 0 "
            r"is exactly $\frac12$.",
            "A tanh on a pedestal",
        ),
        Step(
            NormalMean(_PHI**2, x, K),
            Rational(1, 2) - NormalMean(_SLOPE, x, K),
            r"Solve step 1 for the square: $\varphi^2 = \varphi - \varphi'$. The mean of "
            r"$\varphi$ is known, and there is no need for the square any more.",
            "The variance map, by the slope",
        ),
        Step(
            NormalMean(_PHI**2, x, 4 * K),
            Rational(1, 4) + NormalMean(tanh(x) ** 2, x, K) / 4,
            r"Or square step 3; the mixed term is odd. If $x$ has variance $4K$, then $x/2$ has "
            r"$K$, so $Q(4K) = \frac14 + \frac14 Q_{\tanh}(K)$: all that is known of tanh "
            r"(derivation `tanh`) carries over. Neither has a closed form.",
            "The variance map, by tanh",
        ),
    )


def _vanishing() -> tuple[Step, ...]:
    bound = 1 / (6 * sqrt(2 * pi * K))
    return (
        Step(
            SeriesOf(NormalMean(_SLOPE**2, x, K), K, 3),
            Rational(1, 16) - K / 32 + 7 * K**2 / 256,
            r"The mean square of the slope starts at $\frac1{16}$ for tiny $K$ and only falls: by "
            r"step 2 it is below $\frac1{16}$ for every $K > 0$. (The expansion is asymptotic: "
            r"good for small $K$, divergent if carried on for ever.)",
            r"The gradient map starts at $\frac1{16}$",
        ),
        Step(
            Product(Rational(1, 16), (layer, 1, L)),
            Rational(1, 16) ** L,
            r"With $\sigma_w = 1$, LeCun's or on equal widths Xavier's initialisation, a gradient "
            r"loses *more* than this: over sixteenfold per layer, twelve digits in ten layers.",
            r"$L$ layers at $\sigma_w = 1$",
        ),
        Step(
            Subs(sigma**2 * _PHI**2, x, 0),
            sigma**2 / 4,
            r"Then take larger weights? To make good for $\frac1{16}$ one would try $\sigma_w = "
            r"4$. But now the pedestal speaks up. Even if its pre-activation is always 0, a unit "
            r"gives $\frac12$, and the layer above adds up random weights times $\frac12$. Above "
            r"the first layer the variance of a pre-activation is *never* below $\sigma_w^2/4$, "
            r"whatever the input; biases only add to it.",
            r"The mean of $\frac12$ inflates the variance",
        ),
        Step(
            Integral(y * (1 - y), (y, 0, 1)),
            Rational(1, 6),
            r"And large pre-activations saturate. The total of $\varphi'^2$ over the whole line is "
            r"this: substitute $y = \varphi(x)$, $dy = \varphi' dx$, and use step 1 for the other "
            r"factor $\varphi'$. A normal density of variance $K$ is nowhere above "
            r"$1/\sqrt{2\pi K}$. Therefore $V(K) \le 1/(6\sqrt{2\pi K})$.",
            "Slopes are spent on a short stretch",
        ),
        Step(
            Subs(sigma**2 * bound, K, sigma**2 / 4),
            sigma / (3 * sqrt(2 * pi)),
            r"Put both together. With $K \ge \sigma_w^2/4$ the factor $\sigma_w^2 V$ of a gradient "
            r"is at most $\sigma_w/(3\sqrt{2\pi})$: it grows with the weights, not with their "
            r"square, and is below 1 for every $\sigma_w < 3\sqrt{2\pi} = 7.52$.",
            "What weights can do at most",
        ),
    )


def _edge() -> tuple[Step, ...]:
    q, v = (NormalMean(f, x, K) for f in (_PHI**2, _SLOPE**2))
    edge = sympy.Float("45.62428")
    square = tanh(x / 2) ** 2
    return (
        Step(
            Subs(K * v / q, K, edge),
            Rounded("1.00000"),
            r"Where exactly is the gradient kept? Without biases a variance that repeats itself "
            r"has $\sigma_w^2 = K/Q$, and so $\sigma_w^2 V = K V/Q$. That passes 1 at this $K$: "
            r"units spread over $\pm 6.8$, most of them saturated.",
            "The edge of chaos",
        ),
        Step(
            Subs(sqrt(K) / sqrt(q), K, edge),
            Rounded("10.1493"),
            r"The weights it takes are ten times the usual ones.",
            "The weights at the edge",
        ),
        Step(
            square - x / 2 * Derivative(square, x),
            tanh(x / 2) * (sinh(x) - x) / (2 * cosh(x / 2) ** 2),
            r"Is that a *critical point*, at which the variance is handed on as faithfully as the "
            r"gradient? That would take $\sigma_w^2 Q' = 1$ besides, or $K Q' = Q$. By step 3, "
            r"$4 Q = 1 + \operatorname{E} \tanh^2(x/2)$; and since $x$ grows with $\sqrt K$, $K$ "
            r"times a derivative by $K$ is $\frac x2$ times one by $x$. So $4 (Q - K Q')$ is 1 "
            r"plus the expectation of this remainder. It is never negative, since $\sinh x$ has "
            r"the sign of $x$ and is larger in size: $K Q' < Q - \frac14$, always.",
            "No point keeps both",
        ),
    )


_SIGMAS = (1.0, 2.0, 3.5777, 4.0, 6.0, 7.5, 10.149)


def _table() -> Table:
    depth, slope = 50, gradient_map("sigmoid")
    rows = []
    for sigma_w in _SIGMAS:
        net = Network(depth, width=1000, act="sigmoid", scheme=f"sigma_w={sigma_w!r}")
        p = predict(net)
        last = float(p.variance[-1])
        rows.append(
            (
                f"{sigma_w:g}",
                f"{last:.4g}",
                f"{slope(last):.4g}",
                f"{sigma_w**2 * slope(last):.4g}",
                power_of_ten(float(p.log_gradient[0])),
            )
        )
    return Table(
        r"Sigmoid networks of depth 50, no biases, by the size of their weights: the variance $K$ "
        r"in the last layer, the mean square slope $V(K)$, the factor $\sigma_w^2 V$ per layer, "
        r"and the mean square of the gradient in the first layer when it is 1 in the last:",
        (r"$\sigma_w$", "$K$", "$V$", r"$\sigma_w^2 V$", "gradient in layer 1"),
        tuple(rows),
    )


def _figure() -> Figure:
    k = np.geomspace(0.02, 60, 60)
    curves = []
    for name, still in (("sigmoid", 0), ("tanh", 1)):
        q, v = variance_map(name)(k), gradient_map(name)(k)
        small = np.geomspace(0.3, 1, 12)[: 12 * still]  # where K* = 0 and the slope is phi'(0)
        factors = np.concatenate([small**2, k / q * v])
        curves.append(Curve.of(name, np.concatenate([small, np.sqrt(k / q)]), factors))
    weights = np.linspace(0.3, 11, 60)
    least = np.minimum(weights**2 / 16, weights / (3 * np.sqrt(2 * np.pi)))
    curves.append(Curve.of(r"$\sigma_w^2/16$ or $\sigma_w/3\sqrt{2\pi}$", weights, least))
    return Figure(
        "factor",
        r"The factor $\sigma_w^2 V$ of a gradient per layer, at the variance that weights of size "
        r"$\sigma_w$ lead to (no biases). tanh passes 1 as soon as its weights do; the sigmoid "
        r"stays below its two bounds, and reaches 1 at ten.",
        r"$\sigma_w$",
        r"$\sigma_w^2 V(K^*)$",
        tuple(curves),
        x_scale="log",
        y_scale="log",
    )


_PRACTICE = r"""- Don't use sigmoids inside a deep network. tanh does the same without the pedestal,
  and with four times the slope.
- If you must (gates, biology), no choice of a scale will do: $\sigma_w = 1$ loses 12 digits in 10
  layers, and at the edge, $\sigma_w = 10.1$, most units are saturated, and how large an input was
  is forgotten after a few layers. What helps is to subtract $\frac12$, which makes it a tanh.
- 'No critical point' has two meanings. The sigmoid *has* an edge of chaos, a $\sigma_w$ at which
  gradients neither vanish nor explode. It has no point at which variances are kept as well, with
  biases or without: biases only lower $\sigma_w^2 Q' = (K - \sigma_b^2)\, Q'/Q$.
- Kumar's initialisation ($\sigma_w = 3.58$, derivation `kumar`) still loses nine digits in 20
  layers, where LeCun's loses 25."""

_SOURCES = (
    "S. Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen*, diploma thesis, TU "
    "Munich 1991: the vanishing gradient, and the slope of at most 1/4.",
    "Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, *Efficient BackProp*, in Neural Networks: "
    "Tricks of the Trade, Springer 1998: why outputs should have mean 0.",
    "X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural "
    "networks*, AISTATS 2010: sigmoid layers saturate from the top.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    r"Propagation*, ICLR 2017, arXiv 1611.01232: the factor $\chi_1 = \sigma_w^2 V$.",
    "D. A. Roberts, S. Yaida and B. Hanin, *The Principles of Deep Learning Theory*, Cambridge "
    "2022, arXiv 2106.10165, chapter 5: criticality of both kinds, and that the sigmoid has none.",
)


def derivation() -> Derivation:
    """Why a sigmoid's gradient vanishes: V < 1/16, and a mean of 1/2 that saturates.

    Examples
    --------
    >>> derivation().result.right
    NormalMean((1 - tanh(x)**2)**2, x, K)/16
    """
    return Derivation(
        name="sigmoid",
        title="The sigmoid: why its gradient vanishes",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_identities(), *_vanishing(), *_edge()),
        result=Step(
            NormalMean(_SLOPE**2, x, 4 * K),
            NormalMean((1 - tanh(x) ** 2) ** 2, x, K) / 16,
            r"The gradient map of the sigmoid is a sixteenth of that of tanh at a quarter of the "
            r"variance, and so below $\frac1{16}$:",
            "The result",
        ),
        tables=(_table(),),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_figure(),),
    )
