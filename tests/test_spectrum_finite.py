"""The singular values of Jacobians at finite width: exact moments, exponents of deep products."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from budget import Share, mean_p

from varprop.activation import Activation
from varprop.network import Network
from varprop.scheme import Scheme
from varprop.theory.spectrum import jacobian_moments, lyapunov_exponents, spectrum

SHARE = Share("spectrum")
NODES = np.array([-math.sqrt(3), 0.0, math.sqrt(3)])  # exact for polynomials of degree <= 5
CHANCES = np.array([1 / 6, 2 / 3, 1 / 6])


def traces(m):
    """tr M, tr M^2, (tr M)^2 of a stack of matrices."""
    first = np.trace(m, axis1=1, axis2=2)
    return np.array([first, np.einsum("nij,nji->n", m, m), first**2])


def found_at(net, layer=-1):
    m = jacobian_moments(net)
    return np.exp([m.log_trace[layer], m.log_square[layer], m.log_trace_square[layer]])


# --- by brute force, exactly --------------------------------------------------------------------


def gaussian_layer(fan_in, fan_out):
    """All matrices with entries at the nodes of a quadrature rule, and their weights."""
    size = fan_in * fan_out
    entries = np.array(list(itertools.product(NODES, repeat=size)))
    chances = np.array(list(itertools.product(CHANCES, repeat=size))).prod(axis=1)
    return entries.reshape(-1, fan_out, fan_in) / math.sqrt(fan_in), chances


def orthogonal_layer(fan_in, fan_out):
    """O(2) by equal angles, exact for trigonometric polynomials of degree < 8."""
    assert fan_in == fan_out == 2
    t = np.arange(8) * math.pi / 4
    turns = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]).transpose(2, 0, 1)
    return np.concatenate([turns, turns * [[1.0], [-1.0]]]), np.full(16, 1 / 16)


def masked(layer, slopes):
    matrices, chances = layer
    n = matrices.shape[1]
    patterns = np.array(list(itertools.product(slopes, repeat=n)))
    both = patterns[:, None, :, None] * matrices
    share = np.broadcast_to(chances / len(patterns), both.shape[:2])
    return both.reshape(-1, *matrices.shape[1:]), share.ravel()


@pytest.mark.parametrize("slopes", [(1.0,), (0.0, 1.0), (-0.5, 1.0)])
@pytest.mark.parametrize(
    ("widths", "law"),
    [
        ((1, 1, 1), gaussian_layer),
        ((2, 2, 2), gaussian_layer),
        ((1, 2, 3), gaussian_layer),
        ((3, 2, 1), gaussian_layer),
        ((2, 2, 2), orthogonal_layer),
    ],
)
def test_moments_against_all_weights_and_masks(widths, law, slopes):
    m, chance = np.eye(widths[0])[None], np.ones(1)
    for fan_in, fan_out in itertools.pairwise(widths):
        a, share = masked(law(fan_in, fan_out), slopes)
        m = np.einsum("aij,njk,alk->nail", a, m, a, optimize=True).reshape(-1, fan_out, fan_out)
        chance = np.outer(chance, share).ravel()
    act = {(1.0,): "linear", (0.0, 1.0): "relu"}.get(slopes, "leaky_relu(-0.5)")
    scheme = Scheme("unit", "normal" if law is gaussian_layer else "orthogonal", 1.0)
    net = Network(len(widths) - 1, widths=widths, act=act, scheme=scheme)
    assert found_at(net) == pytest.approx(traces(m) @ chance, rel=1e-12)


def test_known_recursions():
    n = 7.0
    for act, step in (
        ("linear", [[1 + 1 / n, 1 / n], [2 / n, 1]]),
        ("relu", [[1 + 3 / n, 2 / n], [4 / n, 1 + 1 / n]]),
    ):
        t = np.linalg.matrix_power(np.array(step), 30) @ [n, n * n]
        net = Network(30, width=7, act=act, sigma_w=1.0 if act == "linear" else math.sqrt(2))
        assert found_at(net)[1:] == pytest.approx(t, rel=1e-12)
        assert found_at(net)[0] == pytest.approx(n, rel=1e-12)


def test_limits_of_the_effective_rank():
    for act, weights in (("linear", "normal"), ("relu", "normal"), ("relu", "orthogonal")):
        net = Network(10, width=10**7, act=act, scheme=Scheme("s", weights, 2.0))
        limit = spectrum(act, 10, weights=weights).effective_rank
        assert jacobian_moments(net).effective_rank[-1] == pytest.approx(limit, rel=1e-5)
    deep = jacobian_moments(Network(100_000, width=20, act="relu", scheme="he"))
    assert deep.effective_rank[-1] < 1 / 20 + 0.25  # a few directions, by a ratio of means
    assert np.isfinite(deep.log_square).all()


# --- drawn networks -----------------------------------------------------------------------------

DRAWN = [
    ("linear", (3, 3, 3, 3), "normal"),
    ("relu", (4, 4, 4, 4), "normal"),
    ("relu", (3, 5, 2), "normal"),
    ("leaky_relu(0.3)", (3, 3, 3), "normal"),
    ("abs", (3, 3, 3), "normal"),
    ("relu", (4, 4, 4, 4), "orthogonal"),
]


@pytest.mark.parametrize(("act", "widths", "weights"), DRAWN)
def test_moments_of_drawn_networks(act, widths, weights):
    """The masks are those of a real forward pass: their independence is tested too."""
    trials, rng = 40_000, np.random.default_rng(11)
    phi = Activation.parse(act)
    h = np.ones((trials, widths[0]))
    jacobian = np.broadcast_to(np.eye(widths[0]), (trials, widths[0], widths[0]))
    for fan_in, fan_out in itertools.pairwise(widths):
        w = rng.standard_normal((trials, fan_out, fan_in)) / math.sqrt(fan_in)
        if weights == "orthogonal":
            q, r = np.linalg.qr(w)
            w = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        z = np.einsum("nij,nj->ni", w, h)
        jacobian = phi.derivative(z)[:, :, None] * (w @ jacobian)
        h = phi(z)
    drawn = traces(jacobian @ jacobian.transpose(0, 2, 1))
    net = Network(len(widths) - 1, widths=widths, act=act, scheme=Scheme("s", weights, 1.0))
    for name, values, exact in zip(("tr", "tr2", "trtr"), drawn, found_at(net), strict=True):
        if np.ptp(values) > 1e-9:
            SHARE.check(f"{act} {widths} {weights} {name}", mean_p(values, exact))
        else:
            assert values[0] == pytest.approx(exact, rel=1e-12)


def test_exponents_of_a_drawn_product():
    """ln R_ii of successive QR factors are independent, and their means are the exponents."""
    n, steps, rng = 4, 20_000, np.random.default_rng(12)
    q, logs = np.eye(n), np.empty((steps, n))
    for step in range(steps):
        q, r = np.linalg.qr(rng.standard_normal((n, n)) * 1.5 / math.sqrt(n) @ q)
        logs[step] = np.log(np.abs(np.diag(r)))
    for i, exponent in enumerate(lyapunov_exponents(n, 1.5)):
        SHARE.check(f"exponent {i}", mean_p(logs[:, i], exponent))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Network(2, width=3, act="tanh"), "not for tanh"),
        (Network(2, width=3, act="squared_relu"), "not for squared_relu"),
        (Network(2, width=3, act="relu", scheme="torch"), "normal or orthogonal, not uniform"),
        (Network(2, width=3, act="relu", sigma_w=1.0, sigma_b=0.1), "sigma_b = 0"),
        (Network(1, widths=(3, 4), scheme=Scheme("o", "orthogonal", 1.0)), "equal widths"),
    ],
)
def test_networks_without_exact_moments(net, message):
    with pytest.raises(ValueError, match=message):
        jacobian_moments(net)


def test_biases_do_not_matter_to_a_linear_network():
    free = jacobian_moments(Network(3, width=4, act="linear", sigma_w=1.0))
    biased = jacobian_moments(Network(3, width=4, act="linear", sigma_w=1.0, sigma_b=2.0))
    assert biased.log_square.tolist() == free.log_square.tolist()
    with pytest.raises(TypeError, match="not str"):
        jacobian_moments("relu")
