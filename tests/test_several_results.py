"""Results of several inputs, cotangents and tangents: merging, files, tables, frames, records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from several import FULL, NET, X, run

import varprop
from varprop import Propagation, load
from varprop.cli import main
from varprop.rows import Rows
from varprop.summary import as_dict

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def full() -> Propagation:
    return run(**FULL)


# ---- merging, files


def test_parts_merge_to_the_whole(full: Propagation) -> None:
    left, right = run(**FULL, trials=1), run(**FULL, trials=3, first_trial=1)
    assert right + left == full
    assert left.histogram != full.histogram


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:2]}, "input_label differs"),
        ({"cotangents": 3}, r"log_gradient has the shape \(3, 2, 3\) in a trial of one"),
        ({"cotangents": np.ones(8)}, "cotangent_label differs"),
        ({"tangents": 0}, "one of them has log_adjoint and log_tangent, the other none"),
        ({"histogram": None}, "one of them has a histogram"),
        ({"histogram": 8}, "of other bins don't add up"),
        ({"dropout": 0.7}, "network differs"),
        ({"backward": False, "cotangents": 1}, "one of them has gradients"),
    ],
)
def test_what_differs_does_not_merge(
    full: Propagation, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _ = full + run(**(FULL | change), first_trial=9)


def test_files(full: Propagation, tmp_path: Path) -> None:
    edges = np.linspace(-1, 1, 5)
    others = [{"correlation": 1.0}, {"histogram": edges}, {"cotangents": np.ones(8)}]
    x = np.stack([np.zeros(8), np.ones(8)])
    others.append({"x": x, "sigma_b": 0.2})
    for p in (full, full[2], *(run(**(NET | other)) for other in others)):
        p.save(tmp_path / "run")
        again = load(tmp_path / "run")
        assert again == p
        assert again.rows.names == p.rows.names
        assert again.histogram == p.histogram
        assert again.input_mean_square_log == p.input_mean_square_log
        with np.load(tmp_path / "run") as arrays:
            assert set(p.rows.names) <= set(arrays)


# ---- tables, JSON, frames


def test_tables_fit_80_columns(full: Propagation) -> None:
    text = str(full)
    for part in ("3 inputs: 3 x 8 numbers", "1-c", "Lyapunov exponents: ", "first of 2 cotangents"):
        assert part in text
    assert "rms norm (post)" in text.replace("\n", " ")
    assert "dropout keeps 0.8" in text.replace("\n", " ")
    far = run(depth=700, width=5, act="linear", sigma_w=0.001, trials=2, correlation=0.5,
              tangents=5)  # fmt: skip
    mixed = run(depth=9, width=4, act=["tanh", "relu"] * 4 + ["relu"], trials=1, correlation=-1.0)
    dead = run(depth=9, width=1, act="relu", trials=1, seed=3, correlation=1.0, tangents=1)
    for p in (full, full[1], far, mixed, dead, run(depth=2, width=4, trials=1, tangents=2)):
        assert max(map(len, str(p).splitlines())) <= 80
    assert "tanh - relu - tanh - ... - relu - relu" in str(mixed).replace("\n", " ")
    assert "nan" not in str(dead)
    assert "lost" in str(dead) or dead.dead == 0


def test_json_has_lists_of_what_there_are_several(full: Propagation) -> None:
    document = json.loads(json.dumps(as_dict(full), allow_nan=False))
    last = document["layers"][-1]
    assert document["pairs"] == [[0, 1], [0, 2], [1, 2]]
    assert last["preactivation"]["log_median"] == full.preactivation.log_median[:, -1].tolist()
    assert last["gradient"]["log_mean"] == full.gradient.log_mean[..., -1].tolist()
    assert last["gap"]["log_mean"] == full.gap.log_mean[:, -1].tolist()
    assert last["correlation"]["mean"] == full.correlation.mean[:, -1].tolist()
    assert last["tangent"]["log_p90"] == full.tangent.log_quantile(0.9)[:, -1].tolist()
    assert document["lyapunov"] == full.lyapunov.tolist()
    counts = document["histogram"]["activation_counts"]
    assert np.sum(counts[-1]) == 8 * 3 * 4
    assert len(document["log_input_mean_square"]) == 3
    identical = as_dict(run(**(NET | {"correlation": 1.0, "trials": 1})))
    json.dumps(identical, allow_nan=False)
    assert identical["layers"][0]["gap"]["log_median"] is None
    assert identical["layers"][0]["correlation"]["mean"] == 1


def test_frames(full: Propagation) -> None:
    frame = full.to_pandas()
    assert len(frame) == 4 * 3 * 3
    assert list(frame.columns[:3]) == ["trial", "input", "layer"]
    one = frame[(frame.trial == 2) & (frame.input == 1)]
    assert one.layer.tolist() == [1, 2, 3]
    assert np.array_equal(one.log_activation, full.rows.log_activation[2, 1])
    assert np.array_equal(one.log_gradient_1, full.rows.log_gradient[2, 1, 1])
    assert np.array_equal(one.log_sum_gradient_0, full.rows.log_sum_gradient[2, 1, 0])
    assert one.log_tangent_0.isna().all()
    first = frame[(frame.trial == 2) & (frame.input == 0)]
    assert np.array_equal(first.log_tangent_1, full.rows.log_tangent[2, 1])
    pairs = full.to_pandas(pairs=True)
    assert len(pairs) == 4 * 3 * 3
    some = pairs[(pairs.trial == 3) & (pairs.input == 1) & (pairs.other == 2)]
    assert np.array_equal(some.log_gap, full.rows.log_gap[3, 2])
    single = run(**NET, tangents=1).to_pandas()
    assert "input" not in single.columns
    assert single.log_tangent.notna().all()


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", X)
    common = ["--depth", "2", "--engine", "reference", "--trials", "2", "--width", "6"]
    files = ["--input", str(tmp_path / "x.npy"), "--save", str(tmp_path / "out")]
    assert main(["simulate", *common, *files, "--tangents", "1", "--histogram", "8", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["network"]["widths"] == [8, 6, 6]
    assert len(document["pairs"]) == 3
    assert load(tmp_path / "out").inputs == 3
    assert main(["simulate", *common, "--correlation", "0.5", "--log-gap", "-1"]) == 1
    assert "give one of them" in capsys.readouterr().err
    assert main(["simulate", *common, "--correlation", "0.5", "--compare", "--plot",
                 str(tmp_path / "a.svg")]) == 0  # fmt: skip
    assert "agrees with theory" in capsys.readouterr().out


def test_comparing_takes_several_inputs_or_one_of_them() -> None:
    pair = run(depth=2, width=50, trials=20, correlation=0.5)
    assert pair.compare().consistent
    assert pair[1].compare().consistent


# ---- records


def test_rows_of_wrong_shapes(full: Propagation) -> None:
    good = {name: np.array(getattr(full.rows, name)) for name in full.rows.names}
    for name, change, message in (
        ("log_gap", good["log_gap"][:, :2], r"log_gap must have the shape \(4, 3, 3\)"),
        ("died", good["died"][:, 0], r"died must have the shape \(4, 3\)"),
        ("log_gradient", good["log_gradient"][:, 0], "log_gradient must have the shape"),
        ("log_sum_gradient", good["log_sum_gradient"][:, :, 0], "of log_gradient"),
        ("log_adjoint", good["log_adjoint"][:, 0], "of log_tangent"),
        ("log_tangent", good["log_tangent"][..., :2], "log_tangent must have the shape"),
        ("log_gap", good["log_gap"] * np.nan, "log_gap must be at most ln 2"),
        ("log_kernel_gap", good["log_kernel_gap"] * 0 + 0.7, "at most ln 2"),
        ("log_tangent", good["log_tangent"] + np.inf, "finite, or -inf"),
    ):
        with pytest.raises(ValueError, match=message):
            Rows(**(good | {name: change}))
    alone = {name: np.array(getattr(full[0].rows, name)) for name in full[0].rows.names}
    with pytest.raises(ValueError, match="log_gap needs two inputs"):
        Rows(**(alone | {"log_gap": np.zeros((4, 3))}))
    assert repr(full.rows) == "<Rows: 4 trials x 3 inputs x 3 layers>"


def test_records_that_do_not_fit(full: Propagation) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="has 1 number, the rows have 3 inputs"):
        replace(full, input_mean_square_log=0.0)
    other = run(depth=2, width=4, histogram=True).histogram
    with pytest.raises(ValueError, match="a histogram of 2 layers doesn't fit depth 3"):
        replace(full, histogram=other)
    assert varprop.Histogram is type(other)
