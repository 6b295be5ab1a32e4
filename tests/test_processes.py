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


WAITING = """
import os, threading
from varprop._cached import cached_property

inside, forked = threading.Event(), threading.Event()

class Slow:
    def __init__(self, wait):
        self.wait = wait

    @cached_property
    def value(self):
        if self.wait:
            inside.set()
            forked.wait()
        return 7

worker = threading.Thread(target=lambda: Slow(True).value)
worker.start()
inside.wait()
child = os.fork()
if not child:
    quick = Slow(False)
    os._exit(quick.value + (quick.__dict__ == {"wait": False, "value": 7}))
_, status = os.waitpid(child, 0)
forked.set()
worker.join()
print(os.waitstatus_to_exitcode(status))
"""


def test_a_fork_while_a_property_is_computed() -> None:
    """The functools of Python 3.11 held a lock there that nobody gave back in the child."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WAITING], capture_output=True, timeout=60, check=True
    )
    assert run.stdout.strip() == b"8"


def test_many_threads_at_once(expected: dict[str, str]) -> None:
    assert all(found == expected for found in processes.in_threads(6, processes.some_digests))


def test_a_simulation_inside_the_activation_of_another(expected: dict[str, str]) -> None:
    assert expected
    assert processes.nested()
