"""A property computed once for each object; without a lock in any Python.

Before Python 3.12 functools' own has a lock that all objects of a class share, so that threads wait
for each other, and a child forked while a thread computes the property waits for it for ever.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:
    T = TypeVar("T")

    class cached_property(functools.cached_property[T]):
        """Two threads that come at once both compute it."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            assert self.attrname is not None
            value = self.func(instance)
            instance.__dict__[self.attrname] = value  # where it is found before this is
            return value


__all__ = ["cached_property"]
