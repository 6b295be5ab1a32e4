"""How the last run compares with the one before it on the same kind of machine."""

from __future__ import annotations

import history

from . import Records

TEXT = """
## Once more

In the run before, of {date}, on the same kind of machine, {same} of {all} ratios of NumPy's time to
varprop's had their median between the smallest and the largest value of this run{others}. `make
bench-check` fails when one falls by more than 15 % beyond its spread.
"""


def write(records: Records) -> str:
    runs = history.read()
    if not runs or not (before := history.comparable(runs)):
        return ""
    last, earlier = runs[-1], before[-1]
    moved = history.outside(last, earlier)
    rows = [
        f"{name.replace('_', ' ')} {earlier['ratios'][name]['median']:,.4g} "
        f"(now {last['ratios'][name]['median']:,.4g})"
        for name in moved
    ]
    others = f"; the others: {', '.join(rows)}" if rows else ""
    common = len(last["ratios"].keys() & earlier["ratios"].keys())
    return TEXT.format(date=earlier["date"], same=common - len(moved), all=common, others=others)
