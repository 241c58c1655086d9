"""A model of documents under writers and passes: what a pass does, once more, and Hypothesis rules over a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import redis
from document_kit import PROJECT, Kept, StopAfter, Unhurried, called, cast, floats, renamed, rewrite_of, sweep
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rvlstate.errors import InterruptedRunError
from rvlstate.model.rewrite import FieldRewrite, Rewrite
from rvlstate.model.transform import Call
from rvlstate.runtime.connect import Connection, connect

KEYS = tuple(f"doc:{{{tag}}}:{number}" for tag in "ab" for number in range(3))
FAR = 4102444800000
FIELDS = ("v", "m", "a", "b", "src", "cmp")

REWRITE = rewrite_of(
    *cast().fields,
    replace(called("m", "m", layout="marker"), field="m"),
    renamed("a", "b"),
    FieldRewrite(
        field="cmp",
        reads=called("src", "cmp").reads,
        steps=(Call(function="m:g"),),
        writes=called("src", "cmp").writes,
        layout="presence",
    ),
)
"""One field of each layout: v by length, m by its digest, a to b by absence, cmp from src by presence."""

WATCHED = cast()
"""The cast alone: documents are watched, not guarded by digests."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a field holds, when it expires, and which input we made it from ("" if somebody else wrote it)."""

    text: bytes
    expires: int = 0
    made_from: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """What a key holds; no fields: it is not there."""

    fields: tuple[tuple[str, Value], ...] = ()
    expires: int = 0

    def get(self, name: str) -> Value | None:
        """The value of a field, or None."""
        return dict(self.fields).get(name)

    def having(self, changes: dict[str, Value | None]) -> Document:
        """This document with fields written, or removed."""
        after = {**dict(self.fields), **changes}
        kept = tuple(sorted((name, value) for name, value in after.items() if value is not None))
        return Document(kept, self.expires if self.fields else 0)

    def visible(self) -> tuple[tuple[tuple[str, bytes, int], ...], int]:
        """What can be seen of it."""
        return tuple((name, value.text, value.expires) for name, value in self.fields), self.expires


Op: TypeAlias = Callable[[Document], Document]


def swept(document: Document, rewrite: Rewrite) -> Document:
    """What a pass makes of a document: the table of the layouts, once more."""
    changes: dict[str, Value | None] = {}
    if (v := document.get("v")) and len(v.text) == 16:
        changes["v"] = Value(floats(*memoryview(v.text).cast("f"), form="e"), v.expires)
    if rewrite is WATCHED:
        return document.having(changes)
    if (m := document.get("m")) and not m.made_from:
        changes["m"] = Value(m.text + b"!", m.expires, m.text)
    if a := document.get("a"):
        b = document.get("b")
        if b is None or b.made_from:
            changes |= {"a": None, "b": Value(a.text, a.expires, a.text)}
    if src := document.get("src"):
        made = document.get("cmp")
        if made is None or (made.made_from and made.made_from != src.text):
            changes["cmp"] = Value(src.text + b"?", made.expires if made else 0, src.text)
    return document.having(changes)


def is_ambiguous(document: Document) -> bool:
    """Whether it holds an old value of a field, and a new one that we did not make of it."""
    b = document.get("b")
    return document.get("a") is not None and b is not None and not b.made_from


@dataclass
class Applications:
    """Writers of both layouts; each value is written once only, so that none is taken for another."""

    client: Any
    number: int = 0
    pending: list[tuple[str, Op]] = field(default_factory=list)

    def token(self, sign: str) -> bytes:
        """A text that was never written before."""
        self.number += 1
        return f"{sign}{self.number}".encode()

    def write(self, key: str, values: dict[str, bytes]) -> Op:
        """HSET, which takes expiries of these fields away."""
        self.client.hset(key, mapping=values)
        return lambda document: document.having({name: Value(text) for name, text in values.items()})

    def old(self, key: str, names: Iterable[str]) -> Op:
        """A writer of the old layout."""
        self.number += 1
        mine = {"v": floats(self.number % 2000, 1, 2, 3), **{name: self.token("o") for name in ("m", "a", "src")}}
        return self.write(key, {name: mine[name] for name in names})

    def new(self, key: str, names: Iterable[str]) -> Op:
        """A writer of the new layout."""
        self.number += 1
        mine = {"v": floats(self.number % 2000, 1, 2, 3, form="e"), "b": self.token("n"), "cmp": self.token("n")}
        return self.write(key, {name: mine[name] for name in names})

    def delete(self, key: str) -> Op:
        """A document that goes."""
        self.client.delete(key)
        return lambda _: Document()

    def expire(self, key: str) -> Op:
        """A document that goes by itself."""
        self.client.pexpire(key, 1)
        time.sleep(0.003)
        return lambda _: Document()

    def keep_until(self, key: str, offset: int) -> Op:
        """A document that will expire in a long time."""
        self.client.pexpireat(key, FAR + offset)
        return lambda document: replace(document, expires=FAR + offset) if document.fields else document

    def keep_field_until(self, key: str, name: str, offset: int) -> Op:
        """A field that will expire in a long time."""
        self.client.execute_command("HPEXPIREAT", key, FAR + offset, "FIELDS", 1, name)

        def expiring(document: Document) -> Document:
            value = document.get(name)
            return document.having({name: replace(value, expires=FAR + offset)}) if value else document

        return expiring


def operations() -> st.SearchStrategy[Callable[[Applications, str], Op]]:
    """What an application may do to a document."""
    old = st.sets(st.sampled_from(["v", "m", "a", "src"]), min_size=1).map(sorted)
    new = st.sets(st.sampled_from(["v", "b", "cmp"]), min_size=1).map(sorted)
    offsets = st.integers(0, 10**6)
    return st.one_of(
        old.map(lambda names: lambda apps, key: apps.old(key, names)),
        old.map(lambda names: lambda apps, key: apps.old(key, names)),
        new.map(lambda names: lambda apps, key: apps.new(key, names)),
        st.just(lambda apps, key: apps.delete(key)),
        st.just(lambda apps, key: apps.expire(key)),
        offsets.map(lambda offset: lambda apps, key: apps.keep_until(key, offset)),
        st.tuples(st.sampled_from(FIELDS), offsets).map(
            lambda drawn: lambda apps, key: apps.keep_field_until(key, drawn[0], drawn[1])
        ),
    )


class CrashError(Exception):
    """The process died between reading and writing."""


class _Crashing(Kept):
    """Ends the pass between reading and writing, the n-th time."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def keep(self, rows: Any) -> None:  # noqa: ARG002  # the protocol
        """Once more, or no more."""
        self.left -= 1
        if self.left < 0:
            raise CrashError


class DocumentMachine(RuleBasedStateMachine):
    """Applications write, delete and expire; passes run, are stopped, crash, and go on; nothing is lost or doubled.

    For each key there are the documents that may be there, with what cannot be seen: who wrote a value. What is seen
    rules out some of them, and must leave one.
    """

    url = ""
    rewrite = REWRITE

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.from_url(self.url)
        self.client.flushall()
        self.connection: Connection = connect(self.url)
        self.apps = Applications(self.client)
        self.possible: dict[str, set[Document]] = {key: {Document()} for key in KEYS}

    def teardown(self) -> None:
        """Passes until stable bring every document into the new layout."""
        for _ in range(2):
            self.sweep_all()
        tally = self._sweep()
        assert (tally.written, tally.moved_on, tally.bad) == (0, 0, 0)
        for key in KEYS:
            assert all(self._swept(document) == document for document in self.possible[key])
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

    @rule()
    def sweep_all(self) -> None:
        """A whole pass."""
        tally = self._sweep()
        assert tally.bad == 0
        assert tally.seen == sum(bool(self.client.exists(key)) for key in KEYS)
        for key in KEYS:
            self.possible[key] = {self._swept(document) for document in self.possible[key]}

    @rule(batches=st.integers(0, 4), size=st.integers(1, 3), resume=st.booleans())
    def sweep_that_is_stopped(self, batches: int, size: int, resume: bool) -> None:
        """A pass that ends after some batches."""
        with suppress(InterruptedRunError):
            self._sweep(batch_size=size, pacer=StopAfter(batches), resume=resume)
        self._perhaps_swept()

    @rule(writes=st.integers(0, 3), size=st.integers(1, 3))
    def sweep_that_crashes(self, writes: int, size: int) -> None:
        """A pass that dies between reading and writing."""
        with suppress(CrashError):
            self._sweep(batch_size=size, originals=_Crashing(writes))
        self._perhaps_swept()

    @rule(size=st.integers(1, 500))
    def resume(self, size: int) -> None:
        """Whoever goes on, from wherever, with batches of any size; what came behind its place is for the next pass."""
        with connect(self.url) as connection:
            sweep(connection, self.rewrite, batch_size=size, resume=True, functions=shouting())
        self._perhaps_swept()

    @rule(key=st.sampled_from(KEYS), operation=operations(), size=st.sampled_from([6, 6, 2]))
    def sweep_with_a_writer(self, key: str, operation: Callable[[Applications, str], Op], size: int) -> None:
        """A pass, and somebody who writes between its reading and its writing."""
        done: list[Op] = []
        self._happened(key, self.apps.old(key, ["v", "m", "a", "src"]))

        def meddle() -> None:
            if not done:
                done.append(operation(self.apps, key))

        self._sweep(batch_size=size, meddle=meddle)
        self._perhaps_swept()
        for op in done:
            self._happened(key, op)
            self._perhaps_swept()

    @invariant()
    def what_is_there_is_possible(self) -> None:
        """No update is lost, nothing comes back, nothing is done twice, and expiries are kept."""
        for key in KEYS:
            there = self._there(key)
            left = {document for document in self.possible[key] if document.visible() == there.visible()}
            assert left, f"{key} holds {there}, expected one of {self.possible[key]}"
            self.possible[key] = left

    def _swept(self, document: Document) -> Document:
        return swept(document, self.rewrite)

    def _happened(self, key: str, op: Op) -> None:
        self.possible[key] = {op(document) for document in self.possible[key]}

    def _perhaps_swept(self) -> None:
        for key in KEYS:
            self.possible[key] |= {self._swept(document) for document in self.possible[key]}

    def _sweep(self, meddle: Callable[[], None] = lambda: None, **options: Any) -> Any:
        options = {"pacer": Unhurried(), "functions": shouting(meddle), **options}
        if self.rewrite is WATCHED:
            options["guard"] = meddle  # it is asked between reading and writing
        return sweep(self.connection, self.rewrite, **options)

    def _there(self, key: str) -> Document:
        return there(self.client, key)


def there(client: Any, key: str | bytes) -> Document:
    """What a key holds now."""
    values = client.hgetall(key)
    if not values:
        return Document()
    names = sorted(name.decode() for name in values)
    told = client.execute_command("HPEXPIRETIME", key, "FIELDS", len(names), *names)
    fields = tuple(
        (name, Value(values[name.encode()], max(0, expires))) for name, expires in zip(names, told, strict=True)
    )
    return Document(fields, max(0, client.pexpiretime(key)))


def shouting(meddle: Callable[[], None] = lambda: None) -> dict[str, Callable[..., Any]]:
    """The functions of the rewrite, each called after `meddle`."""

    def appending(sign: str) -> Callable[[list[str]], list[str]]:
        def append(texts: list[str]) -> list[str]:
            meddle()
            return [f"{text}{sign}" for text in texts]

        return append

    return {"m:f": appending("!"), "m:g": appending("?")}


__all__ = ["PROJECT", "DocumentMachine"]
