"""The applications of the model of phases: writers of both layouts, and what is known of every document from them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from observe import live_names, resolves_to
from phase_documents import Change, Layout, Values, stored, touch

FAR = 4_102_444_800_000
TRIES = 3


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of a document: what it says (None: it is not there), and when it and its vector expire (0: never).

    `dumped` is what was stored behind its last write. `stale`: under another prefix than it was written to last there
    is an earlier write of it. `late`: it was written in the old layout by somebody in
    the middle of the last run, when the name had moved.
    """

    values: Values | None = None
    expires: int = 0
    vector_expires: int = 0
    dumped: bytes | None = None
    stale: bool = False
    late: bool = False


@dataclass(slots=True, kw_only=True)
class Applications:
    """Writers of both layouts at work on a server; `first` is the index from which the name answered before.

    `ended`: the change is complete, and so is the deployment of the new layout.
    """

    client: Any
    change: Change
    first: str
    ended: bool = False
    number: int = 0
    known: dict[str, Known] = field(default_factory=dict)

    def write(self, identity: str, layout: Layout) -> None:
        """A document as a whole, in a layout if that may be used now."""
        known = self.known.setdefault(identity, Known())
        layout = self.usable(layout, known)
        self.number += 1
        values = Values(number=self.number, price=self.number, written=layout)
        stale = self.change.kind == "moved" and layout == "new" and self._there(self.change.key("old", identity))
        self._send(self.change.writing(layout, identity, values))
        late = layout == "old" and self.is_cut_over
        self.known[identity] = Known(values=values, stale=stale, late=late)
        self._dump(identity)

    def write_all(self, layout: Layout) -> None:
        """All documents that are there."""
        for identity in [identity for identity, known in self.known.items() if known.values is not None]:
            self.write(identity, layout)

    def touch(self, identity: str) -> None:
        """A part of a document, where it is."""
        known = self.known.get(identity)
        if known is None or known.values is None:
            return
        self.number += 1
        for _ in range(TRIES):
            try:
                touched = touch(self.client, self._place(identity), self.number)
            except redis.ResponseError:  # its type changed just now
                continue
            assert touched, f"{identity} is gone"
            known.values = replace(known.values, price=self.number)
            self._dump(identity)
            return
        raise AssertionError(f"{identity} changes its type again and again")

    def delete(self, identity: str) -> None:
        """A document that goes, under whichever key it is."""
        known = self.known.get(identity)
        layouts: tuple[Layout, ...] = ("old", "new") if self.is_cut_over or (known and known.stale) else ("old",)
        self.client.delete(*{self.change.key(layout, identity) for layout in layouts})
        self.known[identity] = Known()

    def expire(self, identity: str) -> None:
        """A document that goes by itself, at once."""
        known = self.known.get(identity)
        if known is None or known.values is None or known.stale:
            return
        self.client.pexpire(self._place(identity), 1)
        time.sleep(0.003)
        self.known[identity] = Known()

    def keep_until(self, identity: str, offset: int) -> None:
        """A document that will expire in a long time, and its vector before."""
        known = self.known.get(identity)
        if known is None or known.values is None:
            return
        place = self._place(identity)
        known.expires = FAR + offset
        self.client.pexpireat(place, known.expires)
        if self.change.keeps_field_expiries:
            known.vector_expires = FAR - offset
            self.client.hpexpireat(place, known.vector_expires, "embedding")
        self._dump(identity)

    def usable(self, layout: Layout, known: Known) -> Layout:
        """The layout, or the other one where this must not be written now.

        The new one not before the cutover; the old one not once all is complete, and under another prefix not again
        once a document was written there, nor when old keys are about to go.
        """
        if layout == "new":
            return "new" if self.ended or self.is_cut_over else "old"
        moves = self.change.kind == "moved" and self.is_cut_over
        moved = known.values is not None and known.values.written == "new"
        return "new" if self.ended or (moves and (moved or self.first not in live_names(self.client))) else "old"

    @property
    def is_cut_over(self) -> bool:
        """Whether the name leads to a new index."""
        return resolves_to(self.client, "products") != self.first

    def late_is_over(self) -> None:
        """A run begins: what was written before it is not too late for its passes."""
        for known in self.known.values():
            known.late = False

    def go_back(self) -> None:
        """The deployment is taken back: what only the new place knows is written to the old one again."""
        if self.change.kind != "moved":
            return
        for identity, known in self.known.items():
            if known.values is not None and known.values.written == "new":
                self.client.delete(self.change.key("new", identity))
                self.write(identity, "old")

    def finish(self) -> None:
        """The deployment has ended: what was written in the old layout behind the last pass is written anew."""
        self.ended = True
        for identity, known in self.known.items():
            if known.late and known.values is not None:
                self.write(identity, "new")

    def wrong_untouched(self) -> Iterator[str]:
        """Documents that are not byte for byte as applications left them."""
        for identity, known in sorted(self.known.items()):
            if known.values is None:
                if self._there(self.change.key("old", identity)):
                    yield f"{identity} came back: {stored(self.client, self.change.key('old', identity))}"
                continue
            key = self.change.key(known.values.written, identity)
            if self.client.dump(key) != known.dumped:
                yield f"{key} holds {stored(self.client, key)}, written last: {known}"
            elif self._expires(key) != known.expires:
                yield f"{key} expires at {self._expires(key)}, written last: {known}"

    def wrong_touched(self, *, complete: bool) -> Iterator[str]:
        """Documents that do not hold their last write in one of the layouts; in the new one once all is complete."""
        for identity, known in sorted(self.known.items()):
            stays = known.values is not None and known.values.written == "old" and (known.late or not complete)
            layouts: tuple[Layout, ...] = ("new", "old") if stays else ("new",)
            found = {key: stored(self.client, key) for key in self._keys(identity)}
            if known.values is None:
                if found[self.change.key("old", identity)] or (complete and any(found.values())):
                    yield f"{identity} came back: {found}"
            elif not any(self._is(layout, identity, known, found) for layout in layouts):
                yield f"{identity} is {found}, written last: {known}"
            elif complete and sum(content is not None for content in found.values()) > 1:
                yield f"{identity} is there twice: {found}"

    def _is(self, layout: Layout, identity: str, known: Known, found: dict[str, Any]) -> bool:
        """Whether a document holds its last write in a layout, and expires when it is to."""
        assert known.values is not None
        key = self.change.key(layout, identity)
        if self.change.kind == "moved" and layout == "new" and known.values.written == "old" and len(found) > 1:
            # As long as the old key is there, it is what counts.
            old = found[self.change.key("old", identity)]
            if old is not None and old != self.change.content("old", known.values):
                return False
        same = found[key] == self.change.content(layout, known.values)
        return same and self._expires(key) == known.expires and self._vector_expires(key, known)

    def _vector_expires(self, key: str, known: Known) -> bool:
        if not self.change.keeps_field_expiries:
            return True
        (told,) = self.client.execute_command("HPEXPIRETIME", key, "FIELDS", 1, "embedding")
        return max(0, int(told)) == known.vector_expires

    def _keys(self, identity: str) -> list[str]:
        return sorted({self.change.key("old", identity), self.change.key("new", identity)})

    def _place(self, identity: str) -> str:
        """Where a document is that is there: under its old key until that is gone."""
        known = self.known[identity]
        assert known.values is not None
        key = self.change.key(known.values.written, identity)
        return key if self._there(key) else self.change.key("new", identity)

    def _there(self, key: str) -> bool:
        return bool(self.client.exists(key))

    def _expires(self, key: str) -> int:
        return max(0, int(self.client.pexpiretime(key)))

    def _dump(self, identity: str) -> None:
        known = self.known[identity]
        assert known.values is not None
        known.dumped = self.client.dump(self.change.key(known.values.written, identity))

    def _send(self, commands: list[tuple[Any, ...]]) -> None:
        pipeline = self.client.pipeline(transaction=True)
        for command in commands:
            pipeline.execute_command(*command)
        pipeline.execute()
