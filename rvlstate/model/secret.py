"""Secrets in connection URLs: how a URL may be shown to anyone."""

from __future__ import annotations

import re

# Greedy up to the last "@", since a password that was not percent-encoded may hold "/", "@" and "#" itself.
_USERINFO = re.compile(r"^(?P<scheme>(?:[^:/?#@]*://)?)(?P<user>[^:@/]*):.*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"(?P<key>[?&][^=&]*password=)[^&#]*", re.IGNORECASE)


def redact_url(url: str) -> str:
    """`url` with every password in it masked by `***`; also for a URL that is not well formed."""
    masked = _USERINFO.sub(r"\g<scheme>\g<user>:***@", url)
    return _QUERY_PASSWORD.sub(r"\g<key>***", masked)
