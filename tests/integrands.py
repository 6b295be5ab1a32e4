"""The integrand of each map of an activation, in pieces."""

from varprop.activation import Activation
from varprop.theory.gaussian import derivative, exact, pieces

POWERS = {"Q": 2, "V": 2, "m": 1, "F": 4}


def integrand(text, quantity):
    """The pieces of Q, V, m or the fourth moment of an activation."""
    formula = exact(Activation.parse(text).sympy())
    whole = derivative(formula) if quantity == "V" else pieces(formula)
    return [(lo, hi, expr ** POWERS[quantity]) for lo, hi, expr in whole]
