"""The kill matrix: plans, each with a server as it is before, and what happens when its apply is killed somewhere."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from kit import KEYS, Shop, await_built, documents, index_facts, live_names, load_products, resolves_to, tag, text, vector
from nursery import Ending, Nursery
from proxy import WRITES, Command, Point, Proxy, Trap, is_polled

from rvlstate.errors import RvlstateError
from rvlstate.model.state import State
from rvlstate.runtime.admit import ApplyOptions
from rvlstate.runtime.lock_info import read_lock

PRODUCTS = 60
APPLY = ("apply", "--yes")
IMPORT = ("import", "--all")
FIELDS = (text("title"), tag("category"), vector("embedding", m=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One plan: `before` makes the server as it is, `change` edits the files, `answers` are names that always answer.

    `operations` are the kinds of steps that the plan must have, so that the case stays what it is called.
    `may_rebuild`: killed between its names, it is built once more, under the next revision: an index that an alias
    leads to is not taken up, since it would be removed if its build failed.
    """

    name: str
    before: Callable[[Shop], None]
    change: Callable[[Shop], None]
    operations: tuple[str, ...]
    answers: tuple[str, ...] = ("products",)
    allow: tuple[str, ...] = ()
    may_rebuild: bool = False
    command: tuple[str, ...] = APPLY


def _managed(shop: Shop) -> None:
    """Products behind an alias, created by rvlstate, with synonyms."""
    load_products(shop.client, PRODUCTS)
    shop.declare("products", *FIELDS)
    shop.apply()
    for group, terms in (("g1", ("shoe", "sneaker")), ("g2", ("running", "jogging"))):
        shop.client.execute_command("FT.SYNUPDATE", "products", group, *terms)
    await_built(shop.client, "products")


def _physical(shop: Shop) -> None:
    """Products under a physical name."""
    shop.configure(policy={"naming": "plain"})
    _managed(shop)


def _two(shop: Shop) -> None:
    """Nothing applied yet; two indexes over different documents, the first by name depends on the second."""
    load_products(shop.client, PRODUCTS)
    load_products(shop.client, PRODUCTS, prefix="parts:")


def _hijacked(shop: Shop) -> None:
    _managed(shop)
    shop.client.execute_command(
        "FT.CREATE", "products", "PREFIX", "1", "products:", "SCHEMA", "title", "TEXT", "category", "TAG"
    )
    await_built(shop.client, "products")


def _reweighted(shop: Shop) -> None:
    shop.declare("products", text("title", weight=3.0), tag("category", sortable=True), FIELDS[2])


def _renamed(shop: Shop) -> None:
    shop.undeclare("products")
    shop.configure(indexes={"goods": {"renamed_from": "products"}})
    shop.declare("goods", *FIELDS, prefix="products:")


def _declared_two(shop: Shop) -> None:
    shop.configure(indexes={"parts": {"depends_on": ["products"]}})
    shop.declare("parts", *FIELDS)
    shop.declare("products", *FIELDS)


def _two_managed(shop: Shop) -> None:
    _two(shop)
    _declared_two(shop)
    shop.apply()


def _both_changed(shop: Shop) -> None:
    shop.declare("parts", text("title", weight=2.0), *FIELDS[1:])
    _reweighted(shop)


def _added(shop: Shop) -> None:
    shop.declare("products", *FIELDS, {"name": "price", "type": "numeric"}, tag("brand", separator="|"))


BUILD = ("create_index", "await_build", "verify_index")
SHADOW = (*BUILD, "point_alias", "drop_index")

CASES = (
    Case(
        name="create",
        before=lambda shop: load_products(shop.client, PRODUCTS),
        change=lambda shop: shop.declare("products", *FIELDS),
        operations=(*BUILD, "point_alias"),
        answers=(),
    ),
    Case(
        name="create-plain",
        before=lambda shop: (shop.configure(policy={"naming": "plain"}), load_products(shop.client, PRODUCTS))[0],
        change=lambda shop: shop.declare("products", *FIELDS),
        operations=(*BUILD, "record_index"),
        answers=(),
    ),
    Case(name="add-fields", before=_managed, change=_added, operations=("add_fields",)),
    Case(name="shadow-over-alias", before=_managed, change=_reweighted, operations=SHADOW),
    Case(
        name="shadow-over-physical-name",
        before=_physical,
        change=_reweighted,
        operations=(*BUILD, "take_name"),
        allow=("NAME_BECOMES_ALIAS",),
    ),
    Case(
        name="delete",
        before=_two_managed,
        change=lambda shop: (shop.undeclare("parts"), shop.configure(indexes={}))[0],
        operations=("drop_alias", "drop_index"),
        allow=("DELETES_INDEX",),
    ),
    Case(
        name="rename",
        before=_managed,
        change=_renamed,
        operations=("point_alias", "drop_alias"),
        answers=("products|goods",),
        allow=("DELETES_INDEX",),
    ),
    Case(
        name="rename-of-physical-name",
        before=_physical,
        change=_renamed,
        operations=("point_alias", "forget_index"),
        answers=("products", "products|goods"),
        allow=("DELETES_INDEX",),
    ),
    Case(
        name="rename-and-rebuild",
        before=_managed,
        change=lambda shop: (_renamed(shop), shop.declare("goods", *FIELDS[:2], prefix="products:"))[0],
        operations=(*BUILD, "point_alias", "drop_index", "forget_index"),
        answers=("products|goods",),
        allow=("DELETES_INDEX",),
    ),
    Case(
        name="rename-of-physical-name-and-rebuild",
        before=_physical,
        change=lambda shop: (_renamed(shop), shop.declare("goods", *FIELDS[:2], prefix="products:"))[0],
        operations=(*BUILD, "point_alias", "drop_index", "forget_index"),
        answers=("products|goods",),
        allow=("DELETES_INDEX",),
    ),
    Case(
        name="two-with-dependency",
        before=_two,
        change=_declared_two,
        operations=(*BUILD, "point_alias", *BUILD, "point_alias"),
        answers=(),
    ),
    Case(
        name="two-shadows",
        before=_two_managed,
        change=_both_changed,
        operations=(*BUILD, "point_alias", *SHADOW, "drop_index"),
        answers=("products", "parts"),
    ),
    Case(
        name="further-alias",
        before=_managed,
        change=lambda shop: shop.configure(indexes={"products": {"aliases": ["wares"]}}),
        operations=("point_alias", "record_index"),
    ),
    Case(
        name="further-alias-through-a-shadow",
        before=lambda shop: (
            shop.configure(indexes={"products": {"aliases": ["wares"]}}),
            _managed(shop),
        )[0],
        change=_reweighted,
        operations=(*BUILD, "point_alias", "point_alias", "drop_index"),
        answers=("products", "wares"),
    ),
    Case(
        name="further-alias-through-a-shadow-over-physical-name",
        before=lambda shop: (
            shop.configure(indexes={"products": {"aliases": ["wares"]}}),
            _physical(shop),
        )[0],
        change=_reweighted,
        operations=(*BUILD, "point_alias", "take_name"),
        answers=("products", "wares"),
        allow=("NAME_BECOMES_ALIAS",),
        may_rebuild=True,
    ),
    Case(
        name="hijack-repair",
        before=_hijacked,
        change=lambda shop: None,  # noqa: ARG005  # the server was changed, not the files
        operations=("drop_index", "point_alias"),
        allow=("DELETES_INDEX",),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that an apply leads to, as far as it must not depend on where it was interrupted."""

    indexes: dict[str, dict[str, Any]]
    aliases: dict[str, str | None]
    state: State
    documents: dict[bytes, str]


@dataclass(slots=True, kw_only=True)
class Matrix:
    """One case on a server behind a proxy: its undisturbed run, and as many killed ones as are asked for."""

    case: Case
    shop: Shop
    proxy: Proxy
    nursery: Nursery
    before: list[tuple[Any, ...]] = field(default_factory=list)
    points: list[tuple[Point, Command]] = field(default_factory=list)
    expected: Result | None = None

    def prepare(self) -> None:
        """Make the server as it is before, remember how, and see what an undisturbed run leads to."""
        with redis.from_url(self.proxy.url, protocol=2) as seen:
            self.case.before(replace(self.shop, url=self.proxy.url, client=seen))
        self._remember()
        self.case.change(self.shop)
        plan = self.shop.plan()
        kinds = tuple(step.operation.operation for step in plan.steps)
        assert kinds == self.case.operations, kinds
        self.proxy.rearm(watch=self._still_answers)
        ending = self._run_child(Future())
        assert ending.code == 0, ending.output
        self.points = self.proxy.points()
        self.expected = self._result()
        self.shop.assert_settled()

    def _remember(self) -> None:
        """How to make the server again: keys as they are, after the commands that made the indexes."""
        client = self.shop.client
        self.before = [command for command in self.proxy.seen if command[0].decode().upper() in WRITES - {"EVAL"}]
        self.before += [("RESTORE", key, 0, client.dump(key), "REPLACE") for key in client.scan_iter(count=1000)]

    def restore(self) -> None:
        """The server as it was before."""
        client = self.shop.client
        client.flushall()
        pipeline = client.pipeline(transaction=False)
        for command in self.before:
            pipeline.execute_command(*command)
        pipeline.execute()
        for name in live_names(client):
            await_built(client, name)

    def kill(self, point: Point) -> bool:
        """Kill an apply at a point, run it again to the end, and compare with the undisturbed run.

        False if the run ended before it came to that point.
        """
        assert self.expected is not None
        self.restore()
        pid: Future[int] = Future()
        self.proxy.rearm(Trap(point, lambda: os.kill(pid.result(10), signal.SIGKILL)), self._still_answers)
        ending = self._run_child(pid)
        if not self.proxy.sprung:
            assert ending.code == 0, ending
            return False
        assert ending.killed, ending
        self._still_answers(None)
        assert documents(self.shop.client) == self.expected.documents
        self._take_lock_away()
        problems = list(self.proxy.problems)
        self.proxy.rearm(watch=self._still_answers)
        self._run_again()
        assert_same(self._result(), self.expected)
        self.shop.assert_settled()
        assert not [*problems, *self.proxy.problems]
        return True

    def kill_at(self, points: Iterable[tuple[Point, Command]]) -> None:
        """Kill at each of the points, and tell all of those from which a run did not recover."""
        failed, missed = [], []
        for point, command in points:
            try:
                if not self.kill(point):
                    missed.append((point, command))
            except (AssertionError, RvlstateError, redis.RedisError) as error:
                failed.append(f"{point}: {type(error).__name__}: {error}")
        assert not failed, "\n".join([f"{self.case.name}: {len(failed)} points", *failed])
        assert all(is_polled(command) for _, command in missed), missed

    def _run_again(self) -> None:
        """Run the same in this process, to the end."""
        with self.shop.project(redis_url=self.proxy.url, schemas="optional") as project:
            if self.case.command == IMPORT:
                project.import_indexes((), everything=True)
            else:
                assert project.apply(options=ApplyOptions(allow=self.case.allow)).plan_empty

    def _run_child(self, pid: Future[int]) -> Ending:
        flags = [word for code in self.case.allow for word in ("--allow", code)]
        where = ("--project", str(self.shop.file), "--redis-url", self.proxy.url)
        pid.set_result(self.nursery.run(*where, *self.case.command, *flags))
        return self.nursery.wait(pid.result())

    def _take_lock_away(self) -> None:
        with self.shop.project(schemas="ignored") as project:
            lock = read_lock(project.connection.keys, project.name)
            if lock is not None:
                project.unlock(lock.id)

    def _still_answers(self, _command: Command | None) -> None:
        """Every name that answered before answers with all documents; of `a|b` one of the two."""
        for names in self.case.answers:
            counts = [self._count(name) for name in names.split("|")]
            assert PRODUCTS in counts, (names, counts)

    def _count(self, name: str) -> int | None:
        try:
            return self.shop.count(name=name)
        except redis.ResponseError:
            return None

    def _result(self) -> Result:
        client = self.shop.client
        assert not client.exists(KEYS.lock), "the lock was left behind"
        with self.shop.project(schemas="ignored") as project:
            state = project.state()
        assert state.intents == (), f"left behind: {[intent.physical for intent in state.intents]}"
        assert state.run is not None
        assert state.run.finished
        aliases = ("products", "goods", "wares", "parts")
        result = Result(
            indexes={name: index_facts(client, name) for name in sorted(live_names(client))},
            aliases={name: resolves_to(client, name) for name in aliases},
            state=replace(state, run=None, serial=0, lineage=state.lineage and "known"),
            documents=documents(client),
        )
        return anonymised(result) if self.case.may_rebuild else result


def anonymised(result: Result) -> Result:
    """The result without the numbers of revisions."""

    def strip(name: str | None) -> str | None:
        return name and re.sub(r"@\d+$", "@n", name)

    records = tuple(replace(record, physical=str(strip(record.physical))) for record in result.state.records)
    return Result(
        indexes={str(strip(name)): {**facts, "physical": ""} for name, facts in result.indexes.items()},
        aliases={name: strip(physical) for name, physical in result.aliases.items()},
        state=replace(result.state, records=records),
        documents=result.documents,
    )


def assert_same(got: Result, expected: Result) -> None:
    """Fail with what differs, part by part."""
    assert got.aliases == expected.aliases, (got.aliases, sorted(got.indexes))
    assert sorted(got.indexes) == sorted(expected.indexes), sorted(got.indexes)
    assert got.indexes == expected.indexes
    assert got.state == expected.state
    assert got.documents == expected.documents
