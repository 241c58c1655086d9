"""A model of a staged change under writers of both layouts: before its cutover, at that moment, and after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from document_kit import STAGE, StopAfter, Unhurried, leftovers, staged, sweep, worker
from document_machine import (
    KEYS,
    WATCHED,
    Applications,
    CrashError,
    Document,
    Op,
    is_ambiguous,
    operations,
    shouting,
    swept,
    there,
)
from document_machine import REWRITE as ALL_LAYOUTS
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rvlstate.errors import InterruptedRunError
from rvlstate.runtime.connect import Connection, connect

BY_RENAME = staged(WATCHED)
BY_WRITING_BACK = staged(ALL_LAYOUTS, "write_back")


@dataclass(slots=True)
class Interrupting:
    """A lease that never ends; at the n-th call of a script that writes, something happens first, once."""

    left: int
    what: Callable[[], None]
    id: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def certain_seconds(self) -> float:
        """Asked right before each call is sent."""
        with self.lock:
            self.left -= 1
            if self.left == -1:
                self.what()
        return 3600.0


def crash() -> None:
    """The process dies."""
    raise CrashError


class StagedMachine(RuleBasedStateMachine):
    """Applications write, delete and expire; passes run, are stopped, crash and go on; one day there is the cutover.

    Until then a document is just what applications made of it. Then it may be that, or what the transform makes of it:
    for each key there are the documents that may be there. What is seen rules out some of them, and must leave one.
    """

    url = ""
    rewrite = BY_RENAME

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.from_url(self.url)
        self.client.flushall()
        self.connection: Connection = connect(self.url)
        self.apps = Applications(self.client)
        self.possible: dict[str, set[Document]] = {key: {Document()} for key in KEYS}
        self.serving = False
        self.staged: set[bytes] = set()

    def teardown(self) -> None:
        """Every document ends in the new layout, and nothing of ours is left."""
        if not self.serving:
            self.stage()
            self.cutover()
        for _ in range(3):
            self.promote()
        assert self._sweep("promote").unsettled == 0
        self.what_is_there_is_possible()
        worker(self.connection).tidy(self.rewrite)
        assert leftovers(self.client) == []
        self.what_is_there_is_possible()
        self.connection.close()
        self.client.close()

    @initialize(first=st.lists(st.sampled_from(KEYS), unique=True, min_size=2))
    def some_are_there(self, first: list[str]) -> None:
        """Documents of the old layout."""
        for number, key in enumerate(first):
            self._happened(key, self.apps.old(key, ["v", "m", "a", "src"]))
            self._happened(key, self.apps.keep_field_until(key, "vma"[number % 3], number))
            self._happened(key, self.apps.keep_until(key, number))

    @rule(key=st.sampled_from(KEYS), operation=operations())
    def application(self, key: str, operation: Callable[[Applications, str], Op]) -> None:
        """Somebody writes."""
        self._happened(key, operation(self.apps, key))

    @precondition(lambda self: not self.serving)
    @rule()
    def stage(self) -> None:
        """A whole pass before the cutover; after it every document has the copy that it is to have, and no other."""
        tally = self._sweep("stage")
        questions = {key for key in KEYS if any(map(self._is_question, self.possible[key]))}
        assert (tally.bad, tally.moved_on) == (len(questions), 0)
        for key in KEYS:
            (document,) = self.possible[key]
            after = self._swept(document)
            has_none = key in questions or (self.rewrite.promotion == "rename" and after == document)
            assert self._copy(key).visible() == (Document() if has_none else after).visible(), key
        assert self._sweep("stage").unsettled == 0

    @precondition(lambda self: self.serving)
    @rule()
    def promote(self) -> None:
        """A whole pass after it: copies are gone, or are what their documents are."""
        tally = self._sweep("promote")
        assert (tally.bad, tally.moved_on) == (0, 0)
        for key in KEYS:
            self.possible[key] = {after for document in self.possible[key] for after in self._outcomes(document)}
        self.what_is_there_is_possible()
        for key in KEYS:
            expected = Document() if self.rewrite.promotion == "rename" else there(self.client, key)
            assert self._copy(key).visible() == expected.visible(), key

    @precondition(lambda self: not self.serving)
    @rule()
    def cutover(self) -> None:
        """From here on the copies answer; whether all of them are there is the business of the gate."""
        self.serving = True

    @precondition(lambda self: not self.serving)
    @rule()
    def rolled_back(self) -> None:
        """The copies go, and staging begins again."""
        worker(self.connection).tidy(self.rewrite)
        assert leftovers(self.client) == []

    @rule(batches=st.integers(0, 4), size=st.integers(1, 3), resume=st.booleans())
    def stopped(self, batches: int, size: int, resume: bool) -> None:
        """A pass that ends after some batches."""
        with suppress(InterruptedRunError):
            self._sweep(self._mode, batch_size=size, pacer=StopAfter(batches), resume=resume)
        self._perhaps_swept()

    @rule(calls=st.integers(0, 5), size=st.integers(1, 3), resume=st.booleans())
    def crashed(self, calls: int, size: int, resume: bool) -> None:
        """A pass that dies before one of its calls."""
        with suppress(CrashError):
            self._sweep(self._mode, batch_size=size, resume=resume, lease=Interrupting(calls, crash))
        self._perhaps_swept()

    @rule(key=st.sampled_from(KEYS), operation=operations(), calls=st.integers(0, 4), size=st.sampled_from([6, 6, 2]))
    def meddled(self, key: str, operation: Callable[[Applications, str], Op], calls: int, size: int) -> None:
        """A pass, and somebody who writes between two of its calls: between reading and writing, for one."""
        self._happened(key, self.apps.old(key, ["v", "m", "a", "src"]))
        done: list[Op] = []
        lease = Interrupting(calls, lambda: done.append(operation(self.apps, key)))
        self._sweep(self._mode, batch_size=size, lease=lease)
        self._perhaps_swept()
        for op in done:
            self._happened(key, op)
            self._perhaps_swept()
            self._perhaps_staged()

    @invariant()
    def what_is_there_is_possible(self) -> None:
        """No update is lost, nothing comes back, nothing is done twice; before the cutover nothing is done at all."""
        for key in KEYS:
            seen = there(self.client, key)
            left = {document for document in self.possible[key] if document.visible() == seen.visible()}
            assert left, f"{key} holds {seen}, expected one of {self.possible[key]}"
            self.possible[key] = left

    @property
    def _mode(self) -> str:
        return "promote" if self.serving else "stage"

    def _swept(self, document: Document) -> Document:
        return swept(document, WATCHED if self.rewrite is BY_RENAME else ALL_LAYOUTS)

    def _is_question(self, document: Document) -> bool:
        return self.rewrite is BY_WRITING_BACK and is_ambiguous(document)

    def _outcomes(self, document: Document) -> set[Document]:
        """What a pass may make of it: an old value that was staged, and did not change, is older than the new one."""
        left, a = self._swept(document), document.get("a")
        if a is None or not self._is_question(document) or a.text not in self.staged:
            return {left}
        return {left, left.having({"a": None})}

    def _happened(self, key: str, op: Op) -> None:
        self.possible[key] = {op(document) for document in self.possible[key]}

    def _perhaps_swept(self) -> None:
        if self.serving:
            for key in KEYS:
                self.possible[key] |= {after for document in self.possible[key] for after in self._outcomes(document)}

    def _perhaps_staged(self) -> None:
        if not self.serving:
            held = [document for found in self.possible.values() for document in found]
            values = [document.get("a") for document in held if not self._is_question(document)]
            self.staged |= {value.text for value in values if value is not None}

    def _sweep(self, mode: str, **options: Any) -> Any:
        self._perhaps_staged()
        return sweep(
            self.connection, self.rewrite, mode=mode, **{"pacer": Unhurried(), "functions": shouting(), **options}
        )

    def _copy(self, key: str) -> Document:
        client: Any = self.client
        copies = [copy for copy in client.keys(f"{STAGE}*") if copy.split(b"}:", 1)[1] == key.encode()]
        return there(self.client, copies[0]) if copies else Document()
