"""The built site in Chromium: every page, wide, narrow and dark. Run by `make docs-check`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from chromium import Browser

SITE = Path(__file__).parents[1] / "_build" / "html"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
NARROW = 400
# Relative luminance as of WCAG 2; the background is the nearest that is not transparent.
_CONTRAST = """(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const level = c => {
    const [r, g, b] = parts(c).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if ((parts(c)[3] ?? 1) > 0.5) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const read = "article :is(p, li, a, td, th, dt, h1, h2, h3, code, math, pre, pre span)";
  for (const e of document.querySelectorAll(read)) {
    if (!e.checkVisibility() || !e.textContent.trim()) continue;
    const pair = [level(getComputedStyle(e).color), level(behind(e))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(`${e.tagName} ${ratio.toFixed(1)} ${e.textContent.slice(0, 40)}`);
  }
  if (!document.querySelector(read)) poor.push("nothing to read");
  return poor.slice(0, 5);
})()"""
# What sticks out to the right, and can't be scrolled by itself.
_WIDER = f"""(() => {{
  if (document.documentElement.scrollWidth <= {NARROW}) return [];
  const out = [...document.querySelectorAll("article *")]
    .filter(e => e.getBoundingClientRect().right > {NARROW} + 1)
    .map(e => `${{e.tagName}}.${{e.className}} ${{e.textContent.slice(0, 40)}}`);
  return [`${{document.documentElement.scrollWidth}} px`, ...out.slice(0, 4)];
}})()"""


class Anchors(HTMLParser):
    """The ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids |= {value for name, value in attrs if name in ("id", "name") and value}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def links() -> dict[str, set[str]]:
    """Where each page that was opened links to, inside of the site."""
    return {}


@pytest.fixture(scope="module")
def anchors() -> dict[str, set[str]]:
    return {page: Anchors((SITE / page).read_text()).ids for page in PAGES}


def test_the_site_is_built() -> None:
    assert len(PAGES) > 100, "make docs builds the site"


@pytest.mark.parametrize("page", PAGES)
def test_page(
    page: str, browser: Browser, root: str, links: dict[str, set[str]],
    anchors: dict[str, set[str]],
) -> None:  # fmt: skip
    browser.open(root + page)
    assert browser.complaints() == []
    assert [a for a in browser.requests() if not a.startswith((root, "data:"))] == []
    assert browser.ask("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)") == []
    # Formulas are MathML, are seen, and none was left as LaTeX.
    written = browser.ask("document.querySelectorAll('math').length")
    unseen = "[...document.querySelectorAll('article math')].filter(m => m.checkVisibility() && "
    assert browser.ask(f"{unseen} !m.getBoundingClientRect().width).length") == 0
    assert browser.ask("document.querySelectorAll('.math:not(:has(math)), merror').length") == 0
    if page.startswith("explanation/derivations/") and not page.endswith("index.html"):
        assert written > 20
    poor = ["nothing to read"] if page == "search.html" else []
    assert browser.ask(_CONTRAST) == poor
    inside = set()
    for address in browser.ask("[...document.links].map(a => a.href)"):
        target, anchor = urldefrag(address)
        if target.startswith(root):
            path = unquote(target.removeprefix(root)) or "index.html"
            assert (SITE / path).is_file(), address
            assert not anchor or path not in anchors or unquote(anchor) in anchors[path], address
            inside.add(path)
    links[page] = inside
    browser.look(width=NARROW, dark=True)
    assert browser.ask(_WIDER) == []
    assert browser.ask("matchMedia('(prefers-color-scheme: dark)').matches")
    assert browser.ask(_CONTRAST) == poor


def test_every_page_is_linked_to(links: dict[str, set[str]]) -> None:
    assert set(links) == set(PAGES)
    seen, new = set(), {"index.html"}
    while new:
        seen |= new
        new = set().union(*(links.get(page, set()) for page in new)) - seen
    assert set(PAGES) - seen == {"search.html"}  # that is where the form leads


def test_a_page_works_from_a_folder_too() -> None:
    with Browser() as another:  # one that has seen a server may not go to a file
        another.open((SITE / "explanation" / "derivations" / "relu.html").as_uri())
        assert another.complaints() == []
        assert another.ask("document.querySelectorAll('article math').length") > 20


def test_search_finds(browser: Browser, root: str) -> None:
    browser.open(f"{root}search.html?q=GELU")
    found = """new Promise(done => { const look = () => {
      const n = document.querySelectorAll("ul.search li a").length;
      n > 3 ? done(n) : setTimeout(look, 50); }; look(); setTimeout(() => done(0), 60000); })"""
    assert browser.ask(found) > 3
    assert browser.complaints() == []
