"""What staged keys tell of the change that made them, where no state does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvlstate.model.braces import with_braces, without_braces
from rvlstate.model.catalog import Catalog, LiveIndex, ServerProfile
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.desired import Desired
from rvlstate.model.state import State
from rvlstate.plan.promotion import stage_prefix
from rvlstate.plan.recovery import Trace, forgotten, recovered, trace_in
from rvlstate.plan.situation import World

names = st.text(min_size=1, max_size=12)


@given(project=names, name=names, number=st.integers(0, 10**9), document=st.text(max_size=20))
def test_a_staged_key_tells_its_change(project: str, name: str, number: int, document: str) -> None:
    """Whatever project, index and document are called; so does the prefix that an index covers."""
    trace = Trace(name=name, number=number)
    prefix = stage_prefix(project, trace.id)
    assert trace_in(prefix, project) == trace
    assert trace_in(f"{prefix}{{0}}:{document}", project) == trace


@given(name=st.text(max_size=20))
def test_braces_come_back(name: str) -> None:
    """Names are written without braces, and read with them again."""
    assert with_braces(without_braces(name)) == name


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("rvlstate:stage:shopping.goods-7:{0}:goods:1", ()),
        ("rvlstate:stage:shop.eu.goods-7:{0}:goods:1", ("shop.eu",)),
        ("rvlstate:stage:shop.by-hand:{0}:goods:1", ()),
        ("rvlstate:stage:by-hand:{0}:goods:1", ()),
        ("goods:1", ()),
    ],
)
def test_keys_of_others_are_no_traces(text: str, others: tuple[str, ...]) -> None:
    """Other projects, one whose name begins with ours among them, and what only looks alike."""
    assert trace_in(text, "shop", others) is None


def index(name: str, *prefixes: str) -> LiveIndex:
    """A live index over these prefixes."""
    return LiveIndex(name=name, definition=IndexDefinition(prefixes=prefixes, fields=()))


def world(*indexes: LiveIndex, copies: frozenset[str] = frozenset(), **aliases: str) -> World:
    """A server of which the state of the project knows nothing."""
    catalog = Catalog()
    for one in indexes:
        catalog = catalog.with_index(one)
    for alias, physical in aliases.items():
        catalog = catalog.with_alias(alias.replace("_", "."), physical)
    server = ServerProfile(redis="8.2.3", search="2.10.5")
    return World(catalog=catalog, state=State(), server=server, project="shop", copies=copies)


PLACE = "rvlstate:stage:shop.goods-7:"
OLD, NEW = index("goods@1", "goods:"), index("goods@2", PLACE, "goods:")


def test_an_index_over_copies_is_forgotten_where_nobody_asks_it_or_copies_are_there() -> None:
    """One that serves, and whose copies are all in their places, is an index as any other."""
    assert forgotten(world(OLD, NEW, goods="goods@1", goods_next="goods@2")) == ("goods@2",)
    assert forgotten(world(NEW, goods="goods@2")) == ()
    assert forgotten(world(NEW, goods="goods@2", copies=frozenset({"goods@2"}))) == ("goods@2",)


def test_a_change_is_recovered_from_copies_alone() -> None:
    """An index that keeps their prefix says that there was a change once: no later one gets its id."""
    done = recovered(Desired(project="shop"), world(NEW, goods="goods@2"), ())
    assert (done.rewrites, done.intents, done.serial) == ((), (), 7)
    found = recovered(Desired(project="shop"), world(OLD, NEW, goods="goods@1"), [Trace(name="goods", number=7)])
    (begun,) = found.rewrites
    assert (begun.id, begun.phase, begun.physical, begun.target) == ("goods-7", "staging", "goods@1", "goods@2")
    assert begun.is_lost
    assert [intent.physical for intent in found.intents] == ["goods@1", "goods@2"]


@pytest.mark.parametrize(("indexes", "phase", "old"), [((OLD, NEW), "serving", "goods@1"), ((NEW,), "promoting", "")])
def test_what_serves_copies_is_behind_its_cutover(indexes: tuple[LiveIndex, ...], phase: str, old: str) -> None:
    """With the old index there is a way back to it; without it copies are taking the place of documents."""
    found = recovered(Desired(project="shop"), world(*indexes, goods="goods@2"), [Trace(name="goods", number=7)])
    (begun,) = found.rewrites
    assert (begun.phase, begun.physical, begun.target, begun.stage) == (phase, old, "goods@2", PLACE)
