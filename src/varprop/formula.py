"""Formula: an expression in x that a user may type, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from varprop import _derivative, _evaluate, _expression, _kinks, _parser
from varprop._cached import cached_property
from varprop._primitives import Array

if TYPE_CHECKING:
    import sympy

_NO_PARAMETERS: Mapping[str, float] = {}
_ABOVE = (1e-150, 1e-75, 1e-30, 1e-15, 1e-9)  # the first of which a square, a fourth power .. sees


@dataclass(frozen=True)
class Formula:
    """A function of x, made by `parse`; immutable, equal to another of the same text.

    Parameters
    ----------
    text : str
        The formula as it was written.
    parameters : tuple of (str, float)
        The values of its named parameters, sorted by name.

    Examples
    --------
    >>> from varprop.formula import parse
    >>> swish = parse("x*sigmoid(beta*x)", {"beta": 2})
    >>> swish.numpy([0.0, 1.0]).round(3)
    array([0.   , 0.881])
    >>> swish.sympy()
    x/(1 + exp(-2*x))
    >>> parse("min(max(x/6 + 1/2, 0), 1)").kinks
    (-3.0, 3.0)
    """

    text: str
    parameters: tuple[tuple[str, float], ...] = ()
    _tree: _expression.Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = _parser.known_parameters(dict(self.parameters))
        object.__setattr__(self, "parameters", tuple(sorted(known.items())))
        object.__setattr__(self, "_tree", _parser.tree(self.text, known))
        object.__setattr__(self, "text", self.text.strip(" "))

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.text, self.parameters))

    @cached_property
    def _slope(self) -> _expression.Node:
        return _derivative.derivative(self._tree)

    @cached_property
    def _values(self) -> _evaluate.Evaluation:
        return _evaluate.Evaluation(self._tree)

    @cached_property
    def _slopes(self) -> _evaluate.Evaluation:
        return _evaluate.Evaluation(self._slope)

    @cached_property
    def _bends(self) -> _evaluate.Evaluation:
        return _evaluate.Evaluation(_derivative.derivative(self._slope))

    def numpy(self, x: npt.ArrayLike) -> Array:
        """The formula's value at each element of `x`.

        Parameters
        ----------
        x : array_like of float
            Any shape, any finite value.

        Returns
        -------
        numpy.ndarray
            float64, of the shape of `x`. inf where the value is beyond float64, nan where there
            is none (``log(x)`` at -1); no warning is given.
        """
        return self._values.on_array(np.asarray(x, dtype=np.float64))

    def derivative_numpy(self, x: npt.ArrayLike) -> Array:
        """The derivative at each element of `x`; at a kink, that of one of its sides.

        The jumps of ``sign`` and ``heaviside`` count as slope 0. Shapes as in `numpy`. Where it is
        0/0 at a number (``sqrt(x*x)`` at 0) it is that of the numbers above.
        """
        x = np.asarray(x, dtype=np.float64)
        slope = self._slopes.on_array(x)
        if np.isnan(slope).any():
            there = np.isfinite(self.numpy(x))
            for step in _ABOVE:
                beside = self._slopes.on_array(x + step)
                slope = np.where(there & np.isnan(slope), beside, slope)
        return slope

    def second_derivative_numpy(self, x: npt.ArrayLike) -> Array:
        """The second derivative at each element of `x`, away from kinks; shapes as in `numpy`."""
        return self._bends.on_array(np.asarray(x, dtype=np.float64))

    def sympy(self) -> sympy.Expr:
        """The formula as a SymPy expression in ``Symbol("x", real=True)``.

        Decimals become the rationals they denote: 0.01 is 1/100.

        Raises
        ------
        ValueError
            If SymPy refuses it, as it does comparisons with an infinite constant.
        """
        try:
            return _evaluate.in_sympy(self._tree)
        except (TypeError, OverflowError, ZeroDivisionError, RecursionError) as error:
            shown = _parser.shown(self.text)
            raise ValueError(f"formula {shown} has no SymPy form: {error}") from error

    @cached_property
    def kinks(self) -> tuple[float, ...]:
        """Sorted points where a max, min, abs, sign, heaviside or if switches.

        Exact where the switch is (piecewise) affine in x. Otherwise found by bisection in
        ``|x| <= 1e4``; of more than 256 the ones nearest to 0 are kept.
        """
        return _kinks.kinks(self._tree)

    @cached_property
    def degree(self) -> int | None:
        """d where the form of the formula proves f(t x) = t**d f(x) for t > 0, else None."""
        return _expression.degree(self._tree)

    @cached_property
    def oscillates(self) -> bool:
        """Whether a sine, cosine or tangent occurs."""
        return _expression.oscillates(self._tree)

    def plainly(self, x: npt.ArrayLike, *, derivative: bool = False) -> Array:
        """As `numpy`, without the second look at values that are not finite; quick everywhere."""
        evaluation = self._slopes if derivative else self._values
        return evaluation.plainly(np.asarray(x, dtype=np.float64))

    def mpmath(self, x: Any, *, derivative: bool = False) -> Any:
        """The value (or the derivative) at one point, at mpmath's current precision."""
        return _evaluate.at_point(self._slope if derivative else self._tree, x)


def parse(text: str, parameters: Mapping[str, float] = _NO_PARAMETERS) -> Formula:
    """Read a formula in x; nothing in it is ever executed.

    The language: ``x``, numbers, ``pi``, ``e``, the named parameters given; ``+ - * / **``
    (exponents are constants, at most 64 in size); ``a if b < c else d``; the functions abs, arcsinh
    (asinh), arctan (atan), cos, cosh, erf, erfc, exp, expm1, heaviside (1/2 at 0), log, log1p, max
    and min (of two), Phi (the normal CDF), relu, sigmoid, sign (0 at 0), sin, sinh, softplus,
    softsign, sqrt, tan, tanh.

    Parameters
    ----------
    text : str
        At most 1000 characters, brackets at most 50 deep.
    parameters : mapping of str to float
        Names the formula may use, with their finite values. Default: none.

    Returns
    -------
    Formula

    Raises
    ------
    ValueError
        For anything outside the language; the text says what was met and what is allowed.
    TypeError
        If `text` is not a str.

    Examples
    --------
    >>> parse("x if x > 0 else slope*x", {"slope": 0.5}).numpy([-4.0, 4.0])
    array([-2.,  4.])
    >>> parse("().__class__")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: formula '().__class__': '().__class__' is an attribute; allowed are x, numbers, ...
    """
    _parser.known_parameters(parameters)
    return Formula(text, tuple(parameters.items()))
