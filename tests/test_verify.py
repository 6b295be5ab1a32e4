"""Short forms of the campaigns in verify/, and that their tables still fit the sources."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from budget import Share

from varprop._core import kernels
from verify import fuzz, normals, streams
from verify.mutants import every
from verify.mutants.__main__ import require_anchor

HERE = Path(__file__).parent
_CHUNKS = 12  # so that 65536 cells have ten words each, and are looked at


def test_every_fault_has_its_place_in_the_sources() -> None:
    mutants = every()
    assert len(mutants) >= 60
    for one in mutants:
        require_anchor(one)
        assert one.old != one.new


def test_the_tests_that_must_see_a_fault_are_there() -> None:
    for one in every():
        files, _, wanted = one.tests.partition(":")
        texts = [(HERE / f"test_{name}.py").read_text("utf-8") for name in files.split()]
        for word in set(wanted.split()) - {"and", "or", "not"}:
            assert any(word.strip("()") in text for text in texts), (one.tests, word)


def test_no_attack_is_executed_or_endless() -> None:
    assert len(fuzz.attacks()) > 150
    for name in fuzz.NAMES:
        counts = fuzz.blindly(name, runs=400)
        assert sum(counts.values()) >= 400


def test_the_fuzzer_sees_what_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    from verify import fuzz_targets

    monkeypatch.setattr(fuzz_targets, "parse", lambda text: {}[text])
    with pytest.raises(RuntimeError, match=r"formula: .*KeyError"):
        fuzz.blindly("formula", runs=1)


@pytest.fixture(scope="module")
def share() -> Share:
    return Share("random_words")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return streams.compiled(tmp_path_factory.mktemp("words"))


@pytest.mark.parametrize("name", streams.LAYOUTS)
def test_words_of_every_layout(name: str, program: Path, share: Share) -> None:
    tests = streams.counted(streams.LAYOUTS[name], _CHUNKS * streams.CHUNK, program, processes=2)
    assert tests.words == _CHUNKS * streams.CHUNK
    for what, p_value in tests.p_values().items():
        share.check(f"{name}: {what}", p_value)
    again = streams.Tests()
    for chunk in itertools.islice(streams.LAYOUTS[name].chunks(), _CHUNKS):
        again.add(chunk)
    for counts in ("bytes", "ones", "following"):
        np.testing.assert_array_equal(getattr(tests, counts), getattr(again, counts))


def test_streams_of_a_layout_begin_again_with_the_next_trial() -> None:
    first = next(streams.LAYOUTS["purposes"].chunks()).reshape(64, -1)
    for number in (0, 6, 7, 700):
        purpose = list(kernels.PURPOSES)[number % 7]
        expected = kernels.words(7, number // 7, 1, purpose, 0, 64)
        np.testing.assert_array_equal(first[:, number], expected)


@pytest.mark.parametrize("law", normals.LAWS)
def test_moments_and_tails(law: str, share: Share) -> None:
    for name, p_value in normals.p_values(law, 1_000_000).items():
        share.check(f"{law}: {name}", p_value)


@pytest.mark.parametrize(
    "fault", ["a bit is stuck", "a stream twice", "a lane twice", "a lost bit"]
)
def test_bad_words_are_seen(fault: str) -> None:
    tests = streams.Tests()
    for number, chunk in enumerate(streams.LAYOUTS["one stream"].chunks()):
        words = chunk.copy()
        if fault == "a bit is stuck":
            words[::50] |= np.uint64(1 << 17)
        elif fault == "a stream twice":
            words[1000:1064] = words[936:1000]
        elif fault == "a lane twice":
            words[8::64] = words[::64]
        else:
            words[::20] = words[::20] >> np.uint64(1)
        tests.add(words)
        if number == 9:
            break
    assert min(tests.p_values().values()) < 1e-9
