"""The same simulation in plain NumPy: draw each matrix, multiply, measure.

It shares no code with the compiled engines but the records, and is what they are measured
against. The one trick is to carry the size of the signal as a logarithm beside a vector of mean
square 1 (`scaled`). Two inputs are two vectors here, so 1 - c is known down to 1e-14 only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .activation import Activation
from .engines import Run
from .histogram import QUANTITIES, Histogram
from .linearised import Ladder, Linearised, Normalisation
from .network import Network
from .pairs import pairs_of
from .propagation import Propagation
from .rows import GAPS, LAYER_FIELDS, without_ones
from .scaled import Scaled, normalised, shifted, times, total
from .scheme import Scheme
from .tally import Tally

FloatArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

CLOSEST = math.log(1e-14)


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


def measure(run: Run, progress: Callable[[float], object] | None = None) -> Arrays:
    """Draw and measure `run.trials` networks, one after the other: arrays named as in `Rows`."""
    if run.log_gap is not None and -math.inf < run.log_gap < CLOSEST:
        raise ValueError(
            f"engine='reference' tells two inputs apart down to 1 - c = 1e-14, ln(1 - c) = "
            f"{CLOSEST:.1f}, not {run.log_gap!r}"
        )
    run.require_memory()
    tallies = [] if run.histogram is None else [
        Tally(run.network.depth, run.histogram) for _ in QUANTITIES
    ]  # fmt: skip
    found = []
    for row in range(run.trials):
        found.append(_measure_one(run, run.first_trial + row, tallies))
        if progress is not None:
            progress((row + 1) / run.trials)
    arrays = {name: without_ones(np.stack([one[name] for one in found])) for name in found[0]}
    if tallies:
        arrays |= Histogram(*(tally.counts() for tally in tallies)).arrays()
    return arrays


def _measure_one(run: Run, trial: int, tallies: list[Tally]) -> Arrays:
    found, layers = forward(run, Source(run, trial), tallies)
    if run.backward:
        found |= _backward(run, trial, layers)
    if run.tangents:
        first = [layer.of_first_input() for layer in layers]
        found["log_tangent"] = _tangents(run, trial, first)
        if run.backward:
            found["log_adjoint"] = _adjoints(run, trial, first)
    return found


def _generator(run: Run, trial: int, layer: int) -> np.random.Generator:
    """Each layer has its own, so that the way back can draw the same matrix again."""
    return np.random.default_rng([run.seed, trial, layer])


class Source:
    """Where one trial's numbers come from; asked for weights, biases, masks, in this order.

    The weights of a layer may be asked for again.
    """

    def __init__(self, run: Run, trial: int) -> None:
        self._run, self._trial = run, trial

    def weights(self, layer: int) -> FloatArray:
        """A matrix whose entries have variance 1."""
        network = self._run.network
        self._rng = _generator(self._run, self._trial, layer)
        units, fan_in = network.widths[layer + 1], network.widths[layer]
        return _weights(scheme_of(network, layer), self._rng, units, fan_in)

    def biases(self, layer: int) -> FloatArray:
        """Of variance 1, (units,)."""
        network = self._run.network
        return _unit_law(bias_law(network, layer), self._rng, network.widths[layer + 1])

    def kept(self, layer: int) -> FloatArray:
        """Which units each input keeps, (inputs, units)."""
        network = self._run.network
        share: FloatArray = self._rng.random((self._run.inputs, network.widths[layer + 1]))
        return np.asarray(share < network.keep)


def forward(run: Run, source: Source, tallies: list[Tally]) -> tuple[Arrays, list[Linearised]]:
    """What is measured in each layer, and each layer's derivative."""
    network, inputs, depth = run.network, run.inputs, run.network.depth
    widths, gains, biases = network.widths, network.sigma_w, network.bias_std
    found: Arrays = {name: np.empty((inputs, depth)) for name in LAYER_FIELDS}
    if run.pairs:
        found |= {name: np.empty((run.pairs, depth)) for name in GAPS}
    died, last_source = np.zeros(inputs, dtype=np.int64), network.last_source
    x = np.ones((1, widths[0])) if run.x is None else run.x
    h, carried, stream = normalised(x.T), shifted(x.T), None
    layers = []
    for layer in range(depth):
        w = source.weights(layer)
        unit_bias = source.biases(layer)[:, np.newaxis]
        branch, skip = _factors(network, layer)
        weight = branch * gains[layer] / float(np.sqrt(widths[layer]))
        # what K is made of, given the layer below; and z
        below = [
            times(branch * gains[layer], h),
            times(branch * biases[layer], (np.ones((1, inputs)), np.zeros(inputs))),
            *([] if stream is None else [times(skip, stream)]),
        ]
        log_k = np.logaddexp.reduce([log for _, log in below])
        # sums of the numbers as they are: where weights are signs, they may be exactly 0
        drawn = [times(weight, _each(w, carried)), _each(unit_bias, below[1]), *below[2:]]
        z = total(*drawn, unit=log_k)
        if post := _normalisation(network, "post", z):
            z = post.values, np.where(np.isneginf(post.log_scale), -np.inf, 0.0)
        pre = _normalisation(network, "pre", z)
        act = network.distinct_acts[layer if len(network.distinct_acts) > 1 else 0]
        reads = z if pre is None else (pre.values, np.zeros(inputs))
        values, slopes, log_unit, log_slope = _activate(act, *reads)
        slope = act.max_slope if np.isfinite(act.max_slope) else 0.0
        saturated = np.abs(slopes) <= run.saturated_below * slope
        if network.keep < 1:
            mask = source.kept(layer).T / network.keep
            values, slopes = values * mask, slopes * mask
        layers.append(Linearised(slopes, log_slope, weight, skip, pre, post))
        for tally, (v, log) in zip(tallies, (z, (values, log_unit)), strict=False):
            for b in range(inputs):
                tally.add(layer, v[:, b], float(log[b]))
        along = z if post else normalised(*z)
        unit_h, log_a = normalised(values)
        dead = np.isneginf(log_a)
        h = unit_h, np.where(dead, -np.inf, log_a + np.where(dead, 0.0, log_unit))
        carried = shifted(values, log_unit)
        found["log_preactivation"][:, layer], found["log_activation"][:, layer] = along[1], h[1]
        found["log_variance"][:, layer] = log_k
        found["relative_mean"][:, layer] = np.clip(unit_h.mean(axis=0), -1, 1)
        found["saturated"][:, layer] = saturated.mean(axis=0)
        found["zero"][:, layer] = (values == 0).mean(axis=0)
        if run.pairs:
            found["log_gap"][:, layer] = _gaps([along[0]])
            shares = [total(part, unit=log_k)[0] for part in below]
            found["log_kernel_gap"][:, layer] = _gaps(shares)
        gone = dead & (network.residual is None or np.isneginf(along[1])) & (layer >= last_source)
        died[gone & (died == 0)] = layer + 1
        stream = along if network.residual is not None else None
    return found | {"died": died if inputs > 1 else died[0]}, layers


def _backward(run: Run, trial: int, layers: list[Linearised]) -> Arrays:
    """ln g of every layer, for gradients that start as the cotangents."""
    network, shape = run.network, (run.inputs, run.gradients, run.network.depth)
    if isinstance(run.cotangents, int):
        rng = _generator(run, trial, network.depth)
        v, _ = normalised(rng.standard_normal((run.cotangents, network.widths[-1])).T)
        log = np.zeros(run.cotangents)
    else:
        v, log = normalised(run.cotangents.T)
    found: Arrays = {"log_gradient": np.empty(shape)}
    if run.sums:
        found["log_sum_gradient"] = np.empty(shape)
    start = np.repeat(v[:, np.newaxis], run.inputs, axis=1), np.tile(log, (run.inputs, 1))
    gradient = start
    for layer in range(network.depth - 1, -1, -1):
        gradient = normalised(*gradient)
        found["log_gradient"][:, :, layer] = gradient[1]
        by_sum = normalised(*layers[layer].back_to_sum(gradient))
        if run.sums:
            found["log_sum_gradient"][:, :, layer] = by_sum[1]
        if layer:
            w = Source(run, trial).weights(layer)
            gradient = layers[layer].back_down(w, by_sum, layers[layer - 1])
    return found


def _tangents(run: Run, trial: int, layers: list[Linearised]) -> FloatArray:
    """ln of the mean-square stretch of tangents of the first input on their way up."""
    network = run.network
    rng = _generator(run, trial, network.depth + 1)
    ladder = Ladder(rng.standard_normal((run.tangents, network.widths[0])).T)
    found = np.empty((run.tangents, network.depth))
    for layer, here in enumerate(layers):
        w, stream = Source(run, trial).weights(layer), None
        below = ladder.columns
        if layer:
            stream = below if network.residual is not None else None
            below = layers[layer - 1].activate(below)
        found[:, layer] = ladder.step(here.add(w, below, stream))
    return found


def _adjoints(run: Run, trial: int, layers: list[Linearised]) -> FloatArray:
    """The same of cotangents on their way back; 0 in the last layer."""
    network = run.network
    rng = _generator(run, trial, network.depth + 2)
    ladder = Ladder(rng.standard_normal((run.tangents, network.widths[-1])).T)
    found = np.zeros((run.tangents, network.depth))
    for layer in range(network.depth - 1, 0, -1):
        w, here = Source(run, trial).weights(layer), layers[layer]
        by_sum = here.back_to_sum(ladder.columns)
        found[:, layer - 1] = ladder.step(here.back_down(w, by_sum, layers[layer - 1]))
    return found


def scheme_of(network: Network, layer: int) -> Scheme:
    """That of one layer."""
    each = network.distinct_schemes
    return each[layer if len(each) > 1 else 0]


def bias_law(network: Network, layer: int) -> str:
    """That of one layer."""
    return "normal" if network.sigma_b is not None else scheme_of(network, layer).bias_distribution


def _factors(network: Network, layer: int) -> tuple[float, float]:
    """Of weights and biases, and of the layer below: the first layer reads the input."""
    if network.residual is None or layer == 0:
        return 1.0, 0.0
    return network.residual.factor(network.depth), network.residual.skip


def _normalisation(network: Network, place: str, z: Scaled) -> Normalisation | None:
    if network.norm is None or network.norm.place != place:
        return None
    return Normalisation.of(network.norm.kind == "layer", z)


def _each(w: FloatArray, h: Scaled) -> Scaled:
    """W times every column on its own, so that equal columns give equal bits."""
    columns = [w @ np.ascontiguousarray(column) for column in h[0].T]
    return np.stack(columns, axis=1), h[1]


def _gaps(parts: list[FloatArray]) -> list[float]:
    """ln(1 - cosine) of all pairs of columns, given in parts whose mean squares sum to 1."""
    gaps = []
    for a, b in pairs_of(parts[0].shape[1]):
        if not all(any(part[:, i].any() for part in parts) for i in (a, b)):
            gaps.append(math.inf)  # no direction
            continue
        gap = sum(float(np.mean((part[:, a] - part[:, b]) ** 2)) for part in parts) / 2
        gaps.append(math.log(gap) if gap else -math.inf)
    return gaps


def _activate(
    act: Activation, z: FloatArray, logs: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """φ and φ′ of columns z exp(log / 2), and the scales in whose units they are."""
    values, slopes = np.empty_like(z), np.empty_like(z)
    log_unit, log_slope = np.zeros(len(logs)), np.zeros(len(logs))
    for b, log in enumerate(logs):
        column, lines = z[:, b], None
        if act.degree is not None:
            values[:, b], slopes[:, b] = act(column), act.derivative(column)
            if act.degree:
                log_unit[b] = act.degree * log
                log_slope[b] = (act.degree - 1) * log if log > -np.inf else 0.0
            continue
        if log < -552.6 and act.at_zero[0] == 0 and np.isfinite(act.at_zero).all():
            lines = act.at_zero[1:]
        elif log > 552.6 and act.at_infinity is not None and any(act.at_infinity):
            lines = act.at_infinity
        if lines is not None:
            slopes[:, b] = np.where(column > 0, lines[1], lines[0])
            values[:, b], log_unit[b] = slopes[:, b] * column, log
        else:
            y = np.exp(np.clip(log, -1300, 692) / 2) * column
            values[:, b], slopes[:, b] = act(y), act.derivative(y)
    return values, slopes, log_unit, log_slope


def _weights(scheme: Scheme, rng: np.random.Generator, units: int, fan_in: int) -> FloatArray:
    """A matrix whose entries have variance 1."""
    law = scheme.distribution
    if law != "orthogonal":
        return _unit_law(law, rng, (units, fan_in), scheme.shape)
    tall = rng.standard_normal((max(units, fan_in), min(units, fan_in)))
    return haar(tall, units, fan_in)


def haar(tall: FloatArray, units: int, fan_in: int) -> FloatArray:
    """A Haar matrix from a Gaussian one: its Q, with the signs of R's diagonal taken out.

    Parameters
    ----------
    tall : array, shape (max(units, fan_in), min(units, fan_in))
    units, fan_in : int

    Returns
    -------
    array, shape (units, fan_in)
        Of variance 1.
    """
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    matrix: FloatArray = q if units >= fan_in else q.T
    return matrix * float(np.sqrt(max(units, fan_in)))


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
