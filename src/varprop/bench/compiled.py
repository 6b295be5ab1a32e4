"""varprop itself as a contender; ReLU and He unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt


def forward(depth: int, width: int, trials: int, **more: Any) -> Callable[[], npt.NDArray[Any]]:
    """Give a run of the way up: ln of each layer's mean square, (trials, depth)."""
    from .. import simulate

    options = {"act": "relu", "scheme": "he", "backward": False, **more}

    def work() -> npt.NDArray[Any]:
        return simulate(depth=depth, width=width, trials=trials, **options).preactivation.log

    return work


def both_ways(depth: int, width: int, trials: int, **more: Any) -> Callable[[], npt.NDArray[Any]]:
    return forward(depth, width, trials, backward=True, **more)


def pair(depth: int, width: int, trials: int, **more: Any) -> Callable[[], npt.NDArray[Any]]:
    return forward(depth, width, trials, correlation=0.0, **more)


def batch(
    depth: int, width: int, trials: int, inputs: int = 64, **more: Any
) -> Callable[[], npt.NDArray[Any]]:
    x = np.random.default_rng(2).standard_normal((inputs, width))
    return forward(depth, width, trials, x=x, **more)


def uniform_weights(
    depth: int, width: int, trials: int, **more: Any
) -> Callable[[], npt.NDArray[Any]]:
    return forward(depth, width, trials, scheme="uniform, 2/fan_in", **more)


def orthogonal_weights(
    depth: int, width: int, trials: int, **more: Any
) -> Callable[[], npt.NDArray[Any]]:
    return forward(depth, width, trials, scheme="orthogonal(1.4142135623730951)", **more)


def spectrum(depth: int, width: int, trials: int, **more: Any) -> Callable[[], npt.NDArray[Any]]:
    """Give a run of all singular values of linear networks, however far they lie apart."""
    from .. import Network
    from .. import spectrum as run

    net = Network(depth, width=width, act="linear", scheme="lecun")
    return lambda: run(net, trials=trials, depths=[depth], **more).log_largest
