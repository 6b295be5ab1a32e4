"""README and documentation: every code block runs and prints what stands below it.

`blocks` says what may stand in a page and how it is run.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from blocks import blocks, failures
from effort import LONG

from varprop.theory.derivations import NAMES

TREE = Path(__file__).parents[1]
DOCS = TREE / "docs"
# Written when the site is built, by what is listed here; nothing of it is in the repository.
MADE = (
    "docs/_build/",
    "docs/explanation/derivations/",
    "docs/gallery/",
    "docs/reference/api/",
    "docs/reference/commands.md",
)


def pages() -> list[str]:
    """All Markdown of the repository that people read, by its path."""
    found = [*TREE.glob("*.md"), *DOCS.rglob("*.md"), *(TREE / "data").glob("*.md")]
    names = sorted(path.relative_to(TREE).as_posix() for path in found)
    return [name for name in names if not name.startswith(MADE)]


RUNNABLE = [name for name in pages() if any(True for _ in blocks((TREE / name).read_text()))]
LONG_PAGES = [n for n in RUNNABLE if any(b.how == "long" for b in blocks((TREE / n).read_text()))]


@pytest.mark.parametrize("name", RUNNABLE)
def test_examples_and_commands(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert failures(Path(name), (TREE / name).read_text(), long=False) == []


def test_files_and_figures_named_are_there():
    derived = {f"docs/explanation/derivations/{name}.md" for name in ("index", *NAMES)}
    built = derived | {"docs/gallery/index.rst", "docs/reference/commands.md"}
    for name in pages():
        text = re.sub(r"(?s)^```.*?^```$", "", (TREE / name).read_text(), flags=re.MULTILINE)
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if not re.match(r"https?://|mailto:", link):
                target = Path(os.path.normpath((TREE / name).parent / link))
                path = target.relative_to(TREE).as_posix()
                assert target.exists() or path in built, f"{name} names {link}"


@pytest.mark.skipif(not LONG, reason="make verify runs the long ones")
@pytest.mark.parametrize("name", LONG_PAGES)
def test_long_examples_too(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert failures(Path(name), (TREE / name).read_text(), long=True) == []


RIGHT = """
```pycon
>>> from varprop import schemes
>>> n = 3
```

Then:

<!-- not run: it would fail -->
```python
1 / 0
```

:::{note}
```pycon
>>> n + 1
4
>>> print("a\\n\\nb")
a

b
```
:::

```console
$ varprop --version
varprop ...
$ varprop \\
    --version
varprop ...
```

```sh
varprop --version  # prints it
```
"""


def test_a_page_that_says_what_is_printed():
    assert failures(Path("page.md"), RIGHT, long=True) == []


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("\n4\n", "\n5\n", 15),  # another number
        ("a\n\nb", "a\nb", 15),  # an empty line too few
        ("varprop ...\n```", "varprop\n```", 25),  # the second command of a block
        ("\nvarprop --version  #", "\nvarprop --versions  #", 33),  # no such option
        ("\nvarprop --version  #", "\nls  #", 33),  # another program
        ("$ varprop --version\n", "varprop --version\n", 25),  # no prompt
        ("```python", "```python\n", 0),  # only declared, so still not run
        ("<!-- not run: it would fail -->", "<!-- it would fail -->", 10),
        ("<!-- not run: it would fail -->", "<!-- long: it would fail -->", 10),
    ],
)
def test_a_page_that_does_not(right, wrong, line):
    assert RIGHT.count(right) == 1
    found = failures(Path("page.md"), RIGHT.replace(right, wrong), long=True)
    assert [re.findall(r"^page.md, line (\d+): ", told) for told in found] == (
        [[str(line)]] if line else []
    )


@pytest.mark.parametrize("language", ["{code-block} python", "{code}", "Python", "bash"])
def test_code_that_would_not_be_run_is_refused(language):
    with pytest.raises(ValueError, match=r"line 1"):
        list(blocks(f"```{language}\n1 / 0\n```\n"))
