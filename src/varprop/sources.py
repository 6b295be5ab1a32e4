"""Whole matrices from the dense engine's own streams."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dorgqr

from ._core import kernels
from .reference import Source, bias_law, scheme_of
from .statistic import FloatArray

_BLOCK = 4096  # units that share a stream


class DenseSource(Source):
    """One trial's numbers as the dense engine draws them."""

    def weights(self, layer: int) -> FloatArray:
        network = self._run.network
        scheme, (fan_in, units) = scheme_of(network, layer), network.widths[layer : layer + 2]
        address = self._run.seed, self._trial, layer + 1
        if scheme.distribution == "orthogonal":
            many, few = max(units, fan_in), min(units, fan_in)
            matrix = _product(*kernels.reflections(*address, many, few))
            matrix *= np.sqrt(many)
            return matrix if units >= fan_in else matrix.T
        drawn: FloatArray = kernels.weights(
            *address, units, fan_in, scheme.distribution, scheme.shape or 0.0
        )
        return drawn

    def biases(self, layer: int) -> FloatArray:
        network = self._run.network
        units, law = network.widths[layer + 1], bias_law(network, layer)
        address = self._run.seed, self._trial, layer + 1, "bias"
        blocks = [
            kernels.numbers(*address, block, _BLOCK, law) for block in range(-(-units // _BLOCK))
        ]
        return np.concatenate(blocks)[:units]

    def kept(self, layer: int) -> FloatArray:
        network = self._run.network
        units, limit = network.widths[layer + 1], int(network.keep * 2.0**64)
        address = self._run.seed, self._trial, layer + 1, "mask"
        blocks = [kernels.words(*address, block, _BLOCK) for block in range(-(-units // _BLOCK))]
        return np.asarray(np.concatenate(blocks)[np.newaxis, :units] <= np.uint64(limit))


def _product(vectors: FloatArray, signs: FloatArray) -> FloatArray:
    """The first columns of a product of reflections, (units, columns), times their signs."""
    pivots = np.diag(vectors)
    factors = 2 * pivots**2 / (vectors**2).sum(axis=1)
    matrix: FloatArray
    matrix, _, _ = dorgqr((vectors / pivots[:, np.newaxis]).T, factors, lwork=64 * len(vectors))
    matrix *= signs
    return matrix
