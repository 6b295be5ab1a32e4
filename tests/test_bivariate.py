"""E f(u) g(v) in closed form: against Price's theorem, integration and the literature."""

from __future__ import annotations

import random

import mpmath as mp
import pytest
import sympy
from sympy import Abs, Max, Min, Piecewise, Rational, cos, erf, exp, oo, pi, sign, sin, sqrt

from varprop.activation import Activation, activations
from varprop.theory.bivariate import PAIR_RULES, a, b, k, pair_expectation
from varprop.theory.gaussian import (
    Diverges,
    K,
    NotClosed,
    derivative,
    exact,
    gaussian_expectation,
    x,
)
from varprop.theory.pair_rules import PairTerm, Side, solve

CLOSED = (
    *("linear", "relu", "leaky_relu(0.01)", "abs", "squared_relu", "erf", "probit", "sin", "cos"),
    *("gaussian", "sign", "heaviside", "gelu"),
)
JUMPS = ("sign", "heaviside")
PHI = (1 + erf(x / sqrt(2))) / 2
SMOOTH = {
    "erf": erf(x),
    "probit": PHI,
    "gelu": x * PHI,
    "sin": sin(x),
    "cos": cos(x),
    "gaussian": exp(-(x**2)),
    "exp": exp(x),
    "cube": x**3 - 2 * x**2 + 1,
    "gabor": exp(-(x**2)) * sin(2 * x + 1),
    "waves": x * cos(x) + sin(2 * x) / 3,
    "mixed": x * erf(2 * x) - cos(x) + Rational(1, 3) * exp(-(x**2) / 2),
    "damped": exp(x / 2) * sin(x),
    "smoothed": exp(x / 2) + x**2 * exp(-(x**2)),
}
KINKED = {
    "relu": Max(x, 0),
    "leaky": Max(x, 0) + Min(x, 0) / 5,
    "abs": Abs(x),
    "square": Max(x, 0) ** 2,
    "cube": Max(x, 0) ** 3 - 2 * Min(x, 0) ** 3,
    "bump": Abs(x) * exp(-(x**2)),
    "two sides": Piecewise((x**2 + x, x > 0), (-x, True)),
}
ALL = {**SMOOTH, **{f"kinked {name}": f for name, f in KINKED.items()}}


def formula(name):
    return exact(Activation.parse(name).sympy())


def points(seed, largest=2.0):
    """Variances and covariances: a common one, one of nearly equal, one of nearly opposite."""
    rng = random.Random(seed)
    found = []
    for rho in (rng.uniform(-0.9, 0.9), 1 - 1e-6, -1 + 1e-6):
        first, second = (mp.mpf(rng.uniform(0.2, largest)) for _ in "ab")
        found.append((first, second, mp.mpf(rho) * mp.sqrt(first * second)))
    return found


def value(expr, point):
    with mp.workdps(60):
        return +mp.mpf(sympy.lambdify((a, b, k), expr, "mpmath")(*point))


def close(found, true, digits=30, size=0):
    return abs(found - true) <= mp.mpf(10) ** -digits * max(abs(true), size)


# --- what is closed -----------------------------------------------------------------------------


@pytest.mark.parametrize("act", activations(), ids=str)
def test_what_is_closed_and_what_is_not(act):
    name = str(act)
    if name not in CLOSED:
        with pytest.raises(NotClosed):
            pair_expectation(formula(name))
        return
    assert pair_expectation(formula(name)).free_symbols <= {a, b, k}
    if name in JUMPS:
        with pytest.raises(ValueError, match="singular"):
            derivative(formula(name))
    else:
        assert pair_expectation(derivative(formula(name))).free_symbols <= {a, b, k}


# --- proofs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_price_links_each_kernel_to_that_of_the_slopes(name):
    """d/dk E f(u) f(v) = E f'(u) f'(v): by another way through the rules, at 30 digits."""
    left = sympy.diff(pair_expectation(ALL[name]), k)
    right = pair_expectation(derivative(ALL[name]))
    with mp.workdps(60):
        for point in points(name):
            assert close(value(left, point), value(right, point), size=mp.mpf(10) ** -6)


@pytest.mark.parametrize("name", ALL)
def test_independent_inputs_give_the_product_of_means(name):
    """At k = 0: the constant of the integration back from Price's theorem."""
    mean = gaussian_expectation(ALL[name])
    product = mean.subs(K, a) * mean.subs(K, b)
    with mp.workdps(60):
        first, second, _ = points(name)[0]
        found = value(pair_expectation(ALL[name]), (first, second, mp.mpf(0)))
        assert close(found, value(product, (first, second, 0)), size=mp.mpf(10) ** -6)


@pytest.mark.parametrize("name", ALL)
def test_equal_inputs_give_the_variance_map(name):
    square = gaussian_expectation([(lo, hi, e**2) for lo, hi, e in _pieces(ALL[name])])
    with mp.workdps(120):
        at = mp.mpf(random.Random(name).uniform(0.2, 2))
        pair = sympy.lambdify((a, b, k), pair_expectation(ALL[name]), "mpmath")
        near = mp.re(pair(at, at, at * (1 - mp.mpf(10) ** -80)))
        assert close(near, sympy.lambdify(K, square, "mpmath")(at), digits=30)


def _pieces(expr):
    from varprop.theory.gaussian import pieces

    return list(pieces(expr))


def test_the_arc_cosine_kernels_are_proved_by_sympy():
    """Cho and Saul (2009), orders 0, 1, 2, each from the one below by Price's theorem."""
    order = [pair_expectation(Max(x, 0) ** n if n else sympy.Heaviside(x)) for n in range(3)]
    for n in (1, 2):
        assert sympy.simplify(sympy.diff(order[n], k) - n**2 * order[n - 1]) == 0
    both_deltas = 1 / (2 * pi * sqrt(a * b - k**2))
    assert sympy.simplify(sympy.diff(order[0], k) / both_deltas) == 1
    for n, constant in enumerate((Rational(1, 4), sqrt(a * b) / (2 * pi), a * b / 4)):
        assert sympy.simplify(order[n].subs(k, 0) - constant) == 0


# --- integration --------------------------------------------------------------------------------


def trapezoid(f, g, point, step):
    """E f(u) g(v) for entire f, g, by the trapezoidal rule, exponentially exact."""
    first, second, covariance = point
    rho = covariance / mp.sqrt(first * second)
    rest = mp.sqrt(1 - rho**2)
    grid = [step * i for i in range(-int(12.5 / step), int(12.5 / step) + 1)]
    bell = [mp.npdf(z) * step for z in grid]
    total = mp.mpf(0)
    for z, weight in zip(grid, bell, strict=True):
        at = [g(mp.sqrt(second) * (rho * z + rest * y)) for y in grid]
        total += f(mp.sqrt(first) * z) * weight * mp.fdot(at, bell)
    return total


@pytest.mark.parametrize("name", ["erf", "gelu", "gabor", "waves", "mixed", "smoothed"])
def test_smooth_kernels_against_integration(name):
    f, g = SMOOTH[name], SMOOTH["damped"] if name == "waves" else SMOOTH[name]
    slow = {"mixed": 0.6, "gabor": 0.6, "smoothed": 0.6}.get(name, 0.9)
    with mp.workdps(34):
        functions = [sympy.lambdify(x, e, "mpmath") for e in (f, g)]
        rng = random.Random(name)
        first, second = (mp.mpf(rng.uniform(0.1, slow)) for _ in "ab")
        point = (first, second, mp.mpf(rng.choice((0.7, -0.99))) * mp.sqrt(first * second))
        true = trapezoid(*functions, point, mp.mpf("0.2"))
        assert close(value(pair_expectation(f, g), point), true, digits=24)


MIXED = [
    (erf(x) ** 2, x**2 + exp(-(x**2))),
    (erf(x + 1), exp(x / 2)),
    (x * erf(x - Rational(1, 2)) + 1, x**2 + 3 * x),
]


@pytest.mark.parametrize(("f", "g"), MIXED)
def test_two_smooth_functions_against_integration(f, g):
    with mp.workdps(34):
        functions = [sympy.lambdify(x, e, "mpmath") for e in (f, g)]
        point = (mp.mpf("0.31"), mp.mpf("0.73"), mp.mpf("0.35"))
        true = trapezoid(*functions, point, mp.mpf("0.2"))
        assert close(value(pair_expectation(f, g), point), true, digits=24)
        mirrored = (point[1], point[0], point[2])
        assert close(value(pair_expectation(g, f), mirrored), true, digits=24)


def polar(f, g, degree, point):
    """E f(u) g(v) for f, g homogeneous of that degree together, by one integral over angles."""
    first, second, covariance = point
    tilt = mp.acos(covariance / mp.sqrt(first * second))
    radial = mp.mpf(2) ** (mp.mpf(degree) / 2) * mp.gamma(1 + mp.mpf(degree) / 2) / (2 * mp.pi)

    def around(t):
        return f(mp.sqrt(first) * mp.cos(t)) * g(mp.sqrt(second) * mp.cos(t - tilt))

    edges = sorted(
        {
            0,
            2 * mp.pi,
            mp.pi / 2,
            3 * mp.pi / 2,
            *((tilt + c * mp.pi / 2) % (2 * mp.pi) for c in (1, 3)),
        }
    )
    return radial * mp.quad(around, edges, method="gauss-legendre")


HOMOGENEOUS = [
    (sign(x), sign(x), 0),
    (sympy.Heaviside(x), sign(x), 0),
    (Max(x, 0), Max(x, 0), 2),
    (KINKED["leaky"], Abs(x), 2),
    (sign(x), x**3, 3),
    (Max(x, 0) ** 2, Max(x, 0) ** 2, 4),
    (KINKED["cube"], KINKED["leaky"], 4),
]


@pytest.mark.parametrize(("f", "g", "degree"), HOMOGENEOUS)
def test_kinked_kernels_against_integration(f, g, degree):
    with mp.workdps(40):
        functions = [sympy.lambdify(x, e.rewrite(Piecewise), "mpmath") for e in (f, g)]
        for point in points(str((f, g)), largest=50.0):
            true = polar(*functions, degree, point)
            size = (point[0] * point[1]) ** (mp.mpf(degree) / 4) * mp.mpf(10) ** -6
            assert close(value(pair_expectation(f, g), point), true, size=size)


def test_a_kinked_bump_against_integration():
    """|u| exp(-u^2) |v| exp(-v^2) in polar coordinates: the radius is done by hand."""
    found = pair_expectation(KINKED["bump"])
    with mp.workdps(34):
        first, second, covariance = points("bump")[0]
        tilt = mp.acos(covariance / mp.sqrt(first * second))

        def around(t):
            c, d = mp.cos(t), mp.cos(t - tilt)
            rate = mp.mpf(1) / 2 + first * c**2 + second * d**2
            return abs(c * d) / (2 * rate**2)

        edges = sorted({0, mp.pi, mp.pi / 2, (tilt + mp.pi / 2) % mp.pi})
        total = mp.quad(around, edges) / mp.pi * mp.sqrt(first * second)
        assert close(value(found, (first, second, covariance)), total, digits=28)


# --- the literature -----------------------------------------------------------------------------

DISTANCE = sqrt((1 + a) * (1 + b) - k**2)
ANGLE = sympy.acos(k / sqrt(a * b))
KNOWN = {
    "relu": sqrt(a * b) * (sympy.sin(ANGLE) + (pi - ANGLE) * sympy.cos(ANGLE)) / (2 * pi),
    "squared_relu": a
    * b
    * (3 * sympy.sin(ANGLE) * sympy.cos(ANGLE) + (pi - ANGLE) * (1 + 2 * sympy.cos(ANGLE) ** 2))
    / (2 * pi),
    "heaviside": (pi - ANGLE) / (2 * pi),
    "erf": 2 / pi * sympy.asin(2 * k / sqrt((1 + 2 * a) * (1 + 2 * b))),
    "probit": Rational(1, 4) + sympy.asin(k / sqrt((1 + a) * (1 + b))) / (2 * pi),
    "sin": exp(-(a + b) / 2) * sympy.sinh(k),
    "cos": exp(-(a + b) / 2) * sympy.cosh(k),
    "gaussian": 1 / sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * k**2),
    "x**3": 6 * k**3 + 9 * k * a * b,
    "gelu": k / 4
    + ((k**2 + a * b * DISTANCE**2) / ((1 + a) * (1 + b) * DISTANCE) + k * sympy.atan(k / DISTANCE))
    / (2 * pi),
}
SLOPES = {
    "relu": (pi - ANGLE) / (2 * pi),
    "leaky_relu(0.2)": Rational(13, 25) - (Rational(4, 5) ** 2) * ANGLE / (2 * pi),
    "erf": 4 / pi / sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * k**2),
    "gelu": Rational(1, 4)
    + sympy.atan(k / DISTANCE) / (2 * pi)
    + k / (2 * pi * DISTANCE) * (1 / DISTANCE**2 + (1 - a * b) / ((1 + a) * (1 + b)) + 1),
}


@pytest.mark.parametrize("name", KNOWN)
def test_kernels_as_the_literature_has_them(name):
    for point in points(name, largest=9.0):
        with mp.workdps(50):
            assert close(value(pair_expectation(formula(name)), point), value(KNOWN[name], point))


@pytest.mark.parametrize("name", SLOPES)
def test_derivative_kernels_as_the_literature_has_them(name):
    found = pair_expectation(derivative(formula(name)))
    for point in points(name, largest=9.0):
        with mp.workdps(50):
            assert close(value(found, point), value(SLOPES[name], point))


def test_two_different_functions():
    assert pair_expectation(x, erf(x)) == 2 * k / (sqrt(pi) * sqrt(2 * b + 1))
    assert pair_expectation(erf(x), x) == 2 * k / (sqrt(pi) * sqrt(2 * a + 1))
    assert pair_expectation(x**2, sin(x)) == 0
    assert pair_expectation(Max(x, 0), sympy.Integer(1)) == sqrt(a) / sqrt(2 * pi)
    assert pair_expectation(sign(x), exp(x)) == exp(b / 2) * erf(k / sqrt(2 * a))


def test_a_general_slope_and_width():
    r = sympy.Symbol("r", real=True)
    leaky = pair_expectation(Max(x, 0) + r * Min(x, 0))
    known = (1 - r) ** 2 / (2 * pi) * (sqrt(a * b) * sympy.sin(ANGLE) - ANGLE * k)
    known += (1 + r**2) / 2 * k
    for point in points("slope"):
        both = [sympy.lambdify((a, b, k, r), e, "mpmath") for e in (leaky, known)]
        with mp.workdps(50):
            assert close(both[0](*point, mp.mpf("-0.3")), both[1](*point, mp.mpf("-0.3")))
    assert pair_expectation(sin(r * x)) == exp(-a * r**2 / 2 - b * r**2 / 2) * sympy.sinh(k * r**2)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (Piecewise((x, x > 0), (exp(x) - 1, True)), "bivariate normal distribution function"),
        (Max(x, 1), "kink at x = 1, away from 0"),
        (Min(Max(x, 0), 6), "kink at x = 6, away from 0"),
        (erf(x + 1), "shifted"),
        (exp(x) * erf(x), "bivariate normal distribution function"),
        (erf(x) ** 2, "orthant probability of 4"),
        (sympy.tanh(x), "knows tanh"),
        (1 / (1 + x**2), "no rule for two variables"),
    ],
)
def test_not_closed_says_why(f, why):
    with pytest.raises(NotClosed, match=why):
        pair_expectation(f)


def test_bad_input_is_named():
    with pytest.raises(Diverges, match="infinite"):
        pair_expectation(exp(x**2 / 10))
    with pytest.raises(ValueError, match="symbol x of its own"):
        pair_expectation(sympy.Symbol("x") ** 2)
    with pytest.raises(NotClosed, match="sign of"):
        pair_expectation(exp(-sympy.Symbol("r", real=True) * x**2))


def test_every_rule_states_its_identity_and_says_not_mine():
    term = PairTerm(Side(0, linear=sympy.Integer(1), factors=_two_signs()), Side(0))
    for rule in PAIR_RULES:
        assert "=" in rule.identity
        assert rule.identity.count("$") % 2 == 0
    assert solve(term) is None


def _two_signs():
    from varprop.theory.pair_rules.term import Factor

    return (Factor(oo, sympy.Integer(0)), Factor(sympy.Integer(1), sympy.Integer(0)))
