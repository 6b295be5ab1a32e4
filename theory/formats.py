"""Documents in other formats: HTML and LaTeX through pandoc, PDF through Typst, notebooks.

Markdown and notebooks need nothing but the standard library. The same versions give the same
bytes: no dates, no random names.
"""

from __future__ import annotations

import base64
import html
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varprop.files import atomic_path, check_writable

from . import document, notebook, styles

if TYPE_CHECKING:
    from .derivation import Derivation
    from .figure import Figure

__all__ = ["FORMATS", "Painter", "check_format", "spaced", "write", "write_page"]

Painter = Callable[["Figure", Path], None]
Images = dict[str, Path]
Code = tuple[str, ...]

_NEED = 'documents in this format need an extra: pip install "varprop[documents]"'
# Where a figure is drawn for each format, as what.
_PICTURES = {"md": "png", "html": "svg", "tex": "pdf", "ipynb": "png", "pdf": "svg"}
FORMATS = tuple(_PICTURES)
_BESIDE = ("md", "tex")  # these name the files of their pictures; the others hold them
# Rows of tables longer than this make pandoc fix the widths of columns.
_ONE_LINE = "--columns=500"
# A step is kept on one page.
_TYPST_STEP = re.compile(r"^=== (?:(?!^==).)*", re.DOTALL | re.MULTILINE)
_TYPST_BLOCK = "breakable: false, width: 100%, above: 1.7em"
_MARKDOWN = "markdown-implicit_figures-auto_identifiers"


def check_format(path: str | os.PathLike[str]) -> str:
    """The format that a file's ending names, if its tools are there.

    Raises
    ------
    ValueError
        For an ending that no format has; the text lists those there are.
    ImportError
        If an optional package is missing; the text says how to install it.

    Examples
    --------
    >>> check_format("relu.md")
    'md'
    >>> check_format("relu.docx")
    Traceback (most recent call last):
    ValueError: can't write 'relu.docx': the name must end in .md, .html, .tex, .ipynb or .pdf
    """
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower().removeprefix(".")
    if suffix not in FORMATS:
        known = ", ".join(f".{kind}" for kind in FORMATS[:-1])
        raise ValueError(f"can't write {name!r}: the name must end in {known} or .{FORMATS[-1]}")
    if suffix in ("html", "tex", "pdf"):
        _pandoc_version()
    if suffix == "pdf":
        _typst()
    return suffix


def write(
    derivation: Derivation,
    path: str | os.PathLike[str],
    *,
    draw: Painter | None = None,
    link: str | None = None,
) -> None:
    """Write a derivation's document; the ending of the name says in which format.

    Parameters
    ----------
    derivation : Derivation
        What to write up. Everything in it is checked on the way.
    path : path-like
        A name that ends in .md, .html, .tex, .ipynb or .pdf. The file appears whole or not at
        all. Pictures of .md and .tex go to a folder beside it, named after it, ``..._files``.
    draw : callable, optional
        Draws a `Figure` into a file, whose ending says how. Without it figures are left out.
    link : str, optional
        Ending of the documents of other derivations in the same folder, to link to.

    Raises
    ------
    ValueError, ImportError, OSError
        Before any work: for another ending, a missing extra, a place that can't be written.
    CheckError
        If an equation is false.

    Examples
    --------
    >>> from varprop.theory import derive
    >>> write(derive("relu"), "relu.md")
    >>> Path("relu.md").read_text()[:22]
    "# ReLU's factor of 2\\n\\n"
    """
    suffix = check_format(path)
    check_writable(path)
    target = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        images = _drawn(derivation, draw, Path(folder), _PICTURES[suffix])
        text = document.markdown(
            derivation,
            suffix=suffix,
            tools=_tools(suffix),
            images={name: _place(image, suffix, target) for name, image in images.items()},
        )
        title, code = _plain(derivation.title), notebook.code_of(derivation)
        content = _RENDER[suffix](_linked(text, link), title, images, code)
        if suffix in _BESIDE and images:
            beside = _beside(target)
            beside.mkdir(exist_ok=True)
            for image in images.values():
                _save(image.read_bytes(), beside / image.name)
    _save(content, target)


def spaced(text: str) -> str:
    r"""LaTeX for MathML, which sets E x without a space between.

    Examples
    --------
    >>> spaced(r"\operatorname{E} x")
    '\\operatorname{E}\\, x'
    """
    return re.sub(r"(\\operatorname\{\w+\}) (?=\w|\\(?!left|,))", r"\1\\, ", text)


def write_page(text: str, title: str, path: str | os.PathLike[str]) -> None:
    """Write Markdown as a page of its own, in the format that the name's ending says.

    Examples
    --------
    >>> write_page("# Notes\\n", "Notes", "notes.md")
    """
    suffix = check_format(path)
    _save(_RENDER[suffix](text, title, {}, ()), Path(path))


def _save(content: bytes, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.stem}_files")


def _place(image: Path, suffix: str, target: Path) -> str:
    """What a document calls a picture."""
    if suffix in _BESIDE:
        return f"{_beside(target).name}/{image.name}"
    if suffix == "html":
        return f"data:image/svg+xml;base64,{base64.b64encode(image.read_bytes()).decode()}"
    return f"attachment:{image.name}" if suffix == "ipynb" else image.name


def _tools(suffix: str) -> tuple[str, ...]:
    """The programs behind a format, with their versions."""
    if suffix not in ("html", "tex", "pdf"):
        return ()
    pandoc = f"pandoc {_pandoc_version()}"
    return (pandoc, f"Typst {document.version('typst')}") if suffix == "pdf" else (pandoc,)


def _drawn(derivation: Derivation, draw: Painter | None, folder: Path, suffix: str) -> Images:
    if draw is None:
        return {}
    images = {}
    for figure in derivation.figures:
        images[figure.name] = folder / f"{figure.name}.{suffix}"
        draw(figure, images[figure.name])
    return images


def _linked(text: str, link: str | None) -> str:
    """``derivation `relu` `` as a link to the document beside this one."""
    if link is None:
        return text
    from .derivations import NAMES

    def reference(found: re.Match[str]) -> str:
        name = found[1]
        return f"[derivation `{name}`]({name}.{link})" if name in NAMES else found[0]

    return re.sub(r"derivation\s+`(\w+)`", reference, text)


def _markdown(text: str, title: str, images: Images, code: Code) -> bytes:
    return text.encode()


def _html(text: str, title: str, images: Images, code: Code) -> bytes:
    body = _converted(spaced(text), "html5", "--mathml", _ONE_LINE)
    body = re.sub(r"<table.*?</table>", r'<div class="wide">\g<0></div>', body, flags=re.DOTALL)
    page = styles.HTML.replace("@title@", html.escape(title))
    return page.replace("@body@", body.strip()).encode()


def _tex(text: str, title: str, images: Images, code: Code) -> bytes:
    return styles.LATEX.replace("@body@", _converted(text, "latex").strip()).encode()


def _pdf(text: str, title: str, images: Images, code: Code) -> bytes:
    body = _converted(text, "typst", _ONE_LINE)
    body = re.sub(_TYPST_STEP, rf"#block({_TYPST_BLOCK})[\n\g<0>]\n\n", body)
    title = title.replace("\\", "\\\\").replace('"', '\\"')
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for image in images.values():
            (root / image.name).write_bytes(image.read_bytes())
        source = root / "document.typ"
        sheet = styles.TYPST.replace("@title@", title).replace("@body@", body)
        source.write_text(sheet, encoding="utf-8")
        made: bytes = _typst().compile(str(source), root=folder, ignore_system_fonts=True)
    return made


def _plain(title: str) -> str:
    return title.replace("$", "").replace("`", "")


def _converted(text: str, to: str, *options: str) -> str:
    """Markdown through pandoc."""
    import pypandoc

    made: str = pypandoc.convert_text(
        text, to, format=_MARKDOWN, extra_args=["--wrap=preserve", *options]
    )
    return made


def _pandoc_version() -> str:
    try:
        import pypandoc

        version: str = pypandoc.get_pandoc_version()
    except (ImportError, OSError):
        raise ImportError(_NEED) from None
    return version


def _typst() -> Any:
    try:
        import typst
    except ImportError:
        raise ImportError(_NEED) from None
    return typst


_RENDER: dict[str, Callable[[str, str, Images, Code], bytes]] = {
    "md": _markdown,
    "html": _html,
    "tex": _tex,
    "ipynb": notebook.notebook,
    "pdf": _pdf,
}
