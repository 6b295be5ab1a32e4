"""All singular values of a deep network's Jacobian, by the S-transform."""

from __future__ import annotations

import numpy as np
import sympy
from sympy import (
    Derivative,
    Integral,
    Product,
    Rational,
    Subs,
    binomial,
    log,
    sqrt,
)

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..figure import Curve, Figure
from ..notation import Mean, SeriesOf
from ..spectrum import jacobian_moments
from ..spectrum import spectrum as law

__all__ = ["derivation"]

k, n, depth, layer = sympy.symbols("k n L l", integer=True, positive=True)
z, t, s, p = sympy.symbols("z t s p", positive=True)
m1, m2, alpha, beta, T, U = sympy.symbols("m_1 m_2 alpha beta T U", positive=True)
w1, w2, v1, v2 = sympy.symbols("w_1 w_2 v_1 v_2", real=True)

_HALF = Rational(1, 2)
_CATALAN = (1 - sqrt(1 - 4 * t)) / (2 * t) - 1
_CHI = z / (1 + z) ** (depth + 1)

_CLAIM = (
    r"The squared singular values of the Jacobian of $L$ linear layers with Gaussian weights have "
    r"the moments $\frac{1}{Lk + 1} \binom{(L+1)k}{k}$: mean 1, variance $L$, largest value "
    r"$(L+1)^{L+1}/L^L \approx e L$. Only a share of $\frac{1}{1 + L}$ of the directions survives; "
    r"with ReLU $\frac{1}{1 + 2L}$; with orthogonal weights all of them (linear), or again "
    r"$\frac{1}{1 + L}$ (ReLU)."
)
_MOTIVATION = (
    r"Critical weights keep the length of a signal *on average over directions*. But a matrix can "
    r"keep the average by stretching a few directions and crushing all others, and a product of "
    r"many random matrices does just that. How badly is a question about all singular values, and "
    r"for wide networks it has an exact answer, from which one learns what orthogonal weights are "
    r"good for, and why ReLU spoils it."
)
_ASSUMPTIONS = (
    r"$J = D_L W_L \cdots D_1 W_1$ with square matrices of size $n$, critical: the normalised "
    r"trace $m_1$ of $J J^T$ is 1. $D_l$ is diagonal and holds the slopes $\varphi'$: the "
    r"identity, or for ReLU 0 and 1 with equal chances.",
    r"$m_k$ is the mean of the $k$-th power of the squared singular values, for $n \to \infty$; "
    r"$M(t) = \sum_{k \ge 1} m_k t^k$; $\chi$ is the inverse function of $M$; $S(z) = \frac{1 + "
    r"z}{z} \chi(z)$ is the S-transform.",
    r"Voiculescu's theorem: for *free* factors $S$ multiplies. Independent Gaussian or orthogonal "
    r"matrices are free of each other and of the $D_l$, for $n \to \infty$; the masks of a ReLU "
    r"network count as independent coins (derivation `backward`).",
    r"The last five steps are at a finite $n$, exactly, with Gaussian weights.",
)


def _factors() -> tuple[Step, ...]:
    return (
        Step(
            Integral(s**4 * sqrt(4 - s**2) / sympy.pi, (s, 0, 2)),
            sympy.Integer(2),
            r"One Gaussian layer. Its singular values lie on a quarter circle of radius 2 "
            r"(Marchenko and Pastur). The mean of $s^4$ is 2, twice the square of that of $s^2$. "
            r"All the moments are the Catalan numbers 1, 2, 5, 14, ...",
            "One layer",
        ),
        Step(
            Subs(z / (1 + z) ** 2, z, _CATALAN),
            t,
            r"Their generating function is $M(t) = \frac{1 - \sqrt{1 - 4t}}{2t} - 1$. Its inverse "
            r"is $\chi(z) = z/(1 + z)^2$, so that $S = 1/(1 + z)$.",
            "The S-transform of a Gaussian layer",
            ranges=((t, 0, Rational(1, 4)),),
        ),
        Step(
            Subs(z / (z + p), z, p * t / (1 - t)),
            t,
            r"A mask. If $D^2$ is 1 with probability $p$ and 0 otherwise, all its moments are $p$ "
            r"and $M(t) = p t/(1 - t)$. The inverse is $z/(z + p)$, and $S = (1 + z)/(z + p)$. "
            r"An orthogonal matrix has $W W^T = 1$ and $S = 1$.",
            "The S-transform of a mask",
            ranges=((t, 0, 1), (p, 0, 1)),
        ),
        Step(
            Subs((1 + z) / (z + p) / (2 * (1 + z)), p, _HALF),
            1 / (1 + 2 * z),
            r"A ReLU layer with He's weights: a mask with $p = \frac12$, a Gaussian matrix, and a "
            r"factor of 2, by which $S$ is divided. With orthogonal weights the factor $1/(1 + z)$ "
            r"is missing, and $S = (1 + z)/(1 + 2z)$.",
            "A ReLU layer",
        ),
    )


def _moments() -> tuple[Step, ...]:
    return (
        Step(
            z / (1 + z) * Product(1 / (1 + z), (layer, 1, depth)),
            _CHI,
            r"$L$ linear Gaussian layers: the S-transforms multiply. What a random matrix problem "
            r"it was is now one line.",
            "The product",
        ),
        Step(
            SeriesOf(
                _CHI + (depth + 1) * _CHI**2 + (depth + 1) * (3 * depth + 2) / 2 * _CHI**3, z, 4
            ),
            z,
            r"The moments are the coefficients of $M$, which is undone by $\chi$: $M(\chi(z)) = "
            r"z$. Here are the first three, $1$, $L + 1$ and $\frac12 (L + 1)(3L + 2)$, put to "
            r"the test.",
            "The first three moments",
        ),
        Step(
            Subs(Derivative((1 + z) ** (3 * depth + 3), (z, 2)), z, 0) / 6,
            (depth + 1) * (3 * depth + 2) / 2,
            r"All of them come from Lagrange's inversion: if $t = z/h(z)$, the coefficient of "
            r"$t^k$ in $z$ is $\frac1k$ times that of $z^{k-1}$ in $h(z)^k$. Here $h = (1 + "
            r"z)^{L+1}$. For $k = 3$ the coefficient of $z^2$ is half a second derivative.",
            "Lagrange's inversion",
        ),
        Step(
            SeriesOf((1 + z) / z * (z / m1 - m2 * z**2 / m1**3), z, 2),
            1 / m1 + (1 / m1 - m2 / m1**3) * z,
            r"How broad is a spectrum? From $M = m_1 t + m_2 t^2$ one has $\chi = z/m_1 - m_2 "
            r"z^2/m_1^3$ to second order, and $S$ to first. In $\ln S$ the coefficient of $z$ is "
            r"$-(m_2/m_1^2 - 1)$: minus the relative variance. Logarithms add up, so **relative "
            r"variances add up**, layer by layer.",
            "Relative variances add up",
        ),
        Step(
            -Subs(Derivative(log(1 / (1 + z) ** depth), z), z, 0),
            depth,
            r"$L$ linear Gaussian layers: relative variance $L$. The share of directions that "
            r"carry the trace, $(\operatorname{tr} J J^T)^2/(n \operatorname{tr} (J J^T)^2) = "
            r"m_1^2/m_2$, is $1/(1 + L)$.",
            "Linear, Gaussian",
        ),
        Step(
            -Subs(Derivative(log(1 / (1 + 2 * z) ** depth), z), z, 0),
            2 * depth,
            r"ReLU, Gaussian: twice as much. One half is due to the weights, the other to the "
            r"masks.",
            "ReLU, Gaussian",
        ),
        Step(
            -Subs(Derivative(log((1 + z) ** depth / (1 + 2 * z) ** depth), z), z, 0),
            depth,
            r"ReLU, orthogonal: the masks alone, as bad as a linear Gaussian network. For linear "
            r"layers $S = 1$ and nothing happens at any depth: all singular values are 1.",
            "ReLU, orthogonal",
        ),
    )


def _edges() -> tuple[Step, ...]:
    saddle = (sqrt(depth**2 + 1) - depth + 1) / (2 * depth)
    return (
        Step(
            Derivative(log(z) - (depth + 1) * log(1 + z), z),
            (1 - depth * z) / (z * (1 + z)),
            r"The largest squared singular value is $1/t$ at the singularity of $M$ nearest to 0, "
            r"which is where the inverse function has its maximum. The derivative of $\ln\chi$ "
            r"vanishes at $z = 1/L$.",
            "Where the spectrum ends",
        ),
        Step(
            Subs(1 / _CHI, z, 1 / depth),
            (depth + 1) ** (depth + 1) / depth**depth,
            r"The edge of the linear Gaussian spectrum: 4 for one layer, about $e\,(L + "
            r"\frac12)$ for many.",
            "The edge",
        ),
        Step(
            Subs(2 * depth * z * (1 + z) - 2 * z, z, saddle),
            sympy.Integer(1),
            r"For ReLU, $\ln\chi = \ln z - \ln(1 + z) - L \ln(1 + 2z)$ has a maximum where "
            r"$1 + 2z = 2 L z (1 + z)$, a quadratic equation; the edge is $1/\chi$ there.",
            "The edge for ReLU",
        ),
    )


def _finite() -> tuple[Step, ...]:
    laws = ((w1, 0, s, 0, 3 * s**2), (w2, 0, s, 0, 3 * s**2))
    other = ((v1, 0, s), (v2, 0, s))
    same, pair = (U + 2 * T) / n**2, T / n**2
    return (
        Step(
            Mean((alpha * w1**2 + beta * w2**2) ** 2, *laws),
            s**2 * ((alpha + beta) ** 2 + 2 * (alpha**2 + beta**2)),
            r"A finite width. Let $A = J J^T$, with eigenvalues $\alpha, \beta, \dots$ (two will "
            r"do to see it), and $w$ a row of the next matrix, normal with variance $s$ in any "
            r"basis. Then $\operatorname{E} (w A w^T)^2 = s^2 \left((\operatorname{tr} A)^2 + 2 "
            r"\operatorname{tr} A^2\right)$.",
            "A row with itself",
        ),
        Step(
            Mean((alpha * w1 * v1 + beta * w2 * v2) ** 2, *laws, *other),
            s**2 * (alpha**2 + beta**2),
            r"For two different rows it is $s^2 \operatorname{tr} A^2$.",
            "Two rows",
        ),
        Step(
            n * same + n * (n - 1) * pair,
            (1 + 1 / n) * T + U / n,
            r"Write $T$ for the expectation of $\operatorname{tr} A^2$ and $U$ for that of "
            r"$(\operatorname{tr} A)^2$, and take $s = 1/n$. The new matrix has $n$ diagonal "
            r"entries and $n (n - 1)$ others, whose squares make the new $T$. (The new $U$ is "
            r"$U + \frac2n T$, by the same count.)",
            "A linear layer, exactly",
        ),
        Step(
            2 * n * same + n * (n - 1) * pair,
            (1 + 3 / n) * T + 2 * U / n,
            r"In a ReLU layer with He's weights every row is kept with probability one half and "
            r"counts twice: products of two rows keep their expectation, that of a row with itself "
            r"doubles. (The new $U$ is $(1 + \frac1n)\, U + \frac4n T$.)",
            "A ReLU layer, exactly",
        ),
        Step(
            Subs((1 + 3 / n) * T + 2 * U / n, U, T),
            (1 + 5 / n) * T,
            r"Far beyond depth $n$ only $U = T$ is left, which says $(\operatorname{tr} A)^2 = "
            r"\operatorname{tr} A^2$: a single direction. Both then grow by $1 + 5/n$ a layer, the "
            r"factor of a single signal's scatter (derivation `finite_width`).",
            "Depth beyond the width",
        ),
    )


_KINDS = (
    ("linear", "normal"),
    ("relu", "normal"),
    ("linear", "orthogonal"),
    ("relu", "orthogonal"),
)


def _ranks() -> Table:
    depths = (1, 10, 100)
    rows = []
    for act, weights in _KINDS:
        made = [law(act, layers, weights=weights) for layers in depths]
        cells = [f"{one.effective_rank:.4f}" for one in made]
        cells += [f"{one.edge:.4g}" for one in made]
        rows.append((f"{act}, {'Gaussian' if weights == 'normal' else weights}", *cells))
    header = tuple(f"{what}, $L = {layers}$" for what in ("share", "edge") for layers in depths)
    return Table(
        r"Wide networks: the share of directions that survives, and the largest squared singular "
        r"value:",
        ("network", *header),
        tuple(rows),
    )


def _narrow() -> Table:
    depths = (1, 10, 100, 1000)
    rows = []
    for width in (10, 100, 1000):
        net = Network(max(depths), width=width, act="relu", scheme="he")
        share = jacobian_moments(net).effective_rank
        rows.append((f"${width}$", *(f"{share[layers - 1]:.5f}" for layers in depths)))
    limit = (f"{law('relu', layers).effective_rank:.5f}" for layers in depths)
    rows.append((r"$\infty$", *limit))
    return Table(
        r"ReLU with He's weights at a finite width: $\operatorname{E}(\operatorname{tr} J "
        r"J^T)^2/(n \operatorname{E} \operatorname{tr} (J J^T)^2)$, exactly; it can't fall below "
        r"$1/n$, one direction:",
        ("width", *(f"depth {layers}" for layers in depths)),
        tuple(rows),
    )


def _picture() -> Figure:
    curves = []
    for layers in (1, 2, 4, 16):
        one = law("linear", layers)
        at = np.linspace(0.02, 1, 60) * (1 - 1e-6) * np.sqrt(one.edge)
        curves.append(Curve.of(f"$L = {layers}$", at, one.singular_density(at)))
    return Figure(
        "density",
        r"Density of the singular values of $L$ linear Gaussian layers: most come near 0, a few go "
        r"out to $\sqrt{e L}$.",
        "singular value",
        "density",
        tuple(curves),
        y_scale="log",
    )


_PRACTICE = r"""- A deep Gaussian network sees few directions of its input, $1/(1 + 2L)$ of them
  with ReLU: at depth 50 one in a hundred. No choice of a gain changes that.
- Orthogonal weights remove the weights' part. Alone they help linear and nearly linear networks
  (tanh with small signals); with ReLU half of the trouble is left.
- The width matters only where the depth reaches it: at a depth of $n$ and more a single direction
  is left.
- Skip connections, which add the identity, keep the spectrum together (derivation `residual`).
- `theory.spectrum(act, depth)` gives moments, edge and density for any activation."""

_SOURCES = (
    "D. Voiculescu, *Multiplication of Certain Non-Commuting Random Variables*, Journal of "
    "Operator Theory 18, 1987: the S-transform.",
    r"K. A. Penson and K. Życzkowski, *Product of Ginibre Matrices: Fuss-Catalan and Raney "
    r"Distributions*, Physical Review E 83, 061118 (2011).",
    "J. Pennington, S. S. Schoenholz and S. Ganguli, *Resurrecting the Sigmoid in Deep Learning "
    r"through Dynamical Isometry*, NeurIPS 2017, arXiv 1711.04735; *The Emergence of Spectral "
    r"Universality in Deep Networks*, AISTATS 2018, arXiv 1802.09979: S-transforms of layers, "
    r"variance and edge.",
    "A. M. Saxe, J. L. McClelland and S. Ganguli, *Exact Solutions to the Nonlinear Dynamics of "
    "Learning in Deep Linear Neural Networks*, ICLR 2014, arXiv 1312.6120: orthogonal weights.",
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    "Networks*, arXiv 1812.05994: finite widths, and the independent masks.",
)


def derivation() -> Derivation:
    """The spectrum: S-transform, Fuss-Catalan moments, edges, and finite widths.

    Examples
    --------
    >>> derivation().result.right.subs({depth: 1, k: 4})
    14
    """
    return Derivation(
        name="spectrum",
        title="All singular values of a deep Jacobian",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_factors(), *_moments(), *_edges(), *_finite()),
        result=Step(
            binomial((depth + 1) * k, k - 1) / k,
            binomial((depth + 1) * k, k) / (depth * k + 1),
            r"The $k$-th moment of $L$ linear Gaussian layers. Lagrange's coefficient of $z^{k-1}$ "
            r"in $(1 + z)^{(L+1)k}$, over $k$, is a Fuss-Catalan number:",
            "The result",
        ),
        tables=(_ranks(), _narrow()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
        figures=(_picture(),),
    )
