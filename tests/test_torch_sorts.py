"""Models of every sort that people have: each is traced, or refused in words, and left alone."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from test_torch_untouched import same, state
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch_models import GPT, images, rows, tokens

from varprop.torch import init_, trace

# torch warns of what it no longer likes, which people have all the same.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated:DeprecationWarning", "ignore:.*deprecated:FutureWarning"
)
Pair = namedtuple("Pair", "first second")
X = rows(8, 32)


@dataclass
class Answer:
    logits: torch.Tensor


class Written(nn.Module):
    """A forward given as a function of the module and its inputs."""

    def __init__(self, forward: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.written = forward

    def forward(self, *inputs: Any) -> Any:
        return self.written(self, *inputs)


def three(act: nn.Module | None = None, first: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(first or nn.Linear(32, 32), act or nn.ReLU(), nn.Linear(32, 4))


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


def shared() -> nn.Module:
    layer = nn.Linear(32, 32)
    return nn.Sequential(layer, nn.ReLU(), layer)


def frozen() -> nn.Module:
    return three().requires_grad_(False)


def weight_norm() -> nn.Module:
    model = three(first=nn.utils.weight_norm(nn.Linear(32, 32)))
    model(X)  # keeps a weight that refuses to be copied
    return model


def checkpointed(reentrant: bool) -> nn.Module:
    return Written(
        lambda m, x: m.b(checkpoint(lambda y: F.relu(m.a(y)), x, use_reentrant=reentrant)),
        a=nn.Linear(32, 32), b=nn.Linear(32, 4),
    )  # fmt: skip


def under_no_grad() -> nn.Module:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = m.a(x)
        return m.b(x)

    return Written(forward, a=nn.Linear(32, 32), b=nn.Linear(32, 4))


def autocast() -> nn.Module:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return m.b(F.relu(m.a(x)))

    return Written(forward, a=nn.Linear(32, 32), b=nn.Linear(32, 4))


def linear(out: Callable[..., Any]) -> nn.Module:
    return Written(lambda m, x: out(m.layer(x), x), layer=nn.Linear(32, 4))


SORTS: dict[str, tuple[Callable[[], nn.Module], Any, list[str]]] = {
    "one layer under two names": (shared, X, ["0", "1", "0 #2"]),
    "called twice": (
        lambda: Written(lambda m, x: m.a(F.relu(m.a(x))), a=nn.Linear(32, 32)),
        X, ["a", "relu()", "a #2"],
    ),
    "frozen": (frozen, X, ["0", "1", "2"]),
    "whole numbers": (
        lambda: nn.Sequential(nn.Embedding(10, 32), nn.Linear(32, 4)), torch.arange(8), ["0", "1"],
    ),
    "dict": (lambda: linear(lambda y, x: {"a": y, "b": [x, (y,)]}), X, ["layer"]),
    "named tuple": (lambda: linear(Pair), X, ["layer"]),
    "dataclass": (lambda: linear(lambda y, x: Answer(y)), X, ["layer"]),
    "named tuple as input": (
        lambda: Written(lambda m, p: m.layer(p.first) + p.second, layer=nn.Linear(32, 4)),
        (Pair(X, torch.ones(8, 4)),), ["layer", "add()"],
    ),
    "number": (lambda: linear(lambda y, x: y.sum()), X, ["layer"]),
    "detached": (lambda: linear(lambda y, x: y.detach()), X, ["layer"]),
    "no parameters": (lambda: nn.Sequential(nn.ReLU(), nn.Tanh()), X, ["0", "1"]),
    "float16": (lambda: three().half(), X.half(), ["0", "1", "2"]),
    "bfloat16": (lambda: three(nn.GELU()).bfloat16(), X.bfloat16(), ["0", "1", "2"]),
    "float64": (lambda: three(nn.SiLU()).double(), X.double(), ["0", "1", "2"]),
    "in place": (lambda: three(nn.ReLU(inplace=True)), X, ["0", "1", "2"]),
    "in place on the input": (
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(32, 4)), X, ["0", "1"],
    ),
    "weight norm": (weight_norm, X, ["0", "1", "2"]),
    "parametrized": (
        lambda: three(first=nn.utils.parametrizations.weight_norm(nn.Linear(32, 32))),
        X, ["0", "1", "2"],
    ),
    "orthogonal": (
        lambda: three(first=nn.utils.parametrizations.orthogonal(nn.Linear(32, 32))),
        X, ["0", "1", "2"],
    ),
    "spectral norm": (
        lambda: three(first=nn.utils.parametrizations.spectral_norm(nn.Linear(32, 32))),
        X, ["0", "1", "2"],
    ),
    "data parallel": (
        lambda: nn.DataParallel(three()), X, ["module.0", "module.1", "module.2"],
    ),
    "compiled": (lambda: compiled(three()), X, ["0", "1", "2"]),
    "a compiled part": (
        lambda: nn.Sequential(compiled(nn.Linear(32, 32)), nn.ReLU()), X,
        ["0._orig_mod", "1"],
    ),
    "checkpointed": (lambda: checkpointed(False), X, ["a", "relu()", "b"]),
    "checkpointed the old way": (lambda: checkpointed(True), X, ["a", "relu()", "b"]),
    "under no_grad": (under_no_grad, X, ["a", "b"]),
    "autocast": (autocast, X, ["a", "relu()", "b"]),
    "recurrent": (
        lambda: Written(lambda m, x: m.head(m.cell(x)[0]), cell=nn.LSTM(32, 8, batch_first=True),
                        head=nn.Linear(8, 4)),
        rows(20, 32).reshape(4, 5, 32), ["cell", "head"],
    ),
    "one row": (three, X[0], ["0", "1", "2"]),
}  # fmt: skip


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_is_traced_and_left_alone(sort: str) -> None:
    make, x, names = SORTS[sort]
    model = make()
    before = state(model)
    for draws in (2, 0):
        found = trace(model, x, draws)
        assert [module.name for module in found.modules] == names
        assert not {"nan", "inf"} & set(str(found).split())
        assert all(module.mean_square is not None for module in found.modules)
        assert same(before, state(model))


def test_names_of_planted_faults_survive_wrapping() -> None:
    for wrap in (compiled, lambda m: m):
        model = nn.Sequential(*[nn.Linear(64, 64) for _ in range(5)])
        nn.init.normal_(model[3].weight, std=0.001)
        assert trace(wrap(model), rows(), draws=0).findings[0].module == "3"
    model = three()
    nn.init.normal_(model[0].weight, std=1e-3)
    nn.utils.parametrizations.weight_norm(model[0])
    assert trace(model, X, draws=0).findings[0].module == "0"


def test_gradients_pass_checkpoints() -> None:
    """Recomputation runs modules a second time, on the way back: they are not counted twice."""
    model = checkpointed(False)
    plain = Written(lambda m, x: m.b(F.relu(m.a(x))), a=model.a, b=model.b)
    one, other = trace(model, X, draws=0), trace(plain, X, draws=0)
    assert [module.name for module in one.modules] == [module.name for module in other.modules]
    assert one["a"].gradient == other["a"].gradient
    assert one["b"].gradient is not None


class Needy(nn.Module):
    """Its reset_parameters wants to be told something."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 4))

    def reset_parameters(self, std: float) -> None:
        nn.init.normal_(self.weight, std=std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Linear(32, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Needy, "Needy can't be initialised anew .*'std'.*give init="),
        (lambda: nn.LazyLinear(3), "a lazy module"),
        (lambda: torch.jit.script(three()), "ScriptModule doesn't let anyone look into it"),
        (on_meta, "weight is on the meta device"),
        (lambda: linear(lambda y, x: None), "returned no tensor of real numbers"),
    ],
)
def test_what_cannot_be_traced_is_said_in_words(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trace(make(), X, draws=1)
    if make is not Needy:
        with pytest.raises(ValueError, match=message):
            init_(make(), X)


def test_what_is_not_drawn_anew_is_noted() -> None:
    model = three(first=nn.utils.parametrizations.weight_norm(nn.Linear(32, 32)))
    (note,) = trace(model, X, draws=2).notes
    assert note.startswith("not drawn anew, though they have a reset_parameters: ")
    assert note.endswith("0.parametrizations.weight.original1")


def test_where_theory_is_silent_it_says_so() -> None:
    (note,) = trace(GPT(), tokens(), draws=0).notes
    assert note.startswith("theory has no word on MultiheadAttention: there it stays silent")
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Softmax(1))
    found = trace(pooled, images(), draws=0)
    assert found["2"].predicted_mean_square is None
    assert any("MaxPool2d, Softmax" in note for note in found.notes)
    assert max(map(len, str(found).splitlines())) <= 80


def test_init_looks_through_a_batch_norm_in_eval_mode() -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    assert [layer.act for layer in init_(model.eval(), X).layers] == ["relu", None]


def test_init_sets_what_is_inside_a_compiled_model() -> None:
    model = compiled(three())
    assert [layer.name for layer in init_(model, X).layers] == ["0", "2"]
