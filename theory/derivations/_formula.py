"""A derivation for any formula: what can be derived of its maps, step by step."""

from __future__ import annotations

import sympy
from sympy import Derivative, Expr, Piecewise, Subs

from varprop.activation import Activation

from ..basemap import Map
from ..derivation import Derivation, Step
from ..gain import gain
from ..gaussian import (
    Diverges,
    K,
    NotClosed,
    derivative,
    exact,
    explain,
    gaussian_expectation,
    pieces,
    x,
)
from ..latex import latex
from ..maps import gradient_map, mean_map, variance_map
from ..notation import NormalMean, SeriesOf
from . import _formula_numbers as numbers

__all__ = ["derivation"]

w, b = sympy.symbols("sigma_w sigma_b", positive=True)
_ORDER = 4

_MOTIVATION = (
    r"Whatever a layer does to the size of a signal or of a gradient, the next layer does again, "
    r"so a deep network lives or dies by factors near 1. For Gaussian weights these factors are "
    r"expectations over a normal law: $Q(K) = \operatorname{E} \varphi(x)^2$ forward and "
    r"$V(K) = \operatorname{E} \varphi'(x)^2$ backward, where $K$ is the variance of $x$, a "
    r"pre-activation. Here they are worked out for one activation, as far as they can be."
)
_ASSUMPTIONS = (
    r"The weights of a layer are independent and normal, with mean 0 and variance $\sigma_w^2/n$, "
    r"$n$ the fan-in; the biases are normal with mean 0 and variance $\sigma_b^2$. Given the layer "
    r"below, the pre-activations of a layer are then independent and normal with the same variance "
    r"$K$: nothing is approximated.",
    r"$x$ stands for a pre-activation, a normal variable of mean 0 and variance $K$.",
    r"For the gradient: it is independent of the pre-activations that it meets on its way back, "
    r"which holds in the limit of wide layers.",
)
_SOURCES = (
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, *Exponential expressivity in "
    "deep neural networks through transient chaos*, NeurIPS 2016, arXiv 1606.05340 (the variance "
    "map and its fixed points).",
    "S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, *Deep Information "
    "Propagation*, ICLR 2017, arXiv 1611.01232 (the gradient map and the depth scales).",
)


def _shape(f: Expr, whole: Expr) -> list[Step]:
    """Parity, and the pieces between kinks."""
    steps = []
    mirrored = sympy.simplify(f.subs(x, -x) / f)
    if mirrored in (1, -1):
        kind, then = {
            1: ("even", r"its slope is odd"),
            -1: ("odd", r"$\operatorname{E} \varphi(x) = 0$ for every $K$"),
        }[int(mirrored)]
        why = f"The activation is {kind}, so {then}."
        steps.append(Step(Subs(f, x, -x), mirrored * f, why, "Symmetry"))
    if isinstance(whole, Piecewise) and whole != f:
        why = "Between its kinks the activation is one smooth function after another."
        steps.append(Step(f, whole, why, "Piece by piece"))
    return steps


class _Maps:
    """The steps that lead to the maps; each identity is told in full where it is first used."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def steps(
        self, symbol: str, name: str, parts: numbers.Pieces, power: int, made: Map
    ) -> list[Step]:
        """Closed form, term by term; or the expansion at small K; or nothing.

        Raises
        ------
        Diverges
            Where the expectation is infinite.
        """
        raised = [(lo, hi, expr**power) for lo, hi, expr in parts]
        mean = NormalMean(numbers.joined(parts) ** power, x, K)
        try:
            rows = explain(raised)
        except Diverges:
            raise
        except NotClosed:
            return self._expanded(symbol, name, mean, made)
        value = gaussian_expectation(raised)
        if value == 0:
            return []
        shown = [row for row in rows if row.expectation != 0]
        if len(rows) == 1:
            return [Step(mean, value, self._reason(rows[0].identity), f"{name}, ${symbol}(K)$")]
        steps = [
            Step(
                NormalMean(row.part, x, K),
                row.expectation,
                f"A part of ${symbol}(K)$. {self._reason(row.identity)}",
                f"{name}: a part",
            )
            for row in shown
        ]
        rest = " (those left out have expectation 0)" if len(shown) < len(rows) else ""
        why = f"The parts together are the whole{rest}."
        return [*steps, Step(mean, value, why, f"{name}, ${symbol}(K)$")]

    def _reason(self, identities: str) -> str:
        """The identities; only their names where they have been told before."""
        said = []
        for identity in identities.split("; "):
            name = identity.partition(":")[0]
            said.append(name if name in self._told else identity)
            self._told.add(name)
        return "Used: " + "; ".join(said) + "."

    def _expanded(self, symbol: str, name: str, mean: NormalMean, made: Map) -> list[Step]:
        expansion = made.series(_ORDER)
        if expansion.expr in (None, 0):
            return []
        half = any(not p.exp.is_integer for p in expansion.expr.atoms(sympy.Pow) if p.base == K)
        because = f": {expansion.because}" if expansion.because else ""
        why = (
            f"No rule gives ${symbol}(K)$ in closed form; its values come from quadrature with an "
            "error bound. For small $K$ one may expand in powers of $x$ around 0 and average them "
            f"one by one. This expansion is {expansion.status}{because}."
        )
        left = SeriesOf(mean, K, _ORDER + (sympy.Rational(1, 2) if half else 1))
        return [Step(left, expansion.expr, why, f"{name}, ${symbol}(K)$, for small $K$")]


def _slope_step(f: Expr, slope: Expr) -> Step:
    """How Q bends, by the derivative of phi alone."""
    return Step(
        Derivative(NormalMean(f**2, x, K), K),
        NormalMean(f * slope * x, x, K) / K,
        r"How $Q$ changes with $K$: write $x = \sqrt K z$ and differentiate under the "
        r"expectation. Times $\sigma_w^2$ this is $\chi_K$, the factor by which a small departure "
        r"from a fixed variance grows in a layer.",
        "The slope of the variance map",
    )


def _result(f: Expr, known: list[Step], gain_step: Step) -> Step:
    """The recursion of the variance, as far as Q is known; else the gain."""
    if not known:
        return gain_step
    why = (
        r"A layer whose pre-activations have variance $K$ gives the next one the variance "
        r"$\sigma_b^2 + \sigma_w^2 Q(K)$:"
    )
    last = known[-1]
    left = b**2 + w**2 * NormalMean(f**2, x, K)
    if isinstance(last.left, SeriesOf):
        left = SeriesOf(left, *last.left.args[1:])
    right = b**2 + w**2 * last.right
    if isinstance(last.left, SeriesOf):
        right = sympy.expand(right)
    return Step(left, right, why, "The result")


def derivation(act: Activation) -> Derivation:
    """What can be derived for an activation that has a formula.

    Parameters
    ----------
    act : Activation
        With a formula in x.

    Raises
    ------
    ValueError
        If the formula is a constant, or an expectation is infinite.

    Examples
    --------
    >>> derivation(Activation.parse("x*cos(x)")).result.right.subs({K: 1, w: 1, b: 0})
    1/2 - 3*exp(-2)/2
    """
    f = exact(act.sympy())
    if not f.has(x):
        raise ValueError(f"{act} is not a function of x: there is nothing to derive")
    parts = list(pieces(f))
    maps, jumping = _Maps(), act.jumps
    steps = _shape(f, numbers.joined(parts))
    forward = maps.steps("Q", "The variance map", parts, 2, variance_map(act))
    steps += forward
    found = gain(act)
    if not jumping:
        sloped = derivative(f)
        slope = numbers.joined(sloped)
        why = "The slope, which is what a gradient is multiplied by on its way back."
        steps.append(Step(Derivative(f, x), slope, why, "The slope"))
        steps += maps.steps("V", "The gradient map", sloped, 2, gradient_map(act))
        if forward and isinstance(forward[-1].left, SeriesOf):
            steps.append(_slope_step(f, slope))
        steps += numbers.critical_steps(f, sloped, found.critical)
    steps += maps.steps("m", "The mean", parts, 1, mean_map(act))
    gain_step = numbers.gain_step(f, found)
    result = _result(f, forward, gain_step)
    if result is not gain_step:
        steps.append(gain_step)
    return Derivation(
        name=str(act),
        title=f"What {act} does to a signal",
        claim=_claim(act, f, forward, bool(jumping)),
        motivation=_MOTIVATION,
        assumptions=_ASSUMPTIONS,
        steps=tuple(steps),
        result=result,
        tables=numbers.tables(act, found),
        in_practice=numbers.practice(act, found),
        sources=_SOURCES,
        figures=(numbers.map_figure(act),),
    )


def _claim(act: Activation, f: Expr, forward: list[Step], jumping: bool) -> str:
    closed = forward and not isinstance(forward[-1].left, SeriesOf)
    known = {
        True: "can be given in closed form",
        False: "is known by its expansion at small $K$ and by quadrature",
    }[bool(closed)]
    text = (
        rf"For the activation $\varphi(x) = {latex(f)}$ the variance map "
        rf"$Q(K) = \operatorname{{E}} \varphi(x)^2$, $x \sim N(0, K)$, {known}; from it follow "
        "the gain that keeps a signal's size"
    )
    if jumping:
        return f"{text}. Its slope is singular, so it passes no gradient."
    return f"{text} and, with the gradient map, the critical point."
