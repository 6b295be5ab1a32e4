"""Whole matrices from the dense engine's own streams."""

from __future__ import annotations

import numpy as np

from ._core import kernels
from .reference import Source, bias_law, haar, scheme_of
from .statistic import FloatArray

_BLOCK = 4096  # units that share a stream


class DenseSource(Source):
    """One trial's numbers as the dense engine draws them; a Haar matrix from Gaussian weights."""

    def weights(self, layer: int) -> FloatArray:
        network = self._run.network
        scheme, shape = scheme_of(network, layer), network.widths[layer : layer + 2]
        fan_in, units = shape
        address = self._run.seed, self._trial, layer + 1
        if scheme.distribution == "orthogonal":
            return haar(kernels.weights(*address, max(shape), min(shape)), units, fan_in)
        drawn: FloatArray = kernels.weights(
            *address, units, fan_in, scheme.distribution, scheme.shape or 0.0
        )
        drawn /= np.sqrt(fan_in)
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
