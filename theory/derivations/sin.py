"""The sine: a bounded activation whose gradient survives large weights."""

from __future__ import annotations

import sympy
from sympy import Limit, Rational, Subs, cos, exp, oo, sin, sinh

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..gaussian import K, gaussian_expectation, x
from ..maps import gradient_map, variance_map
from ..notation import NormalMean, SeriesOf
from ..predict import predict
from ._tables import by_depth

__all__ = ["derivation"]

u, w, k, c, omega = sympy.symbols("u v k c omega", real=True)
a, b, s = sympy.symbols("a b sigma_w", positive=True)

_Q = gaussian_expectation(sin(x) ** 2)
_V = gaussian_expectation(cos(x) ** 2)

_CLAIM = (
    r"For $\varphi = \sin$ the maps are $Q(K) = \frac12 (1 - e^{-2K})$ forward and "
    r"$V(K) = \frac12 (1 + e^{-2K})$ backward. The critical point is $\sigma_w = 1$, as for tanh. "
    r"But where tanh saturates, $V$ never falls below $\frac12$: with large weights a sine "
    r"network's gradient grows by $\sigma_w^2/2$ per layer, like ReLU's."
)
_MOTIVATION = (
    r"Networks of sines represent images and fields well, and are started with large weights on "
    r"purpose, so that the argument of the sine runs over many periods. This derivation shows "
    r"why that is possible at all: a random phase has a mean square of $\frac12$ whatever its "
    r"spread, and so has its slope. It also is the shortest example of a full mean-field theory: "
    r"one identity does everything."
)
_ASSUMPTIONS = (
    r"$\varphi(x) = \sin x$, with slope $\cos x$. A frequency $\omega_0$ in $\sin(\omega_0 x)$ is "
    r"the same as weights and biases $\omega_0$ times as large.",
    r"$K$ is the variance of a pre-activation $x$, normal: exact for Gaussian weights given the "
    r"layer below, the limit of wide layers for others. $\sigma_w^2 = n \operatorname{Var} w$.",
    r"For two inputs the pre-activations $u, v$ are jointly normal with variances $a, b$ and "
    r"covariance $k$.",
)


def _maps() -> tuple[Step, ...]:
    return (
        Step(
            NormalMean(cos(omega * x), x, K),
            exp(-(omega**2) * K / 2),
            r"The one identity: a wave of frequency $\omega$, averaged over a normal law, fades "
            r"like $e^{-\omega^2 K/2}$ (the law's characteristic function).",
            "A wave, averaged",
        ),
        Step(
            sin(x) ** 2,
            (1 - cos(2 * x)) / 2,
            r"A squared sine is a constant and a wave of twice the frequency. So only $\omega = 2$ "
            r"is needed.",
            "A square is a wave",
        ),
        Step(
            NormalMean(sin(x) ** 2, x, K),
            _Q,
            r"Here is the variance map: $K$ for small $K$, one half for large $K$.",
            "The variance map",
        ),
        Step(
            NormalMean(cos(x) ** 2, x, K),
            _V,
            r"The slope is a cosine, whose square is 1 less the other: the gradient map. Forward "
            r"and backward share a fixed budget, $Q + V = 1$.",
            "The gradient map",
        ),
        Step(
            sin(u) * sin(w),
            (cos(u - w) - cos(u + w)) / 2,
            r"Two inputs make two waves, one in $u - v$ and one in $u + v$. Their variances are "
            r"$a + b \mp 2k$.",
            "Two inputs",
        ),
        Step(
            (exp(-(a + b - 2 * k) / 2) - exp(-(a + b + 2 * k) / 2)) / 2,
            exp(-(a + b) / 2) * sinh(k),
            r"The identity of step 1, once for each wave, gives the kernel "
            r"$\operatorname{E}\sin u \sin v$.",
            "The kernel of two inputs",
        ),
    )


def _weights() -> tuple[Step, ...]:
    return (
        Step(
            Limit(s**2 * _Q / K, K, 0),
            s**2,
            r"Small signals see a line of slope 1, and a layer multiplies $K$ by $\sigma_w^2$: the "
            r"critical point without biases is $\sigma_w = 1$.",
            "The critical variance",
        ),
        Step(
            SeriesOf(_Q, K, 4),
            K - K**2 + Rational(2, 3) * K**3,
            r"There a layer takes $K^2$ away, half of what tanh takes.",
            "At the critical point",
        ),
        Step(
            Limit(1 / (K - K**2) - 1 / K, K, 0),
            sympy.Integer(1),
            r"Seen through its inverse: $1/K$ grows by 1 in every layer, and after $l$ layers $K$ "
            r"is about $1/l$.",
            "The inverse grows steadily",
        ),
        Step(
            Limit(s**2 * _V, K, oo),
            s**2 / 2,
            r"Now large weights. A layer's $K$ is nearly $\sigma_w^2/2$, the phases are spread "
            r"over many periods, and the gradient's factor $\chi_1 = \sigma_w^2 V(K)$ becomes "
            r"$\sigma_w^2/2$. For tanh it would grow only like $\sigma_w$, most units being flat.",
            "Large weights: the gradient grows",
        ),
        Step(
            Subs(exp(-(a + b) / 2) * sinh(k), (a, b, k), (K, K, c * K)),
            (exp(-(1 - c) * K) - exp(-(1 + c) * K)) / 2,
            r"Two inputs of the same size and correlation $c$: unless $1 - c$ is as small as "
            r"$1/K$, both terms are tiny. After one layer of large weights all but nearly equal "
            r"inputs are unrelated: chaos.",
            "Large weights: inputs forget each other",
            ranges=((c, -1, 1),),
        ),
        Step(
            NormalMean((sin(x) + cos(x)) ** 2, x, K),
            NormalMean(1 + sin(2 * x), x, K),
            r"A curiosity: add a cosine, $\varphi = \sin + \cos$. The square is 1 plus an odd "
            r"wave.",
            "Sine plus cosine",
        ),
        Step(
            NormalMean((sin(x) + cos(x)) ** 2, x, K),
            sympy.Integer(1),
            r"So the variance map is 1 at every $K$: such a layer forgets the size of its input "
            r"altogether. Its gradient map is 1 as well.",
            "A constant variance map",
        ),
    )


def _values() -> Table:
    q, v, flat = variance_map("sin"), gradient_map("sin"), gradient_map("tanh")
    rows = []
    for weight in (0.5, 1.0, 2.0, 5.0, 20.0):
        size = weight**2 / 2 if weight > 2 else 1.0
        rows.append(
            (
                f"${weight:g}$",
                f"${size:g}$",
                f"{weight**2 * q(size):.4g}",
                f"{weight**2 * v(size):.4g}",
                f"{weight**2 * flat(size):.4g}",
            )
        )
    return Table(
        r"By weights: what a layer makes of a $K$ that is typical of them, the gradient's factor "
        r"$\chi_1 = \sigma_w^2 V(K)$, and the same factor for tanh at the same $K$:",
        (r"$\sigma_w$", "$K$", r"$\sigma_w^2 Q(K)$", r"$\chi_1$, sin", r"$\chi_1$, tanh"),
        tuple(rows),
    )


def _decay() -> Table:
    rows = []
    for weight in (0.9, 1.0, 1.1, 20.0):
        net = Network(1000, width=1000, act="sin", sigma_w=weight)
        rows.append((rf"$\sigma_w = {weight:g}$", predict(net).log_variance))
    return by_depth(
        "The variance $K$ after that many layers, for an input of mean square 1:",
        "weights",
        rows,
        (1, 10, 100, 1000),
    )


_PRACTICE = r"""- For a deep sine network without biases take `sigma_w=1`; signals then fade like
  $1/l$ and gradients like a power of the depth.
- A large frequency in every layer makes the gradient explode, by $\omega_0^2 \sigma_w^2/2$ per
  layer. SIREN therefore divides the weights of its hidden layers by $\omega_0$ again, and keeps
  the large frequency to the first layer, where it sets which details the network can see.
- Exploding gradients here come without vanishing signals: the forward pass looks healthy at any
  $\sigma_w$, because a sine is bounded. Look at the gradient, or at $\chi_1$."""

_SOURCES = (
    "V. Sitzmann, J. Martel, A. Bergman, D. Lindell and G. Wetzstein, *Implicit Neural "
    "Representations with Periodic Activation Functions*, NeurIPS 2020, arXiv 2006.09661: sine "
    "networks and their initialisation.",
    "A. Rahimi and B. Recht, *Random Features for Large-Scale Kernel Machines*, NeurIPS 2007: "
    "waves of normal numbers as a kernel.",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    r"Propagation*, ICLR 2017, arXiv 1611.01232: $\chi_1$ and the two phases.",
)


def derivation() -> Derivation:
    """The sine: Q = (1 - exp(-2K))/2, V = (1 + exp(-2K))/2, and what large weights do.

    Examples
    --------
    >>> derivation().result.right
    1/2 - exp(-2*K)/2
    """
    return Derivation(
        name="sin",
        title="The sine: bounded signals, growing gradients",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_maps(), *_weights()),
        result=Step(
            NormalMean(sin(x) ** 2, x, K),
            Rational(1, 2) - exp(-2 * K) / 2,
            r"The variance map of a sine layer. A layer turns $K$ into $\sigma_w^2$ times",
            "The result",
        ),
        tables=(_values(), _decay()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
