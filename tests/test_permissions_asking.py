"""The ways to ask for rights agree: ACL DRYRUN, a script, and trying; none changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rvlstate.errors import PermissionMissingError
from rvlstate.plan.commands import FORMS, OPTIONAL
from rvlstate.plan.rights import Needs
from rvlstate.runtime.connect import Connection, command, connect
from rvlstate.runtime.permissions import Lacking, lacking, refuse_lacking

CONNECTING = ("CLUSTER NODES", "CLUSTER SLOTS", "COMMAND")
COMMANDS = tuple(sorted(FORMS.keys() - {*CONNECTING, "FT.ALIASLIST"}))
NEEDS = Needs(project="shop", commands=COMMANDS, names=("shop", "shop@1"), prefixes=("doc:",), beside=True)
KEYS = (
    *("~{rvlstate:shop}:*", "~rvlstate:projects", "~shop", "~shop@*"),
    *("~doc:*", "~rvlstate:mark:shop:*", "~rvlstate:stage:shop.*"),
)
NEEDED = tuple(name for name in COMMANDS if name not in OPTIONAL)


@pytest.fixture(params=["standalone", "cluster"])
def admin(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection that may do everything."""
    url = request.getfixturevalue("redis_url" if request.param == "standalone" else "cluster_url")
    with connect(url) as connection:
        yield connection


@contextmanager
def user(admin: Connection, *rules: str) -> Iterator[Connection]:
    """A connection of a user who may do everything but what the rules take."""
    command(admin.search, "ACL SETUSER", "ci", "reset", "on", ">pw", "+@all", *rules)
    try:
        with connect(admin.url.replace("://", "://ci:pw@")) as connection:
            yield connection
    finally:
        command(admin.search, "ACL DELUSER", "ci")


def test_who_may_everything_lacks_nothing(admin: Connection) -> None:
    """Whatever the way, and whether by all rights or by just those that are needed."""
    assert lacking(admin, NEEDS) == Lacking()
    for way in ((), ("-acl|dryrun",)):
        with user(admin, "~*", *way) as connection:
            assert lacking(connection, NEEDS) == Lacking()
        with user(admin, *KEYS, *way) as connection:
            assert lacking(connection, NEEDS) == Lacking()
    assert admin.search.dbsize() == 0


@pytest.mark.parametrize("way", [(), ("-acl|dryrun",)], ids=["dry run", "script"])
def test_each_missing_command_is_found(admin: Connection, way: tuple[str, ...]) -> None:
    """Alone, and together with keys that are out of reach as well."""
    for name in NEEDED:
        if way and name == "EVAL":
            continue  # then nobody can ask by a script
        with user(admin, *KEYS, *way, f"-{name.lower().replace(' ', '|')}") as connection:
            assert lacking(connection, NEEDS) == Lacking(commands=(name,))
    with user(admin, *KEYS[:4], *way, "-hset", "-ft.create", "-get") as connection:
        found = lacking(connection, NEEDS)
    assert set(found.commands) >= {"FT.CREATE", "GET"}
    assert found.keys == ("doc:*", "rvlstate:mark:shop:*", "rvlstate:stage:shop.*")


@pytest.mark.parametrize("way", [(), ("-acl|dryrun",)], ids=["dry run", "script"])
def test_each_missing_pattern_is_found(admin: Connection, way: tuple[str, ...]) -> None:
    """Of state, names, documents and what is beside them; keys that may only be read are out of reach too."""
    for rule in KEYS:
        if rule == "~rvlstate:projects":
            continue  # a list that can be done without
        others = [other for other in KEYS if other != rule]
        with user(admin, *others, *way) as connection:
            keys = lacking(connection, NEEDS).keys
        expected = {"~shop": ("shop",), "~shop@*": ("shop@1",)}.get(rule, (rule[1:],))
        assert keys == expected
    with user(admin, *KEYS[:4], *KEYS[5:], "%R~doc:*", *way) as connection:
        assert lacking(connection, NEEDS).keys == ("doc:*",)


def test_without_a_way_to_ask_commands_are_tried(admin: Connection) -> None:
    """In forms that change nothing: what is certain is named."""
    with user(admin, *KEYS, "-acl", "-eval", "-ft.create", "-scan", "-evalsha") as connection:
        assert lacking(connection, NEEDS).commands == ("EVAL", "EVALSHA", "FT.CREATE", "SCAN")
    assert admin.search.dbsize() == 0


def test_all_that_is_missing_is_told_at_once(admin: Connection) -> None:
    """Commands and keys, with the rule to ask for."""
    with user(admin, *KEYS[:-1], "-hset", "-script|load") as connection:
        with pytest.raises(PermissionMissingError) as caught:
            refuse_lacking(connection, NEEDS)
        assert caught.value.commands == ("HSET", "SCRIPT|LOAD")
        assert caught.value.keys == ("rvlstate:stage:shop.*",)
        assert caught.value.next_step == "ask for: ACL SETUSER ci +hset +script|load ~rvlstate:stage:shop.*"
        assert caught.value.exit_code == 3


@pytest.mark.parametrize("rule", ["cluster|slots", "command"])
def test_who_may_not_ask_a_cluster_for_its_slots_is_told_so(cluster_url: str, rule: str) -> None:
    """The client needs that to connect at all."""
    with connect(cluster_url) as admin, pytest.raises(PermissionMissingError) as caught, user(admin, "~*", f"-{rule}"):
        pass
    assert caught.value.next_step == f"ask for: ACL SETUSER ci +{rule}"
