"""Every command of the program, as the user for plan, for drift and for apply runs it."""

from __future__ import annotations

import pytest
from acl_cases import CASES, POLICY
from acl_kit import as_user, grant_of, picture, refusals
from document_shop import EndedError, ends_at
from kit import Shop

from rvlstate.cli.catalogue import COMMANDS
from rvlstate.cli.main import run
from rvlstate.events import Event, LateWritesFound

pytest_plugins = ("story_fixtures",)

READS: tuple[tuple[str, ...], ...] = (
    *(("plan",), ("plan", "--format", "markdown"), ("graph",), ("drift",), ("status",), ("history",), ("acl",)),
    *(("state", "show"), ("state", "pull")),
)
WRITES: tuple[tuple[str, ...], ...] = (
    *(("apply", "--yes"), ("cutover", "products", "--yes"), ("rollback", "products", "--yes"), ("watch", "products")),
    *(("import", "--all"), ("pause",), ("resume",), ("throttle", "5"), ("abort",), ("unlock", "an-id")),
    ("state", "rebuild", "--yes"),
)
OFFLINE = {"init", "validate", "schema", "comment", "server", "demo"}
"""Commands that ask no server, or one of their own."""

COMPLETES = {"complete"}
"""What has a place of its own in the story below, behind a cutover."""


def test_every_command_is_looked_at() -> None:
    """A new one has to say who may run it."""
    assert {words[0] for words in (*READS, *WRITES)} | OFFLINE | COMPLETES == set(COMMANDS)


@pytest.fixture
def held(any_shop: Shop) -> Shop:
    """A staged change that is ready for its cutover."""
    case = CASES[2]
    case.prepare(any_shop)
    any_shop.apply()
    case.change(any_shop)
    any_shop.settings["indexes"]["products"]["cutover"] = "manual"
    any_shop.configure()
    any_shop.apply()
    return any_shop


@pytest.mark.parametrize("role", ["plan", "drift"])
def test_a_reader_runs_what_reads_and_nothing_else(held: Shop, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What writes is refused with what is missing, exit code 3, before anything is written."""
    before = picture(held.client)
    with as_user(held, grant_of(held, "plan" if role == "plan" else "drift")):
        for words in READS:
            assert run(held.arguments(*words)) == 0, (words, capsys.readouterr().err)
        assert refusals(held.client) == []
        for words in WRITES:
            capsys.readouterr()
            assert run(held.arguments(*words)) == 3, words
            assert "may not run" in capsys.readouterr().err, words
    assert picture(held.client) == before


def test_who_applies_runs_everything(held: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading, orders where there is nobody to give them to, and the change to its end."""
    with as_user(held, grant_of(held, "apply")):
        for words in READS:
            assert run(held.arguments(*words)) == 0, (words, capsys.readouterr().err)
        for words in (("pause",), ("resume",), ("throttle", "5"), ("abort",), ("unlock", "an-id")):
            assert run(held.arguments(*words)) == 1, words
            assert "may not" not in capsys.readouterr().err
        for words in (
            *(("rollback", "products", "--yes"), ("apply", "--yes"), ("cutover", "products", "--yes")),
            *(("history",), ("state", "rebuild", "--yes"), ("import", "--all")),
        ):
            assert run(held.arguments(*words)) == 0, (words, capsys.readouterr().err)
        assert refusals(held.client) == []


def test_who_applies_watches(held: Shop) -> None:
    """What is written in the old layout is found and staged, and the server refuses nothing meanwhile."""

    def listen(event: Event) -> None:
        if isinstance(event, LateWritesFound):
            raise EndedError

    held.client.hset("products:1", "title", "written late")
    with as_user(held, grant_of(held, "apply")), held.project() as project:
        with pytest.raises(EndedError):
            project.watch("products", on_event=listen)
        assert refusals(held.client) == []


def test_a_change_behind_its_cutover_is_completed_by_who_applies_alone(
    held: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the old index is kept: a reader may neither complete it nor go back."""
    held.settings["policy"] = {**POLICY, "retain_old": "1h"}
    held.configure()
    with pytest.raises(EndedError), held.project() as project:
        project.cutover("products", on_event=ends_at("point_alias"))
    before = picture(held.client)
    with as_user(held, grant_of(held, "plan")):
        for words in (("complete", "products", "--yes"), ("rollback", "products", "--yes")):
            capsys.readouterr()
            assert run(held.arguments(*words)) == 3
            assert "may not run" in capsys.readouterr().err
    assert picture(held.client) == before
    with as_user(held, grant_of(held, "apply")):
        assert run(held.arguments("complete", "products", "--yes")) == 0, capsys.readouterr().err
        assert refusals(held.client) == []
