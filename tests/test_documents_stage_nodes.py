"""A staged change on two nodes of a cluster, each of which searches its own documents: staged, written to, promoted."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from document_kit import STAGE, cast, floats, leftovers, staged, sweep, worker
from raw_servers import eventually, two_nodes
from redis.crc import key_slot

from rvlstate.runtime.connect import connect
from rvlstate.runtime.documents.beside import slot_tags

COUNT = 400
HALF = 8192
QUERY = ("*=>[KNN 1000 @v $p]", "PARAMS", 2, "p", floats(1, 2, 3, 4, form="e"), "NOCONTENT", "LIMIT", 0, 1000)


def index_of(node: int) -> str:
    """The name of the index of a node, in a slot of it: without a coordinator it counts as a key."""
    return f"{{{slot_tags()[node * HALF]}}}@2"


def answers(client: Any, node: int) -> set[bytes]:
    """What a node finds by vectors of the new layout."""
    return set(client.execute_command("FT.SEARCH", index_of(node), *QUERY, "DIALECT", 2)[1:])


def own(written: dict[str, bytes], node: int) -> set[bytes]:
    """The documents of a node."""
    return {key.encode() for key in written if key_slot(key.encode()) // HALF == node}


def _is_built(client: Any, node: int, count: int) -> bool:
    return len(answers(client, node)) == count


@pytest.mark.requires("float16_vectors")
def test_each_node_answers_with_its_own_documents(tmp_path: Path) -> None:
    """Old and new layouts written between copies and promotion; every last write ends in the new layout, found once."""
    with ExitStack() as stack:
        ports = stack.enter_context(two_nodes(tmp_path))
        clients: list[Any] = [stack.enter_context(redis.Redis(port=port, protocol=2)) for port in ports]
        connection = stack.enter_context(connect(f"redis+cluster://127.0.0.1:{ports[0]}"))
        keys: Any = connection.keys
        written = {f"doc:{number}": floats(number, 1, 2, 3, form="e") for number in range(COUNT)}
        for number in range(COUNT):
            keys.hset(f"doc:{number}", mapping={"v": floats(number, 1, 2, 3), "n": number})
        first = connection.search.connection_pool.connection_kwargs["port"]
        rewrite = replace(staged(cast(documents=COUNT)), target=index_of(ports.index(first)))
        assert sweep(connection, rewrite, mode="stage").written == COUNT
        for node, client in enumerate(clients):
            vector = ("v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT16", "DIM", 4, "DISTANCE_METRIC", "L2")
            client.execute_command("FT.CREATE", index_of(node), "PREFIX", 2, STAGE, "doc:", "SCHEMA", *vector)
            eventually(partial(_is_built, client, node, len(own(written, node))))
        for number in range(0, COUNT, 3):
            keys.hset(f"doc:{number}", "v", floats(number, 5, 5, 5))
            written[f"doc:{number}"] = floats(number, 5, 5, 5, form="e")
        for number in range(1, COUNT, 3):
            keys.hset(f"doc:{number}", "v", floats(number, 7, 7, 7, form="e"))
            written[f"doc:{number}"] = floats(number, 7, 7, 7, form="e")
        for number in range(2, COUNT, 9):
            keys.delete(f"doc:{number}")
            del written[f"doc:{number}"]
        while sweep(connection, rewrite, mode="promote").unsettled:
            pass
        worker(connection).tidy(rewrite)
        assert {f"doc:{n}": keys.hget(f"doc:{n}", "n") for n in range(COUNT) if keys.exists(f"doc:{n}")}.keys() == (
            written.keys()
        )
        for node, client in enumerate(clients):
            mine = own(written, node)
            assert {key: client.hget(key, "v") for key in mine} == {key: written[key.decode()] for key in mine}
            assert answers(client, node) == mine
            assert leftovers(client) == []
