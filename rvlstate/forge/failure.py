"""What a request to a forge came back with when it was no success, whichever library made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rvlstate.model.secret import redact_url
from rvlstate.views.untrusted import printable

Trouble: TypeAlias = Literal["answered", "unreachable", "timeout", "nonsense"]
"""The forge answered with an error status; it could not be reached; it was silent; it answered no API's words."""

LONGEST_MESSAGE, MOST_READ = 300, 4_000
_LIMIT_WORDS = ("rate limit", "abuse detection")
_TRANSIENT = frozenset({408, 500, 502, 503, 504, *range(520, 530)})


@dataclass(slots=True, kw_only=True, eq=False)
class ForgeFailure(Exception):  # noqa: N818 - no error of rvlstate: it becomes one, or a notice, where it is judged
    """A failed request: `status` 0 without an answer, header names in lower case.

    `writing` tells that it was to change something; `message` is one printable line without secrets.
    """

    trouble: Trouble
    message: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    writing: bool = False

    @property
    def rate_limited(self) -> bool:
        """Whether the forge would have taken the request later: 429, or a 403 that speaks of a limit."""
        if self.status == 429:  # noqa: PLR2004
            return True
        told = "retry-after" in self.headers or self.headers.get("x-ratelimit-remaining") == "0"
        worded = any(words in self.message.lower() for words in _LIMIT_WORDS)
        return self.status == 403 and (told or worded)  # noqa: PLR2004

    @property
    def transient(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.trouble in ("unreachable", "timeout") or self.status in _TRANSIENT

    @property
    def asks_to_wait(self) -> bool:
        """Whether the forge said when to come back, or must be taken to have said it."""
        return self.rate_limited or (self.transient and "retry-after" in self.headers)

    def describe(self) -> str:
        """`It answered 403: Resource not accessible by integration`, or what happened instead of an answer."""
        match self.trouble:
            case "answered":
                return f"It answered {self.status}{f': {self.message}' if self.message else ''}"
            case "unreachable":
                return f"The connection failed: {self.message}"
            case "timeout":
                return "It did not answer in time."
            case "nonsense":
                return f"What it answered is not of its API: {self.message}"


def presentable(text: object, token: str) -> str:
    """A text of a server or a library in one printable line, cut, without the token and the credentials of URLs."""
    whole = str(text).replace(token, "***") if token else str(text)
    words = whole[:MOST_READ].split()
    # The last word of a text that goes on may be the first half of a URL with a password.
    line = " ".join(redact_url(word) for word in (words if len(whole) <= MOST_READ else words[:-1]))
    shown = printable(line)
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]}..."
