"""Derivations: every step holds, every changed step is caught, the documents say it well."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from contextlib import suppress
from pathlib import Path

import pytest
import sympy
from effort import LONG

from varprop.network import Network
from varprop.theory import (
    CheckError,
    Mean,
    NormalDensity,
    Step,
    derivations,
    derive,
    predict,
    relative_variance,
    variance_map,
)
from varprop.theory.gaussian import K, x
from varprop.theory.notation import Rounded
from varprop.theory.proof import compare_sides

FORMULAS = ("x**3", "elu(1.5)", "sin(x)+x/2", "tanh(2*x)+x/10", "x*Phi(x)", "heaviside")
ALL = {derivation.name: derivation for derivation in derivations()}
CHECKED = ALL | {formula: derive(formula) for formula in FORMULAS}
STEPS = [
    pytest.param(step, id=f"{name}-{number}")
    for name, derivation in CHECKED.items()
    for number, step in enumerate(derivation.equations(), 1)
]
PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
WRONG = "is false|neither proved nor evaluated"


@pytest.mark.parametrize("step", STEPS)
def test_every_step_holds(step):
    assert re.fullmatch(
        "proved|confirmed to 30 digits at ([235] random points|the one point there is)"
        "|confirmed to the digits shown",
        step.check(),
    )
    assert step.why
    assert step.title


@pytest.mark.parametrize("name", ["linear", "relu", "uniform_range", "x**3"])
def test_simple_derivations_are_proved_throughout(name):
    assert set(CHECKED[name].check()) <= {"proved", "confirmed to the digits shown"}


def term_flips(expr):
    """The expression with the sign of one summand changed, of every sum in it."""
    for node in sympy.preorder_traversal(expr):
        if node.is_Add:
            for term in node.args:
                yield expr.xreplace({node: node - 2 * term})


def number_changes(expr):
    """The expression with one number negated or made larger by 1, wherever it stands."""
    for node in {n for n in sympy.preorder_traversal(expr) if n.is_Number and n != 0}:
        for other in (-node, node + 1):
            with suppress(ValueError):  # a derivative of order -1 is no expression
                yield expr.xreplace({node: other})


def changes(expr):
    yield from (-expr, 2 * expr, expr + 1)
    if isinstance(expr, Rounded):
        yield Rounded(sympy.N(expr.doit() + 2 * expr.half_unit(), 15))
    else:
        yield from term_flips(expr)
        yield from number_changes(expr)


def means_something_else(changed, right):
    """Not a change that changes nothing: |-2|, the value of a step function at its step, ..."""
    return changed != right and compare_sides(changed, right) != "proved"


@pytest.mark.parametrize("step", STEPS if LONG else STEPS[::3])
def test_every_changed_step_is_caught(step):
    for changed in changes(step.right):
        if means_something_else(changed, step.right):
            with pytest.raises(CheckError, match=WRONG):
                dataclasses.replace(step, right=changed).check()
    for changed in (-step.left, 2 * step.left, step.left + 1, step.left / 3):
        with pytest.raises(CheckError, match=WRONG):
            dataclasses.replace(step, left=changed).check()


@pytest.mark.parametrize("name", ALL)
def test_a_derivation_with_one_wrong_step_fails_as_a_whole(name):
    derivation = ALL[name]
    assert len(derivation.check()) == len(derivation.steps) + 1
    for number, step in enumerate(derivation.steps):
        wrong = dataclasses.replace(step, right=-step.right)
        steps = (*derivation.steps[:number], wrong, *derivation.steps[number + 1 :])
        broken = dataclasses.replace(derivation, steps=steps)
        with pytest.raises(CheckError, match=re.escape(repr(step.title))):
            broken.check()
    broken = dataclasses.replace(derivation, result=dataclasses.replace(derivation.result, right=K))
    with pytest.raises(CheckError, match="'The result'"):
        broken.markdown()


def test_steps_that_cannot_be_proved_are_confirmed():
    # Stein's identity for tanh: E x tanh(x) = K E sech(x)^2, which SymPy can't integrate.
    everywhere = (x, -sympy.oo, sympy.oo)
    density = NormalDensity(x, K)
    left = sympy.Integral(x * sympy.tanh(x) * density, everywhere)
    right = K * sympy.Integral((1 - sympy.tanh(x) ** 2) * density, everywhere)
    at = {K: sympy.Rational(7, 5)}
    assert Step(left.subs(at), right.subs(at), "Stein").check() == (
        "confirmed to 30 digits at the one point there is"
    )
    with pytest.raises(CheckError, match="is false"):
        Step(left.subs(at), right.subs(at) * (1 + sympy.Rational(1, 10**25)), "Stein").check()


def test_confirmation_at_random_points_of_symbols():
    a = sympy.Symbol("a", positive=True)
    n = sympy.Symbol("n", integer=True, positive=True)
    hard = sympy.exp(-a * x) / (1 + x**4)
    left, right = (sympy.Integral(f, (x, 0, 1)) for f in (hard, hard.subs(x, 1 - x)))
    assert Step(left * n, n * right, "x -> 1 - x").check() == (
        "confirmed to 30 digits at 3 random points"
    )
    with pytest.raises(CheckError, match="is false: at"):
        Step(left * n, -n * right, "x -> 1 - x").check()
    with pytest.raises(CheckError, match="is false: at"):
        Step(a**2 * n, a**2 * n + sympy.Rational(1, 10**20), "a tiny bit").check()


def test_kinks_are_proved_piece_by_piece():
    assert Step(sympy.Max(x, 0) + sympy.Min(x, 0), x, "").check() == "proved"
    with pytest.raises(CheckError):
        Step(sympy.Max(x, 0) - sympy.Min(x, 0), x, "").check()


def test_mean_needs_the_moments_it_uses():
    w, v = sympy.symbols("w v")
    assert Mean((2 + 3 * w) ** 2, (w, 0, v)).doit() == 4 + 9 * v
    with pytest.raises(ValueError, match="moment 3 is needed, 2 are given"):
        Mean(w**3, (w, 0, v)).doit()


# --- the results are those that the rest of the theory uses -------------------------------------


def test_results_are_the_recursion_that_predict_uses():
    linear = {s.name: s for s in derive("linear").result.right.free_symbols}
    assert derive("linear").result.right == linear["n"] * linear["v"] * linear["q"]
    relu = derive("relu").result.right
    (n_relu,) = (s for s in relu.free_symbols if s.name == "n")
    (v_relu,) = (s for s in relu.free_symbols if s.name == "v")
    assert sympy.simplify(relu - n_relu * v_relu * variance_map("relu").expr) == 0
    net = Network(2, width=37, act="relu", scheme="normal(0.3)")
    k = predict(net).variance
    assert k[1] == pytest.approx(float(relu.subs({n_relu: 37, v_relu: 0.09, K: k[0]})), rel=1e-14)


def test_the_scatter_is_the_one_that_compare_uses():
    (step,) = (s for s in derive("relu").steps if s.title == "One layer of one network")
    (n,) = step.right.free_symbols
    assert (step.right - 1) * n == pytest.approx(relative_variance("relu", 0.0))
    linear, relu, _ = PUBLISHED["m4_linear_relu"]["value"]
    assert math.exp(50 * math.log1p(relative_variance("relu", 0.0) / 100)) == pytest.approx(relu)
    assert math.exp(50 * math.log1p(relative_variance("linear", 0.0) / 100)) == pytest.approx(
        linear
    )
