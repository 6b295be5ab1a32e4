"""The law of a deep Jacobian's squared singular values at large width, as a record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray
from sympy import Expr

from varprop._cached import cached_property
from varprop.activation import Activation

from ..gaussian import K, NotClosed
from .density import density
from .fuss_catalan import log_fuss_catalan
from .mask import mask
from .product import FreeProduct
from .s_transform import s_gaussian, s_mask, s_orthogonal

__all__ = ["Spectrum"]

Array = NDArray[np.float64]

_LARGEST_LOG = math.log(np.finfo(float).max)
_MOST_MOMENTS = 30
_ROUNDING = 2e-15  # of ln x, per layer: an edge is no sharper
_LINEAR = Activation.parse("linear")
_NEAR = 1e-9  # this close to an atom, whose surroundings are empty, no density is asked for


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The law of the squared singular values of J = D_L W_L ... D_1 W_1 at large width.

    Or of the Jacobian of the last pre-activations, without D_L.

    Attributes
    ----------
    act : Activation
    weights : str
        "normal" or "orthogonal".
    variances : ndarray, (depth,)
        K^l of the layers' pre-activations.
    gains : ndarray, (depth,)
        sigma_w^2 of each layer.
    of : str
        "h" or "z": with or without the last mask.

    Examples
    --------
    >>> from varprop.theory.spectrum import spectrum
    >>> s = spectrum("relu", 4)
    >>> [round(m, 9) for m in s.moments(3)], round(s.edge, 6), s.atom
    ([1.0, 9.0, 113.0], 21.858249, 0.5)
    """

    act: Activation
    weights: str
    variances: Array
    gains: Array
    of: str = "h"

    def __post_init__(self) -> None:
        for array in (self.variances, self.gains):
            array.setflags(write=False)
        for variance in np.unique(self.variances).tolist():
            mask(self.act, variance)  # activations that have no spectrum raise here

    def __repr__(self) -> str:
        return (
            f"Spectrum({str(self.act)!r}, depth={self.depth}, weights={self.weights!r}, "
            f"effective rank {self.effective_rank:.6g})"
        )

    @property
    def depth(self) -> int:
        """L."""
        return len(self.variances)

    def _law(self, split: int) -> FreeProduct:
        masked = self.variances if self.of == "h" else self.variances[:-1]
        different, counts = np.unique(masked, return_counts=True)
        masks = tuple(
            (mask(self.act, float(k), split), int(count))
            for k, count in zip(different, counts, strict=True)
        )
        # an orthogonal matrix without a mask changes no singular value
        if self.of == "z" and (self.weights == "normal" or not masks):
            masks += ((mask(_LINEAR, 1.0, split), 1),)
        return FreeProduct(masks, self.weights == "normal", float(np.log(self.gains).sum()))

    @cached_property
    def _product(self) -> FreeProduct:
        return self._law(1)

    @property
    def log_mean(self) -> float:
        """ln m_1 = sum of ln chi_1: what happens to the mean square of a gradient."""
        return self._product.log_scale + sum(n * one.log_mean for one, n in self._product.masks)

    @property
    def relative_variance(self) -> float:
        """m_2/m_1^2 - 1 = sum over layers of mu_2/mu_1^2 - 1 - s_1.

        s_1 is -1 for Gaussian and 0 for orthogonal weights (Pennington, Schoenholz and Ganguli
        2018, arXiv 1802.09979). At m_1 = 1 it is their sigma^2_JJT.
        """
        own = sum(n * one.spread for one, n in self._product.masks)
        return own + self.depth * (self.weights == "normal")

    @property
    def effective_rank(self) -> float:
        """Participation ratio (tr M)^2/(n tr M^2) = 1/(1 + relative variance), in (0, 1].

        The share of directions among which the Jacobian's strength is spread: 1 for an isometry,
        1/(1 + L) for linear Gaussian layers, 1/(1 + 2 L) with ReLU.
        """
        return 1 / (1 + self.relative_variance)

    def depth_below(self, share: float) -> int | None:
        """The depth from which on the effective rank is below a share, layers being equal.

        Parameters
        ----------
        share : float
            In (0, 1).

        Returns
        -------
        int or None
            None where it stays 1 at any depth: linear orthogonal layers.

        Raises
        ------
        ValueError
            If the share is out of range, or the layers differ.

        Examples
        --------
        >>> from varprop.theory.spectrum import spectrum
        >>> spectrum("linear", 1).depth_below(0.1), spectrum("relu", 1).depth_below(0.1)
        (10, 5)
        """
        if self.of != "h":
            raise ValueError("layers are equal where the last has its mask too: use of='h'")
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share!r}")
        if np.ptp(self.variances) > 0 or np.ptp(self.gains) > 0:
            raise ValueError("the layers differ: no single depth can be said")
        each = self.relative_variance / self.depth
        return None if each == 0 else math.floor((1 / share - 1) / each * (1 + 1e-13)) + 1

    def log_moments(self, count: int) -> list[float]:
        """ln m_1, ..., ln m_count; see `moments`."""
        if int(count) != count or not 1 <= count <= _MOST_MOMENTS:
            raise ValueError(f"count must be a whole number from 1 to {_MOST_MOMENTS}, not {count}")
        return self._product.log_moments(int(count))

    def moments(self, count: int) -> list[float]:
        """m_k = lim (1/n) E tr (J J^T)^k for k = 1..count, by Lagrange inversion of M^-1.

        Parameters
        ----------
        count : int
            1 to 30.

        Returns
        -------
        list of float
            To about k L rounding errors.

        Raises
        ------
        ValueError
            If the count is out of range.
        OverflowError
            If one is beyond float64; `log_moments` has them all.

        Examples
        --------
        >>> from varprop.theory.spectrum import spectrum
        >>> [round(m, 6) for m in spectrum("linear", 4).moments(3)]
        [1.0, 5.0, 35.0]
        """
        logs = self.log_moments(count)
        if max(map(abs, logs)) > _LARGEST_LOG:
            raise OverflowError("a moment is beyond float64; use .log_moments(count)")
        return [math.exp(log) for log in logs]

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(value, probability) of the squared singular values that a positive share has."""
        return self._product.atoms()

    @property
    def atom(self) -> float:
        """The share of singular values that are 0: the probability of phi' = 0."""
        return self._product.zero

    @cached_property
    def log_edge(self) -> float:
        """ln of the largest squared singular value; inf for an unbounded phi'."""
        return self._product.log_edge()

    @property
    def edge(self) -> float:
        """The upper edge of the squared singular values; OverflowError beyond float64."""
        if _LARGEST_LOG < self.log_edge < math.inf:
            raise OverflowError(f"the edge is e^{self.log_edge:.6g}, beyond float64; see .log_edge")
        return math.exp(self.log_edge) if self.log_edge < math.inf else math.inf

    def density(self, x: ArrayLike) -> Any:
        """Density of the squared singular values, atoms left out; it integrates to the rest.

        The Fuss-Catalan law where the masks do nothing and weights are Gaussian; else from M^-1,
        continued to the real axis.

        Parameters
        ----------
        x : array_like
            Finite and > 0.

        Returns
        -------
        float or ndarray
            0 beyond the edge and in gaps. x times it is accurate to 1e-9.

        Raises
        ------
        ValueError
            If an x is not finite and positive; if the density can't be resolved there, as very
            near 0 for a phi' with a zero; or for a single orthogonal layer of an activation that
            is not piecewise linear: its singular values are sigma_w |phi'| itself.

        Examples
        --------
        >>> from varprop.theory.spectrum import spectrum
        >>> round(spectrum("relu", 1).density(2.0), 9)
        0.1052711
        """
        at = np.asarray(x, dtype=float)
        if not (np.isfinite(at) & (at > 0)).all():
            raise ValueError(f"x must be finite and > 0, got {x!r}")
        log_x = np.log(at).ravel()
        found = np.zeros(log_x.shape)
        inside = log_x < self.log_edge - _ROUNDING * (10 + self.depth)
        for value, _ in self.atoms:
            if value > 0:
                inside &= np.abs(log_x - math.log(value)) > _NEAR
        if inside.any():
            found[inside] = self._log_density(log_x[inside])
        found = (found / np.exp(log_x)).reshape(at.shape)
        return float(found) if at.ndim == 0 else found

    def _log_density(self, log_x: Array) -> Array:
        masks = [one for one, _ in self._product.masks]
        constant = all(one.zero == 0 and len(one.values) == 1 for one in masks)
        if constant and self.weights == "normal":
            return np.exp(log_fuss_catalan(log_x - self.log_mean, self.depth))
        if self.weights == "orthogonal" and (constant or self._product.depth == 1):
            if masks[0].continuous:
                raise ValueError(
                    f"the singular values of one orthogonal layer of {self.act} are "
                    "sigma_w |phi'(x)| itself; the density is given from two layers on"
                )
            return np.zeros(log_x.shape)
        return density(self._law, log_x)

    def singular_density(self, s: ArrayLike) -> Any:
        """Density of the singular values themselves, 2 s rho(s^2); see `density`.

        Examples
        --------
        >>> from varprop.theory.spectrum import spectrum
        >>> round(spectrum("linear", 1).singular_density(1.0), 9)  # sqrt(3)/pi
        0.551328895
        """
        at = np.asarray(s, dtype=float)
        found = 2 * at * self.density(at**2)
        return float(found) if at.ndim == 0 else found

    @property
    def s_transform(self) -> Expr:
        """S(z) of J J^T in closed form, in the symbol ``z`` of `spectra.s_transform`.

        Raises
        ------
        NotClosed
            Where phi' takes more than two values beside 0.
        ValueError
            For a callable, which has no formula.

        Examples
        --------
        >>> from varprop.theory.spectrum import spectrum
        >>> sympy.factor(spectrum("relu", 2).s_transform)
        (2*z + 1)**(-2)
        """
        weights = s_gaussian if self.weights == "normal" else s_orthogonal
        one = s_mask(self.act)
        if one.has(K) and not (self.variances > 0).all():
            raise NotClosed(f"the mask of {self.act} at variance 0 is a limit")
        total = sympy.Integer(1)
        layers, counts = np.unique([self.variances, self.gains], axis=1, return_counts=True)
        for k, gain, count in zip(*layers.tolist(), counts.tolist(), strict=True):
            factor = one.subs(K, sympy.Float(k)) * weights(1) / sympy.Rational(gain)
            total *= factor**count
        if self.of == "z":
            total /= one.subs(K, sympy.Float(float(self.variances[-1])))
        return total
