"""The matrix-free algorithm, written in NumPy: a yardstick for the compiled one.

Many networks at once, so that NumPy's overhead does not count; every array is written in place.
He networks with ReLU. Every function gives a callable that runs `trials` networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Found = dict[str, FloatArray]

_NAMES = ("log_k", "log_q", "log_a", "mean", "zero")


def forward(
    depth: int, width: int, trials: int, *, orthogonal: bool = False
) -> Callable[[], FloatArray]:
    """Give a run of the way up: ln of each layer's mean square, (trials, depth)."""
    # SFC64 is the fastest of NumPy's generators
    rng = np.random.Generator(np.random.SFC64(1))
    g, h = np.empty((2, trials, width))

    def work() -> FloatArray:
        found = {name: np.empty((depth, trials)) for name in _NAMES}
        log_k = np.full(trials, np.log(2.0))
        for layer in range(depth):
            rng.standard_normal(out=g)
            if orthogonal:  # a direction's image is uniform on a sphere
                g_norm = np.sqrt(_dots(g, g) / width)
                np.divide(g, g_norm[:, None], out=g)
            log_k = _measure(found, layer, log_k, g, h)
        return found["log_q"].T

    return work


def orthogonal_weights(depth: int, width: int, trials: int) -> Callable[[], FloatArray]:
    return forward(depth, width, trials, orthogonal=True)


def both_ways(depth: int, width: int, trials: int) -> Callable[[], Found]:
    """Give a run up and back: what is measured by layer, as arrays of shape (depth, trials).

    The way back sets the generator to where it stood and draws each layer's numbers again.
    Layer l is z = sqrt(K) g with g normal. Its weights, given that, take a gradient d to
    h (z.d)/|h|^2 + (r - h (h.r)/|h|^2) |d| sigma/sqrt(n), r normal, h the activations below.
    """
    rng, fresh = (np.random.Generator(np.random.SFC64(seed)) for seed in (1, 2))
    g, h, r, d = np.empty((4, trials, width))
    active = np.empty((trials, width), dtype=bool)

    def work() -> Found:
        found = {name: np.empty((depth, trials)) for name in (*_NAMES, "log_g")}
        states = []
        log_k = np.full(trials, np.log(2.0))
        for layer in range(depth):
            states.append(rng.bit_generator.state)
            rng.standard_normal(out=g)
            log_k = _measure(found, layer, log_k, g, h)
        fresh.standard_normal(out=d)
        d[:] /= np.sqrt(_dots(d, d) / width)[:, None]
        log_g = found["log_g"]
        log_g[-1] = 0.0
        along = _dots(_normals_at(states[-1], g), d)
        for layer in range(depth - 2, -1, -1):
            # g: this layer's; d: the gradient above, of mean square 1; along: d times the g above
            _normals_at(states[layer], g)
            np.maximum(g, 0.0, out=h)
            fresh.standard_normal(out=r)
            hh, hr = _dots(h, h), _dots(h, r)
            np.multiply(h, (along / np.sqrt(hh * width) - hr / hh)[:, None], out=d)
            np.add(d, r, out=d)
            np.multiply(d, np.greater(g, 0.0, out=active), out=d)
            square = _dots(d, d) / width
            np.divide(d, np.sqrt(square)[:, None], out=d)
            log_g[layer] = log_g[layer + 1] + np.log(2.0 * square)
            along = _dots(g, d)
        return found

    return work


def pair(depth: int, width: int, trials: int) -> Callable[[], FloatArray]:
    """Give a run of two inputs, orthogonal at first: ln of mean squares, (depth, 2, trials)."""
    rng = np.random.Generator(np.random.SFC64(1))
    z = np.empty((2, trials, width))

    def work() -> FloatArray:
        log_q = np.empty((depth, 2, trials))
        # lower triangle of the two inputs' kernel: z1 = a g1, z2 = b g1 + c g2
        a, b, c = np.sqrt([[2.0], [0.0], [2.0]]) * np.ones((1, trials))
        for layer in range(depth):
            rng.standard_normal(out=z)
            z[1] *= c[:, None]
            z[1] += b[:, None] * z[0]
            z[0] *= a[:, None]
            log_q[layer] = np.log([_dots(each, each) / width for each in z])
            np.maximum(z, 0.0, out=z)
            kernel = [2.0 / width * _dots(z[i], z[j]) for i, j in ((0, 0), (0, 1), (1, 1))]
            a = np.sqrt(kernel[0])
            b = kernel[1] / a
            c = np.sqrt(np.maximum(kernel[2] - b * b, 0.0))
        return log_q

    return work


def batch(depth: int, width: int, trials: int, inputs: int = 64) -> Callable[[], FloatArray]:
    """Give a run of many inputs, a network at a time: ln of mean squares, (trials, depth, B)."""
    rng = np.random.Generator(np.random.SFC64(1))
    x = np.random.default_rng(2).standard_normal((width, inputs))
    g = np.empty((width, inputs))

    def work() -> FloatArray:
        log_q = np.empty((trials, depth, inputs))
        for trial in range(trials):
            h = x
            for layer in range(depth):
                triangle = np.linalg.qr(h, mode="r")
                rng.standard_normal(out=g)
                z = g @ (np.sqrt(2 / width) * triangle)
                log_q[trial, layer] = np.log(np.mean(z * z, axis=0))
                h = np.maximum(z, 0.0)
        return log_q

    return work


def _measure(
    found: Found, layer: int, log_k: FloatArray, g: FloatArray, h: FloatArray
) -> FloatArray:
    """Fill in what layer z = sqrt(K) g is like; gives ln K of the next."""
    width = g.shape[1]
    found["log_k"][layer] = log_k
    found["log_q"][layer] = log_k + np.log(_dots(g, g) / width)
    np.maximum(g, 0.0, out=h)
    square = _dots(h, h) / width
    found["log_a"][layer] = log_k + np.log(square)
    found["mean"][layer] = h.mean(axis=1) / np.sqrt(square)
    found["zero"][layer] = 1.0 - np.count_nonzero(h, axis=1) / width
    following: FloatArray = found["log_a"][layer] + np.log(2.0)
    return following


def _normals_at(state: Any, room: FloatArray) -> FloatArray:
    """The normals drawn where the generator stood."""
    bits = np.random.SFC64()
    bits.state = state
    np.random.Generator(bits).standard_normal(out=room)
    return room


def _dots(x: FloatArray, y: FloatArray) -> FloatArray:
    dots: FloatArray = np.einsum("ij,ij->i", x, y)
    return dots
