"""Residual networks of one matrix, norms and dropout: derivations say what the rooms compute."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from derived import derive, step, value

from varprop import Network, Norm, Residual
from varprop.theory import gradient_map, predict, variance_map


def cells(table, label):
    """The cells of a row, as they are printed."""
    (found,) = (row[1:] for row in table.rows if row[0] == label)
    return found


# --- residual -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("branch", "skip"), [(0.7, 1.3), (2.0, -0.4)])
def test_one_matrix_is_what_a_residual_record_means(branch, skip):
    p = predict(Network(4, act="relu", sigma_w=1.7, residual=Residual(branch, skip)))
    settings = {"alpha": branch, "gamma": abs(skip), "sigma_w": 1.7}
    title = "One matrix, and a factor on the skip connection"
    up = value(step("residual", title).right, q=p.variance[1], **settings)
    assert p.variance[2] == pytest.approx(up, rel=1e-13)
    back = value(step("residual", "Two roads back").right, G=p.gradient[2], V=0.5, **settings)
    assert p.gradient[1] == pytest.approx(back, rel=1e-13)


def test_neutral_blocks_keep_the_signal():
    depth = 1000
    record = Residual("1/sqrt(depth)", math.sqrt(1 - 1 / depth))
    p = predict(Network(depth, act="relu", scheme="he", residual=record))
    assert p.variance == pytest.approx(np.full(depth, 2.0), rel=1e-11)
    assert p.gradient == pytest.approx(np.ones(depth), rel=1e-11)
    left = value(step("residual", "What is left of the input").right)
    assert record.skip**depth == pytest.approx(left, rel=1e-3)


# --- norm ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("act", ["tanh", "relu", "sigmoid"])
def test_the_factor_under_a_norm(act, place):
    q, v = variance_map(act)(1.0), gradient_map(act)(1.0)
    for sigma_w in (0.01, 30.0):
        p = predict(Network(9, act=act, sigma_w=sigma_w, norm=Norm("rms", place)))
        factor = p.gradient[5] / p.gradient[6]
        assert factor == pytest.approx(value(derive("norm").result.right, V=v, Q=q), rel=1e-12)


def test_what_layer_norm_takes_out():
    # all signs of n values: each unit's square after the mean is taken out
    n = 5
    rows = np.array(list(np.ndindex((2,) * n))) * 2.0 - 1
    left = (rows - rows.mean(axis=1, keepdims=True))[:, 0] ** 2
    known = value(step("norm", "The mean that LayerNorm takes out").right, K=1.0, n=n)
    assert left.mean() == pytest.approx(known, rel=1e-13)


def test_the_slopes_of_a_norm_by_differences():
    z = np.array([0.7, -1.2, 0.4, 2.0])

    def rms(numbers):
        return numbers / math.sqrt(np.mean(numbers**2))

    moved = [rms(z + 1e-6 * np.eye(4)[j])[0] - rms(z - 1e-6 * np.eye(4)[j])[0] for j in (0, 1)]
    rest = float(np.sum(z[1:] ** 2))
    own = value(step("norm", "A unit's own slope").right, z=z[0], r=rest, n=4)
    other = value(
        step("norm", "Its slope towards another").right, z=z[0], y=z[1], r=rest - z[1] ** 2, n=4
    )
    assert moved == pytest.approx([2e-6 * own, 2e-6 * other], rel=1e-8)


def test_pre_and_post_ln_are_the_predicted_ones():
    q, v = variance_map("tanh")(1.0), gradient_map("tanh")(1.0)
    settings = {"alpha": 0.6, "gamma": 1.1, "sigma_w": 1.5}
    net = {"act": "tanh", "sigma_w": 1.5, "residual": Residual(0.6, 1.1)}
    p = predict(Network(4, norm="layer", **net))
    up = value(
        step("norm", "Pre-LN: the stream grows steadily").right, q=p.variance[1], Q=q, **settings
    )
    assert p.variance[2] == pytest.approx(up, rel=1e-12)
    back = step("norm", "Pre-LN: the way back").right
    known = value(back, q=p.variance[1], V=v, g=p.gradient[2], **settings)
    assert p.gradient[1] == pytest.approx(known, rel=1e-12)
    p = predict(Network(4, norm=Norm("layer", "post"), **net))
    factor = value(step("norm", "Post-LN").right, V=v, Q=q, **settings)
    assert p.gradient[1] / p.gradient[2] == pytest.approx(factor, rel=1e-12)


def test_pre_ln_of_relu_grows_like_its_stream():
    depth = 50
    p = predict(Network(depth, act="relu", scheme="he", norm="layer", residual=Residual()), 3.0)
    chi = p.variance[0]  # s = 1
    known = value(step("norm", "Pre-LN with ReLU").right, chi=chi, L=depth - 1)
    assert p.gradient[0] == pytest.approx(known, rel=1e-12)
    assert p.variance[-1] / p.variance[0] == pytest.approx(known, rel=1e-12)


def test_post_ln_with_small_branches_stays_bounded():
    depth = 4000
    record = Residual("1/sqrt(depth)")
    p = predict(Network(depth, act="tanh", sigma_w=1.0, norm=Norm("rms", "post"), residual=record))
    q, v = variance_map("tanh")(1.0), gradient_map("tanh")(1.0)
    limit = value(step("norm", "Post-LN with small branches").right, V=v, Q=q)
    assert p.gradient[0] == pytest.approx(limit, rel=1e-3)
    assert cells(derive("norm").tables[1], r"post-LN, branches $1/\sqrt{L}$")[-1] == (
        f"${limit:.3g}$"
    )


# --- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_masks_one_by_one(keep):
    """All masks of two units and two inputs, with their probabilities."""
    h = np.array([[0.7, -1.1], [0.4, 2.0]])  # unit, input
    chances = np.array([1 - keep, keep])
    square = product = 0.0
    for mask in np.ndindex(2, 2, 2, 2):
        chance = np.prod(chances[list(mask)])
        kept = np.reshape(mask, (2, 2)) * h / keep
        square += chance * np.sum(kept[:, 0] ** 2)
        product += chance * np.sum(kept[:, 0] * kept[:, 1])
    grown = value(step("dropout", "The mean square").right, Q=np.sum(h[:, 0] ** 2), rho=keep)
    assert square == pytest.approx(grown, rel=1e-13)
    assert product == pytest.approx(
        value(step("dropout", "Masks of their own").right, k=np.sum(h[:, 0] * h[:, 1])), rel=1e-13
    )


def test_identical_inputs_part_as_predicted():
    p = predict(Network(3, act="erf", sigma_w=1.5, sigma_b=0.4, dropout=0.6), correlation=1.0)
    q = variance_map("erf")(p.variance[0])
    apart = value(
        step("dropout", "Identical inputs part").right, Q=q, rho=0.6, sigma_w=1.5, sigma_b=0.4
    )
    assert 1 - p.correlation[1] == pytest.approx(apart, rel=1e-10)


def test_pairs_under_relu_with_dropout():
    net = Network(60, act="relu", sigma_w=math.sqrt(1.8), dropout=0.9)
    p = predict(net, correlation=0.2)
    assert p.variance == pytest.approx(np.full(60, 1.8), rel=1e-12)
    assert p.gradient == pytest.approx(np.ones(60), rel=1e-12)
    way = step("dropout", "The correlation map").right
    assert p.correlation[1] == pytest.approx(value(way, c=0.2, rho=0.9), rel=1e-12)
    rest = float(step("dropout", "A fixed point below 1").right.doit())
    assert p.correlation[-1] == pytest.approx(rest, abs=5e-7)
    slope = float(step("dropout", "Exponential forgetting").right.doit())
    distance = np.abs(p.correlation - p.correlation[-1])
    assert distance[16] / distance[15] == pytest.approx(slope, rel=1e-3)


def test_little_dropout():
    drop = 1e-6
    with mpmath.workdps(30):  # rho f(cos t) = cos t, by itself
        angle = mpmath.findroot(
            lambda t: (
                (1 - drop) * (mpmath.sin(t) + (mpmath.pi - t) * mpmath.cos(t)) / mpmath.pi
                - mpmath.cos(t)
            ),
            0.02,
        )
        slope = (1 - drop) * (1 - angle / mpmath.pi)
    share = value(step("dropout", "Little dropout").right, theta=float(angle))
    assert share == pytest.approx(drop, rel=0.02)
    scale = value(derive("dropout").result.right, d=drop)
    assert float(-1 / mpmath.log(slope)) == pytest.approx(scale, rel=0.02)


def test_the_table_of_dropout():
    (table,) = derive("dropout").tables
    lost, rest, scale, _ = cells(table, "$0.9$")
    assert lost == f"${0.9**-50:.3g}$"
    p = predict(Network(80, act="relu", sigma_w=1.3, dropout=0.9), correlation=0.0)
    assert float(rest) == pytest.approx(p.correlation[-1], abs=5e-5)
    distance = np.abs(p.correlation - p.correlation[-1])
    assert float(scale) == pytest.approx(1 / math.log(distance[14] / distance[15]), rel=2e-3)
