"""Processes and threads around the engines: see verify/processes.py, whose short form this is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from verify import processes


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return processes.some_digests()


CHILD = """
import warnings
warnings.simplefilter("ignore")
from verify import processes
expected = processes.some_digests()
assert all(found == expected for found in {call})
"""


@pytest.mark.parametrize(
    "call",
    [
        "processes.in_processes('fork', 2, processes.some_digests)",
        "processes.forked_while_busy(processes.some_digests)",
        "processes.in_processes('forkserver', 1, processes.some_digests)",
        "processes.in_processes('spawn', 1, processes.some_digests)",
    ],
)
def test_children_give_the_same_bits_and_never_hang(call: str) -> None:
    """In a process of its own: pytest's must not be forked with threads in it."""
    code = f"if __name__ == '__main__':{CHILD.format(call=call)}".replace("\n", "\n    ")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_many_threads_at_once(expected: dict[str, str]) -> None:
    assert all(found == expected for found in processes.in_threads(6, processes.some_digests))


def test_a_simulation_inside_the_activation_of_another(expected: dict[str, str]) -> None:
    assert expected
    assert processes.nested()
