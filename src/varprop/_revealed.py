"""What is known of a random matrix: orthonormal directions, and where they go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._core import transcript
from .resources import within_fork

FloatArray = npt.NDArray[np.float64]

_EPS = 2.0**-52
_MUCH = 0.7


def padded(x: FloatArray, length: int) -> FloatArray:
    """A copy of x with zeros up to `length`, and on to whole lanes."""
    out = np.zeros(-(-length // transcript.PITCH) * transcript.PITCH)
    out[: x.size] = x
    return out


class Vectors:
    """A growing list of vectors of one length.

    Parameters
    ----------
    length : int
    threads : int
    """

    def __init__(self, length: int, threads: int) -> None:
        self.length = length
        self.count = 0
        self._threads = threads
        self._rows = np.empty((0, padded(np.zeros(0), length).size))

    @property
    def capacity(self) -> int:
        """How many there is room for."""
        return len(self._rows)

    @property
    def full(self) -> bool:
        """Whether they are as many as their space has dimensions."""
        return self.count >= self.length

    def grow(self, capacity: int) -> None:
        """Make room."""
        rows = np.empty((capacity, self._rows.shape[1]))
        rows[: self.count] = self._rows[: self.count]
        self._rows = rows

    def append(self, vector: FloatArray) -> None:
        """One more; there must be room."""
        self._rows[self.count] = vector
        self.count += 1

    def dots(self, x: FloatArray) -> FloatArray:
        """The product of each with x."""
        products: FloatArray = transcript.dots(
            self._rows, self.count, x, within_fork(self._threads)
        )
        return products

    def add_to(self, x: FloatArray, factors: FloatArray) -> None:
        """Add each times its factor to x."""
        transcript.add(x, self._rows, factors, within_fork(self._threads))

    def take_out(self, x: FloatArray) -> tuple[FloatArray, float]:
        """Turn x into the part of it that is orthogonal to all of these orthonormal vectors.

        Returns
        -------
        factors : array
            x was the sum of `factors` times the vectors, and of what x is now.
        size : float
            The norm of what x is now; 0 where that is nothing but rounding.
        """
        size = norm(x)
        noise = 16 * _EPS * math.sqrt(self.count + 1) * size
        factors = np.zeros(self.count)
        before = math.inf if self.count else size
        # again while much was taken out, for then what is left carries rounding along them
        while size < _MUCH * before:
            part = self.dots(x)
            self.add_to(x, -part)
            factors += part
            before, size = size, norm(x)
            if size <= noise or self.full:
                return factors, 0.0
        return factors, size


@dataclass(frozen=True)
class Revealed:
    """The matrix on one side: orthonormal `directions`, and their `images` on the other side."""

    directions: Vectors
    images: Vectors

    @property
    def mirrored(self) -> Revealed:
        """For an isometry, the same seen from the other side."""
        return Revealed(self.images, self.directions)


def norm(x: FloatArray) -> float:
    """The Euclidean norm."""
    return math.sqrt(transcript.dots(x[np.newaxis], 1, x, 1)[0])
