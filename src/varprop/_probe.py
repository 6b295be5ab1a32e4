"""Facts about an activation that is not in the table, found numerically."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from varprop._parser import shown
from varprop._primitives import Array
from varprop.formula import Formula

Function = Callable[[Array], Any]


# Slow evaluations spent on a search for the steepest point.
_MOST_RESCUES = 100


@dataclass(frozen=True)
class Facts:
    """What `Activation` has to know beside its values."""

    kinks: tuple[float, ...]
    degree: int | None
    at_zero: tuple[float, float, float]
    at_infinity: tuple[float, float] | None
    max_slope: float
    parity: str | None
    oscillates: bool


def _grid() -> Array:
    outer = np.logspace(-12, 3, 301)
    return np.unique(np.concatenate([-outer, [0.0], outer, np.linspace(-30, 30, 2401)]))


def of_formula(formula: Formula) -> Facts:
    """Facts of a formula; ValueError if it has no finite value somewhere in |x| <= 1000."""
    grid = _grid()
    # Exponentials may pass float64's limit within |x| <= 1000: that is no hole in the domain.
    for x in grid[~np.isfinite(formula.plainly(grid))]:
        value = float(formula.numpy(x))
        if np.isnan(value) or (abs(x) <= 700 and np.isinf(value)):
            raise ValueError(
                f"formula {shown(formula.text)} is {value} at x = {x:g}; an activation must "
                "be finite and real for every x (write 'a if b < c else d' to fill a hole)"
            )
    return Facts(
        kinks=formula.kinks,
        degree=formula.degree,
        at_zero=_formula_at_zero(formula),
        at_infinity=_formula_at_infinity(formula),
        max_slope=_max_slope(lambda x: _sampled_slope(formula, x), formula.kinks),
        parity=_parity(formula.numpy),
        oscillates=formula.oscillates,
    )


def _sampled_slope(formula: Formula, x: Array) -> Array:
    """The derivative at x, with a careful second look where float64 may mislead."""
    from mpmath import mp

    slopes = formula.plainly(x, derivative=True)
    lost = np.flatnonzero(~np.isfinite(slopes))
    slopes[lost] = np.nan
    some = lost[:: max(1, lost.size // _MOST_RESCUES)]
    slopes[some] = formula.derivative_numpy(x[some])
    # Near 0, forms such as (1 - cos(x))/x cancel until nothing is left.
    with mp.workdps(80):
        for index in np.flatnonzero(np.abs(x) < 1e-3):
            slopes[index] = float(formula.mpmath(mp.mpf(float(x[index])), derivative=True))
    return slopes


def _formula_at_zero(formula: Formula) -> tuple[float, float, float]:
    from mpmath import mp

    slopes = []
    # 160 digits leave 1e-40 room for cancellation that float64 has not.
    with mp.workdps(160):
        for side in (-1, 1):
            at = [formula.mpmath(side * mp.mpf(10) ** -k, derivative=True) for k in (30, 40, 50)]
            slopes.append(_limit_at_zero(at, formula.text))
    return float(formula.numpy(0.0)), slopes[0], slopes[1]


def _limit_at_zero(slopes: list[Any], text: str) -> float:
    first, second, third = slopes
    if abs(third - second) <= 1e-9 * abs(third) + 1e-20:
        return float(third) if abs(third) > 1e-18 else 0.0
    if abs(third) > abs(second) > abs(first) and abs(third) > 1:
        return math.copysign(math.inf, third)
    raise ValueError(
        f"formula {shown(text)} has no one-sided slope at 0: its derivative does not settle as x "
        f"goes to 0 ({float(second):g}, then {float(third):g}); an activation must have one"
    )


def _formula_at_infinity(formula: Formula) -> tuple[float, float] | None:
    from mpmath import mp

    limits = []
    with mp.workdps(60):
        for side in (-1, 1):
            points = [side * mp.mpf(10) ** k for k in (50, 100, 200)]
            limits.append(_limit_at_infinity([float(formula.mpmath(x) / x) for x in points]))
    low, high = limits
    return None if low is None or high is None else (low, high)


def _limit_at_infinity(ratios: list[float]) -> float | None:
    _, second, third = ratios
    if not (math.isfinite(second) and math.isfinite(third)):
        return None
    if abs(third - second) > 1e-9 * max(1.0, abs(third)):
        return None
    return third if abs(third) > 1e-9 else 0.0


def _max_slope(derivative: Function, kinks: tuple[float, ...]) -> float:
    """sup |derivative|, from a grid refined around its largest value."""
    offsets = np.array([-1e-4, -1e-8, -1e-12, 1e-4, 1e-8, 1e-12])
    around = [kink + offsets * max(1.0, abs(kink)) for kink in kinks]
    outer = np.concatenate([np.logspace(-30, -3, 55), np.logspace(-2.95, 12, 300)])
    grid = np.unique(np.concatenate([-outer, outer, np.linspace(-40, 40, 8000), *around]))
    size = np.abs(np.asarray(derivative(grid), dtype=np.float64))
    if np.any(np.isinf(size)):
        return math.inf
    size = np.where(np.isnan(size), 0.0, size)
    inner = float(size[np.abs(grid) <= 1e6].max())
    if size.max() > (1 + 1e-6) * inner or _grows_near(derivative, (0.0, *kinks)):
        return math.inf
    best = int(size.argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    for _ in range(8):
        finer = np.linspace(low, high, 65)
        values = np.nan_to_num(np.abs(np.asarray(derivative(finer), dtype=np.float64)))
        top = int(values.argmax())
        inner = max(inner, float(values[top]))
        low, high = finer[max(top - 1, 0)], finer[min(top + 1, 64)]
    return inner


def _grows_near(derivative: Function, points: tuple[float, ...]) -> bool:
    """Whether |derivative| keeps growing on the way into one of the points."""
    for point in points:
        scale = max(1.0, abs(point))
        for side in (-scale, scale):
            steps = point + side * np.array([1e-5, 1e-8, 1e-11])
            near, nearer, nearest = np.abs(np.asarray(derivative(steps), dtype=np.float64))
            if nearest > 5 * nearer > 25 * near > 0:
                return True
    return False


def _parity(function: Function) -> str | None:
    """Whether f(-x) is -f(x) or f(x) to the last bit: rounding respects both symmetries."""
    x = _grid()
    with np.errstate(all="ignore"):
        right, left = np.asarray(function(x)), np.asarray(function(-x))
    if np.array_equal(left, right):
        return "even"
    return "odd" if np.array_equal(left, -right) else None


def of_callable(
    function: Function, derivative: Function, name: str, kinks: tuple[float, ...]
) -> Facts:
    """Check a pair of callables on a grid and read off their behaviour at 0 and far out."""
    grid = _grid()
    grid = grid[np.min(np.abs(grid[:, None] - np.array([*kinks, np.inf])), axis=1) > 0]
    values = called(function, grid, name, "")
    slopes = called(derivative, grid, name, "derivative of ")
    _check_derivative(function, derivative, grid, values, slopes, name, kinks)
    near = called(derivative, np.array([-1e-300, 1e-300]), name, "derivative of ")
    near[np.abs(near) < 1e-290] = 0.0  # a smooth function's slope on its way through 0
    at_zero = float(called(function, np.zeros(1), name, "")[0])
    return Facts(
        kinks=kinks,
        degree=None,
        at_zero=(at_zero, float(near[0]), float(near[1])),
        at_infinity=_callable_at_infinity(function),
        max_slope=_max_slope(lambda x: _quietly(derivative, x), kinks),
        parity=None,
        oscillates=False,
    )


def _callable_at_infinity(function: Function) -> tuple[float, float] | None:
    limits = []
    for side in (-1.0, 1.0):
        x = side * np.array([1e50, 1e100, 1e150])
        ratios = np.asarray(_quietly(function, x), dtype=np.float64) / x
        limits.append(_limit_at_infinity([float(ratio) for ratio in ratios]))
    low, high = limits
    return None if low is None or high is None else (low, high)


def _quietly(function: Function, x: Array) -> Any:
    with np.errstate(all="ignore"):
        return function(x.copy())  # the caller's x stays what it is, whatever the function does


def called(function: Function, x: Array, name: str, what: str) -> Array:
    """The callable's finite float64 values at x, or an error that says what came instead."""
    given = _quietly(function, x)
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"the {what}callable {name} returned {type(given).__name__}, not an array of floats"
        ) from None
    if values.shape != x.shape:
        raise ValueError(
            f"the {what}callable {name} returned shape {values.shape} for input of shape "
            f"{x.shape}; it must work element by element"
        )
    bad = ~np.isfinite(values) & (np.abs(x) <= 700)
    if np.any(bad):
        raise ValueError(
            f"the {what}callable {name} returned {values[bad][0]} at x = {x[bad][0]:g}; it must be "
            "finite for every x"
        )
    return values


def _check_derivative(
    function: Function,
    derivative: Function,
    x: Array,
    values: Array,
    slopes: Array,
    name: str,
    kinks: tuple[float, ...],
) -> None:
    step = 1e-5 * np.maximum(np.abs(x), 1e-3)
    up, down = x + step, x - step
    crosses = np.zeros(x.shape, dtype=bool)
    for kink in kinks:
        crosses |= (down <= kink) & (kink <= up)
    with np.errstate(all="ignore"):
        rise = np.asarray(_quietly(function, up)) - np.asarray(_quietly(function, down))
        difference = rise / (up - down)
        # Rounding of the values, and the step's own error, which the slope's change bounds.
        noise = 1e-15 * np.abs(values) / step
        turn = np.asarray(_quietly(derivative, up)) - np.asarray(_quietly(derivative, down))
        bend = np.abs(turn)
    tolerance = 1e-4 * np.maximum(np.abs(difference), 1e-3) + 10 * noise + bend
    wrong = (np.abs(difference - slopes) > tolerance) & ~crosses & (np.abs(x) <= 30)
    if np.any(wrong):
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"the derivative given for {name} is {slopes[at]:g} at x = {x[at]:g}, where finite "
            f"differences give {difference[at]:g}; correct it, or declare the kink (kinks=...)"
        )
