"""RandomMatrix: a random matrix that answers any number of queries, and is never stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._core import transcript
from ._operator import FloatArray, RealOperator
from ._revealed import Revealed, Vectors, padded
from .arguments import whole
from .network import MAX_WIDTH
from .resources import require_memory, resolve_threads, within_fork
from .simulate import MAX_SEED

LAWS = ("gaussian", "haar")


class RandomMatrix(RealOperator):
    """A random n_out x n_in matrix W, as a SciPy `LinearOperator` that never draws it.

    Every answer has exactly the law that it would have if W had been drawn beforehand, given all
    earlier answers of W and of its transpose: what an earlier query has revealed is looked up, and
    only what is new is drawn.

    Parameters
    ----------
    n_out, n_in : int
        1 to 2**30.
    sigma : float
        Var W_ij = sigma**2/n_in for both laws: the sigma_w of a layer. Positive and finite.
    law : {"gaussian", "haar"}
        Independent normal entries (default); or sigma sqrt(max(n_out, n_in)/n_in) times a
        uniformly random matrix of orthonormal columns (rows, if n_out < n_in).
    seed : int, default 0
        From 0 to 2**64 - 1.
    threads : int, optional
        As in `simulate`; the numbers do not depend on it.

    Attributes
    ----------
    revealed : int
        Directions that queries have revealed so far.

    Raises
    ------
    ValueError, TypeError
        For an argument out of range, or a query that is not finite, real and of the right shape.
    MemoryError
        When what a query reveals would not fit into memory.
    OverflowError
        When an answer lies outside the range of float64.

    Notes
    -----
    Query number k + 1 takes time and memory for about (n_out + n_in) k and n_out + n_in numbers
    (twice the larger size, for "haar"). The same seed and the same sequence of queries give the
    same bits; another sequence reveals another matrix of the same law. Not for queries from
    several threads at once.

    Source: Y. M. Lu, IEEE Trans. Inf. Theory 67(12), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from varprop import RandomMatrix
    >>> W = RandomMatrix(500_000, 1_000_000, sigma=1.0)
    >>> x, y = np.ones(1_000_000), np.ones(500_000)
    >>> bool(np.isclose((W @ x) @ y, x @ (W.T @ y), rtol=1e-10))
    True
    >>> W.revealed, bool(np.allclose(W @ (2 * x), 2 * (W @ x), rtol=1e-12)), W.revealed
    (2, True, 2)
    """

    def __init__(
        self,
        n_out: int,
        n_in: int,
        sigma: float,
        law: str = "gaussian",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        rows, columns = whole("n_out", n_out, 1, MAX_WIDTH), whole("n_in", n_in, 1, MAX_WIDTH)
        self.sigma = _checked_sigma(sigma)
        if law not in LAWS:
            raise ValueError(f"law={law!r} is unknown; use {' or '.join(map(repr, LAWS))}")
        self.law = law
        self.seed = whole("seed", seed, 0, MAX_SEED - 1)
        self._threads = resolve_threads(threads)
        self._draws = 0
        super().__init__((rows, columns))
        sizes = rows, columns
        spread = 1 / columns
        if law == "haar":
            # W is a corner of a square orthogonal matrix
            sizes = (max(sizes),) * 2
            spread = sizes[0] / columns
        # apart, lest their product over- or underflow
        mantissa, self._exponent = math.frexp(self.sigma)
        self._scale = mantissa * math.sqrt(spread)
        self._inputs = self._nothing(sizes[1], sizes[0])
        self._outputs = (
            self._inputs.mirrored if law == "haar" else self._nothing(sizes[0], sizes[1])
        )

    def _nothing(self, length: int, other: int) -> Revealed:
        return Revealed(Vectors(length, self._threads), Vectors(other, self._threads))

    @property
    def revealed(self) -> int:
        """Directions revealed so far, on both sides."""
        pairs = self._inputs.directions.count
        return pairs if self.law == "haar" else pairs + self._outputs.directions.count

    def __repr__(self) -> str:
        return f"RandomMatrix({self.shape[0]}, {self.shape[1]}, {self.sigma!r}, {self.law!r})"

    def _matvec(self, x: FloatArray) -> FloatArray:
        return self._answer(x, self._inputs, self._outputs)[: self.shape[0]]

    def _rmatvec(self, y: FloatArray) -> FloatArray:
        return self._answer(y, self._outputs, self._inputs)[: self.shape[1]]

    def _answer(self, x: FloatArray, asked: Revealed, other: Revealed) -> FloatArray:
        """The product with x, a vector of the side that `asked` is about."""
        _, exponent = math.frexp(float(np.abs(x).max()))
        rest = padded(np.ldexp(x, -exponent), asked.directions.length)
        factors, size = asked.directions.take_out(rest)
        room = 1 if size and not other.directions.full else 0
        self._reserve(asked, room)
        out = padded(np.zeros(0), other.directions.length)
        asked.images.add_to(out, factors)
        if room:
            direction = rest / size
            image = self._image(direction, other)
            asked.directions.append(direction)
            asked.images.append(image)
            out += size * image
        elif size:
            # the transpose is known completely, and so are all answers
            other.directions.add_to(out, other.images.dots(rest))
        with np.errstate(over="ignore", under="ignore"):
            answer: FloatArray = np.ldexp(self._scale * out, exponent + self._exponent)
        if not np.isfinite(answer).all() or (out.any() and not answer.any()):
            raise OverflowError(
                f"the product of {self!r} with a vector whose largest number is "
                f"{float(np.abs(x).max())!r} lies outside the range of float64; use another scale"
            )
        return answer

    def _image(self, direction: FloatArray, other: Revealed) -> FloatArray:
        """Where a new direction goes, drawn given all that is known."""
        if self.law == "gaussian":
            image = self._draw(other)
            # along directions of the other side that were asked for, the answer is known
            known = other.images.dots(direction)
            other.directions.add_to(image, known - other.directions.dots(image))
            return image
        size = 0.0
        while not size:  # what is new of a draw can be lost in rounding
            image = self._draw(other)
            _, size = other.directions.take_out(image)
        return image / size

    def _draw(self, side: Revealed) -> FloatArray:
        numbers: FloatArray = transcript.normals(
            self.seed, self._draws, side.directions.length, within_fork(self._threads)
        )
        self._draws += 1
        return numbers

    def _reserve(self, asked: Revealed, more: int) -> None:
        """Room for what is revealed next; MemoryError before anything has changed."""
        known = asked.directions.count
        if known + more <= asked.directions.capacity:
            return
        capacity = min(known + known // 2 + 2, asked.directions.length)
        pairs = asked.directions, asked.images
        require_memory(
            8 * capacity * sum(vectors.length for vectors in pairs),
            f"what {self!r} reveals with query {self.revealed + 1}",
            "ask it less often, or draw it as an array if that is smaller",
        )
        for vectors in pairs:
            vectors.grow(capacity)


def _checked_sigma(sigma: Any) -> float:
    is_number = isinstance(sigma, int | float | np.integer | np.floating)
    if isinstance(sigma, bool) or not is_number:
        raise TypeError(f"sigma must be a number, not {sigma!r}")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma must be positive and finite, not {sigma!r}")
    return float(sigma)
