"""Samples of documents: what they take on the server, and what is told of staged copies before any is made."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from document_kit import PROJECT

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import Flat, TextField, VectorField
from rvlstate.model.rewrite import FieldRewrite, Rewrite, Source, VectorShape
from rvlstate.model.transform import Cast
from rvlstate.plan.sample import Sample
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.documents.topology import is_clustered
from rvlstate.runtime.sampling import take_samples

STAGE = "rvlstate:stage:shop.products-0123456789ab:"
DIMS = 384
NEAR = 0.03
"""By what share an estimate of the memory of one copy may be wrong."""


@pytest.fixture(params=["redis_url", "cluster_url"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Both kinds of server."""
    with connect(request.getfixturevalue(request.param)) as opened:
        yield opened


def values(number: int, dims: int = DIMS) -> list[float]:
    """A vector, its components those of float32."""
    chance = random.Random(number)
    return list(struct.unpack(f"<{dims}f", struct.pack(f"<{dims}f", *(chance.gauss(0, 1) for _ in range(dims)))))


def definition(storage: Any, datatype: str, dims: int = DIMS) -> IndexDefinition:
    """An index of titles and vectors."""
    at = "$." if storage == "json" else ""
    vector = VectorField(name="v", identifier=f"{at}v", search=Flat(), dims=dims, datatype=datatype)
    return IndexDefinition(storage=storage, prefixes=("p:",), fields=(TextField(name="t", identifier=f"{at}t"), vector))


def recast(storage: Any, datatype: str) -> Rewrite:
    """The vectors of hashes or JSON in another datatype, staged."""
    before, after = definition(storage, "float32"), definition(storage, datatype)
    at = "$.v" if storage == "json" else "v"
    item = FieldRewrite(
        field="v",
        reads=(Source(identifier=at, kind="vector", shape=VectorShape(datatype="float32", dims=DIMS)),),
        steps=(Cast(),),
        writes=Source(identifier=at, kind="vector", shape=VectorShape(datatype=datatype, dims=DIMS)),
        layout="length",
    )
    return Rewrite(
        id="r1",
        name="p",
        strategy="staged",
        before=before,
        after=after,
        fields=(item,),
        promotion="rename",
        stage=STAGE,
    )


def write(connection: Connection, count: int, storage: str) -> None:
    """Documents, and among them keys of another type."""
    for number in range(count):
        key, title = f"p:{number}", "a title of some length " * (1 + number % 5)
        if storage == "hash":
            blob = struct.pack(f"<{DIMS}f", *values(number))
            connection.keys.hset(key, mapping={"t": title, "v": blob, "n": number})
        else:
            document = {"t": title, "v": values(number), "n": number}
            command(connection.keys, "JSON.SET", key, "$", json.dumps(document))
    for number in range(20):
        connection.keys.set(f"p:other{number}", "x" * 50_000)


def sampled(connection: Connection, rewrite: Rewrite) -> Sample:
    """What a look told."""
    return take_samples(connection, PROJECT, {"p": rewrite})["p"]


def used(connection: Connection, key: str) -> int:
    """What the server says."""
    return int(command(connection.keys, "MEMORY USAGE", key, "SAMPLES", 0))


def copied(connection: Connection, key: str) -> str:
    """A copy beside a document."""
    beside = Beside(project=PROJECT, rewrite="r1", clustered=is_clustered(connection))
    place = f"{STAGE}{{{beside.tag(beside.slot(key.encode()))}}}:{key}"
    command(connection.keys, "COPY", key, place)
    return place


@pytest.mark.parametrize(("datatype", "code"), [("float16", "e"), ("float64", "d")])
def test_the_memory_of_hashes_and_of_their_copies_is_that_of_the_server(
    connection: Connection, datatype: str, code: str
) -> None:
    """Both ways: smaller vectors and larger ones; keys of other types under the prefix are left out."""
    write(connection, 60, "hash")
    found = sampled(connection, recast("hash", datatype))
    keys = [f"p:{number}" for number in range(60)]
    assert found.memory == pytest.approx(sum(used(connection, key) for key in keys) / 60, abs=0.1)
    copies = [copied(connection, key) for key in keys]
    for number, place in enumerate(copies):
        connection.keys.hset(place, "v", struct.pack(f"<{DIMS}{code}", *values(number)))
    assert found.memory_after == pytest.approx(sum(used(connection, place) for place in copies) / 60, rel=NEAR)


def test_the_memory_of_json_documents(connection: Connection) -> None:
    """Half of the dimensions: numbers of JSON take many times what they do in a hash."""
    write(connection, 40, "json")
    rewrite = recast("json", "float32")
    (item,) = rewrite.fields
    shorter = replace(item, writes=replace(item.writes, shape=VectorShape(datatype="float32", dims=DIMS // 2)))  # type: ignore[type-var]
    halved = replace(rewrite, fields=(shorter,), after=definition("json", "float32", DIMS // 2))
    found = sampled(connection, halved)
    copies = [copied(connection, f"p:{number}") for number in range(40)]
    for number, place in enumerate(copies):
        command(connection.keys, "JSON.SET", place, "$.v", json.dumps(values(number, DIMS // 2)))
    assert found.memory > DIMS * 30
    assert found.memory_after == pytest.approx(sum(used(connection, place) for place in copies) / 40, rel=0.1)


@pytest.mark.parametrize(("before", "after"), [("hash", "json"), ("json", "hash")])
def test_the_memory_of_a_change_of_storage(connection: Connection, before: str, after: str) -> None:
    """It is dominated by the vectors, whose sizes are known."""
    rewrite = replace(
        recast("hash", "float32"), fields=(), before=definition(before, "float32"), after=definition(after, "float32")
    )
    write(connection, 40, before)
    found = sampled(connection, rewrite)
    command(connection.keys, "FLUSHALL")
    write(connection, 40, after)
    longer = len(STAGE) + 6
    there = sum(used(connection, f"p:{number}") for number in range(40)) / 40 + longer
    assert found.memory_after == pytest.approx(there, rel=0.15)


def test_where_the_server_may_not_be_asked_nothing_is_said(redis_url: str) -> None:
    """The rest of the sample is told all the same."""
    with connect(redis_url) as connection:
        write(connection, 10, "hash")
        command(connection.search, "ACL SETUSER", "poor", "reset", "on", ">pw", "~*", "+@all", "-memory|usage")
        try:
            with connect(redis_url.replace("://", "://poor:pw@")) as limited:
                found = sampled(limited, recast("hash", "float16"))
        finally:
            command(connection.search, "ACL DELUSER", "poor")
    assert (found.memory, found.memory_after) == (0.0, 0.0)
    assert (found.documents, found.bytes_read) == (10, 4 * DIMS)


def test_nothing_is_known_of_no_documents(connection: Connection) -> None:
    """An empty prefix is no division by zero."""
    assert sampled(connection, recast("hash", "float16")) == Sample()
