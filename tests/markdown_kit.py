"""What a comment is made of, as two parsers see it: GitHub's own (cmark-gfm), and markdown-it, which finds more."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt
from markdown_it.token import Token

OURS = frozenset({"details", "summary", "code"})
"""The HTML that a comment may hold itself; all other elements come from markdown."""

VOID = frozenset({"br", "hr", "img", "input"})
REFERENCE = re.compile(
    r"(?<![\w`])@[\w\"]|#\w|\b[gG][hH]-\d|[!%^&~]\d|://|\bwww\.|(?<![^\W_])[0-9a-fA-F]{7,}(?![^\W_])|:[a-z0-9_+-]+:",
    re.IGNORECASE,
)
"""What a forge makes something of in text that is not code."""


@dataclass(slots=True)
class Seen(HTMLParser):
    """The elements of a document, counted; text outside of code; and what was wrong with it."""

    counts: Counter[str] = field(default_factory=Counter)
    cells: list[int] = field(default_factory=list)
    """The number of cells of each row."""

    active: list[str] = field(default_factory=list)
    """Text outside of code, piece by piece."""

    text: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element."""
        self.counts[tag] += 1
        self.attributes += [(f"{tag} {name}", value or "") for name, value in attrs]
        if tag == "tr":
            self.cells.append(0)
        if tag in ("td", "th"):
            self.cells[-1] += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Elements end in the order in which they began."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text.append(data)
        if not {"code", "pre"} & set(self.open):
            self.active.append(data)

    def handle_comment(self, data: str) -> None:
        """There is none."""
        self.wrong.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        """There is none."""
        self.wrong.append(f"<!{decl}")


def seen_by_github(text: str) -> Seen:
    """The document as GitHub's parser makes it, with the HTML that it lets through."""
    page = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    seen = Seen()
    seen.feed(page)
    seen.close()
    seen.wrong += [f"<{tag}> is open" for tag in seen.open]
    return seen


def tokens_of(text: str) -> list[Token]:
    """The tokens of markdown-it, inner ones included, with bare links looked for in text."""
    parser = MarkdownIt("gfm-like")
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False})  # names of hosts alone are no links on a forge
    return _flat(parser.parse(text))


def _flat(tokens: list[Token]) -> list[Token]:
    return [found for token in tokens for found in (token, *_flat(token.children or []))]


def dangers(text: str) -> list[str]:
    """What a comment must not hold, [] if all is well: foreign elements, broken tables, references, links."""
    seen = seen_by_github(text)
    allowed = {"h3", "p", "strong", "em", "code", "pre", "ul", "li", "blockquote", "details", "summary"}
    allowed |= {"table", "thead", "tbody", "tr", "th", "td"}
    found = [f"<{tag}>" for tag in sorted(set(seen.counts) - allowed)]
    found += seen.wrong
    found += [f"{name}={value}" for name, value in seen.attributes if name not in ("pre lang", "details open")]
    found += [f"a row of {cells} cells" for cells in sorted(set(seen.cells) - {7, 5, 3})]
    found += [f"active: {piece!r}" for piece in seen.active if REFERENCE.search(piece)]
    tokens = tokens_of(text)
    kinds = {token.type for token in tokens}
    found += sorted(kinds & {"link_open", "image", "html_inline", "hr", "code_block", "s_open", "ordered_list_open"})
    raw = [token.content for token in tokens if token.type == "html_block"]
    found += [tag for block in raw for tag in re.findall(r"</?(\w+)", block) if tag not in OURS]
    found += [] if all(line.isprintable() for line in text.replace("\u200b", "").split("\n")) else ["not printable"]
    return found
