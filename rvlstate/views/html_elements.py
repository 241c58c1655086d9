"""HTML out of texts that nobody vouches for: elements are built, never pasted together, and every text is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rvlstate.views.untrusted import harmless

LONGEST_SENTENCE = 2_000
"""Characters of a text that are shown; see `untrusted.LONGEST` for names."""

VOID = frozenset({"meta", "link", "br"})
EMPTY = frozenset({"line", "circle", "rect", "path", "polyline"})
"""Elements of SVG that hold nothing."""


@dataclass(frozen=True, slots=True)
class Html:
    """Markup of our own making; a plain text never becomes one without being escaped."""

    markup: str


Content: TypeAlias = "Html | str | Iterable[Html | str | None] | None"
Attribute: TypeAlias = "str | float | bool | None"


def element(tag: str, *content: Content, **attributes: Attribute) -> Html:
    """An element; `class_` and `stroke_width` stand for `class` and `stroke-width`; None and False are left out."""
    told = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    if tag in VOID:
        return Html(f"<{tag}{told}>")
    if tag in EMPTY:
        return Html(f"<{tag}{told}/>")
    return Html(f"<{tag}{told}>{''.join(_markup(part) for part in content)}</{tag}>")


def joined(*content: Content) -> Html:
    """Several parts, one behind the other."""
    return Html("".join(_markup(part) for part in content))


def name(text: str, *, longest: int | None = None) -> Html:
    """A name or a command as code, cut if it is long."""
    return element("code", harmless(text, longest) if longest else harmless(text))


def _markup(content: Content) -> str:
    match content:
        case None:
            return ""
        case Html(markup):
            return markup
        case str():
            return html.escape(harmless(content, LONGEST_SENTENCE))
        case _:
            return "".join(_markup(part) for part in content)


def _attribute(key: str, value: Attribute) -> str:
    word = key.rstrip("_").replace("_", "-")
    if value is True or value is False:
        return f" {word}" if value else ""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {word}="{html.escape(harmless(shown, LONGEST_SENTENCE))}"'
