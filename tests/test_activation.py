"""Activations: the table against mpmath, and what users may bring instead."""

import warnings

import mpmath
import numpy as np
import pytest

from varprop.activation import Activation, activations

EPS = np.finfo(float).eps
mp = mpmath.mp
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")
SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")


def hardsigmoid(x):
    return max(mp.zero, min(mp.one, x / 6 + mp.mpf(1) / 2))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def normal_cdf(x):
    return mp.ncdf(max(min(x, mp.mpf(10_000)), mp.mpf(-10_000)))  # mpmath fails beyond 1e150


def gelu_tanh(x):
    # (1 + tanh(u))/2 as a quotient that does not cancel in the left tail
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)
    return x * mp.exp(u) / (mp.exp(u) + mp.exp(-u))


# The definitions once more, by hand and independent of the formula language.
REFERENCE = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, mp.zero),
    "leaky_relu": lambda x: x if x > 0 else x * mp.mpf(0.01),
    "abs": abs,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * mp.expm1(x)),
    "celu": lambda x: x if x > 0 else mp.expm1(x),
    "relu6": lambda x: min(max(x, mp.zero), mp.mpf(6)),
    "squared_relu": lambda x: max(x, mp.zero) ** 2,
    "hardtanh": lambda x: max(-mp.one, min(mp.one, x)),
    "hardsigmoid": hardsigmoid,
    "hardswish": lambda x: x * hardsigmoid(x),
    "tanh": mp.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "arctan": mp.atan,
    "erf": mp.erf,
    "probit": normal_cdf,
    "sin": mp.sin,
    "cos": mp.cos,
    "gaussian": lambda x: mp.exp(-(x**2)),
    "sign": mp.sign,
    "heaviside": lambda x: (1 + mp.sign(x)) / 2,
    "gelu": lambda x: x * normal_cdf(x),
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * mp.tanh(softplus(x)),
}
TABLE = activations()
EACH = pytest.mark.parametrize("act", TABLE, ids=lambda act: act.name)

MAGNITUDES = np.concatenate(
    [
        [5e-324, 1e-310, 2.2e-308, 1e-300, 1e-200, 1e-100, 1e-20, 1e-12],
        np.logspace(-8, 3, 67),
        [1 / 3, 0.5, 1.0, 2.0, 3.0, 6.0, 19.99, 20.01, 36.0, 38.4, 709.5, 744.4],
        [1e5, 1e8, 1e16, 1e22, 1e100, 1e153, 1e155, 1e200, 1e300, 1.7e308],
    ]
)
GRID = np.concatenate([-MAGNITUDES[::-1], [0.0], MAGNITUDES])


def slope_scale(reference, x, order=1):
    """|x times the derivative| of the reference, from mpmath's own differences."""
    if x == 0 or abs(x) > 1e20:
        return 0.0  # every row is linear, constant or flushed out there, or a plain power
    step = abs(x) * mp.mpf(10) ** -20
    centre = mp.mpf(x)
    return float(abs(x * (reference(centre + step) - reference(centre - step)) / (2 * step)))


def test_table_has_the_stated_order():
    assert [act.name for act in TABLE] == list(REFERENCE)
    assert [act.code for act in TABLE] == list(range(28))


@EACH
def test_values_on_the_whole_float_range(act):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = act(GRID)
    with mp.workdps(60):
        for x, value in zip(GRID, values, strict=True):
            exact = REFERENCE[act.name](mp.mpf(float(x)))
            if abs(exact) > mp.mpf("1.797e308"):
                assert act.name == "squared_relu"
                assert value == np.inf
                continue
            # Angles beyond 2**53 are reduced exactly: their own rounding is all that counts.
            scale = float(abs(exact)) + slope_scale(REFERENCE[act.name], float(x))
            # The last term: a rounded subnormal, times x where the formula multiplies by it.
            allowed = 4 * EPS * scale + 5e-324 * (1 + min(abs(x), 800))
            assert np.isfinite(value), x
            assert abs(mp.mpf(float(value)) - exact) <= allowed, (x, value, exact)


@EACH
def test_derivative(act):
    x = np.concatenate([-np.logspace(-6, 1.6, 41)[::-1], np.logspace(-6, 1.6, 41)]) * 1.0000123
    assert not set(x) & set(act.kinks)
    slopes = act.derivative(x)
    with mp.workdps(900):  # 1 - erf(40) is 1e-697
        for at, slope in zip(x, slopes, strict=True):
            reference, point = REFERENCE[act.name], mp.mpf(float(at))
            step = abs(point) * mp.mpf(10) ** -25
            up, mid, down = reference(point + step), reference(point), reference(point - step)
            exact, bend = (up - down) / (2 * step), (up - 2 * mid + down) / step**2
            allowed = 12 * EPS * float(abs(exact) + abs(point * bend)) + 1e-300
            assert abs(mp.mpf(float(slope)) - exact) <= allowed, (at, slope, exact)


@EACH
def test_derivative_is_finite_everywhere(act):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slopes = act.derivative(GRID)
    if act.name == "squared_relu":  # 2x leaves float64 before x does
        inside = np.abs(GRID) < 8e307
        np.testing.assert_array_equal(slopes[inside], np.maximum(2 * GRID[inside], 0))
    else:
        assert np.all(np.abs(slopes) <= act.max_slope * (1 + 4 * EPS))


@EACH
def test_sympy_formula_is_the_definition(act):
    import sympy

    expression = act.sympy()
    symbol = sympy.Symbol("x", real=True)
    for x in ["-5.5", "-2.9", "-1.3", "-0.2", "0.4", "1.1", "2.5", "7"]:
        value = expression.subs(symbol, sympy.Rational(x)).evalf(30)
        # 0.01 is the decimal in SymPy and the float in the reference; likewise selu's constants.
        digits = 1e-15 if act.name in ("leaky_relu", "selu") else 1e-28
        with mp.workdps(60):
            exact = REFERENCE[act.name](mp.mpf(x))
            assert abs(mp.mpf(str(value)) - exact) <= digits * abs(exact), x


@EACH
def test_at_zero(act):
    with mp.workdps(60):
        reference, step = REFERENCE[act.name], mp.mpf(10) ** -30
        start = reference(mp.zero)
        at_zero = [start]
        for side in (-1, 1):
            # From inside each side, so that a jump at 0 itself is not taken for a slope.
            near, far = reference(side * step), reference(2 * side * step)
            at_zero.append((far - near) / (side * step))
        for given, exact in zip(act.at_zero, at_zero, strict=True):
            assert abs(given - exact) <= 1e-16 * abs(exact) + mp.mpf(10) ** -28


@EACH
def test_at_infinity(act):
    with mp.workdps(60):
        for index, side in enumerate((-1, 1)):
            x = side * mp.mpf(10) ** 40
            ratio = REFERENCE[act.name](x) / x
            if act.at_infinity is None:
                assert act.name == "squared_relu"
            else:
                assert abs(act.at_infinity[index] - ratio) < 2e-16


STEEPEST = {"gaussian": 0.7, "gelu": 1.4, "gelu_tanh": 1.4, "silu": 2.4, "mish": 1.5}


@EACH
def test_max_slope(act):
    x = np.concatenate([np.linspace(-40, 40, 800_001), [-1e-9, 1e-9, 2.9999999999]])
    largest = np.abs(act.derivative(x)).max()
    if act.name == "squared_relu":
        assert act.max_slope == np.inf
        return
    assert largest <= act.max_slope * (1 + 4 * EPS)
    assert largest >= act.max_slope * (1 - 1e-8) - 1e-300
    if act.name in STEEPEST:
        with mp.workdps(50):

            def slope(t):
                return mp.diff(REFERENCE[act.name], t)

            top = mp.findroot(lambda t: mp.diff(slope, t), STEEPEST[act.name])
            assert act.max_slope == float(abs(slope(top)))


@EACH
def test_structure_follows_from_the_formula(act):
    assert act.kinks == act.formula.kinks
    assert act.degree == act.formula.degree
    assert act.oscillates == act.formula.oscillates
    x = np.random.default_rng(3).normal(size=500) * 3
    odd, even = np.array_equal(act(-x), -act(x)), np.array_equal(act(-x), act(x))
    assert act.parity == ("odd" if odd else "even" if even else None)


def test_selu_constants_fix_mean_and_variance():
    act = Activation.named("selu")
    with mp.workdps(30):

        def weight(x):
            return mp.npdf(x)

        def moment(power):
            parts = [-mp.inf, 0, mp.inf]
            return mp.quad(lambda x: act.formula.mpmath(x) ** power * weight(x), parts)

        assert abs(moment(1)) < 1e-15
        assert abs(moment(2) - 1) < 1e-15


def test_gelu_tanh_is_the_usual_form():
    x = np.linspace(-5, 8, 200)
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    usual = 0.5 * x * (1 + np.tanh(inner))
    np.testing.assert_allclose(Activation.named("gelu_tanh")(x), usual, rtol=1e-12, atol=1e-15)


PARAMETRISED = [("leaky_relu", "slope", 0.2), ("elu", "alpha", 2.5), ("celu", "alpha", 0.3)]


@pytest.mark.parametrize(("name", "key", "value"), PARAMETRISED)
def test_facts_follow_the_parameter(name, key, value):
    act = Activation.named(name, **{key: value})
    formula = act.formula.text.replace(key, repr(value))
    numeric = Activation.from_formula(formula)
    assert act.parameters == ((key, value),)
    assert (act.kinks, act.degree, act.parity) == (numeric.kinks, numeric.degree, numeric.parity)
    np.testing.assert_allclose(act.at_zero, numeric.at_zero, rtol=1e-15)
    np.testing.assert_allclose(act.at_infinity, numeric.at_infinity, atol=1e-15)
    assert act.max_slope == pytest.approx(numeric.max_slope, rel=1e-9)
    x = np.linspace(-3, 3, 40)
    np.testing.assert_array_equal(act(x), numeric(x))


def test_leaky_relu_of_slope_one_is_odd():
    assert [Activation.named("leaky_relu", slope=s).parity for s in (1, -1, 0.5)] == [
        "odd",
        "even",
        None,
    ]
