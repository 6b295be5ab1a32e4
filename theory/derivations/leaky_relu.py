"""Leaky ReLU: two slopes, and everything between ReLU and a linear layer."""

from __future__ import annotations

import math

import sympy
from sympy import Integral, Limit, Max, Min, Rational, Subs, cos, pi, sign, sin, sqrt

from varprop.network import Network

from ..derivation import Derivation, Step, Table
from ..document import power_of_ten
from ..gaussian import K, x
from ..maps import variance_map
from ..notation import NormalMean
from ..predict import predict
from ..scatter import relative_variance
from ._tables import by_depth

__all__ = ["derivation"]

n, layer = sympy.symbols("n l", integer=True, positive=True)
v, gamma, theta = sympy.symbols("v gamma theta", positive=True)
p, f = sympy.symbols("p f", positive=True)
alpha, t = sympy.symbols("alpha t", real=True)

_PHI = Max(x, 0) + alpha * Min(x, 0)
_SUM = 1 + alpha**2
_SLOPE = (1 + alpha) / 2 + (1 - alpha) / 2 * sign(x)
_SHARE = (1 - alpha) ** 2 / _SUM

_CLAIM = (
    r"A leaky ReLU, $x$ above 0 and $\alpha x$ below, multiplies mean squares by "
    r"$\frac12 (1 + \alpha^2)$, forward and backward alike. Weights of variance "
    r"$\frac{2}{(1 + \alpha^2)\, n}$ keep both: a gain of $\sqrt{2/(1 + \alpha^2)}$, which is "
    r"ReLU's $\sqrt 2$ at $\alpha = 0$ and a linear layer's 1 at $\alpha = 1$."
)
_MOTIVATION = (
    r"One formula covers ReLU ($\alpha = 0$), the linear layer ($\alpha = 1$), the absolute value "
    r"($\alpha = -1$) and all between. Besides the gain it tells how much a leak buys at depth: "
    r"less scatter from network to network, and inputs that stay distinguishable for longer. Both "
    r"follow from the slope, in closed form."
)
_ASSUMPTIONS = (
    r"$\varphi(x) = \max(x, 0) + \alpha \min(x, 0)$, with any real $\alpha$.",
    r"The $n$ weights into a unit are independent, of mean 0 and variance $v$; there are no "
    r"biases.",
    r"A pre-activation is normal with variance $K$. (For the two factors of $\frac12 (1 + "
    r"\alpha^2)$ a law symmetric about 0 is enough.)",
    r"For two inputs: their pre-activations are jointly normal, with the same variance and with "
    r"correlation $\cos\theta$. That is the limit of wide layers.",
)


def _gain() -> tuple[Step, ...]:
    return (
        Step(
            _PHI**2 + _PHI.subs(x, -x) ** 2,
            (1 + alpha**2) * x**2,
            r"Of $x$ and $-x$ one is passed unchanged and the other is multiplied by $\alpha$. So "
            r"the squares of the two outputs add up to $(1 + \alpha^2) x^2$; and under a law that "
            r"is symmetric about 0 both have the same expectation.",
            "Split a square in two",
        ),
        Step(
            NormalMean(_PHI**2, x, K),
            K * _SUM / 2,
            r"The same by integration over a normal law, half line by half line.",
            "The variance map",
        ),
        Step(
            NormalMean(_SLOPE**2, x, K),
            _SUM / 2,
            r"The slope is 1 or $\alpha$, that is $\frac12(1 + \alpha) \pm \frac12(1 - \alpha)$ "
            r"with the sign of $x$, each with probability one half. So the way back has the same "
            r"factor.",
            "The gradient map",
        ),
        Step(
            Subs(n * v * K * _SUM / 2, v, 2 / (n * _SUM)),
            K,
            r"A layer makes $n v \cdot \frac12 (1 + \alpha^2) K$ out of $K$ (derivation "
            r"`linear`). It keeps $K$ for a variance of $2/((1 + \alpha^2)\,n)$: equation (15) of "
            r"He et al.",
            "The variance that keeps the signal",
        ),
        Step(
            sqrt(Subs(n * v, v, 2 / (n * _SUM))),
            sqrt(2 / _SUM),
            r"As a gain, the factor on top of a standard deviation of $1/\sqrt n$, this is what "
            r"`torch.nn.init.calculate_gain('leaky_relu', a)` returns.",
            "As a gain",
        ),
    )


def _scatter() -> tuple[Step, ...]:
    fourth = K**2 * (1 + alpha**4) * Rational(3, 2)
    return (
        Step(
            NormalMean(_PHI**4, x, K),
            fourth,
            r"How far do single networks scatter? That takes the fourth moment, which splits in "
            r"two halves just like the second.",
            "The fourth moment",
        ),
        Step(
            Subs(f / p**2 - 1, (f, p), (fourth, K * _SUM / 2)),
            (1 + alpha**4) / _SUM**2 * 6 - 1,
            r"A layer's mean square is an average of $n$ independent squares. If each has mean $p$ "
            r"and mean square $f$, the mean of the square exceeds the square of the mean by a "
            r"share of $f/p^2 - 1$ over $n$ (derivation `relu`): $5/n$ for ReLU, $2/n$ for a "
            r"linear layer. A leak of $\alpha = 0.2$ already makes it $4.56/n$.",
            "The scatter of one layer",
        ),
    )


def _angles() -> tuple[Step, ...]:
    wave = cos(t) * cos(t - theta)
    both = Integral(wave, (t, theta - pi / 2, pi / 2))
    mixed = Integral(wave, (t, pi / 2, theta + pi / 2))
    kernel = (_SUM * both + 2 * alpha * mixed) / pi
    gap = gamma * (sin(theta) - theta * cos(theta)) / pi
    return (
        Step(
            2 * kernel / _SUM,
            cos(theta) + _SHARE * (sin(theta) - theta * cos(theta)) / pi,
            r"Two inputs at an angle $\theta$ have pre-activations $\varrho\cos t$ and "
            r"$\varrho\cos(t - \theta)$ (in units of $\sqrt K$), with $t$ uniform on the circle "
            r"and $\operatorname{E}\varrho^2 = 2$. On an arc of length $\pi - \theta$ both are "
            r"positive, on the opposite one both are negative; on two arcs of length $\theta$ the "
            r"signs differ. The sum of the four, divided by the factor $\frac12 (1 + \alpha^2)$ "
            r"of each variance, is the new correlation.",
            "Two inputs at an angle",
        ),
        Step(
            Limit((sin(theta) - theta * cos(theta)) / theta**3, theta, 0),
            Rational(1, 3),
            r"Write $\gamma = (1-\alpha)^2/(1 + \alpha^2)$ for the only place where the slope "
            r"enters. The correlation grows by $\gamma/\pi$ times this bracket, which is of third "
            r"order: two inputs at a small angle rarely lie on different sides of the kink.",
            "A third-order effect",
        ),
        Step(
            Limit(gap / ((1 - cos(theta)) * theta), theta, 0),
            2 * gamma / (3 * pi),
            r"$1 - \cos\theta$ is what separates the two inputs. A layer takes $\gamma/\pi$ times "
            r"the bracket of it away, which is a share of $\frac{2\gamma}{3\pi}\theta$. For small "
            r"angles $1 - \cos\theta$ is $\theta^2/2$, so $\theta$ itself loses half that share: "
            r"$\theta' \approx \theta - \frac{\gamma}{3\pi}\theta^2$.",
            "What a layer takes from an angle",
        ),
        Step(
            Limit(1 / (theta - gamma * theta**2 / (3 * pi)) - 1 / theta, theta, 0),
            gamma / (3 * pi),
            r"Seen through its inverse, the angle is simple: $1/\theta$ grows by a constant in "
            r"every layer, so after $l$ layers $\theta \approx 3\pi/(\gamma l)$.",
            "The inverse grows steadily",
        ),
        Step(
            Subs(theta**2 / 2, theta, 3 * pi / (gamma * layer)),
            9 * pi**2 / (2 * gamma**2 * layer**2),
            r"And the correlation $c$ of any two inputs tends to 1, with $1 - c$ falling like "
            r"$1/l^2$. For ReLU ($\gamma = 1$) it is $9\pi^2/2l^2$; a leak multiplies it by "
            r"$1/\gamma^2 = \left(\frac{1+\alpha^2}{(1-\alpha)^2}\right)^2$, which is 2.6 for "
            r"$\alpha = 0.2$ and infinite for a linear layer, where angles never change.",
            "How correlations approach 1",
        ),
    )


_SLOPES = (0.0, 0.01, 0.1, 0.2, 0.5, 1.0)


def _slopes() -> Table:
    rows = []
    for slope in _SLOPES:
        name = f"leaky_relu({slope})"
        factor, scatter = variance_map(name)(1.0), relative_variance(name, 0.0)
        share = float(_SHARE.subs(alpha, slope))
        rows.append(
            (
                f"${slope:g}$",
                f"{factor:.5g}",
                f"{1 / math.sqrt(factor):.5g}",
                f"{scatter:.4g}",
                power_of_ten(50 * math.log1p(scatter / 100)),
                f"{share**-2:.4g}" if share else "angles don't change",
            )
        )
    return Table(
        r"By slope: the factor $\frac12(1 + \alpha^2)$, the gain that makes good for it, the "
        r"scatter $s/n$ of one layer, what it comes to at width 100 and depth 50 (the mean of the "
        r"square over the square of the mean), and how many times larger than under ReLU the "
        r"distance $1 - c$ of two inputs is at the same depth ($1/\gamma^2$):",
        (r"$\alpha$", "factor", "gain", "$s$", r"$(1 + s/100)^{50}$", r"$1/\gamma^2$"),
        tuple(rows),
    )


def _wrong_gain() -> Table:
    rows = []
    for slope in (0.01, 0.2, 0.5):
        net = Network(200, width=1000, act=f"leaky_relu({slope})", scheme="he")
        rows.append((rf"$\alpha = {slope}$", predict(net).log_activation))
    return by_depth(
        r"What He's variance $2/n$, meant for ReLU, does to a leaky ReLU: the factor is "
        r"$1 + \alpha^2$ per layer. The mean square of a layer's output, for an input of 1:",
        "slope",
        rows,
        (1, 10, 50, 200),
    )


_PRACTICE = r"""- The usual leak of 0.01 changes the gain by 0.005 %: He's 2/n (`scheme="he"`) will
  do. From 0.1 on, use the gain, `sigma_w` $= \sqrt{2/(1 + \alpha^2)}$ (second table).
- A leak is no cure for depth, but a relief: at $\alpha = 0.2$ the scatter is a tenth smaller, and
  the distance $1 - c$ of two inputs is 2.6 times as large.
- Units of a leaky ReLU can't die: the slope is never 0, so neither signal nor gradient is ever
  exactly 0, at any width.
- The absolute value ($\alpha = -1$) has gain 1 and a linear layer's scatter, yet it is the worst
  for correlations: $\gamma = 2$.
- The inputs' correlation approaches 1 slowly and with logarithmic corrections; see the derivation
  `correlation` for the same law from Price's theorem."""

_SOURCES = (
    "K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers*, ICCV 2015, "
    r"arXiv 1502.01852: equation (15), $\frac12 (1 + a^2)\, n \operatorname{Var} w = 1$.",
    "A. L. Maas, A. Y. Hannun and A. Y. Ng, *Rectifier Nonlinearities Improve Neural Network "
    "Acoustic Models*, ICML workshop 2013: the leaky ReLU.",
    "Y. Cho and L. K. Saul, *Kernel Methods for Deep Learning*, NeurIPS 2009: the integral over "
    r"the circle, for $\alpha = 0$.",
    "R. Tsuchida, F. Roosta and M. Gallagher, *Invariance of Weight Distributions in Rectified "
    "MLPs*, ICML 2018, arXiv 1711.09090: the kernel of leaky ReLU.",
    "B. Hanin and M. Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural "
    "Networks*, arXiv 1812.05994: the scatter of single networks.",
)


def derivation() -> Derivation:
    """Leaky ReLU: (1 + alpha^2)/2, its gain, its scatter, its correlations.

    Examples
    --------
    >>> derivation().result.right
    K*n*v*(alpha**2 + 1)/2
    """
    return Derivation(
        name="leaky_relu",
        title="Leaky ReLU: (1 + α²)/2",
        claim=_CLAIM,
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=(*_gain(), *_scatter(), *_angles()),
        result=Step(
            n * v * NormalMean(_PHI**2, x, K),
            n * v * K * _SUM / 2,
            r"The variance map of a leaky ReLU layer: weights of variance $v$ and fan-in $n$ turn "
            r"a pre-activation variance $K$ into",
            "The result",
        ),
        tables=(_slopes(), _wrong_gain()),
        in_practice=_PRACTICE,
        sources=_SOURCES,
    )
