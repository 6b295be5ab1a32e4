"""Schemes: the variances they promise, and what they refuse."""

import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.scheme import DISTRIBUTIONS, MODES, Scheme, schemes

TANH = Activation.parse("tanh")

# name, distribution, Var W_ij for fan_in = 8, fan_out = 12
NAMED = [
    ("he", "normal", 2 / 8),
    ("kaiming", "normal", 2 / 8),
    ("he_uniform", "uniform", 2 / 8),
    ("kaiming_uniform", "uniform", 2 / 8),
    ("xavier", "normal", 2 / 20),
    ("glorot", "normal", 2 / 20),
    ("xavier_uniform", "uniform", 2 / 20),
    ("glorot_uniform", "uniform", 2 / 20),
    ("lecun", "normal", 1 / 8),
    ("lecun_uniform", "uniform", 1 / 8),
    ("orthogonal", "orthogonal", 1 / 12),
    ("torch", "uniform", 1 / 24),
    ("keras_he", "truncated_normal", 2 / 8),
    ("keras_glorot", "truncated_normal", 2 / 20),
    ("keras_lecun", "truncated_normal", 1 / 8),
    ("rashid", "uniform", 1 / 36),
    ("kumar", "normal", 1 / 8),
]


@pytest.mark.parametrize(("name", "distribution", "variance"), NAMED)
def test_named(name, distribution, variance):
    scheme = Scheme.parse(name, TANH)
    assert scheme.distribution == distribution
    assert scheme.variance(8, 12) == pytest.approx(variance, rel=1e-15)
    assert scheme.gain(8, 12) == pytest.approx(8 * variance, rel=1e-15)
    assert scheme.rotation_invariant == (distribution in ("normal", "orthogonal"))
    assert scheme.bias_variance(8) == pytest.approx(1 / 24 if name == "torch" else 0, rel=1e-15)
    assert scheme.bias_distribution == ("uniform" if name == "torch" else "normal")
    assert str(scheme) == name
    assert Scheme.parse(str(scheme), TANH) == scheme


def test_listing_names_every_scheme_and_states_its_variance():
    rows = schemes()
    assert {name for row in rows for name in (row.name, *row.aliases)} == {row[0] for row in NAMED}
    for row in rows:
        scheme = Scheme.named(row.name, TANH)
        assert row.distribution == scheme.distribution
        if row.name != "kumar":
            text = row.variance.replace("3 fan", "3*fan")
            fans = {"fan_in": 8, "fan_out": 12, "max": max}
            assert eval(text, fans) == pytest.approx(scheme.variance(8, 12), rel=1e-15)
        assert row.source


def test_torch_range_is_one_over_root_n():
    # nn.Linear draws weights and biases from +-1/sqrt(fan_in).
    torch = Scheme.named("torch")
    assert np.sqrt(3 * torch.variance(100, 7)) == pytest.approx(0.1)
    assert np.sqrt(3 * torch.bias_variance(100)) == pytest.approx(0.1)
    assert np.sqrt(3 * Scheme.named("rashid").variance(7, 100)) == pytest.approx(0.1)


# spec, distribution, Var W_ij for fan_in = 8, fan_out = 12
SPECS = [
    ("normal(0.01)", "normal", 1e-4),
    ("normal(1)", "normal", 1),
    ("uniform(-1,1)", "uniform", 1 / 3),
    ("uniform( -0.01 , 0.01 )", "uniform", 1e-4 / 3),
    ("truncated_normal(2)", "truncated_normal", 4),
    ("rademacher(0.5)", "rademacher", 0.25),
    ("normal", "normal", 1 / 8),
    ("uniform", "uniform", 1 / 8),
    ("rademacher", "rademacher", 1 / 8),
    ("student_t(5)", "student_t", 1 / 8),
    ("sparse(0.1)", "sparse", 1 / 8),
    ("orthogonal(2)", "orthogonal", 4 / 12),
    ("student_t(5), 2/fan_in", "student_t", 2 / 8),
    ("sparse(1e-1),2/fan_out", "sparse", 2 / 12),
    ("uniform, 0.5", "uniform", 0.5),
    ("normal, 3/fan_avg", "normal", 3 / 10),
    ("sigma_w=1.5", "normal", 2.25 / 8),
    ("normal, 2/fan_in, bias_uniform, 0.5/fan_in", "normal", 2 / 8),
]


@pytest.mark.parametrize(("spec", "distribution", "variance"), SPECS)
def test_specs(spec, distribution, variance):
    scheme = Scheme.parse(spec)
    assert scheme.distribution == distribution
    assert scheme.variance(8, 12) == pytest.approx(variance, rel=1e-15)
    assert Scheme.parse(str(scheme)) == scheme
    assert hash(Scheme.parse(str(scheme))) == hash(scheme)
    assert Scheme.parse(scheme) is scheme


def test_text_parses_back_for_every_law():
    shapes = {"student_t": 3.7, "sparse": 0.25}
    for distribution in DISTRIBUTIONS:
        for mode in ("fan_in",) if distribution == "orthogonal" else MODES:
            for bias in [
                {},
                {"bias_scale": 0.1},
                {"bias_scale": 2, "bias_distribution": "uniform"},
            ]:
                shape = shapes.get(distribution)
                scheme = Scheme("mine", distribution, 1 / 7, mode, shape, **bias)
                assert Scheme.parse(str(scheme)) == scheme, str(scheme)


def test_schemes_are_equal_by_law():
    he = Scheme.named("he")
    assert he == Scheme.parse("kaiming") == Scheme.parse("normal, 2/fan_in")
    assert he == Scheme("mine", "normal", 2, "fan_in")
    assert he != Scheme.parse("he_uniform")
    # A borrowed name does not change what is printed.
    assert str(Scheme("he", "uniform", 2.0)) == "uniform, 2.0/fan_in"


def test_broadcasts():
    scheme = Scheme.named("xavier")
    fan_in, fan_out = np.array([10, 20, 30]), np.array([[20], [40]])
    np.testing.assert_array_equal(scheme.variance(fan_in, fan_out), 2 / (fan_in + fan_out))
    fixed = Scheme.parse("normal(0.5)")
    np.testing.assert_array_equal(fixed.variance(fan_in, 3), [0.25, 0.25, 0.25])
    np.testing.assert_array_equal(fixed.gain(fan_in, 3), 0.25 * fan_in)
    orthogonal = Scheme.parse("orthogonal")
    np.testing.assert_array_equal(orthogonal.variance([2, 5], [4, 3]), [1 / 4, 1 / 5])
    assert isinstance(scheme.variance(3, 4), float)
    assert isinstance(fixed.variance(3, 4), float)


def test_extreme_scales_keep_their_gain():
    tiny = Scheme.from_sigma_w(1e-150)
    assert tiny.gain(2**30, 2**30) == pytest.approx(1e-300, rel=1e-14)
    assert Scheme.from_sigma_w(1e150).gain(2**30, 5) == pytest.approx(1e300, rel=1e-14)


def test_kumar():
    # 1/(phi'(0)^2 (1 + phi(0)^2)): sigmoid has phi(0) = 1/2 and phi'(0) = 1/4.
    sigmoid = Scheme.named("kumar", Activation.parse("sigmoid"))
    assert sigmoid.scale == 1 / (0.25**2 * 1.25)
    assert np.sqrt(sigmoid.scale) == pytest.approx(3.6, abs=0.03)
    assert str(sigmoid) == "kumar"
    assert Scheme.named("kumar", TANH).scale == 1.0
    assert Scheme.named("kumar", Activation.parse("elu")).scale == 1.0
    refused = {"relu", "leaky_relu", "abs", "selu", "relu6", "squared_relu", "cos", "gaussian"}
    for act in activations():
        if act.name in refused | {"sign", "heaviside"}:
            with pytest.raises(ValueError, match=r"'kumar' (needs|divides)"):
                Scheme.named("kumar", act)
        else:
            assert Scheme.named("kumar", act).scale > 0
    with pytest.raises(ValueError, match="differentiable at 0"):
        Scheme.named("kumar", Activation.parse("x + sign(x)"))
    with pytest.raises(ValueError, match="give act as well"):
        Scheme.parse("kumar")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hee", "did you mean 'he'"),
        ("Xavier", "did you mean 'xavier'"),
        ("gauss(1)", "unknown scheme"),
        ("", "unknown scheme"),
        ("normal(", "unknown scheme"),
        ("normal(0)", "standard deviation > 0"),
        ("normal()", "give a number, as in normal(0.5), or write normal"),
        ("student_t()", "needs its df"),
        ("normal(-1)", "standard deviation > 0"),
        ("normal(1, 2)", "standard deviation > 0"),
        ("normal(nan)", "not a number"),
        ("normal(1e400)", "from 1e-145 to 1e+145"),
        ("normal(1e-200)", "from 1e-145 to 1e+145"),
        ("normal(a)", "not a number"),
        ("normal(0.1), 2/fan_in", "both"),
        ("normal, 2/fan", "unknown mode 'fan'"),
        ("normal, 0/fan_in", "scale must be"),
        ("uniform(0, 1)", "symmetric"),
        ("uniform(1, -1)", "symmetric"),
        ("uniform(-1, 2)", "symmetric"),
        ("uniform(1)", "symmetric"),
        ("orthogonal(0)", "a gain > 0"),
        ("orthogonal, 2/fan_out", "take mode 'fan_in'"),
        ("student_t", "needs its df"),
        ("student_t(2)", "> 2"),
        ("sparse", "needs its p"),
        ("sparse(0)", "from 1e-9 to 1"),
        ("sparse(1.5)", "from 1e-9 to 1"),
        ("sigma_w=", "not a number"),
        ("sigma_w=1e200", "from 1e-150 to 1e+150"),
        ("he(2)", "unknown scheme"),
        ("normal, 2/fan_in, bias_cauchy, 1/fan_in", "bias_distribution"),
        ("n" * 100_000, "unknown scheme"),
        ("normal(" + "1," * 100_000, "unknown scheme"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(ValueError, match=r".") as caught:
        Scheme.parse(spec, TANH)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "fields",
    [
        {"distribution": "cauchy"},
        {"mode": "fan"},
        {"scale": 0},
        {"scale": -1},
        {"scale": np.nan},
        {"scale": np.inf},
        {"scale": "2"},
        {"scale": True},
        {"scale": 1e301},
        {"scale": 1e295, "mode": "fixed"},
        {"shape": 3},
        {"distribution": "student_t", "shape": None},
        {"distribution": "student_t", "shape": np.nan},
        {"distribution": "sparse", "shape": 2},
        {"bias_scale": -1},
        {"bias_scale": np.nan},
        {"bias_distribution": "cauchy"},
        {"distribution": "orthogonal", "mode": "fixed"},
    ],
)
def test_fields_are_checked(fields):
    good = {"name": "mine", "distribution": "normal", "scale": 1.0, "mode": "fan_in"}
    assert Scheme(**good).scale == 1.0
    with pytest.raises(ValueError, match=r"."):
        Scheme(**{**good, **fields})


@pytest.mark.parametrize("spec", [None, 3, ["he"], b"he"])
def test_bad_types(spec):
    with pytest.raises(TypeError):
        Scheme.parse(spec)


def test_is_frozen():
    with pytest.raises(AttributeError):
        Scheme.named("he").scale = 3.0


def test_a_long_scheme_is_not_quoted_in_full() -> None:
    for text in (f"sparse({chr(3) * 900})", "x" * 3000, f"uniform(0.1, {'9' * 3000}x)"):
        with pytest.raises(ValueError, match="scheme") as refused:
            Scheme.parse(text, Activation.named("tanh"))
        assert len(str(refused.value)) < 900
