"""An expansion of a map at one end of the variances, with what it is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from ..gaussian import K
from ..quadrature import Expectation

__all__ = ["Expansion", "Monomial", "truncated"]

Array = NDArray[np.float64]
Monomial = tuple[sympy.Expr, sympy.Expr]  # exponent of K, coefficient

_EPS = float(np.finfo(float).eps)


def truncated(terms: Array) -> tuple[Array, Array]:
    """A series summed up to its smallest terms, and twice the largest of the next three.


    Parameters
    ----------
    terms : ndarray, (terms, points)
        Terms that are not 0, in order; at least three.

    Examples
    --------
    >>> value, bound = truncated(0.5 ** np.arange(60.0)[:, None])
    >>> float(value[0]), bool(abs(value[0] - 2) <= bound[0] < 1e-13)
    (2.0, True)
    """
    size = np.abs(terms)
    left_out = np.maximum(np.maximum(size[:-2], size[1:-1]), size[2:])
    cut = np.argmin(left_out, axis=0)
    kept = np.arange(len(terms))[:, None] < cut
    rounding = _EPS * (4 + np.arange(len(terms)))[:, None] * size * kept
    bound = 2 * np.take_along_axis(left_out, cut[None], axis=0)[0] + rounding.sum(axis=0)
    return np.where(kept, terms, 0.0).sum(axis=0), bound


@dataclass(frozen=True)
class Expansion:
    """A map as a sum of powers of K, near K = 0 or near infinity.

    Attributes
    ----------
    status : {"exact", "convergent", "asymptotic", "none"}
        "exact": the map is this expression. "convergent": more terms come as near as one likes,
        for K on the right side of `radius`. "asymptotic": they come near, then go away again.
        "none": there is no expansion.
    because : str
        Why the status is what it is.
    end : {"0", "infinity"}
        Where the expansion is made.
    radius : float or None
        Of a convergent one: it converges for K < radius at 0, for K > radius at infinity.
    leading : tuple of (exponent, coefficient)
        Terms that stand outside of the series and are never cut off.
    terms : tuple of (exponent, coefficient)
        The series: those asked for, and three more for the error bound.
    kept : int
        How many of `terms` were asked for.

    Examples
    --------
    >>> from varprop.theory import variance_map
    >>> e = variance_map("tanh").series(2)
    >>> print(e)
    K - 2*K**2 + ... (asymptotic: poles or branch points off the real axis)
    >>> found = e.evaluate(1e-4)
    >>> bool(abs(found.value - variance_map("tanh")(1e-4)) < found.bound < 1e-10)
    True
    """

    status: str
    because: str
    end: str
    radius: float | None = None
    leading: tuple[Monomial, ...] = ()
    terms: tuple[Monomial, ...] = ()
    kept: int = 0
    _beyond: Callable[[Array], Array] | None = field(default=None, repr=False, compare=False)

    @property
    def expr(self) -> sympy.Expr | None:
        """The expansion in ``gaussian.K``, without an order term; None where there is none."""
        if self.status == "none":
            return None
        return sympy.Add(*(c * K**p for p, c in (*self.leading, *self.terms[: self.kept])))

    def __str__(self) -> str:
        if self.status == "none":
            return f"none, because {self.because}"
        shown = (*self.leading, *self.terms[: self.kept])
        parts = [sympy.sstr(c * K**p) for p, c in shown] or ["0"]
        dots = [] if self.status == "exact" else ["..."]
        joined = " + ".join(parts + dots).replace("+ -", "- ")
        return f"{joined} ({self.status}: {self.because})"

    def evaluate(self, variance: ArrayLike) -> Expectation:
        """The expansion's value, cut where its terms are smallest, and a bound on its error.

        Parameters
        ----------
        variance : array_like
            Variances K, finite and > 0.

        Returns
        -------
        Expectation
            Value and bound. The bound is twice the largest of the three terms that follow, plus
            what kinks away from 0 contribute; where it is large the expansion doesn't serve.

        Raises
        ------
        ValueError
            For a K that is not finite and > 0, or if there is no expansion.
        """
        if self.status == "none":
            raise ValueError(f"there is no expansion at K = {self.end}: {self.because}")
        k = np.asarray(variance, dtype=float)
        if not (np.isfinite(k) & (k > 0)).all():
            raise ValueError(f"variance K must be finite and > 0, got {variance!r}")
        flat = k.ravel()
        value, bound = np.zeros_like(flat), np.zeros_like(flat)
        for term in self._values(self.leading, flat):
            value, bound = value + term, bound + 8 * _EPS * np.abs(term)
        if self.terms:
            with np.errstate(over="ignore", invalid="ignore"):
                part, error = truncated(self._values(self.terms, flat))
            value, bound = value + part, bound + error
        if self._beyond is not None:
            bound = bound + self._beyond(flat)
        if k.ndim == 0:
            return Expectation(float(value[0]), float(bound[0]))
        return Expectation(value.reshape(k.shape), bound.reshape(k.shape))

    @staticmethod
    def _values(terms: tuple[Monomial, ...], k: Array) -> Array:
        powers = np.array([float(p) for p, _ in terms])
        coefficients = np.array([float(c) for _, c in terms])
        values: Array = coefficients[:, None] * k ** powers[:, None]
        return values
