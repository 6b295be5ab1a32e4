"""Theory: error against 30 digits, and time, of the maps at K = 0.01, 1, 10, 100."""

from __future__ import annotations

from typing import Any

import truth
from contestants import Arena, Contender
from mpmath import mp, mpf
from workers import Remote

MANY = [0.01 * 10 ** (i / 2500) for i in range(10_000)]
RHO = float(truth.RHO)


def _nt(degree: int | None) -> Contender:
    name = "closed" if degree is None else f"degree {degree}"
    return Contender(
        f"neural-tangents, {name}", "contenders.maps_neural_tangents",
        environment="neural-tangents", options={"degree": degree},
    )  # fmt: skip


OURS = Contender("varprop", "contenders.maps_varprop")
CLOSED = ("relu", "gelu", "erf")  # by neural-tangents
# who, which maps, of which activations (None: all)
WHO = (
    (OURS, truth.MAPS, None),
    (_nt(25), truth.MAPS, None),
    (_nt(100), truth.MAPS, None),
    (_nt(None), truth.MAPS, CLOSED),
    (Contender("AnyInit", "contenders.maps_anyinit", environment="maps"), ("variance",), None),
    (Contender("dks", "contenders.maps_dks", environment="maps"), ("variance", "gradient"), None),
    (Contender("SciPy quad", "contenders.maps_scipy"), ("variance", "gradient"), None),
)
QUICK_ACTS = ("tanh",)
PORTION = 0.03  # seconds that a timed call shall take


def run(quick: bool) -> dict[str, Any]:
    values = truth.truths()
    acts = QUICK_ACTS if quick else tuple(truth.ACTIVATIONS)
    with Arena() as arena:
        errors: dict[str, Any] = {}
        times: dict[str, Any] = {}
        for name in truth.MAPS:
            for act in acts:
                works = _works(arena, name, act)
                key = f"{name}, {act}"
                found = {who: work.value() for who, work in works.items()}
                errors[key] = {who: _worst(v, values[name][act]) for who, v in found.items()}
                times[key] = _times(works, 3 if quick else 9)
        for act in ("tanh", "gelu"):
            times[f"variance of 10^4 values, {act}"] = _times(_many(arena, act), 3 if quick else 9)
        return {
            "errors": errors, "times": times, "failed": arena.failed, "versions": arena.versions,
        }  # fmt: skip


def _works(arena: Arena, name: str, act: str) -> dict[str, Remote]:
    found = {}
    more = {"rho": RHO} if name == "correlation" else {}
    for who, maps, only in WHO:
        if name not in maps or (only is not None and act not in only):
            continue
        work = arena.make(who, name, act=act, ks=[float(k) for k in truth.KS], **more)
        if work is not None and arena.runs(f"{who.name}, {name} of {act}", work):
            found[who.name] = work
    return found


def _many(arena: Arena, act: str) -> dict[str, Remote]:
    """The variance map of 10^4 values of K, also with nothing tabulated yet."""
    works = {}
    for who in (OURS, _nt(25), *([_nt(None)] if act in CLOSED else [])):
        works[who.name] = arena.make(who, "variance", act=act, ks=MANY)
    works["varprop, first call"] = arena.make(OURS, "forget", act=act, ks=MANY)
    return {who: work for who, work in works.items() if work is not None}


def _times(works: dict[str, Remote], turns: int) -> dict[str, list[float]]:
    """Seconds a call, contenders in turns, each repeated until its clock has something to read."""
    repeats = {who: max(1, int(PORTION / work.seconds(1))) for who, work in works.items()}
    times: dict[str, list[float]] = {who: [] for who in works}
    for _ in range(turns):
        for who, work in works.items():
            times[who].append(work.seconds(repeats[who]))
    return times


def _worst(found: list[float], expected: list[str]) -> float:
    """Largest relative error over K."""
    with mp.workdps(truth.DIGITS):
        return max(
            float(abs(mpf(float(a)) / mpf(b) - 1)) for a, b in zip(found, expected, strict=True)
        )
