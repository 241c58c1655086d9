"""Documents change while applications write and queries are answered: nothing is lost and nobody notices.

`live_checker` knows every write. `tests/soak` has the full length.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NewServer
from kit import Shop, opened_shop
from live import Load
from live_documents import Kind
from live_story import (
    AT_ONCE,
    ROLLING,
    assert_nothing_lost,
    assert_unnoticed,
    at_work,
    declare_change,
    killed_until_done,
    serve,
    subscriptions_cut,
)
from nursery import Nursery
from observe import eventually, resolves_to
from servers import start_server

pytest_plugins = ("story_fixtures",)

HALVED = Load()
OTHERS = replace(HALVED, documents=1500)
KEPT = {"appendonly": "yes", "appendfsync": "always"}
NOTIFIED = {"off": "", "on": "KEA", "cut": "KEA"}

Record = Callable[[str, object], None]


@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize("naming", ["alias", "plain"])
def test_vectors_are_halved_while_all_go_on(shop: Shop, naming: str, record_property: Record) -> None:
    """Through an alias, and where the name is an index itself until the cutover; the new program comes with it."""
    serve(shop, HALVED, naming=naming)
    declare_change(shop, HALVED)
    with at_work(shop, HALVED, *AT_ONCE) as (_, outcomes):
        report = shop.apply()
    record_property("outcome", outcomes[0].line)
    assert report.plan_empty
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])
    assert outcomes[0].observed.seen.encoding_switches >= HALVED.queriers


@pytest.mark.requires("float16_vectors")
def test_a_rolling_deployment_ends_in_the_new_layout(shop: Shop, record_property: Record) -> None:
    """From the cutover on some write the new layout and some the old one, the same documents too."""
    serve(shop, HALVED)
    declare_change(shop, HALVED)
    with at_work(shop, HALVED, *ROLLING) as (_, outcomes):
        shop.apply()
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])


@pytest.mark.parametrize("kind", ["rename", "dims", "json", "prefix"])
def test_other_changes_of_documents_go_unnoticed(shop: Shop, kind: Kind, record_property: Record) -> None:
    """A field under another name, another model's vectors, another type of key, another key."""
    load = replace(OTHERS, kind=kind)
    serve(shop, load)
    declare_change(shop, load)
    with at_work(shop, load, *ROLLING) as (_, outcomes):
        shop.apply()
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])


@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize("kind", ["dtype", "rename"])
def test_killed_again_and_again(shop: Shop, kind: Kind, nursery: Nursery, record_property: Record) -> None:
    """The tool is killed at random moments and run again; both promotions."""
    load = replace(OTHERS, kind=kind)
    serve(shop, load)
    declare_change(shop, load, batch_size=100)
    with at_work(shop, load, *ROLLING) as (_, outcomes):
        kills = killed_until_done(shop, nursery, kills=6, longest=1.5)
    outcome = replace(outcomes[0], kills=kills)
    record_property("outcome", outcome.line)
    assert kills >= 2
    assert_nothing_lost(shop, outcome)
    assert_unnoticed(outcome)


@pytest.fixture
def kept_shop(request: pytest.FixtureRequest, new_server: NewServer, tmp_path: Path) -> Iterator[Shop]:
    """A shop on a server of its own, which keeps every write; the parameter tells about notifications."""
    options = {**KEPT, "notify-keyspace-events": NOTIFIED[request.param]}
    server = new_server(options=options)
    with ExitStack() as stack, opened_shop(tmp_path / "shop", server) as shop:
        if request.param == "cut":
            stack.enter_context(subscriptions_cut(shop))
        yield shop


def restarted(shop: Shop, options: dict[str, str]) -> None:
    """The server crashes and comes back."""
    os.kill(shop.client.info("server")["process_id"], signal.SIGKILL)
    start_server(Path(shop.url.removeprefix("unix://")).parent, options=options)


@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize(
    ("kept_shop", "moment"),
    [
        pytest.param("off", "copied", marks=pytest.mark.soak),
        ("on", "cut over"),
        pytest.param("cut", "copied", marks=pytest.mark.soak),
    ],
    indirect=["kept_shop"],
)
def test_the_server_crashes_and_comes_back(
    kept_shop: Shop, moment: str, nursery: Nursery, record_property: Record
) -> None:
    """With notifications off, on, and cut; what was being written at that moment may have been done or not."""
    shop = kept_shop
    serve(shop, OTHERS)
    declare_change(shop, OTHERS, batch_size=50)
    before = resolves_to(shop.client, "products")

    def reached() -> bool:
        if moment == "copied":
            return next(shop.client.scan_iter("rvlstate:stage:*", count=10_000), None) is not None
        return resolves_to(shop.client, "products") != before

    options = {**KEPT, "notify-keyspace-events": shop.client.config_get("notify*")["notify-keyspace-events"]}
    with at_work(shop, OTHERS, *ROLLING) as (_, outcomes):
        pid = nursery.run(*shop.arguments("apply", "--yes"))
        eventually(reached, what=f"that documents are {moment}")
        restarted(shop, options)
        ending = nursery.wait(pid)
        if ending.code:
            shop.apply()
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert outcomes[0].observed.written.told["uncertain"] > 0


@pytest.mark.requires("float16_vectors")
@pytest.mark.parametrize(
    "kept_shop",
    [*(pytest.param(kind, marks=pytest.mark.soak) for kind in ("off", "on")), "cut"],  # as the stories above have them
    indirect=True,
)
def test_notifications_change_nothing_but_time(kept_shop: Shop, record_property: Record) -> None:
    """Off, on, and cut ten times a second."""
    serve(kept_shop, OTHERS)
    declare_change(kept_shop, OTHERS)
    with at_work(kept_shop, OTHERS, *ROLLING) as (_, outcomes):
        kept_shop.apply()
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(kept_shop, outcomes[0])
    assert_unnoticed(outcomes[0])


def test_an_index_alone_changes_under_the_same_eyes(shop: Shop, record_property: Record) -> None:
    """No document changes: clients, checker and story agree with what has long been proven."""
    load = replace(OTHERS, kind="none")
    serve(shop, load)
    schema = shop.schema_file("products")
    schema.write_text(schema.read_text().replace("datatype: float32", "datatype: float32\n    m: 20"))
    with at_work(shop, load, *AT_ONCE) as (_, outcomes):
        assert "shadow" in {item.classification for item in shop.plan().indexes}
        shop.apply()
    record_property("outcome", outcomes[0].line)
    assert_nothing_lost(shop, outcomes[0])
    assert_unnoticed(outcomes[0])
