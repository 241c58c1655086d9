"""Where a notification goes: addresses that are secrets, and which kind of service each of them is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from rvlstate.errors import UsageError

Service: TypeAlias = Literal["slack", "webhook", "apprise"]
SLACK_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
SLACK_PREFIX: Final = "slack+"
"""In front of http or https: a server that takes what Slack takes, such as Mattermost."""

SHORTEST_SECRET = 6
"""A part of an address that is shorter, such as `v1` or `hooks`, is not masked in what a server says."""

WORDS: Final[dict[Service, str]] = {"slack": "Slack", "webhook": "a webhook", "apprise": "apprise"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address; `url` is in no representation of it, and `label` is what people are told instead."""

    service: Service
    url: str = field(repr=False)
    label: str

    @property
    def key(self) -> str:
        """What stands for the address in a file: it cannot be turned back."""
        return sha256(f"{self.service} {self.url}".encode("utf-8", "surrogatepass")).hexdigest()[:24]

    @property
    def credentials(self) -> str:
        """User and password of the address as a header has them, "" where there are none; no less secret."""
        user = unquote(urlsplit(self.url).netloc.rpartition("@")[0])
        return base64.b64encode(user.encode("utf-8", "surrogatepass")).decode() if user else ""

    def mask(self, text: str) -> str:
        """A text of the server or of a library without any part of the address that may be secret."""
        parts = urlsplit(self.url)
        pieces = {self.url, parts.path, parts.query, parts.netloc, *parts.path.split("/"), *parts.query.split("&")}
        pieces |= {part.partition("=")[2] for part in parts.query.split("&")}
        pieces |= set(parts.netloc.rpartition("@")[0].split(":"))
        pieces |= {unquote(piece) for piece in pieces}
        pieces.add(self.credentials)
        for piece in sorted((piece for piece in pieces if len(piece) >= SHORTEST_SECRET), key=len, reverse=True):
            text = text.replace(piece, "***")
        return text


def addresses_of(urls: Sequence[str]) -> tuple[Address, ...]:
    """The addresses in the order given, each once. Raises UsageError, which shows none of them."""
    unique = list(dict.fromkeys(url.strip() for url in urls))
    return tuple(_address(url, place, len(unique)) for place, url in enumerate(unique, start=1))


def _address(url: str, place: int, all_of_them: int) -> Address:
    which = f"notification {place} of {all_of_them}" if all_of_them > 1 else "the notification"
    service, target = _service(url, which)
    return Address(service=service, url=target, label=f"{which} ({WORDS[service]})")


def _service(url: str, which: str) -> tuple[Service, str]:
    plain = url.removeprefix(SLACK_PREFIX)
    try:
        parts = urlsplit(plain)
        host = parts.hostname or ""
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise _no_url(which) from None
    if not parts.scheme or not plain.isprintable() or " " in plain:
        raise _no_url(which)
    if parts.scheme in ("http", "https"):
        if not host or not port_is_fine:
            raise _no_url(which)
        slack = plain != url or (parts.scheme == "https" and host in SLACK_HOSTS)
        return ("slack" if slack else "webhook"), plain
    if plain != url or "://" not in plain:
        raise _no_url(which)
    return "apprise", plain


def _no_url(which: str) -> UsageError:
    return UsageError(
        f"{which} has no address that could be used",
        why="It is a secret and not shown.",
        next_step="--notify takes https://..., slack+https://..., or a URL of apprise, such as mailtos://...",
    )
