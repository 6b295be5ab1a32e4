"""The notation of derivations: what it means, that it is checked, and that slips are caught."""

from __future__ import annotations

import mpmath
import pytest
import sympy
from sympy import (
    Abs,
    Derivative,
    Integral,
    Limit,
    Max,
    Rational,
    Subs,
    Sum,
    acos,
    asin,
    cos,
    erf,
    erfc,
    exp,
    oo,
    pi,
    sin,
    sqrt,
    tanh,
)

from varprop.theory import CheckError, Step
from varprop.theory.evaluation import NotEvaluated, number
from varprop.theory.gaussian import K, x
from varprop.theory.notation import (
    InfiniteSum,
    NormalMean,
    PairMean,
    Root,
    Rounded,
    SeriesOf,
)

a, b = sympy.symbols("a b", positive=True)
k, c = sympy.symbols("k c", real=True)
u, v = sympy.symbols("u v", real=True)
j = sympy.Symbol("j", integer=True, positive=True)
n = sympy.Symbol("n", integer=True, positive=True)
INSIDE = ((k, -sqrt(a * b), sqrt(a * b)),)

PROVED = {
    "a half line": (NormalMean(Max(x, 0) ** 2, x, K), K / 2),
    "kinks": (NormalMean(Abs(x) ** 3, x, K), 2 * sqrt(2 / pi) * K ** Rational(3, 2)),
    "waves": (NormalMean(sin(x) ** 2 * cos(x), x, K), (exp(-K / 2) - exp(-9 * K / 2)) / 4),
    "Isserlis": (PairMean(u**3 * v**3, (u, v), (a, b, k)), 6 * k**3 + 9 * a * b * k),
    "a zero": (Root(K**2 - 3 * K - 2, K, (0, oo)), (3 + sqrt(17)) / 2),
    "a limit": (Limit(NormalMean(Max(x, 0) ** 2, x, K) / K, K, oo), Rational(1, 2)),
    "a limit in n": (Limit((1 + 1 / n) ** n, n, oo), sympy.E),
    "a finite sum": (Sum(sympy.binomial(n, j) * j / 2**n, (j, 0, n)), n / 2),
    "Gamma": (Integral(x ** (a - 1) * exp(-b * x), (x, 0, oo)), sympy.gamma(a) / b**a),
    "a series": (
        SeriesOf(NormalMean(tanh(x) ** 2, x, K), K, 5),
        K - 2 * K**2 + Rational(17, 3) * K**3 - Rational(62, 3) * K**4,
    ),
    "half powers": (SeriesOf(NormalMean(Abs(x) + x**2, x, K), K, 2), K + sqrt(2 * K / pi)),
    "far out": (SeriesOf(asin(K / (1 + K)), K, Rational(3, 2), oo), pi / 2 - sqrt(2 / K)),
    "a derivative": (Subs(Derivative(a**3, a), a, 2), sympy.Integer(12)),
}
CONFIRMED = {
    "arcsine": (NormalMean(erf(x) ** 2, x, K), 2 * asin(2 * K / (1 + 2 * K)) / pi, ()),
    "Stein": (NormalMean(x * tanh(x), x, K), K * NormalMean(1 - tanh(x) ** 2, x, K), ()),
    "heat equation": (
        Derivative(NormalMean(tanh(x) ** 2, x, K), K),
        NormalMean(sympy.diff(tanh(x) ** 2, x, 2) / 2, x, K),
        (),
    ),
    "a parameter": (
        Derivative(NormalMean(tanh(a * x) ** 2, x, 1), a),
        NormalMean((x**2 / a**2 - 1) * tanh(x) ** 2, x, a**2) / a,
        (),
    ),
    "alternating": (
        NormalMean(1 - tanh(x) ** 2, x, K),
        4 * Sum((-1) ** (j - 1) * j * exp(2 * j**2 * K) * erfc(j * sqrt(2 * K)), (j, 1, oo)),
        (),
    ),
    "arc-cosine": (
        PairMean(Max(u, 0) * Max(v, 0), (u, v), (a, b, k)),
        (sqrt(a * b - k**2) + k * acos(-k / sqrt(a * b))) / (2 * pi),
        INSIDE,
    ),
    "two error functions": (
        PairMean(erf(u) * erf(v), (u, v), (a, b, k)),
        2 / pi * asin(2 * k / sqrt((1 + 2 * a) * (1 + 2 * b))),
        INSIDE,
    ),
    "Price": (
        Derivative(PairMean(sin(u) * tanh(v), (u, v), (1, 1, c)), c),
        PairMean(cos(u) * (1 - tanh(v) ** 2), (u, v), (1, 1, c)),
        ((c, -1, 1),),
    ),
    "two integrals": (
        Integral(exp(-u * v), (u, 0, 1), (v, 0, 2)),
        Integral((1 - exp(-v)) / v, (v, 0, 2)),
        (),
    ),
}


@pytest.mark.parametrize("name", PROVED)
def test_proved(name):
    left, right = PROVED[name]
    assert Step(left, right, "").check() == "proved"


@pytest.mark.parametrize("name", CONFIRMED)
def test_confirmed(name):
    left, right, ranges = CONFIRMED[name]
    assert Step(left, right, "", ranges=ranges).check().startswith("confirmed to 30 digits at ")


@pytest.mark.parametrize("name", [*PROVED, *CONFIRMED])
def test_slips_are_caught(name):
    left, right, ranges = (*PROVED[name], ()) if name in PROVED else CONFIRMED[name]
    for wrong in (-right, right * (1 + Rational(1, 10**20)), right + Rational(1, 10**20)):
        with pytest.raises(CheckError, match="is false"):
            Step(left, wrong, "", ranges=ranges).check()


def test_the_derivative_of_a_mean_is_right_at_kinks_and_jumps():
    # d/dK of P(x > 1) is the density's derivative: p_K(1)/(2K).
    left = Derivative(NormalMean(sympy.Heaviside(x - 1), x, K), K)
    assert Step(left, exp(-1 / (2 * K)) / sqrt(2 * pi * K) / (2 * K), "").check() == "proved"


def test_numbers_against_mpmath():
    with mpmath.workdps(40):
        want = mpmath.quad(
            lambda t: mpmath.log(1 + mpmath.exp(t * mpmath.sqrt(3))) * mpmath.npdf(t),
            [-mpmath.inf, -3, 0, 3, mpmath.inf],
        )
        got = number(NormalMean(sympy.log(1 + exp(x)), x, 3))
        assert abs(mpmath.mpf(str(got)) - want) < mpmath.mpf(10) ** -34


def test_an_implicit_fixed_point():
    # K = 1/20 + 9/5 E tanh(x)^2, by plain iteration in double precision.
    variance = 1.0
    for _ in range(60):
        scale = mpmath.sqrt(variance)
        mean = mpmath.quad(
            lambda t, s=scale: mpmath.tanh(s * t) ** 2 * mpmath.npdf(t), [-12, 0, 12]
        )
        variance = 0.05 + 1.8 * float(mean)
    equation = K - Rational(1, 20) - Rational(9, 5) * NormalMean(tanh(x) ** 2, x, K)
    root = Root(equation, K, (0, oo))
    assert float(number(root)) == pytest.approx(variance, rel=1e-12)
    assert Step(root, Rounded(f"{variance:.8f}"), "").check() == "confirmed to the digits shown"


def test_rounded_numbers_stand_for_the_digits_they_show():
    assert Step(sympy.E, Rounded("2.718"), "").check() == "confirmed to the digits shown"
    assert (
        Step(sympy.E * 10**9, Rounded("2.718e9"), "")
        .latex()
        .endswith(r"\approx 2.718 \times 10^{9}")
    )
    for wrong in ("2.717", "2.719", "2.7180", "-2.718", "2.718e1"):
        with pytest.raises(CheckError, match="is false"):
            Step(sympy.E, Rounded(wrong), "").check()
    with pytest.raises(TypeError, match="invalid input"):
        Rounded("about 3")


def test_ranges_keep_random_values_where_the_equation_holds():
    left, right = sqrt((1 - c) ** 2), 1 - c
    assert Step(left, right, "", ranges=((c, -1, 1),)).check()
    with pytest.raises(CheckError, match="is false"):
        Step(left, right, "").check()


def test_bound_symbols_are_not_free():
    mean = NormalMean(a * tanh(x), x, K)
    assert mean.free_symbols == {a, K}
    assert mean.subs(x, 3) == mean
    assert mean.subs(K, 2) == NormalMean(a * tanh(x), x, 2)
    pair = PairMean(u * v * c, (u, v), (a, b, k))
    assert pair.free_symbols == {a, b, k, c}
    assert InfiniteSum(a**j, j, 1).free_symbols == {a}
    assert Root(K - a, K, (0, oo)).free_symbols == {a}


@pytest.mark.parametrize(
    "node",
    [
        Root(K**2 - 3 * K + 2 + sin(K) * 0, K, (0, oo)),  # two zeros
        Root(1 + exp(K), K, (0, 1)),  # none
        NormalMean(exp(x**2), x, 1),  # diverges
        Integral(1 / x, (x, 0, 1)),
        PairMean(tanh(u * v), (u, v), (1, 1, Rational(1, 2))),  # no sum of products
    ],
)
def test_what_has_no_sure_number_is_not_evaluated(node):
    with pytest.raises((NotEvaluated, ValueError)):
        number(node)


def test_a_step_that_can_not_be_checked_does_not_pass():
    diverging = NormalMean(exp(x**2 / 2) * tanh(x) ** 2, x, 1 + K)
    with pytest.raises(CheckError, match="neither proved nor evaluated"):
        Step(diverging, K, "no such number").check()
