"""Up and back, two inputs, 64 inputs, uniform and orthogonal weights, singular values."""

from __future__ import annotations

from typing import Any

from contestants import Arena

from varprop.bench.tasks import MORE


def run(quick: bool) -> dict[str, Any]:
    with Arena() as arena:
        times = {task.name: arena.race(task, 3 if quick else 5) for task in MORE}
        return {"times": times, "failed": arena.failed, "versions": arena.versions}
