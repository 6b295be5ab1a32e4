"""Network -> Prediction: what the theory of infinite width says of every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from varprop.network import Network

from .prediction import Prediction
from .recursion import iterate
from .stack import Stack

__all__ = ["Prediction", "predict"]


def predict(
    network: Network,
    input_mean_square: float | Sequence[float] = 1.0,
    *,
    log_input_mean_square: float | Sequence[float] | None = None,
    correlation: float | None = None,
    log_gap: float | None = None,
) -> Prediction:
    """What the theory of infinite width says of every layer of a network.

    K^1 = sigma_b^2 + sigma_w^2 |x|^2/n_0 and K^(l+1) = sigma_b^2 + sigma_w^2 Q(K^l), with the
    sigma of each layer as its fans give it; the gradient comes back the same way. For two inputs
    the correlation of their pre-activations is followed too. Skip connections, norms, dropout and
    layers that differ are followed as `Network` defines them; at infinite width LayerNorm and
    RMSNorm are the same.

    Parameters
    ----------
    network : Network
        The network.
    input_mean_square : float, or two of them
        |x|^2/n_0, finite and >= 0. Default 1. Two numbers are those of two inputs, and go with
        `correlation` or `log_gap`.
    log_input_mean_square : float, or two of them, optional
        The logarithms instead, for inputs beyond float64; finite, or -inf for an input of zeros.
    correlation : float, optional
        The cosine of the angle between two inputs, -1 to 1.
    log_gap : float, optional
        ln(1 - cosine) instead, for inputs very near to each other; up to ln 2, or -inf.

    Returns
    -------
    Prediction
        About the first input; ``.other`` is about the second.

    Raises
    ------
    ValueError
        If a number is out of range or given twice, or if the activation's variance map diverges
        at a variance met on the way.
    OverflowError
        If even ln K leaves float64.
    TypeError
        If `network` is not a Network.

    Examples
    --------
    >>> p = predict(Network(depth=1000, act="relu", sigma_w=1.0))
    >>> round(float(p.log_variance[-1] / math.log(2)), 9)
    -999.0
    >>> p = predict(Network(depth=2, act="relu", scheme="he"), correlation=0.0)
    >>> p.correlation.round(6).tolist()
    [0.0, 0.31831]
    >>> from varprop import Residual
    >>> net = Network(100, act="relu", sigma_w=2**0.5, residual=Residual("1/sqrt(depth)"))
    >>> p = predict(net)
    >>> round(float(p.variance[-1] / p.variance[0]), 6)  # (1 + 1/100)^99
    2.678033
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, not {type(network).__name__}")
    gap = _checked_gap(correlation, log_gap)
    first, second = _log_inputs(input_mean_square, log_input_mean_square, gap is not None)
    if gap is not None and -math.inf in (first, second):
        raise ValueError("the cosine of an angle needs two inputs that are not zero")
    stack = Stack.of(network)
    own = iterate(stack, first)
    if gap is None:
        return Prediction(network, first, *own)
    other = Prediction(network, second, *iterate(stack, second))
    return Prediction(network, first, *own, other, gap)


def _log_inputs(plain: Any, log: Any, two: bool) -> tuple[float, float]:
    """ln of the mean squares of the first and the second input."""
    if log is None:
        name, allowed, given = "input_mean_square", "finite and >= 0", plain
    else:
        name, allowed, given = "log_input_mean_square", "finite or -inf", log
        if plain != 1.0:
            raise ValueError("give input_mean_square or log_input_mean_square, not both")
    numbers = list(given) if isinstance(given, Sequence) else [given]
    if len(numbers) > 1 and not two:
        raise ValueError(
            f"{name} has {len(numbers)} numbers, but only two inputs with a correlation take "
            "more than one: give correlation= as well"
        )
    if len(numbers) not in (1, 2):
        raise ValueError(f"{name} must be one number or two, got {given!r}")
    logs = []
    for number in map(float, numbers):
        good = number < math.inf if log is not None else 0 <= number < math.inf
        if not good:
            raise ValueError(f"{name} must be {allowed}, got {number!r}")
        if log is not None:
            logs.append(number)
        else:
            logs.append(math.log(number) if number > 0 else -math.inf)
    return logs[0], logs[-1]


def _checked_gap(correlation: float | None, log_gap: float | None) -> float | None:
    if correlation is None and log_gap is None:
        return None
    if log_gap is None:
        if not -1 <= correlation <= 1:  # type: ignore[operator]
            raise ValueError(f"correlation must be from -1 to 1, got {correlation!r}")
        return math.log1p(-correlation) if correlation < 1 else -math.inf  # type: ignore[operator]
    if correlation is not None:
        raise ValueError("give correlation or log_gap, not both")
    if not log_gap <= math.log(2.0):
        raise ValueError(f"log_gap must be -inf or a number up to ln 2, got {log_gap!r}")
    return float(log_gap)
