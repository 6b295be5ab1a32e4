"""Drawn matrices in NumPy: what the matrix-free engine makes unnecessary.

He networks with ReLU, one after the other, each matrix drawn into the same memory with the
fastest of NumPy's generators, and the vector scaled in its place. Every function gives a callable
that runs `trials` networks and returns what it measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, Array], object]


def normal(rng: np.random.Generator, out: Array) -> None:
    rng.standard_normal(out=out, dtype=out.dtype)


def uniform(rng: np.random.Generator, out: Array) -> None:
    """Of variance 1/3, as the range ±1 has."""
    rng.random(out=out, dtype=out.dtype)
    out *= 2
    out -= 1


def orthogonal(rng: np.random.Generator, out: Array) -> None:
    """Haar-distributed, times sqrt(n) so that entries have variance 1."""
    q, r = np.linalg.qr(rng.standard_normal(out.shape, dtype=out.dtype))
    np.multiply(q, np.sign(np.diagonal(r)) * np.sqrt(len(out)), out=out)


def forward(
    depth: int,
    width: int,
    trials: int,
    dtype: str = "float64",
    inputs: int = 1,
    draw: Draw = normal,
    variance: float = 1.0,
) -> Callable[[], Array]:
    """Give a run of the way up: ln of each layer's mean square, (trials, depth, inputs)."""
    rng = np.random.Generator(np.random.SFC64(1))
    weights = np.empty((width, width), dtype)
    scale = weights.dtype.type(np.sqrt(2 / (variance * width)))
    # several inputs are the columns of a matrix; one is a vector, which is faster
    x = np.ones(width, dtype)
    if inputs > 1:
        x = np.random.default_rng(2).standard_normal((width, inputs)).astype(dtype)

    def work() -> Array:
        found = np.empty((trials, depth, inputs))
        for trial in range(trials):
            h = x
            for layer in range(depth):
                draw(rng, weights)
                z = weights @ (scale * h)
                found[trial, layer] = np.log(np.mean(z * z, axis=0))
                h = np.maximum(z, 0)
        return found

    return work


def pair(depth: int, width: int, trials: int, dtype: str = "float64") -> Callable[[], Array]:
    return forward(depth, width, trials, dtype, inputs=2)


def batch(
    depth: int, width: int, trials: int, inputs: int = 64, dtype: str = "float64"
) -> Callable[[], Array]:
    return forward(depth, width, trials, dtype, inputs)


def uniform_weights(
    depth: int, width: int, trials: int, dtype: str = "float64"
) -> Callable[[], Array]:
    return forward(depth, width, trials, dtype, draw=uniform, variance=1 / 3)


def orthogonal_weights(
    depth: int, width: int, trials: int, dtype: str = "float64"
) -> Callable[[], Array]:
    return forward(depth, width, trials, dtype, draw=orthogonal)


def both_ways(depth: int, width: int, trials: int, dtype: str = "float64") -> Callable[[], Array]:
    """Give a run up and back through the same weights, which are kept for it."""
    rng = np.random.Generator(np.random.SFC64(1))
    weights = np.empty((depth, width, width), dtype)
    scale = weights.dtype.type(np.sqrt(2 / width))

    def work() -> Array:
        found = np.empty((2, trials, depth))
        for trial in range(trials):
            h, active = np.ones(width, dtype), []
            for layer in range(depth):
                normal(rng, weights[layer])
                z = weights[layer] @ (scale * h)
                found[0, trial, layer] = np.log(np.mean(z * z))
                h = np.maximum(z, 0)
                active.append(z > 0)
            d = rng.standard_normal(width, dtype=weights.dtype)
            for layer in range(depth - 1, -1, -1):
                found[1, trial, layer] = np.log(np.mean(d * d))
                d = scale * (d @ weights[layer]) * active[layer - 1]
        return found

    return work


def spectrum(depth: int, width: int, trials: int, dtype: str = "float64") -> Callable[[], Array]:
    """Give a run of the product of layers, linear, and its singular values.

    Those below 1e-16 of the largest are lost.
    """
    rng = np.random.Generator(np.random.SFC64(1))
    weights = np.empty((width, width), dtype)

    def work() -> Array:
        found = np.empty((trials, width))
        for trial in range(trials):
            product = np.eye(width, dtype=dtype)
            for _ in range(depth):
                normal(rng, weights)
                product = weights @ product / weights.dtype.type(np.sqrt(width))
            found[trial] = np.linalg.svd(product, compute_uv=False)
        return found

    return work
