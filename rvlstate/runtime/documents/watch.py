"""Optimistic transactions: keys are watched while they are read, and written only if none was touched since."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import redis

from rvlstate.runtime.documents.scripts import Script

if TYPE_CHECKING:
    from typing_extensions import Self  # in the standard library from 3.11 on

Call: TypeAlias = "tuple[Sequence[bytes], Sequence[bytes]]"


class Watch:
    """One connection to a node of its own, as a context manager; what it watches is forgotten at the end.

    Cheaper than a digest of every value, which the server would have to make; worth nothing where many write. A reply
    that is no list of answers says nothing about what was written: the guarded way has to be taken then.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None

    def __enter__(self) -> Self:
        self._connection = self._pool.get_connection()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._send([("UNWATCH",)])
            else:
                self._connection.disconnect()
        finally:
            self._pool.release(self._connection)

    def read(self, keys: Sequence[bytes], script: Script, calls: Sequence[Call]) -> list[Any] | None:
        """The replies of a script that reads documents, which are watched from before on; None if any was refused."""
        replies = self._send([("UNWATCH",), ("WATCH", *keys), *_scripts(script, calls)])
        return None if any(isinstance(reply, Exception) for reply in replies) else replies[2:]

    def write(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """The replies of a script that writes; none of its calls was carried out if a watched key was touched."""
        *_, replies = self._send([("MULTI",), *_scripts(script, calls), ("EXEC",)])
        return replies if isinstance(replies, list) else [None] * len(calls)

    def _send(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except redis.ResponseError as error:
            return error


def _scripts(script: Script, calls: Sequence[Call]) -> list[Sequence[Any]]:
    return [("EVALSHA", script.sha, len(keys), *keys, *arguments) for keys, arguments in calls]
