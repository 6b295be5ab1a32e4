"""A dialogue with random matrices in which every question depends on earlier answers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, combinations_with_replacement

import numpy as np
import numpy.typing as npt
from budget import two_sided

FloatArray = npt.NDArray[np.float64]
Product = Callable[[FloatArray], FloatArray]


def talk(forward: Product, back: Product, n_out: int, n_in: int) -> FloatArray:
    """Some of what a matrix answers to three questions and to two of its transpose.

    Vectors run along the last axis, matrices along any others.
    """
    first = forward(np.linspace(0.5, 1.5, n_in))
    second = back(np.sin(first) + 0.3)
    third = forward(second + np.linspace(-1, 1, n_in))
    fourth = back(third * first)
    fifth = forward(np.eye(n_in)[0])
    parts = [first[..., 0], second[..., 0], third[..., 1], fourth[..., 0], fourth[..., -1]]
    return np.stack([*parts, fifth[..., 0], fifth[..., 1]], axis=-1)


def talk_to_arrays(w: FloatArray) -> FloatArray:
    """The same with matrices that have been drawn, shape (trials, n_out, n_in)."""

    def forward(x: FloatArray) -> FloatArray:
        return np.einsum("tij,tj->ti", w, np.broadcast_to(x, (len(w), w.shape[2])))

    def back(y: FloatArray) -> FloatArray:
        return np.einsum("tij,ti->tj", w, y)

    return talk(forward, back, *w.shape[1:])


def worst(answers: FloatArray, drawn: FloatArray) -> float:
    """The smallest p-value over all joint moments to order 4, corrected for their number.

    Of bounded functions of the answers: a fourth moment of a heavy tail has no error bar.
    """
    mine, theirs = np.tanh(answers), np.tanh(drawn)
    columns = range(mine.shape[1])
    orders = [combinations_with_replacement(columns, order) for order in (1, 2, 3, 4)]
    p_values = []
    for which in chain.from_iterable(orders):
        a, b = mine[:, which].prod(axis=1), theirs[:, which].prod(axis=1)
        error = np.hypot(a.std() / len(a) ** 0.5, b.std() / len(b) ** 0.5)
        gap = a.mean() - b.mean()
        p_values.append(1.0 if abs(gap) < 1e-12 else two_sided(gap / error))
    return min(1.0, min(p_values) * len(p_values))


def haar(rng: np.random.Generator, trials: int, n_out: int, n_in: int) -> FloatArray:
    """Drawn semi-orthogonal matrices with entries of variance 1/n_in."""
    large, small = max(n_out, n_in), min(n_out, n_in)
    q, r = np.linalg.qr(rng.standard_normal((trials, large, small)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, np.newaxis]
    w = q if n_out >= n_in else q.transpose(0, 2, 1)
    return np.asarray(w * (large / n_in) ** 0.5)
