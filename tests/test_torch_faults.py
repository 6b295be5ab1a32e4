"""Planted faults are found by name; healthy models pass."""

from __future__ import annotations

from collections.abc import Callable

import effort
import pytest
import torch
from torch import nn
from torch_models import GPT, ResNet, encoder, he, images, mlp, rows, tokens, xavier

from varprop.torch import init_, trace

Init = Callable[[nn.Module], object]
SEEDS = range(effort.draws(4, 20))


def small(layer: nn.Module) -> None:
    nn.init.normal_(layer.weight, std=0.01)


def big(layer: nn.Module) -> None:
    with torch.no_grad():
        layer.weight.mul_(10)


def dead(layer: nn.Module) -> None:
    nn.init.constant_(layer.bias, -30.0)


def planted(init: Init | None, fault: Init, place: int) -> Init:
    def whole(model: nn.Module) -> None:
        if init is None:
            for layer in model.children():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
        else:
            init(model)
        fault(model[place])

    return whole


@pytest.mark.parametrize("draws", [0, 10, 20])
@pytest.mark.parametrize(
    ("act", "init", "fault", "module", "verdict"),
    [
        (nn.ReLU, he, small, "4", "vanishes"),
        (nn.ReLU, None, small, "4", "vanishes"),
        (nn.Tanh, xavier, small, "4", "vanishes"),
        (nn.ReLU, he, big, "4", "explodes"),
        (nn.ReLU, None, big, "4", "explodes"),
        (nn.Tanh, xavier, big, "4", "explodes"),
        (nn.ReLU, he, dead, "5", "dies"),
        (nn.ReLU, None, dead, "5", "dies"),
    ],
)
def test_a_planted_layer_is_named_first(act, init, fault, module, verdict, draws):
    whole = planted(init, fault, 4)
    for seed in SEEDS[: effort.draws(2, 3)]:
        model = mlp(act, 5, 128)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            whole(model)
        found = trace(model, rows(16, 128), draws, seed=100 * seed, init=whole if draws else None)
        assert (found.findings[0].module, found.findings[0].verdict) == (module, verdict)
        assert not found.healthy


def test_sigmoids_in_a_deep_stack():
    found = trace(mlp(nn.Sigmoid, 12), rows())
    assert [(f.quantity, f.verdict, f.module) for f in found.findings] == [
        ("gradient", "vanishes", "18")
    ]


def test_weights_of_a_fixed_size_saturate_tanh():
    def one(model: nn.Module) -> None:
        for module in model.children():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight)

    found = trace(mlp(nn.Tanh), rows(), init=one).findings
    assert ("1", "saturates") in [(f.module, f.verdict) for f in found]
    assert ("0", "explodes") in [(f.module, f.verdict) for f in found]


def test_numbers_beyond_float32_explode():
    def huge(model: nn.Module) -> None:
        for module in model.children():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1e20)

    found = trace(mlp(depth=3), rows(), draws=2, init=huge)
    assert found.findings[0].verdict == "explodes"
    assert "nan" not in str(found)
    assert "inf" not in str(found)


def test_a_small_layer_beside_a_skip_connection_is_no_fault():
    """ResNets are started with branches of nothing on purpose."""
    model = ResNet()
    nn.init.zeros_(model.blocks[1].bn2.weight)
    assert trace(model, images(), draws=0).healthy


def on_tokens(model: nn.Module) -> object:
    return init_(model, tokens())


@pytest.mark.parametrize(
    ("make", "x", "init"),
    [
        (mlp, rows, he),
        (lambda: mlp(depth=20), rows, he),
        (lambda: mlp(nn.Tanh, 12), rows, xavier),
        (lambda: mlp(nn.GELU, 12), rows, init_),
        (ResNet, images, None),
        (ResNet, images, init_),
        (GPT, tokens, None),
        (GPT, tokens, on_tokens),
        (encoder, lambda: torch.ones(2, 5, 32), None),
    ],
    ids=[
        "relu",
        "relu 20",
        "tanh",
        "gelu",
        "resnet",
        "resnet init_",
        "gpt",
        "gpt init_",
        "encoder",
    ],
)
def test_healthy_models_pass(make, x, init):
    """The stated rate is 1e-3 for each trace of several draws; single passes are harder."""
    model = make()
    for seed in SEEDS:
        if init is not None:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                init(model)
        assert trace(model, x(), draws=0, seed=seed).findings == ()
    for seed in SEEDS[:3]:
        assert trace(model, x(), draws=10, seed=1000 * seed, init=init).findings == ()
