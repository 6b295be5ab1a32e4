"""What the rules refuse and why, how they explain themselves, and the parts they are made of."""

from __future__ import annotations

import pytest
import sympy
from integrands import integrand
from sympy import Abs, Max, Piecewise, Rational, cos, erf, exp, oo, sin, sqrt

from varprop.theory.gaussian import (
    RULES,
    Diverges,
    NotClosed,
    density,
    explain,
    gaussian_expectation,
    x,
)
from varprop.theory.rules import ask, collect, solve
from varprop.theory.rules.split import split
from varprop.theory.rules.tidy import real_part, root, tidy

HALF = Rational(1, 2)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "limit"),
    [(exp(x**2), "1/2"), (exp(x**2 / 10), "5"), (x * exp(x**2), "1/2"), (sympy.cosh(x**2), "1/2")],
)
def test_a_gaussian_of_the_wrong_sign_says_from_where_it_diverges(expr, limit):
    with pytest.raises(Diverges, match=f"infinite for K >= {limit}$"):
        gaussian_expectation(expr)
    with pytest.raises(ValueError, match="infinite"):
        gaussian_expectation(expr)


@pytest.mark.parametrize(
    "expr", [exp(x**3), exp(x**4), exp(-(x**3)), Piecewise((exp(x**4), x < 0), (0, True))]
)
def test_steeper_growth_diverges_everywhere(expr):
    with pytest.raises(Diverges, match="infinite for every K"):
        gaussian_expectation(expr)


@pytest.mark.parametrize(
    "expr",
    [1 / x, 1 / Abs(x), (x - 1) ** -2, x / (1 + x), 1 / (x**2 - 2), Abs(x) ** Rational(-5, 2)],
)
def test_poles_on_the_line_diverge(expr):
    with pytest.raises(Diverges, match=r"diverges|infinite"):
        gaussian_expectation(expr)


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        (sympy.tanh(x) ** 2, "no rule knows tanh"),
        (sympy.log(1 + exp(x)), "no rule knows log"),
        (erf(x + 1) ** 2, "Owen's T"),
        (exp(x) * erf(x) ** 2, "Owen's T"),
        (Max(x, 1) * erf(x), "Owen's T"),
        (erf(x) ** 4, "4 error functions"),
        (exp(-(x**4)), "no rule knows exp"),
        (Piecewise((exp(x**2), Abs(x) < 1), (0, True)), "changes its form at K = 1/2"),
        (exp(x**2) * sympy.erfc(x), "changes its form at K = 1/2"),
        (Piecewise((exp(x**3), x < 0), (0, True)), "no rule knows exp"),
        (Piecewise((sin(x), x > 1), (x, True)), "complex points"),
        (sympy.tan(x), "no rule knows tan"),
        (sin(x**2), "no rule knows sin"),
        (Max(sin(x), 0), "only polynomials"),
        (exp(-1 / x**2), "no rule knows exp"),
    ],
)
def test_not_closed_says_why(expr, why):
    with pytest.raises(NotClosed, match=why):
        gaussian_expectation(expr)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="symbol x of its own"):
        gaussian_expectation(sympy.Symbol("x") ** 2)
    with pytest.raises(ValueError, match="not real"):
        gaussian_expectation(exp(sympy.I * x))


def test_odd_functions_of_any_kind_have_mean_zero():
    odd = (
        sympy.tanh(x) ** 3 * x**2,
        sympy.atan(x) * Abs(x),
        x * sympy.log(1 + x**2),
        x / (1 + Abs(x)),
        erf(x) ** 3,
        1 / (1 + exp(-x)) - HALF,
        sympy.asinh(x) / (2 + cos(x) ** 2),
    )
    for expr in odd:
        assert gaussian_expectation(expr) == 0
    for expr in (sympy.tan(x), x * exp(1 / x**2), sympy.sinh(x**3)):  # odd, but not integrable
        with pytest.raises(NotClosed):
            gaussian_expectation(expr)


# --- explanations and small parts ---------------------------------------------------------------


def test_every_rule_states_its_identity():
    for rule in RULES:
        assert "=" in rule.identity
        assert rule.identity.count("$") % 2 == 0


@pytest.mark.parametrize("text", ["elu", "gelu", "hardswish", "x*Phi(x) + cos(x)", "relu6"])
def test_explanations_add_up(text):
    parts = integrand(text, "Q")
    rows = explain(parts)
    assert len(rows) >= 1
    assert sympy.simplify(sum(r.expectation for r in rows) - gaussian_expectation(parts)) == 0
    for identity, part, value in rows:
        assert any(identity.startswith(rule.identity) for rule in RULES)
        assert sympy.simplify(gaussian_expectation(part) - value) == 0


def test_different_terms_go_to_different_rules():
    rows = explain(x * erf(x) + cos(x) + 1 / (1 + x**2) + Abs(x) ** HALF)
    first = [row.identity.split(":")[0] for row in rows]
    assert len(set(first)) == 4


def test_a_rule_says_not_mine():
    ((_, term),) = collect([(-oo, oo, sympy.tanh(x) ** 2)])
    assert solve(term) is None
    assert ask([(-oo, oo, sympy.tanh(x) ** 2)]) is None
    for rule in RULES:
        assert rule(term, lambda *_: None) is None


def test_terms_of_neighbouring_pieces_are_joined():
    ((coefficient, term),) = collect(
        [(-oo, sympy.Integer(1), 2 * erf(x) * x), (sympy.Integer(1), oo, 2 * erf(x) * x)]
    )
    assert (coefficient, term.whole) == (2, True)


def test_splitting_gives_back_the_expression():
    expr = (1 + sin(2 * x + 1) * exp(-(x - 1) * 2)) ** 3 * (x + erf(x)) ** 2 * sympy.cosh(x)
    again = sympy.Add(*(c * shape.expr for shape, c in split(expr).items()))
    for at in (Rational(1, 3), Rational(-7, 5)):
        assert abs(sympy.N((again - expr).subs(x, at), 30)) < 1e-25


def test_roots_real_parts_and_tidying():
    a, b, k = sympy.symbols("a b k", positive=True)
    assert root((a * b - k**2) * (1 + a) ** 2) == (1 + a) * sqrt(a * b - k**2)
    assert real_part((a + sympy.I * b) ** 2) == a**2 - b**2
    assert real_part(exp(sympy.I * a + b)) == exp(b) * cos(a)
    with pytest.raises(ArithmeticError, match="not split"):
        real_part(erf(sympy.I + a))
    mess = a * erf(b) + (a + b) * erf(b) / 2 + a * sympy.erfc(k) / 3 + a * erf(k) / 3
    assert tidy(mess) == (3 * a + b) * erf(b) / 2 + a / 3
    assert density(oo) == 0
