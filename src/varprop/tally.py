"""Counting values into the bins of a histogram, one layer's vector at a time, in plain NumPy."""

from __future__ import annotations

import math

import numpy as np

from .histogram import MOST_LOG, NO_SCALE, Counts, coarsened, uncountable
from .statistic import FloatArray


class Tally:
    """Counts that grow; `counts` gives the record.

    Parameters
    ----------
    depth : int
    bins : int or array
        Number of automatic bins, or the edges of fixed ones.

    Examples
    --------
    >>> tally = Tally(1, 4)
    >>> tally.add(0, np.array([-1.0, 0.0, 0.5, 1.5]), -2000.0)
    >>> tally.counts().counts, tally.counts().exponents
    (array([[1, 0, 2, 1]]), array([-1443]))
    """

    def __init__(self, depth: int, bins: int | FloatArray) -> None:
        self._edges = None if isinstance(bins, int) else bins
        size = bins if isinstance(bins, int) else len(bins) - 1
        self._counts = np.zeros((depth, size), dtype=np.int64)
        self._exponents = np.full(depth, NO_SCALE, dtype=np.int64)
        self._outside = np.zeros((depth, 2), dtype=np.int64)

    def add(self, layer: int, values: FloatArray, log: float) -> None:
        """Count values exp(log / 2) in a layer, numbered from 0."""
        if self._edges is None:
            self._add_automatic(layer, values, log)
        else:
            self._add_fixed(layer, self._edges, values, log)

    def _add_automatic(self, layer: int, values: FloatArray, log: float) -> None:
        bins = self._counts.shape[1]
        # exp(log / 2) = 2^shift times a factor in [1, 2): powers of two scale exactly
        shift, factor = 0, 1.0
        if log > -math.inf:
            if abs(log) > 2 * MOST_LOG:
                raise OverflowError(uncountable(layer + 1))
            shift = math.floor(log / 2 / math.log(2))
            factor = math.exp(log / 2 - shift * math.log(2))
        scaled = values * factor
        mantissa, power = math.frexp(float(np.abs(scaled).max()))
        exponent = NO_SCALE
        if mantissa:
            half, half_power = math.frexp(bins / 2)
            exponent = shift + power - half_power + (mantissa >= half)
        wider = max(exponent, int(self._exponents[layer]))
        place = np.zeros(len(values), dtype=np.int64)
        if wider > NO_SCALE:
            place = np.floor(np.ldexp(scaled, max(shift - wider, -(2**30)))).astype(np.int64)
        place[(values < 0) & (place == 0)] = -1  # too small for float64 in these units
        self._counts[layer] = coarsened(self._counts[layer], wider - int(self._exponents[layer]))
        self._counts[layer] += np.bincount(place + bins // 2, minlength=bins)
        self._exponents[layer] = wider

    def _add_fixed(self, layer: int, edges: FloatArray, values: FloatArray, log: float) -> None:
        with np.errstate(over="ignore"):
            scaled = values * math.exp(min(max(log / 2, -800.0), 709.0))
        lost = (scaled == 0) & (values != 0)
        scaled = np.where(lost, np.copysign(5e-324, values), scaled)
        place = np.searchsorted(edges, scaled, side="right")
        found = np.bincount(place, minlength=len(edges) + 1)
        self._counts[layer] += found[1:-1]
        self._outside[layer] += found[[0, -1]]

    def counts(self) -> Counts:
        """What has been counted so far."""
        if self._edges is None:
            return Counts(self._counts, exponents=self._exponents)
        return Counts(self._counts, fixed=self._edges, outside=self._outside)
