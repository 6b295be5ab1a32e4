"""Contenders in processes of their own, that can take turns with ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
# `make bench-peers` puts them there, a folder for each file of benchmarks/environments
PEERS = HERE.parent / ".peers"


class ContenderFailed(RuntimeError):
    """A contender raised; the message is what it said."""


def python_of(environment: str | None) -> Path | None:
    """The interpreter of an environment; None where it has not been made."""
    if environment is None:
        return Path(sys.executable)
    path = PEERS / environment / "bin" / "python"
    return path if path.exists() else None


class Worker:
    """A process that holds contenders; `make` gives a callable that runs one there.

    Between its turns it is stopped: threads of OpenMP and of a BLAS go on waiting for work, busily,
    for a tenth of a second, at the cost of whoever is next.
    """

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "worker.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        self._process.send_signal(signal.SIGSTOP)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        self._process.send_signal(signal.SIGSTOP)
        if not line:
            raise ContenderFailed(f"the process ended with code {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ContenderFailed(reply["error"].strip().splitlines()[-1])
        return reply

    def make(self, module: str, function: str, **arguments: Any) -> Remote:
        return Remote(self, self.ask(make=[module, function, arguments])["made"])

    def packages(self, module: str) -> dict[str, str]:
        """Versions of what a contender's module says it is of; none for ours."""
        versions: dict[str, str] = self.ask(versions=module)["versions"]
        return versions

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.send_signal(signal.SIGCONT)
        self._process.wait()
        self._process.stdout.close()


class Remote:
    """A contender in a worker; calling it waits until it has run."""

    def __init__(self, worker: Worker, number: int) -> None:
        self._worker, self._number = worker, number

    def __call__(self) -> None:
        self._worker.ask(call=self._number, value=False)

    def seconds(self, times: int) -> float:
        """A call's time by the worker's own clock, mean of so many in a row."""
        taken = self._worker.ask(call=self._number, value=False, times=times)["seconds"]
        return float(taken) / times

    def value(self) -> Any:
        """What one run returns."""
        return self._worker.ask(call=self._number, value=True)["value"]
