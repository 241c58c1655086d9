"""Connection URLs of the project: which are understood, and where `embedded://` leads."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "embedded")
"""What a connection URL may begin with."""

_PATHS = {
    "embedded": ("names no directory", "write embedded://.rvlstate/redis."),
    "unix": ("names no socket", "write unix:///path/to/redis.sock."),
}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<rest>.*)", re.DOTALL)


def url_fault(url: str) -> tuple[str, str] | None:
    """What is wrong with a connection URL and what to write instead, or None; never quotes what may be secret."""
    known = f"begin it with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}."
    match = _URL.fullmatch(url)
    if match is None:
        return "has no scheme", known
    scheme, rest = match["scheme"], match["rest"]
    if scheme not in SCHEMES:
        return f'has the scheme "{scheme}"', known
    if any(char.isspace() for char in url):
        return "has white space in it", "is there a line end behind it?"
    if scheme in _PATHS:
        return None if rest else _PATHS[scheme]
    # A cluster may be named by several of its nodes.
    nodes = rest.rpartition("@")[2].split(",") if scheme.endswith("+cluster") else [rest]
    try:
        for node in nodes:
            urlsplit(f"//{node}").port  # noqa: B018 - the property checks itself
    except ValueError:
        return "has a port that is no number", "percent-encode the special characters of the password."
    return None


def resolve_url(url: str, folder: Path) -> str:
    """The URL with the directory of `embedded://DIR` made absolute, relative ones starting at `folder`."""
    scheme, _, rest = url.partition("://")
    if scheme != "embedded":
        return url
    return f"embedded://{(folder / rest).resolve().as_posix()}"
