"""The numbers that theory needs of one step: variances of weights, keep rates, shares of taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ._torch_kinds import plain_name

__all__ = ["bias_of", "facts_of", "mean_square", "tensors_in"]

_CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
# Where functions take what the modules hold as attributes (place 0 is the input).
_PLACES: dict[str, dict[str, tuple[int, Any]]] = {
    "linear": {"weight": (1, None), "bias": (2, None)},
    "conv": {
        "weight": (1, None), "bias": (2, None), "stride": (3, 1), "padding": (4, 0),
        "dilation": (5, 1),
    },
    "layer norm": {"weight": (2, None), "bias": (3, None), "eps": (4, 1e-5)},
    "rms norm": {"weight": (2, None), "eps": (3, None)},
    "batch norm": {
        "weight": (3, None), "bias": (4, None), "training": (5, False), "eps": (7, 1e-5),
    },
    "dropout": {"p": (1, 0.5), "training": (2, True)},
}  # fmt: skip


def tensors_in(thing: Any) -> list[torch.Tensor]:
    """All tensors in nested tuples, lists, dicts and dataclasses, in order.

    Examples
    --------
    >>> len(tensors_in((torch.ones(1), {"a": [torch.ones(2)], "b": None})))
    2
    """
    if isinstance(thing, torch.Tensor):
        return [thing]
    if isinstance(thing, Mapping):
        thing = list(thing.values())
    elif is_dataclass(thing):
        thing = list(vars(thing).values())
    if isinstance(thing, tuple | list):
        return [tensor for part in thing for tensor in tensors_in(part)]
    return []


def mean_square(tensor: torch.Tensor | None) -> float:
    """Mean of the squares in float64; 0 for None.

    Examples
    --------
    >>> mean_square(torch.tensor([1.0, 7.0]))
    25.0
    """
    if tensor is None or tensor.numel() == 0:
        return 0.0
    return float(tensor.detach().double().square().mean())


def facts_of(
    kind: str,
    target: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    source: torch.Tensor | None,
) -> dict[str, float] | None:
    """The facts of one call, or None where the theory doesn't know what it does.

    Parameters
    ----------
    kind : str
        One of `varprop._torch_kinds.KINDS`.
    target : module or function
    args, kwargs : sequence, mapping
        Of the call.
    source : Tensor or None
        What it read.

    Examples
    --------
    >>> facts_of("dropout", nn.Dropout(0.25), (), {}, None)
    {'keep': 0.75}
    """

    def given(name: str, default: Any = None) -> Any:
        return _given(kind, target, args, kwargs, name, default)

    if kind in ("linear", "conv"):
        weight = given("weight")
        facts = {
            "weight": mean_square(weight) * weight[0].numel(),
            "bias": mean_square(given("bias")),
            "inside": 1.0,
        }
        if kind == "conv" and source is not None:
            padding = given("padding", 0)
            if given("padding_mode", "zeros") == "zeros":
                facts["inside"] = _inside(
                    source, weight, given("stride"), padding, given("dilation")
                )
        return facts
    if kind in ("layer norm", "rms norm", "batch norm"):
        if kind == "batch norm" and not given("training", True):
            return None  # running averages: whatever the data were
        weight = given("weight")
        return {
            "gain": 1.0 if weight is None else mean_square(weight),
            "shift": mean_square(given("bias")),
            "eps": float(given("eps") or 0.0),
        }
    if kind == "dropout":
        return {"keep": 1.0 - float(given("p")) if given("training", True) else 1.0}
    if kind == "scale":
        return _factor(target, args)
    if kind == "add":
        return {} if len(args) == 2 and not kwargs else None
    return {}


def bias_of(
    kind: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> torch.Tensor | None:
    """What a weighted step adds after its product, if anything.

    Examples
    --------
    >>> bias_of("linear", nn.Linear(2, 3), (), {}).shape
    torch.Size([3])
    """
    if kind not in ("linear", "conv"):
        return None
    bias: torch.Tensor | None = _given(kind, target, args, kwargs, "bias")
    return bias


def _given(
    kind: str,
    target: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str,
    default: Any = None,
) -> Any:
    """An attribute of a module, or an argument of a function by place or name."""
    if isinstance(target, nn.Module):
        return getattr(target, name, default)
    place, default = _PLACES[kind].get(name, (10**6, default))
    return args[place] if len(args) > place else kwargs.get(name, default)


def _factor(function: Any, args: Sequence[Any]) -> dict[str, float] | None:
    if len(args) != 2:
        return None
    numbers = [arg for arg in args if isinstance(arg, int | float)]
    divides = "div" in plain_name(function)
    if len(numbers) != 1 or numbers[0] == 0 or (divides and numbers[0] is args[0]):
        return None
    return {"factor": 1.0 / numbers[0] if divides else float(numbers[0])}


def _inside(
    source: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any, dilation: Any
) -> float:
    """The share of a convolution's taps that fall on the input, not on the zeros around it."""
    taps = torch.ones(1, 1, *weight.shape[2:])
    sizes = source.shape[-(weight.ndim - 2) :]
    counted = _CONVOLUTIONS[weight.ndim](
        torch.ones(1, 1, *sizes), taps, None, stride, padding, dilation
    )
    share: float = counted.mean().item() / taps.numel()
    return share
