"""The model, its hooks, gradients, modes and torch's random state are left as they were."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch_models import GPT, ResNet, encoder, images, mlp, rows, tokens

from varprop.torch import init_, trace


def state(model: nn.Module) -> dict[str, Any]:
    """Everything that a caller could see changed."""
    return {
        "tensors": {k: (id(v), v.clone()) for k, v in model.state_dict(keep_vars=True).items()},
        "grads": {
            k: None if p.grad is None else p.grad.clone() for k, p in model.named_parameters()
        },
        "requires": {k: p.requires_grad for k, p in model.named_parameters()},
        "modes": {k: m.training for k, m in model.named_modules()},
        "hooks": {
            k: (list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
            for k, m in model.named_modules()
        },
        "random": torch.get_rng_state(),
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(one == other)


class Refuses(nn.Module):
    """Runs a while, then raises."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.norm(self.linear(x))
        raise RuntimeError("no further")


@pytest.mark.parametrize("draws", [0, 2])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("make", "x"), [(ResNet, images), (GPT, tokens), (encoder, None)])
def test_nothing_is_changed(make, x, training, draws):
    model = make().train(training)
    batch = torch.ones(2, 5, 32) if x is None else x()
    kept = batch.clone()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    first.requires_grad_(False)
    model.register_forward_hook(lambda *a: None)
    next(model.children()).eval()
    before = state(model)
    trace(model, batch, draws)
    init_(copy.deepcopy(model), batch)  # random numbers are drawn, from torch's own generator
    torch.set_rng_state(before["random"])
    assert same(before, state(model))
    assert torch.equal(batch, kept)
    assert batch.grad is None


@pytest.mark.parametrize("draws", [0, 2])
def test_nothing_is_changed_when_the_model_raises(draws):
    model = Refuses()
    before = state(model)
    with pytest.raises(RuntimeError, match="no further"):
        trace(model, torch.ones(3, 4), draws)
    assert same(before, state(model))
    torch.relu(torch.ones(1))  # and no mode is left behind that would look at this


def test_random_state_is_kept():
    model, batch = mlp(), rows()
    before = torch.get_rng_state()
    trace(model, batch, draws=2, seed=5)
    assert torch.equal(before, torch.get_rng_state())


def test_same_seed_same_report_whatever_the_random_state():
    one = trace(encoder(), torch.ones(2, 5, 32), draws=3, seed=7)
    torch.rand(5)
    assert one == trace(encoder(), torch.ones(2, 5, 32), draws=3, seed=7)
    assert one != trace(encoder(), torch.ones(2, 5, 32), draws=3, seed=8)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_measured_under_no_grad_too(mode):
    model = mlp(depth=3)
    with mode():
        found = trace(model, rows() * 1.0, draws=2)
    assert all(module.gradient is not None for module in found.modules)
    assert found == trace(model, rows(), draws=2)


def test_import_is_lazy_and_says_what_to_install():
    code = (
        "import sys, varprop\n"
        "assert 'torch' not in sys.modules\n"
        "sys.modules['torch'] = None\n"
        "try:\n    varprop.torch\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == 'varprop.torch needs PyTorch: pip install "varprop[torch]"\n'
