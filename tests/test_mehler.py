"""Kernels by Hermite coefficients: against quadrature in the plane, and where they are refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from varprop.activation import Activation
from varprop.theory import gradient_map, variance_map
from varprop.theory.kernel import kernel, length_of, reach_of
from varprop.theory.mehler import HermiteSeries

FloatArray = npt.NDArray[np.float64]

K = np.geomspace(0.01, 100, 5)


def series_of(name: str, derivative: bool = False) -> HermiteSeries:
    act = Activation.parse(name)
    f = act.derivative if derivative else act
    return HermiteSeries(
        f, length_of(act), lambda scale, norm: reach_of(f, np.array([scale]), np.array([norm]))
    )


def norms_of(name: str, derivative: bool, k: FloatArray) -> FloatArray:
    square = (gradient_map if derivative else variance_map)(name)
    return np.asarray(np.sqrt(square(k)))


@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("name", ["tanh", "elu", "selu", "silu", "mish", "softplus", "gelu_tanh"])
def test_it_agrees_with_quadrature(
    name: str, derivative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (each.ravel() for each in np.meshgrid(K, K, [-1.0, -0.9, -0.3, 0.0, 0.5, 0.97, 1.0]))
    norms = norms_of(name, derivative, a), norms_of(name, derivative, b)
    value, bound = series_of(name, derivative)(a, b, c, norms)
    good = np.isfinite(bound)
    assert good[np.abs(c) < 0.91].all()
    assert bound[good].max() <= 1e-12

    def refused(
        _self: HermiteSeries, _a: FloatArray, _b: FloatArray, c: FloatArray, _norms: object
    ) -> tuple[FloatArray, FloatArray]:
        return np.empty(c.shape), np.full(c.shape, np.inf)

    monkeypatch.setattr(HermiteSeries, "__call__", refused)
    k = np.clip(c, -1, 1) * np.sqrt(a) * np.sqrt(b)
    other = kernel(name)(a, b, k, derivative=derivative) / (norms[0] * norms[1])
    assert np.abs(value - other)[good].max() < 1e-12


def test_near_parallel_it_is_given_where_the_coefficients_fall_fast() -> None:
    k, c = np.array([0.01, 1.0, 100.0]), np.full(3, 1 - 1e-9)
    norms = norms_of("tanh", False, k)
    _, bound = series_of("tanh")(k, k, c, (norms, norms))
    assert np.isfinite(bound).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "name",
    [
        "hardtanh",
        "hardsigmoid",
        "x if abs(x) < 0.3 else 0",
        "sign(x-0.3)",
        "abs(x-0.3)",
        "abs(tanh(x)-0.3)",
        "x if x>0.3 else -x",
        "abs(sin(x))",
        "sqrt(abs(x))",
    ],
)
def test_corners_within_a_panel_are_found_out(name: str) -> None:
    """Coefficients change with the panels, even where f^2 is smooth."""
    k = np.array([0.5, 2.0])
    norms = norms_of(name, False, k)
    _, bound = series_of(name)(k, k, np.full(2, 0.5), (norms, norms))
    assert np.isinf(bound).all()


def test_a_value_does_not_depend_on_the_calls_before_it() -> None:
    k = np.geomspace(0.01, 100, 4500)
    f = series_of("tanh")
    norms = norms_of("tanh", False, k)
    whole, _ = f(k, k, np.full(k.size, 0.5), (norms, norms))  # more than are kept
    again, _ = f(k, k, np.full(k.size, 0.5), (norms, norms))
    np.testing.assert_array_equal(whole, again)
    for i in (0, 17, 4499):
        one = slice(i, i + 1)
        alone, _ = series_of("tanh")(k[one], k[one], np.full(1, 0.5), (norms[one], norms[one]))
        assert alone[0] == whole[i]
