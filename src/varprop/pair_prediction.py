"""What the theory of infinite width says of the correlation of two inputs that were simulated."""

from __future__ import annotations

import math

import numpy as np

from .propagation import Propagation
from .statistic import FloatArray


def predicted_log_gap(propagation: Propagation, pair: int) -> FloatArray | None:
    """ln(1 - c) by theory, for two inputs as far apart as these; None where it has no answer.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=2, width=9, act="relu", correlation=0.0, trials=2)
    >>> (1 - np.exp(predicted_log_gap(p, 0))).round(6)
    array([0.     , 0.31831])
    """
    from .theory import predict

    first, second = propagation.pairs[pair]
    logs = np.ravel(propagation.input_mean_square_log)[[first, second]]
    try:
        log_gap = input_log_gap(propagation, pair, logs)
        found = predict(propagation.network, log_input_mean_square=logs.tolist(), log_gap=log_gap)
        theory: FloatArray = found.log_gap
    except (ValueError, OverflowError):
        return None
    return theory


def input_log_gap(propagation: Propagation, pair: int, logs: FloatArray) -> float:
    """ln(1 - cosine) of the inputs of these ln of mean squares, from the kernel of layer 1.

    With s = sigma_w^2 |x||x'|/n_0 and R = sqrt(K K'), layer 1 has R (1 - c_K) = R - sigma_b^2 -
    s c, and R - sigma_b^2 - s is a difference of squares: written so that no digits are lost.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=1, width=9, sigma_b=0.3, correlation=0.5, trials=1)
    >>> round(input_log_gap(p, 0, np.zeros(2)), 12) == round(math.log(0.5), 12)
    True
    """
    kernel = propagation.rows.log_kernel_gap
    assert kernel is not None  # there are several inputs
    gap = float(
        np.exp(kernel.reshape(propagation.trials, -1, propagation.network.depth)[0, pair, 0])
    )
    if not np.isfinite(logs).all() or not math.isfinite(gap):
        raise ValueError("an input of zeros has no angle to another")
    weight = math.log(float(propagation.network.sigma_w[0]) ** 2)
    bias = float(propagation.network.bias_std[0]) ** 2
    # everything over s
    extra = bias * math.exp(-weight - logs.mean())
    ratio = math.exp(abs(logs[0] - logs[1]) / 2)
    root = math.sqrt((ratio + extra) * (1 / ratio + extra))
    apart = extra * (math.sqrt(ratio) - math.sqrt(1 / ratio)) ** 2 / (root + 1 + extra)
    rest = gap * root - apart
    return math.log(rest) if rest > 0 else -math.inf
