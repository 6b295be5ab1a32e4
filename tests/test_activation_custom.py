"""Activations that users bring: formulas, names with parameters, callables."""

import pickle

import mpmath
import numpy as np
import pytest

from varprop.activation import Activation, activations

EPS = np.finfo(float).eps
mp = mpmath.mp
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")
SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")

TABLE = activations()
EACH = pytest.mark.parametrize("act", TABLE, ids=lambda act: act.name)


@EACH
def test_facts_found_numerically_are_those_of_the_table(act):
    # The search that serves users' formulas, checked where the answers are known.
    text = act.formula.text
    for key, value in act.parameters:
        text = text.replace(key, repr(value))
    found = Activation.from_formula(text)
    for fact in ("kinks", "degree", "parity", "oscillates"):
        assert getattr(found, fact) == getattr(act, fact), fact
    np.testing.assert_allclose(found.at_zero, act.at_zero, rtol=1e-15)
    assert (found.at_infinity is None) == (act.at_infinity is None)
    if act.at_infinity is not None:
        np.testing.assert_allclose(found.at_infinity, act.at_infinity, atol=1e-15)
    assert found.max_slope == pytest.approx(act.max_slope, rel=1e-12)
    assert found.code == -1


@pytest.mark.parametrize(
    ("text", "at_zero", "at_infinity", "max_slope", "parity"),
    [
        ("x*sigmoid(1.702*x)", (0.0, 0.5, 0.5), (0.0, 1.0), 1.0998393201, None),
        ("x**3", (0.0, 0.0, 0.0), None, np.inf, "odd"),
        ("exp(x)", (1.0, 1.0, 1.0), None, np.inf, None),
        ("abs(x)**0.5", (0.0, -np.inf, np.inf), (0.0, 0.0), np.inf, "even"),
        ("abs(x - 1)**0.5", (1.0, -0.5, -0.5), (0.0, 0.0), np.inf, None),
        ("sqrt(1 + x**2)", (1.0, 0.0, 0.0), (-1.0, 1.0), 1.0, "even"),
        ("(1 - cos(x))/x if x != 0 else 0", (0.0, 0.5, 0.5), (0.0, 0.0), 0.5, "odd"),
        ("x*sin(x)", (0.0, 0.0, 0.0), None, np.inf, "even"),
        ("x + 5", (5.0, 1.0, 1.0), (1.0, 1.0), 1.0, None),
        ("3", (3.0, 0.0, 0.0), (0.0, 0.0), 0.0, "even"),
    ],
)
def test_facts_of_formulas(text, at_zero, at_infinity, max_slope, parity):
    act = Activation.parse(text)
    np.testing.assert_allclose(act.at_zero, at_zero, rtol=1e-12)
    assert act.at_infinity == at_infinity
    assert act.max_slope == pytest.approx(max_slope, rel=1e-9)
    assert act.parity == parity
    assert Activation.parse(str(act)) == act


@pytest.mark.parametrize("text", ["log(x)", "sqrt(x)", "x**0.5", "1/x", "log(x**2)", "exp(x**2)"])
def test_formulas_with_holes_are_refused(text):
    with pytest.raises(ValueError, match="must be finite and real for every x"):
        Activation.parse(text)


def test_names_aliases_and_specs():
    assert Activation.parse("swish") == Activation.named("silu")
    assert Activation.parse("identity") == Activation.named("linear")
    assert Activation.parse("atan") == Activation.named("arctan")
    assert Activation.parse("leaky_relu") == Activation.parse("leaky_relu(0.01)")
    assert Activation.parse(" leaky_relu( slope = 0.3 ) ") == Activation.parse("leaky_relu(.3)")
    assert Activation.parse("elu(2)") != Activation.parse("elu(3)")
    assert Activation.parse("x").formula.text == "x"
    assert Activation.parse(TABLE[3]) is TABLE[3]
    for act in TABLE:
        assert Activation.parse(str(act)) == act
        assert hash(Activation.parse(str(act))) == hash(act)
        assert pickle.loads(pickle.dumps(act)) == act
    assert len(set(TABLE)) == 28
    assert repr(Activation.parse("leaky_relu(0.2)")) == "Activation('leaky_relu(0.2)')"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rellu", "unknown activation 'rellu'. Did you mean 'relu'"),
        ("ReLU", "Did you mean 'relu'"),
        ("leakyrelu(0.2)", "Did you mean 'leaky_relu'"),
        ("zzz", "Known: linear, relu, "),
        ("relu(2)", "takes no parameter"),
        ("elu(0)", "alpha of elu must be > 0, not 0.0"),
        ("celu(-1)", "must be > 0"),
        ("elu(nan)", "must be a finite number"),
        ("leaky_relu(inf)", "must be a finite number"),
        ("leaky_relu(a)", "not a number"),
        ("elu(slope=2)", "takes alpha, but was given slope"),
        ("", "empty"),
        ("elu(1, 2)", "not a number"),
        ("a" * 100_000, "characters"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(ValueError, match=r".") as caught:
        Activation.parse(spec)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("spec", [None, 3, np.tanh, (np.tanh,), {"a": 1}, (np.tanh, 3)])
def test_bad_types(spec):
    with pytest.raises(TypeError):
        Activation.parse(spec)


@pytest.mark.parametrize("value", ["1", None, True, np.nan, 10**400])
def test_parameters_must_be_finite_numbers(value):
    with pytest.raises(ValueError, match="must be a finite number"):
        Activation.named("elu", alpha=value)


def cubic(x):
    return x + 0.1 * x**3


def cubic_slope(x):
    return 1 + 0.3 * x**2


def test_callables():
    act = Activation.parse((cubic, cubic_slope))
    assert act.name == str(act) == "cubic"
    assert repr(act) == "Activation(callable 'cubic')"
    assert act.formula is None
    assert act == Activation.from_callable(cubic, cubic_slope)
    assert hash(act) == hash(Activation.from_callable(cubic, cubic_slope))
    assert act == Activation.from_callable(lambda x: cubic(x), cubic_slope, "cubic")
    assert act != Activation.from_callable(np.tanh, lambda x: 1 / np.cosh(x) ** 2, "cubic")
    assert (act.at_zero, act.at_infinity, act.max_slope) == ((0.0, 1.0, 1.0), None, np.inf)
    np.testing.assert_array_equal(act([1.0, 2.0]), [1.1, 2.8])
    np.testing.assert_allclose(act.derivative([[1.0], [2.0]]), [[1.3], [2.2]])
    with pytest.raises(ValueError, match="has no formula"):
        act.sympy()


def test_callable_with_a_kink():
    bent = Activation.from_callable(
        lambda x: np.where(x > 0.5, x, 0.5), lambda x: (x > 0.5) * 1.0, "bent", kinks=[0.5]
    )
    assert (bent.kinks, bent.at_infinity, bent.max_slope) == ((0.5,), (0.0, 1.0), 1.0)
    shrink = Activation.from_callable(
        lambda x: np.maximum(np.abs(x) - 1, 0) * np.sign(x),
        lambda x: (np.abs(x) > 1) * 1.0,
        "shrink",
        kinks=(1, -1),
    )
    assert shrink.kinks == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("f", "df", "message"),
    [
        (lambda x: x.sum(), lambda x: x, "shape"),
        (lambda x: 1.0, lambda x: x, "shape"),
        (lambda x: x[:-1], lambda x: x, "shape"),
        (lambda x: np.log(x), lambda x: 1 / x, "returned nan"),
        (lambda x: x, lambda x: x / x, "derivative of callable"),
        (lambda x: "spam", lambda x: x, "not an array of floats"),
        (lambda x: None, lambda x: x, "returned"),
        (lambda x: np.tanh(x), lambda x: 1 - np.tanh(x), "finite differences"),
        (lambda x: np.tanh(x), lambda x: 1.001 / np.cosh(x) ** 2, "finite differences"),
        (lambda x: np.abs(x - 0.3), lambda x: np.ones_like(x), "finite differences"),
    ],
)
def test_bad_callables(f, df, message):
    with pytest.raises(ValueError, match=message):
        Activation.parse((f, df))


@EACH
def test_callable_check_accepts_every_correct_derivative(act):
    copy = Activation.from_callable(act, act.derivative, act.name, act.kinks)
    assert copy.at_zero == pytest.approx(act.at_zero, rel=1e-15)
    if act.at_infinity is None:
        assert copy.at_infinity is None
    else:
        assert copy.at_infinity == pytest.approx(act.at_infinity, rel=1e-15)
    assert copy.max_slope == pytest.approx(act.max_slope, rel=1e-9)


def test_callable_is_not_changed_by_its_argument():
    def careless(x):
        x *= 2
        return x

    act = Activation.from_callable(careless, lambda x: 2 + 0 * x)
    x = np.ones(3)
    act(x)
    np.testing.assert_array_equal(x, np.ones(3))


def test_placeholder_says_why_it_cannot_be_called():
    act = Activation.placeholder("mine")
    for use in (act, act.derivative):
        with pytest.raises(ValueError, match="'mine' was a Python callable"):
            use([1.0])
    with pytest.raises(ValueError, match="has no formula"):
        act.sympy()


def test_records_are_frozen():
    with pytest.raises(AttributeError):
        TABLE[0].name = "other"
