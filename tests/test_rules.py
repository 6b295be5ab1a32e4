"""The rules for expectations over N(0, K): closed forms against integration at 30 digits."""

from __future__ import annotations

import json
import random
from pathlib import Path

import mpmath as mp
import pytest
import sympy
from integrands import POWERS, integrand
from sympy import Abs, Max, Min, Rational, cos, erf, exp, oo, pi, sin, sqrt

from varprop.activation import activations
from varprop.theory.gaussian import (
    K,
    NotClosed,
    gaussian_expectation,
    x,
)
from varprop.theory.pieces import as_pieces

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
HALF = Rational(1, 2)


def integrated(parts, variance):
    """The expectation by mpmath at 35 digits, each piece cut at several scales."""
    s = mp.sqrt(variance)
    reach = 14 * s
    scales = {mp.mpf(4) ** j for j in range(-1, 6)} | {s * c for c in (0.5, 2, 5, 9)}
    marks = sorted({0} | {sign * m for m in scales if m < reach for sign in (-1, 1)})
    total = mp.mpf(0)
    for lo, hi, expr in parts:
        f = sympy.lambdify(x, expr, "mpmath")
        a = -reach if lo == -oo else max(-reach, mp.mpf(sympy.N(lo, 50)))
        b = reach if hi == oo else min(reach, mp.mpf(sympy.N(hi, 50)))
        if a < b:
            points = [a, *(m for m in marks if a < m < b), b]
            # mpmath's accuracy is absolute: bring the integrand to a size of about 1.
            size = max(abs(f(m)) * mp.npdf(m / s) / s for m in points) or mp.mpf(1)
            g = lambda at, f=f, size=size: f(at) * mp.npdf(at / s) / s / size  # noqa: E731
            total += mp.quad(g, points, method="gauss-legendre") * size
    return total


def evaluated(expr, variance):
    with mp.workdps(180):
        return +mp.mpf(sympy.lambdify(K, expr, "mpmath")(variance))


def assert_right(parts, variances, digits=30):
    closed = gaussian_expectation(parts)
    for variance in variances:
        with mp.workdps(35):
            true = integrated(parts, variance)
            found = evaluated(closed, variance)
            assert abs(found - true) <= mp.mpf(10) ** -digits * abs(true), (closed, variance)


def some_variances(seed, low, high, count=2):
    rng = random.Random(seed)
    step = (high - low) / count
    exponents = [low + step * (i + rng.random()) for i in range(count)]
    return [mp.mpf(10) ** mp.mpf(e) for e in exponents]


# --- closed forms of activations ----------------------------------------------------------------

# Which of Q, V, m and the fourth moment are closed, for every activation of the table.
CLOSED = {
    "linear": "QVmF",
    "relu": "QVmF",
    "leaky_relu(0.01)": "QVmF",
    "abs": "QVmF",
    "elu(1.0)": "QVmF",
    "selu": "QVmF",
    "celu(1.0)": "QVmF",
    "relu6": "QVmF",
    "squared_relu": "QVmF",
    "hardtanh": "QVmF",
    "hardsigmoid": "QVmF",
    "hardswish": "QVmF",
    "tanh": "m",
    "sigmoid": "m",
    "softplus": "",
    "softsign": "m",
    "arctan": "Vm",
    "erf": "QVm",
    "probit": "QVm",
    "sin": "QVmF",
    "cos": "QVmF",
    "gaussian": "QVmF",
    "sign": "QmF",
    "heaviside": "QmF",
    "gelu": "QVm",
    "gelu_tanh": "",
    "silu": "",
    "mish": "",
}


def test_the_list_of_what_is_closed_is_complete():
    assert list(CLOSED) == [str(act) for act in activations()]


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_closed_and_what_is_not(name):
    for quantity in POWERS:
        if quantity in CLOSED[name]:
            assert gaussian_expectation(integrand(name, quantity)).free_symbols <= {K}
        elif quantity == "V" and name in ("sign", "heaviside"):
            with pytest.raises(ValueError, match="singular"):
                integrand(name, quantity)
        else:
            with pytest.raises(NotClosed, match="call the map"):
                gaussian_expectation(integrand(name, quantity))


CHECKED = [
    (name, quantity)
    for name, closed in CLOSED.items()
    for quantity in closed
    if gaussian_expectation(integrand(name, quantity)).has(K)
]


@pytest.mark.parametrize(("name", "quantity"), CHECKED)
def test_the_table_against_mpmath(name, quantity):
    waves = name in ("sin", "cos")
    variances = some_variances(name + quantity, -6, 0.5 if waves else 6)
    assert_right(integrand(name, quantity), variances)


FORMULAS = [
    ("x**3", "QVF"),
    ("exp(-x**2)*sin(x)", "QV"),
    ("x*exp(-x**2)", "QV"),
    ("abs(x)*exp(-x**2)", "Qm"),
    ("erf(2*x)", "QV"),
    ("erf(abs(x))", "Qm"),
    ("sin(x) + x*cos(x)", "QV"),
    ("sin(2*x + 1) + cos(x - 1/2)", "QmV"),
    ("exp(-(x + 1)**2 + 1)*sin(3*(x - 1))", "Qm"),
    ("max(x, 1.5)", "Qm"),
    ("exp(-abs(x))", "Qm"),
    ("elu(0.5)", "QV"),
    ("celu(2)", "Qm"),
    ("x*Phi(x) + cos(x)", "QV"),
    ("x + sin(x)", "QF"),
    ("x if x > 0 else sin(x)", "Qm"),
    ("max(x, 1) + x*erf(x)", "m"),
    ("x*erf(x) + erf(3*x)", "QV"),
    ("erf(x + 1)", "mV"),
    ("x/sqrt(1 + x**2)", "QV"),
    ("x**3/(4 + x**2)**2", "QF"),
    ("1/(x**4 + 3*x**2 + 2)", "Qm"),
    ("exp(-x**2/3)/(2 + x**2)", "Qm"),
    ("x*arctan(3*x)", "m"),
    ("exp(-(x - 1)**2)", "Qm"),
    ("x**2*exp(-x) if x > -1 else 0", "m"),
    ("exp(x) if x < 1 else e", "Qm"),
    ("(exp(-x) if x < 2 else 0) if x > 1/2 else 0", "Qm"),
    ("x**3*erf(x)**3 if x > 0 else 0", "m"),
]


@pytest.mark.parametrize(("text", "quantities"), FORMULAS, ids=[text for text, _ in FORMULAS])
def test_formulas_against_mpmath(text, quantities):
    for quantity in quantities:
        high = 0.5 if "sin" in text or "cos" in text else 5
        assert_right(integrand(text, quantity), some_variances(text, -6, high))


@pytest.mark.parametrize(
    "expr",
    [
        exp(x),
        sympy.sinh(x) ** 2,
        exp(x) * sin(2 * x),
        exp(x) * erf(x),
    ],
)
def test_expressions_against_mpmath(expr):
    assert_right(list(as_pieces(expr)), some_variances(str(expr), -5, 0.3))


def test_powers_that_are_no_whole_numbers():
    closed = gaussian_expectation(Abs(x) ** Rational(3, 2) * exp(-(x**2)))
    with mp.workdps(35):
        for variance in some_variances("powers", -3, 3):
            s = mp.sqrt(variance)
            # x = t^2 makes the integrand smooth at 0.
            f = lambda t, s=s: 4 * t**4 * mp.exp(-(t**4)) * mp.npdf(t * t / s) / s  # noqa: E731
            end = mp.sqrt(14 * s)
            true = mp.quad(f, mp.linspace(0, min(end, mp.mpf(4)), 12))
            assert abs(evaluated(closed, variance) - true) < mp.mpf(10) ** -30 * true


# --- known forms --------------------------------------------------------------------------------


def test_gelu_as_the_literature_has_it():
    arc = sympy.asin(K / (1 + K))
    q = K / 4 + K / (2 * pi) * arc + K**2 / (pi * (1 + K) * sqrt(1 + 2 * K))
    v = HALF / 2 + arc / (2 * pi)
    v += K / (2 * pi * sqrt(1 + 2 * K)) * (1 / (1 + 2 * K) + (1 - K) / (1 + K) + 1)
    assert sympy.simplify(gaussian_expectation(integrand("gelu", "Q")) - q) == 0
    assert sympy.simplify(gaussian_expectation(integrand("gelu", "V")) - v) == 0


def test_arctan_as_the_literature_has_it():
    i = sqrt(pi / (2 * K)) * exp(1 / (2 * K)) * sympy.erfc(1 / sqrt(2 * K))
    v = ((1 - 1 / K) * i + 1 / K) / 2
    assert sympy.simplify(gaussian_expectation(integrand("arctan", "V")) - v) == 0


def test_published_values():
    q = gaussian_expectation(integrand("gelu", "Q")).subs(K, 1)
    assert float(q) == pytest.approx(PUBLISHED["Q_gelu_1"]["value"], rel=1e-12)
    found = [float(gaussian_expectation(integrand("elu", m)).subs(K, 1)) for m in "QVm"]
    assert found == pytest.approx(PUBLISHED["ELU_maps_1"]["value"], rel=1e-12)
    slope = gaussian_expectation(integrand("arctan", "V"))
    found = [float(slope.subs(K, k)) for k in (HALF, 1, 2)]
    assert found == pytest.approx(PUBLISHED["arctan_V"]["value"], rel=1e-12)


def test_parameters_may_be_symbols():
    s = sympy.Symbol("s", positive=True)
    r = sympy.Symbol("r", real=True)
    known = {
        erf(r * x) ** 2: 2 / pi * sympy.asin(2 * r**2 * K / (1 + 2 * r**2 * K)),
        exp(-s * x**2): 1 / sqrt(1 + 2 * s * K),
        sin(r * x) ** 2: (1 - exp(-2 * r**2 * K)) / 2,
        exp(r * x): exp(r**2 * K / 2),
        x * sin(r * x): r * K * exp(-(r**2) * K / 2),
        (Max(x, 0) + r * Min(x, 0)) ** 2: (1 + r**2) * K / 2,
        1 / (x**2 + s**2): sqrt(pi / (2 * K)) / s * exp(s**2 / 2 / K) * sympy.erfc(s / sqrt(2 * K)),
    }
    for expr, value in known.items():
        assert sympy.simplify(gaussian_expectation(expr) - value) == 0
    with pytest.raises(NotClosed, match="sign of r"):
        gaussian_expectation(exp(-r * x**2))


def test_results_are_compact():
    for name, closed in CLOSED.items():
        for quantity in closed:
            expr = gaussian_expectation(integrand(name, quantity))
            assert expr.count_ops() <= 60, (name, quantity, expr)
            assert not expr.has(sympy.I, sympy.Integral)
    assert str(gaussian_expectation(integrand("erf", "Q"))) == "2*asin(2*K/(2*K + 1))/pi"
    assert str(gaussian_expectation(integrand("hardsigmoid", "m"))) == "1/2"
    assert gaussian_expectation(sin(x + 1) ** 2 + cos(x + 1) ** 2) == 1
    assert gaussian_expectation(sin(x + 1) ** 2) == HALF - exp(-2 * K) * cos(2) / 2
