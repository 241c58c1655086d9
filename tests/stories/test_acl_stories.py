"""Least privilege on a real server: every change under the users that rvlstate prints, and none beyond them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from acl_cases import CASES, POLICY, Case, supported
from acl_kit import as_user, grant_of, needless, picture, refusals, writes
from document_shop import OTHERS, embedding, load
from kit import Shop, tag, text

from rvlstate.errors import PermissionMissingError
from rvlstate.plan.commands import OPTIONAL
from rvlstate.plan.rights import plan_needs

pytest_plugins = ("story_fixtures",)

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@cases
def test_the_printed_user_carries_every_change_out(any_shop: Shop, case: Case) -> None:
    """To its end, and the server refuses it nothing at all on the way."""
    shop = supported(any_shop, case)
    case.prepare(shop)
    with as_user(shop, grant_of(shop, "apply")):
        shop.apply()
        assert refusals(shop.client) == []
    case.change(shop)
    with as_user(shop, grant_of(shop, "apply")):
        shop.apply()
        shop.assert_settled()
        case.go_back(shop)
        assert refusals(shop.client) == []


@cases
def test_a_reader_plans_every_change_and_writes_nothing(any_shop: Shop, case: Case) -> None:
    """Under a user without any command that writes, and without EVAL."""
    shop = supported(any_shop, case)
    case.prepare(shop)
    shop.apply()
    case.change(shop)
    expected, before = shop.plan(), picture(shop.client)
    for role in ("plan", "drift"):
        grant = grant_of(shop, role)
        assert not writes(shop, grant.commands)
        with as_user(shop, grant):
            plan = shop.plan()
            assert (plan.id, plan.steps) == (expected.id, expected.steps)
            assert shop.drift().indexes == ()
            with shop.project() as project:
                assert [index.name for index in project.status().indexes] == ["products"]
            assert refusals(shop.client) == []
    assert picture(shop.client) == before


@cases
def test_each_command_that_is_asked_for_is_named_when_it_is_missing(shop: Shop, case: Case) -> None:
    """Before anything is written: neither lock, nor state, nor index, nor document; and so is each pattern of keys."""
    assert_each_is_named(supported(shop, case), case)


@pytest.mark.parametrize(
    "case",
    [case if case.name == "staged" else pytest.param(case, marks=pytest.mark.soak) for case in CASES],
    ids=lambda case: case.name,
)
def test_the_same_on_a_cluster(cluster_shop: Shop, case: Case) -> None:
    """Where index names are keys as well; all kinds of change in the long runs."""
    assert_each_is_named(supported(cluster_shop, case), case)


def assert_each_is_named(shop: Shop, case: Case) -> None:
    """Take away each command in turn."""
    case.prepare(shop)
    shop.apply()
    case.change(shop)
    plan, grant, before = shop.plan(), grant_of(shop, "apply"), picture(shop.client)
    for name in plan_needs(plan).commands:
        if name in OPTIONAL or name not in grant.commands:
            continue
        rule = name.lower().replace(" ", "|")
        with as_user(shop, grant, f"-{rule}"), pytest.raises(PermissionMissingError) as refusal:
            shop.apply(plan)
        assert rule.upper() in refusal.value.commands
        assert f"+{rule}" in refusal.value.next_step
        assert picture(shop.client) == before, name


@cases
def test_what_is_asked_for_is_enough(any_shop: Shop, case: Case) -> None:
    """A user who has just the commands that are asked for before the change carries it out, and takes it back."""
    shop = supported(any_shop, case)
    case.prepare(shop)
    shop.apply()
    case.change(shop)
    plan, grant = shop.plan(), grant_of(shop, "apply")
    asked = set(plan_needs(plan).commands) - OPTIONAL.keys()
    spare = [f"-{name.lower().replace(' ', '|')}" for name in grant.commands if name not in asked and needless(name)]
    with as_user(shop, grant, *spare, further=False):
        shop.apply(plan)
        shop.assert_settled()
        case.go_back(shop)


@pytest.mark.parametrize("promotion", ["staged", "staged, written back"])
def test_what_is_asked_for_first_is_enough_for_every_phase(any_shop: Shop, promotion: str) -> None:
    """Held, taken back, held again, cut over, completed: no later plan asks for more than the first one."""
    shop, case = any_shop, next(case for case in CASES if case.name == promotion)
    case.prepare(shop)
    shop.apply()
    case.change(shop)
    shop.settings["indexes"]["products"]["cutover"] = "manual"
    shop.configure()
    grant, first = grant_of(shop, "apply"), plan_needs(shop.plan())
    asked = set(first.commands) - OPTIONAL.keys()
    spare = [f"-{name.lower().replace(' ', '|')}" for name in grant.commands if name not in asked and needless(name)]
    with as_user(shop, grant, *spare, further=False):
        shop.apply()
        with shop.project() as project:
            retreat = project.propose_rollback("products").plan
            project.rollback("products")
        shop.apply()
        with shop.project() as project:
            forward = project.propose_cutover("products")
            project.cutover("products")
        shop.assert_settled()
    for plan in (retreat, forward):
        assert set(plan_needs(plan).commands) <= set(first.commands)
        assert set(plan_needs(plan).names) <= set(first.names)


DISPENSABLE = ("~rvlstate:projects", "%R~{rvlstate:*}:history", "%R~{rvlstate:*}:state", ".next", ".prev")
"""How rules end without which a change that is not held is carried out all the same."""


def test_each_pattern_of_keys_is_named_when_it_is_missing(any_shop: Shop) -> None:
    """Before anything is written; the change goes through without those that are for other projects."""
    shop, case = any_shop, CASES[2]
    case.prepare(shop)
    shop.apply()
    case.change(shop)
    plan, grant, before = shop.plan(), grant_of(shop, "apply"), picture(shop.client)
    needed = tuple(key for key in grant.keys if not key.endswith(DISPENSABLE[:3]))
    for key in needed:
        with as_user(shop, replace(grant, keys=tuple(other for other in grant.keys if other != key)), further=False):
            with pytest.raises(PermissionMissingError) as refusal:
                shop.apply(plan)
            assert refusal.value.keys, key
            assert f"ACL SETUSER {grant.user} ~" in refusal.value.next_step
        assert picture(shop.client) == before, key
    with as_user(shop, replace(grant, keys=needed), further=False):
        shop.apply(plan)
        shop.assert_settled()


def test_hints_are_taken_where_the_second_line_was_sent(any_shop: Shop) -> None:
    """The channels are spelt as they are subscribed to; without the line the passes go over all documents."""
    shop, case = any_shop, CASES[2]
    shop.client.config_set("notify-keyspace-events", "KA")
    try:
        case.prepare(shop)
        shop.apply()
        case.change(shop)
        with as_user(shop, grant_of(shop, "apply")):
            shop.apply()
            assert refusals(shop.client) == []
        shop.declare("products", *case.before)
        with as_user(shop, grant_of(shop, "apply"), further=False):
            shop.apply()
            assert refusals(shop.client) == [("command", "config|get")]
    finally:
        shop.client.config_set("notify-keyspace-events", "")


def test_a_user_for_indexes_alone_is_refused_a_change_of_documents(any_shop: Shop) -> None:
    """And changes indexes."""
    shop, case = any_shop, CASES[2]
    case.prepare(shop)
    grant = grant_of(shop, "apply", documents=False)
    with as_user(shop, grant):
        shop.apply()
        shop.declare("products", text("title", weight=2.0), *OTHERS[1:], embedding())
        shop.apply()
        shop.assert_settled()
        shop.client.execute_command("FT.SYNUPDATE", "products", "group", "boy", "child")
        assert refusals(shop.client) == []
    before = picture(shop.client)
    case.change(shop)
    plan = shop.plan()
    with as_user(shop, grant), pytest.raises(PermissionMissingError) as refusal:
        shop.apply(plan)
    assert {"COPY", "HSET", "RENAME", "SCAN"} <= set(refusal.value.commands)
    assert picture(shop.client) == before


def test_names_become_aliases_and_indexes_go(any_shop: Shop) -> None:
    """A plain index gets its first cutover, with synonyms and a further alias, and is no longer declared in the end."""
    shop = any_shop
    load(shop)
    settings = {"aliases": ["{products}:wares"]}
    shop.configure(indexes={"products": settings}, policy={**POLICY, "naming": "plain"})
    shop.declare("products", text("title"))
    with as_user(shop, grant_of(shop, "apply")):
        shop.apply()
        shop.client.execute_command("FT.SYNUPDATE", "products", "group", "boy", "child")
        shop.declare("products", text("title", weight=2.0))
        shop.apply(allow=("NAME_BECOMES_ALIAS", "CUTOVER_GAP"))
        shop.configure(indexes={}, policy=POLICY)
        shop.apply()
        shop.assert_settled()
        shop.declare("orders", text("title"))
        shop.undeclare("products")
        with pytest.raises(PermissionMissingError) as refusal:
            shop.apply()
        assert "orders" in refusal.value.keys
        shop.undeclare("orders")
        shop.declare("products", text("title"), tag("brand"))
        shop.apply()
        assert refusals(shop.client) == [("key", "orders")]


def test_a_plan_warns_of_indexes_that_its_user_may_not_see(shop: Shop) -> None:
    """They may hold the documents that are to be changed; who may see them is told so."""
    case = CASES[2]
    case.prepare(shop)
    shop.apply()
    shop.client.execute_command("FT.CREATE", "reports", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    case.change(shop)
    assert "SHARED_DOCUMENTS" in {hazard.code for hazard in shop.plan().hazards}
    with as_user(shop, grant_of(shop, "plan")):
        assert any(told.startswith("this user may not read reports: ") for told in shop.plan().warnings)
    with as_user(shop, grant_of(shop, "plan"), "~reports"):
        plan = shop.plan()
    assert "SHARED_DOCUMENTS" in {hazard.code for hazard in plan.hazards}
    assert not any("may not read" in told for told in plan.warnings)
