"""What follows a weighted layer: an activation, or the end of a residual branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._torch_graph import WEIGHTED, Node, ancestors, users
from ._torch_kinds import module_kind

__all__ = ["Follows", "follows", "residual_adds"]

_THROUGH = ("same", "scale", "dropout", "layer norm", "rms norm", "batch norm")
_NORMS = ("layer norm", "rms norm", "batch norm")


@dataclass(frozen=True)
class Follows:
    """What follows a layer.

    Attributes
    ----------
    act : str or None
        The activation that reads it; None for none.
    branch : bool
        Whether it ends a residual branch.
    normed : bool
        Whether a norm stands between, which makes the layer's scale of no account.
    """

    act: str | None
    branch: bool
    normed: bool


def residual_adds(nodes: Sequence[Node]) -> dict[int, set[int]]:
    """For every sum of a branch and a skip connection: the operands that are branches.

    A skip connection has no activation of its own: an operand is a branch where every way back
    to what both operands come from holds an activation or attention, and the other does not.

    Examples
    --------
    >>> steps = [Node(0, "x", "input", ()), Node(1, "a", "linear", (0,)),
    ...          Node(2, "f", "activation", (1,)), Node(3, "b", "linear", (2,)),
    ...          Node(4, "add", "add", (0, 3))]
    >>> residual_adds(steps)
    {4: {3}}
    """
    found = {}
    for node in nodes:
        if node.kind != "add" or len(set(node.inputs)) != 2:
            continue
        one, other = node.inputs
        shared = ancestors(nodes, one) & ancestors(nodes, other)
        if not any(nodes[i].kind != "parameter" for i in shared):
            continue
        bends = {i: _bends(nodes, i, shared) for i in (one, other)}
        branches = {i for i, bent in bends.items() if bent}
        if len(branches) == 1:
            found[node.index] = branches
    return found


def _bends(nodes: Sequence[Node], start: int, shared: set[int]) -> bool:
    """Whether an activation or attention stands between a step and what is shared."""
    waiting, seen = [start], set()
    while waiting:
        i = waiting.pop()
        if i in shared or i in seen:
            continue
        seen.add(i)
        if nodes[i].kind in ("activation", "attention", "other"):
            return True
        waiting.extend(nodes[i].inputs)
    return False


def _plain_kind(node: Node) -> str:
    """What a step is even where theory can't follow, as of a batch norm in eval mode."""
    return module_kind(node.target) if node.kind == "other" and node.target else node.kind


def follows(nodes: Sequence[Node]) -> dict[int, Follows]:
    """What follows every weighted layer of a graph.

    Examples
    --------
    >>> follows([Node(0, "x", "input", ()), Node(1, "a", "linear", (0,)),
    ...          Node(2, "f", "activation", (1,), act="relu")])
    {1: Follows(act='relu', branch=False, normed=False)}
    """
    readers = users(nodes)
    branches = residual_adds(nodes)
    found = {}
    for node in nodes:
        if node.kind not in WEIGHTED:
            continue
        act, branch, normed = None, False, False
        waiting = [(node.index, False)]
        for i, through_norm in waiting:
            for reader in readers[i]:
                kind = _plain_kind(nodes[reader])
                onward = (reader, through_norm or kind in _NORMS)
                if i in branches.get(reader, ()):
                    branch, normed = True, normed or through_norm
                elif kind == "activation" and nodes[reader].act and act is None:
                    act, normed = nodes[reader].act, normed or through_norm
                elif (kind == "add" or kind in _THROUGH) and onward not in waiting:
                    waiting.append(onward)
        found[node.index] = Follows(None if branch else act, branch, normed)
    return found
