"""trace(): run a model many times, newly initialised each time, and measure every module."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from . import _torch_theory as theory
from ._torch_facts import mean_square
from ._torch_graph import Node, trunk
from ._torch_record import Pass, record
from ._torch_report import Estimate, ModuleTrace, Trace
from ._torch_state import call_arguments, copied, eager, kept_random_state, unwrapped
from ._torch_verdict import Step, find

__all__ = ["trace"]

FloatArray = npt.NDArray[np.float64]
_SILENT = ("input", "parameter", "same")
_UNKNOWN = ("attention", "other")  # to the theory
_MOST_DRAWS, _LARGEST_SEED = 10**6, 2**62
_OTHER_SCALE = 1.5  # how far apart root mean squares must be to call two laws different
_ENOUGH_WEIGHTS = 100


def trace(
    model: nn.Module,
    x: Any,
    draws: int = 20,
    *,
    seed: int = 0,
    init: Callable[[nn.Module], Any] | None = None,
    saturated_below: float = 0.05,
) -> Trace:
    """What becomes of signals and gradients at every module of a PyTorch model.

    The model itself is not touched: a copy is initialised `draws` times, by each module's own
    ``reset_parameters``, and run on `x` in the modes (training or not) that it is in. Random states
    are left as they were.

    Parameters
    ----------
    model : torch.nn.Module
        Any model; ordinary Python inside ``forward`` is fine.
    x : Tensor, tuple or dict
        What to call it with: one input, positional arguments, or keyword arguments.
    draws : int, default 20
        How many initialisations; 0 takes the model as it stands. Verdicts keep to their rate of
        false alarms from 2 on, but with fewer than 10 they find gross faults only.
    seed : int, default 0
        Of the initialisations and of what is random inside the model.
    init : callable, optional
        Initialises the model in place of ``reset_parameters``, as in ``model.apply(...)``.
    saturated_below : float, default 0.05
        A unit counts as saturated where its slope is at most this fraction of the largest.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError, TypeError
        For arguments that are no such thing, a model that can't be copied, or one that takes
        another path in another draw.

    Notes
    -----
    What a residual branch loses is carried by the skip connection, so "vanishes" is only said of
    modules that every way from input to output passes. Limits and false alarms: see
    `varprop._torch_verdict`.

    Examples
    --------
    >>> model = nn.Sequential(*[nn.Linear(100, 100) for _ in range(9)])
    >>> _ = nn.init.normal_(model[4].weight, std=0.01)
    >>> print(trace(model, torch.ones(4, 100), draws=0).findings[0])  # doctest: +ELLIPSIS
    the signal vanishes at 4: its weights turn the mean square of what it reads by x0.0...
    """
    args, kwargs = _checked(model, x, draws, seed, init, saturated_below)
    passes: list[Pass] = []
    notes: list[str] = []
    model = unwrapped(model)
    with kept_random_state(), torch.inference_mode(False), eager():
        twin = copied(model)
        untouched = _not_redrawn(twin) if draws and init is None else []
        for draw in range(max(1, draws)):
            torch.manual_seed(seed + draw)
            current = copy.deepcopy(twin)
            if draws:
                _reset(current) if init is None else init(current)
            if draw == 0 and draws:
                notes = _notes(twin, current, untouched)
            passes.append(record(current, args, kwargs, saturated_below=saturated_below))
            if not _alike(passes[0], passes[-1]):
                raise ValueError(
                    f"the model took another path in draw {draw} than in draw 0: trace needs the "
                    "same modules each time (no random depth); put it in eval mode"
                )
    return _report(model, passes, draws, seed, saturated_below, notes)


def _checked(
    model: Any, x: Any, draws: Any, seed: Any, init: Any, saturated_below: Any
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    for name, value in (("draws", draws), ("seed", seed)):
        try:
            operator.index(value)
        except TypeError:
            raise TypeError(f"{name} must be an integer, not {value!r}") from None
        largest = _MOST_DRAWS if name == "draws" else _LARGEST_SEED
        if not 0 <= value <= largest:
            raise ValueError(f"{name} must be from 0 to {largest}, got {value}")
    if init is not None and not callable(init):
        raise TypeError(f"init must be a function of the model, not {type(init).__name__}")
    if init is not None and draws == 0:
        raise ValueError("draws=0 traces the model as it stands, so init must not be given")
    if not isinstance(saturated_below, int | float) or not 0 <= saturated_below < 1:
        raise ValueError(f"saturated_below must be from 0 to less than 1, got {saturated_below!r}")
    return call_arguments(x)


def _reset_of(module: nn.Module) -> Callable[[], Any] | None:
    for name in ("reset_parameters", "_reset_parameters"):
        method = getattr(module, name, None)
        if callable(method):
            reset: Callable[[], Any] = method
            return reset
    return None


def _reset(model: nn.Module) -> None:
    """Each module's own initialisation, children before parents, as constructors do it."""
    for module in reversed(list(model.modules())):
        reset = _reset_of(module)
        if reset is None:
            continue
        try:
            reset()
        except TypeError as error:
            raise ValueError(
                f"{type(module).__name__} can't be initialised anew without being told how "
                f"({error}): give init=, or draws=0 for the model as it stands"
            ) from error


def _not_redrawn(model: nn.Module) -> list[str]:
    """Names of parameters that no reset_parameters draws."""
    drawn: set[int] = set()
    for module in model.modules():
        if _reset_of(module) is not None:
            # torch's composites (attention, Transformer) draw those of their children as well.
            drawn |= {id(p) for p in module.parameters()}
    return [name for name, p in model.named_parameters() if id(p) not in drawn]


def _notes(model: nn.Module, drawn: nn.Module, untouched: Sequence[str]) -> list[str]:
    notes = []
    if untouched:
        notes.append(f"not drawn anew, for want of a reset_parameters: {_listed(untouched)}")
    other = []
    new = dict(drawn.named_parameters())
    # reset_parameters draws what a parametrization computes, which is then computed again.
    hidden = [
        name
        for name, parameter in model.named_parameters()
        if name in new and name not in untouched and _same_numbers(parameter, new[name])
    ]
    if hidden:
        notes.append(f"not drawn anew, though they have a reset_parameters: {_listed(hidden)}")
    for name, parameter in model.named_parameters():
        if parameter.numel() < _ENOUGH_WEIGHTS or name not in new:
            continue
        stands, comes = mean_square(parameter), mean_square(new[name])
        if stands != comes and not _OTHER_SCALE**-2 * comes <= stands <= _OTHER_SCALE**2 * comes:
            other.append(name)
    if other:
        notes.append(
            f"drawn at another scale than they stand at (draws=0 traces them as they stand): "
            f"{_listed(other)}"
        )
    return notes


def _same_numbers(one: nn.Parameter, other: nn.Parameter) -> bool:
    """Whether two parameters are equal, and not constants that every draw has in common."""
    return torch.equal(one, other) and bool(one.numel() > 1 and (one != one.flatten()[0]).any())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _alike(one: Pass, other: Pass) -> bool:
    return [(n.name, n.kind, n.inputs) for n in one.nodes] == [
        (n.name, n.kind, n.inputs) for n in other.nodes
    ]


def _report(
    model: nn.Module,
    passes: list[Pass],
    draws: int,
    seed: int,
    saturated_below: float,
    notes: Sequence[str],
) -> Trace:
    first = passes[0]

    def column(index: int, name: str) -> FloatArray:
        return np.array([p.measured[index].get(name, math.nan) for p in passes])

    nodes = [_averaged(node, [p.nodes[node.index] for p in passes]) for node in first.nodes]
    squares = [_mean(column(node.index, "mean_square")) for node in nodes]
    sums = [_mean(column(node.index, "gradient")) for node in nodes]
    known = theory.forward(nodes, squares)
    back = theory.backward(nodes, known, sums, first.outputs, float(first.output_numel))
    on_trunk = trunk(nodes, first.outputs)
    shown = [node for node in nodes if _is_shown(node)]
    modules, steps = [], []
    for node in shown:
        i, numel = node.index, first.measured[node.index]["numel"]
        prediction = known[i]
        gradient = back[i]
        modules.append(
            ModuleTrace(
                name=node.name,
                kind=type(node.target).__name__ if node.target else node.act or node.kind,
                mean_square=_estimate(column(i, "mean_square")),
                relative_mean=_estimate(_relative(column(i, "mean"), column(i, "mean_square"))),
                gradient=_estimate(column(i, "gradient") / numel),
                zero=_estimate(column(i, "zero")),
                saturated=_estimate(column(i, "saturated")),
                dead=_estimate(column(i, "dead")),
                predicted_mean_square=None if prediction is None else prediction.mean_square,
                predicted_gradient=None if gradient is None else gradient / numel,
                trunk=i in on_trunk,
            )
        )
        weighted = node.kind in ("linear", "conv")
        nothing = np.full(len(passes), math.nan)
        steps.append(
            Step(
                name=node.name,
                kind=node.kind,
                act=node.act,
                trunk=i in on_trunk,
                output=i in first.outputs,
                mean_square=column(i, "mean_square"),
                below=column(node.inputs[0], "mean_square") if weighted else nothing,
                without_bias=column(i, "without_bias"),
                gradient=column(i, "gradient") / first.output_numel,
                saturated=column(i, "saturated"),
                dead=column(i, "dead"),
                units=first.measured[i].get("units", 0.0),
                broken=np.nan_to_num(column(i, "broken")),
                gradient_broken=np.nan_to_num(column(i, "gradient_broken")),
            )
        )
    findings = find(steps, _reference(nodes, column))
    name = type(model).__name__
    silent = dict.fromkeys(
        type(node.target).__name__ for node in shown if node.kind in _UNKNOWN and node.target
    )
    if silent:
        notes = [
            *notes,
            f"theory has no word on {_listed(list(silent))}: there it stays silent (-), until a "
            "weighted layer lets it begin anew from what was measured",
        ]
    return Trace(name, draws, seed, saturated_below, tuple(modules), findings, tuple(notes))


def _reference(nodes: Sequence[Node], column: Callable[[int, str], FloatArray]) -> FloatArray:
    """Mean square of the largest input, or of an embedding where the inputs are whole numbers."""
    for kind in ("input", "embedding"):
        found = [column(n.index, "mean_square") for n in nodes if n.kind == kind and _real(n)]
        if found:
            return np.array(np.max(found, axis=0))
    return column(min(1, len(nodes) - 1), "mean_square")


def _is_shown(node: Node) -> bool:
    """Modules, and the functions that the theory has a word for."""
    unnamed = node.target is None and node.kind in ("other", "scale")
    return node.kind not in _SILENT and not unnamed


def _real(node: Node) -> bool:
    return bool(node.facts.get("real", 1.0))


def _averaged(node: Node, draws: Sequence[Node]) -> Node:
    facts = {key: float(np.mean([d.facts[key] for d in draws])) for key in node.facts}
    return Node(node.index, node.name, node.kind, node.inputs, node.target, node.act, facts)


def _mean(values: FloatArray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def _relative(mean: FloatArray, square: FloatArray) -> FloatArray:
    return np.divide(mean, np.sqrt(square), out=np.zeros_like(mean), where=square != 0)


def _estimate(values: FloatArray) -> Estimate | None:
    values = values[~np.isnan(values)]
    if values.size == 0:
        return None
    error = float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else None
    return Estimate(float(values.mean()), error)
