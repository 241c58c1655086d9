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

    def read(self, keys: Sequence[bytes], fields: Sequence[bytes]) -> list[list[bytes] | None]:
        """The fields of hashes, which are watched from before on; None for a key that has not all of them.

        No script reads them: that would cost the server three times as much.
        """
        begun = self._connection.pack_commands([("UNWATCH",), ("WATCH", *keys)])
        # Packed by hand: the library takes longer to pack so many commands than the server to carry them out.
        tail = b"".join(b"$%d\r\n%s\r\n" % (len(field), field) for field in fields)
        head = b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2)
        reads = b"".join([b"%s$%d\r\n%s\r\n%s" % (head, len(key), key, tail) for key in keys])
        self._connection.send_packed_command([*begun, reads])
        _, watched, *found = [self._reply() for _ in range(len(keys) + 2)]
        if isinstance(watched, Exception):
            return [None] * len(keys)
        return [values if isinstance(values, list) and None not in values else None for values in found]

    def lengths(self, keys: Sequence[bytes], fields: Sequence[bytes]) -> list[list[int]]:
        """How long the fields of hashes are, 0 for what is not there; nothing is watched, and no value is sent."""
        questions = [b"$%d\r\n%s\r\n" % (len(field), field) for field in fields]
        head = b"*3\r\n$7\r\nHSTRLEN\r\n"
        asked = [b"%s$%d\r\n%s\r\n%s" % (head, len(key), key, field) for key in keys for field in questions]
        self._connection.send_packed_command([b"".join(asked)])
        replies = [reply if isinstance(reply := self._reply(), int) else 0 for _ in asked]
        return [replies[start : start + len(fields)] for start in range(0, len(replies), len(fields))]

    def write(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """The replies of a script that writes; none of its calls was carried out if a watched key was touched."""
        commands = [("EVALSHA", script.sha, len(keys), *keys, *arguments) for keys, arguments in calls]
        *_, replies = self._send([("MULTI",), *commands, ("EXEC",)])
        return replies if isinstance(replies, list) else [None] * len(calls)

    def _send(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except redis.ResponseError as error:
            return error
