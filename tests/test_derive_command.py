"""The derive command: files, folders, the terminal; and derivations of any formula."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sympy
from effort import LONG
from pages import Page

from varprop import theory
from varprop.cli import main
from varprop.terminal import print_markdown, unicode_math
from varprop.theory import derivations, derive, variance_map

FORMULA = "x*cos(x)"
PAGES = {f"{d.name}.html" for d in derivations()} | {"index.html"}
WRITTEN = derivations() if LONG else derivations()[:5]


# --- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All derivations, written once; without VARPROP_LONG the first of them stand for all."""
    place = tmp_path_factory.mktemp("all") / "pages"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theory, "derivations", lambda: WRITTEN)
        assert main(["derive", "--all", "-o", str(place)]) == 0
    return place


def test_all_of_them_and_an_index(folder):
    names = [d.name for d in WRITTEN]
    assert sorted(os.listdir(folder)) == sorted(f"{name}.html" for name in [*names, "index"])
    index = Page((folder / "index.html").read_text(encoding="utf-8"))
    assert index.links == [f"{name}.html" for name in names]


def test_every_link_between_the_pages_leads_somewhere(folder):
    found = set()
    for path in folder.glob("*.html"):
        page = Page(path.read_text(encoding="utf-8"))
        assert page.open == []
        local = {link for link in page.links if not link.startswith(("data:", "https://"))}
        assert all(link in PAGES for link in local)
        found |= {(path.name, link) for link in local}
    assert ("relu.html", "linear.html") in found


def test_the_command_writes_several_files(tmp_path, capsys):
    paths = [str(tmp_path / f"mine.{suffix}") for suffix in ("md", "html")]
    assert main(["derive", FORMULA, "-o", paths[0], "-o", paths[1]]) == 0
    assert capsys.readouterr() == ("", f"wrote {paths[0]}\nwrote {paths[1]}\n")
    assert sorted(os.listdir(tmp_path)) == ["mine.html", "mine.md", "mine_files"]
    text = Path(paths[0]).read_text(encoding="utf-8")
    assert "](mine_files/maps.png)" in text
    assert (tmp_path / "mine_files" / "maps.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("derive", 2, "--all or --list"),
        ("derive relu --all -o x", 2, "--all or --list"),
        ("derive --all", 2, "-o FOLDER"),
        ("derive --all -o a -o b", 2, "-o FOLDER"),
        ("derive relu --format md", 2, "--format goes with --all"),
        ("derive --list -o x.md", 2, "writes no file"),
        ("derive zzz", 2, "unknown derivation 'zzz'. Known: linear, "),
        ("derive rellu", 2, "Did you mean 'relu'?"),
        ("derive x*y", 2, "unknown name 'y'"),
        ("derive 3", 2, "3 is not a function of x"),
        ("derive exp(x**2)", 2, "inf at x"),
        ("derive elu(-1)", 2, "must be > 0"),
        ("derive relu -o relu.docx", 1, "must end in .md, .html, .tex, .ipynb or .pdf"),
        ("derive relu -o relu", 1, "must end in"),
        ("derive --all -o no/such/place", 1, "does not exist"),
    ],
)
def test_bad_commands(tmp_path, monkeypatch, capsys, line, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == code
    out, err = capsys.readouterr()
    assert message in " ".join(err.split())
    assert out == ""
    assert os.listdir(tmp_path) == []


def test_a_folder_can_not_be_a_file(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("mine")
    assert main(["derive", "--all", "-o", str(tmp_path / "a.txt")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_pipe_gets_markdown_and_a_terminal_a_page(capsys, monkeypatch):
    assert main(["derive", "linear"]) == 0
    assert capsys.readouterr().out == derive("linear").markdown() + "\n"
    from varprop import derive_command

    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr(derive_command.sys, "stdout", Terminal)
    shown = []
    monkeypatch.setattr("varprop.terminal.print_markdown", shown.append)
    assert main(["derive", "linear"]) == 0
    assert shown == [derive("linear").markdown()]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"\frac{K n v}{2}", "K n v/2"),
        (r"\sqrt{2 \pi K}", "√(2 π K)"),
        (r"\left. n v \right|_{v = 2/n}", "n v |_(v = 2/n)"),
        (r"\operatorname{E}_{x \sim N(0, K)}\left[x^{2}\right]", "E_(x ~ N(0, K))[x²]"),
        (r"\int\limits_{-\infty}^{\infty} p_{K}(x)\, dx", "∫_(-∞)^∞ p_K(x) dx"),
        (r"10^{-61} \times 6.22", "10⁻⁶¹ × 6.22"),
        (r"\begin{aligned} a &= b \\ &\quad + c \end{aligned}", "a = b + c"),
        (r"\frac{a + b}{c d}", "(a + b)/(c d)"),
        (r"\frac12 \sigma_w^2", "1/2 σ_w²"),
        (r"\frac{d}{d K} Q", "d/dK Q"),
    ],
)
def test_formulas_in_a_terminal(formula, shown):
    assert unicode_math(formula) == shown


@pytest.mark.parametrize("name", [d.name for d in derivations()] + [FORMULA])
def test_no_latex_is_left_in_a_terminal(name, capsys):
    print_markdown(derive(name).markdown())
    out = capsys.readouterr().out
    assert "\\" not in out
    assert "$" not in out
    assert max(map(len, out.splitlines())) <= 80


# --- any formula --------------------------------------------------------------------------------


def test_a_formula_gets_the_closed_forms_of_its_maps():
    derivation = derive("x*Phi(x)")
    by_title = {step.title: step for step in derivation.steps}
    k = sympy.Rational(7, 3)
    (symbol,) = by_title["The variance map, $Q(K)$"].right.free_symbols
    value = by_title["The variance map, $Q(K)$"].right.subs(symbol, k)
    assert float(value) == pytest.approx(variance_map("gelu")(float(k)), rel=1e-13)
    assert "half-stable" in derivation.in_practice


def test_a_formula_without_closed_forms_gets_its_series():
    derivation = derive("tanh(2*x)+x/10")
    titles = [step.title for step in derivation.steps]
    assert "The variance map, $Q(K)$, for small $K$" in titles
    assert "asymptotic" in derivation.steps[1].why
    assert "O\\left(K^{5}\\right)" in derivation.steps[1].latex()


@pytest.mark.parametrize("name", ["softplus", "elu(1.5)", "leaky_relu(0.2)"])
def test_activations_without_a_derivation_of_their_own(name):
    assert derive(name).name == name
    assert len(derive(name).check()) == len(derive(name).steps) + 1


def test_an_activation_that_jumps_has_no_gradient_map():
    titles = [step.title for step in derive("heaviside").steps]
    assert not any("gradient" in title for title in titles)
    assert "passes no gradient" in derive("heaviside").claim


def test_names_that_are_none():
    with pytest.raises(ValueError, match="Did you mean 'relu'\\? Known: linear, "):
        derive("rellu")
    with pytest.raises(TypeError, match="must be a str"):
        derive(3)
    with pytest.raises(ValueError, match="not a function of x"):
        derive("1+1")
