"""Optional parts that are missing: one sentence on stderr, which says what to install."""

from __future__ import annotations

import importlib
import sys

import pytest
from torch_models import mlp, rows

from varprop.cli import main

DOCUMENTS = 'documents in this format need an extra: pip install "varprop[documents]"'


@pytest.mark.parametrize(
    ("package", "arguments", "told"),
    [
        ("pypandoc", "derive relu -o relu.html", DOCUMENTS),
        ("pypandoc", "derive relu -o relu.tex", DOCUMENTS),
        ("pypandoc", "derive --all -o pages", DOCUMENTS),
        ("typst", "derive relu -o relu.pdf", DOCUMENTS),
        ("zarr", "sweep --depth 3 --store a", 'sweeps need zarr: pip install "varprop[sweep]"'),
        ("xarray", "sweep --depth 3 --store a", 'sweeps need xarray: pip install "varprop[sweep]"'),
        ("dask", "sweep --depth 3 --store a", 'sweeps need dask: pip install "varprop[sweep]"'),
        (
            "distributed",
            "sweep --depth 3 --store a --dask tcp://here:1",
            'sweeps need distributed: pip install "varprop[sweep]"',
        ),
    ],
)
def test_a_command_says_it_in_one_sentence(package, arguments, told, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments.split()) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"varprop: error: {told}\n")
    assert list(tmp_path.iterdir()) == []


def test_models_need_pytorch(monkeypatch):
    monkeypatch.delitem(sys.modules, "varprop.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("varprop.torch")
    assert str(caught.value) == 'varprop.torch needs PyTorch: pip install "varprop[torch]"'


def test_a_report_as_a_frame_needs_pandas(monkeypatch):
    from varprop.torch import trace

    report = trace(mlp(depth=2), rows(), draws=2)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as caught:
        report.to_pandas()
    assert str(caught.value) == 'to_pandas() needs pandas: pip install "varprop[pandas]"'
