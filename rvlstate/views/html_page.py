"""A page that is one file: its style is in it, nothing is loaded and no script runs, which the browser enforces."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files

from rvlstate.views.html_elements import Content, Html, element, joined
from rvlstate.views.untrusted import MARKED_COMMAND

STYLE_FILE = "report.css"


def render_page(*, title: str, kind: str, head: Content, sections: Iterable[Html], foot: Content) -> str:
    """A whole document; `kind` says in a word what is reported, `head` comes before the sections."""
    style = files(__package__).joinpath(STYLE_FILE).read_text(encoding="utf-8")
    main = [element("header", element("p", kind, class_="kind"), head), *sections, element("footer", foot)]
    page = element(
        "html",
        element("head", _meta(style), element("title", f"{title} - {kind}"), Html(f"<style>{style}</style>")),
        element("body", element("main", *main)),
        lang="en",
    )
    # In the log of a CI job the text of a page is no command either; a browser shows it as it is.
    return MARKED_COMMAND.sub("&#35;#", f"<!doctype html>\n{page.markup}\n")


def section(title: str, *content: Content, kind: str | None = None) -> Html:
    """A part of a page under a heading, with an address of its own."""
    address = "".join(char if char.isalnum() else "-" for char in title.lower())
    return element("section", element("h2", title, id=address), *content, aria_labelledby=address, class_=kind)


def figures(pairs: Iterable[tuple[str, str, str]]) -> Html:
    """Figures that a reader looks for first: label, value, and a class for its colour ("" for none)."""
    return element(
        "dl",
        *(
            element("div", element("dt", label), element("dd", value, class_=tone or None))
            for label, value, tone in pairs
            if value
        ),
        class_="figures",
    )


def _meta(style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return joined(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
    )
