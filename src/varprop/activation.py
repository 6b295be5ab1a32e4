"""Activation: the nonlinearity of a network, from the table, a formula, or Python callables."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from varprop import _probe
from varprop import formula as _formula
from varprop._activation_table import NAMES, TABLE, Row
from varprop._cached import cached_property
from varprop._primitives import Array
from varprop.formula import Formula

if TYPE_CHECKING:
    import sympy

_SMALLEST, _LARGEST = 1e-10, 1e10  # far from where φ acts by its slopes (theory: |z| = 1e±18)

_SPEC = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(\s*([^()x]*)\s*\))?\s*", re.ASCII)


@dataclass(frozen=True, eq=False, repr=False)
class Activation:
    """An activation function φ with what the engines and the theory have to know about it.

    Make one with `parse`, `named`, `from_formula` or `from_callable`.

    Attributes
    ----------
    name : str
        Name in the table, the formula's text, or the callable's name.
    formula : Formula or None
        The definition; None for callables.
    parameters : tuple of (str, float)
        As in ``(("slope", 0.2),)``.
    code : int
        Index of the compiled kernel, -1 if there is none.
    kinks : tuple of float
        Sorted points where φ or one of its derivatives jumps.
    degree : int or None
        d if φ(t z) = t**d φ(z) for all t > 0.
    at_zero : tuple of three floats
        φ(0), the slope to the left of 0, the slope to the right.
    at_infinity : tuple of two floats, or None
        Limits of φ(x)/x at -∞ and ∞; None where there are no finite ones (``x**3``).
    max_slope : float
        sup |φ′|; may be inf. Jumps (sign, heaviside) do not count.
    parity : "odd", "even" or None
    oscillates : bool
        Whether φ is built with sin, cos or tan.
    fingerprint : str
        Of a callable: a digest of its values and slopes, by which files know it again.

    Examples
    --------
    >>> from varprop.activation import Activation
    >>> act = Activation.parse("leaky_relu(0.2)")
    >>> act, act.at_zero
    (Activation('leaky_relu(0.2)'), (0.0, 0.2, 1.0))
    >>> act([-1.0, 3.0])
    array([-0.2,  3. ])
    """

    name: str
    formula: Formula | None
    parameters: tuple[tuple[str, float], ...] = ()
    code: int = -1
    kinks: tuple[float, ...] = ()
    degree: int | None = None
    at_zero: tuple[float, float, float] = (0.0, 0.0, 0.0)
    at_infinity: tuple[float, float] | None = None
    max_slope: float = math.inf
    parity: str | None = None
    oscillates: bool = False
    fingerprint: str = ""
    _function: Callable[[Array], Any] | None = field(default=None)
    _slope: Callable[[Array], Any] | None = field(default=None)

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.formula, self.parameters, self.fingerprint)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Activation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(repr(value) for _, value in self.parameters)})"

    def __repr__(self) -> str:
        kind = "callable " if self.formula is None else ""
        return f"Activation({kind}{str(self)!r})"

    def __call__(self, x: npt.ArrayLike) -> Array:
        """φ at each element of `x`, float64, of the shape of `x`."""
        x = np.asarray(x, dtype=np.float64)
        if self.formula is not None:
            return self.formula.numpy(x)
        return self._called(self._function, x, "")

    def derivative(self, x: npt.ArrayLike) -> Array:
        """φ′ at each element of `x`; at a kink the slope of one side, 0 for a jump."""
        x = np.asarray(x, dtype=np.float64)
        if self.formula is not None:
            return self.formula.derivative_numpy(x)
        return self._called(self._slope, x, "derivative of the ")

    def _called(self, function: Callable[[Array], Any] | None, x: Array, what: str) -> Array:
        if function is None:
            raise ValueError(
                f"activation {self.name!r} was a Python callable, which files do not keep: this "
                "record only names it. Make the network again with act=(f, derivative)"
            )
        values = np.asarray(function(x.copy()), dtype=np.float64)
        if values.shape != x.shape:
            raise ValueError(
                f"the {what}callable {self.name} returned shape {values.shape} for input of shape "
                f"{x.shape}; it must work element by element"
            )
        return values

    @cached_property
    def jumps(self) -> tuple[float, ...]:
        """The kinks at which φ itself jumps, so that it has no slope there.

        Examples
        --------
        >>> Activation.named("sign").jumps, Activation.named("relu").jumps
        ((0.0,), ())
        """
        found = []
        for kink in self.kinks:
            step = 1e-7 * max(1.0, abs(kink))
            near = self(kink + step * np.array([-1.0, -0.5, 0.5, 1.0]))
            # A slope makes the inner gap as wide as the two outer ones together; a jump far wider.
            inner = abs(near[2] - near[1])
            outer = abs(near[1] - near[0]) + abs(near[3] - near[2])
            if inner > 1e-6 * max(1.0, float(np.abs(near).max())) and inner > 10 * outer:
                found.append(float(kink))
        return tuple(found)

    def sympy(self) -> sympy.Expr:
        """φ as a SymPy expression in ``Symbol("x", real=True)``.

        Raises
        ------
        ValueError
            For a callable, which has no formula.
        """
        if self.formula is None:
            raise ValueError(
                f"activation {self.name!r} is a Python callable and has no formula; give the "
                "formula as text, as in act='x*sigmoid(1.702*x)', to use it symbolically"
            )
        return self.formula.sympy()

    @classmethod
    def named(cls, name: str, **parameters: float) -> Activation:
        """The activation of that name in the table.

        Parameters
        ----------
        name : str
            See `activations`, or an alias: identity, swish, atan.
        **parameters : float
            ``slope`` of leaky_relu (default 0.01), ``alpha`` of elu and celu (1; > 0); 0 or 1e-10
            to 1e10 in size.

        Raises
        ------
        ValueError
            For an unknown name (naming the nearest) or parameter, or a value out of range.

        Examples
        --------
        >>> str(Activation.named("elu", alpha=2))
        'elu(2.0)'
        """
        if name not in NAMES:
            raise ValueError(_unknown(str(name)))
        code = NAMES[name]
        row = TABLE[code]
        values = dict(row.defaults)
        for key, value in parameters.items():
            if key not in values:
                takes = f"takes {', '.join(values)}" if values else "takes no parameter"
                raise ValueError(f"activation {name} {takes}, but was given {key}={value!r}")
            values[key] = _parameter(name, key, value, row.positive)
        return cls._of_row(code, row, values)

    @classmethod
    def _of_row(cls, code: int, row: Row, values: dict[str, float]) -> Activation:
        value = next(iter(values.values()), 0.0)
        at_zero, limits, slope = row.at_zero, row.at_infinity, row.max_slope
        parity = row.parity
        if row.name == "leaky_relu" and abs(value) == 1:
            parity = "odd" if value == 1 else "even"
        return cls(
            name=row.name,
            formula=_formula.parse(row.formula, values),
            parameters=tuple(sorted(values.items())),
            code=code,
            kinks=row.kinks,
            degree=row.degree,
            at_zero=at_zero(value) if callable(at_zero) else at_zero,
            at_infinity=limits(value) if callable(limits) else limits,
            max_slope=slope(value) if callable(slope) else slope,
            parity=parity,
            oscillates=row.oscillates,
        )

    @classmethod
    def parse(cls, spec: str | Activation | Sequence[Any]) -> Activation:
        """An activation from what a caller may write.

        Parameters
        ----------
        spec : str, Activation, or pair of callables
            A name (``"relu"``), a name with its parameter (``"leaky_relu(0.2)"``), any formula
            (``"x*sigmoid(1.702*x)"``), or ``(f, derivative)``, both vectorised over float64.

        Raises
        ------
        ValueError
            For an unknown name or anything outside the language of `varprop.formula.parse`.
        TypeError
            For anything else.

        Examples
        --------
        >>> Activation.parse("x*sigmoid(1.702*x)").at_infinity
        (0.0, 1.0)
        """
        if isinstance(spec, Activation):
            return spec
        if isinstance(spec, str):
            return cls._parse_text(spec)
        if isinstance(spec, tuple | list) and len(spec) == 2:
            return cls.from_callable(spec[0], spec[1])
        if callable(spec):
            raise TypeError("a callable activation needs its derivative: act=(f, derivative)")
        raise TypeError(
            "an activation is a name, a formula, an Activation or a pair (f, derivative), not "
            f"{type(spec).__name__}"
        )

    @classmethod
    def _parse_text(cls, text: str) -> Activation:
        match = _SPEC.fullmatch(text) if len(text) <= 200 else None
        if match is None or match[1] in ("x", "pi", "e"):
            return cls.from_formula(text)
        name, inside = match[1], match[2]
        if inside is None:
            return cls.named(name)
        if name not in NAMES:
            # Not an activation: a constant formula such as exp(1), or an unknown name.
            if re.fullmatch(r"[-+.\deE]*", inside) and not _is_function(name):
                raise ValueError(_unknown(name))
            return cls.from_formula(text)
        names = list(TABLE[NAMES[name]].defaults)
        key, equals, value = inside.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"the parameter {inside!r} of {text!r} is not a number") from None
        if not names:
            raise ValueError(f"activation {name} takes no parameter, but {text!r} gives one")
        return cls.named(name, **{key.strip() if equals else names[0]: number})

    @classmethod
    def from_formula(cls, text: str) -> Activation:
        """An activation from a formula in x; see `varprop.formula.parse` for the language.

        Its kinks, slopes and limits are found numerically. Runs without a compiled kernel.

        Raises
        ------
        ValueError
            If the formula is outside the language, or not finite and real somewhere.
        """
        parsed = _formula.parse(text)
        facts = _probe.of_formula(parsed)
        return cls(name=parsed.text, formula=parsed, **vars(facts))

    @classmethod
    def from_callable(
        cls,
        f: Callable[[Array], Any],
        derivative: Callable[[Array], Any],
        name: str | None = None,
        kinks: Sequence[float] = (),
    ) -> Activation:
        """An activation from two vectorised Python functions of a float64 array.

        Parameters
        ----------
        f, derivative : callable
            Array in, array of the same shape out, element by element.
        name : str, optional
            Default: the function's own name.
        kinks : sequence of float
            Where f or its derivative jumps. Default: nowhere.

        Raises
        ------
        TypeError
            If one of them can't be called.
        ValueError
            If, on a grid of trial points, the shape is wrong, a value is not finite, or the
            derivative disagrees with finite differences away from the kinks.

        Examples
        --------
        >>> import numpy as np
        >>> Activation.from_callable(np.tanh, lambda x: 1 / np.cosh(x) ** 2, "my_tanh")
        Activation(callable 'my_tanh')
        """
        for function, what in ((f, "f"), (derivative, "derivative")):
            if not callable(function):
                raise TypeError(f"{what} must be callable, not {type(function).__name__}")
        if name is None:
            name = getattr(f, "__name__", type(f).__name__)
        points = tuple(sorted({_parameter(name, "kinks", kink, False) for kink in kinks}))
        facts = _probe.of_callable(f, derivative, name, points)
        act = cls(name=name, formula=None, _function=f, _slope=derivative, **vars(facts))
        object.__setattr__(act, "fingerprint", _fingerprint(act))
        return act

    @classmethod
    def placeholder(cls, name: str, fingerprint: str = "") -> Activation:
        """The record of a callable that was not kept; calling it says so."""
        return cls(name=name, formula=None, fingerprint=fingerprint)


def _fingerprint(act: Activation) -> str:
    """SHA-256 of φ and φ′ on a grid, to nine digits: the last ones may differ by machine."""
    from hashlib import sha256

    grid = np.linspace(-10, 10, 401)
    values = np.concatenate([act(grid), act.derivative(grid)])
    return sha256(" ".join(f"{v:.8e}" for v in values).encode()).hexdigest()


def _is_function(name: str) -> bool:
    from varprop import _parser

    return name in _parser._CALLS


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(row.name for row in TABLE)
    return (
        f"unknown activation {name[:60]!r}.{hint} Known: {known}; or any formula in x, such as "
        "'x*sigmoid(1.702*x)'"
    )


def _parameter(name: str, key: str, value: Any, positive: bool) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool | str) or not math.isfinite(number):
        raise ValueError(f"{key} of {name} must be a finite number, not {value!r}")
    if positive and number <= 0:
        raise ValueError(f"{key} of {name} must be > 0, not {value!r}")
    if number != 0 and not _SMALLEST <= abs(number) <= _LARGEST:
        raise ValueError(
            f"{key} of {name} must be {'' if positive else '0 or '}from {_SMALLEST:g} to "
            f"{_LARGEST:g} in size, not {value!r}"
        )
    return number


def activations() -> tuple[Activation, ...]:
    """The built-in activations with their default parameters; the index is the kernel's code.

    Examples
    --------
    >>> [str(act) for act in activations()[:3]]
    ['linear', 'relu', 'leaky_relu(0.01)']
    """
    return tuple(Activation.named(row.name) for row in TABLE)
