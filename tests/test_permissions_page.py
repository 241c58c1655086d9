"""docs/permissions.md shows the lines that the tool prints; RVLSTATE_UPDATE_DOCS=1 writes the present ones into it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired, DesiredIndex
from rvlstate.model.field import TextField
from rvlstate.model.state import State
from rvlstate.plan.commands import FORMS, ON_A_CLUSTER, OPTIONAL
from rvlstate.plan.grants import ROLES, Grant, Role, Ways, grant

PAGE = Path(__file__).parent.parent / "docs" / "permissions.md"
BLOCK = re.compile(r"<!-- lines: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
KNOWN = frozenset(FORMS) - {"FT.ALIASLIST"}
SINGLE = Ways(known=KNOWN - set(ON_A_CLUSTER))
CLUSTER = Ways(known=KNOWN, one_slot=True)


def granted(role: Role, ways: Ways, *storages: str, documents: bool = True) -> Grant:
    """The rights for a project with an index over documents of these types."""
    fields = (TextField(name="title", identifier="title"),)
    indexes = tuple(
        DesiredIndex(
            name="products",
            definition=IndexDefinition(
                storage="json" if storage == "json" else "hash", prefixes=("product:",), fields=fields
            ),
        )
        for storage in storages
    )
    return grant(role, Desired(project="shop", indexes=indexes), State(), ways, documents=documents)


def fenced(*lines: str) -> str:
    """Lines as they may be pasted."""
    return "\n".join(("```text", *(line for line in lines if line), "```"))


def of_all(ways: Ways, *, documents: bool) -> str:
    """The lines of all users."""
    grants = [granted(role, ways, "hash", documents=documents) for role in ROLES]
    return fenced(*(line for one in grants for line in (one.line, one.further_line)))


def more(role: Role, ways: Ways, *storages: str) -> str:
    """What further storage types, or another server, add to the rights of a user."""
    usual = granted(role, SINGLE, "hash")
    here = granted(role, ways, *storages)
    rules = [f"+{name.lower().replace(' ', '|')}" for name in here.commands if name not in usual.commands]
    return " ".join(("ACL SETUSER", here.user, *rules, *(key for key in here.keys if key not in usual.keys)))


def table() -> str:
    """What is lost without each optional command."""
    rows = [f"| `{name}` | {loss} |" for name, loss in sorted(OPTIONAL.items())]
    return "\n".join(("| command | without it |", "|---|---|", *rows))


PARTS: Mapping[str, Callable[[], str]] = {
    "indexes": lambda: of_all(SINGLE, documents=False),
    "documents": lambda: of_all(SINGLE, documents=True),
    "json": lambda: fenced(*(more(role, SINGLE, "hash", "json") for role in ROLES)),
    "cluster": lambda: fenced(*(more(role, CLUSTER, "hash") for role in ROLES)),
    "optional": table,
}


def test_the_page_shows_what_is_printed() -> None:
    """Every block is as the tool has it now, and every block is there."""
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(BLOCK.findall(text)) == sorted(PARTS)
    written = BLOCK.sub(lambda found: f"<!-- lines: {found[1]} -->\n{PARTS[found[1]]()}\n<!-- end -->", text)
    if os.environ.get("RVLSTATE_UPDATE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("role", ROLES)
def test_who_reads_prefixes_is_given_them(role: Role) -> None:
    """A server that shows an index only to who may read its keys: readers may read them, and the place of copies."""
    ways = Ways(known=KNOWN, reads_prefixes=True)
    keys = granted(role, ways, "hash", documents=False).keys
    assert {"%R~product:*", "%R~rvlstate:stage:shop.*"} <= set(keys)
    assert ("%R~rvlstate:nowhere:*" in keys) == (role == "apply")


@pytest.mark.parametrize("prefix", ["two words:", "é:", 'say "no":', "it's:"])
def test_what_a_rule_cannot_spell_is_not_listened_to(prefix: str) -> None:
    """A channel stands in a rule just as it is subscribed to; the line can be pasted, and the other channels stay."""
    fields = (TextField(name="title", identifier="title"),)
    covers = IndexDefinition(storage="hash", prefixes=("plain:", prefix), fields=fields)
    desired = Desired(project="shop", indexes=(DesiredIndex(name="products", definition=covers),))
    line = grant("apply", desired, State(), SINGLE, documents=True).further_line
    assert line == "ACL SETUSER shop-apply +config|get +psubscribe &__keyspace@0__:plain:*"
