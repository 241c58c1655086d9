"""The kill matrix: what happens when the run of a case is killed somewhere, and what it must lead to all the same."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
from document_shop import kept_beside
from kill_cases import APPLY, BACKUP, IMPORT, PRODUCTS, Case
from kit import Shop, opened_shop, operations
from nursery import Ending, Nursery
from observe import KEYS, await_built, documents, index_facts, live_names, resolves_to
from proxy import WRITES, Command, Point, Proxy, Trap, is_journal, is_polled, is_write, proxied
from servers import EmbeddedServer, flush

from rvlstate.errors import RvlstateError
from rvlstate.model.state import Record, State
from rvlstate.runtime.admit import ApplyOptions
from rvlstate.runtime.lock import LEASE_VARIABLE
from rvlstate.runtime.lock_info import read_lock

Start = Callable[["Future[int]"], Ending]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that an apply leads to, as far as it must not depend on where it was interrupted."""

    indexes: dict[str, dict[str, Any]]
    aliases: dict[str, str | None]
    state: State
    documents: dict[bytes, str]
    files: dict[Path, bytes]


@dataclass(slots=True, kw_only=True)
class Matrix:
    """One case on a server behind a proxy: its undisturbed run, and as many killed ones as are asked for.

    With `lease_seconds` nobody takes the lock of a killed run away: the next run waits until the lease has ended.
    """

    case: Case
    shop: Shop
    proxy: Proxy
    nursery: Nursery
    lease_seconds: float | None = None
    before: list[tuple[Any, ...]] = field(default_factory=list)
    files: dict[Path, bytes] = field(default_factory=dict)
    points: list[tuple[Point, Command]] = field(default_factory=list)
    expected: Result | None = None

    def prepare(self) -> None:
        """Make the server as it is before, remember how, and see what an undisturbed run leads to."""
        with redis.from_url(self.proxy.url, protocol=2) as seen:
            self.case.before(replace(self.shop, url=self.proxy.url, client=seen))
        self._remember()
        self.case.change(self.shop)
        self.files = files_of(self.shop)
        if self.case.command == APPLY:
            kinds = tuple(operations(self.shop.plan()))
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
        self.before = [
            command for command in self.proxy.seen if command[0].decode().upper() in WRITES - {"EVAL", "SADD"}
        ]
        self.before += [
            ("RESTORE", key, max(0, client.pexpiretime(key)), client.dump(key), "REPLACE", "ABSTTL")
            for key in client.scan_iter(count=1000)
        ]

    def restore(self) -> None:
        """Server and files as they were before."""
        for path in files_of(self.shop).keys() - self.files.keys():
            path.unlink()
        for path, content in self.files.items():
            path.write_bytes(content)
        shutil.rmtree(self.shop.folder / BACKUP, ignore_errors=True)
        client = self.shop.client
        client.flushall()
        client.script_flush()
        pipeline = client.pipeline(transaction=False)
        for command in self.before:
            pipeline.execute_command(*command)
        pipeline.execute()
        for name in live_names(client):
            await_built(client, name)

    def kill(self, *points: Point, start: Start | None = None) -> bool:
        """Kill a run, and those that go on with it, at points; run it to the end; compare with the undisturbed run.

        False if a run ended before it came to its point. `start` makes the process, a child of the nursery if None.
        """
        assert self.expected is not None
        self.restore()
        problems: list[BaseException] = []
        killed = [self._killed_at(point, start or self._run_child, problems) for point in points]
        self.proxy.rearm(watch=self._still_answers)
        self._run_again()
        assert_same(self._result(), self.expected)
        self.shop.assert_settled()
        assert not [*problems, *self.proxy.problems]
        return all(killed)

    def _killed_at(self, point: Point, start: Start, problems: list[BaseException]) -> bool:
        """Kill one run; False if it ended before."""
        assert self.expected is not None
        pid: Future[int] = Future()
        self.proxy.rearm(Trap(point, lambda: os.kill(pid.result(10), signal.SIGKILL)), self._still_answers)
        ending = start(pid)
        problems += self.proxy.problems
        if not self.proxy.sprung:
            assert ending.code == 0, ending
            return False
        assert ending.killed, ending
        self._still_answers(None)
        if not self.case.rewrites:
            assert documents(self.shop.client) == self.expected.documents
        if self.lease_seconds is None:
            take_lock_away(self.shop)
        return True

    def kill_at(self, points: Iterable[tuple[Point, Command]]) -> None:
        """Kill at each of the points, and tell all of those from which a run did not recover."""
        missed = []
        failed = []
        for point, command in points:
            try:
                if not self.kill(point):
                    missed.append((point, command))
            except (AssertionError, RvlstateError, redis.RedisError) as error:  # noqa: PERF203  # all are to be told
                failed.append(f"{point}: {type(error).__name__}: {error}")
        assert not failed, "\n".join([f"{self.case.name}: {len(failed)} points", *failed])
        assert all(is_polled(command) for _, command in missed), missed

    def _run_again(self) -> None:
        """Run the same in this process, to the end."""
        with self.shop.project(redis_url=self.proxy.url, schemas="optional") as project:
            if self.case.command == IMPORT:
                project.import_indexes((), everything=True)
            else:
                options = ApplyOptions(allow=self.case.allow, lock_timeout=2 * (self.lease_seconds or 0.0))
                assert project.apply(options=options).plan_empty

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of rvlstate."""
        flags = [word for code in self.case.allow for word in ("--allow", code)]
        return ("--project", str(self.shop.file), "--redis-url", self.proxy.url, *self.case.command, *flags)

    def _run_child(self, pid: Future[int]) -> Ending:
        environ = {LEASE_VARIABLE: str(self.lease_seconds)} if self.lease_seconds else {}
        pid.set_result(self.nursery.run(*self.arguments, environ=environ))
        return self.nursery.wait(pid.result())

    def run_program(self, pid: Future[int]) -> Ending:
        """Run the installed program."""
        program = [str(Path(sys.executable).with_name("rvlstate")), *self.arguments]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            pid.set_result(process.pid)
            output, _ = process.communicate()
        return Ending(code=process.returncode, output=output)

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
        assert not kept_beside(self.shop), kept_beside(self.shop)
        with self.shop.project(schemas="ignored") as project:
            state = project.state()
        assert state.intents == (), f"left behind: {[intent.physical for intent in state.intents]}"
        assert state.run is None or state.run.finished
        aliases = ("products", "goods", "wares", "parts")
        result = Result(
            indexes={name: unnumbered(index_facts(client, name)) for name in sorted(live_names(client))},
            aliases={name: resolves_to(client, name) for name in aliases},
            state=replace(
                state,
                run=None,
                serial=0,
                lineage=state.lineage and "known",
                records=tuple(timeless(record) for record in state.records),
            ),
            documents=documents(client),
            files=files_of(self.shop),
        )
        return anonymised(result) if self.case.may_rebuild else result


def unnumbered(facts: dict[str, Any]) -> dict[str, Any]:
    """An index without the number of the change that staged its documents: a run that was cut short used one up."""
    staged = re.compile(r"^(rvlstate:stage:.*)-\d+:$")
    definition = facts["index_definition"]
    prefixes = definition.index("prefixes") + 1
    named = [staged.sub(r"\1-n:", prefix) for prefix in definition[prefixes]]
    return {**facts, "index_definition": [*definition[:prefixes], named, *definition[prefixes + 1 :]]}


def timeless(record: Record) -> Record:
    """A record without what depends on how fast a run was, and when it began."""
    layout = replace(record.layout, id="") if record.layout is not None else None
    return replace(record, rewrite_rate=0.0, failures=0, layout=layout)


@contextmanager
def prepared(case: Case, server: EmbeddedServer, folder: Path, nursery: Nursery) -> Iterator[Matrix]:
    """A case on an emptied server behind a proxy, its undisturbed run done."""
    flush(server)
    # The socket of the proxy is beside the server: the path of a socket must be short.
    with proxied(server.folder.parent, server.url) as proxy, opened_shop(folder / "shop", server) as shop:
        matrix = Matrix(case=case, shop=shop, proxy=proxy, nursery=nursery)
        matrix.prepare()
        yield matrix


def take_lock_away(shop: Shop) -> None:
    """Unlock after a killed run, if it came as far as to have the lock."""
    with shop.project(schemas="ignored") as project:
        lock = read_lock(project.connection.keys, project.name)
        if lock is not None:
            project.unlock(lock.id)


def decisive(matrix: Matrix) -> list[tuple[Point, Command]]:
    """The points after which the server is in a state that a later run could take for another one."""
    return [(point, command) for point, command in matrix.points if is_write(command) and not is_journal(command)]


def files_of(shop: Shop) -> dict[Path, bytes]:
    """The project file and all schema files."""
    return {path: path.read_bytes() for path in sorted(shop.folder.rglob("*.yaml"))}


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
        files=result.files,
    )


def assert_same(got: Result, expected: Result) -> None:
    """Fail with what differs, part by part."""
    assert got.aliases == expected.aliases, (got.aliases, sorted(got.indexes))
    assert sorted(got.indexes) == sorted(expected.indexes), sorted(got.indexes)
    assert got.indexes == expected.indexes, (got.indexes, expected.indexes)
    assert got.state == expected.state, (got.state, expected.state)
    assert got.documents == expected.documents
    assert got.files == expected.files
