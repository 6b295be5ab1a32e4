"""Documents: every format, the same bytes each time, pictures with simulated points, an index."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import sympy
from pages import Page

import varprop
from varprop import Network, derivation_figure, theory
from varprop.theory import CheckError, derivations, derive, formats, variance_map
from varprop.theory.document import file_stem, power_of_ten
from varprop.theory.figure import Curve, Figure, Overlay
from varprop.theory.formats import FORMATS
from varprop.theory.latex import equation, latex

K = sympy.Symbol("K", positive=True)
LINE = Curve.of("$K/2$", [1.0, 2.0], [0.5, 1.0])
POINTS = Overlay("simulated", (Network(4, width=60, act="relu"),), trials=30)
FIGURE = Figure("decay", "By depth:", "layer $l$", "$q$", (LINE,), (POINTS,))
FORMULA = "x*cos(x)"


@pytest.fixture(scope="module")
def pictured():
    """A derivation with a figure."""
    return dataclasses.replace(derive("relu"), figures=(FIGURE,))


# --- Markdown -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [d.name for d in derivations()] + [FORMULA])
def test_markdown(name):
    derivation = derive(name)
    text = derivation.markdown()
    assert text.startswith(f"# {derivation.title}\n")
    for heading in ("Why one would care", "What is assumed", "In numbers", "Sources"):
        assert f"\n## {heading}\n" in text
    equations = len(derivation.steps) + 1
    assert text.count("$$\n") == 2 * equations
    assert (
        len(re.findall(r"^\*(Proved symbolically|Confirmed to .*)\.\*$", text, re.M)) == equations
    )
    assert text.count("$") % 2 == 0
    assert text.count("{") == text.count("}")
    assert not re.search(r"\$ | nan|\binf\b|zoo", re.sub(r"(?s)\$[^$]*\$", "", text))
    for package in ("SymPy", "mpmath", "NumPy", f"varprop {varprop.__version__}"):
        assert package in text.splitlines()[-1]
    assert text == derive(name).markdown() == derivation._repr_markdown_()


def test_each_document_names_the_command_that_makes_it(tmp_path, pictured):
    for suffix in FORMATS:
        if suffix != "pdf":
            pictured.write(tmp_path / f"a.{suffix}")
            text = (tmp_path / f"a.{suffix}").read_text(encoding="utf-8").replace("\\ ", " ")
            assert f"varprop derive relu -o relu.{suffix}" in text
    assert "`varprop derive 'x*cos(x)' -o x-cos-x.md`" in derive(FORMULA).markdown()
    assert file_stem("leaky_relu(0.2)") == "leaky_relu-0.2"


def test_a_wrong_step_is_never_written(tmp_path):
    right = derive("linear")
    wrong = dataclasses.replace(right, result=dataclasses.replace(right.result, right=K))
    for suffix in FORMATS:
        with pytest.raises(CheckError, match="'The result'"):
            wrong.write(tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []


def cells(text, label):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_numbers_in_the_documents():
    relu = derive("relu").markdown()
    assert cells(relu, "$2/n$ (`he`)") == ["$1$", "$1$", "$1$"]
    exact = [power_of_ten(-depth * math.log(2)) for depth in (10, 50, 200)]
    assert cells(relu, "$1/n$") == exact
    assert exact[2] == r"$6.22\times 10^{-61}$"
    linear = derive("linear").markdown()
    assert cells(linear, "variance $1/n$") == ["$1$"] * 4
    assert cells(linear, r"variance $1/\sqrt n$")[1:] == ["$10^{15}$", "$10^{75}$", "$10^{300}$"]
    thirds = [power_of_ten(-depth * math.log(3)) for depth in (1, 10, 50, 200)]
    assert cells(linear, r"range $\pm 1/\sqrt n$") == thirds


def test_power_of_ten():
    for value in (1.0, 2.5, 0.001, 999.0, 1e-4, 1e5, 9.999e7, 3.14159e-300):
        text = power_of_ten(float(np.log(value))).strip("$").replace(r"\times 10^", "e")
        number = float(re.sub(r"^10\^", "1e", text).replace("{", "").replace("}", ""))
        assert number == pytest.approx(value, rel=6e-3)
    assert power_of_ten(-math.inf) == "$0$"
    assert power_of_ten(-5000.0) == r"$3.37\times 10^{-2172}$"


def test_equations_are_broken_where_a_line_would_be_too_long():
    short = equation(K**2, K + 1)
    assert short == "K^{2} = K + 1"
    long = sum((K**j / sympy.prime(j + 9) for j in range(16)), sympy.Integer(0))
    text = equation(sympy.sin(K), long, rest=r" + O\left(K^{16}\right)")
    assert text.startswith("\\begin{aligned}\n")
    assert text.endswith(" + O\\left(K^{16}\\right)\n\\end{aligned}")
    # Nothing is lost, and powers rise.
    powers = [int(p) for p in re.findall(r"K\^\{(\d+)\}\}", text)]
    assert powers == list(range(2, 16))
    assert latex(sympy.Subs(K**2, K, 3 / K)) == r"\left. K^{2} \right|_{K = 3/K}"
    minus = equation(K, -1 - K)
    assert minus.replace(" ", "") == "K=-K-1"


# --- other formats ------------------------------------------------------------------------------


def test_html_is_one_page_that_needs_nothing_else(tmp_path, pictured):
    pictured.write(tmp_path / "relu.html", draw=derivation_figure.paint)
    text = (tmp_path / "relu.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("math") > 40
    assert page.tags.count("table") == len(pictured.tables)
    assert page.tags.count("img") == 1
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    assert "<title>ReLU's factor of 2</title>" in text.replace("&#x27;", "'")
    assert "$" not in re.sub(r"(?s)<style>.*?</style>", "", text)
    assert "prefers-color-scheme: dark" in text
    assert os.listdir(tmp_path) == ["relu.html"]


def test_latex_is_whole(tmp_path, pictured):
    pictured.write(tmp_path / "relu.tex", draw=derivation_figure.paint)
    text = (tmp_path / "relu.tex").read_text(encoding="utf-8")
    begun, ended = (re.findall(rf"\\{word}{{(\w+\*?)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert text.count("{") == text.count("}")
    assert (tmp_path / "relu_files" / "decay.pdf").read_bytes().startswith(b"%PDF")
    assert "{relu_files/decay.pdf}" in text
    assert "\\section{ReLU" in text


def test_notebooks_are_valid_and_run(tmp_path, pictured):
    path = tmp_path / "relu.ipynb"
    pictured.write(path, draw=derivation_figure.paint)
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert len({cell["id"] for cell in book.cells}) == len(book.cells)
    code = [cell["source"] for cell in book.cells if cell["cell_type"] == "code"]
    assert len(code) == 2
    scope: dict[str, object] = {}
    exec(code[0].replace("\nderivation.check()", "\noutcome = derivation.check()"), scope)
    assert set(scope["outcome"]) == {"proved"}
    (picture,) = (cell for cell in book.cells if cell.get("attachments"))
    assert "attachment:decay.png" in picture["source"]
    assert "".join(c["source"] for c in book.cells).count("$$") == 2 * (len(pictured.steps) + 1)


def test_pdf(tmp_path, pictured):
    pictured.write(tmp_path / "relu.pdf", draw=derivation_figure.paint)
    made = (tmp_path / "relu.pdf").read_bytes()
    assert made.startswith(b"%PDF-1.")
    assert b"/Type /Page" in made.replace(b"/Type/Page", b"/Type /Page")
    assert b"CreationDate" not in made


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_bytes_each_time(tmp_path, pictured, suffix):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        pictured.write(folder / f"relu.{suffix}", draw=derivation_figure.paint)
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_without_a_painter_there_are_no_pictures(tmp_path, pictured):
    pictured.write(tmp_path / "relu.md")
    assert "![" not in (tmp_path / "relu.md").read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == ["relu.md"]


# --- what can't be written ----------------------------------------------------------------------


def test_bad_places_are_found_before_the_work(tmp_path, monkeypatch):
    def work(*_, **__):
        raise AssertionError("worked")

    monkeypatch.setattr(formats.document, "markdown", work)
    derivation = derive("relu")
    for name in ("relu", "relu.docx", "relu."):
        with pytest.raises(ValueError, match=r"must end in \.md, \.html, \.tex, \.ipynb or \.pdf"):
            derivation.write(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        derivation.write(tmp_path / "no" / "relu.md")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(IsADirectoryError):
        derivation.write(tmp_path / "folder.md")
    assert os.listdir(tmp_path) == ["folder.md"]


@pytest.mark.parametrize(("module", "suffix"), [("pypandoc", "html"), ("typst", "pdf")])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, module, suffix):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "varprop\[documents\]"'):
        derive("relu").write(tmp_path / f"relu.{suffix}")
    derive("relu").write(tmp_path / "relu.md")
    derive("relu").write(tmp_path / "relu.ipynb")
    assert sorted(os.listdir(tmp_path)) == ["relu.ipynb", "relu.md"]


def test_pandoc_that_is_not_there_is_named_too(tmp_path, monkeypatch):
    import pypandoc

    def gone():
        raise OSError("No pandoc was found")

    monkeypatch.setattr(pypandoc, "get_pandoc_version", gone)
    with pytest.raises(ImportError, match="varprop"):
        derive("relu").write(tmp_path / "relu.html")


# --- figures ------------------------------------------------------------------------------------


def test_simulated_points_are_those_of_simulate():
    (points,) = derivation_figure.simulated(FIGURE)
    run = varprop.simulate(POINTS.networks[0], trials=30, seed=0)
    assert points.x.tolist() == [1, 2, 3, 4]
    assert points.y == pytest.approx(run.preactivation.mean, rel=1e-12)
    assert points.error == pytest.approx(run.preactivation.stderr, rel=1e-12)


def test_points_one_by_one_are_last_layers():
    at = (0.5, 2.0)
    nets = tuple(Network(2, width=80, act="tanh", sigma_w=math.sqrt(k)) for k in at)
    overlay = Overlay("here", nets, at, "activation", 20)
    (points,) = derivation_figure.simulated(dataclasses.replace(FIGURE, overlays=(overlay,)))
    runs = [varprop.simulate(net, trials=20, seed=0) for net in nets]
    assert points.x.tolist() == list(at)
    assert points.y == pytest.approx([run.activation.mean[-1] for run in runs], rel=1e-12)


def test_a_drawing_shows_curves_points_and_labels():
    canvas = derivation_figure.drawn(dataclasses.replace(FIGURE, y_scale="log"))
    (ax,) = canvas.axes
    assert ax.get_lines()[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 1.0]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["$K/2$", "simulated (± 2 s.e.)"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("layer $l$", "$q$", "log")


def test_the_simulated_maps_of_a_formula_lie_on_the_theory():
    (figure,) = derive(FORMULA).figures
    (points,) = derivation_figure.simulated(figure)
    # A layer's mean square has mean Q(K); the seed is fixed, and 5 standard errors are generous.
    assert np.all(np.abs(points.y - variance_map(FORMULA)(points.x)) < 5 * points.error)


def test_bad_figures():
    with pytest.raises(ValueError, match="as many finite x as y"):
        Curve("a", (1.0, 2.0), (1.0, math.nan))
    with pytest.raises(ValueError, match="log scale needs values above 0"):
        Figure("a", "", "", "", (Curve("a", (1.0,), (0.0,)),), y_scale="log")
    with pytest.raises(ValueError, match="linear or log"):
        Figure("a", "", "", "", (LINE,), x_scale="symlog")
    with pytest.raises(ValueError, match="one network, or one for each x"):
        Overlay("a", (), (1.0,))
    with pytest.raises(ValueError, match="statistic must be one of"):
        Overlay("a", POINTS.networks, statistic="gradient")


def test_the_room_for_derivations_is_light():
    code = (
        "import sys; from varprop import theory; theory.derive('linear').markdown();"
        "print([m for m in ('matplotlib', 'pypandoc', 'typst', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
    assert json.dumps(sorted(theory.__all__))
