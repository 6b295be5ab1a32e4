"""Products of many matrices: all their singular values, against many digits and known ones."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest

from varprop import graded as graded_module
from varprop.graded import GradedProduct, Moved


def exactly(factors, digits=400):
    """ln of the singular values of a product, largest first, from so many digits."""
    with mpmath.workdps(digits):
        product = mpmath.eye(factors[0].shape[1])
        for factor in factors:
            product = mpmath.matrix(factor.tolist()) * product
        values = mpmath.svd_r(product, compute_uv=False)
        floor = mpmath.mpf(10) ** (50 - digits)
        return np.array([float(mpmath.log(v)) if v > floor else -np.inf for v in values])


def graded(factors):
    product = GradedProduct(factors[0].shape[1])
    for factor in factors:
        product.multiply(lambda columns, factor=factor: Moved(factor @ columns))
    return product.log_singular_values()


@pytest.mark.parametrize("seed", range(3))
def test_every_singular_value_to_all_digits(seed):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((6, 6)) / 6**0.5 for _ in range(60)]
    assert np.abs(graded(factors) - exactly(factors)).max() < 1e-12
    # condition 1e130: each factor's own is about 1e4
    steep = [factor @ np.diag(10 ** (-4 * rng.random(6))) for factor in factors]
    found, true = graded(steep), exactly(steep)
    assert true[0] - true[-1] > 300
    assert np.abs(found - true).max() < 1e-9


def test_a_condition_beyond_float64():
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    factors = [turn, *(np.diag([10.0, 1.0, 0.1, 1e-9]) + 0.1 * np.eye(4, k=1) for _ in range(80))]
    found, true = graded(factors), exactly(factors, digits=1600)
    assert true[0] - true[-1] > np.log(1e300)
    assert np.abs(found - true).max() < 1e-10


def test_zeros_are_zeros_and_the_others_keep_their_digits():
    rng = np.random.default_rng(4)
    factors = [rng.standard_normal((6, 6)) @ np.diag(rng.random(6) < 0.9) for _ in range(30)]
    found, true = graded(factors), exactly(factors)
    assert (np.isneginf(found) == np.isneginf(true)).all()
    assert np.isneginf(true).any()
    live = np.isfinite(true)
    assert np.abs(found[live] - true[live]).max() < 1e-12


def diagonals(rng, count, decades):
    """Turned here and there, so that the product's singular values are known: their products."""
    logs = -decades * rng.random((count, 130))
    turns = [np.linalg.qr(rng.standard_normal((130, 130)))[0] for _ in range(count + 1)]
    factors = [turns[i + 1] @ (10 ** one[:, np.newaxis] * turns[i].T) for i, one in enumerate(logs)]
    return factors, np.sort(np.log(10) * logs.sum(axis=0))[::-1]


@pytest.mark.parametrize("decades", [1.5, 4.0])
def test_many_columns_take_two_factors_at_a_time_where_these_allow_it(decades, monkeypatch):
    tried = []
    by_cholesky = graded_module._by_cholesky

    def watched(moved, most=graded_module._MOST):
        found = by_cholesky(moved, most)
        if most != graded_module._MOST:
            tried.append(found is not None)
        return found

    monkeypatch.setattr(graded_module, "_by_cholesky", watched)
    factors, true = diagonals(np.random.default_rng(7), 12, decades)
    assert np.abs(graded(factors) - true).max() < 1e-9
    assert tried == ([True] * 6 if decades == 1.5 else [False] * 3)


@pytest.mark.parametrize("widths", [(3, 7, 2, 5), (7, 3, 3, 9), (1, 4, 1)])
def test_unequal_widths(widths):
    rng = np.random.default_rng(5)
    factors = [rng.standard_normal((b, a)) for a, b in pairwise(widths)]
    found, true = graded(factors), exactly(factors)
    assert found.size == min(widths[0], widths[-1])
    rank = min(widths)
    assert np.abs(found[:rank] - true[:rank]).max() < 1e-12
    assert np.isneginf(found[rank:]).all()


def test_a_factor_with_a_zero_column_first():
    factors = [np.diag([0.0, 1.0, 2.0]), np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])]
    found = graded(factors)
    assert np.isneginf(found[2])
    assert np.abs(found[:2] - exactly(factors)[:2]).max() < 1e-12
