"""Network: what is simulated and what is predicted; validated once, here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from varprop import _network_dict
from varprop._primitives import Array
from varprop.activation import Activation
from varprop.architecture import Norm, Residual, checked_keep, checked_norm, checked_residual
from varprop.scheme import Scheme

MAX_DEPTH = 2**31
MAX_WIDTH = 2**30
DEFAULT_WIDTH = 1000

ActivationSpec = str | Activation | Sequence[Callable[[Array], Any]]


@dataclass(frozen=True, init=False, repr=False)
class Network:
    """A fully connected random network: z^l = W^l h^(l-1) + b^l, h^l = φ(z^l), l = 1..depth.

    With skip connections, norms and dropout it is
    z^l = N_post(skip z^(l-1) + branch (W^l h^(l-1) + b^l)), h^l = mask^l φ(N_pre(z^l)) / keep.

    Parameters
    ----------
    depth : int
        Number of layers L, 1 to 2**31; `widths` imply it.
    width : int, optional
        Units in every layer and in the input, 1 to 2**30. Default 1000.
    widths : sequence of int, optional
        n_0 (the input's size) to n_L instead of `width`: depth + 1 numbers.
    act : str, Activation, pair of callables, or a list of them
        See `Activation.parse`; a list has one for each layer. Default "relu".
    scheme : str or Scheme, or a list of them, optional
        See `Scheme.parse`; a list has one for each layer. Default "he".
    sigma_w : float, optional
        Instead of a scheme: normal weights, Var W_ij = sigma_w**2/fan_in; 1e-150 to 1e150.
    sigma_b : float, optional
        Standard deviation of normal biases: 0, or 1e-150 to 1e150. Default: the scheme's own
        biases (only "torch" has any).
    residual : Residual, optional
        Skip connections between layers of one width.
    norm : {"layer", "rms"} or Norm, optional
        LayerNorm or RMSNorm; by name, before φ ("pre").
    dropout : float, optional
        Share of units that are kept in each layer, 1e-9 to 1, each input's chosen on its own;
        the others are 0. Default 1.

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
    _acts: tuple[Activation, ...]  # one, or one for each layer
    _schemes: tuple[Scheme, ...]  # the same
    sigma_b: float | None  # None: the scheme's own
    residual: Residual | None
    norm: Norm | None
    keep: float

    def __init__(
        self,
        depth: int | None = None,
        width: int | None = None,
        widths: Sequence[int] | None = None,
        act: ActivationSpec | Sequence[ActivationSpec] = "relu",
        scheme: str | Scheme | Sequence[str | Scheme] | None = None,
        sigma_w: float | None = None,
        sigma_b: float | None = None,
        residual: Residual | None = None,
        norm: str | Norm | None = None,
        dropout: float | None = None,
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        layers = _checked_depth(depth, widths)
        common, each = _checked_widths(layers, width, widths)
        acts = _each("act", act, layers, Activation.parse, of_callables=True)
        if scheme is not None and sigma_w is not None:
            raise ValueError(
                f"scheme={str(scheme)!r} and sigma_w={sigma_w!r} both set the weights: give one"
            )
        if sigma_w is None:
            laws = _schemes("he" if scheme is None else scheme, layers, acts)
        else:
            laws = (Scheme.from_sigma_w(sigma_w),)
        sizes = {common} if common is not None else set(each[1:])
        put("depth", layers)
        put("width", common)
        put("_widths", each)
        put("_acts", acts)
        put("_schemes", laws)
        put("sigma_b", _checked_sigma_b(sigma_b, laws))
        put("residual", checked_residual(residual, sizes))
        put("norm", checked_norm(norm, sizes))
        put("keep", checked_keep(dropout))

    @property
    def widths(self) -> tuple[int, ...]:
        """(n_0, ..., n_L)."""
        return self._widths if self.width is None else (self.width,) * (self.depth + 1)

    @property
    def act(self) -> Activation:
        """The activation of all layers; ValueError where they differ."""
        if len(self._acts) > 1:
            raise ValueError(f"the layers of {self!r} have different activations: see .acts")
        return self._acts[0]

    @property
    def acts(self) -> tuple[Activation, ...]:
        """The activation of each layer."""
        return self._acts if len(self._acts) > 1 else self._acts * self.depth

    @property
    def scheme(self) -> Scheme:
        """The scheme of all layers; ValueError where they differ."""
        if len(self._schemes) > 1:
            raise ValueError(f"the layers of {self!r} have different schemes: see .schemes")
        return self._schemes[0]

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """The scheme of each layer."""
        return self._schemes if len(self._schemes) > 1 else self._schemes * self.depth

    @property
    def distinct_acts(self) -> tuple[Activation, ...]:
        """One activation if all layers have it, else `acts`."""
        return self._acts

    @property
    def distinct_schemes(self) -> tuple[Scheme, ...]:
        """One scheme if all layers have it, else `schemes`."""
        return self._schemes

    @property
    def distributions(self) -> tuple[str, ...]:
        """The laws of the weights that occur, each once."""
        return tuple(dict.fromkeys(scheme.distribution for scheme in self._schemes))

    @property
    def alike(self) -> bool:
        """Whether all layers have the same activation and scheme."""
        return len(self._acts) == 1 and len(self._schemes) == 1

    @property
    def plain(self) -> bool:
        """Whether a layer is weights, biases and φ alone, the same φ and scheme in all."""
        return self.alike and self.residual is None and self.norm is None and self.keep == 1.0

    def _fans(self) -> tuple[Array, Array]:
        if self.width is not None:
            same = np.full(self.depth, float(self.width))
            return same, same
        sizes = np.array(self._widths, dtype=np.float64)
        return sizes[:-1], sizes[1:]

    def _of_schemes(self, of: Callable[[Scheme, Array, Array], Any]) -> Array:
        fan_in, fan_out = self._fans()
        if len(self._schemes) == 1:
            return np.asarray(of(self._schemes[0], fan_in, fan_out), dtype=np.float64)
        each = zip(self._schemes, fan_in, fan_out, strict=True)
        return np.array([of(scheme, above, below) for scheme, above, below in each])

    @property
    def weight_variance(self) -> Array:
        """Var W_ij of each layer, shape (depth,)."""
        return self._of_schemes(Scheme.variance)

    @property
    def sigma_w(self) -> Array:
        """sqrt(fan_in Var W_ij) of each layer, shape (depth,)."""
        root: Array = np.sqrt(self._of_schemes(Scheme.gain))
        return root

    @property
    def bias_std(self) -> Array:
        """Standard deviation of the biases of each layer, shape (depth,)."""
        if self.sigma_b is not None:
            return np.full(self.depth, self.sigma_b)
        root: Array = np.sqrt(
            self._of_schemes(lambda scheme, fan_in, _: scheme.bias_variance(fan_in))
        )
        return root

    @property
    def bias_distributions(self) -> tuple[str, ...]:
        """ "normal" or "uniform", the laws of the biases that occur."""
        if self.sigma_b is not None:
            return ("normal",)
        return tuple(dict.fromkeys(scheme.bias_distribution for scheme in self._schemes))

    @property
    def bias_distribution(self) -> str:
        """ "normal" or "uniform"; ValueError where layers differ."""
        laws = self.bias_distributions
        if len(laws) > 1:
            raise ValueError(f"the layers of {self!r} have different laws of biases")
        return laws[0]

    @property
    def has_bias(self) -> bool:
        """Whether any bias is not exactly 0."""
        return self.sigma_b != 0

    @property
    def last_source(self) -> int:
        """How many layers lie up to the last one with biases or with φ(0) not 0.

        Above it nothing but the layer below makes a signal.
        """
        still = np.array([act.at_zero[0] == 0 for act in self._acts]) & (self.bias_std == 0)
        return 0 if still.all() else int(np.flatnonzero(~still)[-1]) + 1

    def __repr__(self) -> str:
        size = f"width={self.width}"
        if self.width is None:
            shown = self._widths
            text = ", ".join(map(str, shown)) if len(shown) <= 8 else _abridged(shown)
            size = f"widths=({text})"
        parts = [f"depth={self.depth}", size, f"act={_shown(self._acts)}"]
        parts.append(f"scheme={_shown(self._schemes)}")
        if self.sigma_b:
            parts.append(f"sigma_b={self.sigma_b!r}")
        elif self.sigma_b == 0 and any(scheme.bias_scale for scheme in self._schemes):
            parts.append("sigma_b=0.0")
        parts += [f"{name}={value!r}" for name, value in self.extras().items()]
        return f"Network({', '.join(parts)})"

    def extras(self) -> dict[str, Any]:
        """What goes beyond weights and φ, by the name of its argument."""
        extras = {"residual": self.residual, "norm": self.norm}
        if self.keep != 1.0:
            extras["dropout"] = self.keep  # type: ignore[assignment]
        return {name: value for name, value in extras.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """The network as plain dicts, lists, numbers and strings.

        A callable keeps just its name and fingerprint.

        Examples
        --------
        >>> Network.from_dict(Network(2, act="tanh").to_dict()) == Network(2, act="tanh")
        True
        """
        return _network_dict.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """The network of a dict made by `to_dict`.

        An activation that was a Python callable comes back as a record that can't be called.

        Raises
        ------
        ValueError
            If the dict has other keys than `to_dict` gives, or a value is out of range.
        """
        return cls(**_network_dict.arguments(data))


def _shown(each: tuple[Activation, ...] | tuple[Scheme, ...]) -> str:
    texts = [repr(str(one)) for one in each]
    if len(texts) == 1:
        return texts[0]
    if len(texts) > 8:
        texts = [*texts[:3], "...", *texts[-3:]]
    return f"[{', '.join(texts)}]"


def _each(
    what: str, spec: Any, depth: int, parse: Callable[[Any], Any], of_callables: bool = False
) -> tuple[Any, ...]:
    """One record, or one for each layer."""
    if not isinstance(spec, list | tuple):
        return (parse(spec),)
    pair = of_callables and len(spec) == 2 and all(map(callable, spec))
    if pair and not any(isinstance(part, Activation) for part in spec):
        return (parse(spec),)
    if len(spec) != depth:
        raise ValueError(
            f"a list of {what} has one for each of the {depth} layers, not {len(spec)}"
        )
    each = tuple(parse(one) for one in spec)
    return each[:1] if all(one == each[0] for one in each) else each


def _schemes(spec: Any, depth: int, acts: tuple[Activation, ...]) -> tuple[Scheme, ...]:
    """The schemes; "kumar" depends on the activation of its layer."""
    if isinstance(spec, list | tuple) or len(acts) == 1:
        several = repeat(acts[0]) if len(acts) == 1 else iter(acts)
        return _each("scheme", spec, depth, lambda one: Scheme.parse(one, next(several)))
    each = tuple(Scheme.parse(spec, act) for act in acts)
    return each[:1] if all(one == each[0] for one in each) else each


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


def _checked_depth(depth: object, widths: Any) -> int:
    if depth is not None:
        return _whole("depth", depth, MAX_DEPTH)
    if widths is None:
        raise ValueError(
            "depth is missing: how many layers? As in depth=200, or widths=(100, 50, 10) for two"
        )
    # What isn't a sequence, or too short for one layer, is refused with the widths.
    return max(1, len(widths) - 1) if hasattr(widths, "__len__") else 1


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


def _checked_sigma_b(sigma_b: Any, schemes: tuple[Scheme, ...]) -> float | None:
    if sigma_b is None:
        return None if any(scheme.bias_scale for scheme in schemes) else 0.0
    is_number = isinstance(sigma_b, int | float | np.integer | np.floating)
    if isinstance(sigma_b, bool) or not is_number:
        raise TypeError(f"sigma_b must be a number, not {sigma_b!r}")
    if sigma_b != 0 and not 1e-150 <= sigma_b <= 1e150:
        raise ValueError(f"sigma_b must be 0 or from 1e-150 to 1e150, not {sigma_b!r}")
    return float(sigma_b)
