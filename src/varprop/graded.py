"""Products of many matrices, and all their singular values, however far these lie apart.

A product is carried as Q P: Q has orthonormal columns, and P = diag(e^s) U has its rows' sizes in
logarithms, the largest first (up to a factor of e). A factor A takes it to A Q = Q' R and
P' = R P: a row of P' is made of its own row and of smaller ones, so that none drowns in another.
Each factor costs the rounding of its own condition, never that of the product.

On the way Q need not be orthonormal to the last digit, only well conditioned, as long as Q' R is
A Q to rounding. So R is the Cholesky factor of (A Q)ᵀ A Q, whose rounding makes Q' = A Q R⁻¹ a
little oblique, in half the time of a QR decomposition; that is done where A Q is too near to
singular for it, and before singular values are looked at.

Factors of many columns are taken two at a time, B A Q = Q' R: a third of the work less, for the
rounding of the condition of B A in place of those of A and B. Where that is too large, A is taken
alone after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrmv, dtrsm, dtrsv
from scipy.linalg.lapack import dgeqrt, dorgqr, dpotrf

from .statistic import FloatArray

_DUST = 64 * np.finfo(float).eps  # of a column's length: what is left of it is rounding
# Condition of a Cholesky factor; Q is orthonormal up to some eps times its square.
_MOST = 1e7
_MOST_PAIRED = 1e6  # of two factors, whose product's rounding is as large as this times eps
_TURNS = 3  # of the power iterations that estimate it
_PAIRED = 128  # columns from which on factors are taken two at a time
_WAIT = 2  # factors that are taken alone after two would not go together
_PLAIN = 600.0  # e-folds that the square roots of float64's range hold: n exponentials, not n²
_BLOCK = 48  # columns of a block of QR
_STRIP = 64  # columns or rows of a triangular matrix that are taken together
_STEPS = 6  # of QR before windows are cut
# In a window (ln of singular values) those of the core are kept. After so many steps of QR the
# margins shield it from what lies beyond by far less than rounding.
_CORE, _MARGIN = 4.0, 4.0


class Moved(NamedTuple):
    """What columns became: matrix e^log_unit, of this rank at most, as far as is known."""

    matrix: FloatArray
    log_unit: float = 0.0
    rank: float = math.inf

    def in_units(self) -> Moved:
        """The same with a largest number of 1."""
        top = float(np.abs(self.matrix).max(initial=0.0))
        if top == 0:
            return self
        return Moved(self.matrix / top, self.log_unit + math.log(top), self.rank)


class GradedProduct:
    """A product of matrices that grows from the left.

    Parameters
    ----------
    size : int
        Of the identity that it starts as.

    Examples
    --------
    >>> product = GradedProduct(2)
    >>> for _ in range(1000):
    ...     product.multiply(lambda columns: Moved(np.diag([1.0, 0.1]) @ columns))
    >>> product.log_singular_values().round(6) + 0.0
    array([    0.      , -2302.585093])
    """

    def __init__(self, size: int) -> None:
        self._columns = np.eye(size)
        self._rows = np.eye(size)
        self._log = np.zeros(size)
        self._size = size
        self._moved: Moved | None = None  # by a factor that waits for the next one
        self._alone = 0  # so many factors are not to wait

    def multiply(self, factor: Callable[[FloatArray], Moved]) -> None:
        """Multiply from the left by A.

        Directions that A takes to 0, up to rounding, are dropped: their singular values are 0
        from now on. That rounding grows with the condition of the others; where the rank is known,
        no more than so many are kept.

        Parameters
        ----------
        factor : callable
            Takes columns to A times them; may be asked twice.
        """
        if self._moved is None:
            moved = factor(self._columns).in_units()
            rows, columns = moved.matrix.shape
            if self._alone == 0 and rows >= columns >= _PAIRED and moved.rank >= columns:
                self._moved = moved
            else:
                self._alone = max(0, self._alone - 1)
                self._take(moved)
            return
        waiting, self._moved = self._moved, None
        moved = factor(waiting.matrix).in_units()
        if both := _by_cholesky(moved, _MOST_PAIRED):
            self._take(moved._replace(log_unit=waiting.log_unit + moved.log_unit), both)
        else:
            self._take(waiting)
            self._take(factor(self._columns).in_units())
            self._alone = _WAIT

    def _take(self, moved: Moved, qr: tuple[FloatArray, FloatArray] | None = None) -> None:
        """Make Q and P new, given what Q was moved to and perhaps that one's Q and R."""
        q, r = qr or _by_cholesky(moved) or self._by_qr(moved)
        rows, log = _times_graded(r, self._rows, self._log)
        self._columns, self._rows, self._log = q, rows, log + moved.log_unit
        if (np.diff(log) > 1).any():
            order = np.argsort(-log, kind="stable")
            self._columns = self._columns[:, order]
            self._rows, self._log = rows[order], self._log[order]

    def _by_qr(self, moved: Moved) -> tuple[FloatArray, FloatArray]:
        """Q and R without the directions that are lost, whose rows are put last."""
        matrix = moved.matrix
        length = np.linalg.norm(matrix, axis=0)
        while True:
            q, r = _qr(matrix)
            size = np.zeros(matrix.shape[1])
            size[: len(r)] = np.abs(np.diag(r))
            kept = size > _DUST * length
            if kept.sum() > moved.rank:
                share = np.divide(size, length, out=np.zeros(size.shape), where=kept)
                kept[np.argsort(-share, kind="stable")[int(moved.rank) :]] = False
            count = int(kept.sum())
            if kept[:count].all():
                return q[:, :count], r[:count]
            # what the columns before it span, or what rounding left of it, waits at the end
            order = np.argsort(~kept, kind="stable")
            matrix, length = matrix[:, order], length[order]
            self._rows, self._log = self._rows[order], self._log[order]

    def log_singular_values(self) -> FloatArray:
        """ln of all singular values, descending; -inf for those that are 0."""
        if self._moved is not None:
            self._take(self._moved)
            self._moved = None
        found = np.full(min(self._size, len(self._columns)), -np.inf)
        if self._log.size:
            rows, log = _times_graded(_triangle(self._columns), self._rows, self._log)
            found[: log.size] = _log_singular_values(rows, log)
        return found


def _by_cholesky(moved: Moved, most: float = _MOST) -> tuple[FloatArray, FloatArray] | None:
    """Q, nearly orthonormal, and R, whose product is the matrix to rounding.

    None where its columns are too nearly dependent: a condition above the `most`.
    """
    matrix, columns = moved.matrix, moved.matrix.shape[1]
    if columns == 0 or columns > min(len(matrix), moved.rank):
        return None
    square = (matrix.T @ matrix).T  # is its own transpose, and in LAPACK's order
    r, singular = dpotrf(square, lower=0, clean=1, overwrite_a=True)
    if singular or _condition(r) > most:
        return None
    return _over(matrix, r), r


def _over(matrix: FloatArray, r: FloatArray) -> FloatArray:
    """matrix R⁻¹.

    Most of it by products, which other threads can work beside and which are the fastest.
    """
    q = np.empty_like(matrix)
    for first in range(0, len(r), _STRIP):
        strip = slice(first, first + _STRIP)
        left = matrix[:, strip] - q[:, :first] @ r[:first, strip]
        q[:, strip] = dtrsm(1.0, r[strip, strip], left.T, trans_a=1, overwrite_b=True).T
    return q


def _times(r: FloatArray, rows: FloatArray) -> FloatArray:
    """R rows, for R with zeros below the diagonal."""
    product = np.empty((len(r), rows.shape[1]))
    for first in range(0, len(r), _STRIP):
        strip = slice(first, first + _STRIP)
        product[strip] = r[strip, first:] @ rows[first:]
    return product


def _condition(r: FloatArray) -> float:
    """Of a triangular matrix, in the 2-norm, estimated from below to within a small factor."""
    x = y = np.random.default_rng(0).standard_normal(len(r))
    top = bottom = 0.0
    for _ in range(_TURNS):
        x = dtrmv(r, dtrmv(r, x / np.linalg.norm(x)), trans=1)
        y = dtrsv(r, dtrsv(r, y / np.linalg.norm(y), trans=1))
        top, bottom = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    return math.sqrt(top * bottom)


def _qr(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Q and R.

    In half the time of numpy.linalg.qr at 500 columns: the recursive `dgeqrt`, no copies.
    """
    count = min(matrix.shape)
    if count == 0:
        return np.zeros((len(matrix), 0)), np.zeros((0, matrix.shape[1]))
    packed, factors = _packed(matrix)
    columns = np.arange(count)
    tau = factors[columns % len(factors), columns]
    q, _, _ = dorgqr(packed[:, :count], tau, lwork=64 * max(matrix.shape))
    return q, np.triu(packed[:count])


def _triangle(matrix: FloatArray) -> FloatArray:
    """R of a matrix that has no more columns than rows."""
    return np.triu(_packed(matrix)[0][: matrix.shape[1]])


def _packed(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Householder vectors below R, and the triangular factors of their blocks."""
    block = min(_BLOCK, *matrix.shape)
    packed, factors, _ = dgeqrt(block, np.array(matrix, order="F"), overwrite_a=True)
    return packed, factors


def _times_graded(
    r: FloatArray, rows: FloatArray, log: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """R diag(e^log) rows, its own rows of length 1 beside the ln of their lengths."""
    # a few rows may be smaller than those after them: the largest is each row's unit
    top = np.maximum.accumulate(log[::-1])[::-1][: len(r)]
    if log.size and log.max() - log.min() < _PLAIN:
        middle = (log.max() + log.min()) / 2
        weights = r * np.exp(middle - top)[:, np.newaxis] * np.exp(log - middle)
    else:
        weights = r * np.exp(np.minimum(log[:, np.newaxis] - top, 0.0)).T
    rows = _times(weights, rows)
    length = np.linalg.norm(rows, axis=1)
    rows /= length[:, np.newaxis]
    return rows, top + np.log(length)


def _log_singular_values(rows: FloatArray, log: FloatArray) -> FloatArray:
    """Of diag(e^log) rows, the logarithms descending.

    The transpose has the QR factor R = T diag(e^s), T upper triangular; the transpose of that
    has T' diag(e^s), with T' from C_ij = T_ji e^(s_i - s_j). Off-diagonal numbers lose the square
    of e^(s_j - s_i) in each such step, and values far apart lose sight of each other.
    """
    if log.size == 0:
        return log
    t, s = _sorted_columns(_triangle(rows.T), log)
    below = np.tril(np.ones(t.shape, dtype=bool))
    for _ in range(_STEPS):
        gap = np.where(below, s[:, np.newaxis] - s, 0.0)
        turned = np.where(below, t.T * np.exp(gap), 0.0)
        t, s = _sorted_columns(_triangle(turned), s)
    return _by_windows(t, s)


def _sorted_columns(t: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """T diag(e^s) with a diagonal of 1 in T and s descending, up to a factor of e."""
    while True:
        size = np.abs(np.diag(t))
        t, s = t / size, s + np.log(size)
        if (np.diff(s) < 1.0).all():
            return t, s
        # each such turn enlarges some leading minor by e, so that they come to an end
        order = np.argsort(-s, kind="stable")
        t, s = _triangle(t[:, order]), s[order]


def _by_windows(t: FloatArray, s: FloatArray) -> FloatArray:
    """Of T diag(e^s), the numbers of s about those of the singular values."""
    grade = np.minimum.accumulate(s)
    found = np.empty(s.size)
    done = 0
    while done < s.size:
        top = grade[done]
        stop = int(np.searchsorted(-grade, _CORE - top, side="right"))
        first = int(np.searchsorted(-grade, -top - _MARGIN))
        last = int(np.searchsorted(-grade, _CORE + _MARGIN - top, side="right"))
        window = t[first:last, first:last] * np.exp(s[first:last] - top)
        values = np.linalg.svd(window, compute_uv=False)
        found[done:stop] = np.log(values[done - first : stop - first]) + top
        done = stop
    return found
