"""What a PyTorch module or function is to the theory: a kind, and the activation if it is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

__all__ = ["KINDS", "activation_name", "function_kind", "is_leaf", "module_kind", "plain_name"]

KINDS = (
    "linear",
    "conv",
    "attention",
    "activation",
    "layer norm",
    "rms norm",
    "batch norm",
    "dropout",
    "same",
    "add",
    "scale",
    "embedding",
    "other",
)

_SAME_MODULES = (nn.Identity, nn.Flatten, nn.Unflatten)
_MODULE_KINDS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear,), "linear"),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "conv"),
    ((nn.MultiheadAttention,), "attention"),
    ((nn.LayerNorm, nn.GroupNorm), "layer norm"),
    ((nn.RMSNorm,), "rms norm"),
    ((nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm), "batch norm"),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), "dropout"),
    (_SAME_MODULES, "same"),
    ((nn.Embedding,), "embedding"),
)

# Of torch.nn modules: the name in varprop, with the values of attributes put in.
_MODULES: dict[type[nn.Module], Callable[[Any], str | None]] = {
    nn.ReLU: lambda m: "relu",
    nn.LeakyReLU: lambda m: f"leaky_relu({m.negative_slope!r})",
    nn.PReLU: lambda m: f"leaky_relu({m.weight.item()!r})" if m.weight.numel() == 1 else None,
    nn.ELU: lambda m: f"elu({m.alpha!r})",
    nn.CELU: lambda m: f"celu({m.alpha!r})",
    nn.SELU: lambda m: "selu",
    nn.ReLU6: lambda m: "relu6",
    nn.Hardtanh: lambda m: _hardtanh(m.min_val, m.max_val),
    nn.Hardsigmoid: lambda m: "hardsigmoid",
    nn.Hardswish: lambda m: "hardswish",
    nn.Tanh: lambda m: "tanh",
    nn.Sigmoid: lambda m: "sigmoid",
    nn.Softplus: lambda m: _softplus(m.beta),
    nn.Softsign: lambda m: "softsign",
    nn.GELU: lambda m: _gelu(m.approximate),
    nn.SiLU: lambda m: "silu",
    nn.Mish: lambda m: "mish",
}


def _hardtanh(low: float, high: float) -> str:
    return "hardtanh" if (low, high) == (-1.0, 1.0) else f"min(max(x, {low!r}), {high!r})"


def _softplus(beta: float) -> str:
    return "softplus" if beta == 1 else f"softplus({beta!r}*x)/{beta!r}"


def _gelu(approximate: str) -> str:
    return "gelu_tanh" if approximate == "tanh" else "gelu"


def _fixed(name: str) -> Callable[[Sequence[Any], Mapping[str, Any]], str]:
    return lambda args, kwargs: name


def _with(
    make: Callable[..., str], *parameters: tuple[str, Any]
) -> Callable[[Sequence[Any], Mapping[str, Any]], str]:
    """The name from a function's arguments after the first, given by place or by name."""

    def name(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        values = [
            args[i + 1] if len(args) > i + 1 else kwargs.get(key, default)
            for i, (key, default) in enumerate(parameters)
        ]
        return make(*values)

    return name


def _named(name: str) -> Callable[[float], str]:
    return lambda value: f"{name}({value!r})"


_BY_NAME: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], str]] = {
    name: _fixed(name)
    for name in (
        "relu", "relu6", "selu", "hardsigmoid", "hardswish", "tanh", "sigmoid", "softsign", "silu",
        "mish", "sin", "cos", "erf", "abs",
    )
} | {
    "arctan": _fixed("arctan"),
    "atan": _fixed("arctan"),
    "leaky_relu": _with(_named("leaky_relu"), ("negative_slope", 0.01)),
    "elu": _with(_named("elu"), ("alpha", 1.0)),
    "celu": _with(_named("celu"), ("alpha", 1.0)),
    "softplus": _with(_softplus, ("beta", 1.0)),
    "hardtanh": _with(_hardtanh, ("min_val", -1.0), ("max_val", 1.0)),
    "gelu": lambda args, kwargs: _gelu(kwargs.get("approximate", "none")),
}  # fmt: skip

_FUNCTION_KINDS: dict[str, str] = (
    dict.fromkeys(("add", "radd", "iadd"), "add")
    | dict.fromkeys(("mul", "rmul", "imul", "div", "truediv", "itruediv"), "scale")
    | dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), "dropout")
    | dict.fromkeys(("conv1d", "conv2d", "conv3d"), "conv")
    | {"layer_norm": "layer norm", "rms_norm": "rms norm", "batch_norm": "batch norm"}
    | {"linear": "linear", "embedding": "embedding"}
    | dict.fromkeys(
        (
            "view", "reshape", "flatten", "permute", "transpose", "contiguous", "clone",
            "unsqueeze", "squeeze", "unflatten", "swapaxes", "movedim", "view_as",
            "reshape_as", "to", "float",
        ),
        "same",
    )
)  # fmt: skip
_HOMES = (torch, F, torch.Tensor, torch._C._nn)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module counts as one step: torch.nn's own without children, and attention."""
    if isinstance(module, nn.MultiheadAttention):
        return True
    kind, children = type(module), {name for name, _ in module.named_children()}
    if is_parametrized(module):
        kind, children = kind.__mro__[1], children - {"parametrizations"}
    own = kind.__module__.startswith("torch.nn.")
    return own and not children and not isinstance(module, _CONTAINERS)


_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def module_kind(module: nn.Module) -> str:
    """The kind of a leaf module.

    Examples
    --------
    >>> module_kind(nn.Conv2d(1, 2, 3)), module_kind(nn.GELU()), module_kind(nn.Softmax(-1))
    ('conv', 'activation', 'other')
    """
    if type(module) in _MODULES:
        return "activation" if activation_name(module) else "other"
    for types, kind in _MODULE_KINDS:
        if isinstance(module, types):
            return kind
    return "other"


def plain_name(function: Any) -> str:
    """A function's name without the underscore of its in-place twin.

    Examples
    --------
    >>> plain_name(torch.Tensor.relu_), plain_name(torch.Tensor.__add__)
    ('relu', 'add')
    """
    name = getattr(function, "__name__", function if isinstance(function, str) else "")
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    return str(name).strip("_")


def function_kind(function: Any) -> str:
    """The kind of a torch function or tensor method, or of a method's name.

    Examples
    --------
    >>> function_kind(F.gelu), function_kind(torch.Tensor.relu_), function_kind("view")
    ('activation', 'activation', 'same')
    """
    name = plain_name(function)
    return "activation" if name in _BY_NAME else _FUNCTION_KINDS.get(name, "other")


def activation_name(
    target: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> str | None:
    """What varprop calls this module, or this function called with these arguments.

    Examples
    --------
    >>> activation_name(nn.GELU(approximate="tanh"))
    'gelu_tanh'
    >>> activation_name(F.leaky_relu, (None, 0.2))
    'leaky_relu(0.2)'
    """
    if isinstance(target, nn.Module):
        make = _MODULES.get(type(target))
        return make(target) if make else None
    named = _BY_NAME.get(plain_name(target))
    return named(args, kwargs or {}) if named else None
