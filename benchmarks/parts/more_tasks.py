"""A table for each of the other tasks."""

from __future__ import annotations

import tables
from contestants import MATRIX_FREE

from varprop.bench.tasks import MORE

from . import Records

NOTES = {
    "both_ways": "One network and a random gradient back through the same weights. PyTorch and JAX "
    "do so by automatic differentiation.",
    "pair": "Two inputs, through the same weights.",
    "batch": "64 inputs. Drawing the weights is shared among them, so this is where drawn matrices "
    "lose least.",
    "uniform_weights": "No shortcut is exact here: every weight is drawn.",
    "orthogonal_weights": "Haar-distributed matrices; drawn ones need a QR decomposition each.",
    "spectrum": "varprop finds every singular value to all its digits; the others multiply the "
    "matrices and take the SVD, which loses the values below 1e-16 of the largest (1e-7 in single "
    "precision).",
}


def ours(task: str) -> str:
    """Who is compared with in this task."""
    return {"uniform_weights": "varprop, dense", "spectrum": "varprop, spectrum"}.get(
        task, MATRIX_FREE
    )


def write(records: Records) -> str:
    record = records.get("more_tasks")
    if record is None:
        return ""
    parts = ["## More than one input, one way, one law"]
    for task in MORE:
        if task.name not in record["times"]:
            continue
        title = task.title[0].upper() + task.title[1:]
        layers = f"width {task.width}, depth {task.layers}"
        parts += [
            f"### {title}",
            f"{NOTES[task.name]} Time is for {layers}.",
            tables.race(record["times"][task.name], ours(task.name)),
        ]
    return "\n\n".join(parts)
