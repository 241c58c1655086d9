"""A team's week, from the first import to a change that is taken back, through the command line and git alone.

Ada and Bo write schemas. The CI plans and looks for drift as users who may only read, and applies as one who may write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NewServer
from document_shop import narrow, wide
from forge_kit import github_job
from forge_server import ForgeServer, forge_server
from hook_server import HookServer, hook_server
from load import Load, crowd, document
from observe import await_built, documents, eventually, resolves_to
from queries import found
from servers import connected
from team_kit import Clone, Team, ended

SHOES = Load(documents=200, dims=4, queries=1, writers=0)
VECTOR = "embedding VECTOR FLAT 6 TYPE FLOAT32 DIM 4 DISTANCE_METRIC COSINE"
BRANDS = "index: {name: brands, prefix: 'brands:'}\nfields: [{name: label, type: tag}]\n"
PHASES = "\nindexes:\n  products: {cutover: manual}\npolicy: {retain_old: 1h}\n"


@pytest.fixture
def team(tmp_path: Path, new_server: NewServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """A shop as it has been for long: two indexes that somebody once made by hand, and their documents."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = new_server()
    with connected(server, protocol=2) as client:
        made = Team(tmp_path, server, client)
        for number in range(SHOES.documents):
            client.hset(f"products:{number}", mapping=document(f"{number}", number, SHOES.dims))
            client.hset(f"stores:{number}", mapping={"city": "town", "hours": number % 20})
        made.by_hand(f"FT.CREATE products PREFIX 1 products: SCHEMA title TEXT category TAG {VECTOR}")
        made.by_hand("FT.CREATE stores@1 PREFIX 1 stores: SCHEMA city TEXT")
        made.by_hand("FT.ALIASADD stores stores@1")
        await_built(client, "products")
        await_built(client, "stores")
        yield made


@pytest.fixture
def forge() -> Iterator[ForgeServer]:
    """The forge, with Ada's pull request."""
    with forge_server() as running:
        yield running


@pytest.fixture
def hook() -> Iterator[HookServer]:
    """Where the team reads its messages."""
    with hook_server() as running:
        yield running


def test_a_week_of_a_team(team: Team, forge: ForgeServer, hook: HookServer) -> None:
    """Import; two branches; merges under load; changes by hand, found and repaired; a live change, and back."""
    ada, bo = monday(team)
    with forge_server() as of_bo:
        weights, hours = tuesday(team, ada, bo, forge, of_bo)
        wednesday(team, of_bo, weights, hours)
    thursday(team, forge, hook)
    with forge_server() as of_halves:
        friday(team, ada, of_halves)


def monday(team: Team) -> tuple[Clone, Clone]:
    """What nobody declared is taken in and committed; then there is nothing to do, and users get the rights for it."""
    ada = team.clone("ada")
    (ada.folder / "rvlstate.yaml").write_text(
        "version: 1\nproject: shop\nredis: {url: '${REDIS_URL}'}\nschemas: [indexes/*.yaml]\n"
    )
    first = team.run(ada.folder, "status", user="admin")
    assert first.code == 0, first.err
    assert "Not managed: products, stores@1; take them in with: rvlstate import --all" in first.out
    imported = team.run(ada.folder, "import", "--all", user="admin")
    assert (imported.code, "2 indexes taken in." in imported.out) == (0, True)
    ada.push("Import what is there")
    empty = team.run(ada.folder, "plan", "--detailed-exitcode", user="admin")
    assert (empty.code, "No changes. Live matches the declared set." in empty.out) == (0, True)
    team.permit(ada.folder)
    return ada, team.clone("bo")


def tuesday(team: Team, ada: Clone, bo: Clone, of_ada: ForgeServer, of_bo: ForgeServer) -> tuple[str, str]:
    """Two branches are planned and commented; a second push replaces the comment; the plan's user may write nothing."""
    ada.begin("weights")
    ada.edit("indexes/products.yaml", "    type: text\n", "    type: text\n    attrs: {weight: 2}\n")
    ada.add("indexes/brands.yaml", BRANDS)
    early = ada.push("Titles weigh more, brands can be searched")
    refused, uncommented = team.plan(of_ada, early)
    assert (refused.code, uncommented) == (3, None)
    assert 'user "shop-plan" may not' in refused.err
    assert "rvlstate acl" in refused.err
    team.permit(ada.folder)
    planned, commented = team.plan(of_ada, early)
    assert (planned.code, planned.data["summary"]["create"], planned.data["summary"]["shadow"]) == (2, 1, 1)
    assert commented is not None
    assert commented.out.startswith("Comment written: https://github.example/team/shop/pull/5#issuecomment-")
    assert "Status rvlstate/shop: success" in commented.out
    (comment,) = of_ada.bodies()
    assert "**1 to create, 1 to update (1 shadow); 1 index unchanged.**" in comment
    assert "! field title  weight 1.0 -> 2.0" in comment
    assert "`NAME_BECOMES_ALIAS`" in comment

    ada.edit("indexes/products.yaml", "fields:\n", "fields:\n  - {name: sku, type: tag}\n")
    weights = ada.push("And by sku, says the review")
    team.plan(of_ada, weights)
    (updated,) = of_ada.bodies()
    assert "+ field sku  tag" in updated
    assert [status["commit"] for status in of_ada.statuses] == [early, weights]

    bo.begin("hours")
    bo.add("indexes/stores.yaml", "  - {name: hours, type: numeric}\n")
    hours = bo.push("Stores by their hours")
    planned, _ = team.plan(of_bo, hours)
    assert planned.code == 2
    (comment,) = of_bo.bodies()
    assert "**1 to update (1 in place); 1 index unchanged.**" in comment
    return weights, hours


def wednesday(team: Team, of_bo: ForgeServer, weights: str, hours: str) -> None:
    """The reviewed file is applied while customers search; Bo's was made before that, is refused, and planned anew."""
    with crowd(team.server.url, "products", SHOES) as customers:
        applied = team.apply(team.merge("weights"), weights)
        assert applied.code == 0, applied.err
        customers.stop()
    assert customers.seen.queries > 0
    assert (customers.seen.failures, customers.seen.empty, customers.seen.short) == ([], [], [])
    assert found(team.client, "products", "@sku:{7}") == 1
    team.client.hset("brands:1", "label", "acme")
    assert found(team.client, "brands", "@label:{acme}") == 1

    merged = team.merge("hours")
    stale = team.apply(merged, hours)
    assert (stale.code, stale.err.splitlines()[0]) == (3, "Error: the plan is stale")
    planned, _ = team.plan(of_bo, merged)
    assert (planned.code, len(of_bo.bodies())) == (2, 1)
    applied = team.apply(merged, merged)
    assert applied.code == 0, applied.err
    assert found(team.client, "stores", "@hours:[9 9]") == 10


def thursday(team: Team, forge: ForgeServer, hook: HookServer) -> None:
    """What somebody does by hand is told once, undone by a reviewed file, and told to be gone."""
    before = documents(team.client)
    team.by_hand("FT.DROPINDEX brands@1")
    team.by_hand("FT.CREATE attempt PREFIX 1 stores: SCHEMA title TEXT")
    team.by_hand("FT.ALIASUPDATE products attempt")
    server = team.check_out("origin/main")
    told = ("drift", "--notify-state", "../told.json", "--issue")
    settings = {"user": "drift", "RVLSTATE_NOTIFY": f"{hook.url}/drift", **github_job(forge, server.parent)}
    first, second = (team.run(server, *told, **settings) for _ in range(2))
    assert (first.code, second.code) == (2, 2), first.err
    assert "~ products  (products@1, moved alias)" in first.out
    assert "~ brands  (brands@1, missing)" in first.out
    assert "Issue opened: https://" in first.err
    assert "Issue is up to date: https://" in second.err
    (message,) = hook.bodies()
    found_kinds = {kind: number for kind, number in message["kinds"].items() if number}
    assert (message["event"], found_kinds) == ("drift", {"missing": 1, "moved": 1, "unmanaged": 1})
    (issue,) = forge.issues
    assert issue["open"]
    assert "products" in issue["body"]

    repair = team.run(server, "drift", "--repair", "../repair.json", user="drift")
    assert repair.code == 2
    repaired = team.run(server, "apply", "../repair.json", "--yes", user="apply")
    assert repaired.code == 0, repaired.err
    assert "5  alias products -> products@1 (from attempt)" in repaired.out
    assert (found(team.client, "products", "@sku:{7}"), found(team.client, "brands")) == (1, 1)
    assert documents(team.client) == before
    clean = team.run(server, *told, **settings)
    assert clean.code == 0, clean.err
    assert [body["event"] for body in hook.bodies()] == ["resolved"]
    assert "Issue closed: https://" in clean.err
    assert (issue["open"], len(forge.issues)) == (False, 1)


def friday(team: Team, ada: Clone, forge: ForgeServer) -> None:
    """Half the memory for vectors, live, until an old client turns up: back, at once, with every document as it was."""
    before = documents(team.client)
    ada.begin("halves")
    ada.edit("indexes/products.yaml", "float32", "float16")
    ada.add("rvlstate.yaml", PHASES)
    halves = ada.push("Vectors of half the size")
    team.plan(forge, halves)
    (comment,) = forge.bodies()
    assert "`LOSES_PRECISION`" in comment
    main = team.merge("halves")
    ready = team.apply(main, halves)
    assert ready.code == 0, ready.err
    assert "rvlstate cutover products" in ready.out
    assert resolves_to(team.client, "products") == "products@1"

    desk = team.check_out(main)
    with ended(team.start(desk, "cutover", "products", "--yes", user="apply")) as cutover:
        eventually(lambda: resolves_to(team.client, "products") == "products@2")
        eventually(lambda: resolves_to(team.client, "products.prev") == "products@1")
        assert nearest(team, narrow(3.0)) == 10
        locked = team.run(desk, "rollback", "products", "--yes", user="apply")
        assert (locked.code, "rvlstate abort" in locked.err) == (4, True)
        assert team.run(desk, "abort", user="apply").code == 0
        out, err = cutover.communicate(timeout=30)
        assert (cutover.returncode, "rollback products leads back to it" in err) == (1, True), (out, err)
    back = team.run(desk, "rollback", "products", "--yes", user="apply")
    assert back.code == 0, back.err
    assert nearest(team, wide(3.0)) == 10
    assert documents(team.client) == before

    ada.begin("whole-again")
    ada.revert(main)
    ada.push()
    settled = team.run(team.check_out(team.merge("whole-again")), "plan", "--detailed-exitcode", user="plan")
    assert settled.code == 0, settled.out
    week = team.run(desk, "history", "--format", "json", user="plan").data["runs"]
    assert [(run["operation"], run["result"]) for run in reversed(week)] == [
        *(("import", "done"), ("apply", "done"), ("apply", "done"), ("apply", "done"), ("apply", "done")),
        *(("cutover", "interrupted"), ("rollback", "done")),
    ]


def nearest(team: Team, vector: bytes) -> int:
    """How many shoes the search of an application finds."""
    query = ("FT.SEARCH", "products", "*=>[KNN 10 @embedding $v]", "PARAMS", "2", "v", vector, "NOCONTENT")
    return int(team.client.execute_command(*query, "DIALECT", "2")[0])
