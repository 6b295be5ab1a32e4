"""Models written with torch.nn alone, as people write them, for the tests of varprop.torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def mlp(act: type[nn.Module] = nn.ReLU, depth: int = 8, width: int = 64) -> nn.Sequential:
    """Depth weighted layers with an activation between."""
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def he(model: nn.Module) -> None:
    """Kaiming normal weights, no biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def xavier(model: nn.Module) -> None:
    """Glorot's normal weights, no biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)


class Block(nn.Module):
    """The basic block of a ResNet, the activation in place and used twice."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inside != outside:
            conv = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    """Stem, four blocks, pooling, head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 32, 2), Block(32, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Layer(nn.Module):
    """One pre-norm layer of a GPT."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.attention = nn.MultiheadAttention(size, 4, batch_first=True)
        self.norm2 = nn.LayerNorm(size)
        self.up = nn.Linear(size, 4 * size)
        self.down = nn.Linear(4 * size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Token and position embeddings, pre-norm layers, a head."""

    def __init__(self, layers: int = 3, size: int = 32, words: int = 50) -> None:
        super().__init__()
        self.tokens = nn.Embedding(words, size)
        self.positions = nn.Parameter(torch.randn(1, 12, size) * 0.02)
        self.layers = nn.ModuleList(Layer(size) for _ in range(layers))
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, words, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def encoder() -> nn.TransformerEncoder:
    """PyTorch's own encoder of two layers (post-norm, with dropout)."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def images(count: int = 8) -> torch.Tensor:
    """White noise of mean square 1, always the same."""
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def rows(count: int = 16, size: int = 64) -> torch.Tensor:
    """The same as rows of features."""
    return torch.randn(count, size, generator=torch.Generator().manual_seed(4))


def tokens(count: int = 4) -> torch.Tensor:
    """Random words."""
    return torch.randint(0, 50, (count, 12), generator=torch.Generator().manual_seed(5))
