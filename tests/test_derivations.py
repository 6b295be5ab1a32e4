"""Derivations: every step holds, every changed step is caught, the documents say it well."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy

from varprop.network import Network
from varprop.theory import (
    CheckError,
    Derivation,
    Mean,
    NormalDensity,
    Step,
    derivations,
    derive,
    predict,
    relative_variance,
    variance_map,
)
from varprop.theory.document import power_of_ten
from varprop.theory.gaussian import K, x

ALL = {derivation.name: derivation for derivation in derivations()}
STEPS = [
    pytest.param(step, id=f"{name}-{number}")
    for name, derivation in ALL.items()
    for number, step in enumerate(derivation.equations(), 1)
]
PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}


@pytest.mark.parametrize("step", STEPS)
def test_every_step_holds(step):
    assert step.check() == "proved"
    assert step.why
    assert step.title


def changes(expr):
    """The expression with one sign, factor, exponent or number changed, in every place."""
    yield -expr
    yield 2 * expr
    yield expr + 1
    for node in {n for n in sympy.preorder_traversal(expr) if n.is_Number and n != 0}:
        yield expr.xreplace({node: -node})
        yield expr.xreplace({node: node + 1})


@pytest.mark.parametrize("step", STEPS)
def test_every_changed_step_is_caught(step):
    for changed in changes(step.right):
        if changed != step.right:
            with pytest.raises(CheckError, match="is false"):
                dataclasses.replace(step, right=changed).check()
    for changed in (-step.left, 2 * step.left, step.left + 1, step.left / 3):
        with pytest.raises(CheckError, match="is false"):
            dataclasses.replace(step, left=changed).check()


@pytest.mark.parametrize("name", ALL)
def test_a_derivation_with_one_wrong_step_fails_as_a_whole(name):
    derivation = ALL[name]
    assert set(derivation.check()) == {"proved"}
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
        "confirmed to 30 digits at 5 random points"
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


# --- documents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_documents(name, tmp_path):
    derivation = ALL[name]
    text = derivation.markdown()
    assert text.startswith(f"# {derivation.title}\n")
    for heading in ("Why one would care", "What is assumed", "In numbers", "Sources"):
        assert f"\n## {heading}\n" in text
    equations = len(derivation.steps) + 1
    assert text.count("$$\n") == 2 * equations
    assert text.count("*Proved symbolically.*") == equations
    assert text.count("$") % 2 == 0
    assert text.count("{") == text.count("}")
    assert f"`varprop derive {name} -o {name}.md`" in text
    for package in ("SymPy", "mpmath", "NumPy", "varprop"):
        assert package in text.splitlines()[-1]
    assert text == derive(name).markdown()
    derivation.write(tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text(encoding="utf-8") == text


def cells(text, label):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_numbers_in_the_documents():
    relu = derive("relu").markdown()
    assert cells(relu, "$2/n$ (`he`)") == ["$1$", "$1$", "$1$"]
    exact = [power_of_ten(-depth * math.log(2)) for depth in (10, 50, 200)]
    assert cells(relu, "$1/n$") == exact
    assert exact[2] == r"$6.22\times 10^{-61}$"
    linear = derive("linear").markdown()
    assert cells(linear, "variance $1/n$") == ["$1$"] * 4
    assert cells(linear, r"variance $1/\sqrt n$")[1:] == ["$10^{15}$", "$10^{75}$", "$10^{300}$"]
    thirds = [power_of_ten(-depth * math.log(3)) for depth in (1, 10, 50, 200)]
    assert cells(linear, r"range $\pm 1/\sqrt n$") == thirds


def test_power_of_ten():
    for value in (1.0, 2.5, 0.001, 999.0, 1e-4, 1e5, 9.999e7, 3.14159e-300):
        text = power_of_ten(float(np.log(value))).strip("$").replace(r"\times 10^", "e")
        number = float(re.sub(r"^10\^", "1e", text).replace("{", "").replace("}", ""))
        assert number == pytest.approx(value, rel=6e-3)
    assert power_of_ten(-math.inf) == "$0$"
    assert power_of_ten(-5000.0) == r"$3.37\times 10^{-2172}$"


def test_writing_elsewhere_and_unknown_names(tmp_path):
    for name in ("relu.html", "relu", "relu.pdf"):
        with pytest.raises(ValueError, match="Markdown"):
            derive("relu").write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="Did you mean 'relu'\\? Known: linear, relu"):
        derive("rellu")
    assert isinstance(derive("relu"), Derivation)
    assert repr(derive("linear")) == "Derivation('linear', 9 steps)"
