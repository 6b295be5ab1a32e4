"""The matrix-free algorithm, up and back, written in NumPy: a yardstick for the compiled one.

Many networks at once, so that NumPy's overhead does not count; every array is written in place;
the way back sets the generator to where it stood and draws each layer's numbers again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def same_algorithm(depth: int, width: int, trials: int) -> dict[str, FloatArray]:
    """He networks with ReLU: what is measured by layer, as arrays of shape (depth, trials).

    Layer l is z = sqrt(K) g with g normal. Its weights, given that, take a gradient d to
    h (z.d)/|h|^2 + (r - h (h.r)/|h|^2) |d| sigma/sqrt(n), r normal, h the activations below.
    """
    # SFC64 is the fastest of NumPy's generators
    rng, fresh = (np.random.Generator(np.random.SFC64(seed)) for seed in (1, 2))
    g, h, r, d = np.empty((4, trials, width))
    active = np.empty((trials, width), dtype=bool)
    names = ("log_k", "log_q", "log_a", "mean", "zero", "log_g")
    found = {name: np.empty((depth, trials)) for name in names}
    states = []
    log_k = np.full(trials, np.log(2.0))
    for layer in range(depth):
        states.append(rng.bit_generator.state)
        rng.standard_normal(out=g)
        found["log_k"][layer] = log_k
        found["log_q"][layer] = log_k + np.log(_dots(g, g) / width)
        np.maximum(g, 0.0, out=h)
        square = _dots(h, h) / width
        found["log_a"][layer] = log_k + np.log(square)
        found["mean"][layer] = h.mean(axis=1) / np.sqrt(square)
        found["zero"][layer] = 1.0 - np.count_nonzero(h, axis=1) / width
        log_k = found["log_a"][layer] + np.log(2.0)
    fresh.standard_normal(out=d)
    d /= np.sqrt(_dots(d, d) / width)[:, None]
    log_g = found["log_g"]
    log_g[-1] = 0.0
    along = _dots(g_of(states[-1], g), d)
    for layer in range(depth - 2, -1, -1):
        # g: this layer's; d: the gradient above, of mean square 1; along: d times the g above
        g_of(states[layer], g)
        np.maximum(g, 0.0, out=h)
        fresh.standard_normal(out=r)
        hh, hr = _dots(h, h), _dots(h, r)
        np.multiply(h, (along / np.sqrt(hh * width) - hr / hh)[:, None], out=d)
        d += r
        d *= np.greater(g, 0.0, out=active)
        square = _dots(d, d) / width
        d /= np.sqrt(square)[:, None]
        log_g[layer] = log_g[layer + 1] + np.log(2.0 * square)
        along = _dots(g, d)
    return found


def g_of(state: dict[str, object], room: FloatArray) -> FloatArray:
    """The normals drawn where the generator stood."""
    bits = np.random.SFC64()
    bits.state = state
    np.random.Generator(bits).standard_normal(out=room)
    return room


def _dots(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.einsum("ij,ij->i", x, y)
