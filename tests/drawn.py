"""A network that the reference drew, run again in 50 digits: the way to its finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath as mp
import numpy as np
import numpy.typing as npt

from varprop import reference
from varprop.engines import Run

FloatArray = npt.NDArray[np.float64]
Point = tuple[str, int, int]  # which vector, of which layer, which of its entries

PHI = {
    "tanh": mp.tanh,
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "relu": lambda z: z if z > 0 else mp.mpf(0),
    "squared_relu": lambda z: z**2 if z > 0 else mp.mpf(0),
    "sin": mp.sin,
    "gelu": lambda z: z * mp.ncdf(z),
    "linear": lambda z: z,
}


class Drawn:
    """Weights, biases and masks of one trial, and z^L of an input with small shifts anywhere."""

    def __init__(self, run: Run, trial: int) -> None:
        self.run, self.network = run, run.network
        net = self.network
        self.weights, self.biases, self.masks = [], [], []
        for layer in range(net.depth):
            rng = np.random.default_rng([run.seed, trial, layer])
            fan_in, units = net.widths[layer : layer + 2]
            w = reference._weights(net.schemes[layer], rng, units, fan_in)
            scale = mp.mpf(float(net.sigma_w[layer])) / mp.sqrt(fan_in)
            self.weights.append(mp.matrix(w.tolist()) * scale)
            bias = reference._unit_law("normal", rng, units)
            self.biases.append([mp.mpf(float(b)) * float(net.bias_std[layer]) for b in bias])
            mask = np.ones((run.inputs, units))
            if net.keep < 1:
                mask = (rng.random((run.inputs, units)) < net.keep) / net.keep
            self.masks.append(mask)

    def cotangents(self, trial: int) -> FloatArray:
        """The random ones, of mean square 1: shape (cotangents, n_L)."""
        rng = np.random.default_rng([self.run.seed, trial, self.network.depth])
        v = rng.standard_normal((self.run.gradients, self.network.widths[-1]))
        return v / np.sqrt(np.mean(v**2, axis=1, keepdims=True))

    def streams(
        self, x: list[Any], which: int = 0, shift: Mapping[Point, Any] | None = None
    ) -> Any:
        """z of every layer; `which` input's masks; points "x", "b", "w" (flat) and "z" move."""
        shift = shift or {}

        def moved(kind: str, layer: int, values: list[Any]) -> list[Any]:
            return [v + shift.get((kind, layer, i), 0) for i, v in enumerate(values)]

        net = self.network
        h, z, found = moved("x", 0, x), None, []
        for layer in range(net.depth):
            w = self.weights[layer].copy()
            for (kind, of, i), step in shift.items():
                if kind == "w" and of == layer:
                    w[i // w.cols, i % w.cols] += step
            skip, branch = 0, 1
            if net.residual is not None and layer:
                skip, branch = net.residual.skip, mp.mpf(net.residual.factor(net.depth))
            biases = moved("b", layer, self.biases[layer])
            wh = [mp.fdot(w[i, :], h) for i in range(w.rows)]
            z = [
                branch * (one + b) + (skip * z[i] if skip else 0)
                for i, (one, b) in enumerate(zip(wh, biases, strict=True))
            ]
            z = moved("z", layer, self._normed("post", z))
            found.append(z)
            phi = PHI[str(net.acts[layer])]
            u, mask = self._normed("pre", z), self.masks[layer][which]
            h = [phi(v) * mp.mpf(float(m)) for v, m in zip(u, mask, strict=True)]
        return found

    def _normed(self, place: str, z: list[Any]) -> list[Any]:
        norm = self.network.norm
        if norm is None or norm.place != place:
            return z
        mean = mp.fsum(z) / len(z) if norm.kind == "layer" else 0
        centred = [v - mean for v in z]
        root = mp.sqrt(mp.fsum(v**2 for v in centred) / len(z))
        return [v / root for v in centred]

    def slopes(self, x: list[Any], kind: str, layer: int, size: int, which: int = 0) -> Any:
        """d z^l / d (entries of a vector), for every later layer: list over entries of streams."""
        step = mp.mpf(10) ** -20  # with 50 digits: error about 1e-30
        found = []
        for i in range(size):
            ends = [self.streams(x, which, {(kind, layer, i): sign * step}) for sign in (1, -1)]
            found.append(
                [
                    [(up - down) / (2 * step) for up, down in zip(*pair, strict=True)]
                    for pair in zip(*ends, strict=True)
                ]
            )
        return found
