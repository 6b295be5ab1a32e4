"""The expectations of an activation that everything else is made of, named and told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

__all__ = ["QUANTITIES", "Quantity", "Weight"]

Array = NDArray[np.float64]
Weight = Callable[[Any], Any]

_WEIGHTS: tuple[Weight, ...] = (
    lambda z: z * 0 + 1,
    lambda z: (z * z - 1) / 2,
    lambda z: (z**4 - 6 * z**2 + 3) / 4,
)


@dataclass(frozen=True)
class Quantity:
    """M(K) = E phi(x)^power or E phi'(x)^power over N(0, K), or K^order times a derivative of it.

    Attributes
    ----------
    name : str
        What `moment` calls it.
    power : int
        1, 2 or 4.
    of_derivative : bool
        Whether phi' is meant.
    order : int
        0 for M, 1 for K dM/dK, 2 for K^2 d^2M/dK^2.

    Notes
    -----
    By the heat equation K dM/dK = E f(x) (z^2 - 1)/2 and K^2 d^2M/dK^2 = E f(x) (z^4 - 6 z^2 + 3)/4
    with x = sqrt(K) z. By parts the first is E x f'(x)/2, where fewer digits cancel; that needs an
    f without jumps, and f = phi^p, whose slope is known.

    Examples
    --------
    >>> QUANTITIES["fourth"].power, QUANTITIES["gradient slope"].order
    (4, 1)
    """

    name: str
    power: int
    of_derivative: bool = False
    order: int = 0

    @property
    def plain(self) -> Quantity:
        """M itself, whatever the order."""
        return Quantity(self.name.split()[0], self.power, self.of_derivative)

    def falling(self, exponent: Any) -> Any:
        """What K^order d^order/dK^order makes of K^exponent."""
        factor = exponent * 0 + 1
        for step in range(self.order):
            factor *= exponent - step
        return factor

    def _by_parts(self, act: Activation) -> bool:
        return self.order > 0 and not self.of_derivative and not act.jumps

    def needs_slope(self, act: Activation) -> bool:
        """Whether phi' occurs in the integrand."""
        return self.of_derivative or self._by_parts(act)

    def weight(self, act: Activation) -> Weight:
        """The polynomial in z that the integrand is weighted with; for floats, arrays and mpf."""
        if not self._by_parts(act):
            return _WEIGHTS[self.order]
        return _WEIGHTS[0] if self.order == 1 else lambda z: (z * z - 3) / 2

    def integrand(self, act: Activation) -> Callable[[Array], Array]:
        """The vectorised function whose expectation is taken, with the weight."""
        if self._by_parts(act):
            return lambda at: self.parts(act(at), act.derivative(at), at)
        base = act.derivative if self.of_derivative else act
        if self.power == 1:
            return lambda at: np.asarray(base(at), dtype=float)
        if self.power == 2:
            return lambda at: np.square(base(at))
        return lambda at: np.square(np.square(base(at)))

    def parts(self, value: Any, slope: Any, at: Any) -> Any:
        """x f'(x)/2 of f = phi^power."""
        return self.power * at * value ** (self.power - 1) * slope / 2

    def combined(self, act: Activation) -> Callable[[Any, Any, Any], Any]:
        """The integrand from (phi, phi', x), whatever kind of numbers they are."""
        if self._by_parts(act):
            return self.parts
        if self.of_derivative:
            return lambda _, slope, __: slope**self.power
        return lambda value, _, __: value**self.power


_BASES = (("variance", 2, False), ("gradient", 2, True), ("mean", 1, False), ("fourth", 4, False))
QUANTITIES = {
    name + suffix: Quantity(name + suffix, power, of_derivative, order)
    for order, suffix in enumerate(("", " slope", " curvature"))
    for name, power, of_derivative in _BASES
}
