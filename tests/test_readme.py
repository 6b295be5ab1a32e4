"""README: what it names is there. (test_docs runs its examples.)"""

import re
from pathlib import Path

import varprop

TREE = Path(__file__).parents[1]
README = TREE / "README.md"


def test_targets_named_exist():
    text = README.read_text()
    makefile = (TREE / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_numbers_in_the_text():
    q = varprop.simulate(depth=200, act="relu", scheme="he").preactivation
    assert f"below {q.median[-1]:.1f} at the end" in text_in_one_line()
    assert f"a tenth above {q.quantile(0.9)[-1]:.1f}" in text_in_one_line()


def text_in_one_line() -> str:
    return " ".join(README.read_text().split())
