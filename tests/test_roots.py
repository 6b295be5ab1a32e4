"""Zeros on a grid: crossings, double zeros, pairs closer than the grid, flat stretches."""

from __future__ import annotations

import numpy as np
import pytest

from varprop.theory.roots import zeros

GRID = np.arange(-10.0, 10.0, 0.05)


def polynomial(*roots):
    p = np.polynomial.Polynomial.fromroots(roots)
    return p, p.deriv()


@pytest.mark.parametrize("gap", [1.0, 0.05, 1e-2, 1e-4])
def test_two_near_zeros_are_told_apart(gap):
    first = 1.2345
    found = zeros(*polynomial(first, first + gap), GRID, 1e-14)
    assert [z.start for z in found] == pytest.approx([first, first + gap], abs=1e-9)
    assert [(z.before, z.after) for z in found] == [(1, -1), (-1, 1)]


def test_a_double_zero_is_a_touch_and_a_near_miss_is_none():
    p, slope = polynomial(1.2345, 1.2345)
    (touch,) = zeros(p, slope, GRID, 1e-14)
    assert touch.kind == "touch"
    assert touch.before == touch.after == 1
    assert touch.start == pytest.approx(1.2345, abs=1e-12)
    assert zeros(p + 1e-12, slope, GRID, 1e-14) == []
    (touch,) = zeros(-p, -slope, GRID, 1e-14)
    assert touch.before == touch.after == -1


def test_a_zero_on_the_grid_is_found_once():
    at = float(GRID[57])
    (zero,) = zeros(lambda u: u - at, np.ones_like, GRID, 1e-14)
    assert (zero.start, zero.kind) == (pytest.approx(at, abs=1e-13), "crossing")
    (zero,) = zeros(lambda u: (u - at) ** 2, lambda u: 2 * (u - at), GRID, 1e-14)
    assert (zero.start, zero.kind) == (pytest.approx(at, abs=1e-7), "touch")


def test_a_double_zero_beside_a_crossing_is_not_lost():
    first = 1.2345
    found = zeros(*polynomial(first, first, first + 0.019), GRID, 1e-13)
    assert [z.start for z in found] == pytest.approx([first, first + 0.019], abs=1e-5)
    assert [z.kind for z in found] == ["touch", "crossing"]


def test_many_zeros_come_in_order():
    roots = [-7.1, -7.09, -7.08, -3.3, -3.29, 0.0, 2.5, 9.9]
    found = zeros(*polynomial(*roots), GRID, 1e-13)
    assert [z.start for z in found] == pytest.approx(roots, abs=1e-9)


def test_stretches_know_which_end_they_reach():
    def flat(u):
        return np.where(u < 0, 0.0, u)

    (low,) = zeros(flat, lambda u: np.where(u < 0, 0.0, 1.0), GRID, 1e-14)
    assert (low.kind, low.start, low.before, low.after) == ("stretch", GRID[0], 0, 1)
    assert low.stop == pytest.approx(0.0, abs=0.06)
    (all_of_it,) = zeros(np.zeros_like, np.zeros_like, GRID, 1e-14)
    assert (all_of_it.start, all_of_it.stop) == (GRID[0], GRID[-1])
    inside = zeros(lambda u: np.where(abs(u) < 1, 0.0, u), np.ones_like, GRID, 1e-14)
    assert [(z.kind, z.before, z.after) for z in inside] == [("stretch", -1, 1)]


def test_noise_on_a_constant_costs_nothing():
    calls = []

    def noisy(u):
        calls.append(len(u))
        return -1e-3 + 1e-15 * np.sin(1e6 * u)

    assert zeros(noisy, np.zeros_like, GRID, 1e-14) == []
    assert len(calls) == 1
