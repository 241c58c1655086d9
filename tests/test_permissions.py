"""What the user of a connection may do: asked before anything is written, and told by name when it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from servers import EmbeddedServer

from rvlstate.errors import PermissionMissingError
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.inspect import inspect_catalog, inspect_index
from rvlstate.runtime.permissions import current_user, missing_keys, missing_permissions
from rvlstate.runtime.profile import inspect_server

READING = ("+ft._list", "+ft.info", "+ft.syndump", "+info", "+dbsize", "+command|info")
WRITING = ("FT.CREATE", "FT.ALTER", "FT.DROPINDEX", "FT.ALIASADD", "FT.ALIASUPDATE", "FT.ALIASDEL", "EVAL", "EVALSHA")
ASKING = ("+acl|whoami", "+acl|dryrun")
PLAIN = ("PREFIX", "1", "p:", "SCHEMA", "t", "TEXT")


@pytest.fixture
def admin(server: EmbeddedServer, redis_url: str) -> Iterator[Connection]:
    """A connection that may do everything, to a server with two indexes."""
    with connect(redis_url) as connection:
        for name in ("shop@1", "other"):
            command(connection.search, "FT.CREATE", name, *PLAIN)
        command(connection.search, "FT.ALIASADD", "shop", "shop@1")
        yield connection


@contextmanager
def as_user(admin: Connection, *rules: str, protocol: int = 3) -> Iterator[Connection]:
    """A connection of the user `ci` with these rules only."""
    command(admin.search, "ACL SETUSER", "ci", "reset", "on", ">pw", *rules)
    try:
        with connect(admin.url.replace("://", "://ci:pw@"), protocol=protocol) as connection:
            yield connection
    finally:
        command(admin.search, "ACL DELUSER", "ci")


def indexes(admin: Connection) -> list[str]:
    """What is there."""
    return sorted(command(admin.search, "FT._LIST"))


def test_who_may_everything_lacks_nothing(admin: Connection) -> None:
    """The default user, by any spelling of the commands."""
    assert missing_permissions(admin, ["ft.create", "CONFIG|GET", "CONFIG GET", "EVAL", "SCAN"]) == ()
    assert current_user(admin) == "default"


@pytest.mark.parametrize("protocol", [2, 3])
def test_missing_commands_are_found_by_asking(admin: Connection, protocol: int) -> None:
    """ACL DRYRUN tells exactly, subcommands too, whatever number of arguments a command takes."""
    with as_user(admin, *READING, *ASKING, "+ft.create", "+config|get", "~*", protocol=protocol) as connection:
        wanted = ["FT.CREATE", "FT.ALTER", "FT._LIST", "CONFIG GET", "CONFIG SET", "RENAME", "EVAL", "SET", "DBSIZE"]
        missing = missing_permissions(connection, wanted)
        assert missing == ("CONFIG SET", "EVAL", "FT.ALTER", "RENAME", "SET")
        assert current_user(connection) == "ci"


@pytest.mark.parametrize("protocol", [2, 3])
def test_missing_commands_are_found_by_trying(admin: Connection, protocol: int) -> None:
    """Without ACL DRYRUN, forms are tried that change nothing."""
    with as_user(admin, *READING, "+ft.create", "+ft.dropindex", "~*", protocol=protocol) as connection:
        missing = missing_permissions(connection, [*WRITING, "FT._LIST", "INFO", "GET"])
        assert missing == ("EVAL", "EVALSHA", "FT.ALIASADD", "FT.ALIASDEL", "FT.ALIASUPDATE", "FT.ALTER", "GET")
        assert current_user(connection) == "ci"
    assert indexes(admin) == ["other", "shop@1"]


def test_trying_changes_nothing(admin: Connection) -> None:
    """A user who may everything but ask: nothing is missing, and nothing has happened."""
    with as_user(admin, "+@all", "-acl", "~*") as connection:
        assert missing_permissions(connection, [*WRITING, "FT.SYNUPDATE", "SCAN", "TYPE", "HGETALL"]) == ()
    assert indexes(admin) == ["other", "shop@1"]
    assert admin.search.dbsize() == 0


@pytest.mark.parametrize("rules", [ASKING, ()])
def test_only_what_is_certain_is_missing(admin: Connection, rules: tuple[str, ...]) -> None:
    """Commands that the server does not have, and keys of the probe, are no missing permissions."""
    with as_user(admin, *rules, "+ft.create", "+get", "+eval", "~shop*") as connection:
        assert missing_permissions(connection, ["FT.CREATE", "FT.NO_SUCH_COMMAND", "GET", "EVAL"]) == ()


def test_keys_out_of_reach_are_found(admin: Connection) -> None:
    """The keys of the state, and index names, which count as keys."""
    state = ("{rvlstate:shop}:state", "{rvlstate:shop}:lock")
    with as_user(admin, *ASKING, "+eval", "+ft.info", "~shop*", "~{rvlstate:shop}:s*") as connection:
        assert missing_keys(connection, state) == ("{rvlstate:shop}:lock",)
        assert missing_keys(connection, ["shop@1", "other"], by=("FT.INFO",)) == ("other",)
    assert missing_keys(admin, state) == ()


def test_a_user_who_may_only_read_can_plan(admin: Connection) -> None:
    """The commands that reading takes are enough, without PING or ACL."""
    with as_user(admin, *READING, "~*") as connection:
        profile = inspect_server(connection)
        catalog = inspect_catalog(connection, ["shop"], profile)
        assert catalog.aliases == (("shop", "shop@1"),)
        assert catalog.unreadable == ()


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("+ft._list", "FT._LIST"),
        ("+ft.info", "FT.INFO"),
        ("+ft.syndump", "FT.SYNDUMP"),
        ("+info", "INFO"),
        ("+dbsize", "DBSIZE"),
        ("+command|info", "COMMAND|INFO"),
    ],
)
def test_each_missing_read_is_named(admin: Connection, rule: str, missing: str) -> None:
    """The user, the command, and the rule that gives it; never an empty catalog."""
    with as_user(admin, *(other for other in READING if other != rule), "~*") as connection:
        with pytest.raises(PermissionMissingError) as caught:
            inspect_catalog(connection, ["shop"], inspect_server(connection))
        error = caught.value
        assert (error.user, error.commands) == ("ci", (missing,))
        assert error.next_step == f"ask for: ACL SETUSER ci {rule}"
        assert error.exit_code == 3


def test_indexes_of_others_may_be_unreadable(admin: Connection) -> None:
    """An index name is a key: what a user may not read is named apart and breaks no plan."""
    with as_user(admin, *READING, "~shop*") as connection:
        catalog = inspect_catalog(connection, ["shop"], inspect_server(connection))
        assert [index.name for index in catalog.indexes] == ["shop@1"]
        assert catalog.unreadable == ("other",)
        with pytest.raises(PermissionMissingError):
            inspect_index(connection, "other")


def test_indexes_of_ours_must_be_readable(admin: Connection) -> None:
    """A declared name that may not be read is an error that names the key rule."""
    with as_user(admin, *READING, "~p:*") as connection:
        with pytest.raises(PermissionMissingError) as caught:
            inspect_catalog(connection, ["shop"], inspect_server(connection))
        assert caught.value.next_step == "ask for: ACL SETUSER ci ~shop"
