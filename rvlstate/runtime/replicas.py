"""Replicas: whether those of the server have built an index too, asked at the addresses that their primary tells.

Measured with Redis 8.2.3 and RediSearch 2.10.5:

| what                       | behaves so                                                                            |
|----------------------------|---------------------------------------------------------------------------------------|
| FT.CREATE, FT.ALIASUPDATE  | are replicated at once; each replica then scans its own documents, at its own speed   |
| a replica that scans       | answers: FT.INFO with its own `indexing`, `percent_indexed`, `num_docs` and failures, |
|                            | FT.SEARCH from what is scanned so far, by name and by alias, with no error            |
| a slow one (shared CPU)    | at 33 % when its primary was done after 5 s, done after 15 s                          |
| offsets                    | are equal while it scans: they tell what was received, nothing of the build           |
| ROLE of the primary        | address and acknowledged offset (a second old) of each replica that is online: not of |
|                            | one in a full resynchronisation, nor of one that died; one that was stopped stays     |
|                            | until `repl-timeout`                                                                  |
| ROLE of a replica          | `slave`, the state of its link, the offset that it has carried out at this moment     |
| REPLICAOF NO ONE meanwhile | the scan goes on; the server answers partially until it has ended                     |
| full resynchronisation     | indexes are built by the time the replica is online again                             |
| on a cluster               | FT.INFO is refused with MOVED until the connection has said READONLY                  |

What a coordinator says on a replica is not measured: none can be installed for the tests.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from rvlstate.errors import ReplyNotUnderstoodError
from rvlstate.events import OnEvent, ReplicaNotAwaited
from rvlstate.model.catalog import Statistics
from rvlstate.plan.operations.await_build import CALM_LOOKS, is_calm
from rvlstate.plan.replicas import Behind, Lag
from rvlstate.runtime.connect import Connection, command
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.replies import parse_info
from rvlstate.runtime.server_errors import is_unknown_index
from rvlstate.runtime.stop import StopRequest

if TYPE_CHECKING:
    from typing_extensions import Self

ANSWER_SECONDS = 1.0
"""To connect, and to answer: one that cannot be reached must not hold a run up."""

SILENT_SECONDS = 10.0
"""For so long a replica that has answered once may be silent, as one that is busy is, before it is given up."""


@dataclass(slots=True, kw_only=True)
class _Wait:
    """One wait for an index: what each primary had written when it began, calm looks and ends of its replicas."""

    index: str = ""
    step: str = ""
    offsets: dict[str, int] = field(default_factory=dict)
    calm: Counter[str] = field(default_factory=Counter)
    over: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)


class Replicas:
    """Asks replicas for one run; a context manager that closes its connections. `warnings`: what to tell at the end.

    User, password and TLS are those of the primary. A replica that cannot be asked is told of once, and not asked
    again; nothing that happens to one fails the run.
    """

    def __init__(self, connection: Connection, *, stop: StopRequest, on_event: OnEvent) -> None:
        self.warnings: list[str] = []
        self._connection = connection
        self._stop = stop
        self._on_event = on_event
        self._clients: dict[str, redis.Redis] = {}
        self._heard: dict[str, float] = {}
        self._given_up: set[str] = set()
        self._wait = _Wait()
        self._clustered: bool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for client in self._clients.values():
            with suppress(RedisError, OSError):
                client.close()

    def behind(self, step: str, question: Lag) -> tuple[Behind, ...]:
        """The online replicas that are awaited. Raises ServerUnreachableError for a primary, InterruptedRunError."""
        if question.begins or question.index != self._wait.index:
            self._wait = _Wait(index=question.index, step=step)
        found = [one for node in self._connection.node_clients() for one in self._behind(node)]
        self._note_gone({one.replica for one in found})
        return tuple(found)

    def _behind(self, node: redis.Redis) -> list[Behind]:
        """Those of one primary; none where the user may not ask it, or where the index is on another one."""
        role, info = self._connection.ask([("ROLE",), ("FT.INFO", self._wait.index)], node)
        if not _is_primary(role) or isinstance(info, Exception):
            return []
        found = []
        for host, port, *_ in role[-1]:
            self._stop.check()
            offset = self._wait.offsets.setdefault(_name(node), int(role[1]))
            one = self._look(node, str(host), int(port), offset)
            found += [one] if one is not None else []
        return found

    def _look(self, node: redis.Redis, host: str, port: int, offset: int) -> Behind | None:
        """How far a replica is that has not built the index; None for any other."""
        address = f"{host}:{port}"
        if address in self._given_up or address in self._wait.over:
            return None
        if address not in self._clients:
            self._clients[address] = _client(node, host, port)
        try:
            heard, statistics = self._ask(self._clients[address])
        except (RedisError, OSError, ReplyNotUnderstoodError) as error:
            return self._unheard(address, error)
        self._heard[address] = time.monotonic()
        if heard < offset:
            return Behind(replica=address, note="it has not received the index yet")
        return self._judge(address, statistics)

    def _ask(self, client: redis.Redis) -> tuple[int, Statistics | None]:
        """The offset that a replica has carried out, and the figures of the index, None where it has none.

        Raises RedisError, ReplyNotUnderstoodError.
        """
        pipeline = client.pipeline(transaction=False)
        if self._is_clustered():
            command(pipeline, "READONLY")
        command(pipeline, "ROLE")
        command(pipeline, "FT.INFO", self._wait.index)
        *before, info = pipeline.execute(raise_on_error=False)
        for reply in (*before, *([] if is_unknown_index(info) else [info])):
            if isinstance(reply, Exception):
                raise reply
        role = before[-1]
        if role[0] != "slave":
            raise ResponseError(f"it says that it is {role[0]}, not a replica")
        return int(role[4]), None if is_unknown_index(info) else parse_info(self._wait.index, info).statistics

    def _is_clustered(self) -> bool:
        if self._clustered is None:
            self._clustered = is_clustered(self._connection)
        return self._clustered

    def _judge(self, address: str, statistics: Statistics | None) -> Behind | None:
        wait, warning = self._wait, ""
        if statistics is None:
            warning = f"replica {address} does not have {wait.index}: searches for it fail there"
        elif statistics.scan_error:
            why = statistics.scan_error
            warning = f"replica {address} gave up building {wait.index}, its answers are partial: {why}"
        else:
            wait.calm[address] = wait.calm[address] + 1 if is_calm(statistics) else 0
            if wait.calm[address] < CALM_LOOKS:
                scanned = min(round(statistics.percent * 1000), 999)
                return Behind(replica=address, scanned=scanned, documents=statistics.documents)
        wait.over.add(address)
        self._warn(address, warning)
        return None

    def _unheard(self, address: str, error: Exception) -> Behind | None:
        """One that cannot be asked: awaited for a while if it has answered before, else given up."""
        if time.monotonic() - self._heard.get(address, -SILENT_SECONDS) < SILENT_SECONDS:
            return Behind(replica=address, note="it does not answer")
        self._given_up.add(address)
        why = (str(error) or type(error).__name__).rstrip(".")
        asked = f"replica {address} could not be asked whether it has built {self._wait.index}: {why}"
        self._warn(address, f"{asked}; its answers may be partial until it has")
        return None

    def _note_gone(self, pending: set[str]) -> None:
        """Tell of a replica that was awaited, and that its primary does not call online any more."""
        for address in sorted(self._wait.pending - pending - self._wait.over - self._given_up):
            self._warn(address, f"replica {address} went offline before it had built {self._wait.index}")
        self._wait.pending = pending

    def _warn(self, address: str, text: str) -> None:
        if text and text not in self.warnings:
            self.warnings.append(text)
            self._on_event(ReplicaNotAwaited(step=self._wait.step, replica=address, text=text))


def _is_primary(role: Any) -> bool:
    return isinstance(role, list) and role[:1] == ["master"] and isinstance(role[-1], list)


def _name(node: redis.Redis) -> str:
    options = node.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host')}:{options.get('port')}")


def _client(node: redis.Redis, host: str, port: int) -> redis.Redis:
    """A client of a replica with the settings of its primary's, but no patience."""
    pool: Any = node.connection_pool
    given = {name: value for name, value in pool.connection_kwargs.items() if name not in ("path", "command_packer")}
    address = {"host": host, "port": port}
    brief = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS, "retry": Retry(NoBackoff(), 0)}
    kind = redis.Connection if "path" in pool.connection_kwargs else pool.connection_class
    return redis.Redis.from_pool(type(pool)(connection_class=kind, **{**given, **address, **brief}))
