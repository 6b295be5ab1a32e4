"""The rules that end a derivation: symmetry, Girsanov, one error function, Price."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, oo, sqrt

from ..rules.arcsine import arcsine
from ..rules.term import error_function
from ..rules.tidy import root
from .term import Law, PairTerm

__all__ = ["Girsanov", "OneErrorFunction", "Parity", "Price"]


@dataclass(frozen=True)
class Parity:
    """What is odd has mean 0."""

    identity: str = (
        r"Symmetry: $(u, v)$ and $(-u, -v)$ have the same law, so $\operatorname{E} h(u, v) = 0$ "
        r"where $h(-u, -v) = -h(u, v)$"
    )

    def __call__(self, term: PairTerm) -> Expr | None:
        """0 for an odd term."""
        return sympy.Integer(0) if term.is_odd() else None


@dataclass(frozen=True)
class Girsanov:
    """Exponentials, waves and Gaussians in u and v."""

    identity: str = (
        r"Completing the square (Girsanov): $\operatorname{E} e^{\lambda u + \mu v - \beta u^2 - "
        r"\gamma v^2} = \frac{e^{\frac12 (A \lambda^2 + 2 C \lambda \mu + B \mu^2)}}"
        r"{\sqrt\Delta}$ with $\Delta = (1 + 2 \beta a)(1 + 2 \gamma b) - 4 \beta \gamma k^2$ and "
        r"the tilted covariance $A = \frac{a + 2 \gamma (a b - k^2)}{\Delta}$, "
        r"$B = \frac{b + 2 \beta (a b - k^2)}{\Delta}$, $C = \frac{k}{\Delta}$"
    )

    def __call__(self, term: PairTerm) -> Expr | None:
        """The weight of the tilt."""
        u, v = term.u, term.v
        return None if u.power or v.power or u.factors or v.factors else term.law().weight


@dataclass(frozen=True)
class OneErrorFunction:
    """One error function or sign under a shifted law."""

    identity: str = (
        r"A smoothed error function: $\operatorname{E}\operatorname{erf}(c u + d) = "
        r"\operatorname{erf}\frac{c \mu + d}{\sqrt{1 + 2 c^2 A}}$ for "
        r"$u \sim \mathcal{N}(\mu, A)$, where $c = \infty$ is the sign"
    )

    def __call__(self, term: PairTerm) -> Expr | None:
        """The error function at the law's mean, or None."""
        sides = (term.u, term.v)
        found = [(i, factor) for i, side in enumerate(sides) for factor in side.factors]
        if any(side.power for side in sides) or len(found) != 1:
            return None
        ((i, factor),) = found
        law = term.law()
        mean, variance = law.means[i], law.variances[i]
        if factor.slope == oo:
            at = mean / (sqrt(2) * root(variance))
        else:
            at = (factor.slope * mean + factor.shift) / root(1 + 2 * factor.slope**2 * variance)
        value = error_function(at)
        return None if value is None else law.weight * value


@dataclass(frozen=True)
class Price:
    """Two error functions or signs, of one variable or of both, under a centred law."""

    identity: str = (
        r"Price's theorem: $\frac{\partial}{\partial k} \operatorname{E} f(u)\,g(v) = "
        r"\operatorname{E} f'(u)\,g'(v)$, from $\operatorname{E}\delta(u)\,\delta(v) = "
        r"\frac{1}{2 \pi \sqrt{a b - k^2}}$ integrated from $k = 0$, where $u$ and $v$ are "
        r"independent: $\operatorname{E}\operatorname{sign} u\,\operatorname{sign} v = "
        r"\frac{2}{\pi} \arcsin\frac{k}{\sqrt{a b}}$. Likewise $\operatorname{E}"
        r"\operatorname{erf}(c u)\operatorname{erf}(d v) = \frac{2}{\pi} \arcsin"
        r"\frac{2 c d k}{\sqrt{(1 + 2 c^2 a)(1 + 2 d^2 b)}}$"
    )

    def __call__(self, term: PairTerm) -> Expr | None:
        """An arcsine, or None."""
        u, v = term.u, term.v
        found = [(i, f.slope) for i, side in enumerate((u, v)) for f in side.factors]
        if u.power or v.power or not (u.centred and v.centred) or len(found) != 2:
            return None
        (i, first), (j, second) = found
        law = term.law()
        shared = law.variances[i] if i == j else law.covariance
        return law.weight * arcsine(first, second, *_of(law, i, j), shared)


def _of(law: Law, i: int, j: int) -> tuple[Expr, Expr]:
    return law.variances[i], law.variances[j]
