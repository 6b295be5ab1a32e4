"""What may be asked of a simulation beside its network: everything checked, nothing begun."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from .histogram import DEFAULT_BINS, MOST_BINS
from .network import Network
from .pairs import CLOSEST, second
from .statistic import FloatArray

MOST_INPUTS = 1024
MOST_COLUMNS = 2**14  # vectors of a layer that have streams of their own: COLUMN in columns.pxd


def whole(name: str, value: object, least: int, most: int) -> int:
    """An integer within bounds."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {number}")
    return number


def checked_inputs(x: npt.ArrayLike) -> FloatArray:
    """One input or several, as an array of shape (inputs, n_0)."""
    signals = _real("x", x)
    if signals.ndim == 1:
        signals = signals[np.newaxis]
    if signals.ndim != 2 or signals.size == 0:
        raise ValueError(
            "x must be one input of shape (n_0,), or several of shape (inputs, n_0), got shape "
            f"{np.shape(x)}"
        )
    if len(signals) > MOST_INPUTS:
        raise ValueError(f"x may hold 1 to {MOST_INPUTS} inputs, got {len(signals)}")
    _require_finite("x", signals[0] if np.ndim(x) == 1 else signals)
    return signals


def checked_log_gap(x: object, correlation: Any, log_gap: Any) -> float | None:
    """ln(1 - c) of a pair that is asked for by its cosine or by that; else None."""
    given = {"x": x, "correlation": correlation, "log_gap": log_gap}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} all say which inputs: give one of them")
    if correlation is not None:
        c = _number("correlation", correlation)
        if not -1 <= c <= 1:
            raise ValueError(f"correlation is a cosine, from -1 to 1, got {correlation!r}")
        return math.log1p(-c) if c < 1 else -math.inf
    if log_gap is None:
        return None
    gap = _number("log_gap", log_gap)
    if gap != -math.inf and not CLOSEST <= gap <= math.log(2):
        raise ValueError(
            f"log_gap is ln(1 - c) of two inputs, from {CLOSEST:g} to ln 2, or -inf for identical "
            f"ones, got {log_gap!r}"
        )
    return gap


def pair_inputs(log_gap: float, size: int) -> FloatArray:
    """The pair as far as float64 tells its two inputs apart, shape (2, size)."""
    if size == 1 and log_gap not in (-math.inf, math.log(2)):
        raise ValueError(
            "two inputs of one number each have the correlation 1 or -1: take wider inputs"
        )
    return np.stack([np.ones(size), second(log_gap, size)])


def require_signal(x: FloatArray, network: Network) -> None:
    """Inputs of the right size, and none of them 0 where only biases could make a signal."""
    if x.shape[1] != network.widths[0]:
        raise ValueError(
            f"x has {x.shape[1]} numbers, but the network takes widths[0] = {network.widths[0]}"
        )
    if not x.any(axis=1).all() and not network.has_bias:
        which = "x" if len(x) == 1 else f"x[{int(np.argmin(x.any(axis=1)))}]"
        raise ValueError(
            f"{which} is all zeros and the network has no biases: every pre-activation is exactly "
            "0; give another x, or sigma_b"
        )


def checked_backward(backward: object, network: Network) -> bool:
    """Whether gradients are measured; by default where all slopes exist."""
    if backward is not None and not isinstance(backward, bool | np.bool_):
        raise TypeError(f"backward must be True, False or None, got {backward!r}")
    if backward:
        require_slopes("backward=True", "backward=False", network)
    jumps = any(act.jumps for act in network.distinct_acts)
    return not jumps if backward is None else bool(backward)


def checked_cotangents(cotangents: Any, backward: bool, network: Network) -> int | FloatArray:
    """How many random ones, or those given as an array of shape (cotangents, n_L)."""
    if isinstance(cotangents, int | np.integer) or np.ndim(cotangents) == 0:
        count = whole("cotangents", cotangents, 1, MOST_INPUTS)
        if count > 1 and not backward:
            raise ValueError(f"cotangents={count} needs backward=True")
        return count
    given = _real("cotangents", cotangents)
    size = network.widths[-1]
    if given.ndim > 2 or given.shape[-1] != size or given.size == 0:
        raise ValueError(
            f"cotangents must be a number of random ones, or an array of shape ({size},) or "
            f"(cotangents, {size}), for the last layer has {size} units; got shape {given.shape}"
        )
    _require_finite("cotangents", given)
    given = given.reshape(-1, size)
    if len(given) > MOST_INPUTS:
        raise ValueError(f"cotangents may be 1 to {MOST_INPUTS}, got {len(given)}")
    if not given.any(axis=1).all():
        raise ValueError(f"cotangents[{int(np.argmin(given.any(axis=1)))}] is all zeros")
    if not backward:
        raise ValueError("cotangents were given, but backward=False")
    return given


def checked_tangents(tangents: Any, network: Network) -> int:
    """How many tangents; not more than the narrowest layer can tell apart."""
    narrowest = min((network.width,) if network.width is not None else network.widths)
    count = whole("tangents", tangents, 0, 2**30)
    if count > narrowest:
        raise ValueError(
            f"tangents must be from 0 to {narrowest}, the units of the narrowest layer, got {count}"
        )
    if count:
        require_slopes(f"tangents={count}", "tangents=0", network)
    return count


def require_columns(inputs: int, cotangents: int, tangents: int) -> None:
    """Raise ValueError where so many vectors go through a layer that two would share a stream."""
    up, down = inputs + tangents, inputs * cotangents + tangents
    if max(up, down) > MOST_COLUMNS:
        what, count = ("vectors", up) if up >= down else ("gradients", down)
        raise ValueError(
            f"inputs={inputs}, cotangents={cotangents} and tangents={tangents} make {count} {what} "
            f"a layer, and at most {MOST_COLUMNS} have random numbers of their own: ask for fewer"
        )


def checked_histogram(histogram: Any) -> int | FloatArray | None:
    """The number of automatic bins, or the edges of fixed ones, or None."""
    if histogram is None or isinstance(histogram, bool | np.bool_):
        return DEFAULT_BINS if histogram else None
    if np.ndim(histogram) == 0:
        bins = whole("histogram", histogram, 2, MOST_BINS)
        if bins % 2:
            raise ValueError(f"histogram must be an even number of bins, got {bins}")
        return bins
    edges = _real("histogram", histogram)
    if edges.ndim != 1 or not 2 <= edges.size <= MOST_BINS + 1:
        raise ValueError(
            f"histogram must be True, a number of bins, or 2 to {MOST_BINS + 1} edges, got an "
            f"array of shape {edges.shape}"
        )
    _require_finite("histogram", edges)
    if not (np.diff(edges) > 0).all():
        at = int(np.argmin(np.diff(edges)))
        raise ValueError(
            f"the edges of a histogram must ascend, but {edges[at + 1]} follows {edges[at]}"
        )
    return edges


def require_slopes(what: str, remedy: str, network: Network) -> None:
    """Raise ValueError where an activation jumps."""
    for act in network.distinct_acts:
        if act.jumps:
            raise ValueError(
                f"{what}, but activation {str(act)!r} jumps at x = {act.jumps[0]:g}: it has no "
                f"slope to send a gradient through; use {remedy}"
            )


def _real(name: str, value: Any) -> FloatArray:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
        return np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be an array of real numbers, got {str(value)[:60]!r}"
        ) from None


def _require_finite(name: str, array: FloatArray) -> None:
    if not np.isfinite(array).all():
        at = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
        where = ", ".join(map(str, at))
        raise ValueError(f"{name} must be finite, but {name}[{where}] is {array[at]}")


def _number(name: str, value: Any) -> float:
    kinds = int | float | np.integer | np.floating
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)
