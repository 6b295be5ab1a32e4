"""What theory says of a model's steps, for as far as it knows them.

Forward, every step is known by its mean square, whether it is normal over units (given the layer
below), and the weights whose fresh signs it carries, so that sums of independent parts add up.
Where a chain breaks (attention, pooling, ...) the next weighted layer starts it again from what
was measured. Backward, sums of squares are carried, with gradients taken to be independent of the
weights they pass (the usual mean-field step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._torch_graph import Node, users

__all__ = ["Known", "backward", "forward"]

_SMALLEST, _LARGEST = 1e-200, 1e200  # beyond which float32 has long given up
_NORMS = ("layer norm", "rms norm", "batch norm")


@dataclass(frozen=True)
class Known:
    """What theory knows of a step's output.

    Attributes
    ----------
    mean_square : float
    normal : bool
        Whether it is normal with mean 0 over units.
    signs : frozenset of int
        Layers whose random weights multiply all of it: its mean is 0, and it is uncorrelated with
        whatever does not depend on them.
    layers : frozenset of int
        All layers whose weights it depends on.
    """

    mean_square: float
    normal: bool = False
    signs: frozenset[int] = frozenset()
    layers: frozenset[int] = frozenset()


def forward(nodes: Sequence[Node], measured: Sequence[float | None]) -> list[Known | None]:
    """Predicted mean squares, None where theory doesn't know.

    Parameters
    ----------
    nodes : sequence of Node
        With facts averaged over draws.
    measured : sequence of float or None
        Mean squares: of inputs and parameters these are what is given, of others where the chain
        starts again.

    Examples
    --------
    >>> steps = [Node(0, "input", "input", ()),
    ...          Node(1, "a", "linear", (0,), facts={"weight": 2.0, "bias": 0.0, "inside": 1.0}),
    ...          Node(2, "b", "activation", (1,), act="relu")]
    >>> [known.mean_square for known in forward(steps, [1.0, None, None])]
    [1.0, 2.0, 1.0]
    """
    found: list[Known | None] = []
    own: dict[int, int] = {}  # one number for all calls of one module
    reached: list[frozenset[int]] = []  # by step: the layers whose weights it depends on
    for node in nodes:
        layers = frozenset().union(*(reached[i] for i in node.inputs))
        source = found[node.inputs[0]] if node.inputs else None
        known: Known | None = None
        if node.kind in ("input", "parameter", "embedding", "linear", "conv"):
            number = node.index
            if node.target is not None:
                number = own.setdefault(id(node.target), number)
            fresh = frozenset({number}) if node.kind != "input" else frozenset()
            signs = fresh - layers  # weights used a second time are not fresh
            layers |= fresh
            weighted = node.kind in ("linear", "conv")
            square = measured[node.inputs[0] if weighted else node.index]
            if weighted and source is not None:
                square = source.mean_square
            if square is not None:
                square = _weighted(node, square) if weighted else square
                known = Known(square, weighted, signs, layers)
        elif node.kind == "add":
            known = _sum([found[i] for i in node.inputs]) if len(node.inputs) == 2 else None
        elif source is not None:
            known = _step(node, source)
        elif node.kind in _NORMS:  # whatever it reads
            known = Known(node.facts["gain"] + node.facts["shift"], layers=layers)
        if known is not None and not _SMALLEST <= known.mean_square <= _LARGEST:
            known = None
        reached.append(layers)
        found.append(known)
    return found


def _weighted(node: Node, square: float) -> float:
    facts = node.facts
    return facts["bias"] + facts["weight"] * facts["inside"] * square


def _sum(parts: Sequence[Known | None]) -> Known | None:
    """Of two operands."""
    one, other = parts
    if one is None or other is None:
        return None
    # E[one * other] = 0 where fresh signs multiply one of them and the other knows nothing of them.
    free = [a.signs and not a.signs & b.layers for a, b in ((one, other), (other, one))]
    if not any(free):
        return None
    square = one.mean_square + other.mean_square
    both = one.signs | other.signs if one.signs and other.signs else frozenset()
    return Known(square, one.normal and other.normal, both, one.layers | other.layers)


def _step(node: Node, below: Known) -> Known | None:
    facts = node.facts
    square = below.mean_square
    if node.kind == "activation":
        if not below.normal or not node.act or square <= 0:
            return None
        from varprop.theory import variance_map

        odd = below.signs if _is_odd(node.act) else frozenset()
        return replace(
            below, mean_square=float(variance_map(node.act)(square)), normal=False, signs=odd
        )
    if node.kind in _NORMS:
        # With a mean over units the variance is not known; eps is taken to be small beside it.
        centred = node.kind == "rms norm" or below.signs
        kept = square / (square + facts["eps"]) if centred and square else 1.0
        return replace(below, mean_square=facts["gain"] * kept + facts["shift"])
    if node.kind == "dropout":
        keep = facts["keep"]
        if keep == 0:
            return None
        return replace(below, mean_square=square / keep, normal=below.normal and keep == 1)
    if node.kind == "scale" and "factor" in facts:
        return replace(below, mean_square=square * facts["factor"] ** 2)
    return below if node.kind == "same" else None


def _is_odd(act: str) -> bool:
    from .activation import Activation

    return Activation.parse(act).parity == "odd"


def backward(
    nodes: Sequence[Node],
    known: Sequence[Known | None],
    measured: Sequence[float | None],
    outputs: Sequence[int],
    start: float,
) -> list[float | None]:
    """Predicted sums of squares of the gradient at every step, None where theory doesn't know.

    Parameters
    ----------
    nodes : sequence of Node
        With facts averaged over draws.
    known : sequence
        What `forward` found.
    measured : sequence of float or None
        Sums of squares; the chain starts again from them at weighted layers.
    outputs : sequence of int
        The steps that the model returned.
    start : float
        The sum of squares at the output.

    Examples
    --------
    >>> steps = [Node(0, "input", "input", ()),
    ...          Node(1, "a", "linear", (0,), facts={"weight": 2.0, "bias": 0.0, "inside": 1.0})]
    >>> backward(steps, forward(steps, [1.0, None]), [None, None], [1], 10.0)
    [20.0, 10.0]
    """
    readers = users(nodes)
    found: list[float | None] = [None] * len(nodes)
    for node in reversed(nodes):
        parts: list[float | None] = [start] if list(outputs) == [node.index] else []
        parts += [_share(nodes[i], known[node.index], found[i]) for i in readers[node.index]]
        sure = [part for part in parts if part is not None]
        value = sum(sure) if sure and len(sure) == len(parts) else None
        if value is None and node.kind in ("linear", "conv"):
            value = measured[node.index]
        found[node.index] = value
    return found


def _share(reader: Node, below: Known | None, gradient: float | None) -> float | None:
    """What of a reader's gradient comes back to the step it reads."""
    if gradient is None:
        return None
    facts = reader.facts
    if reader.kind in ("linear", "conv"):
        return gradient * facts["weight"] * facts["inside"]
    if reader.kind == "add":
        return gradient if len(set(reader.inputs)) == 2 else None
    if reader.kind == "same":
        return gradient
    if reader.kind == "dropout":
        return gradient / facts["keep"] if facts["keep"] else None
    if reader.kind == "scale" and "factor" in facts:
        return gradient * facts["factor"] ** 2
    if below is None or not below.signs:
        return None
    if reader.kind == "activation" and reader.act and below.normal and below.mean_square > 0:
        from varprop.activation import Activation
        from varprop.theory import gradient_map

        if Activation.parse(reader.act).jumps:
            return None
        slope = float(gradient_map(reader.act)(below.mean_square))
        return gradient * slope
    if reader.kind in ("layer norm", "rms norm") and below.mean_square > 0:
        return gradient * facts["gain"] / (below.mean_square + facts["eps"])
    return None
