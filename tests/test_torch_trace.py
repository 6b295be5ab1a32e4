"""Traces of models of all sorts, what they print, what is refused; what init_ sets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch_models import GPT, ResNet, encoder, images, mlp, rows, tokens

from varprop import theory
from varprop.torch import init_, trace


class Several(nn.Module):
    """Two inputs by name, whole numbers among them, a dict as output, parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 16)
        self.weight = nn.Parameter(torch.ones(16, 16) / 16)
        self.head = nn.Linear(16, 3)

    def forward(self, ids: torch.Tensor, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = torch.tanh(nn.functional.linear(x, self.weight)) + self.embed(ids)
        return {"logits": self.head(y), "hidden": y}


def test_inputs_and_outputs_of_any_shape():
    model = Several()
    x = torch.ones(4, 16)
    found = trace(model, {"ids": torch.tensor([1, 2, 3, 4]), "x": x}, draws=3)
    assert [m.name for m in found.modules] == ["linear()", "tanh()", "embed", "add()", "head"]
    assert found.notes[0] == "not drawn anew, for want of a reset_parameters: weight"
    assert found == trace(model, (torch.tensor([1, 2, 3, 4]), x), draws=3)


def test_shares_are_those_of_the_definition():
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]))
    x = torch.tensor([[1.0, -1, 2], [1, -1, -2]])
    found = trace(model, x, draws=0)
    linear, relu = found["0"], found["1"]
    for module in (linear, relu):
        assert module.mean_square is not None
        assert module.mean_square.stderr is None
    z = x @ model[0].weight.detach().T
    assert linear.mean_square is not None
    assert linear.mean_square.mean == pytest.approx(float(z.square().mean()))
    assert relu.dead is not None
    assert relu.dead.mean == 1 / 4  # only the second unit is off for both inputs
    assert relu.zero is not None
    assert relu.zero.mean == 5 / 8 - 1 / 8  # z: + - + -, + - - +
    assert relu.saturated is not None
    assert relu.saturated.mean == relu.zero.mean


def test_gradient_is_that_of_autograd():
    model = nn.Sequential(nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(2.0)
    model = nn.Sequential(nn.Identity(), nn.ReLU(), *model)
    found = trace(model, torch.ones(1, 3), draws=0)
    ratio = found["1"].gradient.mean / found["2"].gradient.mean  # type: ignore[union-attr]
    assert ratio == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("make", "x"), [(ResNet, images), (GPT, tokens), (encoder, None), (mlp, rows)]
)
def test_table_fits_80_columns(make, x):
    found = trace(make(), torch.ones(2, 5, 32) if x is None else x(), draws=2)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("nan" in line for line in lines)
    assert all(any(module.kind[:6] in line for line in lines) for module in found.modules)
    page = found._repr_html_()
    assert page.count("<tr>") == len(found.modules) + 1
    frame = found.to_pandas()
    assert list(frame["name"]) == [module.name for module in found.modules]
    assert {"mean_square", "mean_square_stderr", "predicted_gradient", "dead"} <= set(frame.columns)
    assert (
        max(map(len, str(init_(make(), torch.ones(2, 5, 32) if x is None else x())).splitlines()))
        <= 80
    )


def test_an_unknown_module_is_named():
    with pytest.raises(KeyError, match=r"no module 'x' was traced; there are 0, 1"):
        trace(mlp(), rows(), draws=1)["x"]


def test_another_law_than_that_of_the_modules_is_noted():
    model = mlp(depth=3)
    nn.init.normal_(model[2].weight, std=0.01)
    (note,) = trace(model, rows(), draws=2).notes
    assert "another scale" in note
    assert note.endswith(": 2.weight")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be a torch.nn.Module, not int"),
        ({"x": "text"}, TypeError, "x must be a tensor, .*not str"),
        ({"x": torch.ones(0, 64)}, ValueError, r"empty tensor, of shape \(0, 64\)"),
        ({"x": torch.full((2, 64), math.nan)}, ValueError, "not finite"),
        ({"draws": -1}, ValueError, "draws must be from 0 to 1000000, got -1"),
        ({"draws": 2.5}, TypeError, "draws must be an integer, not 2.5"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
        ({"init": 5}, TypeError, "init must be a function of the model, not int"),
        ({"init": init_, "draws": 0}, ValueError, "draws=0 traces the model as it stands"),
        ({"saturated_below": 1.0}, ValueError, "from 0 to less than 1, got 1.0"),
        ({"model": nn.LazyLinear(3)}, ValueError, "shape of weight is not known yet"),
    ],
)
def test_bad_input(changes, error, message):
    given = {"model": mlp(depth=2), "x": rows()} | changes
    with pytest.raises(error, match=message):
        trace(**given)


def test_another_path_in_another_draw_is_refused():
    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(int(torch.randint(1, 9, ()))):
                x = self.linear(x)
            return x

    with pytest.raises(ValueError, match="another path in draw"):
        trace(Moody(), rows(), draws=9)


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.SELU, nn.Sigmoid])
def test_init_sets_the_critical_point(act):
    model = mlp(act, 3, 300)
    torch.manual_seed(0)
    report = init_(model)
    record = theory.critical({nn.Tanh: "tanh"}.get(act, act.__name__.lower()))
    assert record.sigma_w is not None
    for layer, module in zip(report.layers[:-1], (model[0], model[2]), strict=True):
        assert (layer.sigma_w, layer.sigma_b) == (record.sigma_w, record.sigma_b)
        std = float(module.weight.detach().std())
        assert abs(std / layer.std - 1) < 5 / math.sqrt(2 * module.weight.numel())
    assert (report.layers[-1].sigma_w, report.layers[-1].act) == (1.0, None)


def test_init_without_a_critical_point_keeps_the_variance():
    layer = init_(nn.Sequential(nn.Linear(30, 30), nn.Softplus())).layers[0]
    assert layer.sigma_w == theory.gain("softplus").gain
    assert layer.because == "keeps a variance of 1"


@pytest.mark.parametrize("x", [None, images()], ids=["symbolic", "run"])
def test_init_of_a_resnet_divides_among_branches(x):
    report = init_(ResNet(), x)
    assert report.residual_adds == 4
    found = {layer.name: (layer.act, layer.sigma_w) for layer in report.layers}
    assert found["blocks.0.conv1"] == ("relu", pytest.approx(math.sqrt(2)))
    assert found["blocks.3.conv2"] == (None, 0.5)
    assert found["blocks.2.shortcut.0"] == ("relu", pytest.approx(math.sqrt(2)))
    assert found["fc"] == (None, 1.0)
    assert set(report.left) >= {"bn1", "blocks.0.bn2"}


@pytest.mark.parametrize("x", [None, tokens()], ids=["symbolic", "run"])
def test_init_of_a_gpt(x):
    model = GPT()
    report = init_(model, x)
    found = {layer.name: (layer.act, layer.sigma_w) for layer in report.layers}
    assert (
        found["layers.0.down"]
        == found["layers.2.attention.out_proj"]
        == (None, pytest.approx(6**-0.5))
    )
    assert found["layers.1.up"][0] == "gelu"
    assert found["layers.1.attention.in_proj_weight"] == (None, 1.0)
    assert report.left[:2] == ("(model)", "tokens")
    assert not model.layers[0].attention.out_proj.bias.any()


def test_init_names_the_dropout_it_does_nothing_about():
    model = nn.Sequential(
        nn.Linear(9, 9),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(9, 9),
        nn.AlphaDropout(),
        nn.Dropout(0),
    )
    report = init_(model)
    assert report.dropout == ("2",)
    assert "nothing is done about dropout (2)" in str(report)
    assert "dropout" not in str(init_(nn.Sequential(nn.Linear(9, 9), nn.ReLU())))


def test_init_says_what_it_needs():
    with pytest.raises(ValueError, match="give an example input"):
        init_(encoder())
    with pytest.raises(ValueError, match="nothing to set"):
        init_(nn.Sequential(nn.ReLU()))
    with pytest.raises(TypeError, match="not str"):
        init_("model")  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [None, torch.ones(2, 8)], ids=["followed", "run"])
def test_init_names_dropout_that_is_a_function(x):
    class Model(nn.Module):
        def __init__(self, p):
            super().__init__()
            self.first, self.drop, self.last, self.p = (
                nn.Linear(8, 8), nn.Dropout(0.3), nn.Linear(8, 8), p,
            )  # fmt: skip

        def forward(self, x):
            h = nn.functional.dropout(torch.relu(self.first(x)), self.p, self.training)
            return self.last(self.drop(h))

    assert init_(Model(0.2), x).dropout == ("drop", "dropout()")
    if x is not None:  # only a run knows that nothing is dropped
        assert init_(Model(0.0), x).dropout == ("drop",)
