"""One layer's derivative, up and down, as the reference applies it to tangents and gradients.

Vectors have the shape (units, inputs, columns), scales (inputs, columns): see `scaled`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .scaled import Scaled, normalised, times, total
from .statistic import FloatArray


@dataclass(frozen=True)
class Normalisation:
    """LayerNorm or RMSNorm at a point: what it gives there, and its derivative.

    Parameters
    ----------
    centred : bool
        Whether the mean over units is taken off (LayerNorm).
    values : array, shape (units, inputs)
        What it gives: of mean square 1, or 0 where it reads 0.
    log_scale : array, shape (inputs,)
        ln of the mean square by which it divides; -inf where that is 0.
    """

    centred: bool
    values: FloatArray
    log_scale: FloatArray

    @classmethod
    def of(cls, centred: bool, z: Scaled) -> Normalisation:
        """At the point z."""
        v, log = z
        return cls(centred, *normalised(v - v.mean(axis=0) if centred else v, log))

    def through(self, d: Scaled) -> Scaled:
        """The derivative, a symmetric matrix, times d; 0 where the norm reads 0."""
        v, log = d
        if self.centred:
            v = v - v.mean(axis=0)
        u, scale = self.values[:, :, np.newaxis], self.log_scale[:, np.newaxis]
        zero = np.isneginf(scale)
        v = np.where(zero, 0.0, v - u * np.mean(u * v, axis=0))
        return v, np.where(zero, -np.inf, log - np.where(zero, 0.0, scale))


@dataclass(frozen=True)
class Linearised:
    """What a layer does to small changes: z -> h = mask φ(N_pre(z)) / keep, and the sum before.

    Parameters
    ----------
    slopes : array, shape (units, inputs)
        dh over d N_pre(z), mask included, in units of exp(log_slope / 2).
    log_slope : array, shape (inputs,)
    weight, skip : float
        Factors of weights of variance 1, and of the layer below, in the sum.
    pre, post : Normalisation or None
    """

    slopes: FloatArray
    log_slope: FloatArray
    weight: float
    skip: float
    pre: Normalisation | None
    post: Normalisation | None

    def of_first_input(self) -> Linearised:
        """The same for the first input alone."""
        pre, post = (
            None if norm is None else replace(
                norm, values=norm.values[:, :1], log_scale=norm.log_scale[:1]
            )
            for norm in (self.pre, self.post)
        )  # fmt: skip
        return replace(
            self, slopes=self.slopes[:, :1], log_slope=self.log_slope[:1], pre=pre, post=post
        )

    def activate(self, tangent: Scaled) -> Scaled:
        """From a change of z to that of h."""
        v, log = tangent if self.pre is None else self.pre.through(tangent)
        return self._sloped(v, log)

    def back_from_activation(self, gradient: Scaled) -> Scaled:
        """From a gradient by h to that by z."""
        sloped = self._sloped(*gradient)
        return sloped if self.pre is None else self.pre.through(sloped)

    def add(self, w: FloatArray, below: Scaled, stream: Scaled | None) -> Scaled:
        """From changes of h and z of the layer below to that of z."""
        sum_ = self._joined((_columns(w, below[0]), below[1]), stream)
        return sum_ if self.post is None else self.post.through(sum_)

    def back_to_sum(self, gradient: Scaled) -> Scaled:
        """From a gradient by z to that by the sum before a norm."""
        return gradient if self.post is None else self.post.through(gradient)

    def back_down(self, w: FloatArray, by_sum: Scaled, below: Linearised) -> Scaled:
        """From a gradient by the sum to that by z of the layer below."""
        v, log = by_sum
        branch = below.back_from_activation((_columns(w.T, v), log))
        return self._joined(branch, by_sum if self.skip else None)

    def _sloped(self, v: FloatArray, log: FloatArray) -> Scaled:
        return self.slopes[:, :, np.newaxis] * v, log + self.log_slope[:, np.newaxis]

    def _joined(self, branch: Scaled, stream: Scaled | None) -> Scaled:
        scaled = times(self.weight, branch)
        return scaled if stream is None else total(scaled, times(self.skip, stream))


class Ladder:
    """Orthonormal columns that are orthonormalised anew in every layer, and how they grew."""

    def __init__(self, start: FloatArray) -> None:
        units, count = start.shape
        q, _ = np.linalg.qr(start)
        self._log = np.full(count, np.log(units))  # ln of the squared length, sqrt(n) at the start
        self.columns: Scaled = (q[:, np.newaxis, :], np.zeros((1, 1)))

    def step(self, moved: Scaled) -> FloatArray:
        """Take what became of the columns; give ln of their mean-square stretch so far.

        A column that the others span to rounding is lost, and those after it.
        """
        v, log = moved
        top = float(np.abs(v).max()) if v.size else 0.0
        matrix = v[:, 0, :] / (top or 1.0)
        q, r = np.linalg.qr(matrix)
        grown = np.zeros(matrix.shape[1])
        grown[: len(r)] = np.abs(np.diag(r))
        # rounding, times the condition of the columns before
        dust = 1e-11 * np.linalg.norm(matrix, axis=0)
        left = int(np.argmax(np.append(grown <= dust, True)))
        scale = 0.0 if not left else 2 * np.log(top) + float(np.squeeze(log))
        self._log[:left] += 2 * np.log(grown[:left]) + scale
        self._log[left:] = -np.inf
        self.columns = (q[:, np.newaxis, :left], np.zeros((1, 1)))
        stretch: FloatArray = self._log - np.log(len(matrix))
        return stretch


def _columns(w: FloatArray, v: FloatArray) -> FloatArray:
    """A matrix times every column."""
    product: FloatArray = np.tensordot(w, v, axes=1)
    return product
