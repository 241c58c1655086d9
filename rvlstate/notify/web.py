"""One POST of JSON to a webhook: what came back is nothing, or a failure without a part of its address."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from rvlstate import __version__
from rvlstate.forge.failure import ForgeFailure, presentable
from rvlstate.notify.address import Address

HOPS = 3
KEEPS_THE_MESSAGE = frozenset({307, 308})
"""Redirections behind which the message is sent again as it is; behind others it would be lost."""

MOST_READ = 4_000


def post(address: Address, payload: Mapping[str, Any], timeout: float) -> None:
    """Send a payload once; `timeout` is for each whole answer, in seconds. Raises ForgeFailure."""
    url, headers = _without_credentials(address.url)
    data = json.dumps(payload, ensure_ascii=True).encode()
    for _ in range(HOPS + 1):
        moved = _in_time(address, partial(_attempt, address, url, data, headers, timeout), timeout)
        if not moved:
            return
        url, headers = _followed(address, url, moved, headers)
    raise _failure(address, "nonsense", "it redirects too often")


def _in_time(address: Address, attempt: Callable[[], str], timeout: float) -> str:
    """What an attempt returns. A socket limits the time between two bytes alone: a server may send one each second."""
    outcome: list[str | BaseException] = []

    def work() -> None:
        try:
            outcome.append(attempt())
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            outcome.append(error)

    thread = threading.Thread(target=work, name="rvlstate-notification", daemon=True)
    thread.start()
    thread.join(timeout)
    found = outcome[0] if outcome else _failure(address, "timeout", "")
    if isinstance(found, BaseException):
        raise found
    return found


def _attempt(address: Address, url: str, data: bytes, headers: Mapping[str, str], timeout: float) -> str:
    """Where the server redirects to, "" once it has taken the message."""
    # urllib has no other schemes here, whatever a server redirects to.
    request = Request(url, data=data, headers=dict(headers), method="POST")  # noqa: S310
    try:
        with _opener().open(request, timeout=timeout):
            return ""
    except HTTPError as error:
        with error:
            return _answered(address, error)
    except TimeoutError:
        raise _failure(address, "timeout", "") from None
    except URLError as error:
        trouble = "timeout" if isinstance(error.reason, TimeoutError) else "unreachable"
        raise _failure(address, trouble, str(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise _failure(address, "unreachable", f"{type(error).__name__}: {error}") from None
    except ValueError:
        raise _failure(address, "nonsense", "no request can be made of the address") from None


def _answered(address: Address, error: HTTPError) -> str:
    to = error.headers.get("location", "")
    if error.code in KEEPS_THE_MESSAGE and to:
        return to
    try:
        text = error.read(MOST_READ).decode("utf-8", "replace")
    except (OSError, HTTPException):
        text = ""
    headers = {name.lower(): value for name, value in error.headers.items()}
    message = "a redirection, which is not followed" if 300 <= error.code < 400 else text  # noqa: PLR2004
    raise ForgeFailure(
        trouble="answered", message=_shown(address, message), status=error.code, headers=headers, writing=True
    ) from None


def _followed(address: Address, url: str, to: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The next address: never of another scheme but https, and of another host without the credentials."""
    try:
        target = urljoin(url, to)
        before, after = urlsplit(url), urlsplit(target)
    except ValueError:
        raise _failure(address, "nonsense", "it redirects to what is no address") from None
    if after.scheme not in {before.scheme, "https"} or not after.hostname or "@" in after.netloc:
        raise _failure(address, "nonsense", "it redirects to where nothing is sent: another scheme, or no host")
    if after.netloc == before.netloc and after.scheme == before.scheme:
        return target, headers
    return target, {name: value for name, value in headers.items() if name != "Authorization"}


def _without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The address as it is asked for, and the headers, with user and password of the address in one of them."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": f"rvlstate/{__version__}"}
    if user:
        token = base64.b64encode(unquote(user).encode("utf-8", "surrogatepass")).decode()
        headers["Authorization"] = f"Basic {token}"
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")), headers


def _opener() -> OpenerDirector:
    """Over http and https, through the proxies of the environment; redirections come back as errors."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    return opener


def _failure(address: Address, trouble: Any, message: str) -> ForgeFailure:
    return ForgeFailure(trouble=trouble, message=_shown(address, message), writing=True)


def _shown(address: Address, text: str) -> str:
    return presentable(address.mask(text), "")
