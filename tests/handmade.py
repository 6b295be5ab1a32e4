"""Results made by hand, so that what is done with a result is tested without any engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from varprop.network import Network
from varprop.propagation import Propagation, Rows


def rows(
    trials: int,
    depth: int,
    *,
    seed: int = 0,
    drift: float = 0.0,
    noise: float = 0.2,
    dead: int = 0,
    back: bool = False,
) -> Rows:
    """Random walks of ln q by `drift` a layer; the first `dead` trials die half way down.

    With `back`, gradients walk the other way.
    """
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(drift, noise, (trials, depth)), axis=1)
    relative = rng.uniform(-1, 1, (trials, depth))
    zero = rng.uniform(0, 1, (trials, depth))
    died = np.zeros(trials, dtype=np.int64)
    middle = depth // 2
    walk[:dead, middle:] = -np.inf
    relative[:dead, middle:] = 0
    zero[:dead, middle:] = 1
    died[:dead] = middle + 1
    return Rows(
        log_preactivation=walk,
        log_activation=walk - 0.7,
        log_variance=walk + 0.01,
        relative_mean=relative,
        saturated=rng.uniform(0, 1, (trials, depth)),
        zero=zero,
        died=died,
        log_gradient=-0.5 * walk[:, ::-1].copy() if back and not dead else None,
    )


def propagation(made: Rows | None = None, *, first: int = 0, **other: Any) -> Propagation:
    """A result of these rows; `other` replaces any argument of Propagation."""
    made = rows(4, 3) if made is None else made
    trials, depth = made.shape
    arguments: dict[str, Any] = {
        "network": Network(depth, width=7, act="tanh", scheme="xavier"),
        "rows": made,
        "seed": 5,
        "ranges": ((first, first + trials),),
        "engine": "matrix-free",
        "input_mean_square_log": 0.0,
        "saturated_below": 0.05,
        "version": "1.2.3",
        "provenance": {"numpy": "2.0", "simd": "v3"},
    }
    return Propagation(**(arguments | other))


def part(whole: Propagation, which: npt.ArrayLike, ranges: tuple[tuple[int, int], ...]) -> Any:
    """Some trials of a result, as another run of the same simulation would give them."""
    index = np.asarray(which)
    chosen = Rows(**{name: getattr(whole.rows, name)[index] for name in whole.rows.names})
    return propagation(chosen, ranges=ranges)
