"""Sums over a lattice, and tables of the angle, against panels: quicker, and the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from varprop.activation import Activation
from varprop.theory.difference import log_gap, log_gap_apart
from varprop.theory.gap import Gap
from varprop.theory.lattice import analytic, lattice_mean


def by_panels(act: Activation, log_k: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    none = np.zeros_like(tilt)
    return log_gap_apart(act, log_k, none, none, tilt)


@pytest.mark.parametrize("name", ["tanh", "silu", "sigmoid", "arctan", "exp(x)"])
def test_gaps_are_those_by_panels(name: str) -> None:
    act = Activation.parse(name)
    draw = np.random.default_rng(5)
    log_k, tilt = draw.uniform(-4, 2, 150), draw.uniform(-12, 1, 150)
    # There the sums of two steps agree by chance to 2e-7, and the finer one is off by 2e-11.
    log_k[0], tilt[0] = 0.9997807646871915, -1.1183342219961199
    np.testing.assert_allclose(
        log_gap(act, log_k, tilt), by_panels(act, log_k, tilt), rtol=0, atol=1e-13
    )


def test_what_is_not_analytic_is_refused() -> None:
    for name in ("relu6", "softsign", "sin"):
        assert not analytic(Activation.parse(name))
    assert not analytic(Activation.parse((np.tanh, lambda x: 1 - np.tanh(x) ** 2)))

    def hidden(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.maximum(u, 0.3) * np.maximum(v, 0.3)

    assert lattice_mean(hidden, 1.0, -0.5, 1.0, 9.5, 1.0) is None
    # Too fine for a lattice of a bearable size.
    assert lattice_mean(lambda u, v: u * v, 1.0, -0.5, 1e-3, 9.5, 1.0) is None


@pytest.mark.parametrize("name", ["tanh", "elu", "hardtanh"])
def test_near_inputs_are_followed_by_tables_of_the_angle(name: str) -> None:
    """Down to where the gap is a power law; the tables are asked until they are made."""
    act = Activation.parse(name)
    gap = Gap(act)
    log_gaps = np.linspace(-60.0, -4.0, 80)
    for log_k in (-0.9, 0.3):
        for log_gap_before in log_gaps:
            gap.log_at(log_k, float(log_gap_before))
        tilt = log_gaps - math.log(2) - np.log1p(-np.exp(log_gaps) / 2)
        expected = by_panels(act, np.full_like(tilt, log_k), tilt)
        found = [gap.log_at(log_k, float(each)) for each in log_gaps]
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-12)
    panels = gap._bend._panels.values()
    assert len(panels) == 2
    assert all(panel is not None for panel in panels)
