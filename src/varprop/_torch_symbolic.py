"""The steps of a model without running it: torch.fx follows a stand-in through the code."""

from __future__ import annotations

import operator
from typing import Any

from torch import fx, nn

from ._torch_graph import Node
from ._torch_kinds import activation_name, function_kind, is_leaf, module_kind

__all__ = ["symbolic"]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)


def symbolic(model: nn.Module) -> tuple[list[Node], tuple[int, ...]]:
    """The steps of a model and those that it returns, by `torch.fx`.

    Parameters
    ----------
    model : Module
        One whose ``forward`` doesn't branch on numbers or shapes.

    Returns
    -------
    nodes : list of Node
        Without facts.
    outputs : tuple of int

    Raises
    ------
    ValueError
        For a model that torch.fx can't follow; one can still give an input to run it on.

    Examples
    --------
    >>> nodes, outputs = symbolic(nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
    >>> [(node.name, node.kind) for node in nodes], outputs
    ([('input', 'input'), ('0', 'linear'), ('1', 'activation')], (2,))
    """
    try:
        graph = _Tracer().trace(model)
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ValueError(
            "the model's forward can't be followed without running it; give an example input, "
            f"init_(model, x) (torch.fx says: {reason[0] if reason else type(error).__name__})"
        ) from error
    modules = dict(model.named_modules())
    nodes: list[Node] = []
    where: dict[fx.Node, int] = {}
    outputs: tuple[int, ...] = ()
    for step in graph.nodes:
        inputs = tuple(where[n] for n in step.all_input_nodes if n in where)
        if step.op == "output":
            outputs = inputs
            continue
        target: nn.Module | None = None
        act: str | None = None
        if step.op == "placeholder":
            kind, name = "input", "input"
        elif step.op == "get_attr":
            kind, name = "parameter", "parameter"
        elif step.op == "call_module":
            target = modules[step.target]
            kind, name = module_kind(target), step.target
            act = activation_name(target)
        else:
            kind, name = function_kind(step.target), f"{_word(step.target)}()"
            act = activation_name(step.target, step.args, step.kwargs)
            if step.target is operator.getitem and nodes[inputs[0]].kind == "attention":
                kind = "same"  # attention returns its output and its weights
        where[step] = len(nodes)
        nodes.append(Node(len(nodes), name, kind, inputs, target, act))
    return nodes, outputs


def _word(target: Any) -> str:
    return str(getattr(target, "__name__", target))
