"""The end of what a rewrite kept beside the documents: digests, and staged copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.cluster import RedisCluster

from rvlstate.model.canonical import STAGED
from rvlstate.runtime.connect import Connection
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.calls import by_slot
from rvlstate.runtime.documents.fence import Fence
from rvlstate.runtime.documents.node import RAW, REDIRECTED, Node, OtherServerError, refuse
from rvlstate.runtime.documents.scan import START, Wanted, scan_page
from rvlstate.runtime.documents.scripts import made_of
from rvlstate.runtime.documents.topology import migrating_slots, moved_slots, primaries
from rvlstate.runtime.documents.watch import Call

AT_ONCE = 1000
COPIES_AT_ONCE = 64
"""Copies that one batch removes: under a live index of vectors that takes the server about 20 ms."""


def remove_copies(
    connection: Connection, beside: Beside, stage: str, *, admit: Callable[[int], None], fence: Fence
) -> None:
    """Unlink everything under the prefix of staged copies, in small batches, each admitted and behind the fence."""
    if not stage.startswith(STAGED):  # whatever the state says: nothing else is ever removed by its prefix
        return
    wanted = Wanted(prefixes=(stage.encode("utf-8", "surrogateescape"),), beside=beside, ours=True)
    found = primaries(connection)
    while True:
        for primary in found:
            _remove_all(Node(connection, primary.client), wanted, admit, fence)
        before, found = found, primaries(connection)
        if not moved_slots(before, found) | migrating_slots(found):
            return


def _remove_all(node: Node, wanted: Wanted, admit: Callable[[int], None], fence: Fence) -> None:
    cursor, run_id = START, node.run_id()
    while True:
        try:
            page = scan_page(node, wanted, cursor, run_id)
        except OtherServerError:
            cursor, run_id = START, node.run_id()
            continue
        for start in range(0, len(page.keys), COPIES_AT_ONCE):
            keys = page.keys[start : start + COPIES_AT_ONCE]
            admit(len(keys))
            fence.guard()
            slots = sorted((wanted.beside.slot(key), key) for key in keys)
            calls: list[Call] = [([key for _, key in group], []) for group in by_slot(slots, COPIES_AT_ONCE)]
            fence.run(node, made_of("fence", "unlink"), calls)
        cursor = page.cursor
        if cursor == START:
            return


def remove_marks(connection: Connection, beside: Beside) -> None:
    """Unlink the digests of every slot: by their names, since looking for them would scan all documents."""
    for primary in primaries(connection):
        keys = [key for slot, key in beside.all_marks() if primary.slots is None or slot in primary.slots]
        for start in range(0, len(keys), AT_ONCE):
            _unlink(connection, primary.client, keys[start : start + AT_ONCE])


def _unlink(connection: Connection, client: Any, keys: list[bytes]) -> None:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("UNLINK", key, **RAW)
    for key, reply in zip(keys, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(reply, REDIRECTED) and isinstance(connection.keys, RedisCluster):
            cluster: Any = connection.keys
            cluster.execute_command("UNLINK", key)
        else:
            refuse(("UNLINK",), reply)
