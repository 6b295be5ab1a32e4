"""Products of many matrices, and all their singular values, however far these lie apart.

A product is carried as Q P: Q has orthonormal columns, and P = diag(e^s) U has its rows' sizes in
logarithms, the largest first. A factor A takes it to A Q = Q' R and P' = R P: a row of P' is made
of its own row and of smaller ones, so that none drowns in another. Each factor costs the rounding
of its own condition, never that of the product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .statistic import FloatArray

_DUST = 64 * np.finfo(float).eps  # of a column's length: what is left of it is rounding
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
    ...     product.multiply(lambda q: np.diag([1.0, 0.1]) @ q)
    >>> product.log_singular_values().round(6)
    array([    0.      , -2302.585093])
    """

    def __init__(self, size: int) -> None:
        self._columns = np.eye(size)
        self._rows = np.eye(size)
        self._log = np.zeros(size)
        self._rank_most = size

    def multiply(self, factor: Callable[[FloatArray], FloatArray], log_unit: float = 0.0) -> None:
        """Multiply from the left by e^log_unit times a linear map, given as what it does.

        Directions that the map takes to 0, up to rounding, are dropped: their singular values
        are 0 from now on.
        """
        moved = factor(self._columns)
        self._rank_most = min(self._rank_most, len(moved))
        while True:
            q, r = np.linalg.qr(moved)
            size = np.zeros(moved.shape[1])
            size[: len(r)] = np.abs(np.diag(r))
            kept = size > _DUST * np.linalg.norm(moved, axis=0)
            count = int(kept.sum())
            if kept[:count].all():
                break
            # what the columns before it span, or what rounding left of it, waits at the end
            order = np.argsort(~kept, kind="stable")
            moved = moved[:, order]
            self._rows, self._log = self._rows[order], self._log[order]
        r = r[:count]
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(r)) + self._log
        top = log.max(axis=1, initial=-np.inf)
        rows = (np.sign(r) * np.exp(log - top[:, np.newaxis])) @ self._rows
        length = np.linalg.norm(rows, axis=1)
        log = top + np.log(length) + log_unit
        order = np.argsort(-log, kind="stable")
        self._columns = q[:, order]
        self._rows, self._log = (rows / length[:, np.newaxis])[order], log[order]

    def log_singular_values(self) -> FloatArray:
        """ln of all singular values, descending; -inf for those that are 0."""
        found = np.full(self._rank_most, -np.inf)
        found[: len(self._log)] = _log_singular_values(self._rows, self._log)
        return found


def _log_singular_values(rows: FloatArray, log: FloatArray) -> FloatArray:
    """Of diag(e^log) rows, the logarithms descending.

    The transpose has the QR factor R = T diag(e^s), T upper triangular; the transpose of that
    has T' diag(e^s), with T' from C_ij = T_ji e^(s_i - s_j). Off-diagonal numbers lose the square
    of e^(s_j - s_i) in each such step, and values far apart lose sight of each other.
    """
    if log.size == 0:
        return log
    s = log.copy()
    t = np.linalg.qr(rows.T, mode="r")
    for _ in range(_STEPS):
        size = np.abs(np.diag(t))
        t = t / size
        s = s + np.log(size)
        order = np.argsort(-s, kind="stable")
        below = np.tril(np.ones(t.shape, dtype=bool))
        gap = np.where(below, s[:, np.newaxis] - s, 0.0)
        t = np.linalg.qr(np.where(below, t.T * np.exp(gap), 0.0), mode="r")
    return _by_windows(t, s)


def _by_windows(t: FloatArray, s: FloatArray) -> FloatArray:
    """Of T diag(e^s), the numbers of s about those of the singular values."""
    grade = s + np.log(np.abs(np.diag(t)))
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
