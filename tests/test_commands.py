"""Commands that answer: compare, histogram, gain, critical, lists; in every form of output."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import varprop
from varprop import theory
from varprop.cli import cli, main
from varprop.command_output import put
from varprop.compare_command import _names
from varprop.recipe import recipe

Capture = pytest.CaptureFixture[str]
SMALL = ["--width", "30", "--trials", "4"]


def printed(capsys: Capture, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    out = capsys.readouterr().out
    assert out.endswith("\n")
    return out


def as_json(capsys: Capture, *arguments: str) -> Any:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    return json.loads(printed(capsys, *arguments, "--json"), parse_constant=refuse)


def as_csv(capsys: Capture, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(printed(capsys, *arguments, "--csv"))))


# ---- one style


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_has_examples_and_fits(name: str, capsys: Capture) -> None:
    text = printed(capsys, name, "--help")
    assert "Examples:\n" in text
    assert f"    varprop {name}" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "--json" in text
    assert "--csv" in text
    assert f"  {name} " in printed(capsys, "--help")


@pytest.mark.parametrize("arguments", [["gain", "relu"], ["activations"], ["simulate"]])
def test_one_form_at_a_time(arguments: list[str], capsys: Capture) -> None:
    assert main([*arguments, "--json", "--csv"]) != 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--json and --csv are two forms of the output: give one" in printed.err


def test_records_become_columns(capsys: Capture) -> None:
    put("csv", str, dict, lambda: [{"a": 1, "b": {"c": [2.5, None]}}, {"a": "x,y", "d": True}])
    assert capsys.readouterr().out == 'a,b.c.0,b.c.1,d\n1,2.5,,\n"x,y",,,True\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        put("json", str, lambda: float("nan"), list)


def test_simulate_as_csv_is_its_json(capsys: Capture) -> None:
    line = ["simulate", "--depth", "3", *SMALL, "--correlation", "0.5"]
    layers = as_json(capsys, *line)["layers"]
    rows = as_csv(capsys, *line)
    assert [row["layer"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["activation.log_mean.1"]) == layers[2]["activation"]["log_mean"][1]
    assert float(rows[2]["gap.log_median"]) == layers[2]["gap"]["log_median"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_told_how_to_complete(shell: str) -> None:
    environment = os.environ | {"_VARPROP_COMPLETE": f"{shell}_source"}
    done = subprocess.run(
        [sys.executable, "-m", "varprop"], capture_output=True, text=True, timeout=60,
        env=environment,
    )  # fmt: skip
    assert "_VARPROP_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("varprop ga", "gain"),
        ("varprop gain gel", "gelu"),
        ("varprop simulate --act sil", "silu"),
        ("varprop simulate --scheme xav", "xavier_uniform"),
        ("varprop compare --sch", "--schemes"),
    ],
)
def test_words_are_completed(words: str, expected: str) -> None:
    environment = os.environ | {
        "_VARPROP_COMPLETE": "bash_complete", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "varprop"], capture_output=True, text=True, timeout=60,
        env=environment,
    )  # fmt: skip
    assert f"plain,{expected}" in done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_complete_too(shell: str) -> None:
    environment = os.environ | {
        "_VARPROP_COMPLETE": f"{shell}_complete", "COMP_WORDS": "varprop gain gel",
        "COMP_CWORD": "2" if shell == "zsh" else "gel",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "varprop"], capture_output=True, text=True, timeout=60,
        env=environment,
    )  # fmt: skip
    found = done.stdout.replace("plain,", "plain\n").split()
    assert [word for word in found if word.startswith("gel")] == ["gelu", "gelu_tanh"]


# ---- compare


def test_names_are_parted_at_commas_outside_brackets() -> None:
    import click

    context, parameter = click.Context(cli), click.Option(["--schemes"])
    assert _names(context, parameter, "normal(0.01), he,student_t(5, 1)") == [
        "normal(0.01)", "he", "student_t(5, 1)",
    ]  # fmt: skip
    assert _names(context, parameter, None) == []


def test_compare_is_simulate_side_by_side(capsys: Capture) -> None:
    line = ["compare", "--act", "tanh", "--schemes", "normal(0.01),xavier", "--depth", "6", *SMALL]
    text = printed(capsys, *line)
    assert "4 networks each: depth 6, width 30, tanh" in text
    assert max(map(len, text.splitlines())) <= 80
    found = as_json(capsys, *line)
    assert [each["network"]["scheme"]["name"] for each in found] == ["normal(0.01)", "xavier"]
    for each, scheme in zip(found, ("normal(0.01)", "xavier"), strict=True):
        p = varprop.simulate(depth=6, width=30, act="tanh", scheme=scheme, trials=4)
        logs = [layer["gradient"]["log_median"] for layer in each["layers"]]
        assert logs == p.gradient.log_median.tolist()
        prediction = theory.predict(p.network)
        assert each["theory"]["log_gradient"] == prediction.log_gradient.tolist()
    rows = as_csv(capsys, *line)
    assert len(rows) == 12
    assert float(rows[7]["theory.log_variance"]) == found[1]["theory"]["log_variance"][1]
    assert rows[7]["scheme"] == "xavier"


def test_compare_has_columns_for_what_there_is(capsys: Capture) -> None:
    def columns(*line: str) -> list[str]:
        return (
            printed(capsys, "compare", "--depth", "4", "--trials", "9", *line)
            .split("\n")[2]
            .split()
        )

    plain = ["network", "q", "first", "q", "last", "theory", "g", "first", "theory", "satur%"]
    assert columns("--act", "tanh", "--width", "30") == plain
    assert columns("--act", "relu", "--width", "30") == [*plain, "zero%"]
    assert columns("--act", "relu", "--width", "1") == [*plain, "zero%", "dead"]  # half die a layer


def test_every_activation_meets_every_scheme(capsys: Capture) -> None:
    line = ["compare", "--acts", "relu,leaky_relu(0.2)", "--schemes", "he,lecun", *SMALL]
    found = as_json(capsys, *line, "--depth", "2")
    pairs = [(each["network"]["act"], each["network"]["scheme"]["name"]) for each in found]
    acts = ("relu", "leaky_relu(0.2)")
    assert pairs == [(act, scheme) for act in acts for scheme in ("he", "lecun")]
    assert {len(each["layers"]) for each in as_json(capsys, *line)} == {50}


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("compare --schemes he,,lecun", 2, "empty name"),
        ("compare --schemes he --scheme lecun", 2, "--schemes stands in place"),
        ("compare --schemes he --sigma-w 1", 2, "--schemes stands in place"),
        ("compare --acts relu --act relu", 2, "--acts stands in place"),
        ("compare --schemes he,hee", 2, "did you mean"),
        ("compare --schemes he,he,he,he,he,he,he,he,he -o a.png", 2, "tells 8 networks apart"),
        ("compare -o a.docx", 1, "must end in .png"),
        ("histogram -o nowhere/a.png", 1, "does not exist"),
        ("histogram --bins 7 --depth 2", 1, "--bins must be an even number"),
        ("gain rleu", 1, "relu"),
        ("gain relu --depth 0", 2, "--depth"),
        ("critical tanh --sigma-b -1", 1, "--sigma-b must be"),
        ("derive relu --json -o a.md", 2, "not with -o"),
    ],
)
def test_wrong_usage_is_told_before_the_work(
    line: str, code: int, message: str, capsys: Capture, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == code
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_figures_are_written(suffix: str, start: bytes, capsys: Capture, tmp_path: Path) -> None:
    for line in (
        ["compare", "--schemes", "he,lecun", "--depth", "3"],
        ["compare", "--acts", "sign,relu", "--depth", "3"],  # no gradient comes through sign
        ["histogram", "--depth", "3"],
    ):
        path = tmp_path / f"{line[0]}.{suffix}"
        assert main([*line, *SMALL, "-o", str(path)]) == 0
        assert capsys.readouterr().err == f"wrote {path}\n"
        assert path.read_bytes().startswith(start)


# ---- histogram


def test_histogram_prints_the_layers_and_counts_the_units(capsys: Capture) -> None:
    line = ["histogram", "--act", "tanh", "--scheme", "normal(0.01)", "--depth", "4", *SMALL]
    text = printed(capsys, *line)
    assert max(map(len, text.splitlines())) <= 80
    bars = [row.split("|")[1] for row in text.splitlines() if row.endswith("|")]
    assert [len(row) for row in bars] == [41] * 4
    # signals fade, so what is drawn narrows down to one letter
    drawn = [len(row.strip()) for row in bars]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[0] > 20
    assert drawn[3] <= 2
    rows = as_csv(capsys, *line)
    counts = np.array([int(row["count"]) for row in rows]).reshape(4, 128)
    assert counts.sum(axis=1).tolist() == [120] * 4
    assert float(rows[0]["right"]) == float(rows[1]["left"])
    p = varprop.simulate(depth=4, width=30, act="tanh", scheme="normal(0.01)", trials=4,
                         histogram=128)  # fmt: skip
    assert p.histogram is not None
    np.testing.assert_array_equal(counts, p.histogram.activation.counts)
    beyond = as_csv(
        capsys, "histogram", "--act", "linear", "--sigma-w", "1e-150", "--depth", "3", *SMALL
    )
    assert beyond[-1]["left"] == beyond[-1]["right"] == ""


# ---- gain and critical


def test_a_gain_comes_with_lines_to_write(capsys: Capture) -> None:
    text = printed(capsys, "gain", "relu")
    assert "nn.init.normal_(m.weight, std=1.4142136 / m.in_features**0.5)" in text
    assert 'VarianceScaling(2, "fan_in", "untruncated_normal")' in text
    assert 'jax.nn.initializers.variance_scaling(2, "fan_in", "normal")' in text
    assert "depth 100 is fine" in text
    for act in ("relu", "silu"):
        assert max(map(len, printed(capsys, "gain", act).splitlines())) <= 80
    found = as_json(capsys, "gain", "silu")
    point = theory.critical("silu")
    assert (found["sigma_w"], found["sigma_b"]) == (point.sigma_w, point.sigma_b)
    assert "std=0.7450793" in found["write"]["PyTorch"]["biases"]
    rows = as_csv(capsys, "gain", "silu")
    assert float(rows[0]["gain"]) == theory.gain("silu").gain


def test_the_pytorch_line_does_what_it_says() -> None:
    from torch import manual_seed, nn

    made = recipe("silu")
    m = nn.Linear(400, 900)
    manual_seed(0)
    for line in made.lines["PyTorch"]:
        exec(line, {"nn": nn, "m": m})
    # 360000 and 900 numbers: standard deviations within 5 standard errors of what was asked for
    assert float(m.weight.detach().std()) * 20 == pytest.approx(made.sigma_w, rel=5 / 720000**0.5)
    assert float(m.bias.detach().std()) == pytest.approx(made.sigma_b, rel=5 / 1800**0.5)


def test_the_outlook_is_that_of_theory() -> None:
    deep = recipe("silu", 2000)
    prediction = theory.predict(
        varprop.Network(2000, act="silu", sigma_w=deep.sigma_w, sigma_b=deep.sigma_b)
    )
    assert deep.log_gradient == prediction.log_gradient[0]
    assert recipe("silu", 100).fine
    assert not deep.fine
    assert "not fine" in deep.outlook
    # the way out that it names: K* from the first layer on
    kept = deep.kept
    assert kept is not None
    steady = theory.predict(deep_network(deep), input_mean_square=kept)
    variance = deep.gain.critical.variance
    assert variance is not None
    np.testing.assert_allclose(steady.variance[[0, -1]], variance, rtol=1e-6)
    assert abs(steady.log_gradient[0]) < 0.01
    # without a K* > 0 to keep, another: skip connections, scaled
    lost = recipe("softplus")
    assert lost.kept is None
    assert lost.with_skips is not None
    added = theory.predict(
        varprop.Network(
            100, act="softplus", sigma_w=lost.sigma_w, residual=varprop.Residual("1/sqrt(depth)")
        )
    )
    assert lost.with_skips == (added.log_variance[-1], added.log_gradient[0])
    assert "Skip connections help" in lost.outlook
    assert "changes by a factor 1.40" in lost.outlook
    assert recipe("relu").with_skips is None
    assert recipe("sign").log_gradient is None
    assert "no gradient comes back" in recipe("sign").outlook
    square = recipe("x**2")
    assert "There is no critical point" in square.because
    assert " in the last, and a squared gradient" in square.outlook
    assert "10^-" in square.outlook  # and no digits that nobody knows


def test_signs_in_the_reason_are_explained_and_no_others() -> None:
    assert "(chi_1: factor per layer of a squared gradient.)" in " ".join(
        str(recipe("sign")).split()
    )
    mish = " ".join(str(recipe("mish")).split())
    assert "moves away from it, and in the end grows without bound. (K*: the variance" in mish
    assert "E phi'(z)^2" not in mish


def deep_network(made: Any) -> varprop.Network:
    return varprop.Network(made.depth, act=made.act, sigma_w=made.sigma_w, sigma_b=made.sigma_b)


def test_critical_points_are_those_of_theory(capsys: Capture) -> None:
    found = as_json(capsys, "critical", "tanh", "--sigma-b", "0.3")
    point = theory.critical("tanh", sigma_b=0.3)
    assert found["sigma_w"] == point.sigma_w
    assert found["variance"] == point.variance
    assert as_csv(capsys, "critical", "tanh", "--sigma-b", "0.3")[0]["kind"] == point.kind
    text = printed(capsys, "critical", "tanh", "--sigma-b", "0.3")
    assert str(point) in text
    assert str(theory.fixed_point("tanh", sigma_w=point.sigma_w, sigma_b=0.3)) in text
    nothing = as_json(capsys, "critical", "sign")
    assert (nothing["kind"], nothing["sigma_w"]) == ("none", None)
    assert "none, because" in printed(capsys, "critical", "sign")


# ---- lists, derivations, phases


def test_lists_in_every_form(capsys: Capture) -> None:
    acts = [str(act) for act in varprop.activations()]
    assert [row["name"] for row in as_json(capsys, "activations")] == acts
    assert [row["name"] for row in as_csv(capsys, "activations")] == acts
    assert {row["name"]: row["variance"] for row in as_csv(capsys, "schemes")}["he"] == "2/fan_in"
    facts = as_json(capsys, "info")
    assert facts["varprop"] == varprop.__version__
    assert facts["threads"] >= 1
    assert facts["instruction_set"] in facts["instruction_sets_built"].split()
    text = printed(capsys, "info")
    assert all(name in text for name in facts)
    assert [row["name"] for row in as_csv(capsys, "info")] == list(facts)


def test_derivations_in_every_form(capsys: Capture) -> None:
    found = as_json(capsys, "derive", "linear")
    derivation = theory.derive("linear")
    assert [each["outcome"] for each in found["equations"]] == list(derivation.check())
    rows = as_csv(capsys, "derive", "linear")
    assert rows[-1]["right"] == str(derivation.result.right)
    names = [each.name for each in theory.derivations()]
    assert [row["name"] for row in as_csv(capsys, "derive", "--list")] == names


def test_phases_in_every_form(capsys: Capture, tmp_path: Path) -> None:
    line = (
        "phase --act tanh --sigma-w 0.8,1.2,1.6 --sigma-b 0.1,0.2 --depth 9 --width 50 "
        f"--stderr 0.1 -o {tmp_path / 'a.png'}"
    ).split()
    found = as_json(capsys, *line)
    assert np.shape(found["growth"]) == (2, 3)
    assert [edge["sigma_b"] for edge in found["edge"]] == [0.1, 0.2]
    rows = as_csv(capsys, *line)
    assert len(rows) == 6
    assert float(rows[4]["growth"]) == found["growth"][1][1]
    assert float(rows[4]["sigma_w"]) == 1.2
