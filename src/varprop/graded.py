"""Products of many matrices, and all their singular values, however far these lie apart.

A product is carried as Q P: Q has orthonormal columns, and P = diag(e^s) U has its rows' sizes in
logarithms, the largest first (up to a factor of e). A factor A takes it to A Q = Q' R and
P' = R P: a row of P' is made of its own row and of smaller ones, so that none drowns in another.
Each factor costs the rounding of its own condition, never that of the product.

On the way Q need not be orthonormal to the last digit, only well conditioned, as long as Q' R is
A Q to rounding. So R is the Cholesky factor of (A Q)ᵀ A Q, whose rounding makes Q' = A Q R⁻¹ a
little oblique, in half the time of a QR decomposition; that is done where A Q is too near to
singular for it, and before singular values are looked at.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk, dtrmm, dtrsm
from scipy.linalg.lapack import dgeqrt, dorgqr, dpotrf, dtrcon

from .statistic import FloatArray

_DUST = 64 * np.finfo(float).eps  # of a column's length: what is left of it is rounding
# Reciprocal condition of a Cholesky factor; Q is orthonormal up to some eps over its square.
_WELL = 1e-7
_PLAIN = 600.0  # e-folds that the square roots of float64's range hold: n exponentials, not n²
_BLOCK = 48  # columns of a block of QR
_STEPS = 6  # of QR before windows are cut
# In a window (ln of singular values) those of the core are kept. After so many steps of QR the
# margins shield it from what lies beyond by far less than rounding.
_CORE, _MARGIN = 4.0, 4.0


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
    ...     product.multiply(np.diag([1.0, 0.1]) @ product.columns)
    >>> product.log_singular_values().round(6) + 0.0
    array([    0.      , -2302.585093])
    """

    def __init__(self, size: int) -> None:
        self.columns = np.eye(size)
        self._rows = np.eye(size)
        self._log = np.zeros(size)
        self._size = size

    def multiply(self, moved: FloatArray, log_unit: float = 0.0) -> None:
        """Multiply from the left by e^log_unit A, given A times `columns`.

        Directions that A takes to 0, up to rounding, are dropped: their singular values are 0
        from now on.
        """
        top = float(np.abs(moved).max(initial=0.0))
        if top > 0:
            moved, log_unit = moved / top, log_unit + np.log(top)
        q, r = _by_cholesky(moved) or self._by_qr(moved)
        rows, log = _times_graded(r, self._rows, self._log)
        self.columns, self._rows, self._log = q, rows, log + log_unit
        if (np.diff(log) > 1).any():
            order = np.argsort(-log, kind="stable")
            self.columns = self.columns[:, order]
            self._rows, self._log = rows[order], self._log[order]

    def _by_qr(self, moved: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Q and R without the directions that are lost, whose rows are put last."""
        length = np.linalg.norm(moved, axis=0)
        while True:
            q, r = _qr(moved)
            size = np.zeros(moved.shape[1])
            size[: len(r)] = np.abs(np.diag(r))
            kept = size > _DUST * length
            count = int(kept.sum())
            if kept[:count].all():
                return q[:, :count], r[:count]
            # what the columns before it span, or what rounding left of it, waits at the end
            order = np.argsort(~kept, kind="stable")
            moved, length = moved[:, order], length[order]
            self._rows, self._log = self._rows[order], self._log[order]

    def log_singular_values(self) -> FloatArray:
        """ln of all singular values, descending; -inf for those that are 0."""
        found = np.full(min(self._size, len(self.columns)), -np.inf)
        if self._log.size:
            rows, log = _times_graded(_triangle(self.columns), self._rows, self._log)
            found[: log.size] = _log_singular_values(rows, log)
        return found


def _by_cholesky(matrix: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Q, nearly orthonormal, and R, whose product is the matrix to rounding.

    None where its columns are too nearly dependent.
    """
    if len(matrix) < matrix.shape[1] or matrix.shape[1] == 0:
        return None
    r, singular = dpotrf(dsyrk(1.0, matrix.T), lower=0, clean=1)
    if singular or dtrcon(r)[0] < _WELL:
        return None
    return dtrsm(1.0, r, matrix.T, trans_a=1).T, r


def _qr(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Q and R, which lies on and above the diagonal of what is returned.

    In half the time of numpy.linalg.qr at 500 columns: the recursive `dgeqrt`, no copies.
    """
    count = min(matrix.shape)
    if count == 0:
        return np.zeros((len(matrix), 0)), np.zeros((0, matrix.shape[1]))
    packed, factors = _packed(matrix)
    columns = np.arange(count)
    tau = factors[columns % len(factors), columns]
    q, _, _ = dorgqr(packed[:, :count], tau, lwork=64 * max(matrix.shape))
    return q, packed[:count]


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
    # dtrmm is twice as fast, and blind below the diagonal
    square = len(r) == len(rows)
    rows = dtrmm(1.0, weights, rows) if square else np.triu(weights) @ rows
    length = np.linalg.norm(rows, axis=1)
    return rows / length[:, np.newaxis], top + np.log(length)


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
