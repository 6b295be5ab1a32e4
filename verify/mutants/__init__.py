"""Faults to be planted, one at a time, and the ordinary tests that must see each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes
    ----------
    file : str
        In the tree.
    old, new : str
        A text that is in the file exactly once, and what stands in its place.
    tests : str
        Files in tests/, without "test_" and ".py"; after a colon pytest's -k.
    """

    file: str
    old: str
    new: str
    tests: str

    @property
    def compiled(self) -> bool:
        """Whether the engines must be built again."""
        return "/_core/" in self.file and not self.file.endswith(".py")


def every() -> list[Mutant]:
    """All of them, in the order of their tables."""
    from . import of_c, of_cython, of_numpy, of_theory

    return [*of_c.MUTANTS, *of_cython.MUTANTS, *of_numpy.MUTANTS, *of_theory.MUTANTS]
