"""Hostile values to every public function: the short form of verify/inputs.py."""

from __future__ import annotations

import pytest

from verify import inputs

STEP = 9  # each argument meets a ninth of the values, another ninth than its neighbour


@pytest.mark.parametrize("name", inputs.FUNCTIONS)
def test_bad_input_is_refused_in_words(name: str) -> None:
    _, right, optional = inputs.FUNCTIONS[name]
    values = list(inputs.HOSTILE.values())
    for number, argument in enumerate((*right, *optional)):
        for value in values[number % STEP :: STEP]:
            assert inputs.outcome(name, {argument: value}) in ("worked", "refused", "interrupted")


@pytest.mark.parametrize("name", ["Network", "Scheme", "LayerStatistic", "theory.predict"])
def test_several_bad_arguments_at_once(name: str) -> None:
    assert inputs.several(name, 40) >= 1


def test_a_fault_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inputs.FUNCTIONS, "Network", (lambda **_: {}[0], {"depth": 2}, ()))
    with pytest.raises(AssertionError, match="KeyError"):
        inputs.outcome("Network", {"depth": 3})
