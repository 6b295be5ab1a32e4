"""Whether what was made by an earlier build can stay."""

from __future__ import annotations

from pathlib import Path

import varprop


def newer_than_the_package(made: Path) -> bool:
    """Whether a file is newer than every Python file it may have been made by."""
    if not made.exists():
        return False
    package = Path(varprop.__file__).parent
    sources = [*package.rglob("*.py"), *(package / "theory").rglob("*.py")]
    return max(path.stat().st_mtime for path in sources) < made.stat().st_mtime


def rewrite(page: Path, text: str) -> None:
    """Write a page, unless it says so already: then Sphinx need not read it again."""
    if not page.exists() or page.read_text() != text:
        page.write_text(text)
