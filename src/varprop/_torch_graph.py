"""The steps of a model as a graph: what follows what, and what no signal can go around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WEIGHTED", "Node", "ancestors", "trunk", "users"]

WEIGHTED = ("linear", "conv", "attention")


@dataclass(eq=False)
class Node:
    """One step: a call of a leaf module, or of a torch function outside of them.

    Attributes
    ----------
    index : int
        Place in the order of execution.
    name : str
        The module's name in the model; for a function, that of the module around it and ``f()``.
    kind : str
        One of `varprop._torch_kinds.KINDS`, "input" or "parameter".
    inputs : tuple of int
        Indices of the steps it reads, those without gradients left out.
    target : object
        The module; None for a function.
    act : str or None
        What varprop calls the activation.
    facts : dict
        What theory must know of it besides: keep rate, factor, share of taps inside, ...
    """

    index: int
    name: str
    kind: str
    inputs: tuple[int, ...]
    target: Any = None
    act: str | None = None
    facts: dict[str, float] = field(default_factory=dict)


def users(nodes: Sequence[Node]) -> list[list[int]]:
    """For every step, the steps that read it.

    Examples
    --------
    >>> users([Node(0, "x", "input", ()), Node(1, "a", "linear", (0,))])
    [[1], []]
    """
    found: list[list[int]] = [[] for _ in nodes]
    for node in nodes:
        for i in dict.fromkeys(node.inputs):
            found[i].append(node.index)
    return found


def ancestors(nodes: Sequence[Node], start: int) -> set[int]:
    """A step, and all that it depends on.

    Examples
    --------
    >>> sorted(ancestors([Node(0, "x", "input", ()), Node(1, "a", "linear", (0,))], 1))
    [0, 1]
    """
    found, waiting = set(), [start]
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            waiting.extend(nodes[i].inputs)
    return found


def trunk(nodes: Sequence[Node], outputs: Sequence[int]) -> set[int]:
    """The steps that every way from the input to an output passes (dominators of the outputs).

    What fades in a branch beside a skip connection is not lost; what fades here is.

    Examples
    --------
    >>> steps = [Node(0, "x", "input", ()), Node(1, "a", "linear", (0,)),
    ...          Node(2, "b", "linear", (1,)), Node(3, "add", "add", (1, 2))]
    >>> sorted(trunk(steps, [3]))
    [0, 1, 3]
    """
    own: list[set[int]] = []
    from_input = [node.kind == "input" for node in nodes]
    for node in nodes:
        ways = [own[i] for i in node.inputs if from_input[i]]
        from_input[node.index] |= bool(ways)
        own.append({node.index} | (set.intersection(*ways) if ways else set()))
    reached = [own[i] for i in outputs if from_input[i]]
    return set.intersection(*reached) if reached else set()
