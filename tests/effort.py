"""How much a statistical test draws: enough for every change, or `make verify`'s long form."""

from __future__ import annotations

import os

LONG = "VARPROP_LONG" in os.environ


def draws(short: int, long: int) -> int:
    """The first number, or the second where VARPROP_LONG is set."""
    return long if LONG else short
