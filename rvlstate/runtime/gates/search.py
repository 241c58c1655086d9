"""Questions to one index: how many documents a query finds, what is nearest to a vector, which documents it holds.

One command at a time: the server answers a pipeline of searches in one go, and lets everybody else wait meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from redis import RedisError, ResponseError
from redis.client import NEVER_DECODE

from rvlstate.errors import GateFailedError
from rvlstate.runtime.connect import Connection, as_pairs, command
from rvlstate.runtime.gates.copies import NO_COPIES, Copies
from rvlstate.runtime.server_errors import is_permission, is_unavailable, is_unknown_index
from rvlstate.runtime.stop import StopRequest

PATIENCE_MILLISECONDS = 20_000
"""The server's own limit, 500 ms, cuts answers short without a word on RESP2 (less than the time of a connection)."""

DISTANCE = "rvlstate_distance"
"""What the distance is called in a query; the server refuses the name of a field of the index."""

CURSOR_ROWS = 500
PAGE_KEYS = 5_000
MOST_OFFSET = 990_000
"""FT.SEARCH pages through a million documents and no more; FT.AGGREGATE has no such limit."""

LIMITS = ("TIMEOUT", str(PATIENCE_MILLISECONDS), "DIALECT", "2")

Row = tuple[str, bytes | None]
"""A key, and the value that was loaded with it."""


class Search:
    """Asks one index, by its physical name or an alias; `stop` is asked before each question.

    All keys, given and told, are those of documents, also where the index holds `copies` of them: a document that is
    there together with its copy is told twice. Raises GateFailedError when the index is gone or does not answer in
    time, InterruptedRunError.
    """

    def __init__(self, connection: Connection, index: str, stop: StopRequest, copies: Copies = NO_COPIES) -> None:
        self.index = index
        self._copies = copies
        self._connection = connection
        self._stop = stop

    def count(self, query: str) -> int:
        """How many documents a query finds. Raises GateFailedError with the server's words if it refuses the query."""
        try:
            reply = self._ask("FT.SEARCH", self.index, query, "LIMIT", "0", "0", *LIMITS)
        except ResponseError as error:
            if is_permission(error) or is_unavailable(error):
                raise
            raise GateFailedError(
                f"the query of a check is refused: {query}",
                why=f"Asked for it on {self.index}, the server replied: {error}",
                next_step="mend the query under checks in the project file, then make a new plan.",
            ) from error
        return int(_total(reply))

    def nearest(self, field: str, blob: bytes, k: int) -> tuple[tuple[str, float], ...]:
        """The k documents that the index finds nearest to a vector, nearest first, with their distances."""
        query = f"*=>[KNN $k @{escaped(field)} $vector AS {DISTANCE}]"
        parameters = ("PARAMS", "4", "k", str(k), "vector", blob)
        # The sort keys hold the distance also where documents cannot be loaded: a cluster without coordinator.
        order = ("SORTBY", DISTANCE, "NOCONTENT", "WITHSORTKEYS", "LIMIT", "0", str(k))
        reply = self._ask("FT.SEARCH", self.index, query, *parameters, *order, *LIMITS)
        if isinstance(reply, list):
            found = tuple((key, _distance(shown)) for key, shown in zip(reply[1::2], reply[2::2], strict=True))
        else:
            found = tuple((row["id"], _distance(row["sortkey"])) for row in reply["results"])
        return tuple((self._copies.document(key), distance) for key, distance in found)

    def keys(self, offset: int, limit: int) -> tuple[str, ...]:
        """The keys of `limit` documents, in the order in which the index holds them."""
        where = ("LIMIT", str(offset), str(limit))
        reply = self._ask("FT.AGGREGATE", self.index, "*", *where, "LOAD", "1", "@__key", *LIMITS)
        rows = [_loaded(row) for row in _rows(reply)]
        if all("__key" in row for row in rows):
            return tuple(self._copies.document(row["__key"]) for row in rows)
        where = ("LIMIT", str(min(offset, MOST_OFFSET)), str(limit))
        return self._found(self._ask("FT.SEARCH", self.index, "*", "NOCONTENT", *where, *LIMITS))

    def members(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of `keys` that the index holds."""
        if not keys:
            return frozenset()
        places = [place for key in keys for place in self._copies.places(key)]
        count = str(len(places))
        reply = self._ask(
            "FT.SEARCH", self.index, "*", "INKEYS", count, *places, "NOCONTENT", "LIMIT", "0", count, *LIMITS
        )
        return frozenset(self._found(reply))

    def values(self, field: str) -> Iterator[list[Row]] | None:
        """All documents in batches, each with the value of a field; None where the server cannot load them."""
        load = ("LOAD", "4", "@__key", f"@{field}", "AS", "value")
        cursor = ("WITHCURSOR", "COUNT", str(CURSOR_ROWS))
        reply, position = self._ask("FT.AGGREGATE", self.index, "*", *load, *cursor, *LIMITS, raw=True)
        batch = [_loaded(row) for row in _rows(reply)]
        if not all(b"__key" in row for row in batch):
            self._close(position)
            return None
        return self._read_on(batch, position)

    def pages(self, documents: int) -> Iterator[tuple[str, ...]]:
        """The keys of all documents in batches: slower than `values`, and possible where that is not."""
        for offset in range(0, documents, PAGE_KEYS):
            where = ("NOCONTENT", "LIMIT", str(offset), str(PAGE_KEYS))
            yield self._found(self._ask("FT.SEARCH", self.index, "*", *where, *LIMITS))

    def _read_on(self, batch: list[dict[Any, Any]], position: int) -> Iterator[list[Row]]:
        try:
            while True:
                loaded = [row for row in batch if b"__key" in row]
                yield [(self._copies.document(_text(row[b"__key"])), row.get(b"value")) for row in loaded]
                if not position:
                    return
                reply, position = self._ask("FT.CURSOR", "READ", self.index, position, raw=True)
                batch = [_loaded(row) for row in _rows(reply)]
        finally:
            self._close(position)

    def _close(self, position: int) -> None:
        if not position:
            return
        with suppress(RedisError):  # it ends by itself, and may have gone with the index or the connection
            command(self._connection.search, "FT.CURSOR", "DEL", self.index, position)

    def _found(self, reply: Any) -> tuple[str, ...]:
        keys = reply[1:] if isinstance(reply, list) else [row["id"] for row in reply["results"]]
        return tuple(map(self._copies.document, keys))

    def _ask(self, *parts: str | bytes | int, raw: bool = False) -> Any:
        self._stop.check()
        try:
            reply = self._connection.reading_from(self._connection.search, partial(_sent, parts, raw=raw))
        except ResponseError as error:
            if not is_unknown_index(error):
                raise
            raise GateFailedError(
                f"{self.index} cannot be checked: it is gone",
                why=f"Somebody dropped it meanwhile; the server replied: {error}",
                next_step="find out who drops indexes meanwhile, then run plan again.",
            ) from error
        _refuse_cut_short(self.index, reply)
        return reply


def escaped(field: str) -> str:
    """The name of a field as a query must spell it."""
    return "".join(char if char.isalnum() or char == "_" or not char.isascii() else f"\\{char}" for char in field)


def _sent(parts: Sequence[str | bytes | int], client: Any, *, raw: bool) -> Any:
    return client.execute_command(*parts, **({NEVER_DECODE: ""} if raw else {}))


def _refuse_cut_short(index: str, reply: Any) -> None:
    """A map of RESP3 says that the time was over; figures of a part would be taken for those of the whole."""
    answer = reply[0] if isinstance(reply, list) and reply and isinstance(reply[0], dict) else reply
    warnings = (answer.get("warning") or answer.get(b"warning")) if isinstance(answer, dict) else None
    if warnings:
        raise GateFailedError(
            f"{index} did not answer a check in full",
            why=f"The server warned: {'; '.join(_text(item) for item in warnings)}",
            next_step="run apply again when the server has less to do.",
        )


def _total(reply: Any) -> Any:
    return reply[0] if isinstance(reply, list) else reply["total_results"]


def _rows(reply: Any) -> list[Any]:
    """The rows of an answer of FT.AGGREGATE, without the count in front."""
    if isinstance(reply, list):
        return reply[1:]
    rows: list[Any] = reply["results"] if "results" in reply else reply[b"results"]
    return rows


def _loaded(row: Any) -> dict[Any, Any]:
    """What was loaded of one document; {} where the server could not."""
    if isinstance(row, dict) and ("extra_attributes" in row or b"extra_attributes" in row):
        row = row.get("extra_attributes") or row.get(b"extra_attributes")
    return as_pairs(row) if row else {}


def _distance(shown: str) -> float:
    """The number of a sort key: `#0.25`."""
    return float(shown.removeprefix("#"))


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
