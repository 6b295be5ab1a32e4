"""PyTorch on the CPU: every matrix drawn by `torch`, in float32, all of its threads."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

PACKAGES = ("torch",)
Draw = Callable[[Tensor], object]


def forward(
    depth: int,
    width: int,
    trials: int,
    inputs: int = 1,
    draw: Draw = lambda weights: weights.normal_(0.0, math.sqrt(2 / len(weights))),
) -> Callable[[], Tensor]:
    weights = torch.empty(width, width)
    x = torch.ones(width) if inputs == 1 else torch.randn(width, inputs)

    @torch.inference_mode()
    def work() -> Tensor:
        measured = []
        for _ in range(trials):
            h = x
            for _ in range(depth):
                draw(weights)
                z = weights @ h
                measured.append(z.square().mean(0))
                h = torch.relu(z)
        return torch.stack(measured).log().reshape(trials, depth, -1)

    return work


def pair(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    return forward(depth, width, trials, inputs=2)


def batch(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    return forward(depth, width, trials, inputs=64)


def uniform_weights(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    bound = math.sqrt(6 / width)
    return forward(depth, width, trials, draw=lambda weights: weights.uniform_(-bound, bound))


def orthogonal_weights(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    return forward(
        depth, width, trials, draw=lambda weights: torch.nn.init.orthogonal_(weights, math.sqrt(2))
    )


def both_ways(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    scale = math.sqrt(2 / width)

    def network() -> list[Tensor]:
        h, layers = torch.ones(width, requires_grad=True), []
        for _ in range(depth):
            z = torch.empty(width, width).normal_(0.0, scale) @ h
            z.retain_grad()
            layers.append(z)
            h = torch.relu(z)
        layers[-1].backward(torch.randn(width))
        return [v.square().mean() for z in layers for v in (z.detach(), z.grad)]

    return lambda: torch.stack([torch.stack(network()) for _ in range(trials)])


def spectrum(depth: int, width: int, trials: int) -> Callable[[], Tensor]:
    """Of linear networks; values below 1e-7 of the largest are lost."""
    weights = torch.empty(width, width)

    @torch.inference_mode()
    def work() -> Tensor:
        found = []
        for _ in range(trials):
            product = torch.eye(width)
            for _ in range(depth):
                product = weights.normal_(0.0, width**-0.5) @ product
            found.append(torch.linalg.svdvals(product))
        return torch.stack(found)

    return work


def normals(count: int, times: int, dtype: str) -> Callable[[], None]:
    """Fill a buffer that stays in the cache, in one thread."""
    torch.set_num_threads(1)
    room = torch.empty(count, dtype=getattr(torch, dtype))

    def work() -> None:
        for _ in range(times):
            room.normal_()

    return work
