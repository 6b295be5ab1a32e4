"""How to call a model without leaving a trace: a copy, arguments checked, random states kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from ._torch_facts import tensors_in

__all__ = ["call_arguments", "copied", "eager", "kept_random_state", "unwrapped"]


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Leave torch's generators, of the CPU and of all CUDA devices, as they were.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with kept_random_state():
    ...     _ = torch.rand(3)
    >>> bool((torch.get_rng_state() == before).all())
    True
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        yield


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside what torch.compile made, or the model itself.

    Examples
    --------
    >>> unwrapped(torch.nn.ReLU())
    ReLU()
    """
    inside = getattr(model, "_orig_mod", None)
    return inside if isinstance(inside, nn.Module) else model


def eager() -> Any:
    """Run compiled parts of a model as they were written: compiled code has no modules to see.

    Examples
    --------
    >>> with eager():
    ...     pass
    """
    stance = getattr(torch.compiler, "set_stance", None)  # since torch 2.6
    return nullcontext() if stance is None else stance("force_eager")


def copied(model: nn.Module) -> nn.Module:
    """A copy to work on, so that the model itself is left alone.

    Raises
    ------
    ValueError
        For a model that can't be copied, or has no numbers in its parameters.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 2)
    >>> copied(model).weight is model.weight
    False
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            "a ScriptModule doesn't let anyone look into it: give the torch.nn.Module it is made of"
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"the shape of {name} is not known yet (a lazy module): run the model once first"
            )
        if parameter.is_meta:
            raise ValueError(f"{name} is on the meta device, where there are no numbers")
    # What a model keeps of its last run (as torch.nn.utils.weight_norm does) refuses to be copied.
    kept = [
        value
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    ]
    try:
        return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in kept})
    except Exception as error:
        raise ValueError(
            "the model can't be copied, and a copy is worked on so as to leave it alone: "
            f"copy.deepcopy says {error}"
        ) from error


def call_arguments(x: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Positional and keyword arguments from one input, a tuple or a dict.

    Parameters
    ----------
    x : Tensor, tuple or dict

    Raises
    ------
    TypeError, ValueError
        If there is no tensor in it, or one that is empty or not finite.

    Examples
    --------
    >>> call_arguments({"x": torch.ones(2)})
    ((), {'x': tensor([1., 1.])})
    """
    args: Sequence[Any] = (x,)
    kwargs: Mapping[str, Any] = {}
    if isinstance(x, Mapping):
        args, kwargs = (), x
    elif isinstance(x, tuple):
        args = x
    tensors = tensors_in((args, kwargs))
    if not tensors:
        raise TypeError(
            "x must be a tensor, a tuple of arguments or a dict of keyword arguments with at least "
            f"one tensor, not {type(x).__name__}"
        )
    for tensor in tensors:
        if tensor.numel() == 0:
            raise ValueError(f"x holds an empty tensor, of shape {tuple(tensor.shape)}")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError("x holds numbers that are not finite")
    return args, kwargs
