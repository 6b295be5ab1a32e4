"""Formulas where their parts leave float64, against 400 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from varprop.formula import Formula, parse

FAR = np.concatenate([np.geomspace(900.0, 1e5, 5), np.geomspace(1e7, 1e300, 6)])


def exact(formula: Formula, x: float, derivative: bool) -> float:
    with mpmath.workdps(400):
        return float(formula.mpmath(mpmath.mpf(x), derivative=derivative))


@pytest.mark.parametrize(
    "text",
    [
        "log(cosh(x))",
        "log(1+exp(x))",
        "log1p(exp(x))-0.6931",
        "log(cosh(x))**2",
        "x*tanh(log(1+exp(x)))",
        "(exp(x)-exp(-x))/(exp(x)+exp(-x))",
        "x*exp(x)/(1+exp(x))",
        "x/(1+exp(-x))",
        "x*log(cosh(x))-x*x",
        "log(cosh(x)) if x > 0 else x",
        "abs(x)*exp(x)/(1+exp(x))",
    ],
)
@pytest.mark.parametrize("derivative", [False, True])
def test_values_far_out(text, derivative):
    formula = parse(text)
    x = np.concatenate([-FAR, FAR])
    x = x[np.abs(x) < 1e150] if "**2" in text or text.endswith("x*x") else x
    got = formula.derivative_numpy(x) if derivative else formula.numpy(x)
    want = np.array([exact(formula, float(at), derivative) for at in x])
    assert np.all((got == want) | (np.abs(got - want) <= 4e-16 * abs(want)))


def test_parts_with_few_digits():
    """sigmoid(-740) has one digit, and its logarithm all of them."""
    assert parse("log(sigmoid(x))").numpy(-740.0) == -740.0


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("log(cosh(x))", np.inf),
        ("(exp(x)-exp(-x))/(exp(x)+exp(-x))", 1.0),
        ("x/(1+exp(-x))", np.inf),
    ],
)
def test_at_infinity(text, limit):
    assert parse(text).numpy(np.inf) == limit


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("log(cosh(x)) + max(x - 1e5, 0)", 2e5),  # a kink far out
        ("log(cosh(x)) + abs(x - 1e5)", 9e4),
        ("log(cosh(x)) + sin(x)", 1e3),
        ("log(cosh(x)) if x < 1e5 else 0", 2e5),
        ("sqrt(1 + x**40)", 1e9),  # no polynomial of low degree
        ("log(1 + exp(x)) + x/sqrt(1 + x*x)", 2e3),
        ("exp(exp(x))/exp(exp(x) + 1)", 10.0),
        ("log(cosh(x)) + log(1 + x*x)", 1e4),
    ],
)
def test_what_is_no_polynomial_is_not_taken_for_one(text, x):
    formula = parse(text)
    for at in (x, -x):
        assert formula.numpy(at) == pytest.approx(exact(formula, at, False), rel=4e-16, abs=0)


def test_a_value_does_not_depend_on_those_asked_before():
    x = np.linspace(-1e3, 1e3, 4001)
    whole = parse("x*exp(x)/(1+exp(x))").numpy(x)
    one_by_one = [float(parse("x*exp(x)/(1+exp(x))").numpy(at)) for at in x[::250]]
    assert whole[::250].tolist() == one_by_one
