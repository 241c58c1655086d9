"""What went less than smoothly in a team's week, each trouble by itself."""

from __future__ import annotations

import pytest
from acl_kit import as_user, grant_of
from document_shop import OTHERS, embedding, served
from kit import Shop, managed, tag, text
from observe import await_built, load_products, resolves_to

from rvlstate.cli.main import run

pytest_plugins = ("story_fixtures",)


def told(shop: Shop, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """A command's exit code, result and messages."""
    capsys.readouterr()
    code = run(shop.arguments(*words))
    return (code, *capsys.readouterr())


def test_an_alias_that_somebody_led_to_a_hidden_index_is_drift_that_can_be_repaired(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Users of few rights may not ask for the index by its name; by ours they may, and see what it is."""
    managed(shop)
    shop.client.execute_command("FT.CREATE", "attempt", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    await_built(shop.client, "attempt")
    shop.client.execute_command("FT.ALIASUPDATE", "products", "attempt")
    repair = shop.folder / "repair.json"
    with as_user(shop, grant_of(shop, "drift")):
        code, out, err = told(shop, capsys, "drift", "--repair", str(repair))
        assert (code, "products@1 -> attempt" in out) == (2, True), err
    with as_user(shop, grant_of(shop, "apply")):
        code, _, err = told(shop, capsys, "apply", str(repair), "--yes")
        assert code == 0, err
    assert resolves_to(shop.client, "products") == "products@1"
    shop.assert_settled()


def test_a_hidden_index_with_no_alias_of_ours_stays_unread(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan says so, and drift finds nothing about what is not ours."""
    managed(shop)
    shop.client.execute_command("FT.CREATE", "attempt", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    await_built(shop.client, "attempt")
    with as_user(shop, grant_of(shop, "drift")):
        assert told(shop, capsys, "drift")[0] == 0
        assert "this user may not read attempt" in " ".join(told(shop, capsys, "plan")[1].split())


def test_a_key_that_is_missing_is_not_told_as_a_command(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A branch declares another index: what to ask for is its name, and FT.INFO is allowed already."""
    managed(shop)
    with as_user(shop, grant_of(shop, "plan")):
        shop.declare("brands", tag("label"))
        code, _, err = told(shop, capsys, "plan")
    assert (code, err.splitlines()[0]) == (3, 'Error: user "shop-plan" may not reach the keys brands')
    assert "ACL SETUSER shop-plan ~brands" in err


def test_a_cutover_does_not_ask_for_what_its_change_was_agreed_to_with(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its plan is carried out without --allow, and says nothing else."""
    shop.configure(indexes={"products": {"cutover": "manual"}}, policy={"settle": "0s"})
    served(shop)
    shop.declare("products", *OTHERS, embedding("float16"))
    shop.apply(allow=("LOSES_PRECISION", "QUERY_ENCODING_CHANGES", "REWRITES_DOCUMENTS", "RESULT_KEYS_CHANGE"))
    code, out, err = told(shop, capsys, "cutover", "products", "--yes")
    assert (code, "! LOSES_PRECISION" in out) == (0, True), err
    assert "Not allowed yet" not in out


def test_import_says_where_a_declared_schema_is_another_than_the_live_one(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the sample that init writes may be; without its file, the index can be imported by name."""
    load_products(shop.client)
    shop.client.execute_command("FT.CREATE", "products", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    await_built(shop.client, "products")
    shop.declare("products", text("title", weight=2.0))
    code, out, _ = told(shop, capsys, "import", "--all")
    assert (code, "otherwise than it is live" in out) == (0, True)
    assert "to declare what is live instead, remove them and import by name." in " ".join(out.split())
    shop.undeclare("products")
    _, out, _ = told(shop, capsys, "import", "--all")
    assert "Nothing to import" in out
    assert "import products writes it." in " ".join(out.split())
    assert told(shop, capsys, "import", "products")[0] == 0
    shop.assert_settled()


def test_the_command_that_takes_unmanaged_indexes_in_can_be_run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision behind an alias cannot be named; the command that is shown takes it in by its alias."""
    load_products(shop.client)
    shop.client.execute_command("FT.CREATE", "products@1", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT")
    shop.client.execute_command("FT.ALIASADD", "products", "products@1")
    await_built(shop.client, "products")
    _, out, _ = told(shop, capsys, "status")
    assert "Not managed: products@1; take it in with: rvlstate" in " ".join(out.split())
    assert "import --all" in out
    assert told(shop, capsys, "import", "--all")[0] == 0
    shop.assert_settled()
