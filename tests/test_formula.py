"""The formula language: what it accepts, what it refuses, and the values it gives."""

import pickle
import subprocess
import sys
import warnings

import mpmath
import numpy as np
import pytest

from varprop.formula import Formula, parse

EPS = np.finfo(float).eps


# Refused, and the text says what was met. (formula, part of the message)
OUTSIDE = [
    ("", "empty"),
    ("   ", "empty"),
    ("y", "unknown name 'y'"),
    ("sigmiod(x)", "did you mean 'sigmoid'"),
    ("phi(x)", "did you mean 'Phi'"),
    ("x^2", "a power is written **"),
    ("x²", "'²'"),
    ("ｅxp(x)", "number 1"),
    ("x − 1", "ASCII minus"),
    ("x\x00", "'\\x00'"),
    ("x\n", "'\\n'"),
    ("\ud800", "'\\ud800'"),
    ("x.real", "attribute"),
    ("().__class__.__bases__", "attribute"),
    ("__import__(x)", "unknown function '__import__'"),
    ("eval(x)", "unknown function 'eval'"),
    ("exp(x)(x)", "not the name of a function"),
    ("exp", "needs an argument"),
    ("x(x)", "unknown function 'x'"),
    ("lambda: x", "':'"),
    ("[x for x in x]", "'['"),
    ("(x for x in x)", "GeneratorExp"),
    ("'x'", '"\'"'),
    ("f'{x}'", '"\'"'),
    ("(x:=3)", "':'"),
    ("{x}", "'{'"),
    ("x[0]", "'['"),
    ("x, x", "tuple"),
    ("x//2", "operator"),
    ("x<<2", "operator"),
    ("x%2", "'%'"),
    ("not x", "'not'"),
    ("await x", "Await"),
    ("yield x", "can't be read"),
    ("x and x", "'and'"),
    ("x < 1", "comparison outside"),
    ("x if x else 1", "not one comparison"),
    ("x if 0 < x < 1 else 1", "not one comparison"),
    ("x if x in x else 1", "not one of < <="),
    ("True", "not a real number"),
    ("None", "not a real number"),
    ("...", "not a real number"),
    ("1j*x", "not a real number"),
    ("1e999", "too large"),
    ("9" * 400, "too large"),
    ("1e308*10*x", "not a finite float64"),
    ("x + 1/0", "not a finite float64"),
    ("x*sqrt(-1)", "not a finite float64"),
    ("exp(1000)", "not a finite float64"),
    ("x*1e-300**4", "too small"),
    ("max(x)", "takes 2 arguments"),
    ("max(x, 1, 2)", "takes 2 arguments"),
    ("max(*x)", "takes 2 arguments"),
    ("exp(x=x)", "takes 1 argument"),
    ("exp()", "takes 1 argument"),
    ("x**x", "depends on x"),
    ("2**x", "exp(x*log(a))"),
    ("x**65", "between -64 and 64"),
    ("x**1e9", "between -64 and 64"),
    ("9**9**9", "between -64 and 64"),
    ("((x**64)**64)**64", "more than 4096"),
    ("((1.0000001**64)**64)**64*x", "more than 4096"),
    ("(" * 10_000, "10000 characters"),
    ("(" * 100 + "x" + ")" * 100, "brackets deeper than 50"),
    ("-" * 900 + "x", "nest deeper than 100"),
    ("x" + "+x" * 400, "nest deeper than 100"),
    ("not " * 240 + "x", "'not'"),
    (")" * 900, "can't be read"),
    ("x x", "can't be read"),
    ("1.1.1", "can't be read"),
]


@pytest.mark.parametrize(("text", "met"), OUTSIDE, ids=[repr(text[:20]) for text, _ in OUTSIDE])
def test_refuses_what_is_outside_the_language(text, met):
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        parse(text)
    assert met in str(caught.value)
    assert len(str(caught.value)) < 600


def test_says_what_is_allowed():
    with pytest.raises(ValueError, match=r"allowed are x, numbers, pi, e, .* softplus"):
        parse("foo(x)")


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"]])
def test_text_must_be_a_str(text):
    with pytest.raises(TypeError, match="a formula is a str"):
        parse(text)


def test_hostile_formulas_cost_little():
    # In a process of its own, with bounded memory and time: a hang would be killed.
    code = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from varprop.formula import parse
for text in [
    "exp(" * 50 + "x" + ")" * 50, "sin(exp(exp(exp(exp(x)))))", "tanh(" * 50 + "x" + ")" * 50,
    "+".join(f"abs(x-{i})" for i in range(90)), "abs(" * 49 + "x" + "-1)" * 49,
    "max(" * 40 + "x" + ",tanh(x))" * 40, "x" + "/x" * 98, "x" + "*x" * 98,
    "(1+x)**64", "(9.9**64)**4*x", "sign(sin(1e6*x))", "x if x<1 else " * 60 + "x",
]:
    formula = parse(text)
    formula.kinks, formula.sympy(), formula.degree
    formula.numpy([0.0, 1e300, -5.0, 5e-324]), formula.derivative_numpy([0.0, 1e300, -5.0])
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_a_negative_of_a_negative_is_what_it_was():
    """As many signs as may be nested cost no more than none."""
    signs = parse("-" * 90 + "Phi(x)" + "-" * 91 + "x")
    x = np.array([-2.0, 0.3, 5.0])
    assert np.array_equal(signs.numpy(x), parse("Phi(x)-x").numpy(x))
    assert str(signs._tree) == str(parse("Phi(x)-x")._tree)
    assert str(parse("---x")._tree) == str(parse("-x")._tree)


# Every function of the language against mpmath, where it is defined.
REFERENCE = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "expm1": mpmath.expm1,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "tanh": mpmath.tanh,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "arctan": mpmath.atan,
    "atan": mpmath.atan,
    "arcsinh": mpmath.asinh,
    "asinh": mpmath.asinh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "Phi": mpmath.ncdf,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "abs": abs,
    "sign": mpmath.sign,
    "heaviside": lambda x: (1 + mpmath.sign(x)) / 2,
    "relu": lambda x: max(x, mpmath.mpf(0)),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_functions_and_their_derivatives(name):
    low = {"log": 0.01, "sqrt": 0.01, "log1p": -0.99}.get(name, -8.0)
    x = np.random.default_rng(1).uniform(low, 8.0, 60)
    formula, reference = parse(f"{name}(x)"), REFERENCE[name]
    with mpmath.workdps(40):
        value = np.array([float(reference(mpmath.mpf(t))) for t in x])
        slope = np.array([float(mpmath.diff(reference, mpmath.mpf(t))) for t in x])
        bend = np.array([float(mpmath.diff(reference, mpmath.mpf(t), 2)) for t in x])
    scale = np.abs(value) + np.abs(x * slope)
    np.testing.assert_array_less(np.abs(formula.numpy(x) - value), 4 * EPS * scale + 5e-324)
    steep = np.abs(slope) + np.abs(x * bend)
    error = np.abs(formula.derivative_numpy(x) - slope)
    np.testing.assert_array_less(error, 8 * EPS * steep + 5e-324)


FORMULAS = [
    "x + 2*x - x/3",
    "-x**2 + +x",
    "2*x**3 - x**-2",
    "abs(x)**0.5*pi - e",
    "abs(x)**(1/3)",
    "max(x, 0.5)*min(-x, x**2)",
    "x if x > 0.3 else tanh(x) if x <= -1 else x**2",
    "exp(-x**2/2)*cos(3*x) + erf(x)/(1 + x**2)",
    "relu(x - 1) - abs(x + 1)*sign(x) + heaviside(x)",
    "softsign(sigmoid(x)*Phi(-x))*arcsinh(sinh(x))",
    "1 if x == 2 else 0 if x != 3 else 5",
    "0x10*x + 1_000 + .5e-3",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_numpy_sympy_and_mpmath_agree(text):
    import sympy

    formula = parse(text)
    expression = formula.sympy()
    (symbol,) = expression.free_symbols
    assert symbol == sympy.Symbol("x", real=True)
    derivative = expression.diff(symbol)
    for x in [-3.7, -1.25, -0.4, 0.2, 0.7, 1.9, 5.5]:
        exact = expression.subs(symbol, sympy.Rational(x)).evalf(30)
        slope = derivative.subs(symbol, sympy.Rational(x)).evalf(30)
        with mpmath.workdps(35):
            error = formula.mpmath(mpmath.mpf(x)) - mpmath.mpf(str(exact))
            assert abs(error) <= 1e-27 * (1 + abs(exact))
        np.testing.assert_allclose(formula.numpy(x), float(exact), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(
            formula.derivative_numpy(x), float(slope), rtol=1e-13, atol=1e-15
        )


def test_decimals_are_exact_in_sympy():
    import sympy

    x = sympy.Symbol("x", real=True)
    assert parse("0.1*x + 1/3 + pi").sympy() == x / 10 + sympy.Rational(1, 3) + sympy.pi
    assert parse("a*x", {"a": 0.01}).sympy() == x / 100


def test_conventions_at_the_switch():
    assert parse("heaviside(x)").numpy(0.0) == 0.5
    assert parse("sign(x)").numpy(0.0) == 0.0
    for text in ["sign(x)", "heaviside(x)"]:
        assert not parse(text).derivative_numpy([-1.0, 0.0, 1.0]).any()
    for text, sides in [("abs(x)", (-1, 1)), ("relu(x)", (0, 1)), ("min(x, 2*x)", (1, 2))]:
        assert parse(text).derivative_numpy(0.0) in sides


def test_shapes_and_types():
    formula = parse("x if x > 0 else 7")
    for shape in [(), (0,), (3,), (2, 3), (5, 1, 2)]:
        for result in (formula.numpy(np.ones(shape)), formula.derivative_numpy(np.ones(shape))):
            assert result.shape == shape
            assert result.dtype == np.float64
    assert formula.numpy([1, 2]).tolist() == [1.0, 2.0]
    assert formula.numpy(np.arange(12.0).reshape(3, 4).T).shape == (4, 3)
    assert parse("3").numpy(np.zeros((2, 2))).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    x = np.random.default_rng(2).normal(size=30_000)  # several blocks
    np.testing.assert_array_equal(parse("x*2 + 1").numpy(x), x * 2 + 1)


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("x*exp(x)/(1 + exp(x))", 800.0, 800.0),
        ("x**3/(1 + x**2)", 1e200, 1e200),
        ("x*exp(-x**2)", 1e200, 0.0),
        ("log(1 + exp(x))", 1e6, 1e6),
        ("exp(x)*exp(-x)", 1e4, 1.0),
        ("sqrt(x**2 + 1) - sqrt(x**2)", 1e160, 0.0),
    ],
)
def test_overflow_on_the_way_does_not_spoil_a_finite_value(text, x, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(text).numpy([x, 1.0])[0] == pytest.approx(value, rel=1e-15, abs=1e-150)


@pytest.mark.parametrize(
    ("text", "x", "slope"),
    [
        ("sqrt(x*x)", 0.0, 1.0), ("sqrt(-x*-x)", -0.0, 1.0), ("sqrt(x**4)", 0.0, 0.0),
        ("3*sqrt((x-1)**2)", 1.0, 3.0), ("sqrt((x-1)**4)", 1.0, 0.0),
    ],
)  # fmt: skip
def test_a_derivative_that_is_0_over_0_is_that_beside_it(text: str, x: float, slope: float) -> None:
    found = parse(text).derivative_numpy(np.array([x, 2.5]))
    assert found[0] == pytest.approx(slope, abs=1e-8)
    assert np.isfinite(found[1])


def test_derivative_survives_overflow_on_the_way():
    assert parse("x*exp(x)/(1 + exp(x))").derivative_numpy(800.0) == 1.0
    assert parse("x*exp(-x**2)").derivative_numpy(1e200) == 0.0


def test_values_that_do_not_exist_are_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(parse("log(x)").numpy(-1.0))
        assert np.isnan(parse("x**0.5").numpy(-1.0))
        assert np.isnan(parse("x/x").numpy(0.0))
        assert parse("x**3").numpy(1e300) == np.inf


@pytest.mark.parametrize(
    ("text", "kinks"),
    [
        ("tanh(x)", ()),
        ("max(x, 0)", (0.0,)),
        ("min(max(x/6 + 1/2, 0), 1)", (-3.0, 3.0)),
        ("x if x > 0.1 else 2*x", (0.1,)),
        ("abs(3*x - 1) + sign(x + 0.7)", (-0.7, 1 / 3)),
        ("abs(abs(x) - 2)", (-2.0, 0.0, 2.0)),
        ("heaviside(max(x, 1) - 5/2)", (1.0, 2.5)),
        ("max(x, x)", ()),
        ("max(3, 2)*x", ()),
        ("max(x, x + 1)", ()),
        ("softsign(x)", (0.0,)),
        ("abs(x - 1e300)", (1e300,)),
        ("abs(x - 1e-300)", (1e-300,)),
        ("x if x != 2 else 0", (2.0,)),
    ],
)
def test_affine_kinks_are_exact(text, kinks):
    assert parse(text).kinks == kinks


@pytest.mark.parametrize(
    ("text", "kinks"),
    [
        ("abs(x**2 - 2)", (-(2**0.5), 2**0.5)),
        ("max(exp(x), 3)", (np.log(3),)),
        ("x if exp(x) < 1e10 else 0", (10 * np.log(10),)),
        ("sign(x**3)", (0.0,)),
        ("relu(tanh(x) - 1/2)", (np.arctanh(0.5),)),
    ],
)
def test_other_kinks_are_found_by_bisection(text, kinks):
    found = parse(text).kinks
    assert len(found) == len(kinks)
    np.testing.assert_allclose(found, kinks, rtol=4 * EPS, atol=1e-300)


def test_periodic_kinks_are_bounded_in_number():
    kinks = np.array(parse("abs(sin(x))").kinks)
    near = kinks[np.abs(kinks) < 99]
    np.testing.assert_allclose(near, np.pi * np.arange(-31, 32), rtol=4 * EPS)
    assert len(parse("abs(sin(1e6*x))").kinks) == 256


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("x", 1),
        ("3", 0),
        ("0*x", 1),
        ("max(x, 0) + 0.3*min(x, 0)", 1),
        ("max(x, 0)**2 - x*abs(x)", 2),
        ("x if x > 0 else 0.1*x", 1),
        ("sign(x)*x**2", 2),
        ("exp(sign(x))", 0),
        ("sqrt(2)*relu(x)", 1),
        ("x if x > 1 else 0.1*x", None),
        ("x + 1", None),
        ("max(x, 1)", None),
        ("tanh(x)", None),
        ("abs(x)**0.5", None),
    ],
)
def test_degree_of_homogeneity(text, degree):
    formula = parse(text)
    assert formula.degree == degree
    if degree is not None:
        x = np.array([-3.0, -0.1, 0.2, 7.0])
        np.testing.assert_allclose(formula.numpy(5 * x), 5.0**degree * formula.numpy(x), rtol=1e-14)


def test_is_a_value():
    first, second = parse(" a*x", {"a": 2}), parse("a*x ", {"a": 2.0})
    assert first == second
    assert hash(first) == hash(second)
    assert first != parse("a*x", {"a": 3})
    assert (first.text, str(first), first.parameters) == ("a*x", "a*x", (("a", 2.0),))
    assert eval(repr(first), {"Formula": Formula}) == first
    assert pickle.loads(pickle.dumps(first)).numpy(4.0) == 8.0
    with pytest.raises(AttributeError):
        first.text = "x"


@pytest.mark.parametrize(
    "parameters",
    [
        *({name: 1} for name in ("x", "e", "exp", "if", "a b", "ä")),
        *({"a": value} for value in (np.nan, "1", True, 10**400, None)),
    ],
)
def test_parameters_are_checked(parameters):
    with pytest.raises(ValueError, match="parameter"):
        parse("x", parameters)
