"""A page of HTML taken apart."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        self.links += [named[key] for key in ("href", "src") if key in named]
        if tag not in ("meta", "img", "br", "hr", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag("img" if tag == "img" else "br", attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
