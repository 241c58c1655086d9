"""Server URLs taken apart: scheme, addresses and options; refused where redis-py would ignore or misread them.

| scheme                              | means                                                              |
|-------------------------------------|--------------------------------------------------------------------|
| redis:// rediss:// unix://          | as redis-py reads them; a cluster behind one is noticed             |
| redis+cluster:// rediss+cluster://  | a cluster; several `host:port` with commas, any of which may answer |
| embedded://ABSOLUTE_DIR             | the embedded server of that folder, started on demand               |
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.connection import URL_QUERY_ARGUMENT_PARSERS, SSLConnection, parse_url

from rvlstate.errors import ServerUnreachableError
from rvlstate.model.secret import redact_url

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "embedded")
CLUSTER_SUFFIX = "+cluster"
EMBEDDED = "embedded"
DEFAULT_PORT = 6379
OURS = frozenset({"decode_responses", "legacy_responses", "retry_on_timeout", "retry_on_error", "timeout"})
"""Options of redis-py that a URL may not set: rvlstate relies on its own, or its pool has none."""

OPTIONS = (URL_QUERY_ARGUMENT_PARSERS.keys() | {"username", "password", "client_name"}) - OURS
TLS_OPTIONS = frozenset(name for name in signature(SSLConnection.__init__).parameters if name.startswith("ssl_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """One server or cluster: a plain URL that redis-py reads, further nodes, and how the URL may be shown."""

    plain: str
    display: str
    cluster: bool = False
    other_nodes: tuple[tuple[str, int], ...] = ()


def parse_server_url(url: str) -> ServerUrl:
    """The URL taken apart. Raises ServerUnreachableError, which shows no password."""
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in SCHEMES:
        raise _unreadable(url, f"A server URL begins with one of: {', '.join(f'{known}://' for known in SCHEMES)}")
    cluster = scheme.endswith(CLUSTER_SUFFIX)
    first, others = _nodes(url, rest) if cluster else (rest, ())
    plain = f"{scheme.removesuffix(CLUSTER_SUFFIX)}://{first}"
    if scheme != EMBEDDED:
        _refuse_options(url, plain)
    return ServerUrl(plain=plain, display=redact_url(url), cluster=cluster, other_nodes=others)


def embedded_folder(url: ServerUrl) -> Path | None:
    """The folder that an embedded:// URL names, None for the other schemes. Raises ServerUnreachableError."""
    if not url.plain.startswith(f"{EMBEDDED}://"):
        return None
    folder = Path(url.plain.removeprefix(f"{EMBEDDED}://"))
    if not folder.is_absolute():
        raise _unreadable(
            url.plain, "embedded:// takes an absolute folder here; in the project file it may be relative."
        )
    return folder


def _nodes(url: str, rest: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """`user:pw@a:1,b:2?x` as `user:pw@a:1?x` and the node (b, 2)."""
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    credentials, at, hosts = rest[:end].rpartition("@")
    first, *others = hosts.split(",")
    return f"{credentials}{at}{first}{rest[end:]}", tuple(_node(url, other) for other in others)


def _node(url: str, text: str) -> tuple[str, int]:
    try:
        node = urlsplit(f"redis://{text}")
        host, port = node.hostname, node.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise _unreadable(url, "Behind a comma there must be another host:port of the same cluster.")
    return host, port


def _refuse_options(url: str, plain: str) -> None:
    options = _parsed(url, plain)
    if options.get("db"):
        raise _unreadable(url, f"It names database {options['db']}, but indexes exist in database 0 only.")
    given = {part.partition("=")[0] for part in urlsplit(plain).query.split("&") if part}
    known = OPTIONS | TLS_OPTIONS if plain.startswith("rediss://") else OPTIONS - TLS_OPTIONS
    unknown = sorted(given - known)
    if unknown:
        raise _unreadable(url, f"These options of it cannot be used here: {', '.join(unknown)}")


def _parsed(url: str, plain: str) -> dict[str, Any]:
    try:
        urlsplit(plain).port  # noqa: B018  # asks for the port only to have it checked; redis-py would not say where
        parse: Any = parse_url
        return dict(parse(plain))
    except ValueError:
        # What urllib says may quote a part of the password, so it is not passed on.
        raise _unreadable(
            url, "Host, port or an option is malformed; in a user or password / ? # @ : and % must be percent-encoded."
        ) from None


def _unreadable(url: str, why: str) -> ServerUnreachableError:
    return ServerUnreachableError(
        "the server URL cannot be used",
        where=redact_url(url),
        why=why,
        next_step="correct redis.url in the project file, or --redis-url.",
    )
