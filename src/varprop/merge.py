"""Merging results of the same simulation for different trials."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .propagation import Propagation, Rows

# Whatever else differs would change the numbers, or their meaning.
_SAME = (
    "version",
    "network",
    "seed",
    "engine",
    "input_label",
    "input_mean_square_log",
    "saturated_below",
    "cotangent_label",
)


def merge(left: Propagation, right: Propagation) -> Propagation:
    """Merge two results into the one that a single run of all their trials gives.

    Parameters
    ----------
    left, right : Propagation
        Results of disjoint trials of the same network, seed, engine, input, `saturated_below`
        and version of varprop.

    Returns
    -------
    Propagation
        With rows in the order of the trial numbers and adjoining ranges joined.

    Raises
    ------
    ValueError
        When trials overlap or anything else differs; names it, with both values.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=2, width=9, trials=3)
    >>> merge(p, varprop.simulate(depth=2, width=9, trials=2, first_trial=3)).ranges
    ((0, 5),)
    >>> merge(p, p)
    Traceback (most recent call last):
    ValueError: can't merge: trials 0 to 2 are in both (trials 0-2 and trials 0-2)
    """
    for name in _SAME:
        ours, theirs = getattr(left, name), getattr(right, name)
        if ours != theirs:
            raise ValueError(f"can't merge: {name} differs: {ours!r} and {theirs!r}")
    _require_same_measures(left, right)
    ranges = sorted(left.ranges + right.ranges)
    for (_, stop), (first, next_stop) in pairwise(ranges):
        if first < stop:
            raise ValueError(
                f"can't merge: trials {first} to {min(stop, next_stop) - 1} are in both "
                f"({describe_ranges(left.ranges)} and {describe_ranges(right.ranges)})"
            )
    order = np.argsort(np.concatenate([left.trial_numbers, right.trial_numbers]))
    rows = Rows(
        **{
            name: np.concatenate([getattr(left.rows, name), getattr(right.rows, name)])[order]
            for name in left.rows.names
        }
    )
    histogram = left.histogram
    if histogram is not None and right.histogram is not None:
        histogram += right.histogram
    spectrum = left.spectrum
    if spectrum is not None and right.spectrum is not None:
        spectrum += right.spectrum
    keys = dict.fromkeys((*left.provenance, *right.provenance))
    provenance = {
        key: " and ".join(
            dict.fromkeys(p.provenance[key] for p in (left, right) if key in p.provenance)
        )
        for key in keys
    }
    return Propagation(
        rows=rows,
        ranges=joined(ranges),
        provenance=provenance,
        histogram=histogram,
        spectrum=spectrum,
        **{name: getattr(left, name) for name in _SAME},
    )


def _require_same_measures(left: Propagation, right: Propagation) -> None:
    """That both measured the same of every trial."""
    differ = set(left.rows.names) ^ set(right.rows.names)
    if "log_gradient" in differ:
        raise ValueError("can't merge: one of them has gradients (backward=True), the other none")
    if differ:
        raise ValueError(
            f"can't merge: one of them has {' and '.join(sorted(differ))}, the other none"
        )
    for name in left.rows.names:
        ours, theirs = (np.shape(getattr(p.rows, name))[1:] for p in (left, right))
        if ours != theirs:
            raise ValueError(
                f"can't merge: {name} has the shape {ours} in a trial of one, {theirs} of the other"
            )
    for what in ("histogram", "spectrum"):
        if (getattr(left, what) is None) != (getattr(right, what) is None):
            raise ValueError(f"can't merge: one of them has a {what}, the other none")


def describe_ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    """Say which trials these are, for people.

    Examples
    --------
    >>> describe_ranges(((0, 100), (300, 301)))
    'trials 0-99, 300'
    >>> describe_ranges(((7, 8),))
    'trial 7'
    """
    noun = "trial" if len(ranges) == 1 and ranges[0][1] - ranges[0][0] == 1 else "trials"
    spans = [f"{a}" if b - a == 1 else f"{a}-{b - 1}" for a, b in ranges]
    if len(spans) > 4:
        spans = [*spans[:2], "...", spans[-1]]
    return f"{noun} {', '.join(spans)}"


def joined(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Adjoining ranges as one."""
    result = [ranges[0]]
    for first, stop in ranges[1:]:
        if first == result[-1][1]:
            result[-1] = (result[-1][0], stop)
        else:
            result.append((first, stop))
    return tuple(result)
