"""The same simulation in plain NumPy: draw each matrix, multiply, measure.

It shares no code with the compiled engines but the records, and is what they are measured
against. The one trick is to carry the size of the signal as a logarithm beside a vector of mean
square 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .activation import Activation
from .engines import Run, rows_of
from .network import Network
from .propagation import Propagation
from .rows import Rows

FloatArray = npt.NDArray[np.float64]


def simulate(network: Network | None = None, **options: Any) -> Propagation:
    """`varprop.simulate` with ``engine="reference"``: the same parameters and result.

    Examples
    --------
    >>> from varprop import reference
    >>> reference.simulate(depth=5, width=20, act="tanh", trials=3).engine
    'reference'
    """
    from .simulate import simulate as run

    return run(network, **{**options, "engine": "reference"})


def rows(run: Run, progress: Callable[[float], object] | None = None) -> Rows:
    """Draw and measure `run.trials` networks, one after the other."""
    run.require_memory()
    values = np.empty((run.statistics, run.trials, run.network.depth))
    died = np.zeros(run.trials, dtype=np.int64)
    for row in range(run.trials):
        values[:6, row], died[row], slopes = _forward(run, run.first_trial + row)
        if run.backward:
            values[6, row] = _backward(run, run.first_trial + row, slopes)
        if progress is not None:
            progress((row + 1) / run.trials)
    return rows_of(values, died)


def _generator(run: Run, trial: int, layer: int) -> np.random.Generator:
    """Each layer has its own, so that the way back can draw the same matrix again."""
    return np.random.default_rng([run.seed, trial, layer])


def _forward(run: Run, trial: int) -> tuple[FloatArray, int, list[tuple[FloatArray, float]]]:
    """What is measured in each layer, the first dead one, and each layer's slopes."""
    network, act = run.network, run.network.act
    slope = act.max_slope if np.isfinite(act.max_slope) else 0.0
    x = np.ones(network.widths[0]) if run.x is None else run.x
    top = np.abs(x).max() or 1.0  # so that the square neither over- nor underflows
    h, log_a = _normalised(x / top)
    log_a += 2 * np.log(top)
    out = np.empty((6, network.depth))
    died = 0
    kept = []
    for layer in range(network.depth):
        rng = _generator(run, trial, layer)
        fan_in, units = network.widths[layer : layer + 2]
        variance, bias_std = network.weight_variance[layer], network.bias_std[layer]
        with np.errstate(divide="ignore"):
            log_w, log_b = log_a + np.log(fan_in * variance), 2 * np.log(bias_std)
        log_k = np.logaddexp(log_w, log_b)
        if log_k == -np.inf:
            z, unit = np.zeros(units), np.zeros(units)
        else:
            # z over the root of K: weights of variance 1/fan_in, and the two parts' shares
            w = _weights(network.scheme.distribution, rng, units, fan_in, network.scheme.shape)
            z = np.exp((log_w - log_k) / 2) * (w @ h)
            unit = np.exp((log_b - log_k) / 2) * _unit_law(network.bias_distribution, rng, units)
        z = z + unit
        values, slopes, log_unit = _activate(act, z, log_k)
        kept.append((slopes, (act.degree - 1) * log_k if act.degree and log_k > -np.inf else 0.0))
        zero, saturated = values == 0, np.abs(slopes) <= run.saturated_below * slope
        mean_h = values.mean()
        h, log_a = _normalised(values)
        mean_h = 0.0 if log_a == -np.inf else np.clip(mean_h / np.exp(log_a / 2), -1, 1)
        log_a += log_unit
        with np.errstate(divide="ignore"):
            log_q = np.log(np.mean(z**2)) + (log_k if log_k > -np.inf else 0.0)
        out[:, layer] = log_q, log_a, log_k, mean_h, saturated.mean(), zero.mean()
        if not died and zero.all() and act.at_zero[0] == 0 and bias_std == 0:
            died = layer + 1
    return out, died, kept


def _backward(run: Run, trial: int, slopes: list[tuple[FloatArray, float]]) -> FloatArray:
    """ln g of every layer, for a gradient that starts as a random direction."""
    network = run.network
    scheme, gains = network.scheme, network.sigma_w**2
    start = _generator(run, trial, network.depth).standard_normal(network.widths[-1])
    delta, _ = _normalised(start)
    log_g = np.zeros(network.depth)
    for layer in range(network.depth - 1, 0, -1):
        fan_in, units = network.widths[layer : layer + 2]
        rng = _generator(run, trial, layer)
        w = _weights(scheme.distribution, rng, units, fan_in, scheme.shape)
        slope, log_unit = slopes[layer - 1]
        delta, log = _normalised(slope * (w.T @ delta))
        log_g[layer - 1] = log_g[layer] + np.log(gains[layer]) + log + log_unit
    return log_g


def _activate(act: Activation, z: FloatArray, log_k: float) -> tuple[FloatArray, FloatArray, float]:
    """φ and φ′ at √K z; values come in units of exp(log_unit / 2)."""
    lines = None
    if act.degree is not None:
        return act(z), act.derivative(z), act.degree * log_k if act.degree else 0.0
    if log_k < -552.6 and act.at_zero[0] == 0 and np.isfinite(act.at_zero).all():
        lines = act.at_zero[1:]
    elif log_k > 552.6 and act.at_infinity is not None and any(act.at_infinity):
        lines = act.at_infinity
    if lines is not None:
        slopes = np.where(z > 0, lines[1], lines[0])
        return slopes * z, slopes, log_k
    y = np.exp(np.clip(log_k, -1300, 692) / 2) * z
    return act(y), act.derivative(y), 0.0


def _normalised(h: FloatArray) -> tuple[FloatArray, float]:
    """h over its root mean square, and ln of the mean square."""
    square = np.mean(h**2)
    if square == 0:
        return h, -np.inf
    return h / np.sqrt(square), float(np.log(square))


def _weights(
    law: str, rng: np.random.Generator, units: int, fan_in: int, shape: float | None = None
) -> FloatArray:
    """A matrix whose entries have variance 1/fan_in."""
    if law != "orthogonal":
        return _unit_law(law, rng, (units, fan_in), shape) / float(np.sqrt(fan_in))
    # Haar: the Q of a Gaussian matrix, with the signs of R's diagonal taken out
    q, r = np.linalg.qr(rng.standard_normal((max(units, fan_in), min(units, fan_in))))
    q *= np.sign(np.diag(r))
    matrix: FloatArray = q if units >= fan_in else q.T
    return matrix * float(np.sqrt(max(units, fan_in) / fan_in))


def _unit_law(
    law: str, rng: np.random.Generator, size: int | tuple[int, int], shape: float | None = None
) -> FloatArray:
    """Numbers of mean 0 and variance 1."""
    match law, shape:
        case "uniform", _:
            return rng.uniform(-np.sqrt(3), np.sqrt(3), size)
        case "rademacher", _:
            return rng.choice([-1.0, 1.0], size)
        case "student_t", float(df):
            heavy: FloatArray = rng.standard_t(df, size) * np.sqrt((df - 2) / df)
            return heavy
        case "sparse", float(p):
            chosen: FloatArray = (rng.random(size) < p) * rng.standard_normal(size) / np.sqrt(p)
            return chosen
    numbers = rng.standard_normal(size)
    if law == "truncated_normal":
        while (outside := np.abs(numbers) > 2).any():
            numbers[outside] = rng.standard_normal(outside.sum())
        # of variance 1 - 4 f(2)/P(|x| < 2), f the normal density
        numbers /= np.sqrt(1 - 4 * np.exp(-2) / (np.sqrt(2 * np.pi) * math.erf(np.sqrt(2))))
    return numbers
