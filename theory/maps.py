"""The maps of an activation: what a layer does to a variance, a gradient, a mean."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from varprop.activation import Activation

from .basemap import Map, PositiveMap

__all__ = [
    "FourthMoment",
    "GradientMap",
    "MeanMap",
    "VarianceMap",
    "fourth_moment",
    "gradient_map",
    "mean_map",
    "variance_map",
]


class VarianceMap(PositiveMap):
    """Q(K) = E phi(x)^2 for x ~ N(0, K).

    Examples
    --------
    >>> VarianceMap(Activation.parse("abs"))(3.0)
    3.0
    """

    quantity = "variance"

    def curvature(self, variance: ArrayLike) -> Any:
        """d^2Q/dK^2 = E phi^2 (z^4 - 6 z^2 + 3) / (4 K^2), which bends the mean at finite width.

        Parameters
        ----------
        variance : array_like
            Variances K, finite and > 0.

        Returns
        -------
        float or ndarray
            Good to 1e-11, relative to itself and to Q/K^2, whichever is smaller.

        Raises
        ------
        ValueError
            For K that is not finite and > 0.

        Examples
        --------
        >>> round(variance_map("tanh").curvature(1e-6), 4)
        -4.0
        """
        return self._derived(2, variance)


class GradientMap(PositiveMap):
    """V(K) = E phi'(x)^2 for x ~ N(0, K); needs an activation that doesn't jump.

    Examples
    --------
    >>> GradientMap(Activation.parse("squared_relu")).expr
    2*K
    """

    quantity = "gradient"

    def __init__(self, act: Activation) -> None:
        super().__init__(act)
        if where := act.jumps:
            raise ValueError(
                f"the derivative of {act} is singular: it jumps at x = {where[0]:g}, so "
                "E phi'^2 is infinite; gradient maps need an activation without jumps"
            )
        if not all(map(math.isfinite, act.at_zero[1:])) and _steep_at_zero(act):
            raise ValueError(
                f"E phi'^2 of {act} is infinite: its slope at 0 goes like 1/sqrt(|x|) or faster"
            )


def _steep_at_zero(act: Activation) -> bool:
    """Whether phi'(x)^2 |x| does not vanish at 0, so that phi'^2 has no integral there."""
    x = np.array([-1e-200, 1e-200, -1e-100, 1e-100])
    nearer, farther = (act.derivative(x) ** 2 * np.abs(x)).reshape(2, 2)
    return bool((nearer >= 0.5 * farther)[farther > 0].any())


class FourthMoment(PositiveMap):
    """E phi(x)^4 for x ~ N(0, K).

    Examples
    --------
    >>> FourthMoment(Activation.parse("relu")).expr
    3*K**2/2
    """

    quantity = "fourth"


class MeanMap(Map):
    """m(K) = E phi(x) for x ~ N(0, K); exactly 0 for odd activations.

    Examples
    --------
    >>> MeanMap(Activation.parse("tanh"))(2.0)
    0.0
    """

    quantity = "mean"


@lru_cache(maxsize=1024)
def _made(kind: type[Map], act: Activation) -> Any:
    return kind(act)


def variance_map(act: str | Activation) -> VarianceMap:
    """The variance map Q(K) = E phi(sqrt(K) z)^2 of an activation.

    Parameters
    ----------
    act : str or Activation
        A name, a name with parameters, a formula, or a record.

    Examples
    --------
    >>> variance_map("leaky_relu(0.2)").expr
    13*K/25
    """
    made: VarianceMap = _made(VarianceMap, Activation.parse(act))
    return made


def gradient_map(act: str | Activation) -> GradientMap:
    """The gradient map V(K) = E phi'(sqrt(K) z)^2; ValueError for an activation that jumps.

    Examples
    --------
    >>> gradient_map("relu")(7.0)
    0.5
    """
    made: GradientMap = _made(GradientMap, Activation.parse(act))
    return made


def mean_map(act: str | Activation) -> MeanMap:
    """The mean map m(K) = E phi(sqrt(K) z).

    Examples
    --------
    >>> mean_map("relu").expr
    sqrt(2)*sqrt(K)/(2*sqrt(pi))
    """
    made: MeanMap = _made(MeanMap, Activation.parse(act))
    return made


def fourth_moment(act: str | Activation) -> FourthMoment:
    """The fourth moment E phi(sqrt(K) z)^4, which says how far one layer scatters.

    Examples
    --------
    >>> fourth_moment("relu").expr
    3*K**2/2
    """
    made: FourthMoment = _made(FourthMoment, Activation.parse(act))
    return made
