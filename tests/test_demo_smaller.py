"""The demo's last act: its checks find what is wrong, its workers count and end as they must, its recall is exact."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import yaml
from redisvl.index import SearchIndex
from servers import connected, eventually

from rvlstate.demo import story
from rvlstate.demo.airports import Document, airports, embed
from rvlstate.demo.check import Copies, Verdict, copies_now, memory_now, recall_now, verdict_on
from rvlstate.demo.live import Worker, view_line
from rvlstate.demo.querier import Querier
from rvlstate.demo.smaller import make_smaller
from rvlstate.demo.stage import DemoFailedError, quickstart, staged
from rvlstate.demo.truth import Truth, vector_of
from rvlstate.demo.vectors import NEW, OLD, PREFIX, datatype_now, encoded
from rvlstate.demo.writer import UNTOUCHED, Writer, touched
from rvlstate.runtime.embedded import EmbeddedServer

TABLE = airports()[:60]
CLEAN = Verdict(lost=(), not_found=(), left_over=())


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Sixty airports in float16 with their index, a writer of them, and what it noted; `raw` speaks RESP 2."""

    server: EmbeddedServer
    client: Any
    raw: Any
    writer: Writer
    truth: Truth
    journal: Path

    def verdict(self) -> Verdict:
        """The check, once the index has followed."""
        self.truth.follow(self.journal)
        return verdict_on(self.server.url, self.truth)


def create_index(url: str, datatype: str) -> SearchIndex:
    """The index of the quickstart, empty, with vectors of a datatype."""
    schema = yaml.safe_load((quickstart() / "indexes" / "airports.yaml").read_text(encoding="utf-8"))
    next(field for field in schema["fields"] if field["name"] == "embedding")["attrs"]["datatype"] = datatype.lower()
    index = SearchIndex.from_dict(schema, redis_url=url)
    index.create(overwrite=True)
    return index


def key_of(airport: Document) -> str:
    """Where an airport of the table is stored."""
    return f"{PREFIX}{airport['iata']!s}"


@pytest.fixture
def world(redis_url: str, server: EmbeddedServer, tmp_path: Path) -> Iterator[World]:
    """All documents are in the new layout, and the writer has seen the cutover long ago."""
    create_index(redis_url, NEW).disconnect()
    journal = tmp_path / "written.jsonl"
    table = [{name: value for name, value in row.items() if not isinstance(value, bytes)} for row in TABLE]
    decoding: Any = redis.from_url(redis_url, protocol=3, decode_responses=True)
    with decoding as client, connected(server, protocol=2) as raw, journal.open("w") as log:
        for airport in table:
            vector = encoded(vector_of(airport), NEW)
            client.hset(f"{PREFIX}{airport['iata']}", mapping={**airport, "embedding": vector})
        names = [str(airport["name"]) for airport in table]
        writer = Writer(client=client, journal=log, there=table, names=names, cutover=float("-inf"))
        yield World(server=server, client=client, raw=raw, writer=writer, truth=Truth(TABLE), journal=journal)


def test_what_was_written_last_is_there(world: World) -> None:
    """Changes, removals and documents that came back: the server is as the journal says, and every write is in it."""
    for _ in range(300):
        world.writer.step()
    assert world.verdict() == CLEAN
    assert world.truth.writes == world.writer.writes == 300
    assert world.writer.gone
    assert len(world.truth.documents) == len(TABLE) - len(world.writer.gone)


def lose_an_update(client: Any, key: str) -> None:
    """An earlier name takes the place of a later one."""
    client.hset(key, "name", "as it was before")


def lose_a_vector(client: Any, key: str) -> None:
    """The fields are those of the last write, and the vector is that of another one."""
    client.hset(key, "embedding", encoded(embed("as it was before"), NEW))


def stay_old(client: Any, key: str) -> None:
    """A document was left in the old layout."""
    client.hset(key, "embedding", np.zeros(64, "<f4").tobytes())


def lose_a_document(client: Any, key: str) -> None:
    """A document that was written is not there."""
    client.unlink(key)


@pytest.mark.parametrize(
    ("harm", "found"), [(lose_an_update, True), (lose_a_vector, True), (stay_old, False), (lose_a_document, False)]
)
def test_a_lost_update_is_found(world: World, harm: Callable[[Any, str], None], found: bool) -> None:
    """One document that is not what was written last is one lost update, and is named."""
    for _ in range(50):
        world.writer.step()
    key = f"{PREFIX}{world.writer.there[-1]['iata']}"
    harm(world.client, key)
    assert world.verdict() == Verdict(lost=(key,), not_found=() if found else (key,), left_over=())


def test_a_resurrection_and_a_left_over_copy_are_found(world: World) -> None:
    """What was removed is to stay removed, and nothing of a change is to stay."""
    while not world.writer.gone:
        world.writer.step()
    key, copy = f"{PREFIX}{world.writer.gone[-1]['iata']}", "rvlstate:stage:quickstart.airports-1:{0}:airport:ORD"
    world.client.hset(key, "embedding", encoded(embed("back again"), NEW))
    world.client.hset(copy, "name", "a copy")
    assert world.verdict() == Verdict(lost=(key,), not_found=(key,), left_over=(copy,))
    assert copies_now(world.raw) == Copies(staged=1, converted=len(world.truth.documents) + 1)


def test_a_line_that_is_not_whole_is_read_later(world: World) -> None:
    """A reader beside the writer never takes in half a line."""
    line = json.dumps({"iata": "ORD", "airport": None})
    world.journal.write_text(line[:9], encoding="utf-8")
    world.truth.follow(world.journal)
    assert world.truth.writes == 0
    world.journal.write_text(f"{line}\n", encoding="utf-8")
    world.truth.follow(world.journal)
    assert world.truth.writes == 1


def test_late_writes_are_those_of_one_second_behind_the_cutover(world: World) -> None:
    """Before the cutover all is float32; the writer sees the cutover by the index; then a half follows later."""
    world.writer.cutover = 0.0
    create_index(world.server.url, OLD).disconnect()
    world.writer.step()
    assert (datatype_now(world.client), world.writer.cutover) == (OLD, 0.0)
    create_index(world.server.url, NEW).disconnect()
    eventually(lambda: all_new(world.writer) is False)
    eventually(lambda: all_new(world.writer))


def all_new(writer: Writer) -> bool:
    """Whether twenty writes in a row were none of them in the old layout."""
    before = writer.old_after_cutover
    for _ in range(20):
        writer.step()
    return writer.old_after_cutover == before


def test_the_writer_leaves_every_third_airport_alone() -> None:
    """So the answer about these is known at every moment."""
    steady = {airport["iata"] for airport in airports()[::UNTOUCHED]}
    assert steady.isdisjoint(airport["iata"] for airport in touched())
    assert len(touched()) > 2_000


@pytest.fixture
def querier(world: World) -> Querier:
    """A querier of the same sixty airports, which begins with float32."""
    return Querier(client=world.raw, truth=world.truth)


def test_the_encoding_follows_the_index(world: World, querier: Querier) -> None:
    """The first query is sent twice, which is no failure, and the others once; a change back is followed as well."""
    querier.similar("lake")
    querier.similar("lake")
    assert (querier.queries, querier.encoded_anew, querier.errors, querier.empty) == (2, 1, {}, 0)
    assert querier.recalls == querier.measured == 2
    create_index(world.server.url, OLD).disconnect()
    world.client.hset(key_of(TABLE[0]), "embedding", encoded(embed("lake"), OLD))
    querier.similar("lake")
    assert (querier.encoded_anew, querier.errors) == (2, {})


def test_failures_and_empty_answers_are_counted(world: World, querier: Querier) -> None:
    """An index that does not answer, or not with what is there, is seen."""
    querier.by_code("ORD of nowhere")
    assert (querier.empty, querier.errors.total()) == (1, 0)
    world.client.execute_command("FT.DROPINDEX", "airports")
    querier.similar("lake")
    querier.by_code(str(TABLE[0]["iata"]))
    assert (querier.queries, querier.empty, querier.errors.total(), querier.encoded_anew) == (3, 1, 2, 0)


def test_recall_falls_when_neighbours_are_missing(world: World) -> None:
    """Recall is measured against what must be there, and not against what is."""
    assert recall_now(world.server.url, world.truth) > 0.99
    before = memory_now(world.server.url)
    for airport in TABLE[::2]:
        world.client.unlink(key_of(airport))
    assert 0.3 < recall_now(world.server.url, world.truth) < 0.7
    assert memory_now(world.server.url) < before


def test_recall_is_that_of_a_search_by_hand() -> None:
    """The exact neighbours come from all vectors, changed and removed ones included; an answer counts once."""
    truth, chance = Truth(TABLE), random.Random(3)
    truth.put(str(TABLE[0]["iata"]), None)
    truth.put("NEW", {"iata": "NEW", "name": "Bay of Springs", "city": "Springfield"})
    question = embed("bay springs")
    near = {
        code: float(np.frombuffer(vector_of(airport), "<f4") @ np.frombuffer(question, "<f4"))
        for code, airport in truth.documents.items()
    }
    ranked = sorted(near, key=lambda code: -near[code])
    assert near[ranked[9]] > near[ranked[10]]
    assert ranked[0] == "NEW"
    assert truth.recall(question, ranked[:10]) == 1.0
    assert truth.recall(question, [*ranked[:7], *ranked[-3:]]) == 0.7
    assert truth.recall(question, [ranked[0]] * 10) == 0.1
    assert truth.recall(question, [*chance.sample(ranked[10:], 9), str(TABLE[0]["iata"])]) == 0.0


def test_a_worker_works_until_it_is_stopped(world: World) -> None:
    """It reports as it goes, and its last report is whole."""
    with Worker("querier", world.server.url, world.journal) as worker:
        eventually(lambda: worker.report["queries"] > 10)
        last = worker.stop()
    assert last["queries"] > 10
    assert last["measured"] + last["empty"] > 0


def test_a_worker_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A demo without a writer shows nothing, so it ends there."""
    with Worker("writer", "redis://127.0.0.1:1", tmp_path / "log") as worker:
        with pytest.raises(DemoFailedError, match="the writer has done nothing"):
            _ = worker.report
        with pytest.raises(DemoFailedError, match="the writer exited with 1"):
            worker.stop()
    assert "ConnectionError" in capfd.readouterr().err


def test_the_view_shows_what_came_since_the_last_line() -> None:
    """Rates and recall are those of the last second, failures are all so far."""
    before = {"queries": 100, "errors": {}, "empty": 0, "recalls": 50.0, "measured": 50, "writes": 10}
    now = {"queries": 300, "errors": {"no": 2}, "empty": 1, "recalls": 130.0, "measured": 150, "writes": 110}
    assert view_line(before, now, 2.0, Copies(staged=3_376, converted=7)) == (
        "    |  100 queries/s, 2 failed, 1 empty, recall 0.80 |  50 writes/s | 3,376 staged,     7 in float16"
    )
    assert "no recall yet" in view_line(now, now, 1.0, Copies(staged=0, converted=0))


@pytest.mark.timeout(300)
def test_an_update_that_is_lost_in_the_act_breaks_it(server_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole act on a real server, with one document changed by hand before it is checked: that one is named."""
    told = io.StringIO()

    key = key_of(airports()[0])  # one of those that the writer leaves alone

    def harmed(url: str, truth: Truth) -> Verdict:
        with redis.from_url(url) as client:
            client.hset(key, "name", "as it was before")
        return verdict_on(url, truth)

    monkeypatch.setattr("rvlstate.demo.smaller.verdict_on", harmed)
    with staged(server_root / "harmed", told, keep=False) as stage:
        story._load(stage, story.Outcome())
        story._import(stage)
        outcome = make_smaller(stage)
    assert outcome.verdict == Verdict(lost=(key,), not_found=(), left_over=())
    assert [what for what, holds in outcome.expected().items() if not holds] == ["no update was lost"]
    assert "1 lost" in told.getvalue().replace("\n", " ")
