"""Stories of changes of documents that meet trouble: memory, disks, the user's own code, other hosts, checks."""

from __future__ import annotations

import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import NewServer
from document_shop import (
    COUNT,
    OTHERS,
    EndedError,
    armed,
    assert_complete,
    configure,
    embedding,
    ends_at,
    ends_while,
    figures,
    kept_beside,
    knn,
    load,
    narrow,
    own_code,
    pending,
    recreate,
    served,
    vectors,
)
from kit import Shop, opened_shop, operations, text
from nursery import Nursery
from observe import documents, index_facts, live_names

from rvlstate.errors import ChangeRefusedError, GateFailedError, RvlstateError, SpecError
from rvlstate.events import Event, StepProgressed, StepStarted

pytest_plugins = ("story_fixtures",)

HALVED = (*OTHERS, embedding("float16"))
WIDER = (*OTHERS, embedding(dims=6))
EMBED = """
import numpy as np


def embed(titles):
    return np.array([[len(title), hash(title) % 7, 1, 2, 3, int(title.split()[1])] for title in titles], np.float32)


def fails(titles):
    for title in titles:
        if title == "shoe 17":
            raise ValueError("no model knows " + title)
    return embed(titles)
"""


def test_dims_change_by_a_callable_only(any_shop: Shop) -> None:
    """Scenario 19: without a transform the plan refuses and says what to declare; with one, all have the new dims."""
    served(any_shop)
    recreate(any_shop)
    any_shop.declare("products", *WIDER)
    with pytest.raises(ChangeRefusedError, match="declare a transform for embedding"):
        any_shop.apply()
    own_code(any_shop, EMBED)
    recreate(any_shop, fields={"embedding": {"transform": "own:embed", "reads": ["title"]}})
    any_shop.apply()
    assert struct.unpack("<6f", vectors(any_shop, 7)[0] or b"")[5] == 7
    assert knn(any_shop, vectors(any_shop, 7)[0] or b"") == [b"products:7"]
    assert any_shop.count() == COUNT
    assert_complete(any_shop)


def test_a_callable_that_raises_shows_its_traceback_and_the_key(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Among the first documents: found by the rehearsal; the index serves, nothing is written, exit 3."""
    served(shop)
    before = documents(shop.client)
    path = own_code(shop, EMBED)
    recreate(shop, fields={"embedding": {"transform": "own:fails", "reads": ["title"]}})
    shop.declare("products", *WIDER)
    from rvlstate.cli.main import run

    assert run(shop.arguments("apply", "--yes")) == 3
    told = capsys.readouterr().err
    assert "products:17" in told
    assert "ValueError: no model knows shoe 17" in told
    assert f'File "{path}", line' in told
    assert "in fails" in told
    assert documents(shop.client) == before
    assert live_names(shop.client) == {"products@1"}
    assert shop.state().rewrites == ()
    assert kept_beside(shop) == []


LATER = """
class fails:
    def __init__(self):
        self.client = redis.from_url(URL)

    def __call__(self, titles):
        if "shoe 17" in titles and self.client.exists("armed"):
            raise ValueError("no model knows shoe 17")
        return embed(titles)

    def close(self):
        self.client.close()
"""


def test_a_callable_that_raises_later_leaves_that_document(shop: Shop) -> None:
    """Not in the rehearsal, but then: the others change, the index serves them, the gate tells; mended, apply ends."""
    served(shop, count=200)
    own_code(shop, EMBED.partition("def fails")[0] + LATER)
    recreate(shop, fields={"embedding": {"transform": "own:fails", "reads": ["title"]}})
    shop.declare("products", *WIDER)
    with pytest.raises(GateFailedError, match="products: 1 of 200 documents cannot be transformed") as caught:
        shop.apply(on_event=armed(shop))
    assert "products:17" in caught.value.why
    assert "no model knows shoe 17" in caught.value.why
    assert shop.count() == 199
    shop.client.hset("products:17", "title", "shoe 18")
    shop.apply()
    assert shop.count() == 200
    assert_complete(shop)


def test_the_users_class_is_set_up_and_torn_down(shop: Shop) -> None:
    """Once each for a run, also when the run fails; at plan time nothing of it is imported."""
    served(shop)
    log = shop.folder / "log"
    own_code(
        shop,
        f"""
from pathlib import Path

LOG = Path({str(log)!r})


def note(word):
    LOG.write_text((LOG.read_text() if LOG.exists() else "") + word + " ")


note("imported")


class Model:
    def __enter__(self):
        note("set-up")
        return self

    def __call__(self, titles):
        return [title.upper() for title in titles]

    def __exit__(self, *error):
        note("torn-down")
""",
    )
    configure(shop, fields={"loud": {"transform": "own:Model", "reads": ["title"]}})
    shop.declare("products", *OTHERS, embedding(), text("loud"))
    plan = shop.plan()
    assert not log.exists()
    assert any(hazard.code == "RUNS_USER_CODE" for hazard in plan.hazards)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("rehearse_rewrite"))
    assert log.read_text() == "imported set-up torn-down "
    shop.apply()
    assert log.read_text() == "imported set-up torn-down " * 2
    assert shop.client.hget("products:7", "loud") == b"SHOE 7"
    assert_complete(shop)


def test_code_that_cannot_be_loaded_stops_before_anything_is_done(shop: Shop) -> None:
    """A missing module is told with its place; the index serves."""
    served(shop)
    recreate(shop, fields={"embedding": {"transform": "own:embed", "reads": ["title"]}})
    shop.declare("products", *WIDER)
    before = documents(shop.client)
    with pytest.raises((SpecError, RvlstateError), match=r"own"):
        shop.apply()
    assert documents(shop.client) == before
    assert shop.count() == COUNT


def test_no_memory_in_the_middle(new_server: NewServer, tmp_path: Path, nursery: Nursery) -> None:
    """Scenario 35: maxmemory is reached while documents are written: it stops; with more memory apply goes on."""
    with opened_shop(tmp_path / "shop", new_server()) as shop:
        served(shop, count=200)
        fields = {"body": {"transform": {"constant": "x" * 4000}}}
        configure(shop, fields=fields, batch_size=20, max_docs_per_second=400)
        shop.declare("products", *OTHERS, embedding(), text("body"))

        def lower(event: Event) -> None:
            if isinstance(event, StepProgressed) and event.phase == "rewriting" and event.done:
                shop.client.config_set("maxmemory", shop.client.info("memory")["used_memory"])

        with pytest.raises(RvlstateError) as caught:
            shop.apply(on_event=lower)
        assert caught.value.exit_code == 1
        assert "memory" in f"{caught.value}"
        written = sum(shop.client.hexists(f"products:{number}", "body") for number in range(200))
        assert 0 < written < 200
        assert shop.count() == 200
        ending = nursery.wait(nursery.run(*shop.arguments("apply", "--yes")))
        assert ending.code != 0
        shop.client.config_set("maxmemory", 0)
        shop.apply()
        assert all(shop.client.hstrlen(f"products:{number}", "body") == 4000 for number in range(200))
        assert_complete(shop)


def test_little_memory_slows_down_and_says_why(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 43: from 85 % of maxmemory on the run is slower and tells why; with more it recovers and ends."""
    with opened_shop(tmp_path / "shop", new_server()) as shop:
        shop.client.setrange("ballast", 40 << 20, "x")  # so that what connections take does not matter
        served(shop, count=100)
        recreate(shop, batch_size=10, max_docs_per_second=100)
        shop.declare("products", *HALVED)
        reasons: list[str] = []

        def tighten(event: Event) -> None:
            if isinstance(event, StepStarted) and event.operation == "rewrite_documents":
                shop.client.config_set("maxmemory", int(shop.client.info("memory")["used_memory"] / 0.88))
            if isinstance(event, StepProgressed) and "memory" in event.why:
                reasons.append(event.why)
                shop.client.config_set("maxmemory", 0)

        shop.apply(on_event=tighten)
        assert reasons
        assert vectors(shop, 0, 99) == [narrow(0), narrow(99)]
        assert_complete(shop)


def test_a_backup_that_cannot_be_kept_is_found_first(shop: Shop) -> None:
    """Scenario 39: a file is where the folder should be: nothing is dropped, nothing written."""
    served(shop)
    (shop.folder / "kept").write_text("a file")
    recreate(shop, backup="kept")
    shop.declare("products", *HALVED)
    before = documents(shop.client)
    with pytest.raises(RvlstateError, match="kept") as caught:
        shop.apply()
    assert caught.value.exit_code != 0
    assert documents(shop.client) == before
    assert live_names(shop.client) == {"products@1"}
    assert shop.count() == COUNT


def test_the_disk_of_the_backup_is_full(shop: Shop) -> None:
    """Scenario 39: it stops where an original could not be kept; what was overwritten is kept, and apply goes on."""
    count = 400
    load(shop, count)
    for number in range(count):
        noise = struct.pack("<4Q", *(hash((number, at)) % 2**64 for at in range(4)))
        shop.client.hset(f"products:{number}", "more", noise)
    shop.declare("products", *OTHERS, embedding())
    shop.apply()
    recreate(shop, backup="kept", batch_size=20, fields={"more": {"transform": "drop"}})
    shop.declare("products", *HALVED)
    program = [str(Path(sys.executable).with_name("rvlstate")), *shop.arguments("apply", "--yes")]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, preexec_fn=lambda: _small_files(9000))
    halved = sum(shop.client.hstrlen(f"products:{number}", "embedding") == 8 for number in range(count))
    assert ended.returncode == 1, ended.stderr
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert halved < count
    assert pending(shop).dropped
    shop.apply()
    assert vectors(shop, 0, count - 1) == [narrow(0), narrow(count - 1)]
    assert shop.count() == count
    assert_complete(shop)


def _small_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_another_host_goes_on_with_other_settings(any_shop: Shop, tmp_path: Path, nursery: Nursery) -> None:
    """Scenario 47: another process, from another checkout, as somebody else, with other batches: the same end."""
    served(any_shop, count=200)
    recreate(any_shop, batch_size=10, max_docs_per_second=400)
    any_shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        any_shop.apply(on_event=ends_while("rewriting", after=50))
    other = tmp_path / "another checkout"
    shutil.copytree(any_shop.folder, other)
    file = other / "rvlstate.yaml"
    file.write_text(file.read_text().replace("batch_size: 10", "batch_size: 64").replace("max_docs", "# max_docs"))
    arguments = ("--project", str(file), "--redis-url", any_shop.url, "apply", "--yes", "--format", "json")
    ending = nursery.wait(nursery.run(*arguments, environ={"GITHUB_ACTOR": "somebody else"}))
    assert ending.code == 0, ending.output
    assert vectors(any_shop, *range(200)) == [narrow(number) for number in range(200)]
    assert any_shop.count() == 200
    assert_complete(any_shop)


def test_an_interrupted_recreate_restores_everything(shop: Shop) -> None:
    """D11, scenario 38: nothing is left of the index but what the state remembers: names, synonyms, definition."""
    settings = {"definition": {"filter": "@price >= 30", "language": "german"}, "aliases": ["wares"]}
    configure(shop, **settings)
    served(shop)
    shop.client.execute_command("FT.SYNUPDATE", "products", "g1", "schuh", "sneaker")
    shop.apply()
    before = index_facts(shop.client, "products")
    recreate(shop, **settings)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_at("drop_index"))
    assert live_names(shop.client) == set()
    assert "drop_index" not in operations(shop.plan())
    shop.apply()
    after = index_facts(shop.client, "products")
    assert {**after, "attributes": 0, "physical": 0} == {**before, "attributes": 0, "physical": 0}
    assert (shop.count(), shop.count(name="wares")) == (30, 30)
    assert_complete(shop)


def test_another_declaration_has_to_wait_for_the_one_that_was_begun(shop: Shop) -> None:
    """After the drop documents may be in either layout: only the change that was begun can be completed."""
    served(shop, count=120)
    recreate(shop, batch_size=10, max_docs_per_second=300)
    shop.declare("products", *HALVED)
    with pytest.raises(EndedError):
        shop.apply(on_event=ends_while("rewriting", after=30))
    shop.declare("products", *OTHERS, embedding("float64"))
    with pytest.raises(ChangeRefusedError, match="being rewritten for another declaration"):
        shop.apply()
    shop.declare("products", *HALVED)
    shop.apply()
    assert vectors(shop, 0, 119) == [narrow(0), narrow(119)]
    assert_complete(shop)


def test_what_the_plan_expected_is_set_against_what_came(shop: Shop) -> None:
    """Documents and bytes, from the sample and from the run, in the report."""
    served(shop)
    recreate(shop)
    shop.declare("products", *HALVED)
    plan = shop.plan()
    impact: Any = plan.indexes[0].impact
    told = figures(shop.apply(plan))
    assert impact.documents_written == told["documents_written"] == COUNT
    assert impact.bytes_written == told["bytes_written"] == COUNT * 8
    assert_complete(shop)
