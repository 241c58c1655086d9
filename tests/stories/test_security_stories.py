"""Secrets and permissions: what nobody gets to read, and what is asked of the server before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit import Shop, tag, text
from nursery import Nursery
from observe import KEYS, live_names, load_products, stored_state
from proxy import Hold, proxied
from servers import EmbeddedServer

from rvlstate.errors import PermissionMissingError, RvlstateError
from rvlstate.files.plan_file import dump_plan
from rvlstate.runtime.permissions import missing_permissions

pytest_plugins = ("story_fixtures",)

PASSWORD = "s3cr3t%2Fx"  # noqa: S105  # that of a user who lives as long as one test
PLAIN = "s3cr3t/x"


@contextmanager
def acl_user(shop: Shop, *rules: str) -> Iterator[str]:
    """A user with everything allowed but for some rules; the URL by which it connects."""
    shop.client.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{PLAIN}", "~*", "&*", "+@all", *rules)
    try:
        yield shop.url.replace("unix://", f"unix://app:{PASSWORD}@")
    finally:
        shop.client.execute_command("ACL", "DELUSER", "app")


def everything_stored(shop: Shop) -> str:
    """All that rvlstate keeps on the server, byte for byte."""
    return " ".join(str(shop.client.dump(key)) for key in shop.client.scan_iter("*rvlstate:*"))


def test_a_password_is_shown_nowhere(shop: Shop, server: EmbeddedServer, nursery: Nursery) -> None:
    """Scenario 49: not in plan, plan file, state, lock, journal, progress, status, history or errors."""
    load_products(shop.client)
    with acl_user(shop) as url, proxied(server.folder.parent, server.url) as proxy:
        # Through the proxy, so that the lock can be looked at while it is held.
        shop.url = url.replace(server.url.removeprefix("unix://"), str(proxy.path))
        shop.configure(redis={"url": shop.url})
        shop.declare("products", text("title"), tag("category"))
        hold = Hold("FT.CREATE products@1")
        proxy.rearm(watch=hold)
        shown = [dump_plan(shop.plan())]
        child = nursery.run(
            *shop.arguments("-v", "apply", "--yes"), environ={"CI_JOB_URL": f"https://u:{PASSWORD}@ci/1"}
        )
        assert hold.reached.wait(20)
        shown += [str(shop.client.get(KEYS.lock)), everything_stored(shop)]
        held = nursery.wait(nursery.run("--project", str(shop.file), "--redis-url", url, "apply", "--yes"))
        hold.let_go.set()
        shown += [str(nursery.wait(child)), str(held)]
        for command in (
            "status",
            "history",
            "drift",
            "plan --format json",
            "plan --format markdown",
            "state pull",
            "graph",
        ):
            ending = nursery.wait(nursery.run("--log-format", "json", *shop.arguments(*command.split())))
            assert ending.code == 0, ending
            shown.append(str(ending))
        with shop.project() as project:
            (run,) = project.history()
            shown += [project.pull_state(), str(project.run(run.id)), str(run)]
        shown += [str(shop.events), everything_stored(shop)]
    with pytest.raises(RvlstateError) as refused:
        shop.plan()
    shown.append(str(refused.value))
    assert held.code == 4
    for text_shown in shown:
        assert PASSWORD not in text_shown
        assert PLAIN not in text_shown
        assert "s3cr3t" not in text_shown


NEEDED_BY_A_BUILD = ["FT.CREATE", "FT.DROPINDEX", "FT.ALIASUPDATE", "FT.INFO", "FT._LIST", "EVAL"]


@pytest.mark.parametrize("command", NEEDED_BY_A_BUILD)
def test_a_missing_permission_is_told_before_any_write(shop: Shop, command: str) -> None:
    """Scenario 52: a user who may not run what the plan needs is told which, and neither state nor index changes."""
    load_products(shop.client)
    shop.declare("products", text("title"))
    shop.apply()
    shop.declare("products", text("title", weight=2.0))
    before, names = stored_state(shop.client), live_names(shop.client)
    direct = shop.url
    with acl_user(shop, f"-{command.lower()}") as shop.url:
        with pytest.raises(PermissionMissingError) as refusal:
            shop.apply()
        assert command in refusal.value.commands
        assert refusal.value.exit_code == 3
        assert f"ACL SETUSER app +{command.lower()}" in refusal.value.next_step
    shop.url = direct
    assert stored_state(shop.client) == before
    assert live_names(shop.client) == names
    assert not shop.client.exists(KEYS.lock)


def test_several_missing_permissions_are_told_at_once(shop: Shop) -> None:
    """Scenario 52: nobody asks an administrator twice."""
    shop.declare("products", text("title"))
    with acl_user(shop, "-ft.create", "-ft.aliasupdate") as shop.url, pytest.raises(PermissionMissingError) as refusal:
        shop.apply()
    assert refusal.value.commands == ("FT.ALIASUPDATE", "FT.CREATE")


def test_config_and_dangerous_commands_are_not_needed(shop: Shop) -> None:
    """Scenario 52: without CONFIG, KEYS, FLUSHALL and the rest of @dangerous everything works, INFO and ROLE given."""
    load_products(shop.client)
    with acl_user(shop, "-@dangerous", "+info", "+ft._list", "+ft.dropindex", "+ft.create", "+ft.alter") as shop.url:
        shop.declare("products", text("title"))
        shop.apply()
        shop.declare("products", text("title", weight=2.0))
        shop.apply()
        assert shop.drift().indexes == ()


def test_a_reader_may_plan(shop: Shop) -> None:
    """A user who may change nothing can plan, look at drift and at the status."""
    load_products(shop.client)
    shop.declare("products", text("title"))
    shop.apply()
    shop.declare("products", text("title"), tag("category"))
    with acl_user(shop, "-@write", "-ft.create", "-ft.alter", "-ft.dropindex", "-eval") as shop.url:
        plan = shop.plan()
        assert [step.operation.operation for step in plan.steps] == ["add_fields"]
        assert shop.drift().indexes == ()
        with shop.project() as project:
            assert project.status().indexes[0].state == "serving"
            assert "FT.ALTER" in missing_permissions(project.connection, ["FT.ALTER"])


def test_errors_of_files_show_no_password(shop: Shop, tmp_path: Path) -> None:
    """Scenario 49: a URL that cannot be used is quoted without its password."""
    shop.configure(redis={"url": f"redis://app:{PASSWORD}@[::1:6379/0"})
    with pytest.raises(RvlstateError) as refusal, shop.project(redis_url=None) as project:
        project.plan()
    assert "s3cr3t" not in str(refusal.value)
