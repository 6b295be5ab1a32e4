"""Up and back, two inputs, 64 inputs, uniform and orthogonal weights, singular values."""

from __future__ import annotations

from typing import Any

from contestants import Arena

from varprop.bench.tasks import MORE

LONG = ("orthogonal_weights", "spectrum")  # QR and SVD of drawn matrices take long


def run(quick: bool) -> dict[str, Any]:
    with Arena() as arena:
        tasks = [task for task in MORE if not (quick and task.name in LONG)]
        times = {task.name: arena.race(task, 2 if quick else 9) for task in tasks}
        return {"times": times, "failed": arena.failed, "versions": arena.versions}
