"""A writer of live stories: 70 % updates, 20 % inserts, 10 % deletes, in the layout that it is told; each is logged.

Run as a program it works until its input ends. Each line of its input is a mode: "old", "new", or "mixed" (one or the
other by chance). Each document has one writer, so that its last write is known. A line of the log is

    moment identity number base layout outcome expiry

where number -1 is a deletion, outcome is "ok", "uncertain" (the connection broke: the server may or may not have done
it) or "refused", and expiry 0 is none.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import redis
from live_documents import (
    Change,
    Command,
    Form,
    change_of,
    deleting,
    is_still,
    lasting_expiry,
    touching,
    writing,
)
from redis.backoff import NoBackoff
from redis.retry import Retry

GONE = -1
UPDATES, INSERTS = 0.7, 0.9
SMALL_UPDATES, REVIVALS, SHORT_LIVES = 0.2, 0.3, 0.05
SHORT_LIFE = (200, 1500)
"""For how many milliseconds the documents live that nobody deletes."""


class Orders:
    """What comes on standard input: the mode, and the end."""

    def __init__(self) -> None:
        self.mode = "old"
        self.ended = False
        self._unread = b""

    def look(self) -> None:
        """Take note of what has come."""
        while not self.ended and select.select([0], [], [], 0)[0]:
            told = os.read(0, 4096)
            self.ended = not told
            *lines, self._unread = (self._unread + told).split(b"\n")
            for line in lines:
                self.mode = line.decode()


@dataclass(slots=True, kw_only=True)
class Document:
    """What a writer knows of one document.

    `unsure`: it is not known whether the last write was done; `newest`: its next write is in the new layout; `late`:
    its last one was in the old layout.
    """

    identity: str
    number: int = 0
    base: int = 0
    unsure: bool = False
    newest: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which documents of how many are this writer's, and at most how many writes a second it does (0: no limit)."""

    number: int
    writers: int
    documents: int
    kind: Any
    dims: int
    rate: float = 0.0

    def identities(self) -> list[str]:
        """Those of the documents that were there before which this writer may touch."""
        mine = (f"p{at}" for at in range(self.number, self.documents, self.writers))
        return [identity for identity in mine if not is_still(identity, self.documents)]


@dataclass(slots=True, kw_only=True)
class Writer:
    """One writer at work; `there` and `gone` are its documents, in no order."""

    client: Any
    share: Share
    log: TextIO
    change: Change
    orders: Orders = field(default_factory=Orders)
    there: list[Document] = field(default_factory=list)
    gone: list[Document] = field(default_factory=list)
    made: int = 0
    told: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    longest: float = 0.0

    def work(self) -> dict[str, Any]:
        """Write until the input ends; the figures."""
        self.there = [Document(identity=identity) for identity in self.share.identities()]
        chance = random.Random(self.share.number)
        began, count = time.monotonic(), 0
        while not self.orders.ended:
            self.once(chance)
            count += 1
            if self.share.rate:
                time.sleep(max(0.0, count / self.share.rate - (time.monotonic() - began)))
            self.orders.look()
        seconds = time.monotonic() - began
        return {"seconds": seconds, "longest": self.longest, "refusals": self.refusals[:20], "told": dict(self.told)}

    def once(self, chance: random.Random) -> None:
        """One write."""
        dice = chance.random()
        if dice < UPDATES and self.there:
            self.update(chance.choice(self.there), chance)
        elif dice < INSERTS or not self.there:
            self.insert(chance)
        else:
            self.delete(taken(self.there, chance), chance)

    def update(self, document: Document, chance: random.Random) -> None:
        """A new version, of the whole document or of its figures alone."""
        document.number += 1
        small = self.change.takes_small_updates and not document.unsure and chance.random() < SMALL_UPDATES
        if not small:
            document.base = document.number
        self.put(document, chance, small=small, expiry=lasting_expiry(document.identity))

    def insert(self, chance: random.Random) -> None:
        """A new document, one that was deleted before, or one that does not live long."""
        if self.gone and chance.random() < REVIVALS:
            document = taken(self.gone, chance)
            document.number += 1
            document.base = document.number
        else:
            document = Document(identity=f"w{self.share.number}n{self.made}")
            self.made += 1
        if document.number == 0 and chance.random() < SHORT_LIVES:
            life = chance.randint(*SHORT_LIFE)
            self.put(document, chance, small=False, expiry=int(time.time() * 1000) + life)
            return
        self.there.append(document)
        self.put(document, chance, small=False, expiry=lasting_expiry(document.identity))

    def put(self, document: Document, chance: random.Random, *, small: bool, expiry: int) -> None:
        """Send what makes the document what it is to be."""
        form = self.form(document, chance)
        if small:
            commands = touching(form, document.identity, document.number)
        else:
            commands = writing(self.change, form, document.identity, document.number, document.base, expiry=expiry)
        self.send(document, form, document.number, commands, expiry)
        document.late = form == self.change.old

    def delete(self, document: Document, chance: random.Random) -> None:
        """Delete a document. Under which keys it is, its own last write tells."""
        form = self.form(document, chance)
        commands = deleting(self.change, form, document.identity, both=document.late or document.unsure)
        self.send(document, form, GONE, commands, 0)
        document.late = False
        self.gone.append(document)

    def form(self, document: Document, chance: random.Random) -> Form:
        """The layout of the next write of a document."""
        new = self.orders.mode == "new" or (self.orders.mode == "mixed" and chance.random() < 0.5)
        document.newest = new or (document.newest and self.change.one_way)
        return self.change.new if document.newest else self.change.old

    def send(self, document: Document, form: Form, number: int, commands: list[Command], expiry: int) -> None:
        """Send one write as a transaction, and log how it came out."""
        began = time.perf_counter()
        outcome = self.sent(commands)
        self.longest = max(self.longest, time.perf_counter() - began)
        document.unsure = outcome != "ok"
        layout = "new" if form == self.change.new else "old"
        self.told[outcome] += 1
        self.told[f"{'delete' if number == GONE else 'write'} {layout}"] += 1
        line = f"{time.time():.6f} {document.identity} {number} {document.base} {layout} {outcome} {expiry}\n"
        self.log.write(line)
        if outcome == "uncertain":
            self.wait()

    def sent(self, commands: list[Command]) -> Literal["ok", "uncertain", "refused"]:
        """Send commands; how that came out."""
        try:
            if len(commands) == 1:
                self.client.execute_command(*commands[0])
            else:
                pipeline = self.client.pipeline(transaction=True)
                for command in commands:
                    pipeline.execute_command(*command)
                pipeline.execute()
        except (redis.ConnectionError, redis.TimeoutError):
            return "uncertain"
        except redis.ResponseError as error:
            self.refusals.append(str(error))
            return "refused"
        return "ok"

    def wait(self) -> None:
        """Until the server answers again, or nothing more is to be written."""
        while not self.orders.ended:
            with suppress(redis.RedisError):
                self.client.ping()
                return
            time.sleep(0.02)
            self.orders.look()


def taken(documents: list[Document], chance: random.Random) -> Document:
    """One of the documents, which is not among them any more."""
    at = chance.randrange(len(documents))
    documents[at], documents[-1] = documents[-1], documents[at]
    return documents.pop()


def main(url: str, log: str, share: str) -> None:
    """Be one writer."""
    own = Share(**json.loads(share))
    with (
        redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0)) as client,
        Path(log).open("w", buffering=1, encoding="utf-8") as out,
    ):
        client.ping()
        print("ready", flush=True)
        writer = Writer(client=client, share=own, log=out, change=change_of(own.kind, own.dims))
        print(json.dumps(writer.work()))


if __name__ == "__main__":
    main(*sys.argv[1:])
