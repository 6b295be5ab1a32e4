"""Theory's lines for figures: the prediction of a network, quantity by quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from .propagation import Propagation
    from .statistic import FloatArray


class LayerLogs(Protocol):
    """A prediction: anything with ln K of every layer, such as `varprop.theory.Prediction`."""

    @property
    def log_variance(self) -> FloatArray:
        """ln of the predicted variance, (layers,)."""


Wanted: TypeAlias = "LayerLogs | Literal[False] | None"


def prediction_for(propagation: Propagation, wanted: Wanted) -> LayerLogs | None:
    """The prediction to draw: the one given, theory's own for None, none for False.

    None also where theory has no answer, as for an activation whose mean square diverges.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=3, width=50, act="relu", trials=2)
    >>> prediction_for(p, None).log_variance.round(6).tolist()
    [0.693147, 0.693147, 0.693147]
    """
    if wanted is False:
        return None
    if wanted is not None:
        return wanted
    from .theory import predict

    log_input = float(np.ravel(propagation.input_mean_square_log)[0])
    try:
        return predict(propagation.network, log_input_mean_square=log_input)
    except (ValueError, OverflowError):
        return None


def predicted_logs(prediction: LayerLogs | None, statistic: str, depth: int) -> FloatArray | None:
    """The logarithms that a prediction has for a quantity, None where it has none of them.

    Raises
    ------
    ValueError
        For a prediction of another depth.
    """
    try:
        log = getattr(prediction, f"log_{statistic}", None)
    except ValueError:  # the gradient of an activation that jumps
        log = None
    if log is None and statistic == "preactivation":
        # In the limit of infinite width q is its own variance K.
        log = getattr(prediction, "log_variance", None)
    if log is None:
        return None
    logs = np.asarray(log, dtype=np.float64)
    if logs.shape != (depth,):
        raise ValueError(f"the prediction has shape {logs.shape}, the result {depth} layers")
    return logs
