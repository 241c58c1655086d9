"""Connections: from a URL to clients that speak to the server itself and, routed by slot, to keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import ConnectionPool, HiredisRespSerializer
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import NoPermissionError, RedisClusterException
from redis.retry import Retry
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from rvlstate.errors import PermissionMissingError, ServerUnreachableError
from rvlstate.runtime.server_errors import is_authentication, is_loading, is_unavailable, refused_command
from rvlstate.runtime.server_url import ServerUrl, embedded_folder, parse_server_url
from rvlstate.runtime.unreachable import reachable

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
KeysClient: TypeAlias = "redis.Redis | RedisCluster"

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
LOADING_SECONDS = 10.0
ASK_ATTEMPTS = 4
RESENDS = 3
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CHUNK = 250
"""Commands sent at once: the replies of more of them would pile up in the server's memory."""


class BytePacker(HiredisRespSerializer):
    """Packs commands as redis-py does, and sends text with surrogates as the bytes that it was decoded from."""

    def pack(self, *args: Any) -> Any:
        """The command as it goes over the wire."""
        try:
            return super().pack(*args)
        except UnicodeEncodeError:
            return super().pack(*(_as_bytes(argument) for argument in args))


class BytePool(ConnectionPool):
    """A pool whose connections use BytePacker: names and keys need not be UTF-8."""

    def __init__(self, **options: Any) -> None:
        super().__init__(command_packer=BytePacker(), **options)


class Connection:
    """The clients of one server or cluster; a context manager that closes them.

    `search` sends FT.* to the server itself, or to the default node of a cluster, each command once. `keys` is for
    keys of ours, routed by slot; it may send a command again when the connection breaks, as the scripts there allow.
    `url` may be shown to anyone.
    """

    def __init__(self, url: str, search: redis.Redis, keys: KeysClient) -> None:
        self.url = url
        self.search = search
        self.keys = keys

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket; may be called twice."""
        for client in (self.search, *self.node_clients()):
            client.connection_pool.disconnect()
        self.keys.close()

    def node_clients(self) -> tuple[redis.Redis, ...]:
        """One client for each primary, ordered by address: what is scanned or measured node by node."""
        if not isinstance(self.keys, RedisCluster):
            return (self.search,)
        cluster: Any = self.keys
        primaries = sorted(cluster.get_primaries(), key=lambda node: str(node.name))
        return tuple(cluster.get_redis_connection(node) for node in primaries)

    def ask(self, questions: Sequence[tuple[str, ...]], node: redis.Redis | None = None) -> list[Any]:
        """The replies of `search`, or of a node, to commands that change nothing; refusals are errors among them.

        Raises ServerUnreachableError.
        """
        replies: list[Any] = []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            replies += self.reading_from(node or self.search, partial(_pipelined, chunk))
        return replies

    def reading_from(self, client: redis.Redis, read: Callable[[redis.Redis], T]) -> T:
        """What `read` gets, asked again when the connection breaks: for commands that change nothing.

        Raises ServerUnreachableError.
        """
        retrying = Retrying(
            retry=retry_if_exception(_may_be_asked_again),
            stop=stop_after_attempt(ASK_ATTEMPTS),
            wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
            reraise=True,
        )
        with reachable(self.url):
            return retrying(read, client)


def connect(url: str, *, protocol: int = 3) -> Connection:
    """Clients of the server that `url` names, which has answered and has loaded its data when this returns.

    Raises ServerUnreachableError without any password, EmbeddedServerError when an embedded server does not start,
    PermissionMissingError for a user who may not ask a cluster for its slots.
    """
    target = parse_server_url(url)
    folder = embedded_folder(target)
    if folder is not None:
        # Imported here, since most servers are not embedded.
        from rvlstate.runtime.embedded import start_server

        started = parse_server_url(start_server(folder).url)
        target = ServerUrl(plain=started.plain, display=target.display, cluster=started.cluster)
    with reachable(target.display), _permitted(target):
        return _cluster(target, protocol) if target.cluster else _single(target, protocol)


@contextmanager
def _permitted(target: ServerUrl) -> Iterator[None]:
    """Turn a refusal of what connecting to a cluster takes into PermissionMissingError."""
    try:
        yield
    except (NoPermissionError, RedisClusterException) as error:
        refusal: BaseException | None = error
        while refusal is not None and not isinstance(refusal, NoPermissionError):
            refusal = refusal.__cause__ or refusal.__context__  # the library takes it for a server without a cluster
        named = refused_command(refusal)
        if not named:
            raise
        user = unquote(urlsplit(target.plain).username or "default")
        raise PermissionMissingError(user, (named,)) from error


def command(client: Any, *parts: Any) -> Any:
    """One command and its reply; here because redis-py has no types for it."""
    return client.execute_command(*parts)


def as_pairs(reply: Any) -> dict[str, Any]:
    """A map of RESP3, or the flat list that stands for one on RESP2."""
    return dict(reply) if isinstance(reply, Mapping) else dict(zip(reply[::2], reply[1::2], strict=True))


def _single(target: ServerUrl, protocol: int) -> Connection:
    search = _client(target, protocol, Retry(NoBackoff(), 0))
    try:
        mode = _await_loaded(search)
        if mode == "cluster" and "path" not in search.connection_pool.connection_kwargs:
            search.close()
            return _cluster(target, protocol)
        _refuse_other_kinds(target, mode, search)
    except BaseException:  # whatever ended it, Ctrl-C included: no socket is left open
        search.close()
        raise
    return Connection(target.display, search, _client(target, protocol, _resending()))


def _client(target: ServerUrl, protocol: int, retry: Retry) -> redis.Redis:
    return redis.Redis.from_pool(BytePool.from_url(target.plain, retry=retry, **_options(protocol)))


def _cluster(target: ServerUrl, protocol: int) -> Connection:
    nodes: Any = ClusterNode
    keys: Any = RedisCluster(
        url=target.plain,
        startup_nodes=[nodes(host, port) for host, port in target.other_nodes],
        connection_pool_class=BytePool,
        retry=_resending(),
        **_options(protocol),
    )
    connection = Connection(target.display, keys.get_redis_connection(keys.get_default_node()), keys)
    try:
        _await_loaded(connection.search)
    except BaseException:  # whatever ended it, Ctrl-C included: no socket is left open
        connection.close()
        raise
    return connection


def _await_loaded(client: redis.Redis) -> str:
    """Wait some seconds for a server that loads its data; its mode: standalone, cluster or sentinel."""
    # HELLO is the one command that no ACL forbids, and PING one that LOADING does.
    hello = as_pairs(command(client, "HELLO"))
    for attempt in Retrying(
        retry=retry_if_exception(is_loading),
        stop=stop_after_delay(LOADING_SECONDS),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        reraise=True,
    ):
        with attempt, suppress(NoPermissionError):
            command(client, "PING")
    return str(hello["mode"])


def _refuse_other_kinds(target: ServerUrl, mode: str, client: redis.Redis) -> None:
    # redis-py has no clusters behind a unix socket: one node that owns all slots is then used as it is.
    if mode == "sentinel":
        what = "this is a Sentinel, which knows of servers but holds no data"
    elif mode == "cluster" and int(command(client, "CLUSTER INFO")["cluster_known_nodes"]) > 1:
        what = "this socket reaches one of several nodes of a cluster, and the others have none here"
    else:
        return
    raise ServerUnreachableError(what, where=target.display, next_step="name the server as redis://HOST:PORT.")


def _options(protocol: int) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "decode_responses": True,
        "encoding_errors": "surrogateescape",
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
    }


def _resending() -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=FIRST_PAUSE, cap=LONGEST_PAUSE), RESENDS)


def _pipelined(questions: Sequence[tuple[str, ...]], client: redis.Redis) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for question in questions:
        command(pipeline, *question)
    replies = pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and is_unavailable(reply):
            raise reply
    return replies


def _may_be_asked_again(error: BaseException) -> bool:
    return isinstance(error, ConnectionLostError) and not is_authentication(error)


def _as_bytes(argument: Any) -> Any:
    return argument.encode("utf-8", "surrogateescape") if isinstance(argument, str) else argument
