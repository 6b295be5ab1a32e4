"""LinearOperators of float64 that say what was wrong with what they were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

FloatArray = npt.NDArray[np.float64]


class RealOperator(LinearOperator):  # type: ignore[misc]
    """A real linear map by its products with vectors, in both directions.

    A subclass gives `_matvec` and `_rmatvec`, which take and return contiguous float64 vectors.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(np.dtype(np.float64), shape)

    def _matvec(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _rmatvec(self, y: FloatArray) -> FloatArray:
        raise NotImplementedError

    def matvec(self, x: npt.ArrayLike) -> FloatArray:
        """The product with one vector of shape (n_in,), or (n_in, 1)."""
        return self._shaped("matvec", x, self.shape[1], self._matvec, vector=True)

    def rmatvec(self, x: npt.ArrayLike) -> FloatArray:
        """The product of the transpose with one vector of shape (n_out,), or (n_out, 1)."""
        return self._shaped("rmatvec", x, self.shape[0], self._rmatvec, vector=True)

    def matmat(self, X: npt.ArrayLike) -> FloatArray:
        """The products with the columns of an array (n_in, k), one after the other."""
        return self._shaped("matmat", X, self.shape[1], self._matvec, vector=False)

    def rmatmat(self, X: npt.ArrayLike) -> FloatArray:
        """The products of the transpose with the columns of an array (n_out, k)."""
        return self._shaped("rmatmat", X, self.shape[0], self._rmatvec, vector=False)

    def _shaped(self, name: str, x: Any, length: int, product: Any, vector: bool) -> FloatArray:
        array = real_array(f"{name} of {self!r}", x)
        allowed = array.shape in ((length,), (length, 1)) if vector else False
        if not (allowed or (not vector and array.ndim == 2 and len(array) == length)):
            wanted = f"({length},) or ({length}, 1)" if vector else f"({length}, k)"
            raise ValueError(
                f"{name} of {self!r} takes an array of shape {wanted}, not {array.shape}"
            )
        if array.ndim == 1:
            return np.asarray(product(array))
        out = np.empty((self.shape[0] + self.shape[1] - length, array.shape[1]))
        for column in range(array.shape[1]):
            out[:, column] = product(np.ascontiguousarray(array[:, column]))
        return out

    def _transpose(self) -> RealOperator:
        return Transposed(self)

    _adjoint = _transpose


class Transposed(RealOperator):
    """The transpose of an operator; it shares what that one has revealed.

    Parameters
    ----------
    operator : RealOperator
    """

    def __init__(self, operator: RealOperator) -> None:
        super().__init__((operator.shape[1], operator.shape[0]))
        self.operator = operator

    def _matvec(self, x: FloatArray) -> FloatArray:
        return self.operator._rmatvec(x)

    def _rmatvec(self, y: FloatArray) -> FloatArray:
        return self.operator._matvec(y)

    def _transpose(self) -> RealOperator:
        return self.operator

    _adjoint = _transpose

    def __repr__(self) -> str:
        return f"{self.operator!r}.T"


def real_array(what: str, values: object) -> FloatArray:
    """`values` as contiguous float64, if they are finite real numbers."""
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "fiub":
            raise TypeError
        with np.errstate(over="ignore"):
            array: FloatArray = np.ascontiguousarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{what} takes real numbers, not {str(values)[:60]!r}") from None
    if not np.isfinite(array).all():
        at = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
        place = ", ".join(map(str, at))
        raise ValueError(f"{what} takes finite numbers, but number [{place}] is {array[at]}")
    return array
