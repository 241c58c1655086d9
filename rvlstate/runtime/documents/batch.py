"""The rows of a batch: what was read of documents, what is to be written, and what is kept of them before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rvlstate.runtime.documents.blueprint import Blueprint
from rvlstate.runtime.documents.numbers import lasting
from rvlstate.runtime.documents.originals import Original, written_digest
from rvlstate.transforms.paths import is_several

BOTH = "3"
"""The state of a field with an old value and another new one (see states.lua)."""


@dataclass(slots=True)
class Row:
    """One document that is not in the desired layout.

    `states` has a sign for each field and one more where prefixes change (see read.lua); `values` are those that are
    guarded, or the whole document, `bytes_read` in all. `new` holds by field, from 0, what is to be written.
    """

    key: bytes
    slot: int
    states: str
    values: list[bytes | None]
    destination: bytes
    new: dict[int, bytes] = field(default_factory=dict)
    bytes_read: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes_read = sum(map(len, filter(None, self.values)))

    @property
    def bytes_written(self) -> int:
        """How much is written into it."""
        return sum(map(len, self.new.values()))

    @property
    def is_todo(self) -> bool:
        """Whether anything is left to be done, once it is known what can be made."""
        return self.states.strip("0") != ""

    @property
    def ambiguous(self) -> int | None:
        """The first field, from 0, of which nothing tells whether its old value or its new one is meant."""
        at = self.states.find(BOTH)
        return at if at >= 0 else None

    def leave(self, at: int) -> None:
        """Nothing can be made for a field: leave it."""
        self.states = f"{self.states[:at]}0{self.states[at + 1 :]}"

    def arguments(self, *, watched: bool = False) -> list[bytes]:
        """What the script that writes is told of it; a watched one needs no digest."""
        return [
            b"" if watched else guard_digest(self.values),
            self.states.encode(),
            *(self.new[at] for at in sorted(self.new)),
        ]


def guard_digest(values: Sequence[bytes | None]) -> bytes:
    """The digest over values that the scripts make as well (see lib.lua)."""
    parts = [b"-" if value is None else _sha1(value) for value in values]
    return parts[0] if len(parts) == 1 else _sha1(b",".join(parts))


def _sha1(value: bytes) -> bytes:
    return hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()


def shown(key: bytes) -> str:
    """A key as text that can be turned into its bytes again."""
    return key.decode("utf-8", "surrogateescape")


def dumped(value: object) -> bytes:
    """A JSON value as it is sent."""
    return lasting(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def originals_of(blueprint: Blueprint, row: Row) -> list[Original]:
    """What a document held, and the digest of what it is to hold: one for each field, which may be rewritten apart."""
    if blueprint.adapter == "whole":
        return [_whole_original(blueprint, row)]
    held = {blueprint.identifiers[position]: row.values[n] for n, position in enumerate(blueprint.guarded)}
    return [
        Original(
            key=row.key,
            before={name: held[name] for name in after},
            written=written_digest(after, is_json=blueprint.adapter == "json"),
        )
        for after in _after(blueprint, row) or [{}]
    ]


def _after(blueprint: Blueprint, row: Row) -> list[dict[bytes, bytes | None]]:
    """For each field that is not done, what will be at the identifiers that it writes or removes."""
    found = []
    for number, item in enumerate(blueprint.rewrite.fields):
        if row.states[number] == "0":
            continue
        after: dict[bytes, bytes | None] = {blueprint.column(name): None for name in item.removes}
        if number in row.new and item.writes is not None:
            new = row.new[number]
            told = new if blueprint.adapter == "hash" else _as_told(item.writes.identifier, new)
            after[blueprint.column(item.writes.identifier)] = told
        found.append(after)
    return found


def _as_told(path: str, text: bytes) -> bytes:
    """A value that is written, as JSON.GET will tell it."""
    return b"[%s]" % (",".join(json.loads(text)).encode("utf-8") if is_several(path) else text)


def _whole_original(blueprint: Blueprint, row: Row) -> Original:
    after: Mapping[bytes, bytes | None] | bytes = {}
    if 0 in row.new and blueprint.rewrite.after.storage == "json":
        after = row.new[0]
    elif 0 in row.new:
        after = dict(pairs(parts_of(row.new[0])))
    return Original(key=row.key, before=_whole_before(blueprint, row), written=written_digest(after, is_json=False))


def _whole_before(blueprint: Blueprint, row: Row) -> Mapping[bytes, bytes | None] | bytes:
    if blueprint.rewrite.before.storage == "hash":
        return dict(pairs(row.values))
    return (row.values or [b""])[0] or b""


def pairs(flat: list[bytes | None]) -> list[tuple[bytes, bytes]]:
    """Fields and values of a whole hash."""
    return [(name or b"", value or b"") for name, value in zip(flat[::2], flat[1::2], strict=True)]


def packed(parts: list[bytes]) -> bytes:
    """Several texts as one: each behind its length and a colon."""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)


def parts_of(text: bytes) -> list[bytes | None]:
    """What was packed."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(text):
        colon = text.index(b":", at)
        end = colon + 1 + int(text[at:colon])
        parts.append(text[colon + 1 : end])
        at = end
    return parts
