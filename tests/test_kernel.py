"""The kernel: against its derived expressions and mpmath, near parallel, far out, bad input."""

from __future__ import annotations

import json
import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy

from varprop.activation import Activation, activations
from varprop.theory import expectation, gradient_map, mean_map, variance_map
from varprop.theory import gaussian as rules
from varprop.theory.bivariate import a as sym_a
from varprop.theory.bivariate import b as sym_b
from varprop.theory.bivariate import k as sym_k
from varprop.theory.kernel import kernel

PUBLISHED = {
    row["id"]: row
    for row in json.loads((Path(__file__).parent / "data" / "published.json").read_text())
}
NAMES = [str(act) for act in activations()]
SINGULAR = ("sign", "heaviside")
CLOSED = (
    "linear",
    "relu",
    "leaky_relu(0.2)",
    "abs",
    "squared_relu",
    "sign",
    "heaviside",
    "erf",
    "probit",
    "sin",
    "cos",
    "gaussian",
    "gelu",
)
NEAR = (1e-3, 1e-6, 1e-9, 1e-12)


def size_of(name, a, b, derivative=False):
    """sqrt(Q(a) Q(b)), what an error is measured by."""
    square = (gradient_map if derivative else variance_map)(name)
    return math.sqrt(square(a) * square(b))


def random_points(seed, count, largest):
    """(a, b, k) with variances over many decades and angles of every kind."""
    rng = np.random.default_rng(seed)
    a, b = 10.0 ** rng.uniform(-6, largest, (2, count))
    rho = rng.uniform(-1, 1, count)
    near = rng.random(count) < 0.5
    rho[near] = (rng.choice([-1, 1], count) * (1 - rng.choice(NEAR, count)))[near]
    return a, b, rho * np.sqrt(a) * np.sqrt(b)


# --- against derived expressions ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "derivative"),
    [(name, d) for name in CLOSED for d in (False, True) if not (d and name in SINGULAR)],
)
def test_closed_kernels_are_the_derived_expressions(name, derivative):
    made = kernel(name)
    assert made.kind == "closed"
    expr = made.derivative_expr if derivative else made.expr
    exact = sympy.lambdify((sym_a, sym_b, sym_k), expr, "mpmath")
    points = random_points(5, 30, 2 if name in ("sin", "cos") else 6)
    values = made(*points, derivative=derivative)
    for a, b, k, value in zip(*points, values, strict=True):
        with mp.workdps(60):
            true = exact(mp.mpf(a), mp.mpf(b), mp.mpf(k))
            assert abs(value - true) < 1e-14 * size_of(name, a, b, derivative)


def test_expressions_that_are_not_derived_say_so():
    made = kernel("tanh")
    assert made.kind == "quadrature"
    with pytest.raises(rules.NotClosed):
        made.expr  # noqa: B018
    with pytest.raises(ValueError, match="no formula"):
        kernel((np.tanh, lambda x: 1 / np.cosh(x) ** 2)).expr  # noqa: B018
    assert kernel((np.tanh, lambda x: 1 / np.cosh(x) ** 2)).kind == "quadrature"


def test_published_gelu():
    values, tol = PUBLISHED["dual_gelu"]["value"], PUBLISHED["dual_gelu"]["tol"]
    found = [kernel("gelu")(1.7, 0.6, 0.45), kernel("gelu")(1.7, 0.6, 0.45, derivative=True)]
    assert found == pytest.approx(values, rel=tol)


def test_published_arc_cosine():
    values, tol = PUBLISHED["dual_arccos"]["value"], PUBLISHED["dual_arccos"]["tol"]
    found = [kernel(name)(1.7, 0.6, 0.45) for name in ("heaviside", "relu", "squared_relu")]
    assert found == pytest.approx(values, rel=tol)


# --- against mpmath -----------------------------------------------------------------------------

FORMULAS = {  # phi, phi' in mpmath, written out afresh; kinks
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, ()),
    "silu": (
        lambda x: x / (1 + mp.exp(-x)),
        lambda x: (1 + x / (1 + mp.exp(x))) / (1 + mp.exp(-x)),
        (),
    ),
    "elu(1.0)": (
        lambda x: x if x > 0 else mp.expm1(x),
        lambda x: mp.mpf(1) if x > 0 else mp.exp(x),
        (0,),
    ),
    "hardtanh": (lambda x: max(-1, min(1, x)), lambda x: mp.mpf(abs(x) < 1), (-1, 1)),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (0,)),
}


@cache
def legendre(count):
    with mp.workdps(40):
        x = sympy.Symbol("x")
        roots = sympy.Poly(sympy.legendre(count, x)).nroots(n=40)
        slope = sympy.lambdify(x, sympy.diff(sympy.legendre(count, x)), "mpmath")
        nodes = [mp.mpf(str(root)) for root in roots]
        return [(t, 2 / ((1 - t * t) * slope(t) ** 2)) for t in nodes]


def panels(f, edges, count):
    """Gauss-Legendre on each panel."""
    total = mp.mpf(0)
    for lo, hi in pairwise(edges):
        half, middle = (hi - lo) / 2, (hi + lo) / 2
        total += half * sum(w * f(middle + half * t) for t, w in legendre(count))
    return total


def conditional(f, kinks, a, b, k):
    """E f(u) f(v): v given u is normal, of mean k u / a and variance b - k^2/a."""
    s = mp.sqrt(b - k * k / a)

    def inner(u):
        cuts = [mp.mpf(z) for z in range(-9, 10, 2)]
        cuts += [(x - k * u / a) / s for x in kinks if abs(x - k * u / a) < 9 * s]
        return panels(lambda z: f(k * u / a + s * z) * mp.npdf(z), sorted(cuts), 16)

    root = mp.sqrt(a)
    # E[f(v)|u] turns within s a/k of a kink, where the outer panels must be short.
    width = s * a / abs(k)
    marks = {x + n * width for x in kinks for n in (-7, -2.5, 0, 2.5, 7)}
    marks |= {z * root for z in range(-9, 10, 2)}
    edges = sorted(m / root for m in marks if abs(m) <= 9 * root)
    return panels(lambda z: f(root * z) * inner(root * z) * mp.npdf(z), edges, 16)


@pytest.mark.parametrize(
    ("name", "derivative"),
    [
        ("tanh", False),
        ("silu", True),
        ("elu(1.0)", False),
        ("hardtanh", True),
        ("softsign", False),
    ],
)
def test_numeric_kernels_against_mpmath(name, derivative):
    value, slope, kinks = FORMULAS[name]
    a, b, k = (1.3, 0.4, -0.31) if derivative else (0.7, 2.1, 0.9)
    with mp.workdps(20):
        f = slope if derivative else value
        true = conditional(f, kinks, mp.mpf(a), mp.mpf(b), mp.mpf(k))
    found = kernel(name)(a, b, k, derivative=derivative)
    assert abs(found - true) < 1e-12 * size_of(name, a, b, derivative)
    bound = kernel(name).bound(a, b, k, derivative=derivative)
    assert abs(found - true) <= bound < 1e-10 * size_of(name, a, b, derivative)


# --- parallel, opposite, far out ----------------------------------------------------------------

# Powers of 4: k = sqrt(a b) is then a number of float64, and the inputs are exactly parallel.
VARIANCES = [(1, 1), (4**-10, 4**-10), (4**10, 4**10), (4**-5, 4**5), (4**5, 4**-5), (2.25, 0.0625)]


@pytest.mark.parametrize("name", NAMES)
def test_parallel_and_opposite_inputs_are_one_normal(name):
    """At |rho| = 1 the kernel is E phi(sqrt(a) z) phi(+-sqrt(b) z), in one dimension."""
    act = Activation.parse(name)
    for derivative in (False, True):
        if derivative and name in SINGULAR:
            continue
        f = act.derivative if derivative else act
        for a, b in VARIANCES:
            for sign in (1.0, -1.0):
                ra, rb = math.sqrt(a), sign * math.sqrt(b)
                kinks = sorted({0.0, *(x / r for x in act.kinks for r in (ra, rb))})
                true = expectation(
                    lambda z, f=f, ra=ra, rb=rb: f(ra * z) * f(rb * z),
                    1.0,
                    kinks=kinks,
                    scale=min(1.0, 0.5 / max(ra, -rb, rb)),
                ).value
                found = kernel(act)(a, b, sign * math.sqrt(a) * math.sqrt(b), derivative)
                assert abs(found - true) < 1e-11 * size_of(act, a, b, derivative)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SINGULAR])
def test_near_parallel_inputs_follow_the_slope(name):
    """d/dk E phi(u) phi(v) = E phi'(u) phi'(v): Price's theorem, by an exact integral in k."""
    t, w = np.polynomial.legendre.leggauss(8)
    a, b = 1.7, 0.8
    most = math.sqrt(a * b)
    for sign in (1.0, -1.0):
        for gap in NEAR:
            # Kernels of kinked activations go like sqrt(1-rho), so the nodes do too.
            at = gap * ((t + 1) / 2) ** 2
            slopes = kernel(name)(a, b, sign * most * (1 - at), derivative=True)
            step = most * gap * float(w @ (slopes * (t + 1) / 2))
            ends = kernel(name)(a, b, [sign * most, sign * most * (1 - gap)])
            assert abs(sign * (ends[0] - ends[1]) - step) < 2e-13 * size_of(name, a, b)


@pytest.mark.parametrize("name", ["tanh", "elu(1.0)", "relu6", "softsign", "mish", "hardsigmoid"])
def test_bounds_hold_over_many_decades(name):
    a, b, k = random_points(8, 25, 6)
    values, bounds = kernel(name)(a, b, k), kernel(name).bound(a, b, k)
    whole = np.array([size_of(name, *pair) for pair in zip(a, b, strict=True)])
    assert (bounds < 1e-10 * whole).all()
    assert (np.abs(values) <= whole * (1 + 1e-12)).all()
    swapped = kernel(name)(b, a, k)
    assert (np.abs(values - swapped) <= bounds + kernel(name).bound(b, a, k)).all()


def test_oscillations_and_steep_functions():
    w = 20.0
    a, b, k = random_points(9, 10, 0)
    wave = (np.exp(-(w**2) * (a + b - 2 * k) / 2) - np.exp(-(w**2) * (a + b + 2 * k) / 2)) / 2
    assert kernel("sin(20*x)")(a, b, k) == pytest.approx(wave, abs=1e-11)
    steep = kernel("tanh(1000*x)")(a, b, k)
    assert steep == pytest.approx(kernel("tanh")(1e6 * a, 1e6 * b, 1e6 * k), rel=1e-10)


def test_an_undeclared_kink_is_found_or_told():
    act = Activation.from_callable(
        lambda x: np.maximum(x, 0.37), lambda x: (x > 0.37) * 1.0, "bent", kinks=[]
    )
    a, b, k = 1.2, 0.9, 0.6
    true = kernel("max(x, 0.37)")(a, b, k)
    assert abs(kernel(act)(a, b, k) - true) <= kernel(act).bound(a, b, k) < 1e-6


# --- zeros, shapes, errors ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_variance_of_zero(name):
    act = Activation.parse(name)
    at_zero = act.at_zero[0]
    assert kernel(act)(0.0, 2.0, 0.0) == pytest.approx(at_zero * mean_map(act)(2.0), abs=1e-13)
    assert kernel(act)(2.0, 0.0, 0.0) == kernel(act)(0.0, 2.0, 0.0)
    assert kernel(act)(0.0, 0.0, 0.0) == at_zero**2
    if name not in SINGULAR:
        near = kernel(act)(1e-18, 2.0, 0.0, derivative=True)
        assert kernel(act)(0.0, 2.0, 0.0, derivative=True) == pytest.approx(near, abs=1e-8)


def test_shapes_and_types():
    assert isinstance(kernel("tanh")(1, 1, 0), float)
    out = kernel("relu")([[1.0], [2.0]], [1.0, 2.0, 3.0], 0.5)
    assert out.shape == (2, 3)
    assert out[1, 2] == kernel("relu")(2.0, 3.0, 0.5)
    assert kernel("tanh")([], [], []).shape == (0,)
    assert kernel("tanh") is kernel("tanh")
    both = kernel("gelu", derivative=True), kernel("gelu")
    assert both[0](1.0, 2.0, 0.3) == both[1](1.0, 2.0, 0.3, derivative=True)
    assert repr(both[0]) == "Kernel('gelu', derivative=True)"


def test_singular_derivatives_say_so():
    for act in ("sign", "heaviside", "1 if x > 2 else 0"):
        with pytest.raises(ValueError, match="singular: it jumps at x ="):
            kernel(act, derivative=True)
        with pytest.raises(ValueError, match="singular: it jumps at x ="):
            kernel(act)(1.0, 1.0, 0.5, derivative=True)
        with pytest.raises(ValueError, match="singular: it jumps at x ="):
            kernel(act).derivative_expr  # noqa: B018


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((-1.0, 1.0, 0.0), "variance a must be finite and >= 0, got -1"),
        ((1.0, np.nan, 0.0), "variance b must be finite and >= 0, got nan"),
        ((np.inf, 1.0, 0.0), "variance a must be finite"),
        ((1.0, 1.0, np.nan), "covariance k must be finite"),
        ((1.0, 4.0, 2.0001), "within -sqrt"),
        ((0.0, 4.0, 0.1), "within -sqrt"),
    ],
)
def test_bad_covariances(point, message):
    with pytest.raises(ValueError, match=message):
        kernel("tanh")(*point)


def test_divergence_says_so():
    value = kernel("exp(x)")(2.0, 0.5, -0.3)
    assert value == pytest.approx(math.exp(1.25 - 0.3), rel=1e-12)
    with pytest.raises(ValueError, match="diverges or overflows"):
        kernel("exp(x)")(1e4, 1.0, 0.0)


@pytest.mark.parametrize("act", ["squared_relu", "x*x"])
@pytest.mark.filterwarnings("error")
def test_values_beyond_float64_are_refused(act):
    for call in (kernel(act), kernel(act).bound):
        with pytest.raises(OverflowError, match="exceeds float64"):
            call(1e308, [1.0, 1e308], 0.0)
