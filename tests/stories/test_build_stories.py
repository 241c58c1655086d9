"""Builds and cutovers: what is classified how, what never goes over, and what is left when it does not go well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from conftest import NewServer
from kit import (
    Shop,
    as_map,
    await_built,
    documents,
    eventually,
    hazards,
    index_facts,
    live_names,
    load_products,
    load_vectors,
    numeric,
    opened_shop,
    operations,
    resolves_to,
    tag,
    text,
    vector,
)
from nursery import Nursery
from proxy import Hold, Proxy, label, proxied
from queries import found
from servers import EmbeddedServer, kill, start_server

from rvlstate.errors import ChangeRefusedError, GateFailedError, RvlstateError, StateError, StepFailedError
from rvlstate.events import Event, StepFinished, StepProgressed, StepStarted

pytest_plugins = ("story_fixtures",)

FIELDS = (text("title"), tag("category"), numeric("price"), vector("embedding"))
MEGABYTE = 1 << 20


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    with proxied(server.folder.parent, server.url) as opened:
        yield opened


def managed(shop: Shop, *fields: dict[str, Any]) -> None:
    """Products behind an alias, with documents."""
    load_products(shop.client)
    shop.declare("products", *(fields or FIELDS))
    shop.apply()


@contextmanager
def asking(url: str, name: str, query: str = "*") -> Iterator[list[int | str]]:
    """Somebody asks all the time; what was answered, errors as text."""
    answers: list[int | str] = []
    stop = threading.Event()

    def answer(client: Any) -> int | str:
        try:
            return found(client, name, query)
        except redis.RedisError as error:
            return str(error)

    def ask() -> None:
        with redis.from_url(url, protocol=2) as client:
            while not stop.is_set():
                answers.append(answer(client))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        eventually(lambda: answers)
        yield answers
    finally:
        stop.set()
        thread.join()


# --- what is classified how


def test_adding_a_field_is_never_noticed(shop: Shop) -> None:
    """Scenario 15: while FT.ALTER scans, every query answers with every document."""
    load_products(shop.client, 2000)
    shop.declare("products", *FIELDS[:3])
    shop.apply()
    shop.declare("products", *FIELDS[:3], FIELDS[3])
    with asking(shop.url, "products") as answers:
        report = shop.apply()
        so_far = len(answers)
        eventually(lambda: len(answers) > so_far + 20)
    assert [step.summary for step in report.steps] == ["add embedding to products@1"]
    assert set(answers) == {2000}
    assert len(answers) > 50
    shop.assert_settled()


def test_the_33rd_text_field_needs_another_index(shop: Shop) -> None:
    """Scenario 15: without MAXTEXTFIELDS the server takes 32, so one more is a shadow build, and it is carried out."""
    managed(shop, *[text(f"t{number}") for number in range(32)])
    shop.declare("products", *[text(f"t{number}") for number in range(33)])
    plan = shop.plan()
    (index,) = plan.indexes
    assert index.classification == "shadow"
    shop.apply(plan)
    assert "MAXTEXTFIELDS" in index_facts(shop.client, "products")["index_options"]
    shop.assert_settled()


def test_the_33rd_text_field_is_in_place_where_there_is_room(shop: Shop) -> None:
    """Scenario 15: with max_text_fields declared before, it is one FT.ALTER."""
    shop.configure(indexes={"products": {"definition": {"max_text_fields": True}}})
    managed(shop, *[text(f"t{number}") for number in range(32)])
    shop.declare("products", *[text(f"t{number}") for number in range(33)])
    assert operations(shop.plan()) == ["add_fields"]
    shop.apply()
    assert live_names(shop.client) == {"products@1"}
    shop.assert_settled()


def test_three_fields_are_one_command(shop: Shop, proxy: Proxy) -> None:
    """Scenario 16: three fields in one commit are one FT.ALTER, so one scan."""
    managed(shop, text("title"))
    shop.declare("products", text("title"), tag("category"), numeric("price"), vector("embedding"))
    proxy.rearm()
    shop.url = proxy.url
    shop.apply()
    sent = [label(command) for command in proxy.seen]
    assert [command for command in sent if command.startswith(("FT.ALTER", "FT.CREATE"))] == ["FT.ALTER products@1"]
    assert found(shop.client, "products", "@category:{boots} @price:[1 1]") == 1


def test_a_field_and_a_weight_are_one_build(shop: Shop, proxy: Proxy) -> None:
    """Scenario 16: an added field beside a change that needs a build is part of that build, not a scan before it."""
    managed(shop, text("title"), tag("category"))
    shop.declare("products", text("title", weight=2.0), tag("category"), numeric("price"))
    proxy.rearm()
    shop.url = proxy.url
    shop.apply()
    sent = [label(command) for command in proxy.seen]
    assert [command for command in sent if command.startswith(("FT.ALTER", "FT.CREATE"))] == ["FT.CREATE products@2"]
    shop.assert_settled()


def test_another_type_of_field_is_built_beside_the_old(shop: Shop, proxy: Proxy) -> None:
    """Scenario 17: from text to tag, old queries answer until the name moves, new ones from then on."""
    managed(shop, text("title"), text("category"))
    shop.declare("products", text("title"), tag("category"))
    assert shop.count("@category:boots") == 20
    answers: list[tuple[int, int]] = []

    def ask(_command: Any) -> None:
        answers.append((shop.count("@category:boots"), shop.count("@category:{boots}")))

    proxy.rearm(watch=ask)
    shop.url = proxy.url
    shop.apply()
    as_text, as_tag = (20, 0), (0, 20)
    moved = answers.index(as_tag)
    assert answers == [as_text] * moved + [as_tag] * (len(answers) - moved)
    assert [label(command) for command in proxy.seen][moved] == "FT.ALIASUPDATE products"
    shop.assert_settled()


def test_a_query_time_default_is_not_built(shop: Shop) -> None:
    """Scenario 18: another EF_RUNTIME alone is told as tuning of queries, and nothing is done until it is asked for."""
    managed(shop, vector("embedding", ef_runtime=10))
    shop.declare("products", vector("embedding", ef_runtime=77))
    plan = shop.plan()
    (index,) = plan.indexes
    assert plan.empty
    assert [(change.address, change.before, change.after) for change in index.changes] == [
        ("products.fields.embedding.ef_runtime", 10, 77)
    ]
    assert "queries" in index.changes[0].reason
    assert shop.apply().result == "nothing"
    shop.configure(indexes={"products": {"strategy": "shadow"}})
    assert shop.plan().indexes[0].classification == "shadow"
    shop.apply()
    assert resolves_to(shop.client, "products") == "products@2"
    shop.assert_settled()


def test_another_dimension_is_refused_without_a_transform(shop: Shop) -> None:
    """Scenario 19: stored vectors cannot become longer: the plan says so and what to declare; nothing is written."""
    managed(shop)
    shop.declare("products", *FIELDS[:3], vector("embedding", dims=8))
    plan = shop.plan()
    assert plan.indexes[0].classification == "refused"
    assert "transform" in plan.indexes[0].refused[0]
    state = shop.state()
    with pytest.raises(ChangeRefusedError):
        shop.apply(plan)
    assert shop.state() == state
    assert live_names(shop.client) == {"products@1"}


# --- what never goes over


def test_no_cutover_before_the_build_has_ended(shop: Shop, proxy: Proxy) -> None:
    """Scenario 34: the name moves when the new index holds every document, however often its build is looked at."""
    load_vectors(shop.client, 1000, dims=32)
    shop.declare("products", text("title"))
    shop.apply()
    shop.declare("products", text("title"), vector("embedding", dims=32, m=32, ef_construction=300))
    shop.configure(indexes={"products": {"strategy": "shadow"}})
    shop.declare("products", text("title", weight=2.0), vector("embedding", dims=32, m=32, ef_construction=300))
    seen: list[tuple[int, int]] = []

    def watch(command: Any) -> None:
        if label(command) == "FT.ALIASUPDATE products":
            info = as_map(shop.client.execute_command("FT.INFO", "products@2"))
            seen.append((int(info["indexing"]), int(info["num_docs"])))

    proxy.rearm(watch=watch)
    shop.url = proxy.url
    with asking(proxy.upstream, "products") as answers:
        shop.apply()
    looks = [event for event in shop.events if isinstance(event, StepProgressed) and "indexed" in event.note]
    assert len(looks) > 3, "the build was to be long enough to be looked at"
    assert seen == [(0, 1000)]
    assert set(answers) == {1000}


def test_an_index_dropped_by_hand_during_its_build(shop: Shop, proxy: Proxy) -> None:
    """The run fails with what happened; the old index serves; running again builds anew."""
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    hold = Hold("FT.CREATE products@2", act=lambda: shop.client.execute_command("FT.DROPINDEX", "products@2"))
    hold.let_go.set()
    proxy.rearm(watch=hold)
    direct, shop.url = shop.url, proxy.url
    with pytest.raises(StepFailedError, match="products@2") as failure:
        shop.apply()
    assert "somebody dropped it" in failure.value.why
    shop.url = direct
    assert resolves_to(shop.client, "products") == "products@1"
    assert shop.state().intents == ()
    assert shop.apply().plan_empty
    shop.assert_settled()


def test_an_alias_moved_by_hand_is_drift_and_moved_back(shop: Shop) -> None:
    """An alias that somebody pointed elsewhere is told as drift, and pointed back; the other index is left alone."""
    managed(shop)
    shop.client.execute_command("FT.CREATE", "mine", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    await_built(shop.client, "mine")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "mine")
    (drift,) = shop.drift().indexes
    assert (drift.changes[0].before, drift.changes[0].after) == ("products@1", "mine")
    assert "moved" in drift.changes[0].reason
    plan = shop.plan()
    assert operations(plan) == ["point_alias"]
    shop.apply(plan)
    assert resolves_to(shop.client, "products") == "products@1"
    assert live_names(shop.client) == {"products@1", "mine"}
    shop.assert_settled()


def test_an_index_dropped_by_hand_is_drift_and_made_again(shop: Shop) -> None:
    """Scenario 50: an index that somebody dropped is told as drift, and created again."""
    managed(shop)
    shop.client.execute_command("FT.DROPINDEX", "products@1")
    (drift,) = shop.drift().indexes
    assert "dropped by somebody else" in drift.changes[0].reason
    assert shop.plan().indexes[0].action == "create"
    shop.apply()
    assert shop.count() == 60
    shop.assert_settled()


def test_fields_added_by_hand_are_drift_with_the_exact_difference(shop: Shop) -> None:
    """Scenario 50: FT.ALTER past rvlstate is told with the field and its type, and taken away by a build."""
    managed(shop)
    shop.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "brand", "TAG")
    (drift,) = shop.drift().indexes
    assert [change.address for change in drift.changes] == ["products.fields.brand"]
    shop.apply()
    assert "brand" not in str(index_facts(shop.client, "products"))
    shop.assert_settled()


def test_two_builds_go_in_the_declared_order(shop: Shop) -> None:
    """Scenario 36: what an index depends on is built and served first; the server builds one at a time."""
    for name in ("anchors", "zebras"):
        load_products(shop.client, 500, prefix=f"{name}:")
        shop.declare(name, *FIELDS)
    shop.apply()
    shop.configure(indexes={"anchors": {"depends_on": ["zebras"]}})
    for name in ("anchors", "zebras"):
        shop.declare(name, text("title", weight=2.0), *FIELDS[1:])
    shop.events.clear()
    shop.apply()
    begun = [event.summary for event in shop.events if isinstance(event, StepStarted)]
    assert begun.index("alias zebras -> zebras@2 (from zebras@1)") < begun.index("create anchors@2")
    shop.assert_settled()


def test_a_build_behind_another_says_so(shop: Shop) -> None:
    """Scenario 36: while the server is busy with somebody else's build, the wait is told to be a queue."""
    load_vectors(shop.client, 1000, dims=32)
    shop.declare("products", text("title"))
    schema = ("SCHEMA", "embedding", "VECTOR", "HNSW", "10", "TYPE", "FLOAT32", "DIM", "32", "DISTANCE_METRIC", "L2")
    shop.client.execute_command(
        "FT.CREATE", "busy", "PREFIX", "1", "products:", *schema, "M", "32", "EF_CONSTRUCTION", "300"
    )
    shop.apply()
    notes = [event.note for event in shop.events if isinstance(event, StepProgressed)]
    assert any("queued behind" in note for note in notes), notes
    assert shop.count() == 1000


# --- what is left when it does not go well


def test_a_build_that_cannot_fit_is_refused(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 35: when two indexes would not fit into maxmemory, the plan is refused with the figures."""
    with opened_shop(tmp_path / "shop", new_server()) as shop:
        load_vectors(shop.client, 3000, dims=128)
        shop.declare("products", text("title"), vector("embedding", dims=128))
        shop.apply()
        used = int(shop.client.info("memory")["used_memory"])
        shop.client.config_set("maxmemory", used + 2 * MEGABYTE)
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=128))
        plan = shop.plan()
        assert plan.indexes[0].classification == "refused"
        assert "max_memory_ratio" in plan.indexes[0].refused[0]
        names = live_names(shop.client)
        with pytest.raises(ChangeRefusedError):
            shop.apply(plan)
        assert live_names(shop.client) == names
        assert shop.count() == 3000


def test_memory_that_runs_short_during_a_build(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 35: a build that fills the server is given up: the new index is removed, the old one serves, exit 3."""
    server = new_server()
    with proxied(server.folder.parent, server.url) as proxy, opened_shop(tmp_path / "shop", server) as shop:
        load_vectors(shop.client, 3000, dims=128)
        shop.declare("products", text("title"), vector("embedding", dims=128))
        shop.apply()
        kept = documents(shop.client)
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=128))
        plan = shop.plan()

        def squeeze() -> None:
            used = int(shop.client.info("memory")["used_memory"])
            shop.client.config_set("maxmemory", used + MEGABYTE)

        hold = Hold("FT.CREATE products@2", act=squeeze)
        hold.let_go.set()
        proxy.rearm(watch=hold)
        direct, shop.url = shop.url, proxy.url
        with pytest.raises(GateFailedError) as failure:
            shop.apply(plan)
        shop.url = direct
        assert failure.value.exit_code == 3
        assert "memory" in failure.value.what or "gave up" in failure.value.what
        assert "products@2 was removed again" in failure.value.why
        assert live_names(shop.client) == {"products@1"}
        assert shop.count() == 3000
        assert documents(shop.client) == kept
        shop.client.config_set("maxmemory", 0)
        assert shop.apply().plan_empty
        shop.assert_settled()


def test_documents_that_do_not_fit_the_new_definition(shop: Shop, nursery: Nursery) -> None:
    """A build that would lose documents from search fails the gate with figures; the old index serves, exit 3."""
    managed(shop, text("title"), text("price"))
    shop.client.hset("products:0", "price", "a lot")
    shop.client.hset("products:1", "price", "more")
    shop.declare("products", text("title"), numeric("price"))
    kept = documents(shop.client)
    ending = nursery.wait(nursery.run(*shop.arguments("apply", "--yes")))
    assert ending.code == 3
    told = " ".join(ending.output.split())
    for part in ("would lose documents", "holds 58 documents, products@1 holds 60", "2 indexing failures", "products:"):
        assert part in told
    assert live_names(shop.client) == {"products@1"}
    assert shop.state().intents == ()
    assert shop.count() == 60
    assert documents(shop.client) == kept
    shop.client.hset("products:0", "price", "5")
    shop.client.hset("products:1", "price", "6")
    assert shop.apply().plan_empty
    shop.assert_settled()


def test_documents_that_do_not_fit_an_added_field(shop: Shop) -> None:
    """FT.ALTER would take such documents out of the whole index: the step fails with figures and the last key."""
    managed(shop, text("title"))
    shop.client.hset("products:0", "price", "a lot")
    shop.declare("products", text("title"), numeric("price"))
    with pytest.raises(StepFailedError) as failure:
        shop.apply()
    assert "1 documents dropped out of products@1" in failure.value.why
    assert "products:0" in failure.value.why


def test_a_state_that_cannot_be_written_stops_the_run(new_server: NewServer, tmp_path: Path) -> None:
    """Scenario 39: when the server refuses writes midway, no step counts as done that is not; apply goes on later."""
    server = new_server()
    with proxied(server.folder.parent, server.url) as proxy, opened_shop(tmp_path / "shop", server) as shop:
        managed(shop)
        shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
        shop.events.clear()
        hold = Hold("FT.ALIASUPDATE products", act=lambda: shop.client.config_set("maxmemory", 1))
        hold.let_go.set()
        proxy.rearm(watch=hold)
        direct, shop.url = shop.url, proxy.url
        with pytest.raises((StateError, RvlstateError), match="refused to write") as failure:
            shop.apply()
        shop.url = direct
        assert "memory" in str(failure.value)
        done = [event.step for event in shop.events if isinstance(event, StepFinished)]
        state = shop.state()
        record = state.record("products")
        assert record is not None
        assert record.physical == "products@1"
        assert "products/4" not in done
        assert live_names(shop.client) == {"products@1", "products@2"}
        assert shop.count() == 60
        shop.client.config_set("maxmemory", 0)
        assert shop.apply().plan_empty
        shop.assert_settled()


def test_a_server_that_restarts_in_the_middle_of_a_build(new_server: NewServer, tmp_path: Path) -> None:
    """The run waits for the server, looks what is there, and goes on to its end."""
    server = new_server()
    with opened_shop(tmp_path / "shop", server) as shop:
        load_vectors(shop.client, 600, dims=32)
        shop.declare("products", text("title"))
        shop.apply()
        shop.declare("products", text("title", weight=2.0), vector("embedding", dims=32, m=32, ef_construction=300))
        restarted = threading.Event()

        def restart(event: Event) -> None:
            if isinstance(event, StepProgressed) and not restarted.is_set():
                restarted.set()
                kill(server)
                start_server(server.folder)

        assert shop.apply(on_event=restart).plan_empty
        assert restarted.is_set()
        await_built(shop.client, "products")
        assert shop.count() == 600
        shop.assert_settled()


def test_a_manual_cutover_is_not_yet_possible_and_refused(shop: Shop) -> None:
    """Scenario 41: cutover: manual belongs to a later version and is refused, not ignored."""
    shop.configure(indexes={"products": {"cutover": "manual"}})
    shop.declare("products", *FIELDS)
    with pytest.raises(RvlstateError, match="cutover") as refusal:
        shop.plan()
    assert refusal.value.exit_code == 3


def test_keeping_the_old_index_is_not_yet_possible_and_refused(shop: Shop) -> None:
    """Scenario 40: a grace for the old index belongs to a later version and is refused, not ignored."""
    shop.configure(policy={"retain_old": "1h"})
    shop.declare("products", *FIELDS)
    with pytest.raises(RvlstateError, match="retain_old") as refusal:
        shop.plan()
    assert refusal.value.exit_code == 3


# --- whole runs


@pytest.mark.parametrize("protocol", [2, 3])
def test_whole_runs_on_either_protocol(shop: Shop, protocol: int) -> None:
    """Create, add a field, build beside, import, rename and delete, over RESP2 and RESP3."""
    shop.url += f"?protocol={protocol}"
    managed(shop, text("title"))
    shop.declare("products", text("title"), FIELDS[3])
    shop.apply()
    shop.declare("products", text("title", weight=2.0), FIELDS[3])
    shop.apply()
    assert resolves_to(shop.client, "products") == "products@2"
    with shop.project() as project:
        assert project.connection.search.connection_pool.connection_kwargs["protocol"] == protocol
    shop.client.execute_command("FT.CREATE", "legacy", "PREFIX", "1", "legacy:", "SCHEMA", "n", "NUMERIC", "SORTABLE")
    with shop.project() as project:
        project.import_indexes(("legacy",))
    shop.undeclare("products")
    shop.configure(indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", text("title", weight=2.0), FIELDS[3], prefix="products:")
    shop.apply(allow=("DELETES_INDEX",))
    shop.undeclare("legacy")
    shop.apply(allow=("DELETES_INDEX",))
    assert live_names(shop.client) == {"products@2"}
    shop.assert_settled()


def test_whole_runs_on_a_cluster(cluster_shop: Shop) -> None:
    """Create, add a field, build beside and cut over, and delete, on one node that owns all slots."""
    shop = cluster_shop
    managed(shop, text("title"))
    assert resolves_to(shop.client, "products") == "{products}@1"
    shop.declare("products", text("title"), tag("category"))
    shop.apply()
    assert shop.count("@category:{boots}") == 20
    shop.declare("products", text("title", weight=2.0), tag("category"))
    shop.apply()
    assert resolves_to(shop.client, "products") == "{products}@2"
    assert live_names(shop.client) == {"{products}@2"}
    shop.declare("other", text("title"))
    shop.undeclare("products")
    shop.apply(allow=("DELETES_INDEX",))
    assert live_names(shop.client) == {"{other}@1"}
    shop.assert_settled()


def test_a_physical_name_on_a_cluster_warns_of_the_gap(cluster_shop: Shop) -> None:
    """Where drop and alias cannot be one script the plan says so, and asks."""
    shop = cluster_shop
    shop.configure(policy={"naming": "plain"})
    managed(shop)
    shop.declare("products", text("title", weight=2.0), *FIELDS[1:])
    assert hazards(shop.plan()) == ("CUTOVER_GAP", "NAME_BECOMES_ALIAS")
    shop.apply(allow=hazards(shop.plan()))
    assert resolves_to(shop.client, "products") == "{products}@1"
    assert shop.count() == 60
    shop.assert_settled()
