"""Results: statistics against NumPy on plain numbers, merging, and the printed table."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
from handmade import part, propagation, rows

from varprop.network import Network
from varprop.propagation import Propagation, Rows, input_label
from varprop.statistic import LayerStatistic
from varprop.table import chosen_layers
from varprop.text import format_log, format_share

pytestmark = pytest.mark.filterwarnings("error")


# ---- rows and results


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("log_variance", np.nan, "log_variance"),
        ("log_activation", np.inf, "log_activation"),
        ("log_gradient", np.nan, "log_gradient"),
        ("saturated", 1.5, r"saturated must be in \[0, 1\]"),
        ("zero", -0.1, "zero"),
        ("relative_mean", -1.1, r"relative_mean must be in \[-1, 1\]"),
        ("died", 9, r"died must be layer numbers 1\.\.3"),
    ],
)
def test_bad_rows_are_refused(name: str, value: float, message: str) -> None:
    good = rows(4, 3, back=True)
    arrays = {key: np.array(getattr(good, key)) for key in good.names}
    arrays[name].flat[1] = value
    with pytest.raises(ValueError, match=message):
        Rows(**arrays)


def test_shapes_must_fit() -> None:
    good = {key: np.array(getattr(rows(4, 3), key)) for key in rows(4, 3).names}
    with pytest.raises(ValueError, match=r"zero must have the shape \(4, 3\), got \(4, 2\)"):
        Rows(**(good | {"zero": good["zero"][:, :2]}))
    with pytest.raises(ValueError, match=r"\(4, 3\) don't fit \(trials, depth\) = \(5, 3\)"):
        propagation(ranges=((0, 5),))
    with pytest.raises(ValueError, match="ascending"):
        propagation(ranges=((2, 4), (0, 2)))
    with pytest.raises(ValueError, match="input_mean_square_log"):
        propagation(input_mean_square_log=np.nan)


def test_results_cannot_be_changed() -> None:
    p = propagation()
    with pytest.raises(ValueError, match="read-only"):
        p.rows.log_variance[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        p.preactivation.log[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        p.saturated.trials[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        LayerStatistic("mine", np.zeros((2, 2))).log[0, 0] = 1
    with pytest.raises(AttributeError):
        p.seed = 3  # type: ignore[misc]


def test_the_caller_keeps_a_writable_array() -> None:
    arrays = {key: np.array(getattr(rows(4, 3), key)) for key in rows(4, 3).names}
    Rows(**arrays)
    assert arrays["zero"].flags.writeable


def test_the_quantities_are_the_rows() -> None:
    p = propagation(rows(6, 8, dead=2))
    np.testing.assert_array_equal(p.preactivation.log.data, p.rows.log_preactivation)
    np.testing.assert_array_equal(p.activation.log.data, p.rows.log_activation)
    np.testing.assert_array_equal(p.variance.log.data, p.rows.log_variance)
    np.testing.assert_array_equal(p.saturated.trials, p.rows.saturated)
    np.testing.assert_array_equal(p.zero.trials, p.rows.zero)
    np.testing.assert_allclose(
        p.activation_mean.trials,
        p.rows.relative_mean * np.sqrt(np.exp(p.rows.log_activation)),
        rtol=1e-13,
    )
    assert p.dead == 2
    assert p.trials == 6
    assert list(p.died) == [5, 5, 0, 0, 0, 0]


# ---- merging


@pytest.mark.parametrize("made", [{"dead": 3}, {"back": True}])
def test_merging_gives_the_single_run_bit_for_bit(made: dict[str, Any]) -> None:
    whole = propagation(rows(12, 5, **made))
    a = part(whole, range(5), ((0, 5),))
    b = part(whole, range(5, 9), ((5, 9),))
    c = part(whole, range(9, 12), ((9, 12),))
    for merged in (a + b + c, c + a + b, a + c + b, sum([b, c, a])):
        assert merged == whole
        assert merged.ranges == ((0, 12),)
        for name in whole.rows.names:
            assert getattr(merged.rows, name).tobytes() == getattr(whole.rows, name).tobytes()


def test_merging_interleaved_ranges() -> None:
    whole = propagation(rows(12, 5))
    odd = part(whole, [2, 3, 8, 9], ((2, 4), (8, 10)))
    even = part(whole, [0, 1, 4, 5, 6, 7], ((0, 2), (4, 8)))
    assert (odd + even).ranges == ((0, 10),)
    assert odd + even + part(whole, [10, 11], ((10, 12),)) == whole
    assert list(odd.trial_numbers) == [2, 3, 8, 9]


def test_overlapping_trials_are_refused() -> None:
    with pytest.raises(ValueError, match=r"trials 3 to 3 .*trials 0-3 and trials 3-6"):
        propagation() + propagation(first=3)
    with pytest.raises(ValueError, match="in both"):
        propagation() + propagation()


@pytest.mark.parametrize(
    ("field", "value", "both"),
    [
        ("seed", 6, "5 and 6"),
        ("engine", "dense", "'matrix-free' and 'dense'"),
        ("input_mean_square_log", 1.5, "0.0 and 1.5"),
        ("input_label", "3 numbers", "'standard' and '3 numbers'"),
        ("saturated_below", 0.1, "0.05 and 0.1"),
        ("version", "1.2.4", "'1.2.3' and '1.2.4'"),
        ("network", Network(3, width=7, act="relu", scheme="xavier"), "act='tanh'.*act='relu'"),
    ],
)
def test_different_simulations_do_not_merge(field: str, value: Any, both: str) -> None:
    with pytest.raises(ValueError, match=f"{field} differs: .*{both}"):
        propagation() + propagation(first=4, **{field: value})
    assert propagation() != propagation(**{field: value})


def test_merged_provenance_keeps_both() -> None:
    other = propagation(first=4, provenance={"numpy": "2.1", "simd": "v3"})
    assert (propagation() + other).provenance == {"numpy": "2.0 and 2.1", "simd": "v3"}


def test_only_results_merge() -> None:
    with pytest.raises(TypeError):
        propagation() + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        "x" + propagation()


def test_inputs_are_told_apart() -> None:
    x = np.array([1.0, 2.0])
    assert input_label(x) == input_label(x.astype(np.float32)) == input_label(np.array([1, 2]))
    assert len({input_label(x), input_label(x[::-1]), input_label(None)}) == 3


# ---- what is printed


def table_rows(text: str) -> list[list[str]]:
    """Cells of the layers' table."""
    start = text.index("------")
    return [line.split() for line in text[start:].split("\n\n")[0].splitlines()[1:]]


@pytest.mark.parametrize("depth", [1, 2, 20, 21, 57, 199, 200, 1000, 7919])
@pytest.mark.parametrize("trials", [1, 5])
@pytest.mark.parametrize("drift", [0.0, -2.0, 40.0])
def test_the_table_fits_and_thins(depth: int, trials: int, drift: float) -> None:
    text = str(propagation(rows(trials, depth, drift=drift)))
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii()
    assert "…" not in text
    layers = [int(cells[0]) for cells in table_rows(text)]
    assert layers == sorted(set(layers))
    assert (layers[0], layers[-1]) == (1, depth)
    assert len(layers) == depth if depth <= 20 else 11 <= len(layers) <= 21
    assert len({len(cells) for cells in table_rows(text)}) == 1


def test_the_table_says_what_was_measured() -> None:
    p = propagation(rows(9, 4, drift=-400.0))
    text = str(p)
    assert "9 random networks: depth 4, width 7, tanh, xavier" in text
    assert "engine matrix-free, seed 5, trials 0-8" in text
    heads = text.split("\n\n")[1].splitlines()[0]
    assert " ".join(heads.split()) == "layer K q 10% q q 90% a mean/rms satur% zero%"
    last = table_rows(text)[-1]
    assert last[1] == format_log(float(p.variance.log_median[-1]))
    assert last[1].endswith(("e-694", "e-695"))
    assert last[3] == format_log(float(p.preactivation.log_median[-1]))
    assert last[5] == format_log(float(p.activation.log_median[-1]))
    assert float(last[6]) == pytest.approx(p.relative_mean.median[-1], abs=6e-4)
    assert float(last[7]) == pytest.approx(100 * p.saturated.mean[-1], abs=0.06)
    assert float(last[8]) == pytest.approx(100 * p.zero.mean[-1], abs=0.06)


def test_the_closing_lines() -> None:
    steady = rows(30, 21)
    walk = np.broadcast_to(np.log(0.5) * np.arange(21), (30, 21))
    text = " ".join(str(propagation(Rows(**(vars(steady) | {"log_preactivation": walk})))).split())
    assert "growth of q, median: x0.500 a layer" in text
    assert (
        "(x0.500 in the second half), x9.54e-7 from layer 1 to 21; falls tenfold every 3.32" in text
    )
    assert "dead networks: 0 of 30" in text
    assert "heavy tail" not in text
    wild = np.array(steady.log_preactivation)
    wild[0, -1] = 50.0
    text = " ".join(str(propagation(Rows(**(vars(steady) | {"log_preactivation": wild})))).split())
    assert "trust the median, not the mean" in text
    assert re.search(r"q in layer 21: mean 1\.73e\+20 \+- 100%, median", text)


def test_dead_networks_are_counted_in_words() -> None:
    text = str(propagation(rows(8, 30, dead=3)))
    assert "dead networks: 3 of 8, the first in layer 16" in text
    everything = str(propagation(rows(8, 30, dead=8)))
    assert "dead networks: 8 of 8" in everything
    assert "growth" not in everything
    assert table_rows(everything)[-1][1:6] == ["0"] * 5


def test_no_colour_codes_even_when_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = str(propagation())
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "40"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    assert str(propagation()) == plain
    assert "\x1b" not in plain


def test_repr_is_one_short_line() -> None:
    p = propagation(rows(2, 300), network=Network(300, widths=[5, *[7] * 300]))
    assert repr(p).startswith("<Propagation: 2 trials of Network(depth=300")
    assert len(repr(p)) < 200
    assert "width 5 then 7" in str(p)


def test_numbers_of_any_size() -> None:
    getcontext().prec = 40
    rng = np.random.default_rng(1)
    logs = np.concatenate([rng.uniform(-12, 14, 400), rng.uniform(-1e6, 1e6, 400)])
    for log in logs.tolist():
        text = format_log(log)
        exact = Decimal(log).exp()
        assert abs(Decimal(text) / exact - 1) < Decimal("0.00502"), (log, text)
        assert len(text) <= 13
    assert format_log(np.log(9.999)) == "10.0"
    assert format_log(-np.inf) == "0"


def test_shares_are_0_or_100_only_if_exactly_so() -> None:
    assert [format_share(s) for s in (0.0, 1e-9, 0.0004, 0.25, 0.9996, 1.0)] == [
        "0", "<0.1", "<0.1", "25.0", ">99.9", "100"
    ]  # fmt: skip


def test_shown_layers_are_round() -> None:
    assert list(chosen_layers(200)) == [1, *range(10, 201, 10)]
    assert list(chosen_layers(3)) == [1, 2, 3]
    for depth in range(1, 500):
        assert len(chosen_layers(depth)) <= 21


# ---- elsewhere


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    p = propagation(rows(3, 4, dead=1), first=10)
    frame = p.to_pandas()
    assert len(frame) == 12
    assert list(frame.trial.unique()) == [10, 11, 12]
    row = frame[(frame.trial == 11) & (frame.layer == 3)].iloc[0]
    assert row.log_preactivation == p.rows.log_preactivation[1, 2]
    assert row.saturated == p.rows.saturated[1, 2]
    dead = frame[frame.dead]
    assert list(dead.layer) == [3, 4]
    assert dead.log_activation.isna().all()
    assert not np.isinf(frame.select_dtypes("number")).any().any()


def test_to_pandas_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install .*varprop\[pandas\]"):
        propagation().to_pandas()


def test_results_load_nothing_heavy() -> None:
    code = (
        "import sys, varprop.propagation, varprop.storage, varprop.summary, varprop.merge\n"
        "print(sorted({'sympy','scipy','matplotlib','rich','pandas','click'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_propagation_is_hashable_by_nobody() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(propagation())
    assert isinstance(propagation(), Propagation)


def test_callables_of_one_name_but_other_values_do_not_merge(tmp_path):
    import varprop

    def run(act, first):
        return varprop.simulate(depth=2, width=9, act=act, trials=3, first_trial=first)

    def of(f, slope):
        return varprop.Activation.from_callable(f, slope, "mine")

    tanh = of(np.tanh, lambda x: 1 / np.cosh(x) ** 2)
    run(tanh, 0).save(tmp_path / "a")
    run(of(np.sin, np.cos), 3).save(tmp_path / "b")
    a, b = varprop.load(tmp_path / "a"), varprop.load(tmp_path / "b")
    with pytest.raises(ValueError, match="network"):
        _ = a + b
    assert (a + run(tanh, 3)).trials == 6
