"""init_(): every layer at the critical point of the activation that follows it."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from ._torch_follow import Follows, follows, residual_adds
from ._torch_graph import WEIGHTED, Node
from ._torch_record import record
from ._torch_state import call_arguments, copied, eager, kept_random_state, unwrapped
from ._torch_symbolic import symbolic
from .rows import counted
from .text import shortened, text_table, wrapped

__all__ = ["InitReport", "LayerInit", "init_"]
# AlphaDropout is made to keep mean and variance
_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True)
class LayerInit:
    """How one layer was initialised: normal weights of variance sigma_w**2/fan_in.

    Attributes
    ----------
    name : str
        The module's name in the model, with that of the parameter if there are several.
    act : str or None
        The activation that follows; None for none.
    sigma_w, sigma_b : float
    fan_in : int
    because : str
        Why these: the kind of the critical point (see `varprop.theory.Critical`), "linear",
        "ends a branch" or "keeps a variance of 1".

    Examples
    --------
    >>> LayerInit("0", "relu", 2**0.5, 0.0, 50, "scale-invariant").std
    0.2
    """

    name: str
    act: str | None
    sigma_w: float
    sigma_b: float
    fan_in: int
    because: str

    @property
    def std(self) -> float:
        """Standard deviation of the weights."""
        return self.sigma_w / math.sqrt(self.fan_in)


@dataclass(frozen=True, repr=False)
class InitReport:
    """What `init_` did. Print it for a table.

    Attributes
    ----------
    model : str
        The model's class.
    layers : tuple of LayerInit
        In the order of execution.
    residual_adds : int
        How many residual branches share the variance.
    left : tuple of str
        Modules with parameters that stay as they were.
    dropout : tuple of str
        Modules and functions that drop units. Nothing is done about them: it is in evaluation mode
        that layers are critical. In training mode each multiplies the mean square by 1/(1 - p), and
        `trace` tells what becomes of it.

    Examples
    --------
    >>> report = init_(nn.Sequential(nn.Linear(50, 8), nn.ReLU(), nn.Linear(8, 8)))
    >>> [(layer.act, round(layer.std, 6)) for layer in report.layers]
    [('relu', 0.2), (None, 0.353553)]
    """

    model: str
    layers: tuple[LayerInit, ...]
    residual_adds: int
    left: tuple[str, ...]
    dropout: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<InitReport: {self.model}, {counted(len(self.layers), 'layer')} set>"

    def __str__(self) -> str:
        body = [
            [
                shortened(layer.name or "(model)", 24),
                layer.act or "-",
                f"{layer.sigma_w:.4g}",
                f"{layer.sigma_b:.4g}",
                f"{layer.std:.4g}",
                layer.because,
            ]
            for layer in self.layers
        ]
        heads = ["layer", "before", "sigma_w", "sigma_b", "std", "because"]
        table = text_table(heads, body, left=6)
        notes = [f"left as they were: {', '.join(self.left)}"] if self.left else []
        if self.dropout:
            notes.append(
                f"nothing is done about dropout ({', '.join(self.dropout)}): in training mode each "
                "multiplies the mean square by 1/(1 - p); trace(model, x) shows what becomes of it"
            )
        head = f"{self.model}: {counted(len(self.layers), 'layer')} set"
        return "\n\n".join([head, table, *(wrapped(note, "  ") for note in notes)])

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return f"<pre>{html.escape(str(self))}</pre>"


def init_(model: nn.Module, x: Any = None) -> InitReport:
    """Set every Linear, Conv and attention layer by what follows it, in place.

    Weights are drawn from N(0, sigma_w**2/fan_in) and biases from N(0, sigma_b**2), at the critical
    point (`varprop.theory.critical`) of the activation that follows; where it has none, sigma_w
    keeps a variance of 1 (`varprop.theory.gain`). A layer that no activation follows keeps the
    variance: sigma_w = 1. The last layer of each of N residual branches has sigma_w = 1/sqrt(N), so
    that all of them together make the variance grow by at most a factor e. Nothing is done about
    dropout, which the report names. Random numbers come from torch's own generator:
    ``torch.manual_seed`` fixes them.

    Parameters
    ----------
    model : torch.nn.Module
        Its other parameters (norms, embeddings, recurrent layers) stay as they are.
    x : Tensor, tuple or dict, optional
        An example input, as for `trace`: what follows what is then seen by running a copy. By
        default `torch.fx` follows the code, which can't be done for every model.

    Returns
    -------
    InitReport

    Raises
    ------
    ValueError
        If torch.fx can't follow the model and no `x` is given, or it has no layer to set; nothing
        is changed then.
    TypeError
        If it is no Module.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(20, 100), nn.Tanh(), nn.Linear(100, 10))
    >>> print(init_(model))
    Sequential: 2 layers set
    <BLANKLINE>
    layer  before  sigma_w  sigma_b  std     because
    ------ ------- -------- -------- ------- -------
    0      tanh    1        0        0.2236  zero
    2      -       1        0        0.1     linear
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    model = unwrapped(model)
    nodes, names = _graph(model, x)
    after = follows(nodes)
    branches = len(residual_adds(nodes))
    modules = dict(model.named_modules())
    plan: list[tuple[LayerInit, torch.Tensor, torch.Tensor | None]] = []
    done: set[str] = set()
    for node in nodes:
        name = names.get(id(node.target))
        if node.kind not in WEIGHTED or name is None or name in done:
            continue
        done.add(name)
        plan.extend(_planned(name, modules[name], after[node.index], branches))
    if not plan:
        raise ValueError(
            f"{type(model).__name__} runs no Linear, Conv or MultiheadAttention module with plain "
            "parameters: there is nothing to set"
        )
    with torch.no_grad():
        for layer, weight, bias in plan:
            weight.normal_(0.0, layer.std)
            if bias is not None:
                bias.normal_(0.0, layer.sigma_b) if layer.sigma_b else bias.zero_()
    touched = {id(tensor) for _, weight, bias in plan for tensor in (weight, bias)}
    left = [
        name
        for name, module in model.named_modules()
        if any(id(p) not in touched for p in module.parameters(recurse=False))
    ]
    layers = tuple(layer for layer, _, _ in plan)
    dropout = [name for name, m in model.named_modules() if isinstance(m, _DROPOUT) and m.p > 0]
    dropout += [
        node.name
        for node in nodes
        if node.kind == "dropout" and node.target is None and node.facts.get("keep", 0.0) < 1
    ]
    return InitReport(
        type(model).__name__, layers, branches, tuple(n or "(model)" for n in left), tuple(dropout)
    )


def _graph(model: nn.Module, x: Any) -> tuple[Sequence[Node], dict[int, str]]:
    """The steps of a model, and the names of its modules by identity."""
    if x is None:
        nodes, _ = symbolic(model)
        return nodes, {id(module): name for name, module in model.named_modules()}
    args, kwargs = call_arguments(x)
    with kept_random_state(), torch.inference_mode(False), eager():
        twin = copied(model)
        names = {id(module): name for name, module in twin.named_modules()}
        return record(twin, args, kwargs, backward=False).nodes, names


def _planned(
    name: str, module: nn.Module, after: Follows, branches: int
) -> Iterator[tuple[LayerInit, torch.Tensor, torch.Tensor | None]]:
    """The parameters of one module and how to set them."""
    sigma_w, sigma_b, because = _critical(after, branches)
    if isinstance(module, nn.MultiheadAttention):
        for part in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = module._parameters.get(part)
            if weight is not None:
                row = LayerInit(f"{name}.{part}", None, 1.0, 0.0, weight.shape[1], "linear")
                yield row, weight, module.in_proj_bias if part[0] in "iq" else None
        name, module = f"{name}.out_proj", module.out_proj
    weight = module._parameters.get("weight")
    if weight is None:
        return  # computed from other parameters (weight norm and the like)
    fan_in = weight[0].numel()
    yield LayerInit(name, after.act, sigma_w, sigma_b, fan_in, because), weight, module.bias


def _critical(after: Follows, branches: int) -> tuple[float, float, str]:
    """sigma_w, sigma_b, and why."""
    if after.branch:
        sigma_w, sigma_b, because = branches**-0.5, 0.0, f"ends a branch, one of {branches}"
    elif after.act is None:
        sigma_w, sigma_b, because = 1.0, 0.0, "linear"
    else:
        sigma_w, sigma_b, because = _critical_point(after.act)
    return sigma_w, sigma_b, because + (", a norm follows" if after.normed else "")


@lru_cache(maxsize=256)
def _critical_point(act: str) -> tuple[float, float, str]:
    from varprop import theory

    point = theory.critical(act)
    if point.sigma_w is None or point.sigma_b is None:
        return float(theory.gain(act)), 0.0, "keeps a variance of 1"
    return point.sigma_w, point.sigma_b, point.kind
