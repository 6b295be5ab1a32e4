"""Jacobian: the derivative of a network, of the right law, at any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p
from conversation import haar, worst
from effort import draws
from levels import HERE, module
from scipy.sparse.linalg import svds

from varprop import Jacobian, Network, RandomMatrix, _revealed, jacobian, random_matrix
from varprop.theory import jacobian_moments

FloatArray = npt.NDArray[np.float64]

share = Share("jacobian")
WIDTHS = (6, 9, 5, 7, 8)


def vectors(seed: int, *shape: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(shape)


def array_of(j: Jacobian) -> FloatArray:
    return np.asarray(j @ np.eye(j.shape[1]))


def smaller_side(w: RandomMatrix) -> FloatArray:
    """All of a matrix, by as few queries as that takes."""
    n_out, n_in = w.shape
    return np.asarray(w @ np.eye(n_in) if n_in <= n_out else (w.T @ np.eye(n_out)).T)


class Drawn:
    """The network behind a Jacobian, its matrices asked out and then used as arrays."""

    def __init__(self, j: Jacobian) -> None:
        net = j.network
        pairs = zip(j._weights, net.sigma_w, strict=True)
        self.weights = [s * smaller_side(w) for w, s in pairs]
        self.biases = [
            net.bias_std[i] * j._bias(i + 1) if net.bias_std[i] else 0.0 for i in range(net.depth)
        ]
        self.act = net.act

    def output(self, x: FloatArray) -> FloatArray:
        h = x
        for w, b in zip(self.weights, self.biases, strict=True):
            z = w @ h + b
            h = self.act(z)
        return np.asarray(z)

    def jacobian(self, x: FloatArray) -> FloatArray:
        h, product = x, np.eye(x.size)
        for w, b in zip(self.weights, self.biases, strict=True):
            z = w @ h + b
            product = w @ product
            h, last = self.act(z), product
            product = self.act.derivative(z)[:, np.newaxis] * product
        return last


@pytest.mark.parametrize("law", ["normal", "orthogonal"])
@pytest.mark.parametrize(
    "act", ["tanh", "relu", "gelu", "squared_relu", "abs", "x*sigmoid(1.702*x)", (np.sin, np.cos)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("sigma_b", [0.0, 0.4])
def test_it_is_the_derivative_of_its_network(act, law, sigma_b):
    net = Network(4, widths=WIDTHS, act=act, scheme=f"{law}, 1.9/fan_in", sigma_b=sigma_b)
    x = 3.0 * vectors(1, 6)
    j = Jacobian(net, x, seed=8, trial=2)
    found = array_of(j)
    assert found.shape == j.shape == (8, 6)
    drawn = Drawn(j)
    size = np.abs(found).max()
    assert size > 0  # with this seed, no layer of any of these networks is dead
    np.testing.assert_allclose(found, drawn.jacobian(x), rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose((j.T @ np.eye(8)).T, found, rtol=0, atol=1e-12 * size)
    step = 1e-6
    for column in range(6):
        move = step * np.eye(6)[column]
        slope = (drawn.output(x + move) - drawn.output(x - move)) / (2 * step)
        np.testing.assert_allclose(found[:, column], slope, rtol=0, atol=1e-7 * max(size, 1.0))


def test_uniform_biases_and_many_units():
    net = Network(
        3, widths=[20, 5000, 40, 10], act="tanh", scheme="orthogonal, bias_uniform, 9/fan_in"
    )
    j = Jacobian(net)
    wanted = Drawn(j).jacobian(np.ones(20))
    np.testing.assert_allclose(array_of(j), wanted, rtol=0, atol=1e-12)
    assert np.abs(j._bias(1)).max() <= 3**0.5
    assert np.unique(j._bias(1)).size == 5000


def test_one_layer_is_its_matrix():
    j = Jacobian(Network(1, width=30, sigma_w=1.7))
    np.testing.assert_allclose(array_of(j), Drawn(j).weights[0], rtol=0, atol=1e-13)


# ---- the law ----


def features(j: FloatArray) -> FloatArray:
    """Entries, and a product of the transpose with the Jacobian; (..., n_out, n_in)."""
    entries = [j[..., 0, 0], j[..., 0, 1], j[..., 1, 0], j[..., 2, 2]]
    back = np.einsum("...ij,...ik->...jk", j, j)
    return np.stack([*entries, back[..., 0, 0], back[..., 0, 2]], axis=-1)


@pytest.mark.parametrize("law", ["normal", "orthogonal"])
@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_joint_law_is_that_of_drawn_networks(act, law):
    widths, sigma_b, trials = (3, 4, 3, 3), 0.3, draws(1000, 4000)
    net = Network(3, widths=widths, act=act, scheme=f"{law}, 1.8/fan_in", sigma_b=sigma_b)
    x = np.array([1.0, -0.5, 2.0])
    answers = np.stack([array_of(Jacobian(net, x, trial=trial)) for trial in range(trials)])
    rng = np.random.default_rng(3)
    h, product = x[np.newaxis, :, np.newaxis], np.eye(3)[np.newaxis]
    for layer in range(3):
        shape = (100_000, widths[layer + 1], widths[layer])
        w = haar(rng, *shape) if law == "orthogonal" else rng.standard_normal(shape)
        w *= net.sigma_w[layer] * (1.0 if law == "orthogonal" else widths[layer] ** -0.5)
        z = w @ h + sigma_b * rng.standard_normal((len(w), widths[layer + 1], 1))
        final = w @ product
        h, product = net.act(z), net.act.derivative(z) * final
    share.check(f"{act}, {law}", worst(features(answers), features(final)))


@pytest.mark.parametrize("act", ["linear", "relu"])
def test_singular_values_have_the_moments_of_theory(act):
    n, trials = 5, draws(1000, 3000)
    net = Network(3, width=n, act=act, sigma_w=1.2)
    squares = np.array(
        [
            np.linalg.svd(array_of(Jacobian(net, trial=trial)), compute_uv=False) ** 2
            for trial in range(trials)
        ]
    )
    trace = squares.sum(axis=1)
    exact = jacobian_moments(net)
    if act == "linear":  # then dh^L/dx, of which theory speaks, is dz^L/dx
        share.check("linear, trace", mean_p(trace, np.exp(exact.log_trace[-1])))
        share.check(
            "linear, square", mean_p((squares**2).sum(axis=1), np.exp(exact.log_square[-1]))
        )
        share.check("linear, trace^2", mean_p(trace**2, np.exp(exact.log_trace_square[-1])))
    else:
        share.check("relu, trace", mean_p(trace, 1.2**2 * np.exp(exact.log_trace[-2])))


# ---- size ----


def test_svds_finds_the_largest_singular_values():
    net = Network(4, width=300, act="tanh", sigma_w=1.5, sigma_b=0.1)
    j = Jacobian(net, seed=1)
    found = np.sort(svds(j, k=3, v0=np.ones(300), return_singular_vectors=False))
    exact = np.linalg.svd(array_of(j), compute_uv=False)[:3]
    np.testing.assert_allclose(found[::-1], exact, rtol=1e-10)


def test_a_wide_one_needs_no_matrix():
    j = Jacobian(Network(5, width=100_000, act="relu", scheme="he"))
    x = np.ones(100_000)
    y = vectors(2, 100_000)
    left, right = (j @ x) @ y, x @ (j.T @ y)
    assert abs(left - right) <= 1e-12 * np.linalg.norm(x) * np.linalg.norm(y)
    assert all(w.revealed <= 4 for w in j._weights)


@pytest.mark.parametrize("sigma_w", [1e-20, 1e20])
def test_a_jacobian_beyond_float64_comes_over_its_scale(sigma_w):
    net = Network(300, width=8, act="linear", sigma_w=sigma_w)
    x = vectors(1, 8)
    j = Jacobian(net, x)
    log_size = 300 * np.log(sigma_w)
    assert j.log_scale == pytest.approx(log_size, rel=1e-12)
    drawn = Drawn(j)
    product = np.eye(8)
    for w in drawn.weights:
        product = w / sigma_w @ product
    np.testing.assert_allclose(array_of(j), product, rtol=0, atol=1e-11 * np.abs(product).max())


def test_an_activation_of_degree_two_beyond_float64():
    # slopes grow with the signal: the same network at x and at 2^k x
    net = Network(6, width=8, act="squared_relu", sigma_w=1.5)
    x = np.abs(vectors(1, 8))
    small, large = Jacobian(net, x), Jacobian(net, np.ldexp(x, 40))
    assert small.log_scale == 0.0
    shift = 40 * (2**5 - 1) * np.log(2)  # dz^6/dx is of degree 2^5 - 1 in x
    assert abs(large.log_scale) > 230
    ratio = array_of(large) / array_of(small)
    np.testing.assert_allclose(np.log(ratio), shift - large.log_scale, rtol=0, atol=1e-9)


def test_a_product_that_leaves_float64_is_an_error():
    j = Jacobian(Network(2, width=8, act="linear", sigma_w=1e40))
    with pytest.raises(OverflowError, match="outside the range of float64"):
        j @ np.full(8, 1e250)


def test_a_dead_network_has_a_jacobian_of_zeros():
    j = Jacobian(Network(3, width=1, act="relu"), [0.0])
    assert j.log_scale == 0.0
    assert array_of(j) == 0.0
    smooth = Jacobian(Network(3, width=9, act="tanh", sigma_w=1.3), np.zeros(9))
    np.testing.assert_allclose(array_of(smooth), Drawn(smooth).jacobian(np.zeros(9)), atol=1e-13)


# ---- bits ----


def test_bits_do_not_depend_on_threads_or_instruction_set(monkeypatch):
    net = Network(3, widths=[100, 5000, 5000, 70], act="gelu", sigma_w=1.4, sigma_b=0.2)

    def answers(threads: int) -> list[bytes]:
        j = Jacobian(net, seed=9, trial=3, threads=threads)
        return [(j @ vectors(1, 100)).tobytes(), (j.T @ vectors(2, 70)).tobytes()]

    wanted = answers(1)
    assert answers(3) == wanted
    for level in HERE:
        for user in (random_matrix, _revealed, jacobian):
            monkeypatch.setattr(user, "transcript", module("transcript", level))
        monkeypatch.setattr(jacobian, "kernels", module("kernels", level))
        assert answers(2) == wanted, level


def test_trials_seeds_and_layers_have_networks_of_their_own():
    net = Network(3, width=6, act="tanh")
    others = [Jacobian(net, seed=1), Jacobian(net, trial=1), Jacobian(net)]
    seeds = [w.seed for j in others for w in j._weights]
    assert len(set(seeds)) == 9
    assert np.array_equal(array_of(others[2]), array_of(Jacobian(net, np.ones(6), trial=0)))


# ---- bad input ----


@pytest.mark.parametrize(
    ("network", "more", "error", "text"),
    [
        ("relu", {}, TypeError, "network must be a Network, not str"),
        (Network(2, dropout=0.5), {}, NotImplementedError, "only plain networks"),
        (Network(2, norm="rms"), {}, NotImplementedError, "only plain networks"),
        (Network(2, scheme="torch"), {}, ValueError, "normal or orthogonal weights, not uniform"),
        (Network(2, act="sign"), {}, ValueError, "'sign' jumps at x = 0: it has no slope"),
        (Network(2, width=3), {"x": [1.0, 2.0]}, ValueError, r"x must have shape \(3,\).*\(2,\)"),
        (Network(2, width=2), {"x": [1.0, np.nan]}, ValueError, r"x takes finite.*\[1\] is nan"),
        (Network(2, width=2), {"x": [1j, 0]}, TypeError, "x takes real numbers"),
        (Network(2), {"trial": -1}, ValueError, "trial must be from 0 to"),
        (Network(2), {"seed": 0.5}, TypeError, "seed must be an integer"),
        (Network(2), {"threads": 0}, ValueError, "threads=0"),
    ],
)
def test_bad_arguments(network, more, error, text):
    given: dict[str, Any] = more
    with pytest.raises(error, match=text):
        Jacobian(network, **given)


def test_signals_that_leave_the_range_and_callables_that_fail():
    with pytest.raises(OverflowError, match=r"in layer \d+ of Jacobian.* left the range"):
        Jacobian(Network(400, width=20, act=(np.sin, np.cos), sigma_w=1e150), np.full(20, 1e300))
    with pytest.raises(OverflowError, match="φ must be finite"):
        Jacobian(Network(3, width=20, act=(np.exp, np.exp), sigma_w=1e4))
    with pytest.raises(ValueError, match=r"takes an array of shape \(9,\)"):
        Jacobian(Network(2, width=9)) @ np.ones(8)
