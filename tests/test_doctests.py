"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import varprop
import varprop.theory
import varprop.torch


def modules() -> list[str]:
    """All Python modules of the package, compiled ones left out."""
    found = ["varprop"]
    for info in pkgutil.walk_packages(varprop.__path__, "varprop."):
        if not info.name.startswith("varprop._core.") and info.name != "varprop.__main__":
            found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules())
def test_examples(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert results.failed == 0


def test_every_public_callable_has_an_example():
    for module in (varprop, varprop.theory, varprop.torch):
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing) and not (isinstance(thing, type) and issubclass(thing, Exception)):
                assert ">>> " in (thing.__doc__ or ""), f"{module.__name__}.{name}"
