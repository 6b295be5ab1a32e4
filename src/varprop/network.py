"""Network: what is simulated and what is predicted; validated once, here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from varprop._primitives import Array
from varprop.activation import Activation
from varprop.scheme import Scheme

MAX_DEPTH = 2**31
MAX_WIDTH = 2**30
DEFAULT_WIDTH = 1000

ActivationSpec = str | Activation | Sequence[Callable[[Array], Any]]


@dataclass(frozen=True, init=False, repr=False)
class Network:
    """A fully connected random network: z^l = W^l h^(l-1) + b^l, h^l = φ(z^l), l = 1..depth.

    Parameters
    ----------
    depth : int
        Number of layers L, 1 to 2**31.
    width : int, optional
        Units in every layer and in the input, 1 to 2**30. Default 1000.
    widths : sequence of int, optional
        n_0 (the input's size) to n_L instead of `width`: depth + 1 numbers.
    act : str, Activation or pair of callables
        See `Activation.parse`. Default "relu".
    scheme : str or Scheme, optional
        See `Scheme.parse`. Default "he".
    sigma_w : float, optional
        Instead of a scheme: normal weights, Var W_ij = sigma_w**2/fan_in; 1e-150 to 1e150.
    sigma_b : float, optional
        Standard deviation of normal biases: 0, or 1e-150 to 1e150. Default: the scheme's own
        biases (only "torch" has any).

    Raises
    ------
    ValueError, TypeError
        For anything outside these ranges; the text names the value and what is allowed.

    Examples
    --------
    >>> from varprop.network import Network
    >>> net = Network(3, widths=[10, 20, 20, 5], act="tanh", scheme="lecun")
    >>> net
    Network(depth=3, widths=(10, 20, 20, 5), act='tanh', scheme='lecun')
    >>> net.weight_variance
    array([0.1 , 0.05, 0.05])
    """

    depth: int
    width: int | None  # None where the widths differ
    _widths: tuple[int, ...]  # empty where they don't: a million equal layers need no tuple
    act: Activation
    scheme: Scheme
    sigma_b: float | None  # None: the scheme's own

    def __init__(
        self,
        depth: int,
        width: int | None = None,
        widths: Sequence[int] | None = None,
        act: ActivationSpec = "relu",
        scheme: str | Scheme | None = None,
        sigma_w: float | None = None,
        sigma_b: float | None = None,
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        layers = _whole("depth", depth, MAX_DEPTH)
        common, each = _checked_widths(layers, width, widths)
        activation = Activation.parse(act)
        if scheme is not None and sigma_w is not None:
            raise ValueError(
                f"scheme={str(scheme)!r} and sigma_w={sigma_w!r} both set the weights: give one"
            )
        if sigma_w is None:
            law = Scheme.parse("he" if scheme is None else scheme, activation)
        else:
            law = Scheme.from_sigma_w(sigma_w)
        put("depth", layers)
        put("width", common)
        put("_widths", each)
        put("act", activation)
        put("scheme", law)
        put("sigma_b", _checked_sigma_b(sigma_b, law))

    @property
    def widths(self) -> tuple[int, ...]:
        """(n_0, ..., n_L)."""
        return self._widths if self.width is None else (self.width,) * (self.depth + 1)

    def _fans(self) -> tuple[Array, Array]:
        if self.width is not None:
            same = np.full(self.depth, float(self.width))
            return same, same
        sizes = np.array(self._widths, dtype=np.float64)
        return sizes[:-1], sizes[1:]

    @property
    def weight_variance(self) -> Array:
        """Var W_ij of each layer, shape (depth,)."""
        variance: Array = self.scheme.variance(*self._fans())
        return variance

    @property
    def sigma_w(self) -> Array:
        """sqrt(fan_in Var W_ij) of each layer, shape (depth,)."""
        root: Array = np.sqrt(self.scheme.gain(*self._fans()))
        return root

    @property
    def bias_std(self) -> Array:
        """Standard deviation of the biases of each layer, shape (depth,)."""
        if self.sigma_b is not None:
            return np.full(self.depth, self.sigma_b)
        root: Array = np.sqrt(self.scheme.bias_variance(self._fans()[0]))
        return root

    @property
    def bias_distribution(self) -> str:
        """ "normal" or "uniform"."""
        return self.scheme.bias_distribution if self.sigma_b is None else "normal"

    @property
    def has_bias(self) -> bool:
        """Whether any bias is not exactly 0."""
        return self.sigma_b != 0

    def __repr__(self) -> str:
        size = f"width={self.width}"
        if self.width is None:
            shown = self._widths
            text = ", ".join(map(str, shown)) if len(shown) <= 8 else _abridged(shown)
            size = f"widths=({text})"
        parts = [f"depth={self.depth}", size, f"act={str(self.act)!r}"]
        parts.append(f"scheme={str(self.scheme)!r}")
        if self.sigma_b:
            parts.append(f"sigma_b={self.sigma_b!r}")
        elif self.sigma_b == 0 and self.scheme.bias_scale:
            parts.append("sigma_b=0.0")
        return f"Network({', '.join(parts)})"

    def to_dict(self) -> dict[str, Any]:
        """The network as plain dicts, lists, numbers and strings.

        A callable keeps just its name and fingerprint.

        Examples
        --------
        >>> Network.from_dict(Network(2, act="tanh").to_dict()) == Network(2, act="tanh")
        True
        """
        callable_only = self.act.formula is None
        kept = {"callable": self.act.name, "fingerprint": self.act.fingerprint}
        scheme = {name: getattr(self.scheme, name) for name in _SCHEME_FIELDS}
        return {
            "depth": self.depth,
            "width": self.width,
            "widths": list(self._widths) or None,
            "act": kept if callable_only else str(self.act),
            "scheme": scheme,
            "sigma_b": self.sigma_b,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """The network of a dict made by `to_dict`.

        An activation that was a Python callable comes back as a record that can't be called.

        Raises
        ------
        ValueError
            If the dict has other keys than `to_dict` gives, or a value is out of range.
        """
        keys = {"depth", "width", "widths", "act", "scheme", "sigma_b"}
        if not isinstance(data, Mapping) or set(data) != keys:
            given = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise ValueError(f"a network's dict has the keys {sorted(keys)}, not {given}")
        act, scheme = data["act"], data["scheme"]
        if isinstance(act, Mapping):
            if set(act) != {"callable", "fingerprint"} or not all(
                isinstance(value, str) for value in act.values()
            ):
                raise ValueError(
                    f"an activation's dict has a name under 'callable' and a 'fingerprint', "
                    f"not {dict(act)!r}"
                )
            act = Activation.placeholder(act["callable"], act["fingerprint"])
        if not isinstance(scheme, Mapping) or set(scheme) != set(_SCHEME_FIELDS):
            raise ValueError(f"a scheme's dict has the keys {list(_SCHEME_FIELDS)}, not {scheme!r}")
        return cls(
            data["depth"],
            width=data["width"],
            widths=data["widths"],
            act=act,
            scheme=Scheme(**scheme),
            sigma_b=data["sigma_b"],
        )


_SCHEME_FIELDS = (
    "name",
    "distribution",
    "scale",
    "mode",
    "shape",
    "bias_scale",
    "bias_distribution",
)


def _abridged(widths: tuple[int, ...]) -> str:
    first, last = widths[:3], widths[-3:]
    return f"{', '.join(map(str, first))}, ..., {', '.join(map(str, last))}"


def _whole(what: str, value: object, largest: int) -> int:
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{what} must be an int from 1 to {largest}, not {value!r} ({type(value).__name__})"
        ) from None
    if not 1 <= number <= largest:
        raise ValueError(f"{what} must be from 1 to {largest}, not {number}")
    return number


def _checked_widths(
    depth: int, width: object, widths: Sequence[int] | None
) -> tuple[int | None, tuple[int, ...]]:
    if widths is None:
        return _whole("width", DEFAULT_WIDTH if width is None else width, MAX_WIDTH), ()
    if width is not None:
        raise ValueError(f"give width={width!r} or widths=..., not both")
    if isinstance(widths, str) or not hasattr(widths, "__len__"):
        raise TypeError(f"widths must be a sequence of ints, not {type(widths).__name__}")
    if len(widths) != depth + 1:
        raise ValueError(
            f"widths must have depth + 1 = {depth + 1} numbers (the input's size, then one for "
            f"each layer), not {len(widths)}"
        )
    sizes = tuple(_whole(f"widths[{i}]", size, MAX_WIDTH) for i, size in enumerate(widths))
    return (sizes[0], ()) if len(set(sizes)) == 1 else (None, sizes)


def _checked_sigma_b(sigma_b: Any, scheme: Scheme) -> float | None:
    if sigma_b is None:
        return None if scheme.bias_scale else 0.0
    is_number = isinstance(sigma_b, int | float | np.integer | np.floating)
    if isinstance(sigma_b, bool) or not is_number:
        raise TypeError(f"sigma_b must be a number, not {sigma_b!r}")
    if sigma_b != 0 and not 1e-150 <= sigma_b <= 1e150:
        raise ValueError(f"sigma_b must be 0 or from 1e-150 to 1e150, not {sigma_b!r}")
    return float(sigma_b)
