"""What `requests`, which both libraries stand on, raises when no answer comes."""

from __future__ import annotations

import requests

from rvlstate.forge.failure import ForgeFailure, presentable

NONSENSE = (ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What libraries raise over an answer that has not the shape of the API, such as the page of a proxy."""


def of_transport(error: requests.RequestException, token: str, *, writing: bool) -> ForgeFailure:
    """A silent, cut or impossible connection; a redirection is an answer that we do not follow with a token."""
    message = presentable(_cause(error), token)
    if isinstance(error, requests.Timeout) or "timed out" in message:
        return ForgeFailure(trouble="timeout", message=message, writing=writing)
    if isinstance(error, requests.TooManyRedirects):
        to = error.response.headers.get("location", "") if error.response is not None else ""
        return ForgeFailure(trouble="nonsense", message=f"a redirection to {presentable(to, token)}", writing=writing)
    if isinstance(error, ValueError):  # no JSON, or an address that is not that of the API
        return ForgeFailure(trouble="nonsense", message=message, writing=writing)
    return ForgeFailure(trouble="unreachable", message=message, writing=writing)


def _cause(error: BaseException) -> str:
    """The innermost reason: `Connection refused`, not the whole chain with its objects and paths."""
    inner = getattr(error, "reason", None) or next((item for item in error.args if isinstance(item, Exception)), None)
    return _cause(inner) if isinstance(inner, Exception) else f"{error}".rpartition(">: ")[2]
