"""A model of the phases of a live change: writers of both layouts, and runs that are ended, killed and taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import yaml
from document_shop import ALLOWED
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from kit import Shop
from observe import KEYS, eventually, live_names, resolves_to
from phase_applications import Applications
from phase_commands import POSSIBLE, WORDS, Command, Outcome, carried_out, command_of
from phase_documents import CODE, Change, Kind, Layout
from phase_saboteur import Saboteur, When, calls_of

from rvlstate.model.rewrite import Phase
from rvlstate.project import Project

Stage: TypeAlias = Literal["untouched", "promoting", "complete"]
Op: TypeAlias = Callable[[Applications], None]

IDENTITIES = tuple(f"{{{tag}}}{number}" for tag in "ab" for number in range(6))
MOST_WRITES, MOST_CALLS = 70, 5
"""So many writes a run may have before somebody interferes; so many calls of one script."""

ENOUGH = 6


def operations() -> st.SearchStrategy[Op]:
    """What an application may do."""
    which, layouts = st.sampled_from(IDENTITIES), st.sampled_from(["old", "new"])
    return st.one_of(
        st.tuples(which, layouts).map(lambda drawn: lambda apps: apps.write(*drawn)),
        st.tuples(which, layouts).map(lambda drawn: lambda apps: apps.write(*drawn)),
        which.map(lambda identity: lambda apps: apps.touch(identity)),
        which.map(lambda identity: lambda apps: apps.delete(identity)),
        which.map(lambda identity: lambda apps: apps.expire(identity)),
        st.tuples(which, st.integers(0, 10**6)).map(lambda drawn: lambda apps: apps.keep_until(*drawn)),
    )


class PhaseMachine(RuleBasedStateMachine):
    """Whatever happens: every last write counts, nothing comes back, and search answers with what is there.

    `shop` is a project on a server of its own, `restart` restarts that server.
    """

    shop: Shop
    kind: Kind
    restart: Callable[[], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.restarts = 0
        self.apps = Applications(client=self.shop.client, change=Change(kind=self.kind), first="")

    @property
    def change(self) -> Change:
        """What changes."""
        return self.apps.change

    @initialize(
        first=st.lists(st.sampled_from(IDENTITIES), unique=True, min_size=4),
        manual=st.booleans(),
        keeps=st.booleans(),
    )
    def begin(self, first: list[str], manual: bool, keeps: bool) -> None:
        """Documents of the old layout, an index over them, and another declaration."""
        self.manual, self.keeps = manual, keeps
        self.shop.client.flushall()
        self.apps = Applications(client=self.shop.client, change=Change(kind=self.kind), first="")
        (self.shop.folder / "own.py").write_text(CODE, encoding="utf-8")
        settings = {"cutover": "manual" if manual else "auto", "batch_size": 5}
        policy = {"settle": "0s", "allow": list(ALLOWED), "retain_old": "1h" if keeps else "0s"}
        self.shop.configure(indexes={"products": settings}, policy=policy)
        self._declare("old")
        self.shop.apply()
        self.apps.first = str(resolves_to(self.shop.client, "products"))
        for number, identity in enumerate(first):
            self.apps.write(identity, "old")
            if number % 3 == 0:
                self.apps.keep_until(identity, number)
        self.shop.configure(indexes={"products": {**settings, **self.change.settings}})
        self._declare("new")
        self.stage: Stage = "untouched"
        self.phase: Phase | None = None

    @rule(some=st.lists(operations(), min_size=1, max_size=4))
    def application(self, some: list[Op]) -> None:
        """Somebody writes."""
        for operation in some:
            operation(self.apps)
        self._check_documents()

    @rule(word=st.sampled_from(WORDS))
    def run(self, word: str) -> None:
        """A whole run, or one that is refused."""
        self._run(word)

    def _run(self, word: str) -> None:
        command = command_of(word, self.phase)
        expected = "done" if self.phase in POSSIBLE[command] else "refused"
        outcome = self._carry_out(command, Saboteur())
        assert outcome == expected or (outcome == "kept" and expected == "done" and self.keeps), (command, outcome)
        begun = self.phase
        self._after(command, outcome)
        if outcome == "kept" and begun != "serving":
            self._check_serving()

    @rule(word=st.sampled_from(WORDS), left=st.integers(0, MOST_WRITES), when=st.sampled_from(["before", "after"]))
    def killed(self, word: str, left: int, when: When) -> None:
        """A run that is killed at one of its writes; the lock is taken away."""
        command = command_of(word, self.phase)
        self._after(command, self._carry_out(command, Saboteur(left=left, when=when)))

    @rule(word=st.sampled_from(WORDS), left=st.integers(0, MOST_WRITES), operation=operations())
    def meddled(self, word: str, left: int, operation: Op) -> None:
        """A run, and somebody who writes in the middle of it."""
        self._meddled(command_of(word, self.phase), Saboteur(left=left), [operation])

    @rule(
        left=st.integers(0, MOST_CALLS),
        script=st.sampled_from(["stage", "look", "write"]),
        layout=st.sampled_from(["old", "new"]),
        operation=operations(),
    )
    def overrun(self, left: int, script: str, layout: Layout, operation: Op) -> None:
        """A run, and many who write right before it does something to documents: all that are there, in a layout."""
        everybody: list[Op] = [lambda apps: apps.write_all(layout), operation]
        self._meddled(command_of("on", self.phase), Saboteur(left=left, counts=calls_of(script)), everybody)

    @precondition(lambda self: self.restart is not None and self.restarts < 1)
    @rule()
    def restarted(self) -> None:
        """The server crashes and comes back with what is on its disk."""
        assert self.restart is not None
        self.restarts += 1
        self.restart()
        self._check_documents()

    @precondition(lambda self: self.stage == "complete")
    @rule(first=st.lists(st.sampled_from(IDENTITIES), unique=True), manual=st.booleans(), keeps=st.booleans())
    def begun_anew(self, first: list[str], manual: bool, keeps: bool) -> None:
        """All over again."""
        self.begin(first, manual, keeps)

    def teardown(self) -> None:
        """The change comes to its end from wherever it is, in as few runs as it takes."""
        if not self.apps.first:
            return
        for _ in range(ENOUGH):
            if self.stage == "complete":
                break
            self._run("on")
        assert self.stage == "complete", (self.stage, self.phase)
        self._check_documents()

    def _declare(self, layout: Layout) -> None:
        schema = yaml.safe_dump(self.change.schema(layout), sort_keys=False)
        self.shop.schema_file("products").write_text(schema, encoding="utf-8")

    def _meddled(self, command: Command, saboteur: Saboteur, meddling: list[Op]) -> None:
        def act() -> None:
            for operation in meddling:
                operation(self.apps)

        saboteur.act = act
        self._after(command, self._carry_out(command, saboteur))

    def _carry_out(self, command: Command, saboteur: Saboteur) -> Outcome:
        self.apps.late_is_over()
        return carried_out(self.shop, command, saboteur)

    def _after(self, command: Command, outcome: Outcome) -> None:
        """What must be so behind every run, however it ended; and behind one that was carried out."""
        self._look()
        if outcome == "done":
            self._check_end(command)
        self._check_documents()
        self._check_search()
        if self.stage == "complete" and not self.apps.ended:
            self.apps.finish()
            self._check_search()

    def _look(self) -> None:
        """Read what the state says; it can always be read, and a plan can be made or is refused with a reason."""
        before = self.phase
        with Project.load(self.shop.file, redis_url=self.shop.url) as project:
            status, state = project.status(), project.state()
            self.phase = status.changes[0].standing.phase if status.changes else None
            project.plan()
        if state.rewrites:
            (begun,) = state.rewrites
            self.stage = "promoting" if begun.settled or self.phase == "promoting" else "untouched"
            self.apps.ended = begun.settled
        else:
            self.stage = "complete" if self.apps.is_cut_over else "untouched"
        if before == "serving" and self.stage == "untouched" and not self.apps.is_cut_over:
            self.apps.go_back()

    def _check_end(self, command: Command) -> None:
        """Where a command leads that was carried out."""
        if command == "rollback":
            assert (self.phase, self.stage) == (None, "untouched")
        elif command in ("cutover", "complete") or not (self.manual or command == "postpone"):
            assert (self.phase, self.stage) == (None, "complete")
        else:
            assert self.phase in (None, "ready")
        if self.phase is None:
            assert self._ours() == []
            led = resolves_to(self.shop.client, "products")
            assert live_names(self.shop.client) == {led}
            assert [resolves_to(self.shop.client, f"products.{suffix}") for suffix in ("next", "prev")] == [None] * 2
            state = self.shop.state()
            assert (state.rewrites, state.intents) == ((), ())

    def _ours(self) -> list[bytes]:
        """What a change keeps beside documents and in its progress."""
        client = self.shop.client
        keys = [key for match in ("rvlstate:*", f"{KEYS.tag}:run:products-*") for key in client.scan_iter(match, 1000)]
        return sorted(key for key in keys if key != b"rvlstate:projects")

    def _check_documents(self) -> None:
        wrong = (
            self.apps.wrong_untouched()
            if self.stage == "untouched"
            else self.apps.wrong_touched(complete=self.stage == "complete")
        )
        assert not (found := list(wrong)), "\n".join([f"{self.stage}, {self.phase}:", *found])

    def _check_search(self) -> None:
        """The name answers with exactly the documents that are there, wherever it leads to a settled index."""
        layout: Layout = "new" if self.apps.is_cut_over else "old"
        if layout == "new" and self.stage != "complete":
            return
        expected = sorted(
            self.change.key(known.values.written if self.change.kind == "moved" and layout == "old" else layout, name)
            for name, known in self.apps.known.items()
            if known.values is not None and self._is_found(layout, known.values.written, late=known.late)
        )
        query = self.change.query(layout)

        def answers() -> list[str]:
            reply = self.shop.client.execute_command("FT.SEARCH", "products", *query)
            return sorted(key.decode() for key in reply[1:] if key.decode() not in unsure)

        unsure = {self.change.key("new", name) for name, known in self.apps.known.items() if known.late}
        expected = [key for key in expected if key not in unsure]
        eventually(lambda: answers() == expected, seconds=3.0, what=f"{expected}, not {answers()}")

    def _check_serving(self) -> None:
        """Right behind the cutover the new index has each document once, under its own key or that of its copy."""

        def answers() -> list[str]:
            reply = self.shop.client.execute_command("FT.SEARCH", "products", *self.change.query("new"))
            return sorted(key.decode().rpartition(":")[2] for key in reply[1:])

        expected = sorted(name for name, known in self.apps.known.items() if known.values is not None)
        eventually(lambda: answers() == expected, seconds=3.0, what=f"{expected}, not {answers()}")

    def _is_found(self, layout: str, written: str, *, late: bool) -> bool:
        return late or layout == "new" or written == "old" or not self.change.hides_new
