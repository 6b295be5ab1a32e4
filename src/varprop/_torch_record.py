"""One pass of a model, forward and back: its graph, and what was measured at every step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from ._torch_facts import bias_of, facts_of, mean_square, tensors_in
from ._torch_graph import Node
from ._torch_kinds import activation_name, function_kind, is_leaf, module_kind, plain_name
from .activation import Activation

__all__ = ["Pass", "record"]

_ONE_INPUT = ("linear", "conv", "activation", "layer norm", "rms norm", "batch norm", "dropout")
_UNITS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
_BROKEN_BACK = {"gradient_broken": 1.0}
_DEAD_SLOPE = 1e-6  # of the largest slope: a unit this flat learns nothing


@dataclass(frozen=True)
class Pass:
    """What one run of a model gave.

    Attributes
    ----------
    nodes : list of Node
    measured : list of dict
        For every step: mean_square, mean, zero, saturated, dead, units, numel, without_bias (the
        mean square) and gradient (the sum of squares); what could not be measured is missing.
    outputs : tuple of int
        The steps that the model returned.
    output_numel : int
        Numbers in the output: the sum of squares of the gradient there, on average.
    """

    nodes: list[Node]
    measured: list[dict[str, float]]
    outputs: tuple[int, ...]
    output_numel: int


class _Call(NamedTuple):
    """One call, before its result is known."""

    kind: str
    inputs: tuple[int, ...] = ()
    target: nn.Module | None = None
    act: str | None = None
    facts: Mapping[str, float] = MappingProxyType({})
    shares: Mapping[str, float] = MappingProxyType({})
    bias: torch.Tensor | None = None


class _Recorder(TorchFunctionMode):
    """Sees every torch function and every module while a model runs."""

    def __init__(self, model: nn.Module, saturated_below: float, backward: bool) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.measured: list[dict[str, float]] = []
        self._where: dict[int, int] = {}  # id of a tensor -> the step that made it
        self._kept: list[torch.Tensor] = []  # so that no id is used twice
        self._axis: list[int] = []
        self._path: list[str] = []
        self._leaf_depth = 0
        self._slopes: dict[str, float] = {}
        self._calls: Counter[str] = Counter()
        self._saturated_below = saturated_below
        self._backward = backward
        self.over = False  # the way back may run modules again (activation checkpointing)
        for name, module in model.named_modules():
            module.register_forward_pre_hook(self._enter(name), with_kwargs=True)
            module.register_forward_hook(self._leave(name), with_kwargs=True)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._leaf_depth:
            return func(*args, **kwargs)
        kind = function_kind(func)
        inputs = self._inputs(kind, args, kwargs)
        if not inputs:
            return func(*args, **kwargs)
        self._leaf_depth += 1  # what the measurements call is not the model's
        try:
            call = self._before(kind, inputs, func, func, args, kwargs)
            out = func(*args, **kwargs)
            name = ".".join([*self._path[-1:], f"{plain_name(func)}()"]).lstrip(".")
            self._add(name, call, out)
        finally:
            self._leaf_depth -= 1
        return out

    def begin(self, tensor: torch.Tensor) -> None:
        """Make a tensor known as the model's input."""
        facts = {"real": float(tensor.is_floating_point())}
        self._add("input", _Call("input", facts=facts), tensor)

    def outputs(self, out: Any) -> list[torch.Tensor]:
        """The tensors among the outputs that the graph knows."""
        return [t for t in tensors_in(out) if t.is_floating_point() and id(t) in self._where]

    def index(self, tensor: torch.Tensor) -> int:
        """The step that made a tensor."""
        return self._where[id(tensor)]

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if self.over:
                return
            self._path.append(name)
            if not is_leaf(module):
                return
            if self._leaf_depth == 0:
                kind = module_kind(module)
                inputs = self._inputs(kind, args, kwargs)
                self._leaf_depth += 1
                self._pending = self._before(kind, inputs, module, module.forward, args, kwargs)
            else:
                self._leaf_depth += 1

        return hook

    def _leave(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            if self.over:
                return
            self._path.pop()
            if not is_leaf(module):
                self._promote(name, module, out)
                return
            if self._leaf_depth == 1 and tensors_in(out):
                self._add(name or "(model)", self._pending, out)
            self._leaf_depth -= 1

        return hook

    def _promote(self, name: str, module: nn.Module, out: Any) -> None:
        """A module of the user's own, without children, is known by the last thing it did."""
        if self._leaf_depth or any(True for _ in module.children()) or not tensors_in(out):
            return
        found = self._where.get(id(tensors_in(out)[0]))
        if found is not None and self.nodes[found].kind in ("other", "scale", "same"):
            self.nodes[found].name = self._numbered(name or "(model)")
            self.nodes[found].target = module

    def _inputs(self, kind: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
        """The steps that a call reads; its own parameters are no steps, others' are."""
        tensors = tensors_in((args, kwargs))
        if kind in _ONE_INPUT:
            tensors = tensors[:1]
        known = any(id(t) in self._where for t in tensors)
        for tensor in tensors if known else ():
            if isinstance(tensor, nn.Parameter) and id(tensor) not in self._where:
                self._leaf_depth += 1
                self._add("parameter", _Call("parameter"), tensor)
                self._leaf_depth -= 1
        return tuple(self._where[id(t)] for t in tensors if id(t) in self._where)

    def _numbered(self, name: str) -> str:
        self._calls[name] += 1
        return name if self._calls[name] == 1 else f"{name} #{self._calls[name]}"

    def _before(
        self,
        kind: str,
        inputs: tuple[int, ...],
        target: Any,
        forward: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> _Call:
        """What has to be known of a call before it runs (it may work in place)."""
        act = activation_name(target, args, kwargs) if kind == "activation" else None
        source = next(iter(tensors_in((args, kwargs))), None)
        facts = facts_of(kind, target, args, kwargs, source)
        return _Call(
            kind if facts is not None else "other",
            inputs,
            target if isinstance(target, nn.Module) else None,
            act,
            facts or {},
            self._slope_shares(act, forward, args, kwargs, inputs),
            bias_of(kind, target, args, kwargs),
        )

    def _slope_shares(
        self,
        act: str | None,
        call: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: tuple[int, ...],
    ) -> dict[str, float]:
        """Shares of saturated units, and of those that are flat for every input."""
        read = tensors_in(args[:1])
        if act is None or not inputs or len(read) != 1 or not read[0].is_floating_point():
            return {}
        # Without the hooks of activation checkpointing, which counts what a model saves.
        with torch.enable_grad(), saved_tensors_hooks(_as_it_is, _as_it_is):
            z = read[0].detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(call(z.clone(), *args[1:], **kwargs).sum(), z)
        slope = slope.abs().double()
        if act not in self._slopes:
            self._slopes[act] = Activation.parse(act).max_slope
        largest = self._slopes[act]
        flat = slope <= (_DEAD_SLOPE * largest if math.isfinite(largest) else 0.0)
        axis = self._axis[inputs[0]] if z.ndim > 1 else 0
        by_unit = flat.movedim(axis, 0).flatten(1).all(1) if z.ndim > 1 else flat
        found = {"dead": float(by_unit.double().mean()), "units": float(by_unit.numel())}
        if math.isfinite(largest) and largest > 0:
            found["saturated"] = float((slope <= self._saturated_below * largest).double().mean())
        return found

    def _add(self, name: str, call: _Call, out: Any) -> None:
        kind = call.kind
        found = [t for t in tensors_in(out) if t.is_floating_point() or kind == "input"]
        if not found:
            return
        tensor, index = found[0], len(self.nodes)
        name = name if kind in ("input", "parameter", "same") else self._numbered(name)
        self.nodes.append(
            Node(index, name, kind, call.inputs, call.target, call.act, dict(call.facts))
        )
        self.measured.append(dict(call.shares) | _measured(tensor))
        self._axis.append(self._unit_axis(call, tensor))
        if kind in ("linear", "conv"):
            bias = call.bias
            if bias is not None and kind == "conv":
                bias = bias.reshape(-1, *[1] * (tensor.ndim - 2))
            free = tensor.detach() if bias is None else tensor.detach() - bias.detach()
            self.measured[index]["without_bias"] = mean_square(free)
        for part in tensors_in(out):
            self._where[id(part)] = index
            self._kept.append(part)
        if self._backward and tensor.requires_grad and kind != "same":
            measured = self.measured[index]

            def store(gradient: torch.Tensor) -> None:
                square = float(gradient.double().square().sum())
                measured.update({"gradient": square} if math.isfinite(square) else _BROKEN_BACK)

            tensor.register_hook(store)

    def _unit_axis(self, call: _Call, tensor: torch.Tensor) -> int:
        kind, inputs = call.kind, call.inputs
        if isinstance(call.target, _UNITS_FIRST) or kind in ("conv", "batch norm"):
            return 1
        if kind in ("linear", "attention", "layer norm", "rms norm", "embedding"):
            return -1
        if inputs and self._ndim(inputs[0]) == tensor.ndim:
            return self._axis[inputs[0]]
        return 1 if kind == "input" and tensor.ndim > 3 else -1

    def _ndim(self, index: int) -> int:
        return int(self.measured[index]["ndim"])


def _as_it_is(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _measured(tensor: torch.Tensor) -> dict[str, float]:
    values = tensor.detach().double()
    square = float(values.square().mean())
    found = {"numel": float(values.numel()), "ndim": float(tensor.ndim)}
    if not math.isfinite(square):
        return found | {"broken": 1.0}
    found |= {"mean_square": square, "zero": float((values == 0).double().mean())}
    found["mean"] = float(values.mean())
    return found


def record(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    saturated_below: float = 0.05,
    backward: bool = True,
) -> Pass:
    """Run a model once, with hooks that stay on it: give it a copy.

    Parameters
    ----------
    model : Module
        Made to require gradients everywhere.
    args, kwargs : sequence, mapping
        What to call it with.
    saturated_below : float
        A unit counts as saturated where its slope is at most this fraction of the largest.
    backward : bool
        Whether to send a random direction of mean square 1 back from the output.

    Returns
    -------
    Pass

    Examples
    --------
    >>> found = record(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), [torch.ones(2, 3)], {})
    >>> [(node.name, node.kind) for node in found.nodes]
    [('input', 'input'), ('0', 'linear'), ('1', 'activation')]
    """
    with torch.inference_mode(False), torch.enable_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_()
        recorder = _Recorder(model, saturated_below, backward)

        def fresh(thing: Any) -> Any:
            if isinstance(thing, torch.Tensor):
                tensor = thing.detach().clone()
                if tensor.is_floating_point():
                    tensor = tensor.requires_grad_().clone()  # no leaf: it may be changed in place
                recorder.begin(tensor)
                return tensor
            if isinstance(thing, Mapping):
                return {key: fresh(value) for key, value in thing.items()}
            if isinstance(thing, tuple | list):
                parts = [fresh(part) for part in thing]
                return type(thing)(*parts) if hasattr(thing, "_fields") else type(thing)(parts)
            return thing

        own_args, own_kwargs = fresh(list(args)), fresh(dict(kwargs))
        with recorder:
            out = model(*own_args, **own_kwargs)
        recorder.over = True
        outputs = recorder.outputs(out)
        if not outputs:
            raise ValueError(
                "the model returned no tensor of real numbers that depends on x through torch "
                f"functions; it returned {type(out).__name__}"
            )
        if backward:
            outputs = [t for t in outputs if t.requires_grad]
            directions = [torch.randn_like(t) for t in outputs]
            if outputs:
                torch.autograd.backward(outputs, directions)
    return Pass(
        recorder.nodes,
        recorder.measured,
        tuple(recorder.index(t) for t in recorder.outputs(out)),
        sum(t.numel() for t in recorder.outputs(out)),
    )
