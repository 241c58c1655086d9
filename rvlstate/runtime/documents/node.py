"""Raw bytes to and from one node: scripts over documents, loaded where missing, redirected where slots moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import redis
from redis.cluster import RedisCluster
from redis.exceptions import AskError, MovedError, NoScriptError, RedisClusterException, TryAgainError

from rvlstate.errors import CommandRefusedError, StepFailedError
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.scripts import Script
from rvlstate.runtime.documents.watch import Call, Watch
from rvlstate.runtime.fence import is_fenced
from rvlstate.runtime.server_errors import is_oom, is_read_only, is_unavailable

Command: TypeAlias = Sequence[Any]

REDIRECTED = (AskError, MovedError, TryAgainError)
PASSING = (redis.ConnectionError, redis.TimeoutError, RedisClusterException, *REDIRECTED)
PIPELINED_KEYS = 144
"""Keys of the calls that are sent in one round trip: two calls of the most keys."""

CLOCK_SECONDS = 5.0
"""After so long the clock of a node is looked at again."""

RAW: dict[str, Any] = {"NEVER_DECODE": True}


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a node: what it showed (seconds since 1970), and the local monotonic clock when that was known."""

    shown: float
    local: float

    def at(self, local: float) -> float:
        """What it shows at an instant of the local clock, or a little less: its answer was on its way for a while."""
        return self.shown + local - self.local


Seal: TypeAlias = Callable[[Sequence[Call], Clock], list[Call]]
"""Adds to calls what depends on the clock of the node that carries them out."""


class OtherServerError(Exception):
    """The node was started anew, or another one answers in its place: cursors of the old one mean nothing."""


class Node:
    """One primary: what is sent goes straight to it, and through the cluster's client what it sends elsewhere."""

    def __init__(self, connection: Connection, client: redis.Redis) -> None:
        self._connection = connection
        self._client = client
        self._directly = True
        self._clock: Clock | None = None

    def run_id(self) -> str:
        """What names the process of the server."""
        (info,) = self.send([("INFO", "server")])
        return str(info["run_id"])

    def watch(self) -> Watch:
        """A connection of its own, for optimistic transactions."""
        return Watch(self._client)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """The replies of the node itself to commands sent in one round trip; the first error among them is raised."""
        replies = self._pipelined(commands)
        for command, reply in zip(commands, replies, strict=True):
            refuse(command, reply)
        return replies

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies of the node itself, refusals among them: for questions that may not fit every key."""
        return self._pipelined(commands)

    def clock(self) -> Clock:
        """The clock of the node, measured now and then."""
        clock = self._clock
        if clock is None or time.monotonic() - clock.local > CLOCK_SECONDS:
            clock = self._clock = _clock_of(self._client)
        return clock

    def forget_clock(self) -> None:
        """Measure the clock anew when it is needed."""
        self._clock = None

    def run(self, script: Script, calls: Sequence[Call], seal: Seal | None = None) -> list[Any]:
        """The replies of a script to calls, each with its keys (of one slot) and arguments.

        Behind a `seal`, the error of a call that was refused by the fence is among the replies.
        """
        return [reply for some in _at_a_time(calls) for reply in self._run(script, some, seal)]

    def _run(self, script: Script, calls: Sequence[Call], seal: Seal | None) -> list[Any]:
        if not self._directly:
            return [self._passed(self._routed(script, call, seal), seal) for call in calls]
        sealed = calls if seal is None else seal(calls, self.clock())
        commands = [("EVALSHA", script.sha, len(keys), *keys, *arguments) for keys, arguments in sealed]
        replies = self._reaching(commands)
        for at, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[at] = self._loading(script, commands[at])
            if isinstance(replies[at], REDIRECTED) and isinstance(self._connection.keys, RedisCluster):
                replies[at] = self._routed(script, calls[at], seal)
            self._passed(replies[at], seal)
        return replies

    @staticmethod
    def _passed(reply: Any, seal: Seal | None) -> Any:
        if seal is None or not (is_fenced(reply) or is_scanned(reply)):
            refuse(("EVALSHA",), reply)
        return reply

    def _reaching(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return self._pipelined(commands)
        except (redis.ConnectionError, redis.TimeoutError):
            # The slots of a node that is gone will be served by another one, which the cluster's client finds.
            self._directly = not isinstance(self._connection.keys, RedisCluster)
            self._clock = None
            raise

    def _pipelined(self, commands: Sequence[Command]) -> list[Any]:
        pipeline: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **RAW)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        return replies

    def _loading(self, script: Script, command: Command) -> Any:
        _, reply = self._pipelined([("SCRIPT LOAD", script.text), command])
        return reply

    def _routed(self, script: Script, call: Call, seal: Seal | None) -> Any:
        client: Any = self._connection.keys
        if seal is not None:
            owner = client.get_redis_connection(client.get_node_from_key(call[0][0]))
            (call,) = seal([call], _clock_of(owner))
        keys, arguments = call
        try:
            return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments, **RAW)
        except redis.ResponseError as error:
            return error


def _clock_of(client: Any) -> Clock:
    seconds, microseconds = client.time()
    return Clock(int(seconds) + int(microseconds) / 1e6, time.monotonic())


def _at_a_time(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Calls that go in one round trip: the server carries them out one after the other before it listens to others."""
    some: list[Call] = []
    keys = 0
    for call in calls:
        if some and keys + len(call[0]) > PIPELINED_KEYS:
            yield some
            some, keys = [], 0
        some.append(call)
        keys += len(call[0])
    if some:
        yield some


def refuse(command: Command, reply: Any) -> None:
    """Raise an error of the server as what it means for the pass: out of memory, to be tried again, or refused."""
    if not isinstance(reply, Exception):
        return
    if is_oom(reply):
        raise StepFailedError(
            "write documents",
            why=f"The server has reached its maxmemory: {reply}\nWhat was written is complete, the rest is untouched.",
            next_step="raise maxmemory or free memory, then run rvlstate apply: it goes on where this run stopped.",
        ) from reply
    if is_passing(reply) or not isinstance(reply, redis.ResponseError):
        raise reply
    raise CommandRefusedError(f"{command[0]} (documents)", str(reply)) from reply


def is_scanned(reply: object) -> bool:
    """Whether a script did nothing since the index is being scanned in the background."""
    return isinstance(reply, redis.ResponseError) and str(reply).startswith("SCANNED")


def is_passing(error: BaseException) -> bool:
    """Whether the same may well work a moment later: a connection was lost, or slots are not served now."""
    if isinstance(error, PASSING):
        return True
    return isinstance(error, redis.ResponseError) and (is_unavailable(error) or is_read_only(error))


__all__ = ["Clock", "Command", "Node", "OtherServerError", "is_passing", "is_scanned", "refuse"]
