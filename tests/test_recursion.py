"""The recursion itself: exact powers, rest to the last bit, great depth, what leaves float64."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from varprop.theory import gradient_map, variance_map
from varprop.theory.recursion import iterate, log_at, pull_back
from varprop.theory.stack import Stack

NONE = -math.inf


def test_erf_against_mpmath_through_unequal_layers():
    weights, biases = [1.7, 0.3, 2.5, 0.9, 1.1], [0.1, 0.0, 2.0, 0.0, 0.3]
    log_bias = [math.log(b) if b else NONE for b in biases]
    found = iterate(Stack.plain("erf", np.log(weights), log_bias), math.log(3.0))[0]
    with mp.workdps(40):
        k, exact = mp.mpf(3), []
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            a = 2 / mp.pi * mp.asin(2 * k / (1 + 2 * k)) if layer else k
            k = mp.mpf(b) + mp.mpf(w) * a
            exact.append(float(mp.log(k)))
    assert found == pytest.approx(exact, abs=1e-13)


def test_layers_that_only_begin_alike_are_not_taken_for_rest():
    weights = np.log(np.r_[np.full(500, 2.25), np.full(500, 4.0)])
    bias = np.full(1000, NONE)
    found = iterate(Stack.plain("tanh", weights, bias), 0.0)[0]
    q = variance_map("tanh")
    for layer, weight in ((499, 2.25), (999, 4.0)):
        k = math.exp(found[layer])
        assert weight * q(k) == pytest.approx(k, rel=1e-13)
    assert found[999] > found[499] + 0.5


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
def test_rest_is_filled_with_what_the_loop_would_give(sigma_b):
    q = variance_map("gelu")
    log_bias = 2 * math.log(sigma_b) if sigma_b else NONE
    depth = 3000
    log_k, log_a = iterate(
        Stack.plain("gelu", np.full(depth, math.log(1.9)), np.full(depth, log_bias)), 0.5
    )
    a = 0.5
    for layer in range(depth):
        k = np.logaddexp(log_bias, math.log(1.9) + a)
        a = q.log_at(float(k))
        assert log_k[layer] == pytest.approx(k, abs=1e-12 * (1 + abs(k)))
        assert log_a[layer] == pytest.approx(a, abs=1e-12 * (1 + abs(a)))


def test_degree_one_is_a_sum():
    weights = np.log(np.array([3.0, 0.5, 7.0, 2.0]))
    log_k, log_a = iterate(Stack.plain("leaky_relu(0.2)", weights, np.full(4, NONE)), 1.0)
    factor = math.log(0.52)
    assert log_k == pytest.approx(1.0 + np.cumsum(weights) + factor * np.arange(4), rel=1e-14)
    assert log_a - log_k == pytest.approx(np.full(4, factor), rel=1e-13)


def test_a_million_layers():
    depth = 10**6
    log_k = iterate(Stack.plain("tanh", np.full(depth, 1.0), np.full(depth, NONE)), 0.0)[0]
    assert math.e * variance_map("tanh")(math.exp(log_k[-1])) == pytest.approx(
        math.exp(log_k[-1]), rel=1e-13
    )


def test_what_leaves_even_the_logarithm_says_so():
    with pytest.raises(OverflowError, match=r"the variance of layer \d+ is beyond exp\(1e308\)"):
        iterate(Stack.plain("squared_relu", np.full(2000, 3.0), np.full(2000, NONE)), 1.0)


def test_zero_is_allowed():
    found = log_at(variance_map("cos"), np.array([NONE, 0.0]))
    assert found == pytest.approx([0.0, math.log((1 + math.exp(-2)) / 2)], abs=1e-14)
    assert log_at(gradient_map("cos"), np.array([NONE])).tolist() == [NONE]


def test_gradients_are_pulled_back_from_the_last_layer():
    assert pull_back(np.array([])).tolist() == [0.0]
    assert pull_back(np.log([2.0, 3.0, 5.0])) == pytest.approx(np.log([30.0, 15.0, 5.0, 1.0]))
