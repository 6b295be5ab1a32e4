"""The edge of chaos: where the correlation map has slope 1 at 1, gradients are kept."""

from __future__ import annotations

import numpy as np
import sympy
from sympy import Derivative, Limit, Rational, Subs, Sum, asin, erf, exp, pi, sqrt, tanh

from varprop.activation import Activation

from ..derivation import Derivation, Step, Table
from ..edge import edge
from ..figure import Curve, Figure
from ..fixed_point import fixed_point
from ..gaussian import K, gaussian_expectation, x
from ..kernel import kernel
from ..maps import gradient_map, variance_map
from ..notation import NormalMean, PairMean, Rounded
from ..rate import on_the_edge

__all__ = ["derivation"]

n, layer = sympy.symbols("n l", integer=True, positive=True)
s, Q, V, B = sympy.symbols("sigma_w Q V B", positive=True)
chi, eps, b, xi = sympy.symbols("chi epsilon b xi", positive=True)
u, w, c = sympy.symbols("u v c", real=True)

_INSIDE = ((c, -1, 1),)
_T = tanh(x)
_V = NormalMean((1 - _T**2) ** 2, x, K)
_Q = NormalMean(_T**2, x, K)
_BEND = NormalMean((2 * _T * (1 - _T**2)) ** 2, x, K)
# erf's slope, and its correlation map without biases.
_BELL = 2 / sqrt(pi) * exp(-(x**2))
_ERF_MAP = s**2 * 2 / pi * asin(2 * c * K / (1 + 2 * K)) / K
# Where tanh is on the edge at sigma_b^2 = 0.05.
_AT = sympy.Float("0.57004788164", 12)

_CLAIM = (
    r"At the fixed point $K^\star$ of the variance one number decides about a deep network: "
    r"$\chi_1 = \sigma_w^2 \operatorname{E} \varphi'(x)^2$. It is the factor of a gradient per "
    r"layer, *and* the slope at 1 of the map of correlations. Below 1 all inputs become alike and "
    r"gradients vanish; above 1 neighbours part and gradients explode. Between lies the edge of "
    r"chaos, $\sigma_w^2 = 1/V(K)$ and $\sigma_b^2 = K - Q(K)/V(K)$: a curve, one point for each "
    r"$K$. On it correlations converge only like $\beta/l$."
)
_MOTIVATION = (
    r"A network can learn only what its last layer can still tell apart, and only as far down as a "
    r"gradient reaches. Both distances are set before training, by $\sigma_w$ and $\sigma_b$; both "
    r"become infinite at the same place. With $\sigma_b > 0$ that place is at a finite signal, so "
    r"nothing fades. This is how networks of thousands of layers were trained without any "
    r"normalisation (with orthogonal weights besides)."
)
_ASSUMPTIONS = (
    r"Wide layers: pre-activations $u, v$ of two inputs are jointly normal. $K$ is their variance, "
    r"$c$ their correlation.",
    r"Weights and biases have mean 0; $\sigma_w^2 = n \operatorname{Var} w$, $\sigma_b^2$ is the "
    r"variance of a bias. So $K' = \sigma_b^2 + \sigma_w^2 Q(K)$ with $Q = \operatorname{E} "
    r"\varphi(x)^2$. $V = \operatorname{E} \varphi'(x)^2$.",
    r"Both inputs have reached the fixed point $K = K^\star$. Then $c' = C(c) = (\sigma_b^2 + "
    r"\sigma_w^2 \operatorname{E} \varphi(u) \varphi(v))/K$, and $C(1) = 1$.",
    r"For the last steps $\varphi$ has no corners, as tanh.",
)


def _correlation_map() -> tuple[Step, ...]:
    return (
        Step(
            Subs(Derivative(_ERF_MAP, c), c, 1),
            s**2 * gaussian_expectation(_BELL**2),
            r"By Price's theorem (derivation `correlation`) a derivative in the covariance $cK$ "
            r"puts a prime on each factor: $C'(c) = \sigma_w^2 \operatorname{E} \varphi'(u) "
            r"\varphi'(v)$. At $c = 1$, where $u = v$, this is $\chi_1 = \sigma_w^2 V(K)$. Here "
            r"for erf, whose kernel is an arcsine; the right side is $\sigma_w^2 \operatorname{E} "
            r"\varphi'^2$. By the derivation `backward` it also is the factor of a mean square "
            r"gradient.",
            r"The slope at 1 is $\chi_1$",
        ),
        Step(
            PairMean((u**3 - 3 * u) * (w**3 - 3 * w), (u, w), (1, 1, c)),
            6 * c**3,
            r"What does $C$ look like elsewhere? Expand $\varphi(\sqrt K z)$ in Hermite "
            r"polynomials: two different ones have no covariance, and two of degree $n$ have $n!\, "
            r"c^n$, as here for $n = 3$. So $C(c) = \sum_n A_n c^n$ with no negative coefficient: "
            r"on $[0, 1]$ it rises and is convex.",
            "A power series without minus signs",
            ranges=_INSIDE,
        ),
        Step(
            (1 - c) * Sum(c**layer, (layer, 0, n - 1)),
            1 - c**n,
            r"Therefore $1 - C(c) = \sum_n A_n (1 - c^n)$ is $1 - c$ times a sum in which $A_n$ "
            r"stands with $1 + c + \ldots + c^{n-1}$, which is below $n$ for $n > 1$. And "
            r"$\sum_n n A_n = C'(1) = \chi_1$. So $1 - C(c) < \chi_1 (1 - c)$, unless $\varphi$ is "
            r"linear.",
            "Two phases",
            ranges=_INSIDE,
        ),
    )


def _scales() -> tuple[Step, ...]:
    return (
        Step(
            Subs(exp(-layer / xi), xi, -1 / sympy.log(chi)),
            chi**layer,
            r"If $\chi_1 \le 1$, then, $1 - c$ shrinks in every layer and all inputs end up "
            r"parallel: the ordered phase. If $\chi_1 > 1$, a small $1 - c$ grows, up to the one "
            r"other fixed point $c^\star < 1$: the chaotic phase. Near $c = 1$ a departure is "
            r"multiplied by $\chi_1$ per layer: it falls by $e$ in $\xi = -1/\ln \chi_1$ layers.",
            "A depth scale",
            ranges=((chi, 0, 1),),
        ),
        Step(
            Limit(-(1 - chi) / sympy.log(chi), chi, 1, "-"),
            sympy.Integer(1),
            r"Near the edge that is $\xi \approx 1/(1 - \chi_1)$: it diverges, and with it the "
            r"depth that can be trained. The gradient has the same scale, $\xi_g = -1/\ln \chi_1$.",
            "It diverges at the edge",
        ),
        Step(
            Derivative(gaussian_expectation(erf(x) ** 2), K) / gaussian_expectation(_BELL**2),
            1 / (1 + 2 * K),
            r"The variance has a scale of its own. By the heat equation $Q' = \frac12 "
            r"\operatorname{E} (\varphi^2)''$, so its factor is $\chi_K = \sigma_w^2 Q' = \chi_1 + "
            r"\sigma_w^2 \operatorname{E} \varphi \varphi''$. An activation that bends towards 0 "
            r"makes the last term negative; for erf $\chi_K/\chi_1$ is this. On the edge, then, "
            r"the variance settles in a few layers while correlations take for ever.",
            "The variance is quicker",
        ),
    )


def _edge() -> tuple[Step, ...]:
    return (
        Step(
            Subs(B + s**2 * Q, (B, s), (K - Q / V, 1 / sqrt(V))),
            K,
            r"Where is the edge? $\chi_1 = \sigma_w^2 V = 1$ gives the weights; then the biases "
            r"have to fill up what is missing for a fixed point. Conversely, with these "
            r"$\sigma_b^2 = B = K - Q/V$ and $\sigma_w^2 = 1/V$ the variance $K$ is kept. No "
            r"equation has to be solved: every $K$ with $K V \ge Q$ gives a point of the edge.",
            "One point for each variance",
        ),
        Step(
            Subs(K - _Q / _V, K, _AT),
            Rounded("0.05000000"),
            r"For instance tanh at $K = 0.57005$. These are the biases, ...",
            "An example: the biases",
        ),
        Step(
            Subs(1 / _V, K, _AT),
            Rounded("1.76095464"),
            r"... and these the weights: the pair $(1.76, 0.05)$ of the literature.",
            "An example: the weights",
        ),
    )


def _on_the_edge() -> tuple[Step, ...]:
    return (
        Step(
            Subs(Derivative(_ERF_MAP, c, 2), c, 1),
            s**2 * K * gaussian_expectation(sympy.diff(_BELL, x) ** 2),
            r"On the edge itself, go one order further. With $c = 1 - \epsilon$: $C = 1 - \epsilon "
            r"+ b \epsilon^2 + \ldots$, where $b = \frac12 C''(1)$. Price's theorem once more "
            r"gives $C''(1) = \sigma_w^2 K \operatorname{E} \varphi''(x)^2$, here again for erf. "
            r"So correlations still grow, but by something quadratic.",
            "One order further",
        ),
        Step(
            1 / (eps - b * eps**2) - 1 / eps,
            b / (1 - b * eps),
            r"Seen through its inverse: $1/\epsilon$ grows by nearly $b$ in every layer. So $1 - c "
            r"\approx \beta/l$ with $\beta = 1/b = 2V/(K \operatorname{E} \varphi''^2)$, wherever "
            r"two inputs started.",
            "The inverse grows steadily",
            ranges=((b, 0, 1), (eps, 0, Rational(1, 2))),
        ),
        Step(
            Subs(2 * _V / (K * _BEND), K, _AT),
            Rounded("6.17113"),
            r"For the example, with $\varphi'' = -2 \tanh x \operatorname{sech}^2 x$: after 100 "
            r"layers inputs differ by $1 - c = 0.06$ whatever they were. (ReLU's corner makes it "
            r"$1/l^2$, derivation `correlation`: smooth activations are better.)",
            "An example: the rate",
        ),
    )


_BIAS = 0.05**0.5
_TANH = Activation.parse("tanh")


def _critical_weight() -> float:
    curve = edge(_TANH)
    return curve.sigma_w(curve.variances(_BIAS)[0])


def _phases() -> Table:
    rows = []
    for weight in (1.0, 1.3, _critical_weight(), 1.4, 2.0):
        p = fixed_point(_TANH, sigma_w=weight, sigma_b=_BIAS)
        shown = (p.variance, p.correlation, p.chi1, p.chi_k, p.xi_k, p.xi_c, p.xi_g)
        cells = ("none" if t is None else f"{t:.4g}".replace("inf", r"$\infty$") for t in shown)
        rows.append((f"{weight:.4f}", p.phase, *cells))
    return Table(
        r"tanh at $\sigma_b^2 = 0.05$: the fixed point, the two factors there, and the layers in "
        r"which variance, correlation and gradient come nearer to it by $e$ (negative: the "
        r"gradient grows):",
        (
            r"$\sigma_w$",
            "phase",
            r"$K^\star$",
            r"$c^\star$",
            r"$\chi_1$",
            r"$\chi_K$",
            r"$\xi_K$",
            r"$\xi_c$",
            r"$\xi_g$",
        ),
        tuple(rows),
    )


def _points() -> Table:
    curve, rows = edge(_TANH), []
    for bias_variance in (1e-4, 0.01, 0.05, 0.2):
        (variance,) = curve.variances(bias_variance**0.5)
        rows.append(
            (
                f"${bias_variance:g}$",
                f"{variance:.5f}",
                f"{curve.sigma_w(variance) ** 2:.5f}",
                f"{on_the_edge(_TANH, variance).correlation.coefficient:.4g}",
            )
        )
    return Table(
        r"tanh: points of the edge by their biases, and $\beta$ of $1 - c \approx \beta/l$ there:",
        (r"$\sigma_b^2$", "$K$", r"$\sigma_w^2$", r"$\beta$"),
        tuple(rows),
    )


def _maps_figure() -> Figure:
    c_grid = np.linspace(0, 1, 41)
    curves = [Curve.of("$c' = c$", c_grid, c_grid)]
    for weight in (0.9, _critical_weight(), 2.5):
        at = fixed_point(_TANH, sigma_w=weight, sigma_b=_BIAS).variance
        signal = kernel("tanh")(at, at, c_grid * at)
        curves.append(
            Curve.of(rf"$\sigma_w = {weight:.3f}$", c_grid, (_BIAS**2 + weight**2 * signal) / at)
        )
    return Figure(
        "maps",
        r"The correlation map $C$ of tanh at $\sigma_b^2 = 0.05$: ordered, on the edge, chaotic. "
        r"It is convex and ends at $(1, 1)$; its slope there decides whether it gets there from "
        r"above the diagonal or from below.",
        "$c$",
        "$C(c)$",
        tuple(curves),
    )


def _edges_figure() -> Figure:
    grid = np.geomspace(1e-3, 3, 60)
    curves = []
    for act in ("tanh", "erf", "sin"):
        q, v = variance_map(act)(grid), gradient_map(act)(grid)
        curves.append(Curve.of(act, 1 / v, grid - q / v))
    return Figure(
        "edges",
        r"Edges of chaos: order to the left and above, chaos to the right and below. Each starts "
        r"at $\sigma_w^2 = 1/\varphi'(0)^2$ without biases.",
        r"$\sigma_w^2$",
        r"$\sigma_b^2$",
        tuple(curves),
    )


_PRACTICE = r"""- `theory.critical(act, sigma_b=...)` gives the point of the edge at your biases,
  and `theory.fixed_point` the phase and the depth scales of any other setting.
- A network trains to a depth of a few times $\xi$ (about six in the experiments of Schoenholz et
  al.). Deeper than that, its output doesn't depend on its input, or depends on noise.
- Which point of the edge? Small biases make a small $K$, nearly linear units and a large $\beta$:
  inputs are told apart for longer, but by a network that computes less.
- ReLU's edge is one point, $\sigma_w^2 = 2$ without biases; the sigmoid's starts at $\sigma_w =
  10.1$. GELU has a point on its edge at which $\chi_K = 1$ as well (derivation `gelu`).
- Published figures of the edge differ from the exact ones in the third digit for some activations.
  With $1/V$ and $K - Q/V$ anyone can check."""

_SOURCES = (
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, *Exponential expressivity in "
    "deep neural networks through transient chaos*, NeurIPS 2016, arXiv 1606.05340: the "
    r"correlation map, equation (5), $\chi_1$ as its slope, and the two phases.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    "Propagation*, ICLR 2017, arXiv 1611.01232: the depth scales, and which networks train.",
    "S. Hayou, A. Doucet and J. Rousseau, *On the Impact of the Activation Function on Deep Neural "
    r"Networks Training*, ICML 2019, arXiv 1902.06853: $\beta/l$ on the edge, and its algorithm.",
    "L. Xiao, Y. Bahri, J. Sohl-Dickstein, S. Schoenholz and J. Pennington, *Dynamical Isometry "
    "and a Mean Field Theory of CNNs*, ICML 2018, arXiv 1806.05393: ten thousand layers there.",
)


def derivation() -> Derivation:
    """The edge of chaos: one number for order and chaos, where it is 1, and what happens there.

    Examples
    --------
    >>> derivation().result.right
    K - Q/V
    """
    return Derivation(
        name="edge_of_chaos",
        title="The edge of chaos",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_correlation_map(), *_scales(), *_edge(), *_on_the_edge()),
        result=Step(
            Subs(K - s**2 * Q, s, 1 / sqrt(V)),
            K - Q / V,
            r"The edge of chaos has $\sigma_w^2 = 1/V(K)$, and for the variance of its biases",
            "The result",
        ),
        tables=(_phases(), _points()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_maps_figure(), _edges_figure()),
    )
