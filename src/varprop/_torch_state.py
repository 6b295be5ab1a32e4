"""How to call a model without leaving a trace: arguments checked, random states kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ._torch_facts import tensors_in

__all__ = ["call_arguments", "kept_random_state"]


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
