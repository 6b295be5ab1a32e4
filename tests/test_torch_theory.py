"""Theory beside a traced model: every prediction against the mean over draws, by its own error."""

from __future__ import annotations

import pytest
import torch
from budget import Share, two_sided
from torch import nn
from torch.nn import functional as F
from torch_models import GPT, ResNet, encoder, he, images, mlp, rows, tokens, xavier

from varprop.torch import Estimate, ModuleTrace, trace

share = Share("torch")
DRAWS = 40


def check(case: str, module: ModuleTrace, *, gradient: bool = True) -> None:
    """Signal, and gradient, of one module against theory."""
    pairs: list[tuple[str, Estimate | None, float | None]] = [
        ("signal", module.mean_square, module.predicted_mean_square)
    ]
    if gradient:
        pairs.append(("gradient", module.gradient, module.predicted_gradient))
    for what, measured, predicted in pairs:
        assert measured is not None
        assert measured.stderr is not None
        assert predicted is not None, f"{case}: no {what} predicted at {module.name}"
        # Weights are predicted by their own mean square, so single numbers may lie nearer than
        # chance: float32 rounding is all that is left where nothing is random.
        error = max(measured.stderr, 1e-5 * predicted)
        share.check(
            f"{case}, {what} of {module.name}", two_sided((measured.mean - predicted) / error)
        )


class Residual(nn.Module):
    """x + branch, a scale and an activation in the branch, functions and modules mixed."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem = nn.Linear(size, size)
        self.up = nn.Linear(size, 2 * size)
        self.down = nn.Linear(2 * size, size)
        self.norm = nn.LayerNorm(size)
        self.drop = nn.Dropout(0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + 0.5 * self.down(self.drop(F.relu(self.up(x))))
        return F.relu(self.norm(x))


@pytest.mark.parametrize("init", [he, None], ids=["he", "torch's own"])
def test_mlp_of_relu(init):
    found = trace(mlp(depth=5), rows(), draws=DRAWS, seed=1, init=init)
    for module in found.modules:
        check(f"relu {init}", module)


def test_mlp_of_tanh():
    """Curvature bends means by 1/n, far below the standard error at this width."""
    found = trace(mlp(nn.Tanh, 4, 400), rows(4, 400), draws=20, seed=2, init=xavier)
    for module in found.modules:
        check("tanh", module)


def test_residual_block_with_dropout_and_norm():
    x = rows(16, 400)
    x = x / x.square().mean(1, keepdim=True).sqrt()  # a norm divides each row by its own size
    found = trace(Residual(400), x, draws=DRAWS, seed=3)
    for name in ("stem", "up", "relu()", "drop", "down", "add()", "norm"):
        check("residual", found[name], gradient=name not in ("norm",))


def test_convolution_counts_the_taps_on_the_padding():
    model = nn.Sequential(nn.Conv2d(3, 40, 5, padding=2, stride=2), nn.ReLU())
    found = trace(model, images(), draws=DRAWS, seed=4)
    check("conv", found["0"])
    check("conv", found["1"])
    measured, whole = found["0"].mean_square, 1 / 3 + 1 / 3 / 75
    assert measured is not None
    assert measured.mean < 0.9 * whole  # a tenth of the taps, and more, see zeros


def test_what_theory_does_not_know_it_leaves_open():
    gpt = trace(GPT(), tokens(), draws=5)
    assert gpt["layers.0.attention"].predicted_mean_square is None
    assert gpt["layers.0.add()"].predicted_mean_square is None
    assert gpt["layers.0.norm1"].predicted_mean_square == pytest.approx(1, abs=1e-3)
    up = gpt["layers.0.up"]
    assert up.mean_square is not None
    assert up.predicted_mean_square == pytest.approx(up.mean_square.mean, rel=0.05)


def test_relu_of_itself_is_not_independent():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.linear(x)
            return z + F.relu(z)

    assert trace(Twice(), rows(), draws=2)["add()"].predicted_mean_square is None


def test_real_models_are_followed_whole():
    names = [module.name for module in trace(ResNet(), images(), draws=2).modules]
    assert names[:6] == [
        "conv1",
        "bn1",
        "relu()",
        "blocks.0.conv1",
        "blocks.0.bn1",
        "blocks.0.relu",
    ]
    assert "blocks.0.relu #2" in names
    assert "blocks.2.shortcut.0" in names
    assert names[-1] == "fc"
    found = trace(encoder(), torch.ones(2, 5, 32), draws=2)
    assert [m.name for m in found.modules][:4] == [
        "layers.0.self_attn", "layers.0.dropout1", "layers.0.add()", "layers.0.norm1",
    ]  # fmt: skip
